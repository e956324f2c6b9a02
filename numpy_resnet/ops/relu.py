"""ReLU: what is positive passes, forward and backward."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.kernels import elementwise
from numpy_resnet.kernels.memory import empty
from numpy_resnet.layout import channels_first, channels_last
from numpy_resnet.ops import _checks


class ReluCache(NamedTuple):
    y: np.ndarray  # the output shows which inputs were positive, and the next op keeps it anyway


def relu(x):
    """y = max(x, 0), element by element; y has the shape of x.   Raises TypeError unless x is a float array.

    The cache keeps y itself, not a copy: who changes y before backward changes the gradient.
    """
    _checks.arrays(x=x)
    x = channels_last(x)
    y = empty(x.shape, x.dtype)
    elementwise.relu(x.reshape(-1), y.reshape(-1))
    y = channels_first(y)
    return y, ReluCache(y)


def relu_backward(dy, cache):
    """dx = dy where x > 0, else 0; dx has the shape of x.   At x = 0 the gradient is 0, as in PyTorch.

    The idea: y is x or a constant, and a constant sends nothing back.
    """
    _checks.upstream(dy, cache.y.shape, cache.y.dtype)
    dy, y = channels_last(dy), channels_last(cache.y)
    dx = empty(dy.shape, dy.dtype)
    elementwise.relu_backward(dy.reshape(-1), y.reshape(-1), dx.reshape(-1))
    return channels_first(dx)
