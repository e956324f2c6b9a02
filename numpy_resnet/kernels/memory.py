"""Where arrays lie: on a cache line, or in the processor's registers.

A 64-byte vector that straddles two cache lines is loaded twice, and NumPy aligns to 16 bytes.
"""

import bisect
import collections
import math
import os
import threading

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from numpy_resnet.kernels.jit import DISABLED

CACHE_LINE = 64
LARGE, CHUNK, KEPT = 2**18, 2**28, 2**30  # bytes: an array that comes from a chunk, a chunk, all that is kept unused


def empty(shape, dtype):
    """An uninitialised C-contiguous array whose first element starts a cache line.

    A large one takes the place of arrays that are gone: a step of training asks for the same memory again and again,
    and what the system hands out anew it first fills with zeros, which takes as long as a pass over it.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.asarray(_Lease(size)) if size >= LARGE else _aligned(size)
    return memory.view(dtype).reshape(shape)


def _aligned(size):
    """So many bytes, from the start of a cache line."""
    memory = np.empty(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size]


class _Lease:
    """A place in a chunk, given back when the last array over it is gone."""

    def __init__(self, size):
        room = (size // CACHE_LINE + 2) * CACHE_LINE  # a line more, so that equal arrays do not share the cache's sets
        self.chunk, self.start, self.end = _arena.take(room)
        self.__array_interface__ = self.chunk.memory[self.start : self.start + size].__array_interface__

    def __del__(self):
        _arena.returned.append((self.chunk, self.start, self.end))


class _Chunk:
    """A piece of memory and its free places (start, end), in order and never side by side."""

    def __init__(self, size):
        self.memory, self.free = _aligned(size), [(0, size)]

    def take(self, size):
        """The first free place that is large enough -> start, or None."""
        for i, (start, end) in enumerate(self.free):
            if end - start >= size:
                self.free[i : i + 1] = [(start + size, end)] if end - start > size else []
                return start
        return None

    def give_back(self, start, end):
        i = bisect.bisect(self.free, (start, end))
        if i < len(self.free) and self.free[i][0] == end:
            end = self.free.pop(i)[1]
        if i and self.free[i - 1][1] == start:
            start = self.free.pop(i - 1)[0]
            i -= 1
        self.free.insert(i, (start, end))

    def unused(self):
        return self.free == [(0, self.memory.size)]


class _Arena:
    """All chunks. Low places come first, so that what is in use stays together.

    Arrays may end at any moment, in the middle of `take` too: they only leave a note in `returned`.
    """

    def __init__(self):
        self.chunks, self.returned, self.lock = [], collections.deque(), threading.Lock()
        if hasattr(os, "register_at_fork"):  # another thread may hold the lock while the process forks
            os.register_at_fork(after_in_child=lambda: setattr(self, "lock", threading.Lock()))

    def take(self, size):
        """A free place -> chunk, start, end."""
        with self.lock:
            while self.returned:
                chunk, *place = self.returned.popleft()
                chunk.give_back(*place)
            for chunk in self.chunks:
                start = chunk.take(size)
                if start is not None:
                    return chunk, start, start + size
            while sum(chunk.memory.size for chunk in self.chunks) > KEPT and any(c.unused() for c in self.chunks):
                self.chunks.remove(next(chunk for chunk in self.chunks if chunk.unused()))
            self.chunks.append(_Chunk(max(CHUNK, size)))
            return self.chunks[-1], self.chunks[-1].take(size), size


_arena = _Arena()


def contiguous(x):
    """x itself if it is C-contiguous and a kernel may take it, else an aligned copy."""
    if x.flags.carray:
        return x
    y = empty(x.shape, x.dtype)
    y[...] = x
    return y


@intrinsic(prefer_literal=True)
def registers(typing_context, like, rows, columns):
    """In a kernel: an uninitialised array (rows, columns), both constants, of like's dtype, on the stack.

    Nothing else can point there. So where loops over it have fixed bounds, LLVM keeps all of it in registers.
    It must not be returned.
    """
    element, shape = like.dtype, (rows.literal_value, columns.literal_value)
    array = types.Array(element, 2, "C")

    def generate(context, builder, signature, arguments):
        kind, number = context.get_data_type(element), lambda n: context.get_constant(types.intp, n)
        memory = cgutils.alloca_once(builder, ir.ArrayType(kind, shape[0] * shape[1]))
        itemsize = context.get_abi_sizeof(kind)
        result = context.make_array(array)(context, builder)
        populate_array(
            result,
            data=builder.bitcast(memory, kind.as_pointer()),
            shape=[number(n) for n in shape],
            strides=[number(shape[1] * itemsize), number(itemsize)],
            itemsize=number(itemsize),
            meminfo=None,
        )
        return result._getvalue()

    return array(like, rows, columns), generate


if DISABLED:

    def registers(like, rows, columns):
        """The same without the compiler."""
        return np.empty((rows, columns), like.dtype)
