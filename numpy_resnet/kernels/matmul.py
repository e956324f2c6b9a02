"""The matrix product, in Numba: no BLAS, so that one thread pool owns the cores and no bit depends on its size."""

import numpy as np
from numba import prange

from numpy_resnet.kernels.jit import DISABLED, jit, parallel_jit
from numpy_resnet.kernels.memory import contiguous, empty

ROWS, COLUMNS, DEPTH = 32, 256, 240  # a tile of y, and how much of a and b it takes in at a time


def matmul(a, b, *, out=None, accumulate=False):
    """a @ b, a (I, K), b (K, J) -> (I, J), into `out` (C-contiguous) if given, added to it if `accumulate`.

    Without the compiler NumPy does it, so that real sizes stay bearable in a debugger.
    """
    y = empty((len(a), b.shape[1]), a.dtype) if out is None else out
    if DISABLED:
        y[...] = y + a @ b if accumulate else a @ b
        return y
    a = a if a.flags.f_contiguous and a.flags.behaved else contiguous(a)
    tiles(a, contiguous(b), y, accumulate)
    return y


@parallel_jit
def tiles(a, b, y, accumulate):
    """y = a @ b, or y += a @ b.   a (I, K) in C or Fortran order, b (K, J), y (I, J).

    Each tile of y belongs to one thread and sums over k in one order, whatever the number of threads.
    """
    (rows, depth), columns = a.shape, b.shape[1]
    across = (columns + COLUMNS - 1) // COLUMNS
    for tile in prange((rows + ROWS - 1) // ROWS * across):
        i0, j0 = tile // across * ROWS, tile % across * COLUMNS
        i1, j1 = min(i0 + ROWS, rows), min(j0 + COLUMNS, columns)
        j0, j1 = np.uintp(j0), np.uintp(j1)  # unsigned cannot count from the end: the loops over j become vectors
        if not accumulate:
            y[i0:i1, j0:j1] = 0
        for k0 in range(0, depth, DEPTH):  # so much of b stays in the cache for all rows of the tile
            k1 = min(k0 + DEPTH, depth)
            for i in range(i0, i1 - 3, 4):
                four_rows(a, b, y, i, j0, j1, k0, k1)
            for i in range(i1 - (i1 - i0) % 4, i1):
                one_row(a, b, y, i, j0, j1, k0, k1)


@jit
def one_row(a, b, y, i, j0, j1, k0, k1):
    """y[i, j0:j1] += a[i, k0:k1] @ b[k0:k1, j0:j1]"""
    for k in range(k0, k1):
        for j in range(j0, j1):
            y[i, j] += a[i, k] * b[k, j]


@jit
def four_rows(a, b, y, i, j0, j1, k0, k1):
    """The same for rows i to i+3, six k at a time: 24 multiply-adds for 10 loads and 4 stores."""
    for k in range(k0, k1 - 5, 6):
        a00, a01, a02, a03, a04, a05 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3], a[i, k + 4], a[i, k + 5]
        a10, a11, a12 = a[i + 1, k], a[i + 1, k + 1], a[i + 1, k + 2]
        a13, a14, a15 = a[i + 1, k + 3], a[i + 1, k + 4], a[i + 1, k + 5]
        a20, a21, a22 = a[i + 2, k], a[i + 2, k + 1], a[i + 2, k + 2]
        a23, a24, a25 = a[i + 2, k + 3], a[i + 2, k + 4], a[i + 2, k + 5]
        a30, a31, a32 = a[i + 3, k], a[i + 3, k + 1], a[i + 3, k + 2]
        a33, a34, a35 = a[i + 3, k + 3], a[i + 3, k + 4], a[i + 3, k + 5]
        for j in range(j0, j1):
            b0, b1, b2, b3, b4, b5 = b[k, j], b[k + 1, j], b[k + 2, j], b[k + 3, j], b[k + 4, j], b[k + 5, j]
            y[i, j] += a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3 + a04 * b4 + a05 * b5
            y[i + 1, j] += a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3 + a14 * b4 + a15 * b5
            y[i + 2, j] += a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3 + a24 * b4 + a25 * b5
            y[i + 3, j] += a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3 + a34 * b4 + a35 * b5
    for k in range(k1 - (k1 - k0) % 6, k1):
        a0, a1, a2, a3 = a[i, k], a[i + 1, k], a[i + 2, k], a[i + 3, k]
        for j in range(j0, j1):
            y[i, j] += a0 * b[k, j]
            y[i + 1, j] += a1 * b[k, j]
            y[i + 2, j] += a2 * b[k, j]
            y[i + 3, j] += a3 * b[k, j]
