"""Wrong batch norms, in evaluation."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.exercises.zoo.enclosure import Enclosure


class Cache(NamedTuple):
    x: np.ndarray
    x_hat: np.ndarray
    std: np.ndarray  # this and weight are (C, 1, 1)
    weight: np.ndarray


def total(values):
    return values.sum(axis=(0, 2, 3))


def mean_of(values):
    return values.mean(axis=(0, 2, 3))[:, None, None]


def batchnorm2d_inference(x, weight, bias, running_mean, running_var, *, eps=1e-05):
    std, weight = np.sqrt(running_var + eps)[:, None, None], weight[:, None, None]
    x_hat = (x - running_mean[:, None, None]) / std
    return weight * x_hat + bias[:, None, None], Cache(x, x_hat, std, weight)


def batchnorm2d_inference_backward(dy, cache):
    return cache.weight / cache.std * dy, total(dy * cache.x_hat), total(dy)


zoo = Enclosure("batchnorm2d_inference", batchnorm2d_inference, batchnorm2d_inference_backward)


@zoo.wrong_backward("train_formula_in_eval")
def formula_of_training(dy, cache):
    """dx is corrected for mean and variance, though they do not depend on x here.

    There is one backward, for both modes.
    """
    x_hat = cache.x_hat
    dx = cache.weight / cache.std * (dy - mean_of(dy) - x_hat * mean_of(dy * x_hat))
    return dx, total(dy * x_hat), total(dy)


@zoo.wrong_backward("train_formula_in_eval", "mean_path")
def mean_still_taken_off(dy, cache):
    """dx has no mean over the batch, though here it should have one.

    Of the two terms of training one was deleted, and the other overlooked.
    """
    return cache.weight / cache.std * (dy - mean_of(dy)), total(dy * cache.x_hat), total(dy)


@zoo.wrong_backward("channel_factor")
def weight_missing_in_dx(dy, cache):
    """dx lacks the weight: nothing to see while that is 1.

    "In evaluation the parameters are fixed", so the author left this one out; but it still multiplies.
    """
    return dy / cache.std, total(dy * cache.x_hat), total(dy)


@zoo.wrong_backward("channel_factor")
def std_missing_in_dx(dy, cache):
    """dx is too large by the standard deviation, channel by channel.

    The statistics are constants, and constants were thought to drop out; those that multiply do not.
    """
    return cache.weight * dy, total(dy * cache.x_hat), total(dy)


@zoo.wrong_backward("channel_factor")
def variance_for_std(dy, cache):
    """dx is divided by the running variance instead of by its root.

    The layer keeps running_var, and that is what was at hand in backward.
    """
    return cache.weight / cache.std**2 * dy, total(dy * cache.x_hat), total(dy)


@zoo.wrong_backward("wrong_statistics")
def x_hat_of_the_batch(dy, cache):
    """The gradient of the weight is that of training, and dx is right.

    Backward computes x_hat anew, with the mean and variance of the batch.
    """
    x_mu = cache.x - mean_of(cache.x)
    x_hat = x_mu / np.sqrt(mean_of(x_mu**2) + 1e-05)
    return cache.weight / cache.std * dy, total(dy * x_hat), total(dy)


@zoo.wrong_backward("constant_factor")
def bias_averaged(dy, cache):
    """The gradient of the bias is too small by N*H*W.

    A mean where a sum is due: batch norm is full of means.
    """
    return cache.weight / cache.std * dy, total(dy * cache.x_hat), dy.mean(axis=(0, 2, 3))


@zoo.wrong_backward("not_returned")
def statistics_get_gradients_too(dy, cache):
    """Five gradients come back where three are due.

    One for each array that came in; but the running statistics are not trained.
    """
    dx, dweight, dbias = batchnorm2d_inference_backward(dy, cache)
    return dx, dweight, dbias, np.zeros_like(dbias), np.zeros_like(dbias)


@zoo.wrong_backward("not_returned")
def frozen(dy, cache):
    """The gradients of weight and bias are None.

    "In evaluation nothing is trained": yet fine-tuning with fixed statistics does just that.
    """
    return cache.weight / cache.std * dy, None, None


@zoo.wrong_forward("writes_input", "stale_state")
def statistics_drift(x, weight, bias, running_mean, running_var, *, eps=1e-05):
    """Each call changes the running mean, and so the y of the next one.

    The update stands outside of `if training:`, and the numbers drift while they are only looked at.
    """
    y, cache = batchnorm2d_inference(x, weight, bias, running_mean, running_var, eps=eps)
    running_mean += 0.1 * (x.mean(axis=(0, 2, 3)) - running_mean)
    return y, cache


@zoo.wrong_forward("forward_wrong")
def running_variance_made_biased(x, weight, bias, running_mean, running_var, *, eps=1e-05):
    """The gradients fit, but y is larger than PyTorch's, by the root of m/(m - 1).

    The running variance is taken as the biased one, as within the batch; PyTorch stores the unbiased one, to be used
    as it is.
    """
    m = x[:, 0].size
    return batchnorm2d_inference(x, weight, bias, running_mean, running_var * (m - 1) / m, eps=eps)


@zoo.wrong_forward("forward_wrong")
def variance_taken_for_std(x, weight, bias, running_mean, running_var, *, eps=1e-05):
    """The gradients fit, but y is too flat where the variance is above 1 and too steep where it is below.

    Some layers store the standard deviation, and this forward thinks that it reads one.
    """
    return batchnorm2d_inference(x, weight, bias, running_mean, running_var**2, eps=eps)
