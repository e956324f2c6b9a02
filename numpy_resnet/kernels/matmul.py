"""The matrix product, in Numba: as fast as BLAS, but one thread pool owns the cores and no bit depends on it.

A tile of y is summed in the processor's registers (`vectors.add_tile`). Its columns of b lie in a panel, copied side by
side, which stays in the first cache while a block of rows of a, in the second cache, passes by.
Goto & van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication".
"""

from numba import get_num_threads, prange

from numpy_resnet.kernels.jit import DISABLED, jit, parallel_jit
from numpy_resnet.kernels.memory import contiguous, empty, registers
from numpy_resnet.kernels.vectors import COLUMNS, ROWS, add_tile

BLOCK, DEPTH, GROUP = 192, 256, 8  # rows of a block, products summed at once, panels laid out at once


def matmul(a, b, *, out=None, accumulate=False):
    """a @ b, a (I, K), b (K, J) -> (I, J), into `out` (C-contiguous) if given, added to it if `accumulate`.

    Without the compiler NumPy does it, so that real sizes stay bearable in a debugger.
    """
    y = empty((len(a), b.shape[1]), a.dtype) if out is None else out
    if DISABLED:
        y[...] = y + a @ b if accumulate else a @ b
    else:
        product(a, b, y, accumulate)
    return y


def product(a, b, y, accumulate):
    """matmul by our own kernel, with or without the compiler."""
    workers = get_num_threads()
    blocks, panels = -(-len(a) // BLOCK), -(-b.shape[1] // COLUMNS)
    groups = -(-panels // GROUP)
    while blocks * groups % workers and blocks * groups < 4 * workers and groups < panels:
        groups += 1  # else some threads would wait for the last
    group, block = -(-panels // max(1, groups)), -(-len(a) // max(1, blocks))
    scratch = empty((workers, group, DEPTH, COLUMNS), y.dtype)
    multiply(*_flat(a), *_flat(b), a.shape[1], y, accumulate, groups, group, block, scratch)


def _flat(x):
    """x's numbers as they lie in memory, in C or in Fortran order, and how far apart rows and columns are there."""
    if x.flags.f_contiguous and x.flags.behaved and not x.flags.c_contiguous:
        return x.T.reshape(-1), 1, len(x)
    return contiguous(x).reshape(-1), x.shape[1], 1


@parallel_jit
def multiply(a, a_row, a_step, b, b_step, b_column, depth, y, accumulate, groups, group, block, scratch):
    """y = a @ b, or y += a @ b.   a (I, K) and b (K, J) flat, with the distance of two rows and of two columns.

    A task is a block of `block` rows times a group of `group` panels. Each number of y belongs to one task and is
    summed over k in one order, whatever the number of threads.   scratch (workers, group, DEPTH, COLUMNS)
    """
    rows, columns = y.shape
    tasks, workers = (rows + block - 1) // max(block, 1) * groups, len(scratch)
    for worker in prange(workers):
        panels = scratch[worker]
        for task in range(tasks * worker // workers, tasks * (worker + 1) // workers):
            i0, j0 = task // groups * block, task % groups * group * COLUMNS
            i1, j1 = min(rows, i0 + block), min(columns, j0 + group * COLUMNS)
            for k0 in range(0, max(depth, 1), DEPTH):
                k1, more = min(depth, k0 + DEPTH), accumulate or k0 > 0
                for j in range(j0, j1, COLUMNS):
                    panel, count = panels[(j - j0) // COLUMNS], min(COLUMNS, j1 - j)
                    lay_out(b, k0 * b_step + j * b_column, b_step, b_column, panel, k1 - k0, count)
                    for i in range(i0, i1 - ROWS + 1, ROWS):
                        at = i * a_row + k0 * a_step
                        if count == COLUMNS:
                            add_tile(a, at, a_row, a_step, panel, 0, y, i * columns + j, columns, k1 - k0, more)
                        else:
                            add_part(a, at, a_row, a_step, panel, y, i, j, ROWS, count, k1 - k0, more)
                    left = (i1 - i0) % ROWS
                    if left:
                        at = (i1 - left) * a_row + k0 * a_step
                        add_part(a, at, a_row, a_step, panel, y, i1 - left, j, left, count, k1 - k0, more)


@jit
def lay_out(b, at, b_step, b_column, panel, depth, count):
    """panel[k, j] = b[at + k*b_step + j*b_column] for j < count, else zero."""
    for k in range(depth):
        row = panel[k]
        if count == COLUMNS and b_column == 1:
            start = at + k * b_step
            for j in range(COLUMNS):
                row[j] = b[start + j]
        else:
            for j in range(count):
                row[j] = b[at + k * b_step + j * b_column]
            row[count:] = 0


@jit
def add_part(a, at, a_row, a_step, panel, y, i, j, rows, columns, depth, accumulate):
    """add_tile at the edge of y, where rows or columns are fewer: nothing beyond is read or written."""
    part, tile = registers(y, ROWS, DEPTH), registers(y, ROWS, COLUMNS)
    for row in range(ROWS):
        start = at + min(row, rows - 1) * a_row
        for k in range(depth):
            part[row, k] = a[start + k * a_step]
    add_tile(part, 0, DEPTH, 1, panel, 0, tile, 0, COLUMNS, depth, False)
    for row in range(rows):
        for column in range(columns):
            old = y[i + row, j + column] if accumulate else 0
            y[i + row, j + column] = old + tile[row, column]
