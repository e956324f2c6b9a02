"""The residual add: two branches meet, and the gradient goes back into both."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.kernels import elementwise
from numpy_resnet.kernels.memory import empty
from numpy_resnet.layout import channels_first, channels_last
from numpy_resnet.ops import _checks


class AddCache(NamedTuple):
    shape: tuple
    dtype: np.dtype


def add(a, b):
    """y = a + b; a, b and y have one shape.   Raises ValueError unless they do: nothing is broadcast."""
    _checks.arrays(a=a, b=b)
    _checks.shape("b", b, a.shape, "that of a")
    cache = AddCache(a.shape, a.dtype)
    a, b = channels_last(a), channels_last(b)
    y = empty(a.shape, a.dtype)
    elementwise.add(a.reshape(-1), b.reshape(-1), y.reshape(-1))
    return channels_first(y), cache


def add_backward(dy, cache):
    """da = dy, db = dy, of the shape of a and b: one array, shared, which nobody may change.

    The idea: a sum passes its gradient on unchanged. So a shortcut carries it past a whole block (He et al. 2016,
    "Identity Mappings in Deep Residual Networks", eq. 5).
    """
    _checks.upstream(dy, cache.shape, cache.dtype)
    return dy, dy
