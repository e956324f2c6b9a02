"""From logits to probabilities to the loss."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.ops import _checks


class SoftmaxCache(NamedTuple):
    y: np.ndarray  # (N, C)


def softmax(x):
    """y[n, c] = exp(x[n, c]) / sum over k of exp(x[n, k]).   x (N, C) -> y (N, C)

    The row's largest logit is taken off first, which changes nothing but keeps exp from overflowing.
    Raises ValueError unless x is (N, C).
    """
    y = np.exp(log_softmax(x)[0])
    return y, SoftmaxCache(y.copy())


def softmax_backward(dy, cache):
    """dx = y * (dy - sum over c of dy * y), (N, C).   The idea: what raises all probabilities alike has no effect."""
    y = cache.y
    _checks.upstream(dy, y.shape, y.dtype)
    return y * (dy - (dy * y).sum(axis=1, keepdims=True))


def log_softmax(x):
    """y[n, c] = x[n, c] - log(sum over k of exp(x[n, k])).   x (N, C) -> y (N, C), stable at logits of 1e4

    Raises ValueError unless x is (N, C).
    """
    _checks.arrays(x=x)
    _checks.rank("x", x, 2)
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, as in PyTorch
        y = x - x.max(axis=1, keepdims=True)
        y -= np.log(np.exp(y).sum(axis=1, keepdims=True))
    return y, SoftmaxCache(y.copy())


def log_softmax_backward(dy, cache):
    """dx = dy - softmax(x) * (sum over c of dy), (N, C).   The idea: the logarithm cancels the factor y of softmax."""
    y = cache.y
    _checks.upstream(dy, y.shape, y.dtype)
    return dy - np.exp(y) * dy.sum(axis=1, keepdims=True)


class CrossEntropyCache(NamedTuple):
    log_p: np.ndarray  # (N, C) log-probabilities
    target: np.ndarray  # (N, C): loss = -sum(target * log_p)


def cross_entropy(logits, labels, *, class_weight=None, label_smoothing=0.0):
    """The mean of -log p[label] over the batch.   logits (N, C), labels (N,) integers -> loss, a scalar

    loss = -sum over n, c of target[n, c] * log_softmax(logits)[n, c], with
    target = ((1 - s) * onehot + s / C) * class_weight / sum over n of class_weight[label[n]]: PyTorch's weighted mean
    with label smoothing s (Szegedy et al. 2016, section 7).
    Raises ValueError for a label outside of 0..C-1, TypeError for labels that are not integers.
    """
    log_p, _ = log_softmax(logits)
    N, C = logits.shape
    _check_labels(labels, N, C)
    smoothing = _checks.real("label_smoothing", label_smoothing)
    if not 0 <= smoothing <= 1:
        raise ValueError(f"label_smoothing must be in [0, 1]; got {label_smoothing!r}")
    weight = np.ones(C, logits.dtype) if class_weight is None else class_weight
    _checks.arrays(logits=logits, class_weight=weight)
    _checks.shape("class_weight", weight, (C,), "one weight for each class")
    target = np.full((N, C), smoothing / C, logits.dtype)
    target[np.arange(N), labels] += 1 - smoothing
    with np.errstate(divide="ignore", invalid="ignore"):  # 0/0, the mean over nothing, is NaN, as in PyTorch
        target *= weight / weight[labels].sum()
        terms = -target * log_p
        loss = (terms if smoothing else terms[np.arange(N), labels]).sum(dtype=logits.dtype)
    return (loss if N else logits.dtype.type(np.nan)), CrossEntropyCache(log_p, target)


def cross_entropy_backward(dy, cache):
    """dlogits = dy * (softmax(logits) * (sum over c of target) - target), (N, C); dy a scalar, 1.0 for a loss.

    The idea: with a target that sums to 1 it is p - target, prediction minus truth.
    """
    log_p, target = cache
    if np.ndim(dy) != 0:
        raise ValueError(f"dy must be a scalar, as the loss is; got shape {np.shape(dy)}: pass 1.0")
    dy = _checks.real("dy", dy.item() if isinstance(dy, np.ndarray) else dy)
    p = np.exp(log_p)
    return log_p.dtype.type(dy) * (p * target.sum(axis=1, keepdims=True) - target)


def _check_labels(labels, N, C):
    if not isinstance(labels, np.ndarray) or not np.issubdtype(labels.dtype, np.integer):
        came = getattr(labels, "dtype", type(labels).__name__)
        raise TypeError(f"labels must be an integer array (N,); got {came}: convert it with .astype(np.int64)")
    _checks.shape("labels", labels, (N,), "one label for each row of logits")
    if N and not (labels.min() >= 0 and labels.max() < C):
        raise ValueError(f"labels must be in 0..{C - 1} for {C} classes; got {labels.min()}..{labels.max()}")
