"""The shortcut without parameters: every stride-th pixel, and zeros for the channels that are new."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.kernels.memory import empty
from numpy_resnet.layout import channels_first, channels_last
from numpy_resnet.ops import _checks


class ZeroPadChannelsCache(NamedTuple):
    shape: tuple  # of x
    dtype: np.dtype
    channels: int
    stride: tuple


def zero_pad_channels(x, *, channels, stride):
    """Option A of He et al. 2015, section 3.3.   x (N, C, H, W) -> y (N, channels, ceil(H/SH), ceil(W/SW))

    y[n, before + c, oh, ow] = x[n, c, oh*SH, ow*SW], before = (channels - C) // 2, zero in the other channels.
    Raises ValueError where channels is fewer than C.
    """
    _checks.arrays(x=x)
    _checks.rank("x", x, 4)
    N, C, H, W = x.shape
    channels, (SH, SW) = _checks.integer("channels", channels, C), _checks.pair("stride", stride, 1)
    before = (channels - C) // 2
    y = empty((N, -(-H // SH), -(-W // SW), channels), x.dtype)
    y[:] = 0
    y[..., before : before + C] = channels_last(x)[:, ::SH, ::SW]
    return channels_first(y), ZeroPadChannelsCache(x.shape, x.dtype, channels, (SH, SW))


def zero_pad_channels_backward(dy, cache):
    """dx[n, c, oh*SH, ow*SW] = dy[n, before + c, oh, ow], else 0, (N, C, H, W).

    The idea: a pixel that was copied gets its gradient back, one that was skipped gets none.
    """
    (N, C, H, W), channels, (SH, SW) = cache.shape, cache.channels, cache.stride
    _checks.upstream(dy, (N, channels, -(-H // SH), -(-W // SW)), cache.dtype)
    before = (channels - C) // 2
    dx = empty((N, H, W, C), dy.dtype)
    dx[:] = 0
    dx[:, ::SH, ::SW] = channels_last(dy)[..., before : before + C]
    return channels_first(dx)
