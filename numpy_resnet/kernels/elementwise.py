"""Loops over flat arrays, one pass over memory each."""

import numpy as np

from numpy_resnet.kernels.jit import jit
from numpy_resnet.kernels.share import parallel_jit, share
from numpy_resnet.kernels.vectors import LANES, at_least, load, store


@parallel_jit
def relu(part, parts, x, y):
    """y = max(x, 0); NaN stays NaN."""
    first, last = share(x.size, part, parts)
    x, y = x[first:last], y[first:last]
    for i in range(x.size):
        y[i] = 0 if x[i] <= 0 else x[i]


@parallel_jit
def relu_backward(part, parts, dy, y, dx):
    """dx = dy where y > 0 (or NaN), else 0."""
    first, last = share(dy.size, part, parts)
    dy, y, dx = dy[first:last], y[first:last], dx[first:last]
    for i in range(dy.size):
        dx[i] = 0 if y[i] <= 0 else dy[i]


@parallel_jit
def add(part, parts, a, b, y):
    """y = a + b."""
    first, last = share(a.size, part, parts)
    a, b, y = a[first:last], b[first:last], y[first:last]
    for i in range(y.size):
        y[i] = a[i] + b[i]


@jit
def finish(y, at, rows, row, pixels, pixel, count, bias, channel, shortcut, floor):
    """y = max(y + bias + shortcut, floor) on `count` channels, from `channel` on, of a rectangle of pixels.

    It begins at `at`; `row` and `pixel` are the distances of two rows and of two pixels. An empty shortcut is none.
    """
    whole = count - count % LANES
    others = min(whole, shortcut.size)  # none without a shortcut; an `if` would make LLVM write all loops twice
    for start in range(at, at + rows * row, row):
        for place in range(start, start + pixels * pixel, pixel):
            for i in range(0, others, LANES):
                store(y, place + i, load(y, place + i) + load(shortcut, place + i))
            for i in range(whole, min(count, whole + shortcut.size)):
                y[place + i] += shortcut[place + i]
            for i in range(0, whole, LANES):
                store(y, place + i, at_least(load(y, place + i) + load(bias, channel + i), floor))
            for i in range(whole, count):
                value = y[place + i] + bias[channel + i]
                y[place + i] = floor if value <= floor else value


def finishing(dtype, channels, bias=None, shortcut=None, relu=False):
    """The last arguments of kernels that call `finish`: bias (empty: nothing is left to do), flat shortcut, floor."""
    nothing, dtype = np.empty(0, dtype), np.dtype(dtype).type
    if bias is None and shortcut is None and not relu:
        return nothing, nothing, dtype(-np.inf)
    bias = np.zeros(channels, dtype) if bias is None else bias
    return bias, nothing if shortcut is None else shortcut.reshape(-1), dtype(0 if relu else -np.inf)
