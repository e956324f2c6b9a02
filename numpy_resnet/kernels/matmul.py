"""The matrix product, in Numba: nearly BLAS, but one thread pool owns the cores and no bit depends on its size.

A tile of y, 4x64, is summed in the processor's registers: for each k, four numbers of a meet one row of b. That row
lies in a panel, 64 columns of b copied side by side, which all rows of a block of y read from the cache.
Goto & van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication".
"""

import numpy as np
from numba import prange

from numpy_resnet.kernels.jit import DISABLED, jit, parallel_jit
from numpy_resnet.kernels.memory import contiguous, empty, registers

ROWS, COLUMNS = 4, 64  # of a tile; with fewer columns LLVM unrolls before it vectorises, and is far slower
DEPTH, BLOCK = 192, 256  # rows of a panel, the most rows of y that share it


def matmul(a, b, *, out=None, accumulate=False):
    """a @ b, a (I, K), b (K, J) -> (I, J), into `out` (C-contiguous) if given, added to it if `accumulate`.

    Without the compiler NumPy does it, so that real sizes stay bearable in a debugger.
    """
    y = empty((len(a), b.shape[1]), a.dtype) if out is None else out
    if DISABLED:
        y[...] = y + a @ b if accumulate else a @ b
        return y
    multiply(_in_order(a), _in_order(b), y, accumulate)
    return y


def _in_order(x):
    """x itself if it lies in C or in Fortran order, else a copy that does."""
    return x if x.flags.f_contiguous and x.flags.behaved else contiguous(x)


@parallel_jit
def multiply(a, b, y, accumulate):
    """y = a @ b, or y += a @ b.   a (I, K) and b (K, J) in C or Fortran order, y (I, J) in C order.

    Each block of y belongs to one thread and sums over k in one order, whatever the number of threads.
    """
    (rows, depth), columns = a.shape, b.shape[1]
    panels, blocks = (columns + COLUMNS - 1) // COLUMNS, (rows + BLOCK - 1) // BLOCK
    size = (rows + blocks * ROWS - 1) // max(1, blocks * ROWS) * ROWS  # blocks of one size keep all threads busy
    for block in prange(panels * blocks):
        first, j0 = block % blocks * size, block // blocks * COLUMNS
        panel = np.empty((DEPTH, COLUMNS), y.dtype)
        for k0 in range(0, max(depth, 1), DEPTH):
            k1 = min(k0 + DEPTH, depth)
            lay_out(b, panel, np.uintp(k0), np.uintp(k1), np.uintp(j0), np.uintp(min(COLUMNS, columns - j0)))
            for i0 in range(first, min(first + size, rows), ROWS):
                add_tile(a, panel, y, np.uintp(i0), np.uintp(j0), np.uintp(k0), np.uintp(k1), accumulate or k0 > 0)


@jit
def lay_out(b, panel, k0, k1, j0, columns):
    """panel[k] = b[k0 + k, j0 : j0 + columns], the rest of the row zero."""
    for k in range(k1 - k0):
        for j in range(columns):
            panel[k, j] = b[k0 + k, j0 + j]
        for j in range(columns, COLUMNS):
            panel[k, j] = 0


@jit
def add_tile(a, panel, y, i0, j0, k0, k1, accumulate):
    """y[i0 : i0 + ROWS, j0 : j0 + COLUMNS] = or += a[..., k0:k1] @ panel, as far as y reaches.

    Indices are unsigned: they cannot count from the end, so nothing is checked and the loops become vectors.
    """
    tile = registers(y, ROWS, COLUMNS)
    last = np.uintp(len(y) - 1)
    for i in range(ROWS):
        for j in range(COLUMNS):
            tile[i, j] = 0
    for k in range(k1 - k0):
        for i in range(ROWS):
            factor = a[min(np.uintp(i0 + i), last), k0 + k]
            for j in range(COLUMNS):
                tile[i, j] += factor * panel[k, j]
    for i in range(min(ROWS, len(y) - i0)):
        for j in range(min(COLUMNS, y.shape[1] - j0)):
            y[i0 + i, j0 + j] = y[i0 + i, j0 + j] + tile[i, j] if accumulate else tile[i, j]
