"""The paths on which a gradient comes back, one by one: what is missing when one of them was forgotten.

Each function takes dy and a case, and returns {argument: {name of the path: its share}}; the shares add up to the
gradient. So a wrong gradient that is made of the same shares, in other amounts, shows which path is wrong.
"""

import numpy as np

from numpy_resnet import reference


def batchnorm2d(dy, case):
    """dx = direct + mean + variance: Ioffe & Szegedy 2015, section 3."""
    (x, weight, _), eps = case.arrays.values(), case.options.get("eps", 1e-5)
    weight = weight[:, None, None]
    mean, var = (x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True))
    std = np.sqrt(var + eps)
    x_hat, ones = (x - mean) / std, np.ones_like(x)
    return {
        "x": {
            "direct": weight / std * dy,
            "mean": -weight / std * dy.mean((0, 2, 3), keepdims=True) * ones,
            "variance": -weight / std * x_hat * (dy * x_hat).mean((0, 2, 3), keepdims=True),
        }
    }


def add(dy, case):
    """Each summand gets all of dy."""
    return {"a": {"first summand": dy}, "b": {"second summand": dy}}


def softmax(dy, case):
    """dx = y * dy - y * sum(dy * y): each class by itself, and through the sum that all are divided by."""
    y = reference.softmax(case.arrays["x"])
    return {"x": {"direct": y * dy, "sum": -y * (dy * y).sum(1, keepdims=True)}}


def log_softmax(dy, case):
    """dx = dy - softmax(x) * sum(dy)."""
    return {
        "x": {"direct": dy.copy(), "sum": -reference.softmax(case.arrays["x"]) * dy.sum(1, keepdims=True)},
    }


def cross_entropy(dy, case):
    """dlogits = dy * (p * sum(target) - target): prediction, and truth."""
    logits, labels = case.arrays.values()
    options = {"class_weight": None, "label_smoothing": 0.0, **case.options}
    target = np.zeros_like(logits)
    for n, c, share in reference.shares(logits.shape, labels, **options):
        target[n, c] = share
    return {
        "logits": {
            "prediction": dy * reference.softmax(logits) * target.sum(1, keepdims=True),
            "target": -dy * target,
        }
    }
