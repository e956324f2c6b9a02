"""Bad arguments are refused, with what was expected, what came and what to do."""

import numpy as np
import pytest

from numpy_resnet import ops

RNG = np.random.default_rng(5)
X = RNG.standard_normal((2, 3, 6, 5))
WEIGHT = RNG.standard_normal((4, 3, 3, 3))
BIAS = RNG.standard_normal(4)
VECTOR = RNG.uniform(1, 2, 3)
LOGITS = RNG.standard_normal((4, 5))
LABELS = np.array([0, 1, 4, 2])
KEEP = np.ones(X.shape, bool)


def conv(x=X, weight=WEIGHT, bias=BIAS, **options):
    return ops.conv2d(x, weight, bias, **options)


REFUSED = {
    # wrong rank, channels, shapes that only broadcasting would fit
    "conv rank": (lambda: conv(X[0]), ValueError, r"x must be \(N, C, H, W\).*\(3, 6, 5\)"),
    "conv channels": (lambda: conv(X[:, :2]), ValueError, "x must have 3 channels.*got x of shape"),
    "conv weight rank": (lambda: conv(weight=WEIGHT[0]), ValueError, "weight must be"),
    "conv bias": (lambda: conv(bias=BIAS[:1]), ValueError, r"bias must have shape \(4,\).*nothing is broadcast"),
    "conv no filters": (lambda: conv(weight=WEIGHT[:0], bias=None), ValueError, "at least one output channel"),
    "empty image": (lambda: conv(X[..., :0]), ValueError, "must not be empty"),
    "no channels": (lambda: ops.relu and ops.maxpool2d(X[:, :0], kernel_size=1), ValueError, "must not be empty"),
    # windows
    "kernel too large": (lambda: conv(X[..., :2, :2]), ValueError, "must fit into the padded input"),
    "negative padding": (lambda: conv(padding=-1), ValueError, "padding must be at least 0; got -1"),
    "fractional padding": (lambda: conv(padding=0.5), TypeError, "padding must be an integer; got 0.5"),
    "zero stride": (lambda: conv(stride=0), ValueError, "stride must be at least 1; got 0"),
    "bool stride": (lambda: conv(stride=True), TypeError, "stride must be an integer"),
    "three strides": (lambda: conv(stride=(1, 1, 1)), ValueError, r"one integer or \(height, width\)"),
    "pool padding": (
        lambda: ops.maxpool2d(X, kernel_size=3, padding=2),
        ValueError,
        "padding must be at most half of kernel_size",
    ),
    "average padding": (lambda: ops.avgpool2d(X, kernel_size=(2, 1), padding=1), ValueError, "at most half"),
    "kernel zero": (lambda: ops.avgpool2d(X, kernel_size=0), ValueError, "kernel_size must be at least 1"),
    "im2col kernel": (lambda: ops.im2col(X, kernel_size=9), ValueError, "must fit into the padded input"),
    "col2im columns": (
        lambda: ops.col2im(X[0], size=(6, 5), kernel_size=3),
        ValueError,
        r"cols must be \(N, C\*9, 12\)",
    ),
    "fewer channels": (
        lambda: ops.zero_pad_channels(X, channels=2, stride=1),
        ValueError,
        "channels must be at least 3",
    ),
    # kinds of array
    "list": (lambda: ops.relu([1.0, 2.0]), TypeError, "x must be a NumPy array; got list.*np.array"),
    "integers": (lambda: ops.relu(np.arange(4)), TypeError, "must be float32 or float64; got int64.*astype"),
    "None": (lambda: ops.relu(None), TypeError, "x must be a NumPy array; got NoneType"),
    "no weight": (lambda: ops.conv2d(X, None), TypeError, "weight must be a NumPy array; got NoneType"),
    "no scale": (lambda: ops.batchnorm2d(X, None, VECTOR), TypeError, "weight must be a NumPy array; got NoneType"),
    "masked": (lambda: ops.relu(np.ma.array(X)), TypeError, "x must be a NumPy array; got MaskedArray"),
    "huge stride": (lambda: conv(stride=10**30), ValueError, r"stride must be less than 2\*\*31; got 10{30}"),
    "objects": (lambda: ops.relu(np.array([1.0, None])), TypeError, "must be float32 or float64; got object"),
    "half": (lambda: ops.relu(X.astype(np.float16)), TypeError, "must be float32 or float64; got float16"),
    "big-endian": (lambda: ops.relu(X.astype(">f8")), TypeError, "must be float32 or float64"),
    "mixed": (lambda: conv(weight=WEIGHT.astype("f")), TypeError, "one dtype; got x float64, weight float32"),
    "mixed add": (lambda: ops.add(X, X.astype("f")), TypeError, "one dtype"),
    # the others
    "add broadcast": (lambda: ops.add(X, X[:1]), ValueError, "b must have shape.*nothing is broadcast"),
    "batchnorm vector": (lambda: ops.batchnorm2d(X, VECTOR, VECTOR[:1]), ValueError, r"bias must have shape \(3,\)"),
    "batchnorm one value": (
        lambda: ops.batchnorm2d(X[:1, :, :1, :1], VECTOR, VECTOR),
        ValueError,
        "more than one value per channel.*larger batch",
    ),
    "batchnorm eps": (lambda: ops.batchnorm2d(X, VECTOR, VECTOR, eps=-1), ValueError, "eps must be in"),
    "inference vector": (
        lambda: ops.batchnorm2d_inference(X, VECTOR, VECTOR, VECTOR[:2], VECTOR),
        ValueError,
        "running_mean must have shape",
    ),
    "linear": (lambda: ops.linear(LOGITS, WEIGHT[0, 0]), ValueError, "weight must have shape"),
    "linear rank": (lambda: ops.linear(X, LOGITS), ValueError, r"x must be \(N, C\), 2 axes"),
    "p one": (lambda: ops.dropout(X, KEEP, p=1), ValueError, r"p must be in \[0, 1\)"),
    "p negative": (lambda: ops.dropout(X, KEEP, p=-0.1), ValueError, r"p must be in \[0, 1\)"),
    "p NaN": (lambda: ops.dropout(X, KEEP, p=np.nan), ValueError, r"p must be in \[0, 1\)"),
    "p text": (lambda: ops.dropout(X, KEEP, p="0.5"), TypeError, "p must be a number"),
    "keep floats": (lambda: ops.dropout(X, KEEP * 1.0, p=0.5), TypeError, "keep must be a boolean array.*rng.random"),
    "keep shape": (lambda: ops.dropout(X, KEEP[:1], p=0.5), ValueError, "keep must have shape"),
    "softmax rank": (lambda: ops.softmax(X), ValueError, "x must be"),
    "label large": (lambda: ops.cross_entropy(LOGITS, LABELS + 1), ValueError, r"labels must be in 0\.\.4.*got 1\.\.5"),
    "label negative": (lambda: ops.cross_entropy(LOGITS, LABELS - 1), ValueError, r"labels must be in 0\.\.4"),
    "label floats": (lambda: ops.cross_entropy(LOGITS, LABELS * 1.0), TypeError, "integer array.*astype"),
    "label booleans": (lambda: ops.cross_entropy(LOGITS, LABELS > 1), TypeError, "integer array"),
    "label count": (lambda: ops.cross_entropy(LOGITS, LABELS[:1]), ValueError, r"labels must have shape \(4,\)"),
    "class weights": (
        lambda: ops.cross_entropy(LOGITS, LABELS, class_weight=VECTOR),
        ValueError,
        r"class_weight must have shape \(5,\)",
    ),
    "smoothing": (
        lambda: ops.cross_entropy(LOGITS, LABELS, label_smoothing=1.5),
        ValueError,
        "label_smoothing must be",
    ),
    "loss upstream": (
        lambda: ops.cross_entropy_backward(np.ones(4), ops.cross_entropy(LOGITS, LABELS)[1]),
        ValueError,
        "dy must be a scalar",
    ),
    "loss upstream None": (
        lambda: ops.cross_entropy_backward(None, ops.cross_entropy(LOGITS, LABELS)[1]),
        TypeError,
        "dy must be a number; got None",
    ),
    "no function": (lambda: ops.replaced(relu_backward=3), TypeError, "relu_backward must be a function; got 3"),
    "half a pair": (lambda: ops.replaced(relu=max), TypeError, "relu must come with relu_backward"),
    "module": (lambda: ops.replaced(conv=max), TypeError, "no op is called conv;"),
    "unknown op": (lambda: ops.replaced(convolve=None), TypeError, "no op is called convolve; the ops are"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        call()


CACHES = {
    "conv2d": conv,
    "relu": lambda: ops.relu(X),
    "add": lambda: ops.add(X, X),
    "batchnorm2d": lambda: ops.batchnorm2d(X, VECTOR, VECTOR),
    "batchnorm2d_inference": lambda: ops.batchnorm2d_inference(X, VECTOR, VECTOR, VECTOR, VECTOR),
    "maxpool2d": lambda: ops.maxpool2d(X, kernel_size=2),
    "avgpool2d": lambda: ops.avgpool2d(X, kernel_size=2),
    "global_avgpool2d": lambda: ops.global_avgpool2d(X),
    "flatten": lambda: ops.flatten(X),
    "zero_pad_channels": lambda: ops.zero_pad_channels(X, channels=4, stride=2),
    "linear": lambda: ops.linear(LOGITS, LOGITS),
    "dropout": lambda: ops.dropout(X, KEEP, p=0.5),
    "softmax": lambda: ops.softmax(LOGITS),
    "log_softmax": lambda: ops.log_softmax(LOGITS),
}


@pytest.mark.parametrize("name", CACHES)
def test_backward_refuses_an_upstream_of_another_shape_or_dtype(name):
    y, cache = CACHES[name]()
    backward = getattr(ops, f"{name}_backward")
    for wrong in (y[:1], y[..., :1], y[..., None]):
        if wrong.shape != y.shape:
            with pytest.raises(ValueError, match="dy must have shape"):
                backward(wrong, cache)
    with pytest.raises(TypeError, match="dy must be float64"):
        backward(y.astype(np.float32), cache)
