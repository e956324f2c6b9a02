"""Dropout, inverted: what is kept is scaled up, so that nothing changes on average (Srivastava et al. 2014)."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.layout import channels_first, channels_last
from numpy_resnet.ops import _checks


class DropoutCache(NamedTuple):
    keep: np.ndarray  # boolean, of the shape of x
    p: float
    dtype: np.dtype


def dropout(x, keep, *, p):
    """y = x * keep / (1 - p); keep (a boolean array) and y have the shape of x.

    Raises TypeError unless keep is boolean, ValueError for another shape or p outside [0, 1).
    """
    _checks.arrays(x=x)
    p = _checks.number("p", p, 0, 1)
    if not isinstance(keep, np.ndarray) or keep.dtype != bool:
        came = getattr(keep, "dtype", type(keep).__name__)
        raise TypeError(f"keep must be a boolean array; got {came}: draw it with rng.random(x.shape) >= p")
    _checks.shape("keep", keep, x.shape, "that of x")
    return _scale(x, keep, p), DropoutCache(keep, p, x.dtype)


def dropout_backward(dy, cache):
    """dx = dy * keep / (1 - p), of the shape of x.   The idea: y is linear in x, and dx is the same map of dy."""
    _checks.upstream(dy, cache.keep.shape, cache.dtype)
    return _scale(dy, cache.keep, cache.p)


def _scale(x, keep, p):
    factor = (channels_last(keep) / (1 - p)).astype(x.dtype)
    return channels_first(channels_last(x) * factor)
