"""The one place that picks Numba's flags, and where what it compiled is kept.

`jit` compiles a helper that kernels call; `parallel_jit`, in share.py, a kernel that Python calls. What was compiled is
kept on disk, so that only the first run ever waits. With `NUMBA_DISABLE_JIT=1` both leave the function as it is: the
same code then steps in a debugger.

`contract` allows fused multiply-adds and `reassoc` vectorised sums. Full fastmath would also assume that there are
no infinities and no NaN, and a network that diverges must show them.
"""

import contextlib
import functools
import hashlib
import os
import tempfile
import warnings
from pathlib import Path

import numba
from numba.core import event

DISABLED = bool(numba.config.DISABLE_JIT)
FLAGS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc"}}


def jit(function):
    """Compile a helper that is called by other kernels: it becomes a part of each."""
    return numba.njit(**FLAGS, inline="always")(function)


def keep_on_disk(compiled):
    """Numba's cache, beside the source or in the user's folder; else in a temporary one.

    Numba looks at the file of the function alone. But a kernel holds what it calls, from other files too: after an edit
    of any file of this folder all of them are compiled anew.
    """
    try:
        compiled.enable_caching()
    except RuntimeError:  # neither can be written
        before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, _temporary_folder()
        try:
            compiled.enable_caching()
        finally:
            numba.config.CACHE_DIR = before
    with contextlib.suppress(AttributeError):  # another Numba may store its stamp elsewhere
        file = compiled._cache._cache_file
        file._source_stamp = file._source_stamp, _digest()


@functools.cache
def _digest():
    """What all files of this folder say."""
    hash = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        hash.update(path.read_bytes())
    return hash.hexdigest()


@functools.cache
def _temporary_folder():
    """A folder for compiled kernels that is this user's alone; the same one in the next run, if that is safe."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"numpy_resnet-kernels-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        safe = folder.is_dir() and not folder.is_symlink() and status.st_uid in (user, 0) and not status.st_mode & 0o022
    except OSError:
        safe = False
    if hasattr(os, "getuid") and not safe:
        folder = Path(tempfile.mkdtemp(prefix="numpy_resnet-kernels-"))
    warnings.warn(
        f"compiled kernels are kept in {folder}: neither the installation nor a home folder can be written; "
        "NUMBA_CACHE_DIR names another place",
        stacklevel=2,
    )
    return str(folder)


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
