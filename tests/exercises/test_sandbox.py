"""Somebody's code in a child process: what it may do, what it may not, and that nothing hangs or gets lost."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import numpy_resnet
from numpy_resnet.exercises import EXERCISES, judge
from numpy_resnet.exercises.sandbox import Limits, RunawayError, Student, StudentError, missing_limits, wire

QUICK = Limits(call=1.0, load=20.0, whole=30.0, memory=2**30)
PAIR = """
import numpy as np
def relu(x):
    {body}
    return np.maximum(x, 0), x
def relu_backward(dy, cache):
    return dy * (cache > 0)
"""


def verdict_on(source, limits=QUICK):
    return judge(EXERCISES["relu"], {"ex01_relu.py": source}, limits=limits)


def inside(body):
    return PAIR.format(body=body.replace("\n", "\n    "))


def student(source, **options):
    return Student({"theirs.py": source}, "theirs", **options)


numbers = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5)
arrays = hnp.arrays(
    st.sampled_from(["?", "i4", "u1", "f4", "f8"]), hnp.array_shapes(min_dims=0, min_side=0, max_side=4)
)
values = st.recursive(
    numbers | arrays,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


def through_the_wire(value):
    packing = wire.Packing(lambda value: {"kept": 1})
    file = io.BytesIO()
    wire.send(file, packing.pack(value), packing.arrays)
    file.seek(0)
    body, came = wire.receive(file)
    return wire.unpack(body, came, lambda message: "handle")


def assert_same(one, two):
    assert type(one) is type(two)
    if isinstance(one, np.ndarray):
        assert one.dtype == two.dtype
        assert one.shape == two.shape
        assert one.tobytes() == two.tobytes()
    elif isinstance(one, list | tuple):
        assert len(one) == len(two)
        for a, b in zip(one, two, strict=True):
            assert_same(a, b)
    elif isinstance(one, dict):
        assert list(one) == list(two)
        for key in one:
            assert_same(one[key], two[key])
    else:
        assert one == two


@given(values)
def test_a_message_brings_what_was_sent(value):
    assert_same(through_the_wire(value), value)


def test_an_array_that_came_may_be_written_to_and_numbers_keep_their_type():
    array = through_the_wire(np.arange(6.0).reshape(2, 3)[:, ::-1])
    array[0, 0] = 7
    assert type(through_the_wire(np.float32(0.5))) is np.float32
    assert through_the_wire(np.array([1j])) == "handle"
    assert through_the_wire(np.array(["text"])) == "handle"


@given(st.binary(max_size=200))
def test_nonsense_is_refused_and_nothing_else_happens(data):
    with pytest.raises((EOFError, wire.BrokenMessageError)):
        wire.receive(io.BytesIO(data))


@pytest.mark.parametrize(
    "head",
    [
        b"[]",
        b"{}",
        b'{"body": 1, "arrays": [["O", [2]]]}',
        b'{"body": 1, "arrays": [["<f8", [99999999999]]]}',
        b'{"body": 1, "arrays": [["<f8", [-1]]]}',
        b'{"body": 1, "arrays": [["<c16", [1]]]}',
        b"[" * 100_000,
    ],
)
def test_heads_that_would_hurt_are_refused(head):
    with pytest.raises((wire.BrokenMessageError, EOFError)):
        wire.receive(io.BytesIO(len(head).to_bytes(4, "little") + head + bytes(64)))


def test_calls_return_what_the_functions_return_and_the_cache_stays_there():
    source = "def f(x, *, k=1):\n    return k * x, {'x': x}\ndef g(dy, cache):\n    return dy * cache['x']\n"
    with student(source) as child:
        assert {"f", "g"} <= set(child.load())
        f, g = child.function("f", opaque=True), child.function("g")
        x = np.arange(6.0).reshape(2, 3)
        y, cache = f(x, k=3)
        np.testing.assert_array_equal(y, 3 * x)
        np.testing.assert_array_equal(g(y, cache), 3 * x * x)
        assert type(cache).__name__ == "dict"


def test_what_a_function_writes_into_its_arguments_is_written_here_too():
    source = "kept = []\ndef f(x):\n    kept.append(x)\ndef later(dy):\n    kept[0][0] = 99\n    dy *= 2\n"
    with student(source) as child:
        child.load()
        x, dy = np.zeros(3), np.ones(2)
        child.call("f", x)
        assert x.tolist() == [0, 0, 0]
        child.call("later", dy)
        assert x.tolist() == [99, 0, 0], "an argument of an earlier call was written into"
        assert dy.tolist() == [2, 2]


def test_a_returned_array_that_is_used_again_changes_here_too():
    source = "import numpy as np\nbuffer = np.zeros(4)\ndef f(k):\n    buffer[:] = k\n    return buffer[:2]\n"
    with student(source) as child:
        child.load()
        first = child.call("f", 1)
        second = child.call("f", 2)
        assert first.tolist() == second.tolist() == [2, 2]


def test_a_function_of_ours_runs_here_and_its_objects_stay_here():
    class Secret:
        pass

    secret, asked = Secret(), []

    def ours(x, secret_again=None):
        asked.append(secret_again)
        x[0] = -1
        return 2 * x, secret

    source = "import numpy as np\ndef f(ask):\n    x = np.ones(2)\n    y, secret = ask(x)\n"
    source += "    ask(x, secret)\n    return x, y, vars(secret)\n"
    with student(source) as child:
        child.load()
        x, y, seen = child.call("f", child.callback(ours))
        assert x.tolist() == [-1, 1]
        assert y.tolist() == [-2, 2]
        assert asked == [None, secret]
        assert set(seen) == {"number"}


def test_an_error_of_ours_is_one_of_theirs():
    def ours():
        raise ValueError("no more questions")

    with student("def f(ask):\n    return ask()\n") as child:
        child.load()
        with pytest.raises(StudentError, match="no more questions"):
            child.call("f", child.callback(ours))


def test_an_exception_tells_the_line_of_the_students_file():
    with student("def f(x):\n    y = x + 1\n    return y / nothing\n") as child:
        child.load()
        with pytest.raises(StudentError) as caught:
            child.call("f", 1)
        assert caught.value.told == (
            "NameError: name 'nothing' is not defined, at `return y / nothing` (theirs.py, line 3)"
        )
        assert not caught.value.unfinished


HOSTILE = {  # body of relu: what the verdict must say
    "while True: pass": "It was in relu, at `while True: pass` (ex01_relu.py, line 4)",
    "exit()": "relu raises SystemExit",
    "import os; os._exit(0)": "it ended the process",
    "import os\nwhile True: os.fork()": "another process (os.fork)",
    "import subprocess; subprocess.run(['true'])": "another process (subprocess.Popen)",
    "import os; os.system('true')": "another process (os.system)",
    "import os; os.kill(os.getppid(), 9)": "another process (os.kill)",
    "while True: print('x' * 1000)": "it printed more than 1,048,576 bytes",
    "relu(x)": "RecursionError",
    "np.ones(10 * 2**30 // 8)": "MemoryError",
    "import torch": "the package torch",
    "import importlib; importlib.import_module('torch')": "the package torch",
    "try:\n  from numpy_resnet import ops\nexcept BaseException:\n  pass": "the package numpy_resnet",
    "import ctypes; ctypes.CDLL(None)": "the C library",
    "import socket; socket.create_connection(('127.0.0.1', 9))": "the network",
    "import os\nfor fd in range(3, 9):\n  try: os.write(fd, b'junk!')\n  except OSError: 0": "the line to the grader",
    "import os; os.abort()": "the process died: abort",
    "input()": "EOFError",
    "t = ()\nfor i in range(10**5): t = (t,)\nreturn t, x": "RecursionError",
    "class E(Exception):\n  def __str__(self): raise ValueError\nraise E()": "relu raises E: (its text cannot be had)",
    "raise ValueError('\\x1b[2J')": "relu raises ValueError: ?[2J",
    "raise KeyboardInterrupt": "relu raises KeyboardInterrupt",
    "return np.array(['a']), x": "array of <U1",
    "return x + 0j, x": "array of complex128",
}


@pytest.mark.parametrize("body", HOSTILE)
def test_hostile_code_gets_a_verdict_that_helps(body):
    verdict = verdict_on(inside(body))
    assert verdict.status in ("failed", "stopped")
    assert verdict.score == 0
    assert HOSTILE[body] in verdict.text


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def relu(x)\n", "SyntaxError: expected ':', at `def relu(x)` (ex01_relu.py, line 1)"),
        ("\0", "SyntaxError"),
        ("import numpy as np\ndef relu(x): return np.maximum(x, 0), x\n", "relu_backward is missing"),
        (inside("").replace("relu(x)", "relu(x, y)"), "relu(x, y) cannot be called as the exercise does"),
        ("import sys\nsys.exit(0)\n", "ex01_relu raises SystemExit"),
        ("import nowhere\n", "No module named 'nowhere'"),
    ],
)
def test_files_that_cannot_be_used_are_told_why(source, said):
    verdict = verdict_on(source)
    assert verdict.status == "failed"
    assert said in verdict.text


def test_patching_numpy_or_equality_gains_nothing():
    patched = "import numpy as np\nnp.array_equal = np.allclose = lambda *a, **k: True\n"
    liar = (
        "class Liar(np.ndarray):\n"
        "    def __eq__(self, other): return True\n"
        "    def __sub__(self, other): return 0\n"
        "def relu(x): return (0 * x).view(Liar), x\n"
        "def relu_backward(dy, cache): return (0 * dy).view(Liar)\n"
    )
    verdict = verdict_on(patched + liar)
    assert verdict.status == "failed"
    assert "y is wrong" in verdict.text
    assert verdict.score < 0.2


def test_files_elsewhere_are_neither_changed_nor_are_the_answers_read(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    answers = Path(numpy_resnet.__file__).with_name("reference.py")
    for body, said in (
        (f"open({str(victim)!r}, 'w')", "a file outside of the exercise"),
        (f"import os; os.remove({str(victim)!r})", "files outside of the exercise"),
        (f"import os; os.rename({str(victim)!r}, 'mine')", "files outside of the exercise"),
        (f"open({str(answers)!r}).read()", "where the answers are"),
        (f"open('/proc/self/root{answers}').read()", "where the answers are"),
        (f"open({str(victim)!r}).read()", "to read what is not the exercise's"),
        ("import os; open(f'/proc/{os.getppid()}/environ').read()", "to read what is not the exercise's"),
        (f"import os; os.open({str(tmp_path)!r}, os.O_RDONLY)", "to read what is not the exercise's"),
    ):
        assert said in verdict_on(inside(body)).text
    assert victim.read_text() == "precious"


def test_its_own_folder_may_be_written_to_and_is_gone_afterwards():
    with student("def f():\n    open('notes', 'w').write('x')\n    return open('notes').read()\n") as child:
        child.load()
        assert child.call("f") == "x"
        folder = child.folder
    assert not folder.exists()
    assert child.process.returncode is not None


def test_secrets_of_the_environment_stay_here(monkeypatch):
    monkeypatch.setenv("GRADER_TOKEN", "secret")
    with student("import os\ndef f():\n    return dict(os.environ)\n") as child:
        child.load()
        assert "secret" not in child.call("f").values()


def test_the_whole_exercise_has_a_limit_too():
    slow = inside("import time\nuntil = time.time() + 0.3\nwhile time.time() < until: pass")
    verdict = verdict_on(slow, QUICK._replace(whole=2.0))
    assert verdict.status == "stopped"
    assert "the whole exercise took more than 2 seconds" in verdict.text


def test_what_was_printed_is_shown_and_cut():
    verdict = verdict_on(inside("print('hello ' * 100)").replace("return dy", "return -dy"))
    assert verdict.printed.startswith("hello hello")
    assert len(verdict.printed) <= 5000


def test_a_child_that_is_left_is_dead():
    with pytest.raises(RunawayError), student("def f():\n    while True: pass\n", limits=QUICK) as child:
        child.load()
        child.call("f")
    assert child.process.poll() is not None


@pytest.mark.skipif(os.name == "nt", reason="Windows has none of these limits")
def test_this_system_has_all_limits_or_says_which_are_missing():
    assert missing_limits() == []
