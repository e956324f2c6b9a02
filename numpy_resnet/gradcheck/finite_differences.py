"""Is a backward the derivative of its forward? Central differences decide, entry by entry.

The upstream gradient is random: one of ones would hide most bugs of batch norm, whose outputs have a fixed sum.
"""

import functools
import inspect

import numpy as np

from numpy_resnet.gradcheck.report import ArgumentReport, GradientReport, relative_error, rounding


def check_gradients(f, f_backward, *arrays, seed=0, step=1e-5, tolerance=1e-5):
    """Compare f_backward with central differences of f, for every entry of every gradient.

    f(*arrays) -> y, cache and f_backward(dy, cache) -> one gradient for each array, in their order, or one alone, bare.
    Bind options and constants (labels, running statistics) with functools.partial: every float array given here must
    get its gradient. Arrays that are not floats, such as a keep mask, have none.
    All runs in float64, with dy drawn from `seed`; no array of yours is changed.

    numeric[i] = sum(dy * (f(x + h e_i) - f(x - h e_i))) / 2h, h = step: the error is about h**2 and 1e-16 / h.
    Keep arrays away from kinks, by more than h: at the zero of a ReLU or a tie of max pooling a difference means
    nothing, and a right gradient is called wrong. Nor may f compute in float32.

    Returns a GradientReport: print it. Raises ValueError where f is not a pure function of its arrays, where f or
    f_backward writes to one of them, and where there is nothing to check.
    """
    title = _name(f)
    args = [_as_float64(array) for array in arrays]
    names = _argument_names(f, len(args))
    if not any(_differentiable(arg) for arg in args):
        raise ValueError(f"there must be a float array to check a gradient of; got {[_kind(a) for a in arrays]}")
    before = [_copy(arg) for arg in args]
    y, cache = _run(f, args)
    _refuse_change(title, names, before, args)
    _refuse_state(f, args, y)
    dy = np.random.default_rng([seed, *b"dy"]).standard_normal(np.shape(y))  # not the numbers that x may hold
    dy_before = dy.copy()
    gradients = f_backward(dy, cache)
    gradients = list(gradients) if isinstance(gradients, tuple | list) else [gradients]
    _refuse_change(_name(f_backward), ["dy", *names], [dy_before, *before], [dy, *args])
    if any(gradient is not None for gradient in gradients[len(args) :]):  # None belongs to an argument left out
        raise ValueError(
            f"{_name(f_backward)} must return one gradient for each of {len(args)} arrays; got {len(gradients)}"
        )
    gradients += [None] * (len(args) - len(gradients))

    rows = []
    for i, (name, gradient) in enumerate(zip(names, gradients, strict=False)):
        if _differentiable(args[i]):
            numeric = _numeric_gradient(f, args, i, dy, step)
            rows.append(_compare(name, gradient, numeric, tolerance, floor=rounding(dy, y, step) / tolerance))
        elif gradient is not None:
            rows.append(ArgumentReport(name, False, np.inf, problem=f"expected None for a {_kind(arrays[i])}"))
    return GradientReport(title, tuple(rows), tolerance)


def _run(f, args):
    """y and the cache."""
    result = f(*args)
    if not isinstance(result, tuple) or len(result) != 2:
        raise ValueError(f"{_name(f)} must return y, cache; got {type(result).__name__}: `return y, cache`")
    return result


def _numeric_gradient(f, args, i, dy, step):
    """d(sum(dy * y)) / d(args[i]) by central differences, of the shape of args[i]."""
    numeric, x = np.empty(args[i].shape), args[i]
    for index in np.ndindex(x.shape):
        middle = x[index]
        x[index] = middle + step
        above = np.array(f(*args)[0])
        x[index] = middle - step
        below = np.array(f(*args)[0])
        x[index] = middle
        numeric[index] = np.sum(dy * (above - below)) / (2 * step)
    return numeric


def _compare(name, gradient, numeric, tolerance, floor):
    if gradient is None or np.shape(gradient) != numeric.shape:
        came = "no gradient" if gradient is None else f"shape {np.shape(gradient)}"
        return ArgumentReport(name, False, np.inf, problem=f"expected shape {numeric.shape}, got {came}")
    if numeric.size == 0:
        return ArgumentReport(name, True, 0.0, ())
    error = relative_error(gradient, numeric, floor)
    worst = tuple(int(i) for i in np.unravel_index(error.argmax(), error.shape))
    analytic = float(np.asarray(gradient)[worst])
    return ArgumentReport(
        name, bool(error[worst] <= tolerance), float(error[worst]), worst, analytic, float(numeric[worst])
    )


def _refuse_state(f, args, y):
    again = f(*args)[0]
    if np.shape(again) != np.shape(y) or not np.array_equal(again, y, equal_nan=True):
        raise ValueError(
            f"{_name(f)} gave two answers to the same arrays, so differences of it mean nothing: "
            "make its randomness and its mode arguments (dropout takes its mask)"
        )


def _refuse_change(title, names, before, after):
    for name, old, new in zip(names, before, after, strict=True):
        if isinstance(old, np.ndarray) and not np.array_equal(old, new, equal_nan=old.dtype.kind == "f"):
            raise ValueError(f"{title} changed {name} in place: work on a copy, others still need it")


def _as_float64(array):
    is_float = isinstance(array, np.ndarray) and array.dtype.kind == "f"
    return np.array(array, np.float64) if is_float else _copy(array)


def _copy(array):
    return array.copy() if isinstance(array, np.ndarray) else array


def _differentiable(array):
    return isinstance(array, np.ndarray) and array.dtype.kind == "f"


def _kind(array):
    return f"{array.dtype} array" if isinstance(array, np.ndarray) else type(array).__name__


def _name(f):
    while isinstance(f, functools.partial):
        f = f.func
    return getattr(f, "__name__", type(f).__name__)


def _argument_names(f, count):
    """The names of f's positional arguments, or argument0, argument1, ..."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names[:count] + [f"argument{i}" for i in range(len(names), count)]
