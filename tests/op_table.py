"""Random examples of every op, for what must hold for all of them. Each draws its shapes with hypothesis."""

from functools import partial
from typing import NamedTuple

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from numpy_resnet import ops, reference


class Example(NamedTuple):
    f: callable
    f_backward: callable
    definition: callable  # the same in loops
    arrays: tuple


def numbers(rng, *shape):
    """Random numbers that keep away from each other and from zero: no kink of ReLU or max pooling is near."""
    size = int(np.prod(shape))
    return ((rng.permutation(size) - (size - 1) / 2 + 0.25) * (4 / max(1, size))).reshape(shape)


SIZES = st.integers(1, 7)
RNGS = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@st.composite
def windows(draw, pool=False):
    """(H, W) and options of a window that fits: overlap, gaps, padding, a stride with remainder, pairs or numbers."""
    size = draw(st.tuples(SIZES, SIZES))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3))))
    most = [k // 2 if pool else 2 for k in kernel]
    padding = tuple(draw(st.integers(0, m)) for m in most)
    kernel = tuple(min(k, s + 2 * p) for k, s, p in zip(kernel, size, padding, strict=True))
    if pool:
        padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True))
        kernel = tuple(min(k, s + 2 * p) for k, s, p in zip(kernel, size, padding, strict=True))
        padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True))
    return size, kernel, {"stride": stride, "padding": padding}


@st.composite
def images(draw, size=None, min_batch=1):
    size = size or draw(st.tuples(SIZES, SIZES))
    shape = (draw(st.integers(min_batch, 3)), draw(st.integers(1, 4)), *size)
    return numbers(draw(RNGS), *shape)


@st.composite
def conv2d(draw):
    size, kernel, options = draw(windows())
    x, rng = draw(images(size)), draw(RNGS)
    weight = numbers(rng, draw(st.integers(1, 5)), x.shape[1], *kernel)
    bias = numbers(rng, len(weight)) if draw(st.booleans()) else None
    return Example(
        partial(ops.conv2d, **options), ops.conv2d_backward, partial(reference.conv2d, **options), (x, weight, bias)
    )


def _pool(name):
    @st.composite
    def pool(draw):
        size, kernel, options = draw(windows(pool=True))
        if draw(st.booleans()):
            options["stride"] = None  # the kernel's
        options["kernel_size"] = kernel
        f, f_backward, definition = getattr(ops, name), getattr(ops, f"{name}_backward"), getattr(reference, name)
        return Example(partial(f, **options), f_backward, partial(definition, **options), (draw(images(size)),))

    return pool


@st.composite
def batchnorm2d(draw):
    x, rng = draw(images(min_batch=2)), draw(RNGS)
    C = x.shape[1]
    x = x * rng.uniform(0.1, 3) + rng.uniform(-2, 2)
    arrays = (x, rng.uniform(0.5, 2, C), numbers(rng, C))
    return Example(ops.batchnorm2d, ops.batchnorm2d_backward, reference.batchnorm2d, arrays)


@st.composite
def batchnorm2d_inference(draw):
    x, rng = draw(images()), draw(RNGS)
    C = x.shape[1]
    running = {"running_mean": numbers(rng, C), "running_var": rng.uniform(0.1, 2, C)}
    f, definition = (partial(module.batchnorm2d_inference, **running) for module in (ops, reference))
    return Example(f, ops.batchnorm2d_inference_backward, definition, (x, numbers(rng, C), numbers(rng, C)))


@st.composite
def im2col(draw):
    """With col2im as its backward."""
    size, kernel, options = draw(windows())
    options["kernel_size"] = kernel
    f, f_backward = im2col_op(options)
    return Example(f, f_backward, partial(reference.im2col, **options), (draw(images(size)),))


@st.composite
def col2im(draw):
    """With im2col as its backward."""
    size, kernel, options = draw(windows())
    x = draw(images(size))
    cols = reference.im2col(x, kernel_size=kernel, **options)
    options |= {"kernel_size": kernel, "size": size}
    f, f_backward = col2im_op(options)
    return Example(f, f_backward, partial(reference.col2im, **options), (numbers(draw(RNGS), *cols.shape),))


def im2col_op(options):
    return (
        lambda x: (ops.im2col(x, **options), x.shape[2:]),
        lambda dcols, size: ops.col2im(dcols, size=size, **options),
    )


def col2im_op(options):
    window = {name: value for name, value in options.items() if name != "size"}
    return lambda cols: (ops.col2im(cols, **options), None), lambda dx, _: ops.im2col(dx, **window)


@st.composite
def zero_pad_channels(draw):
    x = draw(images())
    stride = draw(st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3))))
    options = {"channels": x.shape[1] + draw(st.integers(0, 4)), "stride": stride}
    f, f_backward, definition = ops.zero_pad_channels, ops.zero_pad_channels_backward, reference.zero_pad_channels
    return Example(partial(f, **options), f_backward, partial(definition, **options), (x,))


def _of_images(name):
    f, f_backward, definition = getattr(ops, name), getattr(ops, f"{name}_backward"), getattr(reference, name)
    return lambda: images().map(lambda x: Example(f, f_backward, definition, (x,)))


@st.composite
def add(draw):
    a = draw(images())
    return Example(ops.add, ops.add_backward, reference.add, (a, numbers(draw(RNGS), *a.shape)))


@st.composite
def linear(draw):
    N, IN, OUT = draw(st.integers(1, 6)), draw(SIZES), draw(SIZES)
    rng = draw(RNGS)
    bias = numbers(rng, OUT) if draw(st.booleans()) else None
    return Example(
        ops.linear, ops.linear_backward, reference.linear, (numbers(rng, N, IN), numbers(rng, OUT, IN), bias)
    )


@st.composite
def dropout(draw):
    x, p = draw(images()), draw(st.floats(0, 0.9))
    keep = draw(RNGS).random(x.shape) >= p
    return Example(partial(ops.dropout, p=p), ops.dropout_backward, partial(reference.dropout, p=p), (x, keep))


def _of_logits(name):
    @st.composite
    def softmax(draw):
        x = numbers(draw(RNGS), draw(st.integers(1, 5)), draw(st.integers(1, 6)))
        return Example(getattr(ops, name), getattr(ops, f"{name}_backward"), getattr(reference, name), (x,))

    return softmax


@st.composite
def cross_entropy(draw):
    N, C, rng = draw(st.integers(1, 5)), draw(st.integers(1, 6)), draw(RNGS)
    options = {"label_smoothing": draw(st.sampled_from([0.0, 0.1, 0.7])), "labels": rng.integers(0, C, N)}
    options["class_weight"] = draw(st.sampled_from([None, rng.uniform(0.2, 3, C)]))
    return Example(
        partial(ops.cross_entropy, **options),
        ops.cross_entropy_backward,
        partial(reference.cross_entropy, **options),
        (numbers(rng, N, C),),
    )


def _fused(name, shortcut):
    """Away from the kink of ReLU; the definition is the composition of definitions."""

    @st.composite
    def fused(draw):
        example = draw(batchnorm2d())
        x, weight, bias = example.arrays
        more = (numbers(draw(RNGS), *x.shape),) if shortcut else ()

        def definition(x, weight, bias, *more):
            h = reference.batchnorm2d(x, weight, bias)
            return reference.relu(reference.add(h, *more) if more else h)

        f = getattr(ops, name)
        h = example.definition(x, weight, bias) + sum(more)
        assume(np.abs(h).min() > 1e-4)
        return Example(f, getattr(ops, f"{name}_backward"), definition, (x, weight, bias, *more))

    return fused


OPS = {
    "add": add,
    "avgpool2d": _pool("avgpool2d"),
    "col2im": col2im,
    "batchnorm2d": batchnorm2d,
    "batchnorm2d_add_relu": _fused("batchnorm2d_add_relu", shortcut=True),
    "batchnorm2d_relu": _fused("batchnorm2d_relu", shortcut=False),
    "batchnorm2d_inference": batchnorm2d_inference,
    "conv2d": conv2d,
    "cross_entropy": cross_entropy,
    "dropout": dropout,
    "flatten": _of_images("flatten"),
    "global_avgpool2d": _of_images("global_avgpool2d"),
    "im2col": im2col,
    "linear": linear,
    "log_softmax": _of_logits("log_softmax"),
    "maxpool2d": _pool("maxpool2d"),
    "relu": _of_images("relu"),
    "softmax": _of_logits("softmax"),
    "zero_pad_channels": zero_pad_channels,
}
