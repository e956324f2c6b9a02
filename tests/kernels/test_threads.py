"""Threads, forks, and what is kept on disk: each case in a process of its own."""

import os
import re
import subprocess
import sys

import numba
import pytest

import numpy_resnet
from numpy_resnet.kernels import threads

pytestmark = pytest.mark.real_size  # they are about the compiler

STEP = """
import hashlib, sys, numpy as np, numpy_resnet
from numpy_resnet import gradcheck, models, ops
from numpy_resnet.optim import SGD

def digest():
    hash, rng = hashlib.sha256(), np.random.default_rng(0)
    def add(*arrays):
        for array in arrays:
            if array is not None:
                hash.update(np.ascontiguousarray(array).tobytes())
    for name, f, f_backward, arrays in gradcheck.op_cases():
        y, cache = f(*arrays)
        gradients = f_backward(np.ones_like(y) if np.ndim(y) else 1.0, cache)
        add(y, *(gradients if isinstance(gradients, tuple) else (gradients,)))
    for model, size in ((models.cifar_resnet20(), 24), (models.resnet18(num_classes=7), 72)):
        x = rng.standard_normal((5, 3, size, size - 4), dtype=np.float32)
        logits, optimizer = model.forward(x), SGD(model, 0.1, momentum=0.9)
        add(logits, model.backward(ops.cross_entropy_backward(1.0, ops.cross_entropy(logits, np.arange(5))[1])))
        optimizer.step()
        add(*model.state_dict().values(), model.compile_inference().forward(x))
    return hash.hexdigest()
"""


def run_python(code, **environment):
    before = {key: value for key, value in os.environ.items() if key not in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")}
    environment = {**before, **environment}
    result = subprocess.run(
        [sys.executable, "-W", "default", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_the_same_bits_with_any_number_of_threads():
    code = STEP + "for n in (1, 2, 3, 4): numpy_resnet.set_num_threads(n); print(digest())"
    digests = run_python(code, NUMBA_NUM_THREADS="4").split()
    assert len(digests) == 4
    assert len(set(digests)) == 1


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"NUMBA_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "1"}, 2),
        ({"OMP_NUM_THREADS": "1,1"}, numba.config.NUMBA_DEFAULT_NUM_THREADS),
        ({"OMP_NUM_THREADS": "1000"}, numba.config.NUMBA_DEFAULT_NUM_THREADS),
    ],
)
def test_the_environment_is_asked(environment, expected):
    assert run_python("import numpy_resnet; print(numpy_resnet.get_num_threads())", **environment) == str(expected)


def test_the_users_own_number_of_threads_stays():
    code = """
import numba, numpy as np, numpy_resnet
from numpy_resnet import ops
numpy_resnet.set_num_threads(2)
numba.set_num_threads(3)
ops.relu(np.ones((2, 3)))
print(numba.get_num_threads(), numpy_resnet.get_num_threads())
"""
    assert run_python(code, NUMBA_NUM_THREADS="4") == "3 2"


def test_what_is_no_number_of_threads():
    before = numpy_resnet.get_num_threads()
    most = numba.config.NUMBA_NUM_THREADS
    for n in (0, -1, most + 1):
        with pytest.raises(ValueError, match=re.escape(f"must be from 1 to {most}; got {n}")):
            numpy_resnet.set_num_threads(n)
    for n in (1.5, "2", True, None):
        with pytest.raises(TypeError, match="must be an integer"):
            numpy_resnet.set_num_threads(n)
    assert numpy_resnet.get_num_threads() == before
    with pytest.raises(AttributeError, match="no attribute 'threads'"):
        numpy_resnet.threads  # noqa: B018


@pytest.mark.parametrize("layer", ["workqueue", "omp"])
def test_python_threads_take_turns(layer):
    """The workqueue pool aborts the process when it is entered twice."""
    code = """
import threading, numpy as np
from numpy_resnet import ops
x = np.random.default_rng(0).standard_normal((4, 16, 12, 12), dtype=np.float32)
weight = np.random.default_rng(1).standard_normal((16, 16, 3, 3), dtype=np.float32)
def gradients():
    y, cache = ops.conv2d(x, weight, padding=1)
    return b"".join(gradient.tobytes() for gradient in ops.conv2d_backward(y, cache)[:2])
expected, wrong = gradients(), []
def work():
    for _ in range(30):
        if gradients() != expected: wrong.append(1)
threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads], [t.join() for t in threads]
print("wrong" if wrong else "right")
"""
    assert run_python(code, NUMBA_THREADING_LAYER=layer) == "right"


FORK = """
import os, numpy as np
from numpy_resnet import ops
x = np.array([-1.0, 2.0])
{before}
child = os.fork()
if not child:
    try:
        print(ops.relu(x)[0], flush=True)
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
print("status", status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("layer", ["workqueue", "omp"])
@pytest.mark.parametrize("before", ["ops.relu(x)", ""])
def test_a_forked_child_gets_an_answer_or_an_error(layer, before):
    *said, status = run_python(FORK.format(before=before), NUMBA_THREADING_LAYER=layer).splitlines()
    assert status == "status 0"
    if layer == "omp" and before:
        assert 'start workers with multiprocessing.get_context("spawn")' in said[0]
    else:
        assert said == ["[0. 2.]"]


def test_the_lock_of_a_child_is_free():
    """Whoever held it in the parent is not there."""
    threads._pool.acquire()
    held = threads._pool
    threads._after_fork()
    try:
        with threads.ours():
            pass
    except RuntimeError:
        pass  # this process is no child, but takes itself for one
    finally:
        held.release()
        threads._forked = False
    assert threads._pool is not held


def test_where_nothing_can_be_written_a_temporary_folder_keeps_the_kernels(tmp_path):
    """A read-only installation and no home. Root may write everywhere, so Numba is told that it may not."""
    code = """
import warnings, numba.core.caching as caching
caching.InTreeCacheLocator.from_function = classmethod(lambda *args: None)
caching.InTreeCacheLocatorFsAgnostic.from_function = classmethod(lambda *args: None)
caching.UserWideCacheLocator.from_function = classmethod(lambda *args: None)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import numpy as np
    from numpy_resnet import ops
    print(ops.relu(np.array([-1.0, 2.0]))[0])
import numba
print(len(caught), numba.config.CACHE_DIR == "")
print(caught[0].message)
"""
    environment = {"TMPDIR": str(tmp_path), "NUMBA_CACHE_DIR": ""}
    answer, rest, message = run_python(code, **environment).splitlines()
    assert (answer, rest) == ("[0. 2.]", "1 True")
    folder = re.search(r"compiled kernels are kept in (\S+):", message)[1]
    assert folder.startswith(str(tmp_path))
    assert os.stat(folder).st_mode & 0o777 == 0o700
    assert list(tmp_path.rglob("*.nbi"))
    again = run_python(code, **environment).splitlines()[2]
    assert again == message


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="a folder has no owner here")
def test_a_temporary_folder_that_others_can_write_is_not_used(tmp_path):
    (tmp_path / f"numpy_resnet-kernels-{os.getuid()}").mkdir()
    (tmp_path / f"numpy_resnet-kernels-{os.getuid()}").chmod(0o777)
    code = "import warnings; warnings.simplefilter('ignore')\n"
    code += "from numpy_resnet.kernels import jit; print(jit._temporary_folder())"
    folder = run_python(code, TMPDIR=str(tmp_path))
    assert folder.startswith(str(tmp_path))
    assert not folder.endswith(f"kernels-{os.getuid()}")


KERNELS = {
    "helper.py": "from numpy_resnet.kernels.jit import jit\n@jit\ndef f(x):\n    return x + {number}\n",
    "kernel.py": "from numpy_resnet.kernels.jit import jit\nfrom helper import f\n@jit\ndef g(x):\n    return f(x)\n",
}


def test_an_edit_of_a_helper_in_another_file_is_noticed(tmp_path):
    code = "import numpy_resnet.kernels.jit as jit, pathlib; jit.__file__ = {file!r}; import kernel; print(kernel.g(1))"
    code = code.format(file=str(tmp_path / "jit.py"))
    answers = []
    for number in (1, 1, 41):
        for name, text in KERNELS.items():
            (tmp_path / name).write_text(text.format(number=number))
        answers.append(run_python(code, PYTHONPATH=str(tmp_path), NUMBA_CACHE_DIR=str(tmp_path / "cache")))
    assert answers == ["2", "2", "42"]


def test_two_processes_compile_at_once(tmp_path):
    code = "import numpy as np; from numpy_resnet import ops; print(ops.relu(np.array([-1.0, 2.0]))[0])"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [run.communicate()[0].strip() for run in runs] == ["[0. 2.]"] * 2
    assert [run.returncode for run in runs] == [0, 0]
    assert run_python(code, NUMBA_CACHE_DIR=str(tmp_path)) == "[0. 2.]"


def test_waiting_threads_give_way_unless_the_environment_says_otherwise(monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    threads.give_way()
    assert os.environ["GOMP_SPINCOUNT"] == "1000"
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    threads.give_way()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    threads.give_way()
    assert "GOMP_SPINCOUNT" not in os.environ
