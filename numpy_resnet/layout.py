"""NCHW shapes over channels-last memory.

Everybody speaks of images as (N, C, H, W). In memory the channels of one pixel lie side by side, (N, H, W, C), so
that the innermost loop of every kernel runs over contiguous channels. Only these two functions know it.
"""

import numpy as np


def channels_last(x):
    """(N, C, H, W) -> (N, H, W, C), C-contiguous: a view where the memory is channels-last already, else a copy.

    Other ranks likewise: axis 1 moves to the end, and a vector or a matrix stays as it is.
    """
    if x.ndim > 2:
        x = x.transpose(0, *range(2, x.ndim), 1)
    return np.require(x, requirements=("C", "ALIGNED", "WRITEABLE"))  # kernels are compiled for such arrays alone


def channels_first(x):
    """(N, H, W, C) -> (N, C, H, W): the inverse, always a view."""
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1)) if x.ndim > 2 else x
