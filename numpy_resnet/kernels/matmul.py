"""The matrix product, in Numba: as fast as BLAS, but one thread pool owns the cores and no bit depends on it.

A tile of y is summed in the processor's registers (`vectors.add_tile`). Its columns of b lie in a panel, copied side by
side, which stays in the first cache while a block of rows of a, in the second cache, passes by.
Goto & van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication".
"""

from numba import get_num_threads, prange

from numpy_resnet.kernels.jit import DISABLED, jit, parallel_jit
from numpy_resnet.kernels.memory import contiguous, empty, registers
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
    (rows, depth), panels, workers = a.shape, -(-b.shape[1] // COLUMNS), get_num_threads()
    slab = max(1, SLAB // (max(1, panels) * COLUMNS * DEPTH)) * DEPTH
    packed = empty((panels, min(slab, depth), COLUMNS), y.dtype)
    blocks, groups = max(-(-rows // BLOCK), min(workers, -(-rows // (4 * ROWS)))), -(-panels // GROUP)
    while groups < panels and blocks * groups < 4 * workers and blocks * groups % workers:
        groups += 1  # else some threads would wait for the last
    block, group = (-(-size // max(1, parts)) for size, parts in ((rows, blocks), (panels, groups)))
    block = -(-max(1, block) // ROWS) * ROWS
    scratch = empty((workers, DEPTH * BLOCK), y.dtype)
    multiply(*_flat(a), *_flat(b), depth, y, accumulate, slab, packed, block, max(1, group), scratch)


def _flat(x):
    """x's numbers as they lie in memory, in C or in Fortran order, and how far apart rows and columns are there."""
    if x.flags.f_contiguous and x.flags.behaved and not x.flags.c_contiguous:
        return x.T.reshape(-1), 1, len(x)
    return contiguous(x).reshape(-1), x.shape[1], 1


@parallel_jit
def add_transposed(x, y, accumulate):
    """y = or += x.T, in squares, so that neither side jumps far."""
    rows, columns = y.shape
    for block in prange((rows + COLUMNS - 1) // COLUMNS):
        i0, i1 = block * COLUMNS, min(rows, (block + 1) * COLUMNS)
        for j0 in range(0, columns, COLUMNS):
            for i in range(i0, i1):
                for j in range(j0, min(columns, j0 + COLUMNS)):
                    y[i, j] = x[j, i] + (y[i, j] if accumulate else 0)


@parallel_jit
def multiply(a, a_row, a_step, b, b_step, b_column, depth, y, accumulate, slab, packed, block, group, scratch):
    """y = a @ b, or y += a @ b.   a (I, K) and b (K, J) flat, with the distance of two rows and of two columns.

    `slab` rows of b at a time are laid out in packed (panels, slab, COLUMNS). A task is `block` rows times `group`
    panels. Each number of y belongs to one task and is summed over k in one order, whatever the number of threads.
    scratch (workers, DEPTH*BLOCK)
    """
    (rows, columns), panels, workers = y.shape, len(packed), len(scratch)
    groups = (panels + group - 1) // group
    tasks = (rows + block - 1) // block * groups
    for s0 in range(0, max(depth, 1), slab):
        s1 = min(depth, s0 + slab)
        for panel in prange(panels):
            at, count = s0 * b_step + panel * COLUMNS * b_column, min(COLUMNS, columns - panel * COLUMNS)
            lay_out(b, at, b_step, b_column, packed[panel], s1 - s0, count)
        for worker in prange(workers):
            for task in range(tasks * worker // workers, tasks * (worker + 1) // workers):
                first, i0 = task % groups * group, task // groups * block
                i1 = min(rows, i0 + block)
                for k0 in range(s0, max(s1, 1), DEPTH):
                    left, at, row, step, steps = a, i0 * a_row + k0 * a_step, a_row, a_step, min(DEPTH, s1 - k0)
                    if row == 1:  # a's rows lie side by side: nearer to each other they do not push each other out
                        lay_out_left(a, at, step, scratch[worker], steps, i1 - i0)
                        left, at, step = scratch[worker], 0, BLOCK
                    for panel in range(first, min(first + group, panels)):
                        count = min(COLUMNS, columns - panel * COLUMNS)
                        for i in range(i0, i1, ROWS):
                            place = at + (i - i0) * row, row, step, packed[panel], (k0 - s0) * COLUMNS, y
                            to, more = i * columns + panel * COLUMNS, accumulate or k0 > 0
                            if i + ROWS <= i1 and count == COLUMNS:
                                add_tile(left, *place, to, columns, steps, more)
                            else:
                                add_part(left, *place, to, min(ROWS, i1 - i), count, steps, more)


@jit
def lay_out(b, at, b_step, b_column, panel, depth, count):
    """panel[k, j] = b[at + k*b_step + j*b_column] for j < count, else zero."""
    if count == COLUMNS and b_column == 1:
        for k in range(depth):
            for j in range(0, COLUMNS, LANES):
                store(panel, k * COLUMNS + j, load(b, at + k * b_step + j))
        return
    for j in range(COLUMNS):
        for k in range(depth):
            panel[k, j] = b[at + k * b_step + j * b_column] if j < count else 0


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
        add_tile(a, at, a_row, a_step, panel, panel_at, tile, 0, COLUMNS, depth, False)
    else:
        for row in range(ROWS):
            start = at + min(row, rows - 1) * a_row
            for k in range(depth):
                part[row, k] = a[start + k * a_step]
        add_tile(part, 0, DEPTH, 1, panel, panel_at, tile, 0, COLUMNS, depth, False)
    flat = y.reshape(-1)
    for row in range(rows):
        for column in range(columns):
            place = to + row * width + column
            flat[place] = (flat[place] if accumulate else 0) + tile[row, column]
