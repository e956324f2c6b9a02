"""The matrix product, in Numba: as fast as BLAS, but one thread pool owns the cores and no bit depends on it.

A tile of y is summed in the processor's registers (`vectors.add_tile`). Its columns of b lie in a panel, copied side by
side, which stays in the first cache while a block of rows of a, in the second cache, passes by.
Goto & van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication".
"""

import numpy as np

from numpy_resnet.kernels.elementwise import finish, finishing
from numpy_resnet.kernels.jit import DISABLED, jit
from numpy_resnet.kernels.memory import contiguous, empty, registers
from numpy_resnet.kernels.share import parallel_jit, share
from numpy_resnet.kernels.threads import get_num_threads
from numpy_resnet.kernels.vectors import COLUMNS, LANES, ROWS, add_tile, load, store

BLOCK, DEPTH, GROUP = 192, 256, 8  # rows of a block, products summed at once, panels of a task
SLAB = 2**20  # numbers of b that are laid out at once


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
    if not a.flags.c_contiguous and len(a) < b.shape[1]:  # what is laid out in turn should be the longer side
        turned = empty(y.shape[::-1], y.dtype)
        product(b.T, a.T, turned, False)
        add_transposed(turned, y, accumulate)
        return
    slab = max(1, SLAB // (max(1, b.shape[1]) * DEPTH)) * DEPTH
    for k in range(0, max(1, len(b)), slab):
        _multiply(a[:, k : k + slab], lay_out(b[k : k + slab]), y, accumulate or k > 0)


def lay_out(b):
    """b (K, J) in panels of COLUMNS columns, (panels, K, COLUMNS), for one product or for many."""
    panels = empty((-(-b.shape[1] // COLUMNS), len(b), COLUMNS), b.dtype)
    lay_out_panels(*_flat(b), b.shape[1], panels)
    return panels


def matmul_laid_out(a, panels, y, **more):
    """y (I, J) = a (I, K) @ b, which lies in panels;  + bias (J,) + shortcut (I, J), then ReLU, if they are given."""
    _multiply(a, panels, y, False, **more)


def _multiply(a, panels, y, accumulate, bias=None, shortcut=None, relu=False):
    rows, count, workers = len(a), len(panels), get_num_threads()
    blocks, groups = max(-(-rows // BLOCK), min(workers, -(-rows // (4 * ROWS)))), -(-count // GROUP)
    while groups < count and blocks * groups < 4 * workers and blocks * groups % workers:
        groups += 1  # else some threads would wait for the last
    block, group = (-(-size // max(1, parts)) for size, parts in ((rows, blocks), (count, groups)))
    block = -(-max(1, block) // ROWS) * ROWS
    scratch = empty((workers, DEPTH * BLOCK), y.dtype)
    end = finishing(y.dtype, y.shape[1], bias, shortcut, relu)
    multiply(*_flat(a), panels, y, accumulate, block, max(1, group), scratch, *end)


def _flat(x):
    """x's numbers as they lie in memory, in C or in Fortran order, and how far apart rows and columns are there."""
    if x.flags.f_contiguous and x.flags.behaved and not x.flags.c_contiguous:
        return x.T.reshape(-1), 1, len(x)
    if x.strides[1] == x.itemsize and x.flags.behaved and x.strides[0] >= 0:  # some columns of a larger array
        rows = x.strides[0] // x.itemsize
        return np.lib.stride_tricks.as_strided(x, (max(0, (len(x) - 1) * rows + x.shape[1]),), x.strides[1:]), rows, 1
    return contiguous(x).reshape(-1), x.shape[1], 1


@parallel_jit
def add_transposed(part, parts, x, y, accumulate):
    """y = or += x.T, in squares, so that neither side jumps far."""
    rows, columns = y.shape
    for block in range(*share((rows + COLUMNS - 1) // COLUMNS, part, parts)):
        i0, i1 = block * COLUMNS, min(rows, (block + 1) * COLUMNS)
        for j0 in range(0, columns, COLUMNS):
            for i in range(i0, i1):
                for j in range(j0, min(columns, j0 + COLUMNS)):
                    y[i, j] = x[j, i] + (y[i, j] if accumulate else 0)


@parallel_jit
def lay_out_panels(part, parts, b, b_step, b_column, columns, panels):
    """panels[panel, k, j] = b[k*b_step + (panel*COLUMNS + j)*b_column], zero beyond the columns."""
    depth = panels.shape[1]
    for p in range(*share(len(panels), part, parts)):
        at, count, panel = p * COLUMNS * b_column, min(COLUMNS, columns - p * COLUMNS), panels[p]
        if count == COLUMNS and b_column == 1:
            for k in range(depth):
                for j in range(0, COLUMNS, LANES):
                    store(panel, k * COLUMNS + j, load(b, at + k * b_step + j))
        else:
            for j in range(COLUMNS):
                for k in range(depth):
                    panel[k, j] = b[at + k * b_step + j * b_column] if j < count else 0


@parallel_jit
def multiply(part, parts, a, a_row, a_step, panels, y, accumulate, block, group, scratch, bias, shortcut, floor):
    """y = a @ b, or y += a @ b, then `finish`.   a (I, K) flat, with the distance of two rows and of two columns.

    b lies in panels (panels, K, COLUMNS). A task is `block` rows times `group` panels. Each number of y belongs to one
    task and is summed over k in one order, whatever the number of threads.   scratch (parts, DEPTH*BLOCK)
    """
    (rows, columns), (count, depth, _), scratch = y.shape, panels.shape, scratch[max(0, part)]
    groups, y_flat = (count + group - 1) // group, y.reshape(-1)
    tasks, unfinished = (rows + block - 1) // block * groups, rows if bias.size else 0
    for task in range(*share(tasks, part, parts)):
        first, i0 = task % groups * group, task // groups * block
        i1, last = min(rows, i0 + block), min(first + group, count)
        for k0 in range(0, max(depth, 1), DEPTH):
            left, at, row, step, steps = a, i0 * a_row + k0 * a_step, a_row, a_step, min(DEPTH, depth - k0)
            if row == 1:  # a's rows lie side by side: nearer to each other they do not push each other out
                lay_out_left(a, at, step, scratch, steps, i1 - i0)
                left, at, step = scratch, 0, BLOCK
            for panel in range(first, last):
                width = min(COLUMNS, columns - panel * COLUMNS)
                for i in range(i0, i1, ROWS):
                    a_at, b_at = at + (i - i0) * row, (panel * depth + k0) * COLUMNS
                    to, more = i * columns + panel * COLUMNS, accumulate or k0 > 0
                    if i + ROWS <= i1 and width == COLUMNS:
                        add_tile(left, a_at, row, step, panels, b_at, depth * COLUMNS, y, to, columns, steps, more)
                    else:
                        edge = min(ROWS, i1 - i)
                        add_part(left, a_at, row, step, panels, b_at, y, to, edge, width, steps, more)
        j, step = first * COLUMNS, max(columns, 1)
        width = min(columns, last * COLUMNS) - j
        finish(y_flat, i0 * columns + j, 1, 1, min(i1 - i0, unfinished), step, width, bias, j, shortcut, floor)


@jit
def lay_out_left(a, at, step, target, depth, rows):
    """target[k*BLOCK + i] = a[at + k*step + i] for i < rows."""
    whole = rows - rows % LANES
    for k in range(depth):
        for i in range(0, whole, LANES):
            store(target, k * BLOCK + i, load(a, at + k * step + i))
        for i in range(whole, rows):
            target[k * BLOCK + i] = a[at + k * step + i]


@jit
def add_part(a, at, a_row, a_step, panel, panel_at, y, to, rows, columns, depth, accumulate):
    """add_tile at the edge of y, where rows or columns are fewer: nothing beyond is read or written."""
    part, tile, width = registers(y, ROWS, DEPTH), registers(y, ROWS, COLUMNS), y.shape[1]
    if rows == ROWS or a_row == 1:  # laid out, a has room beyond
        add_tile(a, at, a_row, a_step, panel, panel_at, 0, tile, 0, COLUMNS, depth, False)
    else:
        for row in range(ROWS):
            start = at + min(row, rows - 1) * a_row
            for k in range(depth):
                part[row, k] = a[start + k * a_step]
        add_tile(part, 0, DEPTH, 1, panel, panel_at, 0, tile, 0, COLUMNS, depth, False)
    flat = y.reshape(-1)
    for row in range(rows):
        for column in range(columns):
            place = to + row * width + column
            flat[place] = (flat[place] if accumulate else 0) + tile[row, column]
