"""Flatten: maps become one long vector for each image."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.kernels.memory import empty
from numpy_resnet.layout import channels_first
from numpy_resnet.ops import _checks


class FlattenCache(NamedTuple):
    shape: tuple  # of x
    dtype: np.dtype


def flatten(x):
    """y[n, (c, h, w)] = x[n, c, h, w].   x (N, C, H, W) -> y (N, C*H*W).   Raises ValueError for another rank."""
    _checks.arrays(x=x)
    _checks.rank("x", x, 4)
    N, C, H, W = x.shape
    return np.array(x, order="C").reshape(N, C * H * W), FlattenCache(x.shape, x.dtype)


def flatten_backward(dy, cache):
    """dx[n, c, h, w] = dy[n, (c, h, w)], (N, C, H, W).   The idea: nothing was computed, so nothing changes."""
    N, C, H, W = cache.shape
    _checks.upstream(dy, (N, C * H * W), cache.dtype)
    dx = empty((N, H, W, C), dy.dtype)
    channels_first(dx)[...] = dy.reshape(N, C, H, W)
    return channels_first(dx)
