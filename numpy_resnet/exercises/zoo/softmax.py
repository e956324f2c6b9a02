"""Wrong softmaxes, with and without the logarithm."""

import numpy as np

from numpy_resnet.exercises.zoo.enclosure import Enclosure


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y, y


def softmax_backward(dy, y):
    return y * (dy - np.sum(dy * y, axis=1, keepdims=True))


def log_softmax(x):
    shifted = x - x.max(axis=1, keepdims=True)
    y = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return y, y


def log_softmax_backward(dy, y):
    return dy - np.exp(y) * dy.sum(axis=1, keepdims=True)


zoo = Enclosure("softmax", softmax, softmax_backward)


@zoo.wrong_backward("sum_path")
def diagonal_only(dy, y):
    """No probability affects the logits of the others.

    y * (1 - y) is the derivative of the sigmoid, and the diagonal of softmax's; the rest of its matrix is missing.
    """
    return dy * y * (1 - y)


@zoo.wrong_backward("sum_path")
def denominator_constant(dy, y):
    """The rows of dx do not sum to 0.

    exp(x) / sum was differentiated as if the sum did not contain x.
    """
    return dy * y


@zoo.wrong_backward("sum_path")
def summed_over_the_batch(dy, y):
    """The samples affect each other, and the rows of dx do not sum to 0.

    `axis=0`, for a single vector once right.
    """
    return y * (dy - np.sum(dy * y, axis=0))


@zoo.wrong_backward("summed_too_far", "sum_path")
def summed_over_everything(dy, y):
    """Right for one sample, wrong for two.

    np.sum without its axis: one number is taken off all samples.
    """
    return y * (dy - np.sum(dy * y))


@zoo.wrong_backward("sum_path")
def probabilities_missing_in_the_sum(dy, y):
    """Much too much is taken off: the sum of dy instead of its mean under y.

    The y within the sum looked like the one in front of the bracket, and was taken for already factored out.
    """
    return y * (dy - dy.sum(axis=1, keepdims=True))


@zoo.wrong_backward("one_sample_only", "mask_wrong_source")
def matrix_of_the_first_sample(dy, y):
    """The first row of dx is right, and all others are computed with the probabilities of the first.

    The Jacobian is written for one vector, and for the batch it is made of y[0].
    """
    jacobian = np.diag(y[0]) - np.outer(y[0], y[0])
    return dy @ jacobian


@zoo.wrong_backward("unknown")
def left_to_the_loss(dy, y):
    """dx is dy.

    "Cross entropy has the gradient of softmax in it": that of another network, with another loss.
    """
    return dy.copy()


@zoo.wrong_forward("not_finite")
def exp_overflows(x):
    """Right for small logits, NaN from some 700 on.

    The formula, as it stands in the book.
    """
    with np.errstate(all="ignore"):
        y = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    return y, y


log_zoo = Enclosure("log_softmax", log_softmax, log_softmax_backward)


@log_zoo.wrong_backward("sum_path")
def normaliser_constant(dy, y):
    """dx is dy.

    y = x - constant, if one overlooks that the constant contains x.
    """
    return dy.copy()


@log_zoo.wrong_backward("sum_path")
def exp_forgotten(dy, y):
    """Something of the wrong sign is taken off: log-probabilities are negative.

    The cache holds y, which was p while the layer was softmax.
    """
    return dy - y * dy.sum(axis=1, keepdims=True)


@log_zoo.wrong_backward("unknown", "sum_path")
def backward_of_softmax(dy, y):
    """dx is too small where the probability is.

    The backward of softmax, with exp(y) put in for y; the logarithm is not differentiated.
    """
    p = np.exp(y)
    return p * (dy - np.sum(dy * p, axis=1, keepdims=True))


@log_zoo.wrong_backward("sum_path")
def own_logit_only(dy, y):
    """dx is right for the logit of the same class, and lacks the effect on all others.

    1 - p is the derivative of log p with respect to its own logit.
    """
    return dy * (1 - np.exp(y))


@log_zoo.wrong_backward("sum_path")
def upstream_taken_for_one_hot(dy, y):
    """Right only if every row of dy sums to 1.

    "The gradient is target minus p": so it is, for the upstream of a cross entropy, up to its sign.
    """
    return dy - np.exp(y)


@log_zoo.wrong_backward("sum_path")
def upstream_averaged(dy, y):
    """What is taken off is too small by C.

    The sum over the classes became their mean.
    """
    return dy - np.exp(y) * dy.mean(axis=1, keepdims=True)


@log_zoo.wrong_forward("not_finite")
def log_of_zero(x):
    """-inf where the probability is too small for a float.

    np.log(softmax(x)): the stable softmax rounds to 0, and the logarithm makes that infinite.
    """
    with np.errstate(divide="ignore"):
        y = np.log(softmax(x)[0])
    return y, y


def base_two_backward(dy, cache):
    return log_softmax_backward(dy, cache) / np.log(2)


@log_zoo.wrong_forward("forward_wrong", f_backward=base_two_backward)
def base_two(x):
    """The gradients fit, but y is too large by 1/log(2), as is the loss.

    The entropy of the lecture on information theory is in bits.
    """
    y, cache = log_softmax(x)
    return y / np.log(2), cache
