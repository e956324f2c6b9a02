"""How many threads the kernels use, and who may use them: one kernel at a time, and no forked child that cannot.

No result depends on the number: what is summed in parallel is joined in one order.
"""

import contextlib
import operator
import os
import threading

import numba


def _default():
    """NUMBA_NUM_THREADS, else OMP_NUM_THREADS, else a thread for each core; never more than Numba has."""
    most = numba.config.NUMBA_NUM_THREADS
    if "NUMBA_NUM_THREADS" not in os.environ:
        with contextlib.suppress(ValueError):  # OMP_NUM_THREADS may also be a list, one number for each level
            return max(1, min(most, int(os.environ.get("OMP_NUM_THREADS", most))))
    return most


_number, _pool, _forked = _default(), threading.Lock(), False


def get_num_threads():
    """How many threads the kernels use."""
    return _number


def set_num_threads(n):
    """Let the kernels use n threads, in the whole process.   Numba's own setting, and NumPy's, stay as they are.

    Raises ValueError unless 1 <= n <= the number that Numba started with (NUMBA_NUM_THREADS, or the cores).
    """
    global _number
    try:
        number = operator.index(n)
    except TypeError:
        number = None
    if number is None or isinstance(n, bool):
        raise TypeError(f"the number of threads must be an integer; got {n!r}")
    most = numba.config.NUMBA_NUM_THREADS
    if not 1 <= number <= most:
        raise ValueError(
            f"the number of threads must be from 1 to {most}; got {n!r}: "
            "for more, start Python with NUMBA_NUM_THREADS set to the most that you want"
        )
    _number = number


def give_way():
    """Let threads that wait sleep instead of spin; before the first kernel, and unless the environment says otherwise.

    Spinning is a little faster on a machine that has nothing else to do. Where another process wants a core, it takes
    the time from the very thread that is waited for, and a training step needs ten times as long.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = "1000"  # GNU's OpenMP reads it when Numba starts its threads


@contextlib.contextmanager
def ours():
    """Numba's threads are one kernel's, as many as it shall have; afterwards all is as it was.

    Some of Numba's pools abort the process when two Python threads enter them at once.
    """
    if _forked and numba.threading_layer() == "omp":
        raise RuntimeError(
            "a forked process cannot use the threads that its parent started: "
            'start workers with multiprocessing.get_context("spawn")'
        )
    with _pool:
        before = numba.get_num_threads()
        if before == _number:
            yield
            return
        numba.set_num_threads(_number)
        try:
            yield
        finally:
            numba.set_num_threads(before)


def _after_fork():
    """Another thread may have held the lock; and whether there were threads to lose, Numba knows."""
    global _pool, _forked
    _pool = threading.Lock()
    with contextlib.suppress(ValueError):  # no kernel has run yet: the child starts threads of its own
        _forked = bool(numba.threading_layer())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
