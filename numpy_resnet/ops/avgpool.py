"""Average pooling: each window, or the whole map, becomes its mean, and each pixel gets its share back."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.kernels import pooling
from numpy_resnet.kernels.memory import empty
from numpy_resnet.layout import channels_first, channels_last
from numpy_resnet.ops import _checks


class Avgpool2dCache(NamedTuple):
    shape: tuple  # of x
    dtype: np.dtype
    kernel_size: tuple
    stride: tuple
    padding: tuple
    output: tuple  # (OH, OW)


def avgpool2d(x, *, kernel_size, stride=None, padding=0):
    """The mean of each window.   x (N, C, H, W) -> y (N, C, OH, OW)

    y[n, c, oh, ow] = sum over kh, kw of x[n, c, oh*SH - PH + kh, ow*SW - PW + kw] / (KH*KW): the padding counts
    as zeros, as in PyTorch. The stride defaults to the kernel. Raises ValueError as maxpool2d does.
    """
    _checks.arrays(x=x)
    _checks.rank("x", x, 4)
    N, C, H, W = x.shape
    stride = kernel_size if stride is None else stride
    kernel_size, stride, padding, (OH, OW) = _checks.window((H, W), kernel_size, stride, padding, pool=True)
    y = empty((N, OH, OW, C), x.dtype)
    pooling.avgpool(channels_last(x), y, *kernel_size, *stride, *padding)
    return channels_first(y), Avgpool2dCache(x.shape, x.dtype, kernel_size, stride, padding, (OH, OW))


def avgpool2d_backward(dy, cache):
    """dx (N, C, H, W) += dy / (KH*KW) at every pixel of each window.

    The idea: all pixels of a window have the same weight in its mean; the share of the padding is lost.
    """
    N, C, H, W = cache.shape
    _checks.upstream(dy, (N, C, *cache.output), cache.dtype)
    dx = empty((N, H, W, C), dy.dtype)
    pooling.avgpool_backward(channels_last(dy), dx, *cache.kernel_size, *cache.stride, *cache.padding)
    return channels_first(dx)


class GlobalAvgpool2dCache(NamedTuple):
    shape: tuple  # of x
    dtype: np.dtype


def global_avgpool2d(x):
    """The mean of each map.   x (N, C, H, W) -> y (N, C), y[n, c] = mean over h, w of x[n, c, h, w]

    Raises ValueError unless x has four axes and pixels.
    """
    _checks.arrays(x=x)
    _checks.rank("x", x, 4)
    mean = channels_last(x).mean(axis=(1, 2), dtype=np.float64)  # one long sum: float32 would drift
    return mean.astype(x.dtype), GlobalAvgpool2dCache(x.shape, x.dtype)


def global_avgpool2d_backward(dy, cache):
    """dx[n, c, h, w] = dy[n, c] / (H*W), (N, C, H, W).   The idea: all pixels have the same weight in the mean."""
    N, C, H, W = cache.shape
    _checks.upstream(dy, (N, C), cache.dtype)
    dx = empty((N, H, W, C), dy.dtype)
    dx[:] = dy[:, None, None, :] / (H * W)
    return channels_first(dx)
