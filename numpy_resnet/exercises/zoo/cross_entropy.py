"""Wrong cross entropies."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.exercises.zoo.enclosure import Enclosure


class Cache(NamedTuple):
    p: np.ndarray  # (N, C)
    target: np.ndarray  # (N, C), with class weights, divided by their sum over the batch
    labels: np.ndarray
    class_weight: np.ndarray
    label_smoothing: float


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def targets(labels, class_weight, label_smoothing):
    C = len(class_weight)
    smooth = (1 - label_smoothing) * np.eye(C, dtype=class_weight.dtype)[labels] + label_smoothing / C
    return smooth * class_weight / class_weight[labels].sum()


def cross_entropy(logits, labels, *, class_weight=None, label_smoothing=0.0):
    if class_weight is None:
        class_weight = np.ones(logits.shape[1], logits.dtype)
    target = targets(labels, class_weight, label_smoothing)
    loss = -np.sum(target * log_softmax(logits))
    return loss, Cache(softmax(logits), target, labels, class_weight, label_smoothing)


def cross_entropy_backward(dy, cache):
    return dy * (cache.p * cache.target.sum(axis=1, keepdims=True) - cache.target)


zoo = Enclosure("cross_entropy", cross_entropy, cross_entropy_backward)


# The mean over the batch


@zoo.wrong_backward("constant_factor")
def not_divided_by_the_batch(dy, cache):
    """dlogits is too large by the size of the batch, or by the sum of its class weights.

    The loss is a mean, but the gradient everybody knows, p - target, is that of one sample.
    """
    return cross_entropy_backward(dy, cache) * cache.class_weight[cache.labels].sum()


@zoo.wrong_backward("constant_factor")
def averaged_over_the_classes_too(dy, cache):
    """dlogits is too small by C.

    np.mean of an (N, C) array divides by N*C.
    """
    return cross_entropy_backward(dy, cache) / cache.p.shape[1]


@zoo.wrong_backward("constant_factor")
def weighted_sum_divided_by_n(dy, cache):
    """With class weights dlogits is off by a factor, without them it is right.

    The mean is a weighted one: it is divided by the sum of the weights, and not by N.
    """
    weight_of_the_batch = cache.class_weight[cache.labels].sum()
    return cross_entropy_backward(dy, cache) * weight_of_the_batch / len(cache.p)


# The formula


@zoo.wrong_backward("branch_missing", "partly_missing")
def truth_not_subtracted(dy, cache):
    """No entry of dlogits is negative, and no row sums to 0.

    The gradient was left at p: the line `p[range(N), labels] -= 1` got lost.
    """
    return dy * cache.p * cache.target.sum(axis=1, keepdims=True)


@zoo.wrong_backward("constant_factor")
def truth_minus_prediction(dy, cache):
    """The gradient has the wrong sign, and training makes the loss grow.

    "Target minus output" is the error of the perceptron rule, which is added to the weights.
    """
    return dy * (cache.target - cache.p * cache.target.sum(axis=1, keepdims=True))


@zoo.wrong_backward("partly_missing")
def label_only(dy, cache):
    """Only the logit of the label has a gradient, all others have 0.

    The loss is -log p[label], "so only p[label] matters"; but p[label] depends on all logits.
    """
    return cross_entropy_backward(dy, cache) * np.eye(cache.p.shape[1])[cache.labels]


@zoo.wrong_backward("sum_path", "unknown")
def softmax_backward_once_more(dy, cache):
    """dlogits is far too small, most of all where the network is sure.

    p - target is already the gradient with respect to the logits, and it went through softmax's backward again.
    """
    dp, p = cross_entropy_backward(dy, cache), cache.p
    return p * (dp - np.sum(dp * p, axis=1, keepdims=True))


@zoo.wrong_backward("mask_wrong_source", "summed_too_far")
def one_subtracted_in_every_row(dy, cache):
    """In all rows the columns of all labels of the batch are too small.

    `p[:, labels] -= 1` where `p[np.arange(N), labels] -= 1` is meant.
    """
    hard = (1 - cache.label_smoothing) * targets(cache.labels, cache.class_weight, 0.0)
    target = cache.target - hard
    target[:, cache.labels] += hard.max(axis=1, keepdims=True)
    return dy * (cache.p * cache.target.sum(axis=1, keepdims=True) - target)


@zoo.wrong_backward("shifted")
def labels_counted_from_one(dy, cache):
    """The negative entry of each row is one column left of the label.

    The labels of the file began at 1, and backward still takes off that 1.
    """
    return dy * (cache.p * cache.target.sum(axis=1, keepdims=True) - np.roll(cache.target, -1, axis=1))


@zoo.wrong_backward("one_sample_only")
def returned_within_the_loop(dy, cache):
    """Only the first row of dlogits is not 0.

    `return` is indented by one step too many.
    """
    dlogits = np.zeros_like(cache.p)
    for n, (p, target) in enumerate(zip(cache.p, cache.target, strict=True)):
        dlogits[n] = dy * (p * target.sum() - target)
        return dlogits
    return dlogits


@zoo.wrong_backward("upstream_ignored")
def upstream_taken_for_one(dy, cache):
    """dlogits is right for dy = 1, and the same for any other.

    "A loss is the end, nothing comes after it": until the loss is scaled, or a second one added.
    """
    return cross_entropy_backward(1.0, cache)


# Class weights and label smoothing


@zoo.wrong_backward("sample_factor")
def class_weights_forgotten(dy, cache):
    """With class weights each row of dlogits is off by a factor of its own; without, all is right.

    The option was added to the forward and tested by the loss alone.
    """
    target = targets(cache.labels, np.ones_like(cache.class_weight), cache.label_smoothing)
    return cross_entropy_backward(dy, cache._replace(target=target))


@zoo.wrong_backward("channel_factor", "unknown")
def class_weight_of_the_column(dy, cache):
    """With class weights the columns of dlogits are off by factors, and its rows do not sum to 0.

    `dlogits *= class_weight` broadcasts over the classes; it is the weight of the label that scales the row.
    """
    target = targets(cache.labels, np.ones_like(cache.class_weight), cache.label_smoothing)
    dlogits = cross_entropy_backward(dy, cache._replace(target=target))
    return dlogits * cache.class_weight * len(cache.p) / cache.class_weight[cache.labels].sum()


@zoo.wrong_backward("sum_path", "unknown")
def class_weight_on_the_target_only(dy, cache):
    """With class weights the rows of dlogits do not sum to 0; without, all is right.

    The target is weighted and p is not: p - target is right only for a target that sums to 1.
    """
    return dy * (cache.p / len(cache.p) - cache.target)


@zoo.wrong_backward("branch_missing", "partly_missing")
def label_smoothing_forgotten(dy, cache):
    """With label smoothing dlogits is that of the hard labels; without, all is right.

    Backward makes its own one-hot target.
    """
    return cross_entropy_backward(dy, cache._replace(target=targets(cache.labels, cache.class_weight, 0.0)))


@zoo.wrong_forward("forward_wrong")
def smoothed_over_the_others(logits, labels, *, class_weight=None, label_smoothing=0.0):
    """The gradients fit, but with label smoothing the loss is not PyTorch's.

    What the label gives up is shared by the C - 1 others; in the paper by all C.
    """
    C = logits.shape[1]
    return cross_entropy(logits, labels, class_weight=class_weight, label_smoothing=label_smoothing * C / (C - 1))


# Softmax


def softmax_twice_backward(dy, cache):
    inner, cache = cache
    dp = cross_entropy_backward(dy, cache)
    return inner * (dp - np.sum(dp * inner, axis=1, keepdims=True))


@zoo.wrong_forward("forward_wrong", f_backward=softmax_twice_backward)
def softmax_twice(logits, labels, *, class_weight=None, label_smoothing=0.0):
    """The gradients fit, but the loss stays high even for a perfect prediction.

    The model ends in a softmax, and the loss begins with one.
    """
    p = softmax(logits)
    loss, cache = cross_entropy(p, labels, class_weight=class_weight, label_smoothing=label_smoothing)
    return loss, (p, cache)


@zoo.wrong_forward("not_finite")
def exp_overflows(logits, labels, *, class_weight=None, label_smoothing=0.0):
    """Right for small logits, NaN from some 700 on.

    exp is computed as in the formula; the trick with the maximum seemed to be one of speed.
    """
    _, cache = cross_entropy(logits, labels, class_weight=class_weight, label_smoothing=label_smoothing)
    with np.errstate(all="ignore"):
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return -np.sum(cache.target * np.log(p)), cache._replace(p=p)


@zoo.wrong_forward("not_finite")
def log_of_zero(logits, labels, *, class_weight=None, label_smoothing=0.0):
    """The loss is infinite where the network is sure and wrong.

    log(softmax(x)): softmax is stable, but a p of 1e-400 is 0, and its logarithm -inf.
    """
    _, cache = cross_entropy(logits, labels, class_weight=class_weight, label_smoothing=label_smoothing)
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.sum(cache.target * np.log(cache.p)), cache


def kept_from_zero_backward(dy, cache):
    p = cache.p
    dp = -dy * cache.target / (p + 0.1)
    return p * (dp - np.sum(dp * p, axis=1, keepdims=True))


@zoo.wrong_forward("forward_wrong", f_backward=kept_from_zero_backward)
def logarithm_kept_from_zero(logits, labels, *, class_weight=None, label_smoothing=0.0):
    """The gradients fit, but the loss of a sample never goes above 2.3, however wrong the prediction.

    log(p + 0.1) keeps the logarithm finite; a round number was chosen for eps and never looked at again.
    """
    _, cache = cross_entropy(logits, labels, class_weight=class_weight, label_smoothing=label_smoothing)
    return -np.sum(cache.target * np.log(cache.p + 0.1)), cache


# Side effects


@zoo.wrong_backward("stale_state")
def probabilities_changed_in_place(dy, cache):
    """The first backward is right, the second with the same cache is not.

    `p -= target` changes the p of the cache.
    """
    p = cache.p
    p *= cache.target.sum(axis=1, keepdims=True)
    p -= cache.target
    return dy * p


@zoo.wrong_forward("writes_input")
def maximum_taken_off_in_place(logits, labels, *, class_weight=None, label_smoothing=0.0):
    """Loss and gradient are right, but the logits are changed, and a metric computed from them is too.

    `logits -= logits.max(...)` saves a copy.
    """
    logits -= logits.max(axis=1, keepdims=True)
    return cross_entropy(logits, labels, class_weight=class_weight, label_smoothing=label_smoothing)
