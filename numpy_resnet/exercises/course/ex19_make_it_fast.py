# %% [markdown]
# # 19. Make it fast: read each number once
#
# *Hard · 45 minutes*
#
# **Why.** The backward of batch norm begins with two sums over all pixels of a channel: dbias and dweight of lesson 10.
# In NumPy they are one line. That line computes very little for each number, and spends much of its time on fetching
# numbers from memory, those of dy twice, and on a product that nobody keeps. A compiled loop fetches each number once.
# This lesson writes it with Numba, for all cores, and such that the result is the same bit for bit however many cores
# take part.
#
# **Shapes.** `dy` and `x_hat` (M, C), one dtype, float32 or float64, C-contiguous. Here the channels come last: M is
# `N*H*W`, and a row holds the C channels of one pixel, side by side in memory. `dbias` and `dweight` (C,), in the dtype
# of dy.
#
# **By hand.** M = 4 pixels, C = 2 channels. Down each column, dbias is the sum of dy and dweight that of dy · x_hat:
#
# | pixel | dy      | x_hat   | dy · x_hat |
# |-------|---------|---------|------------|
# | 0     | 1, 2    | 2, 1    | 2, 2       |
# | 1     | 3, -1   | -1, 3   | -3, -3     |
# | 2     | 0, 4    | 5, 0    | 0, 0       |
# | 3     | -2, 1   | 1, 2    | -2, 2      |
# | sum   | *2*, *6* |        | *-3*, *1*  |
#
# **The traffic, by hand.** In float32 each of the two arrays has 4 · 2 numbers of 4 bytes: 32 bytes. The results are
# so small that they are left out.
#
# | step                             | bytes read | bytes written |
# |----------------------------------|------------|---------------|
# | `dy.sum(axis=0)`                 | 32         |               |
# | `dy * x_hat`, into a new array   | 64         | 32            |
# | the sum of that array            | 32         |               |
# | NumPy, together                  | *128*      | *32*          |
# | one pass over dy and x_hat       | *64*       |               |
#
# That is 160 bytes against 64. For 32 images in the first stage of a ResNet-18, M is 32 · 56 · 56 = 100,352 and C is
# 64. An array then has 25.7 MB, and the two versions move 128 MB and 51 MB. Arrays of that size do not stay in a
# core's own cache between one step and the next.
#
# **The order, by hand.** A float32 has 24 bits for its digits. From `2**24` = 16777216 on, only even numbers have a
# float of their own. So `2**24 + 1` is rounded back to `2**24`, and with three numbers to add:
#
# - (`2**24` + 1) + 1 = `2**24` + 1 = `2**24`
# - `2**24` + (1 + 1) = `2**24` + 2
#
# Both are correct sums of floats, each in its own order. Sums in another order have other last digits. If the order
# depends on the number of threads, a run on a laptop cannot be repeated on a server, and it is hard to say whether the
# last change of the code did something or whether only the rounding is another one.

# %%
from time import perf_counter

import numba
import numpy as np
from numba import njit, prange

# %% [markdown]
# ## What is to be beaten
#
# Two helpers: the version in NumPy, and a fair clock. Numba compiles a function at its first call with a new dtype,
# which takes longer than the work itself, so the first call is not timed. The functions take turns, so that a busy
# moment of the machine hits all of them, and the median forgets the odd slow call.


# %%
def sums_in_numpy(dy, x_hat):
    """dbias = sum of dy, dweight = sum of dy * x_hat, over the rows.   Two arrays (M, C) -> dbias, dweight (C,)"""
    return dy.sum(axis=0), (dy * x_hat).sum(axis=0)


def medians(functions, *arrays, calls=15):
    """Seconds that a call takes, the median for each function."""
    for function in functions:
        function(*arrays)  # compiles
    seconds = [[] for _ in functions]
    for _ in range(calls):
        for function, times in zip(functions, seconds, strict=True):
            start = perf_counter()
            function(*arrays)
            times.append(perf_counter() - start)
    return [float(np.median(times)) for times in seconds]


# %% [markdown]
# ## The kernel
#
# Cut the rows into *blocks* of 256; the last one may be shorter. Each block gets a row of its own in two small arrays,
# for its own sums. Who works on which block does not matter then: nobody else writes into that row, and inside of a
# block the rows are added from first to last.
#
# Numba shares the rounds of a `prange` among the threads. Inside of such a function plain loops over single numbers are
# fast; there is no need for NumPy's functions. Two ways that look shorter lead astray:
#
# - `prange` over the *rows*, where all threads add to the same C numbers. Two threads read the same old value, each
#   adds its own, and one of the two additions is lost.
# - `s += ...` on a variable from outside of the `prange` loop. Numba notices and gives each *thread* a sum of its own.
#   Nothing is lost, but with another number of threads the numbers are added in another order.
#
# To step through the kernel in a debugger, run this file with `NUMBA_DISABLE_JIT=1`: then it is plain Python.

# %%
ROWS = 256  # in a block


@njit(parallel=True)
def block_sums(dy, x_hat, plain, weighted):
    """Add to plain[b] and weighted[b] the sums of dy and of dy * x_hat over the rows of block b.

    dy and x_hat (M, C), plain and weighted (blocks, C) in float64, all zero at first; nothing is returned
    """
    # TODO: a prange over the blocks; in it, a loop over the rows of the block, and one over the channels
    ### BEGIN SOLUTION
    M, C = dy.shape
    for b in prange(len(plain)):
        for m in range(b * ROWS, min(M, (b + 1) * ROWS)):
            for c in range(C):
                plain[b, c] += dy[m, c]
                weighted[b, c] += dy[m, c] * x_hat[m, c]
    ### END SOLUTION


# %% [markdown]
# ## Around it
#
# What is small can be left to NumPy. Keep the sums of the blocks in float64, and round once, at the very end: when
# large numbers cancel, what is left of a float32 sum may have few right digits. These two arrays are small, so this
# costs no traffic to speak of.


# %%
def sums_of_upstream(dy, x_hat):
    """dbias = sum of dy, dweight = sum of dy * x_hat, over the rows; the same bits with any number of threads.

    dy and x_hat (M, C), C-contiguous, of one dtype -> dbias, dweight (C,) of that dtype
    """
    # TODO: how many blocks? Two arrays for their sums, the kernel, and then the sums of all blocks in one order
    ### BEGIN SOLUTION
    M, C = dy.shape
    blocks = -(-M // ROWS)  # M / ROWS, rounded up
    plain, weighted = np.zeros((blocks, C)), np.zeros((blocks, C))  # float64
    block_sums(dy, x_hat, plain, weighted)
    return plain.sum(axis=0).astype(dy.dtype), weighted.sum(axis=0).astype(dy.dtype)
    ### END SOLUTION


# %% [markdown] derivation
# **How it works.** The kernel takes dy[m, c] from memory once and uses it twice, for both sums, while it is at hand.
# The product never gets an address: it lives in a register, is added, and is gone. What is written, two rows of C
# numbers for 256 rows that are read, stays in the cache of the core. So the traffic is that of dy and x_hat, once.
#
# **Along the row.** The innermost loop runs over the channels, because they are neighbours in memory. Memory comes in
# lines of 64 bytes, which is sixteen float32, and all of a line is used as soon as it is there. Neighbouring channels
# also belong to different sums, so the processor can add several of them with one instruction and change no order. The
# loop the other way round, a `prange` over channels with the rows inside, gives the same bits for any number of threads
# too. But it takes 4 bytes out of each line and goes on to the next row: where this lesson was measured, it took more
# than ten times as long as NumPy.
#
# **The same bits.** Which numbers make up a block depends on M and ROWS alone, and so does the number of blocks. Inside
# of a block one thread adds the rows in order. At the end NumPy adds the blocks in an order that depends on their
# number only. The threads decide nothing but who does a block and when, and neither goes into a sum. Had the rows been
# cut into as many parts as there are threads, each thread count would have its own order of additions. Nor may the
# compiler reorder a sum, as long as nobody allows it to with Numba's `fastmath`.
#
# **Closer, too.** In one long float32 sum each small number meets a large partial sum, and loses its last digits there.
# `dy.sum(axis=0)` goes down the rows like that, one by one. With float64 in between only the last rounding is left: for
# (100352, 64) random numbers the error fell from 6 millionths of the largest sum to less than a tenth of a millionth.
# Blocks alone would help as well, since 256 small numbers are added first, and then a few hundred larger ones.
#
# **Measured.** On the machine where this lesson was written, with two cores, NumPy took 2.6 to 3.1 times as long as
# this kernel with one thread, and 3.4 to 4.2 times as long as with two, for (100352, 64) in float32; while another
# program kept one of the cores busy, 2.7 times. Counting bytes gives 160 / 64 = 2.5. It does not explain all:
# `dy.sum(axis=0)` alone took about as long as the whole kernel, which reads twice as much, since NumPy begins a new
# loop for each short row. Two cores share one memory, so twice the cores is not twice the speed. On another machine
# expect other numbers, and measure.

# %% [markdown] hints
# 1. Threads may share what they read, but not what they write. So give each block of rows a place of its own for its
#    two sums, and add up the places when all threads are done. The blocks have to be the same whoever works on them.
# 2. Block b has the rows from b * ROWS up to, but not including, min(M, (b + 1) * ROWS). For each row m and channel c:
#    `plain[b, c] += dy[m, c]` and `weighted[b, c] += dy[m, c] * x_hat[m, c]`. The number of blocks is M / ROWS rounded
#    up, which is `-(-M // ROWS)`.
# 3. plain and weighted are `np.zeros((blocks, C))`; their sums over axis 0 are (C,), for `.astype(dy.dtype)`. The loop
#    over blocks is the outermost and the only `prange`; the one over channels is the innermost.

# %%
if __name__ == "__main__":  # the example by hand: run this file
    dy = np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 4.0], [-2.0, 1.0]])
    x_hat = np.array([[2.0, 1.0], [-1.0, 3.0], [5.0, 0.0], [1.0, 2.0]])
    dbias, dweight = sums_of_upstream(dy, x_hat)
    np.testing.assert_allclose([dbias, dweight], [[2, 6], [-3, 1]])

    large, one = np.float32(2**24), np.float32(1)
    assert (large + one) + one == 2**24
    assert large + (one + one) == 2**24 + 2
    print("the example by hand agrees")

    if not numba.config.DISABLE_JIT:
        rng = np.random.default_rng(0)
        dy, x_hat = rng.standard_normal((2, 32 * 56 * 56, 64), dtype=np.float32)
        available, bits = numba.get_num_threads(), set()
        for threads in (1, 2, 4):
            if threads <= available:
                numba.set_num_threads(threads)
                bits.add(b"".join(sums.tobytes() for sums in sums_of_upstream(dy, x_hat)))
                slow, fast = medians((sums_in_numpy, sums_of_upstream), dy, x_hat)
                print(f"{threads} thread(s): NumPy {1e3 * slow:.1f} ms, Numba {1e3 * fast:.1f} ms, {slow / fast:.1f} x")
        numba.set_num_threads(available)
        assert len(bits) == 1, "another number of threads gives other bits"
