"""Batch normalisation: each channel to mean 0 and variance 1, then scaled and shifted (Ioffe & Szegedy 2015)."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.kernels import batchnorm as kernels
from numpy_resnet.kernels.memory import empty
from numpy_resnet.layout import channels_first, channels_last
from numpy_resnet.ops import _checks


class Batchnorm2dCache(NamedTuple):
    x: np.ndarray  # (N, C, H, W)
    weight: np.ndarray  # (C,)
    mean: np.ndarray  # (C,) of this batch; a constant in inference
    var: np.ndarray  # (C,) of this batch, biased; a constant in inference
    eps: float


def batchnorm2d(x, weight, bias, *, eps=1e-5):
    """Normalise with the statistics of this batch (training).   x (N, C, H, W), weight and bias (C,) -> y as x

    y = weight * (x - mean) / sqrt(var + eps) + bias, mean and biased var over N, H, W.
    Raises ValueError for a single value per channel, which has no variance.   Ioffe & Szegedy 2015, algorithm 1.
    """
    eps, mean, var = check_and_measure(x, weight, bias, eps)
    y = _normalize(x, mean, weight * inverse_std(var, eps), bias)
    return y, Batchnorm2dCache(x, weight, mean, var, eps)


def batchnorm2d_backward(dy, cache):
    """dx (N, C, H, W), dweight (C,), dbias (C,)

    dbias = sum(dy);  dweight = sum(dy * x_hat);
    dx = weight / std * (dy - mean(dy) - x_hat * mean(dy * x_hat)), with x_hat = (x - mean) / std.

    The idea: x reaches y on three paths. Directly; through the mean, which takes back what all pixels share;
    and through the variance, which takes back what goes along with x_hat.
    """
    _checks.upstream(dy, cache.x.shape, cache.x.dtype)
    C = dy.shape[1]
    dy, x = channels_last(dy), channels_last(cache.x)
    sums = kernels.sums_of_upstream(dy.reshape(-1, C), x.reshape(-1, C), channels_last(cache.mean))
    return through_statistics(dy, sums, cache, empty(dy.shape, dy.dtype))


def batchnorm2d_inference(x, weight, bias, running_mean, running_var, *, eps=1e-5):
    """Normalise with given statistics (evaluation).   x (N, C, H, W), the others (C,) -> y as x

    y = weight * (x - running_mean) / sqrt(running_var + eps) + bias.   Raises ValueError unless shapes agree.
    """
    eps = _check(x, weight, bias=bias, running_mean=running_mean, running_var=running_var, eps=eps)
    y = _normalize(x, running_mean, weight * inverse_std(running_var, eps), bias)
    return y, Batchnorm2dCache(x, weight, running_mean, running_var, eps)


def batchnorm2d_inference_backward(dy, cache):
    """dx (N, C, H, W), dweight (C,), dbias (C,)

    dbias = sum(dy);  dweight = sum(dy * x_hat);  dx = weight / std * dy.
    The idea: the statistics are constants here, so x reaches y on one path only, and not through mean and variance.
    """
    x, weight, mean, var, eps = cache
    _checks.upstream(dy, x.shape, x.dtype)
    inv_std, C, nothing = inverse_std(var, eps), x.shape[1], np.zeros_like(mean)
    dbias, dweight = kernels.sums_of_upstream(
        channels_last(dy).reshape(-1, C), channels_last(x).reshape(-1, C), channels_last(mean)
    )
    dx = _normalize(dy, nothing, weight * inv_std, nothing)
    return dx, (dweight * inv_std).astype(x.dtype), dbias.astype(x.dtype)


def check_and_measure(x, weight, bias, eps):
    """eps, and the mean (C,) and biased variance (C,) of x, once the arguments are known to fit each other."""
    eps = _check(x, weight, bias=bias, eps=eps)
    N, C, H, W = x.shape
    if N * H * W == 1:
        raise ValueError(
            f"x must have more than one value per channel in training; got shape {x.shape}: "
            "use a larger batch, larger images or inference"
        )
    mean, var = kernels.moments(channels_last(x).reshape(-1, C))
    return eps, mean.astype(x.dtype), var.astype(x.dtype)


def inverse_std(var, eps):
    """1 / sqrt(var + eps), in the dtype of var."""
    return 1 / np.sqrt(var + var.dtype.type(eps))


def through_statistics(dy, sums, cache, dx):
    """dx, dweight, dbias of batch norm in training, dy (N, H, W, C) and its sums; writes dx (N, H, W, C)."""
    x, weight, mean, var, eps = cache[:5]
    N, C, H, W = x.shape
    inv_std, M = inverse_std(var, eps), x.dtype.type(max(1, N * H * W))
    dbias, dweight = sums[0].astype(x.dtype), (sums[1] * inv_std).astype(x.dtype)
    flat = (array.reshape(-1, C) for array in (dy, channels_last(x)))
    vectors = channels_last(mean), weight * inv_std, dbias / M, dweight * inv_std / M
    kernels.through_statistics(*flat, *vectors, dx.reshape(-1, C))
    return channels_first(dx), dweight, dbias


def _check(x, weight, *, eps, **vectors):
    _checks.arrays(x=x, weight=weight, **vectors)
    _checks.rank("x", x, 4)
    for name, vector in {"weight": weight, **vectors}.items():
        _checks.shape(name, vector, (x.shape[1],), "one value for each channel of x")
    return _checks.number("eps", eps, 0, np.inf)


def _normalize(x, mean, scale, bias):
    """(x - mean) * scale + bias, channel by channel: (N, C, H, W) -> (N, C, H, W)."""
    x = channels_last(x)
    y = empty(x.shape, x.dtype)
    C = x.shape[-1]
    vectors = (channels_last(vector) for vector in (mean, scale, bias))
    kernels.normalize(x.reshape(-1, C), *vectors, y.reshape(-1, C))
    return channels_first(y)
