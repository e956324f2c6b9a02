"""What every op asks of its arguments, at the boundary: what was expected, what came, what to do."""

import operator

import numpy as np

FLOATS = (np.float32, np.float64)
_AXES = {1: "a vector", 2: "(N, C)", 4: "(N, C, H, W)"}


def arrays(optional=(), **named):
    """All float32 or all float64 arrays; of those named in `optional`, None says that it was left out."""
    present = {name: array for name, array in named.items() if array is not None or name not in optional}
    for name, array in present.items():
        if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray | np.matrix):
            came = type(array).__name__
            raise TypeError(f"{name} must be a NumPy array; got {came}: convert it with np.array(..., np.float32)")
        if array.dtype not in FLOATS:
            raise TypeError(
                f"{name} must be float32 or float64; got {array.dtype}: convert it with .astype(np.float32)"
            )
    if len({array.dtype for array in present.values()}) > 1:
        kinds = ", ".join(f"{name} {array.dtype}" for name, array in present.items())
        raise TypeError(f"all arrays must have one dtype; got {kinds}: convert them with .astype")


def float_type(dtype):
    """np.float32 or np.float64."""
    if dtype not in FLOATS:
        raise TypeError(f"dtype must be np.float32 (to run) or np.float64 (to check); got {dtype!r}")
    return dtype


def rank(name, array, ndim):
    """An array of ndim axes, none of them empty but the batch."""
    if array.ndim != ndim:
        raise ValueError(f"{name} must be {_AXES[ndim]}, {ndim} axes; got shape {array.shape}: reshape it")
    if 0 in array.shape[1:]:
        raise ValueError(f"{name} must not be empty but in its batch axis; got shape {array.shape}")


def shape(name, array, expected, why):
    """Exactly this shape: nothing is broadcast."""
    if array is not None and array.shape != tuple(expected):
        raise ValueError(f"{name} must have shape {tuple(expected)}, {why}; got {array.shape}: nothing is broadcast")


def upstream(dy, expected, dtype):
    """dy, of the shape and dtype of y."""
    arrays(dy=dy)
    shape("dy", dy, expected, "that of the output")
    if dy.dtype != dtype:
        raise TypeError(f"dy must be {dtype} as the forward's arrays were; got {dy.dtype}: convert it with .astype")


def integer(name, value, least):
    """One integer, at least so large."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be an integer; got {value!r}")
    if not least <= number < 2**31:
        raise ValueError(
            f"{name} must be {f'at least {least}' if number < least else 'less than 2**31'}; got {value!r}"
        )
    return number


def pair(name, value, least):
    """An integer, or (height, width) -> (height, width)."""
    values = value if isinstance(value, tuple | list) else (value, value)
    if len(values) != 2:
        raise ValueError(f"{name} must be one integer or (height, width); got {value!r}")
    return tuple(integer(name, v, least) for v in values)


def window(size, kernel_size, stride, padding, *, pool=False):
    """The (KH, KW), (SH, SW), (PH, PW) of a sliding window over an image of this (H, W), and its output's (OH, OW)."""
    kernel_size, stride = pair("kernel_size", kernel_size, 1), pair("stride", stride, 1)
    padding = pair("padding", padding, 0)
    padded = tuple(s + 2 * p for s, p in zip(size, padding, strict=True))
    if any(k > s for k, s in zip(kernel_size, padded, strict=True)):
        raise ValueError(
            f"kernel_size {kernel_size} must fit into the padded input {padded}: "
            f"use a larger input than {tuple(size)}, more padding or a smaller kernel"
        )
    if pool and any(2 * p > k for p, k in zip(padding, kernel_size, strict=True)):
        raise ValueError(
            f"padding must be at most half of kernel_size {kernel_size}; got {padding}: "
            "a window of nothing but padding has no maximum and no mean"
        )
    output = tuple((s - k) // t + 1 for s, k, t in zip(padded, kernel_size, stride, strict=True))
    return kernel_size, stride, padding, output


def real(name, value):
    """A real number, NaN and infinity among them."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a number; got {value!r}")
    return float(value)


def number(name, value, least, below):
    """A real number in [least, below)."""
    if not least <= real(name, value) < below:
        raise ValueError(f"{name} must be in [{least}, {below}); got {value!r}")
    return float(value)
