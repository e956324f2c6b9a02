"""Where arrays lie: on a cache line, or in the processor's registers.

A 64-byte vector that straddles two cache lines is loaded twice, and NumPy aligns to 16 bytes.
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from numpy_resnet.kernels.jit import DISABLED

CACHE_LINE = 64


def empty(shape, dtype):
    """An uninitialised C-contiguous array whose first element starts a cache line."""
    size = math.prod(shape)
    dtype = np.dtype(dtype)
    buffer = np.empty(size + CACHE_LINE // dtype.itemsize, dtype)
    start = -buffer.ctypes.data % CACHE_LINE // dtype.itemsize
    return buffer[start : start + size].reshape(shape)


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
