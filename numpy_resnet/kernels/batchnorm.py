"""Sums over the columns of x (M, C), M = N*H*W pixels, and the maps that batch norm makes of them.

Sums run over blocks of rows that fit the cache, in float64, and the blocks are joined in order: the result depends
neither on the number of threads nor much on the rounding of one long sum.
"""

import numpy as np

from numpy_resnet.kernels.share import parallel_jit, share

ROWS = 256


def moments(x):
    """mean (C,) and biased variance (C,) of each column, in float64.

    Each block takes its own mean and squared deviations while it is in the cache; blocks join by the formula of Chan,
    Golub & LeVeque 1983, so nothing cancels.
    """
    M, C = x.shape
    means, squares = _blocks(M, C)
    block_moments(x, means, squares)
    rows = np.minimum(ROWS, M - ROWS * np.arange(len(means)))[:, None]
    mean = (rows * means).sum(axis=0) / max(1, M)
    return mean, (squares + rows * (means - mean) ** 2).sum(axis=0) / max(1, M)


def sums_of_upstream(dy, x, mean):
    """sum of dy (C,) and sum of dy * (x - mean) (C,), in float64."""
    plain, weighted = _blocks(*x.shape)
    block_sums(dy, x, mean, plain, weighted)
    return plain.sum(axis=0), weighted.sum(axis=0)


def sums_behind_relu(dy, y, x, mean, dh):
    """dh = dy where y > 0 (or NaN), else 0, and sums_of_upstream of dh, while it is at hand."""
    plain, weighted = _blocks(*x.shape)
    mask_by_output(dy, y, x, mean, dh, plain, weighted)
    return plain.sum(axis=0), weighted.sum(axis=0)


def sums_behind_norm_relu(dy, x, mean, scale, bias, dh):
    """dh = dy where normalize_relu let x through, else 0, and sums_of_upstream of dh, while it is at hand."""
    plain, weighted = _blocks(*x.shape)
    mask_by_input(dy, x, mean, scale, bias, dh, plain, weighted)
    return plain.sum(axis=0), weighted.sum(axis=0)


def _blocks(M, C):
    """Two sums for each channel and each block of rows, zero."""
    shape = -(-M // ROWS), C
    return np.zeros(shape), np.zeros(shape)


@parallel_jit
def block_moments(part, parts, x, means, squares):
    """means[block] and the sum of squared deviations from it, of each column of a block of rows."""
    M, C = x.shape
    for block in range(*share(len(means), part, parts)):
        first, last = block * ROWS, min(M, (block + 1) * ROWS)
        mean, square = means[block], squares[block]
        for m in range(first, last):
            for c in range(C):
                mean[c] += x[m, c]
        for c in range(C):
            mean[c] /= last - first
        for m in range(first, last):
            for c in range(C):
                square[c] += (x[m, c] - mean[c]) * (x[m, c] - mean[c])


@parallel_jit
def normalize(part, parts, x, mean, scale, bias, y):
    """y = (x - mean) * scale + bias, column by column."""
    M, C = x.shape
    for m in range(*share(M, part, parts)):
        for c in range(C):
            y[m, c] = (x[m, c] - mean[c]) * scale[c] + bias[c]


@parallel_jit
def normalize_relu(part, parts, x, mean, scale, bias, y):
    """y = max((x - mean) * scale + bias, 0); NaN stays NaN."""
    M, C = x.shape
    for m in range(*share(M, part, parts)):
        for c in range(C):
            value = (x[m, c] - mean[c]) * scale[c] + bias[c]
            y[m, c] = 0 if value <= 0 else value


@parallel_jit
def normalize_add_relu(part, parts, x, mean, scale, bias, shortcut, y):
    """y = max((x - mean) * scale + bias + shortcut, 0); NaN stays NaN."""
    M, C = x.shape
    for m in range(*share(M, part, parts)):
        for c in range(C):
            value = (x[m, c] - mean[c]) * scale[c] + bias[c] + shortcut[m, c]
            y[m, c] = 0 if value <= 0 else value


@parallel_jit
def mask_by_input(part, parts, dy, x, mean, scale, bias, dh, plain, weighted):
    """What was let through is computed again, by the same formula: that is cheaper than to fetch the output."""
    M, C = x.shape
    for block in range(*share(len(plain), part, parts)):
        for m in range(block * ROWS, min(M, (block + 1) * ROWS)):
            for c in range(C):
                value = (x[m, c] - mean[c]) * scale[c] + bias[c]
                passed = 0 if value <= 0 else dy[m, c]
                dh[m, c] = passed
                plain[block, c] += passed
                weighted[block, c] += passed * (x[m, c] - mean[c])


@parallel_jit
def mask_by_output(part, parts, dy, y, x, mean, dh, plain, weighted):
    """The output shows what was let through."""
    M, C = x.shape
    for block in range(*share(len(plain), part, parts)):
        for m in range(block * ROWS, min(M, (block + 1) * ROWS)):
            for c in range(C):
                passed = 0 if y[m, c] <= 0 else dy[m, c]
                dh[m, c] = passed
                plain[block, c] += passed
                weighted[block, c] += passed * (x[m, c] - mean[c])


@parallel_jit
def block_sums(part, parts, dy, x, mean, plain, weighted):
    """The sums of dy and of dy * (x - mean) over each block of rows."""
    M, C = x.shape
    for block in range(*share(len(plain), part, parts)):
        for m in range(block * ROWS, min(M, (block + 1) * ROWS)):
            for c in range(C):
                plain[block, c] += dy[m, c]
                weighted[block, c] += dy[m, c] * (x[m, c] - mean[c])


@parallel_jit
def through_statistics(part, parts, dy, x, mean, scale, dmean, dslope, dx):
    """dx = scale * (dy - dmean - (x - mean) * dslope): what is left of dy once both statistics took their share."""
    M, C = x.shape
    for m in range(*share(M, part, parts)):
        for c in range(C):
            dx[m, c] = scale[c] * (dy[m, c] - dmean[c] - (x[m, c] - mean[c]) * dslope[c])
