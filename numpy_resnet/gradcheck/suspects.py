"""Formulas that are often taken for the right one, op by op: (code, words, {argument: the gradient they give}).

Each function takes Evidence's dy and case. What can be seen without knowing the op stands in causes.py and subsets.py.
"""

import numpy as np

from numpy_resnet import reference

OF_THE_FIRST = "the probabilities are those of the first sample"


def softmax(dy, case):
    """dx = y * (dy - sum(dy * y)), with other sums."""
    y = reference.softmax(case.arrays["x"])
    yield from _other_sums(y * dy, y, dy * y)
    yield "sum_path", "the sum is that of dy, not of dy * y", {"x": y * (dy - dy.sum(1, keepdims=True))}
    yield "one_sample_only", OF_THE_FIRST, {"x": y[:1] * (dy - (dy * y[:1]).sum(1, keepdims=True))}


def log_softmax(dy, case):
    """dx = dy - softmax(x) * sum(dy), with other sums."""
    x = case.arrays["x"]
    p = reference.softmax(x)
    yield from _other_sums(dy, p, dy)
    yield "one_sample_only", OF_THE_FIRST, {"x": dy - p[:1] * dy.sum(1, keepdims=True)}
    total = dy.sum(1, keepdims=True)
    yield "sum_path", "y stands where exp(y) belongs", {"x": dy - reference.log_softmax(x) * total}


def _other_sums(direct, factor, terms):
    """direct - factor * sum of terms, the sum over something else than the classes."""
    for words, total in (
        ("not taken: each class has its own term alone", terms),
        ("over the batch instead of the classes", terms.sum(0, keepdims=True)),
        ("over everything", terms.sum()),
        ("a mean", terms.mean(1, keepdims=True)),
        ("the mean over everything", terms.mean()),
    ):
        yield "sum_path", f"the sum is {words}", {"x": direct - factor * total}


def cross_entropy(dy, case):
    """dlogits = dy * (p * sum(target) - target), with other targets."""
    logits, labels = case.arrays.values()
    N, C = logits.shape
    p = reference.softmax(logits)
    given = {"class_weight": None, "label_smoothing": 0.0, **case.options}

    def gradient(p=p, labels=labels, **changed):
        target = np.zeros_like(logits)
        for n, c, share in reference.shares(logits.shape, labels, **{**given, **changed}):
            target[n, c] = share
        return {"logits": dy * (p * target.sum(1, keepdims=True) - target)}

    if given["label_smoothing"]:
        yield "branch_missing", "the label smoothing is left out", gradient(label_smoothing=0.0)
    if given["class_weight"] is not None:
        yield "sample_factor", "the class weights are left out", gradient(class_weight=None)
        yield (
            "constant_factor",
            "it is divided by N, not by the sum of the weights of all labels",
            {"logits": gradient()["logits"] * given["class_weight"][labels].sum() / N},
        )
    for by in (1, -1):
        yield "shifted", f"the labels are off by {by}", gradient(labels=(labels + by) % C)
    yield "mask_wrong_source", "1 is taken off in every class", {"logits": dy * (p - 1) / N}
    column = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum(0)
    yield "transposed", "the softmax is over the batch", gradient(p=column)
    exp = np.exp(logits - logits.max(1, keepdims=True))
    yield "not_normalised", "exp(logits) is not divided by its sum", gradient(p=exp)
    yield "not_normalised", "the logits stand for probabilities", gradient(p=logits)
    onehot = gradient(p=np.zeros_like(p))["logits"]
    yield "branch_factor", "it is -target / p, the gradient of the probabilities", {"logits": onehot / p}


def batchnorm2d(dy, case):
    """dx = weight / std * (dy - mean(dy) - x_hat * mean(dy * x_hat)); dweight = sum(dy * x_hat), with other x_hat."""
    x, weight = case.arrays["x"], case.arrays["weight"][:, None, None]
    inference = "running_var" in case.arrays
    for words, x_hat, std in _other_x_hats(case, x):
        dweight = (dy * x_hat).sum(axis=(0, 2, 3))
        yield "wrong_statistics", f"x_hat is {words}", {"weight": dweight}
        if not inference:
            dx = weight / std * (dy - _mean(dy) - x_hat * _mean(dy * x_hat))
            yield "wrong_statistics", f"x_hat is {words}", {"weight": dweight, "x": dx}
    if not inference:
        std = np.sqrt(x.var((0, 2, 3), keepdims=True) + case.options.get("eps", 1e-5))
        x_hat = (x - _mean(x)) / std
        for words, axes in (
            ("each sample by itself", (2, 3)),
            ("over the batch alone", (0,)),
            ("over everything", None),
        ):
            means = dy.mean(axes, keepdims=True) + x_hat * (dy * x_hat).mean(axes, keepdims=True)
            yield "mean_and_variance_path", f"the means are taken {words}", {"x": weight / std * (dy - means)}


def _mean(array):
    return array.mean((0, 2, 3), keepdims=True)


def _other_x_hats(case, x):
    """(words, x_hat, std) of what x_hat is mistaken for."""
    eps = case.options.get("eps", 1e-5)
    mean, var = _mean(x), x.var((0, 2, 3), keepdims=True)
    std, one = np.sqrt(var + eps), np.ones_like(var)
    image, layer = (np.sqrt(x.var(axes, keepdims=True) + eps) for axes in ((2, 3), (1, 2, 3)))
    weight, bias = (case.arrays[name][:, None, None] for name in ("weight", "bias"))
    yield "x itself, as with a mean of 0 and a variance of 1", x, one
    yield "x itself", x, std
    yield "x / std, the mean not taken off", x / std, std
    yield "that of each image alone", (x - x.mean((2, 3), keepdims=True)) / image, image
    yield "that over channels and pixels (layer norm)", (x - x.mean((1, 2, 3), keepdims=True)) / layer, layer
    if "running_var" in case.arrays:
        running_mean, running_var = (case.arrays[f"running_{name}"][:, None, None] for name in ("mean", "var"))
        std = np.sqrt(running_var + eps)
        yield "that of the batch, not of the running statistics", (x - mean) / np.sqrt(var + eps), np.sqrt(var + eps)
        yield "y, with weight and bias in it", weight * (x - running_mean) / std + bias, std
    else:
        yield "y, with weight and bias in it", weight * (x - mean) / std + bias, std


def conv2d(dy, case):
    """dx and dweight with the windows in another place: window (oh, ow) begins at (oh * SH - PH, ow * SW - PW)."""
    x, weight = case.arrays["x"], case.arrays["weight"]
    stride, padding = (np.broadcast_to(case.options.get(n, d), 2) for n, d in (("stride", 1), ("padding", 0)))
    for words, SH, SW, PH, PW in (
        ("the stride is 1", 1, 1, *padding),
        ("the strides of height and width are exchanged", *stride[::-1], *padding),
        ("the padding is forgotten", *stride, 0, 0),
        ("the paddings of height and width are exchanged", *stride, *padding[::-1]),
        ("the padding is one too many", *stride, *(padding + 1)),
    ):
        yield "shifted", words, _convolved(dy, x, weight, (SH, SW), (PH, PW))


def _convolved(dy, x, weight, stride, padding):
    """dx and dweight by the definition, of all windows in dy, as far as they lie on the image."""
    (H, W), (KH, KW), dx, dweight = x.shape[2:], weight.shape[2:], np.zeros_like(x), np.zeros_like(weight)
    for oh, ow, kh, kw in np.ndindex(*dy.shape[2:], KH, KW):
        h, w = oh * stride[0] - padding[0] + kh, ow * stride[1] - padding[1] + kw
        if 0 <= h < H and 0 <= w < W:
            dx[:, :, h, w] += dy[:, :, oh, ow] @ weight[:, :, kh, kw]
            dweight[:, :, kh, kw] += dy[:, :, oh, ow].T @ x[:, :, h, w]
    return {"x": dx, "weight": dweight}


def maxpool2d(dy, case):
    """Every window's gradient to one pixel: to the first that is largest."""
    x, options = case.arrays["x"], dict(case.options)
    given = {"stride": None, "padding": 0, **options}
    share = reference.avgpool2d_backward(dy, x, **options)
    K = np.prod(np.broadcast_to(options["kernel_size"], 2))
    yield "mask_missing", "every pixel of a window gets an equal share", {"x": share}
    yield "mask_missing", "every pixel of a window gets all of it", {"x": share * K}
    yield (
        "mask_inverted",
        "the losers of each window get it",
        {"x": share * K - reference.maxpool2d_backward(dy, x, **options)},
    )
    yield (
        "mask_wrong_source",
        "the smallest pixel of each window gets it",
        {"x": reference.maxpool2d_backward(dy, -x, **given)},
    )
    yield (
        "mask_wrong_source",
        "the pixel of the largest magnitude gets it",
        {"x": reference.maxpool2d_backward(dy, np.abs(x), **given)},
    )


def relu(dy, case):
    """dx = dy * (x > 0)."""
    x = case.arrays["x"]
    yield "mask_wrong_source", "the mask is that of dy", {"x": dy * (dy > 0)}
    yield "mask_wrong_source", "both x and dy must be positive", {"x": dy * (dy > 0) * (x > 0)}
    yield "mask_wrong_source", "the sign of x stands for the mask", {"x": dy * np.sign(x)}
    yield "mask_wrong_source", "the mask is x > 1", {"x": dy * (x > 1)}


def add(dy, case):
    """da = dy, db = dy."""
    a, b = case.arrays.values()
    yield "wrong_argument", "the product rule stands for the sum rule", {"a": dy * b, "b": dy * a}


def avgpool2d(dy, case):
    """Every pixel of a window has the same share."""
    x, (options) = case.arrays["x"], case.options
    yield (
        "mask_wrong_source",
        "the largest pixel of each window gets all",
        {"x": reference.maxpool2d_backward(dy, x, **options)},
    )
    ones = reference.avgpool2d_backward(np.ones_like(dy), x, **options)
    K = np.prod(np.broadcast_to(options["kernel_size"], 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(ones > 0, reference.avgpool2d_backward(dy, x, **options) / np.maximum(ones * K, 1), 0.0)
    yield "not_accumulated", "where windows overlap the mean stands for the sum", {"x": mean}
