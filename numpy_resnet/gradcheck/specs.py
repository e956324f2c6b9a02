"""What the doctor knows of each op: awkward inputs, its definition, the paths of its gradient, and what goes wrong."""

from dataclasses import dataclass

from numpy_resnet import reference
from numpy_resnet.gradcheck import awkward, blocks, paths, suspects


@dataclass(frozen=True)
class Spec:
    """An op, as the doctor sees it."""

    cases: callable  # rng -> list of Case, the easiest first
    definition: callable  # (*arrays, **options) -> y, by reference.py
    paths: callable = None  # (dy, case) -> {argument: {name of the path: its share of the gradient}}
    suspects: callable = None  # (dy, case) -> (code, words, {argument: gradient}) of formulas taken for the right one
    ties: callable = None  # rng -> list of Case where the gradient is a convention, see `definition_backward`
    definition_backward: callable = None  # (dy, *arrays, **options) -> gradients


TRANSPOSES = {"im2col": "col2im", "col2im": "im2col"}


def _normalized_relu(x, weight, bias, *shortcut, **options):
    return reference.relu(sum(shortcut, reference.batchnorm2d(x, weight, bias, **options)))


def _pair(name):
    return getattr(reference, name), getattr(reference, f"{name}_backward", None)


def _spec(name, cases, **more):
    f, f_backward = _pair(name)
    return Spec(cases, f, definition_backward=f_backward, **more)


SPECS = {
    "relu": _spec("relu", awkward.elementwise, ties=awkward.relu_at_zero, suspects=suspects.relu),
    "add": _spec("add", awkward.add, paths=paths.add, suspects=suspects.add),
    "linear": _spec("linear", awkward.linear),
    "conv2d": _spec("conv2d", awkward.conv2d, suspects=suspects.conv2d),
    "im2col": _spec("im2col", awkward.im2col),
    "col2im": _spec("col2im", awkward.col2im),
    "maxpool2d": _spec("maxpool2d", awkward.pool, ties=awkward.maxpool_ties, suspects=suspects.maxpool2d),
    "avgpool2d": _spec("avgpool2d", awkward.pool, suspects=suspects.avgpool2d),
    "global_avgpool2d": _spec("global_avgpool2d", awkward.images),
    "batchnorm2d": _spec("batchnorm2d", awkward.batchnorm2d, paths=paths.batchnorm2d, suspects=suspects.batchnorm2d),
    "batchnorm2d_inference": _spec(
        "batchnorm2d_inference", awkward.batchnorm2d_inference, suspects=suspects.batchnorm2d
    ),
    "batchnorm2d_relu": Spec(awkward.batchnorm2d_relu, _normalized_relu),
    "batchnorm2d_add_relu": Spec(awkward.batchnorm2d_add_relu, _normalized_relu),
    "softmax": _spec("softmax", awkward.logits, paths=paths.softmax, suspects=suspects.softmax),
    "log_softmax": _spec("log_softmax", awkward.logits, paths=paths.log_softmax, suspects=suspects.log_softmax),
    "cross_entropy": _spec(
        "cross_entropy", awkward.cross_entropy, paths=paths.cross_entropy, suspects=suspects.cross_entropy
    ),
    "dropout": _spec("dropout", awkward.dropout),
    "flatten": _spec("flatten", awkward.images),
    "identity_block": Spec(awkward.identity_block, blocks.identity_block, blocks.paths, blocks.suspects),
    "convolution_block": Spec(awkward.convolution_block, blocks.convolution_block, blocks.paths, blocks.suspects),
    "zero_pad_channels": _spec("zero_pad_channels", awkward.zero_pad_channels),
}


def backward_name(op):
    """relu_backward for relu; im2col and col2im are each other's backward."""
    return TRANSPOSES.get(op, f"{op}_backward")


def op_pair(op, names):
    """f and f_backward as diagnose_op wants them, from a dict of functions: im2col and col2im return bare arrays."""
    f, f_backward = names[op], names[backward_name(op)]
    if op == "im2col":
        return (
            lambda x, **window: (f(x, **window), (x.shape[2:], window)),
            lambda dcols, cache: f_backward(dcols, size=cache[0], **cache[1]),
        )
    if op == "col2im":
        return (
            lambda cols, *, size, **window: (f(cols, size=size, **window), window),
            lambda dx, window: f_backward(dx, **window),
        )
    return f, f_backward
