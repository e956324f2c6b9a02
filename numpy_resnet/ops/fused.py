"""Batch norm and what follows it, in fewer passes over memory: ReLU, or the residual add and ReLU.

These ops do little with each number, so their time is that of fetching it. Each function here equals the ops that it is
made of, one after the other: `composed` makes it so, for any namespace.
"""

from typing import NamedTuple

import numpy as np

from numpy_resnet.kernels import batchnorm as kernels
from numpy_resnet.kernels.memory import empty
from numpy_resnet.layout import channels_first, channels_last
from numpy_resnet.ops import _checks
from numpy_resnet.ops.batchnorm import check_and_measure, inverse_std, through_statistics


class NormReluCache(NamedTuple):
    x: np.ndarray  # (N, C, H, W)
    weight: np.ndarray  # (C,)
    mean: np.ndarray  # (C,) of this batch
    var: np.ndarray  # (C,) of this batch, biased
    eps: float
    bias: np.ndarray  # (C,): with it, x shows again what ReLU let through


def batchnorm2d_relu(x, weight, bias, *, eps=1e-5):
    """y = relu(batchnorm2d(x, weight, bias)), in training.   x (N, C, H, W), weight and bias (C,) -> y as x

    Raises ValueError as batchnorm2d does.
    """
    eps, mean, var = check_and_measure(x, weight, bias, eps)
    pixels, C = channels_last(x), x.shape[1]
    y = empty(pixels.shape, x.dtype)
    vectors = mean, weight * inverse_std(var, eps), channels_last(bias)
    kernels.normalize_relu(pixels.reshape(-1, C), *vectors, y.reshape(-1, C))
    return channels_first(y), NormReluCache(x, weight, mean, var, eps, bias)


def batchnorm2d_relu_backward(dy, cache):
    """dx (N, C, H, W), dweight (C,), dbias (C,)

    The idea: ReLU's backward decides what comes through, and batch norm's takes its sums of that in the same pass.
    """
    x, weight, mean, var, eps, bias = cache
    _checks.upstream(dy, x.shape, x.dtype)
    x, dy, C = channels_last(x), channels_last(dy), x.shape[1]
    dh, vectors = empty(dy.shape, dy.dtype), (mean, weight * inverse_std(var, eps), channels_last(bias))
    sums = kernels.sums_behind_norm_relu(dy.reshape(-1, C), x.reshape(-1, C), *vectors, dh.reshape(-1, C))
    return through_statistics(dh, sums, cache, dh)


class NormAddReluCache(NamedTuple):
    x: np.ndarray  # (N, C, H, W)
    weight: np.ndarray  # (C,)
    mean: np.ndarray  # (C,) of this batch
    var: np.ndarray  # (C,) of this batch, biased
    eps: float
    y: np.ndarray  # (N, C, H, W): the output shows what ReLU let through, and the next op keeps it anyway


def batchnorm2d_add_relu(x, weight, bias, shortcut, *, eps=1e-5):
    """y = relu(batchnorm2d(x, weight, bias) + shortcut), in training.   x and shortcut (N, C, H, W) -> y as x

    Raises ValueError as batchnorm2d does, and unless shortcut has the shape of x.
    """
    _checks.arrays(x=x, shortcut=shortcut)
    _checks.shape("shortcut", shortcut, x.shape, "that of x")
    eps, mean, var = check_and_measure(x, weight, bias, eps)
    pixels, C = channels_last(x), x.shape[1]
    y = empty(pixels.shape, x.dtype)
    vectors = mean, weight * inverse_std(var, eps), channels_last(bias)
    other = channels_last(shortcut).reshape(-1, C)
    kernels.normalize_add_relu(pixels.reshape(-1, C), *vectors, other, y.reshape(-1, C))
    y = channels_first(y)
    return y, NormAddReluCache(x, weight, mean, var, eps, y)


def batchnorm2d_add_relu_backward(dy, cache):
    """dx (N, C, H, W), dweight (C,), dbias (C,), dshortcut (N, C, H, W)

    The idea: what ReLU lets through goes both ways, and into the shortcut as it is.
    """
    _checks.upstream(dy, cache.y.shape, cache.y.dtype)
    dy, y, x = (channels_last(array) for array in (dy, cache.y, cache.x))
    dshortcut, C = empty(dy.shape, dy.dtype), dy.shape[3]
    flat = (array.reshape(-1, C) for array in (dy, y, x))
    sums = kernels.sums_behind_relu(*flat, channels_last(cache.mean), dshortcut.reshape(-1, C))
    return *through_statistics(dshortcut, sums, cache, empty(dy.shape, dy.dtype)), channels_first(dshortcut)


class ComposedCache(NamedTuple):
    mean: np.ndarray
    var: np.ndarray
    parts: tuple  # the caches of the ops in their order


def composed(ops):
    """The four functions above by name, made of the namespace's own batchnorm2d, add and relu."""

    def batchnorm2d_relu(x, weight, bias, *, eps=1e-5):
        h, norm = ops.batchnorm2d(x, weight, bias, eps=eps)
        y, relu = ops.relu(h)
        return y, ComposedCache(norm.mean, norm.var, (norm, relu))

    def batchnorm2d_relu_backward(dy, cache):
        norm, relu = cache.parts
        return ops.batchnorm2d_backward(ops.relu_backward(dy, relu), norm)

    def batchnorm2d_add_relu(x, weight, bias, shortcut, *, eps=1e-5):
        h, norm = ops.batchnorm2d(x, weight, bias, eps=eps)
        h, add = ops.add(h, shortcut)
        y, relu = ops.relu(h)
        return y, ComposedCache(norm.mean, norm.var, (norm, add, relu))

    def batchnorm2d_add_relu_backward(dy, cache):
        norm, add, relu = cache.parts
        dh, dshortcut = ops.add_backward(ops.relu_backward(dy, relu), add)
        return *ops.batchnorm2d_backward(dh, norm), dshortcut

    functions = batchnorm2d_relu, batchnorm2d_relu_backward, batchnorm2d_add_relu, batchnorm2d_add_relu_backward
    return {function.__name__: function for function in functions}
