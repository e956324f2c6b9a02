"""Max pooling: of each window the largest, which alone gets the gradient."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.kernels import pooling
from numpy_resnet.kernels.memory import empty
from numpy_resnet.layout import channels_first, channels_last
from numpy_resnet.ops import _checks


class Maxpool2dCache(NamedTuple):
    shape: tuple  # of x
    dtype: np.dtype
    winner: np.ndarray  # (N, C, OH, OW): the winner's place kh*KW + kw in its window
    kernel_size: tuple
    stride: tuple
    padding: tuple


def maxpool2d(x, *, kernel_size, stride=None, padding=0):
    """The largest value of each window.   x (N, C, H, W) -> y (N, C, OH, OW)

    y[n, c, oh, ow] = max over kh, kw of x[n, c, oh*SH - PH + kh, ow*SW - PW + kw], -inf in the padding.
    The stride defaults to the kernel. The first of equals wins; NaN wins over all, as in PyTorch.
    Raises ValueError where the kernel does not fit, or the padding is more than half of it.
    """
    _checks.arrays(x=x)
    _checks.rank("x", x, 4)
    N, C, H, W = x.shape
    stride = kernel_size if stride is None else stride
    kernel_size, stride, padding, (OH, OW) = _checks.window((H, W), kernel_size, stride, padding, pool=True)
    y = empty((N, OH, OW, C), x.dtype)
    winner = empty((N, OH, OW, C), np.int32)
    pooling.maxpool(channels_last(x), y, winner, *kernel_size, *stride, *padding)
    return channels_first(y), Maxpool2dCache(x.shape, x.dtype, channels_first(winner), kernel_size, stride, padding)


def maxpool2d_inference(x, *, kernel_size, stride=None, padding=0):
    """y of maxpool2d, without a cache: nobody asks who won."""
    _checks.arrays(x=x)
    _checks.rank("x", x, 4)
    N, C, H, W = x.shape
    stride = kernel_size if stride is None else stride
    kernel_size, stride, padding, (OH, OW) = _checks.window((H, W), kernel_size, stride, padding, pool=True)
    y = empty((N, OH, OW, C), x.dtype)
    pooling.maxpool_values(channels_last(x), y, *kernel_size, *stride, *padding)
    return channels_first(y)


def maxpool2d_backward(dy, cache):
    """dx (N, C, H, W) += dy at the winner of each window, else 0.

    The idea: y is a copy of the winner, so the winner gets all of dy; one that wins in two windows gets both.
    """
    N, C, H, W = cache.shape
    _checks.upstream(dy, cache.winner.shape, cache.dtype)
    dx = empty((N, H, W, C), dy.dtype)
    winner = channels_last(cache.winner)
    pooling.maxpool_backward(channels_last(dy), winner, dx, *cache.kernel_size, *cache.stride, *cache.padding)
    return channels_first(dx)
