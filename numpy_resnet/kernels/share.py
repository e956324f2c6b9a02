"""A kernel's loop, shared among threads: each call does one part of it.

Python calls a kernel without `part` and `parts`. The call that Numba compiles gets part = -1, and when it comes to
`share` it lets Numba's threads call the same function, with the same arguments, once for each part. (`numba.prange`
would do as much, but copies the loop into a function of its own and has LLVM optimise it three times.)
"""

import functools

import numba
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from numpy_resnet.kernels import threads
from numpy_resnet.kernels.jit import DISABLED, FLAGS, jit, keep_on_disk


def parallel_jit(function):
    """Compile function(part, parts, ...) that does one part of the work, as `share` tells it; without a result.

    Python calls it with the other arguments alone. Then all parts run, one in each thread, as many as `set_num_threads`
    says; with `rounds` parts go on to rounds*parts, and no thread begins a round before all have ended the last.
    """
    compiled = numba.njit(**FLAGS)(function)
    if not DISABLED:
        keep_on_disk(compiled)

    @functools.wraps(function)
    def kernel(*arguments, rounds=1):
        if DISABLED:
            for part in range(rounds):
                function(part, 1, *arguments)
        elif rounds:
            with threads.ours():
                _start()
                compiled(-rounds, threads.get_num_threads(), *arguments)

    return kernel


@jit
def share(n, part, parts):
    """(first, last): what of range(n) this part does. To be called once; what stands before it every part does."""
    if part < 0:
        function, arguments = _this_call()
        _run(function, arguments, -part, parts)
        n = 0  # all is done
    part %= parts
    return n * part // parts, n * (part + 1) // parts


@functools.cache
def _start():
    """Numba's threads start with the first function that uses them, or with its loading from disk."""
    _run(0, 0, 0, 1)


@numba.njit(**FLAGS, parallel=True)
def _run(function, arguments, rounds, parts):
    for first in range(0, rounds * parts, parts):
        for part in prange(parts):
            _call(function, arguments, first + part)


@intrinsic
def _this_call(typing_context):
    """The addresses of a function that calls the calling kernel anew, for another part, and of its arguments."""

    def generate(context, builder, signature, _):
        kernel, integer, byte = builder.function, context.get_value_type(types.intp), ir.IntType(8).as_pointer()
        kinds = [value.type for value in kernel.args]
        arguments = cgutils.alloca_once(builder, ir.LiteralStructType(kinds))
        for i, value in enumerate(kernel.args):
            builder.store(value, cgutils.gep_inbounds(builder, arguments, 0, i))
            if isinstance(value.type, ir.PointerType):
                value.add_attribute("noalias")  # no kernel reads by one name what it writes by another
        again = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), [integer, integer]), f"{kernel.name}.part")
        again.linkage = "internal"
        inner = ir.IRBuilder(again.append_basic_block())
        kept = inner.inttoptr(again.args[1], arguments.type)
        values = [inner.load(cgutils.gep_inbounds(inner, kept, 0, i)) for i in range(len(kinds))]
        values[2] = again.args[0]  # behind Numba's places for the result and for an exception
        for i in range(3, len(kinds) - 1):
            if kinds[i] == kinds[i + 1] == byte:  # an array: who counts references to it, and who owns it
                values[i] = byte(None)  # the caller's count will do; threads that all count would wait for each other
        inner.call(kernel, values)
        inner.ret_void()
        both = [builder.ptrtoint(pointer, integer) for pointer in (again, arguments)]
        return context.make_tuple(builder, signature.return_type, both)

    return types.UniTuple(types.intp, 2)(), generate


@intrinsic
def _call(typing_context, function, arguments, part):
    """Call what `_this_call` made."""

    def generate(context, builder, signature, values):
        function, arguments, part = values
        kind = ir.FunctionType(ir.VoidType(), [part.type, arguments.type])
        builder.call(builder.inttoptr(function, kind.as_pointer()), [part, arguments])
        return context.get_dummy_value()

    return types.void(function, arguments, part), generate


if not DISABLED:
    keep_on_disk(_run)
