"""Loops over flat arrays, one pass over memory each."""

import numpy as np
from numba import prange

from numpy_resnet.kernels.jit import jit, parallel_jit
from numpy_resnet.kernels.vectors import LANES, load, positive, store


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


@jit
def finish(y, at, rows, row, pixels, pixel, count, bias, channel, shortcut, relu):
    """y = relu(y + bias + shortcut) on `count` channels, from `channel` on, of a rectangle of pixels.

    It begins at `at`; `row` and `pixel` are the distances of two rows and of two pixels. What is empty is not added.
    """
    whole = count - count % LANES
    for start in range(at, at + rows * row, row):
        for place in range(start, start + pixels * pixel, pixel):
            for i in range(0, whole, LANES):
                value = load(y, place + i)
                if bias.size:
                    value = value + load(bias, channel + i)
                if shortcut.size:
                    value = value + load(shortcut, place + i)
                store(y, place + i, positive(value) if relu else value)
            for i in range(whole, count):
                value = y[place + i]
                if bias.size:
                    value += bias[channel + i]
                if shortcut.size:
                    value += shortcut[place + i]
                y[place + i] = 0 if relu and value <= 0 else value


def finishing(dtype, bias=None, shortcut=None, relu=False):
    """The last arguments of kernels that call `finish`: None becomes an empty array, the shortcut flat."""
    nothing = np.empty(0, dtype)
    return nothing if bias is None else bias, nothing if shortcut is None else shortcut.reshape(-1), relu
