"""Arrays that start on a cache line.

A 64-byte vector that straddles two cache lines is loaded twice. NumPy aligns to 16 bytes, and that alone costs the
matrix product a quarter of its speed.
"""

import math

import numpy as np

CACHE_LINE = 64


def empty(shape, dtype):
    """An uninitialised C-contiguous array whose first element starts a cache line."""
    size = math.prod(shape)
    dtype = np.dtype(dtype)
    buffer = np.empty(size + CACHE_LINE // dtype.itemsize, dtype)
    start = -buffer.ctypes.data % CACHE_LINE // dtype.itemsize
    return buffer[start : start + size].reshape(shape)


def contiguous(x):
    """x itself if it is C-contiguous and a kernel may take it, else an aligned copy."""
    if x.flags.carray:
        return x
    y = empty(x.shape, x.dtype)
    y[...] = x
    return y
