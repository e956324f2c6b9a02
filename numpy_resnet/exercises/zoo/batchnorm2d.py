"""Wrong batch norms, in training."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.exercises.zoo.enclosure import Enclosure


class Cache(NamedTuple):
    x: np.ndarray
    mean: np.ndarray  # this and std are (C, 1, 1), as is weight
    std: np.ndarray
    x_hat: np.ndarray
    weight: np.ndarray
    y: np.ndarray
    eps: float


def total(values):
    return values.sum(axis=(0, 2, 3))


def mean_of(values):
    return values.mean(axis=(0, 2, 3))[:, None, None]


def batchnorm2d(x, weight, bias, *, eps=1e-05):
    mean = mean_of(x)
    std = np.sqrt(mean_of((x - mean) ** 2) + eps)
    x_hat, weight = (x - mean) / std, weight[:, None, None]
    y = weight * x_hat + bias[:, None, None]
    return y, Cache(x, mean, std, x_hat, weight, y, eps)


def grad_x(dy, cache):
    dx_hat, x_hat = dy * cache.weight, cache.x_hat
    return (dx_hat - mean_of(dx_hat) - x_hat * mean_of(dx_hat * x_hat)) / cache.std


def batchnorm2d_backward(dy, cache):
    return grad_x(dy, cache), total(dy * cache.x_hat), total(dy)


zoo = Enclosure("batchnorm2d", batchnorm2d, batchnorm2d_backward)


# The weight and the bias


@zoo.wrong_backward("constant_factor")
def bias_averaged(dy, cache):
    """The gradient of the bias is too small by N*H*W.

    So much in batch norm is a mean that this sum became one too.
    """
    return grad_x(dy, cache), total(dy * cache.x_hat), dy.mean(axis=(0, 2, 3))


@zoo.wrong_backward("summed_too_far", "wrong_shape")
def bias_summed_over_channels(dy, cache):
    """The gradient of the bias is a single number.

    np.sum without its axis.
    """
    return grad_x(dy, cache), total(dy * cache.x_hat), np.sum(dy)


@zoo.wrong_backward("not_summed", "wrong_shape")
def weight_and_bias_summed_over_the_batch_only(dy, cache):
    """The gradients of weight and bias are (C, H, W) instead of (C,).

    The code is that of batch norm after a linear layer, `axis=0`.
    """
    return grad_x(dy, cache), np.sum(dy * cache.x_hat, axis=0), np.sum(dy, axis=0)


@zoo.wrong_backward("channel_factor")
def weight_gradient_times_weight(dy, cache):
    """The gradient of the weight is multiplied by the weight: nothing to see at initialisation, where that is 1.

    dx_hat = dy * weight was computed first, and then used for the weight too.
    """
    return grad_x(dy, cache), total(dy * cache.weight * cache.x_hat), total(dy)


@zoo.wrong_backward("wrong_statistics", "unknown")
def weight_gradient_from_x(dy, cache):
    """The gradient of the weight is right only where x has mean 0 and variance 1 already.

    dweight = dy * x, as in a linear layer; but here the weight multiplies x_hat.
    """
    return grad_x(dy, cache), total(dy * cache.x), total(dy)


@zoo.wrong_backward("wrong_statistics")
def weight_gradient_from_y(dy, cache):
    """The gradient of the weight changes with the bias, which it should not.

    The layer keeps its output, and that is what the author multiplied with dy.
    """
    return grad_x(dy, cache), total(dy * cache.y), total(dy)


@zoo.wrong_backward("channel_factor")
def weight_gradient_not_normalised(dy, cache):
    """The gradient of the weight is too large by the standard deviation of each channel.

    Forward kept x - mean, and the division was not repeated.
    """
    return grad_x(dy, cache), total(dy * (cache.x - cache.mean)), total(dy)


# A factor in dx


@zoo.wrong_backward("channel_factor")
def weight_missing_in_dx(dy, cache):
    """dx lacks the weight: nothing to see at initialisation, where that is 1.

    The derivation starts at x_hat, and the step from y to x_hat was left out.
    """
    return grad_x(dy, cache._replace(weight=1.0)), total(dy * cache.x_hat), total(dy)


@zoo.wrong_backward("channel_factor")
def divided_by_the_variance(dy, cache):
    """dx is too small by the standard deviation, channel by channel.

    The variable is called var in one half of the code and std in the other.
    """
    return grad_x(dy, cache) / cache.std, total(dy * cache.x_hat), total(dy)


@zoo.wrong_backward("channel_factor")
def divided_by_nothing(dy, cache):
    """dx is too large by the standard deviation, channel by channel.

    x_hat is x with another origin; that it also has another scale was forgotten.
    """
    return grad_x(dy, cache) * cache.std, total(dy * cache.x_hat), total(dy)


@zoo.wrong_backward("channel_factor", "not_finite")
def eps_forgotten_in_backward(dy, cache):
    """dx is too large in channels of small variance, and nearly right in all others.

    Backward takes the square root of the variance anew, without eps.
    """
    std = np.sqrt(mean_of((cache.x - cache.mean) ** 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return grad_x(dy, cache) * cache.std / std, total(dy * cache.x_hat), total(dy)


@zoo.wrong_backward("raises", "channel_factor")
def weight_along_the_height(dy, cache):
    """dx raises, unless the image is as high as there are channels: then the weight scales rows.

    `weight[:, None]` where two new axes are needed; broadcasting counts from the right.
    """
    return grad_x(dy, cache._replace(weight=cache.weight[:, 0])), total(dy * cache.x_hat), total(dy)


# The paths through the statistics


@zoo.wrong_backward("mean_path")
def path_through_the_mean_forgotten(dy, cache):
    """dx has a mean over the batch, though adding a number to x does not change y.

    x - mean was differentiated as if the mean were a constant.
    """
    dx = cache.weight / cache.std * (dy - cache.x_hat * mean_of(dy * cache.x_hat))
    return dx, total(dy * cache.x_hat), total(dy)


@zoo.wrong_backward("mean_path")
def path_through_the_mean_with_the_wrong_sign(dy, cache):
    """dx has twice the mean that dy has, instead of none.

    The minus of x - mean was lost in the chain rule.
    """
    dx = cache.weight / cache.std * (dy + mean_of(dy) - cache.x_hat * mean_of(dy * cache.x_hat))
    return dx, total(dy * cache.x_hat), total(dy)


@zoo.wrong_backward("variance_path")
def path_through_the_variance_forgotten(dy, cache):
    """dx still goes along with x_hat, though stretching x does not change y.

    The mean was differentiated, the standard deviation taken for a constant.
    """
    return cache.weight / cache.std * (dy - mean_of(dy)), total(dy * cache.x_hat), total(dy)


@zoo.wrong_backward("variance_path")
def one_half_and_two_do_not_cancel(dy, cache):
    """The path through the variance counts twice.

    var**-0.5 gives a factor -0.5, the square in the variance a factor 2; the author forgot the first.
    """
    x_mu, dx_hat = cache.x - cache.mean, dy * cache.weight
    dvar = mean_of(dx_hat * x_mu) * -1 * cache.std**-3
    dx = (dx_hat - mean_of(dx_hat)) / cache.std + dvar * 2 * x_mu
    return dx, total(dy * cache.x_hat), total(dy)


@zoo.wrong_backward("variance_path")
def x_hat_missing_in_the_variance_path(dy, cache):
    """One number is taken off all pixels, where a multiple of x_hat should be.

    The formula was copied from the paper, and one factor was not.
    """
    dx = cache.weight / cache.std * (dy - mean_of(dy) - mean_of(dy * cache.x_hat))
    return dx, total(dy * cache.x_hat), total(dy)


@zoo.wrong_backward("variance_path")
def variance_path_with_the_cube_missing(dy, cache):
    """The path through the variance is too large or too small by the variance, channel by channel.

    The derivative of 1/std was written as -1/std: a power rule that does not lower the power.
    """
    x_mu, dx_hat = cache.x - cache.mean, dy * cache.weight
    dx = (dx_hat - mean_of(dx_hat)) / cache.std - x_mu * mean_of(dx_hat * x_mu) / cache.std
    return dx, total(dy * cache.x_hat), total(dy)


@zoo.wrong_backward("mean_and_variance_path")
def direct_path_only(dy, cache):
    """dx = weight / std * dy: right in evaluation, in training both corrections are missing.

    Mean and variance look like parameters, so they were treated as such.
    """
    return cache.weight / cache.std * dy, total(dy * cache.x_hat), total(dy)


@zoo.wrong_backward("mean_and_variance_path")
def divided_by_the_batch_only(dy, cache):
    """Both corrections are too large by H*W; on 1x1 images all is right.

    The formula says 1/m with m the size of the batch, but for images m is N*H*W.
    """
    N, dx_hat, x_hat = len(dy), dy * cache.weight, cache.x_hat
    sums = [total(values)[:, None, None] for values in (dx_hat, dx_hat * x_hat)]
    return (dx_hat - sums[0] / N - x_hat * sums[1] / N) / cache.std, total(dy * x_hat), total(dy)


@zoo.wrong_backward("mean_and_variance_path")
def divided_by_nothing_in_both_paths(dy, cache):
    """Both corrections are too large by N*H*W and drown dx.

    The sums are dbias and dweight, already there; that the formula has their means was overlooked.
    """
    dweight, dbias = total(dy * cache.x_hat), total(dy)
    dx = cache.weight / cache.std * (dy - dbias[:, None, None] - cache.x_hat * dweight[:, None, None])
    return dx, dweight, dbias


@zoo.wrong_backward("mean_and_variance_path")
def weight_on_the_direct_path_only(dy, cache):
    """Both corrections lack the weight: nothing to see at initialisation, where that is 1.

    The brackets were left out: weight * dy - mean - ..., for weight * (dy - mean - ...).
    """
    x_hat = cache.x_hat
    dx = (cache.weight * dy - mean_of(dy) - x_hat * mean_of(dy * x_hat)) / cache.std
    return dx, total(dy * x_hat), total(dy)


@zoo.wrong_backward("mean_and_variance_path", "wrong_statistics")
def corrections_for_each_sample(dy, cache):
    """dx is right for a batch of one, and wrong for any other.

    The means of backward are over H and W only: each sample is corrected by itself, as in instance norm.
    """
    dx_hat, x_hat = dy * cache.weight, cache.x_hat
    means = [values.mean(axis=(2, 3), keepdims=True) for values in (dx_hat, dx_hat * x_hat)]
    return (dx_hat - means[0] - x_hat * means[1]) / cache.std, total(dy * x_hat), total(dy)


# The statistics


@zoo.wrong_backward("wrong_statistics")
def x_hat_from_running_statistics(dy, cache):
    """dx and the gradient of the weight are those of another x_hat.

    The layer did not keep x_hat, and backward made it anew from the running statistics.
    """
    running_mean, running_var = 0.1 * cache.mean, 0.9 + 0.1 * cache.std**2  # after one step with momentum 0.1
    cache = cache._replace(x_hat=(cache.x - running_mean) / np.sqrt(running_var + cache.eps))
    return grad_x(dy, cache), total(dy * cache.x_hat), total(dy)


def unbiased(x, weight, bias, *, eps=1e-05):
    _, cache = batchnorm2d(x, weight, bias, eps=eps)
    std = np.sqrt(x.var(axis=(0, 2, 3), ddof=1)[:, None, None] + eps)
    x_hat = (x - cache.mean) / std
    return cache.weight * x_hat + bias[:, None, None], cache._replace(std=std, x_hat=x_hat)


@zoo.wrong_backward("forward_wrong", "variance_path", f=unbiased)
def forward_unbiased_backward_biased(dy, cache):
    """The path through the variance is too small by a factor (m - 1)/m: much for few pixels, little for many.

    Forward uses `ddof=1`, as the running variance does; the formula of backward is for the biased one.
    """
    return batchnorm2d_backward(dy, cache)


def unbiased_backward(dy, cache):
    m, dx_hat, x_hat = dy[:, 0].size, dy * cache.weight, cache.x_hat
    dx = (dx_hat - mean_of(dx_hat) - x_hat * mean_of(dx_hat * x_hat) * m / (m - 1)) / cache.std
    return dx, total(dy * x_hat), total(dy)


@zoo.wrong_forward("forward_wrong", f_backward=unbiased_backward)
def unbiased_throughout(x, weight, bias, *, eps=1e-05):
    """The gradients fit, but y is smaller than that of PyTorch, by the root of (m - 1)/m.

    "A sample's variance is divided by m - 1", from the statistics course; batch norm divides by m.
    """
    return unbiased(x, weight, bias, eps=eps)


def eps_outside_backward(dy, cache):
    std, x_mu, dx_hat = cache.std, cache.x - cache.mean, dy * cache.weight
    dx = (dx_hat - mean_of(dx_hat)) / std - x_mu * mean_of(dx_hat * x_mu) / (std**2 * (std - cache.eps))
    return dx, total(dy * cache.x_hat), total(dy)


@zoo.wrong_forward("forward_wrong", "not_finite", f_backward=eps_outside_backward)
def eps_outside_of_the_root(x, weight, bias, *, eps=1e-05):
    """The gradients fit, but y differs from PyTorch's where the variance is small.

    sqrt(var) + eps keeps from dividing by zero just as well, but is another function.
    """
    _, cache = batchnorm2d(x, weight, bias, eps=0.0)
    std = cache.std + eps
    x_hat = (x - cache.mean) / std
    return cache.weight * x_hat + bias[:, None, None], cache._replace(std=std, x_hat=x_hat, eps=eps)


def instance_norm_backward(dy, cache):
    dx_hat, x_hat = dy * cache.weight, cache.x_hat
    means = [values.mean(axis=(2, 3), keepdims=True) for values in (dx_hat, dx_hat * x_hat)]
    return (dx_hat - means[0] - x_hat * means[1]) / cache.std, total(dy * x_hat), total(dy)


@zoo.wrong_forward("forward_wrong", f_backward=instance_norm_backward)
def statistics_of_each_sample(x, weight, bias, *, eps=1e-05):
    """The gradients fit, but each sample is normalised by itself.

    `axis=(2, 3)` without the batch: an instance norm.
    """
    mean, var = x.mean(axis=(2, 3), keepdims=True), x.var(axis=(2, 3), keepdims=True)
    std, weight = np.sqrt(var + eps), weight[:, None, None]
    x_hat = (x - mean) / std
    y = weight * x_hat + bias[:, None, None]
    return y, Cache(x, mean, std, x_hat, weight, y, eps)


@zoo.wrong_forward("not_finite", "forward_wrong")
def eps_forgotten(x, weight, bias, *, eps=1e-05):
    """A channel of zeros gives NaN; with random numbers y is off by no more than eps would change it.

    eps looked like a detail, and no test had a dead channel.
    """
    with np.errstate(invalid="ignore"):
        return batchnorm2d(x, weight, bias, eps=0.0)


running = {}


@zoo.wrong_forward("stale_state")
def normalised_with_running_statistics(x, weight, bias, *, eps=1e-05):
    """The same x gives another y at each call.

    The running mean is updated first and then used, where training needs that of the batch.
    """
    y, cache = batchnorm2d(x, weight, bias, eps=eps)
    mean = running[len(weight)] = 0.9 * running.get(len(weight), 0.0) + 0.1 * cache.mean
    return y - cache.weight * (mean - cache.mean) / cache.std, cache


# Everything else


@zoo.wrong_forward("writes_input")
def centred_in_place(x, weight, bias, *, eps=1e-05):
    """y is right, but x has lost its mean, and so has the shortcut that shares it.

    `x -= mean` saves a copy.
    """
    y, cache = batchnorm2d(x, weight, bias, eps=eps)
    x -= cache.mean
    return y, cache._replace(x=x.copy(), mean=np.zeros_like(cache.mean))


@zoo.wrong_backward("writes_upstream")
def upstream_scaled_in_place(dy, cache):
    """The gradients are right, but dy comes back multiplied by the weight.

    `dy *= weight` makes dx_hat without a new array, last of all, when dweight and dbias are done.
    """
    dweight, dbias = total(dy * cache.x_hat), total(dy)
    dy *= cache.weight
    return grad_x(dy, cache._replace(weight=1.0)), dweight, dbias


@zoo.wrong_backward("wrong_order")
def bias_before_weight(dy, cache):
    """The gradients of weight and bias are right, but swapped.

    The paper derives that of beta after that of gamma; this code does it the other way round and returns them so.
    """
    return grad_x(dy, cache), total(dy), total(dy * cache.x_hat)
