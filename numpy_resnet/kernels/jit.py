"""The one place that picks Numba's flags.

`jit` compiles a helper that other kernels call; `parallel_jit` compiles a kernel that Python calls. Both keep what
they compiled on disk, so that only the first run ever waits. With `NUMBA_DISABLE_JIT=1` both leave the function as
it is: the same code then steps in a debugger.

`contract` allows fused multiply-adds and `reassoc` vectorised sums. Full fastmath would also assume that there are
no infinities and no NaN, and a network that diverges must show them.
"""

import contextlib
import functools
import threading

import numba
from numba.core import event

DISABLED = bool(numba.config.DISABLE_JIT)
FLAGS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc"}}
_pool = threading.Lock()


def jit(function, **more_flags):
    """Compile a helper that is called by kernels of the same file."""
    compiled = numba.njit(**FLAGS, **more_flags)(function)
    if not DISABLED:
        with contextlib.suppress(RuntimeError):  # no folder to keep it in: each run compiles anew
            compiled.enable_caching()
    return compiled


def parallel_jit(function):
    """Compile a kernel that shares its `prange` loops among Numba's threads.

    One kernel at a time owns the threads: some of Numba's thread pools abort the process when two Python threads
    enter them at once.
    """
    compiled = jit(function, parallel=True)

    @functools.wraps(function)
    def kernel(*args):
        with _pool:
            return compiled(*args)

    return kernel


class _OnFirstCompilation(event.Listener):
    def __init__(self, callback):
        self.callback = callback

    def on_start(self, event):
        callback, self.callback = self.callback, None
        if callback:
            callback()

    def on_end(self, event):
        pass


def on_first_compilation(callback):
    """Call `callback()` once, just before Numba compiles a kernel that is not in its cache yet."""
    event.register("numba:compile", _OnFirstCompilation(callback))
