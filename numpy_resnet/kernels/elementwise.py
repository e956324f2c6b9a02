"""Loops over flat arrays, one pass over memory each."""

from numba import prange

from numpy_resnet.kernels.jit import parallel_jit


@parallel_jit
def relu(x, y):
    """y = max(x, 0); NaN stays NaN."""
    for i in prange(x.size):
        y[i] = 0 if x[i] <= 0 else x[i]


@parallel_jit
def relu_backward(dy, y, dx):
    """dx = dy where y > 0 (or NaN), else 0."""
    for i in prange(dy.size):
        dx[i] = 0 if y[i] <= 0 else dy[i]


@parallel_jit
def add(a, b, y):
    """y = a + b."""
    for i in prange(a.size):
        y[i] = a[i] + b[i]
