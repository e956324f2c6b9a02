"""Where arrays lie: on a cache line, or in the processor's registers.

A 64-byte vector that straddles two cache lines is loaded twice, and NumPy aligns to 16 bytes.
"""

import contextlib
import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from numpy_resnet.kernels.jit import DISABLED

CACHE_LINE = 64
LARGE, KEPT = 2**18, 2**30  # bytes: of an array that is worth keeping, and of all that wait for their next use


def empty(shape, dtype):
    """An uninitialised C-contiguous array whose first element starts a cache line.

    A large one comes from memory that an earlier array has left: a step of training asks for the same sizes again and
    again, and what the system hands out anew it first fills with zeros, which takes as long as a pass over it.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.asarray(_Lease(size)) if size >= LARGE else _aligned(size)
    return memory[:size].view(dtype).reshape(shape)


def _aligned(size):
    """So many bytes, from the start of a cache line."""
    memory = np.empty(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size]


class _Lease:
    """Memory that goes back to `_waiting` when the last array over it is gone."""

    def __init__(self, size):
        self.memory = _waiting.take(size)
        self.__array_interface__ = self.memory.__array_interface__

    def __del__(self):
        _waiting.put(self.memory)


class _Waiting:
    """Memory that waits for its next use, by size; beyond KEPT bytes the system gets some back."""

    def __init__(self):
        self.by_size, self.bytes = {}, 0

    def take(self, size):
        step = 2 ** (size.bit_length() - 4)
        size = -(-size // step) * step  # few sizes, at most 1/8 too large
        with contextlib.suppress(KeyError, IndexError):  # rather than ask first: another thread may come between
            memory = self.by_size[size].pop()
            self.bytes -= size
            return memory
        return _aligned(size)

    def put(self, memory):
        if self.bytes + memory.size <= KEPT:
            self.bytes += memory.size
            self.by_size.setdefault(memory.size, []).append(memory)


_waiting = _Waiting()


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
