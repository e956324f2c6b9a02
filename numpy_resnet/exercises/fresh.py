"""Inputs that nobody has seen: shapes and values from a seed, for every op that is an exercise."""

import numpy as np

from numpy_resnet import reference
from numpy_resnet.gradcheck import Case, apart, blocks

IMAGES = "N C H W"


def fresh_cases(op, seed, count=2):
    """`count` Cases for this op, other ones for each seed."""
    rng = np.random.default_rng([seed, *op.encode()])
    return [CASES[op](rng, f"fresh shapes {i + 1}") for i in range(count)]


def _window(rng, most=3):
    """kernel_size, stride and padding, each a pair; the size of an image that they fit into."""
    kernel, stride = rng.integers(1, most + 1, 2), rng.integers(1, 4, 2)
    padding = rng.integers(0, kernel // 2 + 1)
    size = kernel + rng.integers(0, 4, 2)
    options = {"stride": _pair(stride), "padding": _pair(padding)}
    return _pair(kernel), _pair(size), options


def _pair(numbers):
    return int(numbers[0]), int(numbers[1])


def _sizes(rng, *most):
    return [int(rng.integers(1, m + 1)) for m in most]


def _images(rng, most=4):
    return _sizes(rng, 3, 3, most, most)


def _signed(rng, n):
    return rng.uniform(0.4, 2.2, n) * rng.choice([-1, 1], n)


def _elementwise(*names):
    def case(rng, label):
        shape = _images(rng)
        return Case(label, {name: apart(rng, *shape) for name in names}, axes=dict.fromkeys(names, IMAGES))

    return case


def _linear(rng, label):
    N, IN, OUT = _sizes(rng, 4, 5, 5)
    arrays = {"x": apart(rng, N, IN), "weight": apart(rng, OUT, IN), "bias": apart(rng, OUT)}
    return Case(label, arrays, axes={"x": "N IN", "weight": "OUT IN", "bias": "OUT"})


def _logits(rng, label):
    N, C = int(rng.integers(1, 5)), int(rng.integers(2, 6))
    return Case(label, {"x": 2 * apart(rng, N, C)}, axes={"x": "N C"})


def _cross_entropy(rng, label):
    N, C = int(rng.integers(1, 5)), int(rng.integers(2, 6))
    options = {"class_weight": rng.uniform(0.3, 3, C), "label_smoothing": float(rng.uniform(0, 0.4))}
    options = {name: value for name, value in options.items() if rng.random() < 0.5}
    arrays = {"logits": 2 * apart(rng, N, C), "labels": rng.integers(0, C, N)}
    return Case(label, arrays, options, {"logits": "N C", "labels": "N"})


def _conv2d(rng, label):
    (KH, KW), size, options = _window(rng)
    N, C, OC = _sizes(rng, 2, 3, 3)
    arrays = {"x": apart(rng, N, C, *size), "weight": apart(rng, OC, C, KH, KW), "bias": apart(rng, OC)}
    return Case(label, arrays, options, {"x": IMAGES, "weight": "OC C KH KW", "bias": "OC"})


def _windows(rng, label):
    kernel, size, options = _window(rng)
    N, C = _sizes(rng, 2, 3)
    return Case(label, {"x": apart(rng, N, C, *size)}, {"kernel_size": kernel, **options}, {"x": IMAGES})


def _col2im(rng, label):
    case = _windows(rng, label)
    cols = reference.im2col(case.arrays["x"], **case.options)
    return Case(label, {"cols": apart(rng, *cols.shape)}, {"size": case.arrays["x"].shape[2:], **case.options})


def _batchnorm(rng, label):
    N, C, H, W = _images(rng)
    x = rng.standard_normal((N + 1, C, H, W)) * rng.uniform(0.5, 2, (C, 1, 1)) + rng.uniform(-2, 2, (C, 1, 1))
    axes = {"x": IMAGES, "weight": "C", "bias": "C"}
    return Case(label, {"x": x, "weight": _signed(rng, C), "bias": _signed(rng, C)}, axes=axes)


def _inference(rng, label):
    case = _batchnorm(rng, label)
    C = len(case.arrays["weight"])
    arrays = {**case.arrays, "running_mean": rng.standard_normal(C), "running_var": rng.uniform(0.3, 3, C)}
    axes = {**case.axes, "running_mean": "C", "running_var": "C"}
    return Case(label, arrays, axes=axes, constants=("running_mean", "running_var"))


def _dropout(rng, label):
    shape = _images(rng)
    arrays = {"x": apart(rng, *shape), "keep": rng.random(shape) < 0.6}
    return Case(label, arrays, {"p": float(rng.uniform(0.1, 0.8))}, dict.fromkeys(("x", "keep"), IMAGES))


def _block(projected):
    def case(rng, label):
        N, C, H, W = int(rng.integers(1, 3)), *_sizes(rng, 2), int(rng.integers(3, 5)), int(rng.integers(3, 5))
        OC = int(rng.integers(1, 4)) if projected else C
        shapes = blocks.shapes(N, C, H, W, OC, projected=projected)
        arrays = {n: _signed(rng, *s) if "bn" in n else rng.standard_normal(s) for n, s in shapes.items()}
        options = {"stride": int(rng.integers(1, 3))} if projected else {}
        return Case(label, arrays, options, {n: blocks.AXES[n] for n in arrays})

    return case


CASES = {
    "relu": _elementwise("x"),
    "add": _elementwise("a", "b"),
    "global_avgpool2d": _elementwise("x"),
    "linear": _linear,
    "softmax": _logits,
    "log_softmax": _logits,
    "cross_entropy": _cross_entropy,
    "im2col": _windows,
    "col2im": _col2im,
    "conv2d": _conv2d,
    "maxpool2d": _windows,
    "batchnorm2d": _batchnorm,
    "batchnorm2d_inference": _inference,
    "dropout": _dropout,
    "identity_block": _block(projected=False),
    "convolution_block": _block(projected=True),
}
