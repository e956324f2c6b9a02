"""What a student's code may take, and what it finds around it."""

import os
import sys
from typing import NamedTuple

FORBIDDEN = (
    "numpy_resnet", "torch", "tensorflow", "keras", "jax", "autograd", "mygrad", "tinygrad", "cupy", "scipy", "sklearn",
    "onnx", "onnxruntime", "openvino", "mxnet", "chainer", "paddle",
)  # fmt: skip


class Limits(NamedTuple):
    """What a student's code may take."""

    call: float = 10.0  # seconds for one call
    load: float = 20.0  # seconds for the imports
    whole: float = 60.0  # seconds for one exercise
    memory: int = 2 * 2**30  # bytes of address space
    output: int = 2**20  # bytes of prints
    threads: int = 1


LIMITS = Limits()


def environment(folder, threads):
    """The variables of the child's environment, few: a grader's own may hold secrets."""
    names = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "NUMBA_DISABLE_JIT")
    return {name: os.environ[name] for name in names if name in os.environ} | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONHASHSEED": "0",
        "PYTHONIOENCODING": "utf-8",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "NUMBA_CACHE_DIR": str(folder),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": str(threads),
        "NUMBA_NUM_THREADS": str(threads),
        "GOMP_SPINCOUNT": "1000",
    }


def missing_limits():
    """What this platform cannot limit, in words."""
    try:
        import resource
    except ImportError:
        return ["memory", "CPU time", "size of files"]
    if sys.platform == "darwin":
        return ["memory"]  # it has RLIMIT_AS and does not keep to it
    names = {"RLIMIT_AS": "memory", "RLIMIT_CPU": "CPU time", "RLIMIT_FSIZE": "size of files"}
    return [words for name, words in names.items() if not hasattr(resource, name)]
