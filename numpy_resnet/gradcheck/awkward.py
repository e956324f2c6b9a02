"""Awkward inputs for every op: overlap, padding, a stride with remainder, H and W that differ, one sample, ties.

Each function takes a random generator and returns cases, the easiest first.
"""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from numpy_resnet import reference
from numpy_resnet.gradcheck import blocks


@dataclass(frozen=True)
class Case:
    """One call: f(*arrays.values(), **options)."""

    label: str
    arrays: dict  # by the name of the argument, in its order; None for one that is left out
    options: dict = field(default_factory=dict)
    axes: dict = field(default_factory=dict)  # name: "N C H W", so that a case can be made smaller
    constants: tuple = ()  # names of float arrays that have no gradient

    def differentiable(self):
        """The names of the arrays that must get a gradient."""
        return [n for n, a in self.arrays.items() if is_float(a) and n not in self.constants]

    def with_arrays(self, **arrays):
        return replace(self, arrays={**self.arrays, **arrays})

    def copies(self):
        return [a.copy() if isinstance(a, np.ndarray) else a for a in self.arrays.values()]


def is_float(array):
    return isinstance(array, np.ndarray) and array.dtype.kind == "f"


def apart(rng, *shape):
    """Random numbers that keep away from each other and from zero, so that no kink is near."""
    size = int(np.prod(shape))
    return ((rng.permutation(size) - (size - 1) / 2 + 0.25) * (4 / max(1, size))).reshape(shape)


def _case(rng, label, options=None, axes=None, constants=(), **shapes):
    """A Case from shapes, or from arrays that are there."""
    arrays = {n: apart(rng, *s) if isinstance(s, tuple) else s for n, s in shapes.items()}
    return Case(label, arrays, options or {}, axes or {}, constants)


CONV = {"x": "N C H W", "weight": "OC C KH KW", "bias": "OC"}


def conv2d(rng):
    case = partial(_case, rng, axes=CONV)
    return [
        case("windows that overlap", x=(1, 2, 4, 4), weight=(2, 2, 2, 2), bias=(2,)),
        case("padding, as many channels in as out", {"padding": 1}, x=(2, 3, 3, 4), weight=(3, 3, 3, 3), bias=None),
        case(
            "stride with remainder, padding, H and W that differ",
            {"stride": 2, "padding": (1, 0)},
            x=(2, 3, 6, 5),
            weight=(4, 3, 3, 2),
            bias=(4,),
        ),
        case("1x1, two strides", {"stride": (2, 3)}, x=(3, 2, 4, 5), weight=(3, 2, 1, 1), bias=(3,)),
        case("strides and kernel that all differ", {"stride": (3, 2)}, x=(1, 1, 5, 8), weight=(2, 1, 2, 3), bias=(2,)),
        case("1x1, one filter", x=(2, 3, 2, 4), weight=(1, 3, 1, 1), bias=(1,)),
        case("two paddings", {"stride": (1, 2), "padding": (2, 1)}, x=(1, 1, 3, 5), weight=(2, 1, 3, 3), bias=(2,)),
    ]


def linear(rng):
    case = partial(_case, rng, axes={"x": "N IN", "weight": "OUT IN", "bias": "OUT"})
    return [
        case("as many in as out", x=(2, 3), weight=(3, 3), bias=(3,)),
        case("more in than out", x=(4, 5), weight=(2, 5), bias=(2,)),
        case("more out than in, no bias", x=(3, 2), weight=(4, 2), bias=None),
        case("a square batch", x=(3, 3), weight=(3, 3), bias=(3,)),
        case("one sample", x=(1, 4), weight=(3, 4), bias=(3,)),
    ]


def elementwise(rng):
    return [
        _case(rng, "images", x=(2, 3, 3, 4), axes={"x": "N C H W"}),
        _case(rng, "one sample", x=(1, 2, 5, 2), axes={"x": "N C H W"}),
        _case(rng, "a matrix", x=(4, 5), axes={"x": "N C"}),
    ]


def relu_at_zero(rng):
    return [_case(rng, "zeros among the inputs", x=rng.integers(-1, 2, (2, 2, 3, 4)).astype(float))]


def add(rng):
    axes = {"a": "N C H W", "b": "N C H W"}
    return [
        _case(rng, "images", a=(2, 3, 3, 4), b=(2, 3, 3, 4), axes=axes),
        _case(rng, "one sample", a=(1, 2, 5, 2), b=(1, 2, 5, 2), axes=axes),
    ]


def pool(rng):
    case = partial(_case, rng, axes={"x": "N C H W"})
    return [
        case("windows side by side", {"kernel_size": 2}, x=(1, 2, 4, 4)),
        case("windows that overlap", {"kernel_size": 2, "stride": 1}, x=(2, 2, 3, 4)),
        case(
            "stride with remainder, padding, H and W that differ",
            {"kernel_size": (3, 2), "stride": 2, "padding": (1, 0)},
            x=(2, 3, 6, 5),
        ),
        case("stride smaller than the kernel", {"kernel_size": (2, 3), "stride": (1, 2)}, x=(1, 3, 4, 5)),
        case(
            "negative, with padding", {"kernel_size": 3, "stride": 2, "padding": 1}, x=-np.abs(apart(rng, 2, 2, 5, 4))
        ),
    ]


def maxpool_ties(rng):
    x = rng.integers(0, 2, (2, 2, 5, 4)).astype(float)
    return [
        Case("ties in windows", {"x": x}, {"kernel_size": 2, "stride": 2}),
        Case("ties, overlap and padding", {"x": x}, {"kernel_size": 3, "stride": 2, "padding": 1}),
    ]


def images(rng):
    return [
        _case(rng, "images", x=(2, 3, 3, 4), axes={"x": "N C H W"}),
        _case(rng, "one sample", x=(1, 2, 5, 2), axes={"x": "N C H W"}),
        _case(rng, "as many channels as samples", x=(3, 3, 2, 3), axes={"x": "N C H W"}),
    ]


NORM = {"x": "N C H W", "weight": "C", "bias": "C", "running_mean": "C", "running_var": "C"}


def batchnorm2d(rng):
    def case(label, N, C, H, W, scale=1.0, **options):
        x = rng.standard_normal((N, C, H, W)) * scale * rng.uniform(0.5, 2, (C, 1, 1)) + rng.uniform(-2, 2, (C, 1, 1))
        return Case(label, {"x": x, "weight": _signed(rng, C), "bias": _signed(rng, C)}, options, NORM)

    return [
        case("every parameter random", 2, 3, 2, 3),
        case("one sample", 1, 2, 3, 4),
        case("tiny variance", 3, 2, 2, 2, scale=3e-3),
        case("large eps", 4, 3, 1, 2, eps=0.5),
        _dead_channel(case("a channel of zeros", 2, 2, 2, 3)),
    ]


def batchnorm2d_relu(rng):
    return [c for c in batchnorm2d(rng) if c.label != "a channel of zeros"]


def batchnorm2d_add_relu(rng):
    cases = batchnorm2d_relu(rng)
    shortcuts = [apart(rng, *c.arrays["x"].shape) for c in cases]
    axes = {**NORM, "shortcut": "N C H W"}
    return [replace(c.with_arrays(shortcut=s), axes=axes) for c, s in zip(cases, shortcuts, strict=True)]


def _dead_channel(case):
    x = case.arrays["x"].copy()
    x[:, 1] = 0
    return case.with_arrays(x=x)


def batchnorm2d_inference(rng):
    def case(label, N, C, H, W, scale=1.0, **options):
        vectors = {"weight": _signed(rng, C), "bias": _signed(rng, C), "running_mean": rng.standard_normal(C)}
        arrays = {"x": rng.standard_normal((N, C, H, W)), **vectors, "running_var": rng.uniform(0.3, 3, C) * scale}
        return Case(label, arrays, options, NORM, ("running_mean", "running_var"))

    return [
        case("every parameter random", 2, 3, 2, 3),
        case("one sample, one pixel", 1, 2, 1, 1),
        case("tiny variance", 3, 2, 2, 2, scale=1e-5),
    ]


def _signed(rng, n):
    """Parameters as training leaves them: far from one and from zero, of both signs."""
    return rng.uniform(0.4, 2.2, n) * np.where(np.arange(n) % 2, -1, 1)


def logits(rng):
    axes = {"x": "N C"}
    return [
        _case(rng, "several rows", x=2 * apart(rng, 3, 4), axes=axes),
        _case(rng, "one row", x=apart(rng, 1, 5), axes=axes),
        _case(rng, "square", x=apart(rng, 3, 3), axes=axes),
        _case(rng, "large logits", x=np.array([[1000.0, 1000.5, 999.0], [-1000, -999.5, -1000.25]]), axes=axes),
        _case(rng, "logits far apart", x=np.array([[800.0, -3, 1], [-900, 2, 1]]), axes=axes),
    ]


def cross_entropy(rng):
    def case(label, logits, labels, **options):
        return Case(label, {"logits": logits, "labels": np.array(labels)}, options, {"logits": "N C", "labels": "N"})

    weight = rng.uniform(0.3, 3, 4)
    return [
        case("several rows", 2 * apart(rng, 3, 4), [1, 3, 1]),
        case("as many classes as rows", apart(rng, 3, 3), [2, 0, 1]),
        case("one row", apart(rng, 1, 5), [2]),
        case("large logits", np.array([[1000.0, 1000.5, 999.0], [-1000, -999.5, -1000.25]]), [0, 2]),
        case("logits far apart", np.array([[800.0, -3, 1], [-900, 2, 1]]), [1, 0]),
        case("class weights", apart(rng, 3, 4), [0, 3, 2], class_weight=weight),
        case("label smoothing", apart(rng, 2, 4), [0, 2], label_smoothing=0.2),
        case("both", apart(rng, 3, 4), [0, 3, 3], class_weight=weight, label_smoothing=0.3),
    ]


def dropout(rng):
    def case(label, p, *shape):
        keep = rng.permutation(np.arange(int(np.prod(shape))) % 3 > 0).reshape(shape)
        axes = "N C H W" if len(shape) == 4 else "N C"
        return Case(label, {"x": apart(rng, *shape), "keep": keep}, {"p": p}, {"x": axes, "keep": axes})

    zeros = case("zeros among the inputs", 0.5, 2, 2, 3, 2)
    zeros = zeros.with_arrays(x=np.maximum(zeros.arrays["x"], 0))
    return [case("images", 0.3, 2, 3, 2, 3), case("a matrix", 0.8, 3, 4), case("nothing scaled", 0.0, 2, 5), zeros]


def im2col(rng):
    case = partial(_case, rng, axes={"x": "N C H W"})
    return [
        case("windows that overlap", {"kernel_size": 2}, x=(1, 2, 3, 4)),
        case("stride with remainder, padding", {"kernel_size": (3, 2), "stride": 2, "padding": (1, 0)}, x=(2, 2, 6, 5)),
        case("two strides", {"kernel_size": (2, 3), "stride": (3, 1), "padding": (0, 1)}, x=(1, 3, 5, 4)),
        case("two paddings", {"kernel_size": (3, 2), "padding": (2, 1)}, x=(1, 1, 3, 2)),
        case("1x1: every pixel a window", {"kernel_size": 1}, x=(2, 3, 2, 4)),
        case("1x1, stride", {"kernel_size": 1, "stride": (1, 2)}, x=(1, 2, 3, 4)),
        case("1x1, the other stride", {"kernel_size": 1, "stride": (2, 1)}, x=(1, 2, 3, 4)),
        case("1x1, padding", {"kernel_size": 1, "padding": (1, 0)}, x=(1, 2, 3, 2)),
        case("1x1, the other padding", {"kernel_size": 1, "padding": (0, 1)}, x=(1, 2, 3, 2)),
        case("a row", {"kernel_size": (1, 2)}, x=(1, 2, 1, 3)),
        case("a column", {"kernel_size": (2, 1)}, x=(1, 2, 3, 1)),
    ]


def col2im(rng):
    def columns(case):
        cols = reference.im2col(case.arrays["x"], **case.options)
        return Case(case.label, {"cols": apart(rng, *cols.shape)}, {"size": case.arrays["x"].shape[2:], **case.options})

    return [columns(case) for case in im2col(rng)]


def zero_pad_channels(rng):
    case = partial(_case, rng, axes={"x": "N C H W"})
    return [
        case("two more channels", {"channels": 4, "stride": 1}, x=(1, 2, 3, 4)),
        case("stride with remainder", {"channels": 6, "stride": 2}, x=(2, 3, 5, 4)),
        case("an odd number more, two strides", {"channels": 5, "stride": (2, 3)}, x=(2, 2, 4, 5)),
        case("the larger stride first", {"channels": 2, "stride": (3, 1)}, x=(1, 2, 5, 2)),
    ]


def _blocks(rng, sizes, projected, **options):
    """Every parameter random: gamma far from one, so that no path is the copy of another."""

    def case(label, *size):
        arrays = {n: rng.standard_normal(shape) for n, shape in blocks.shapes(*size, projected=projected).items()}
        arrays |= {n: _signed(rng, len(a)) for n, a in arrays.items() if "bn" in n}
        return Case(label, arrays, options, {n: blocks.AXES[n] for n in arrays})

    return [case(*size) for size in sizes]


def identity_block(rng):
    return _blocks(rng, [("two channels", 2, 2, 3, 4, 2), ("one sample", 1, 1, 4, 3, 1)], projected=False)


def convolution_block(rng):
    sizes = [("more channels, stride with remainder", 2, 2, 4, 3, 3), ("one channel", 2, 1, 3, 4, 1)]
    return _blocks(rng, sizes, projected=True, stride=2)
