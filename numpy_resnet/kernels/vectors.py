"""The processor's vectors: LANES numbers that are loaded, computed with and stored as one.

LLVM makes vectors of plain loops by itself. Here it is told to, where a loop's body is too long for it to see, or where
all depends on what stays in registers. A `Vector` adds, subtracts and multiplies as a number does, so a formula reads
the same for both. Without the compiler it is an array of LANES numbers.

Places in arrays are counted in elements from the array's start: `load(x, at)` reads x.ravel()[at : at + LANES].
"""

import operator

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from numpy_resnet.kernels.jit import DISABLED


def _wide_registers():
    """Whether Numba compiles for 32 registers of 512 bits (AVX-512), not for 16 of 256 bits (AVX2) or less."""
    features = numba.config.CPU_FEATURES
    if features is None:
        features = "" if numba.config.CPU_NAME else llvmlite.binding.get_host_cpu_features().flatten()
    return "+avx512f" in features


LANES, ROWS = (16, 12) if _wide_registers() else (8, 6)
COLUMNS = 16  # a tile of a matrix product is ROWS x COLUMNS sums, all in registers
FLAGS = ("contract", "reassoc")  # as in jit.py


class Vector(types.Type):
    """LANES numbers of one dtype."""

    def __init__(self, dtype):
        self.dtype = dtype
        super().__init__(f"Vector({dtype}, {LANES})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, ir.VectorType(manager.lookup(vector.dtype).get_value_type(), LANES))


@intrinsic
def load(typing_context, x, at):
    """LANES numbers of the C-contiguous array x."""

    def generate(context, builder, signature, arguments):
        return builder.load(_pointer(context, builder, signature.args[0], *arguments), align=x.dtype.bitwidth // 8)

    return Vector(x.dtype)(x, types.intp), generate


@intrinsic
def store(typing_context, x, at, vector):
    """Write LANES numbers into the C-contiguous array x."""

    def generate(context, builder, signature, arguments):
        *place, value = arguments
        builder.store(value, _pointer(context, builder, signature.args[0], *place), align=x.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(x, types.intp, vector), generate


@intrinsic(prefer_literal=True)
def load_line(typing_context, x, at, step, count):
    """A tuple of `count` vectors, a constant, `step` apart: load(x, at), load(x, at + step), ..."""
    line = types.UniTuple(Vector(x.dtype), count.literal_value)

    def generate(context, builder, signature, arguments):
        array, at, step, _ = arguments
        vectors = []
        for _ in range(line.count):
            place = _pointer(context, builder, signature.args[0], array, at)
            vectors.append(builder.load(place, align=x.dtype.bitwidth // 8))
            at = builder.add(at, step)
        return context.make_tuple(builder, line, vectors)

    return line(x, types.intp, types.intp, count), generate


@intrinsic
def store_line(typing_context, x, at, step, vectors):
    """Write a tuple of vectors, `step` apart: the inverse of load_line."""

    def generate(context, builder, signature, arguments):
        array, at, step, line = arguments
        for i in range(vectors.count):
            place = _pointer(context, builder, signature.args[0], array, at)
            builder.store(builder.extract_value(line, i), place, align=x.dtype.bitwidth // 8)
            at = builder.add(at, step)
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp, vectors), generate


@intrinsic
def add_tile(typing_context, a, a_at, a_row, a_step, b, b_at, ahead, y, y_at, y_row, depth, accumulate):
    """y[i, j] = or += the sum over k < depth of a[i, k] * b[k, j], for ROWS rows i and COLUMNS columns j.

    a[i, k] lies at a_at + i*a_row + k*a_step, b[k, j] at b_at + k*COLUMNS + j, y[i, j] at y_at + i*y_row + j.
    The heart of every product: for each k, ROWS numbers of a meet one row of b, and all sums stay in registers.
    Meanwhile the memory fetches the rows that come next, `ahead` of these in b.
    """

    def generate(context, builder, signature, arguments):
        array_a, a_at, a_row, a_step, array_b, b_at, ahead, array_y, y_at, y_row, depth, accumulate = arguments
        kind, itemsize = context.get_data_type(a.dtype), a.dtype.bitwidth // 8
        vector, number = ir.VectorType(kind, LANES), lambda n: context.get_constant(types.intp, n)
        parts, zero = range(COLUMNS // LANES), ir.Constant(vector, [0.0] * LANES)
        sums = [[cgutils.alloca_once_value(builder, zero) for _ in parts] for _ in range(ROWS)]
        a_type, b_type, y_type = signature.args[0], signature.args[4], signature.args[7]
        row_at = [builder.add(a_at, builder.mul(a_row, number(i))) for i in range(ROWS)]
        a_rows = [_pointer(context, builder, a_type, array_a, at, vector=False) for at in row_at]
        with cgutils.for_range(builder, depth, intp=ir.IntType(64)) as loop:
            row = builder.add(b_at, builder.mul(loop.index, number(COLUMNS)))
            at = [builder.add(row, number(part * LANES)) for part in parts]
            _prefetch(builder, _pointer(context, builder, b_type, array_b, builder.add(row, ahead), vector=False))
            b_row = [builder.load(_pointer(context, builder, b_type, array_b, j), align=itemsize) for j in at]
            for i in range(ROWS):
                factor = builder.load(builder.gep(a_rows[i], [builder.mul(loop.index, a_step)]))
                factor = _repeat(builder, vector, factor)
                for part in parts:
                    product = builder.fmul(factor, b_row[part], flags=FLAGS)
                    builder.store(builder.fadd(builder.load(sums[i][part]), product, flags=FLAGS), sums[i][part])
        totals, places = [], []
        for i in range(ROWS):
            for part in parts:
                at = builder.add(builder.add(y_at, builder.mul(y_row, number(i))), number(part * LANES))
                places.append(_pointer(context, builder, y_type, array_y, at))
                totals.append(builder.load(sums[i][part]))
        with builder.if_else(accumulate) as (then, otherwise):
            with then:
                for place, total in zip(places, totals, strict=True):
                    builder.store(builder.fadd(builder.load(place, align=itemsize), total), place, align=itemsize)
            with otherwise:
                for place, total in zip(places, totals, strict=True):
                    builder.store(total, place, align=itemsize)
        return context.get_dummy_value()

    integers = (types.intp,) * 3
    return types.void(a, *integers, b, types.intp, types.intp, y, *integers, types.boolean), generate


def _prefetch(builder, pointer):
    """Ask for the cache line there, to be read, into all caches."""
    byte = ir.IntType(8).as_pointer()
    integers = [ir.Constant(ir.IntType(32), value) for value in (0, 3, 1)]
    kind = ir.FunctionType(ir.VoidType(), [byte, *(integer.type for integer in integers)])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(function, [builder.bitcast(pointer, byte), *integers])


def _pointer(context, builder, array_type, array, at, *, vector=True):
    data = builder.gep(context.make_array(array_type)(context, builder, array).data, [at])
    kind = ir.VectorType(context.get_data_type(array_type.dtype), LANES)
    return builder.bitcast(data, kind.as_pointer()) if vector else data


def _repeat(builder, vector, number):
    nothing, first = ir.Constant(vector, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    one = builder.insert_element(nothing, number, first)
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _arithmetic(instruction):
    """Vector op Vector, as an intrinsic."""

    @intrinsic
    def apply(typing_context, a, b):
        def generate(context, builder, signature, arguments):
            return getattr(builder, instruction)(*arguments, flags=FLAGS)

        return a(a, b), generate

    return apply


_add, _subtract, _multiply = (_arithmetic(instruction) for instruction in ("fadd", "fsub", "fmul"))


@intrinsic
def at_least(typing_context, vector, floor):
    """The numbers above floor, and NaN; floor for the others."""

    def generate(context, builder, signature, arguments):
        least = _repeat(builder, context.get_value_type(vector), arguments[1])
        return builder.select(builder.fcmp_ordered("<=", arguments[0], least), least, arguments[0])

    return vector(vector, vector.dtype), generate


@intrinsic
def _spread(typing_context, number, like):
    """A vector of one number."""

    def generate(context, builder, signature, arguments):
        value = context.cast(builder, arguments[0], signature.args[0], like.dtype)
        return _repeat(builder, context.get_value_type(like), value)

    return like(number, like), generate


def _both(a, b):
    return isinstance(a, Vector) and isinstance(b, Vector)


@overload(operator.add)
def _overload_add(a, b):
    return (lambda a, b: _add(a, b)) if _both(a, b) else None


@overload(operator.sub)
def _overload_sub(a, b):
    return (lambda a, b: _subtract(a, b)) if _both(a, b) else None


@overload(operator.mul)
def _overload_mul(a, b):
    if _both(a, b):
        return lambda a, b: _multiply(a, b)
    if isinstance(b, Vector) and isinstance(a, types.Number):
        return lambda a, b: _multiply(_spread(a, b), b)
    return None


if DISABLED:

    def load(x, at):
        """The same without the compiler."""
        return x.reshape(-1)[at : at + LANES].copy()

    def store(x, at, vector):
        """The same without the compiler."""
        x.reshape(-1)[at : at + LANES] = vector

    def at_least(vector, floor):
        """The same without the compiler."""
        return np.where(vector <= floor, floor, vector)

    def load_line(x, at, step, count):
        """The same without the compiler."""
        return tuple(load(x, at + i * step) for i in range(count))

    def store_line(x, at, step, vectors):
        """The same without the compiler."""
        for i, vector in enumerate(vectors):
            store(x, at + i * step, vector)

    def add_tile(a, a_at, a_row, a_step, b, b_at, ahead, y, y_at, y_row, depth, accumulate):
        """The same without the compiler."""
        i, j, k = np.arange(ROWS)[:, None], np.arange(COLUMNS), np.arange(depth)
        product = a.reshape(-1)[a_at + i * a_row + k * a_step] @ b.reshape(-1)[b_at + k[:, None] * COLUMNS + j]
        y = y.reshape(-1)
        places = y_at + i * y_row + j
        y[places] = y[places] + product if accumulate else product
