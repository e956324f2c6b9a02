"""A student's folder: nothing is lost, nothing is forgotten, and what is shown fits into a terminal."""

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from numpy_resnet import layers, models, ops, optim
from numpy_resnet.exercises import EXERCISES, Verdict, dev, judge, report, training
from numpy_resnet.exercises.folder import (
    LARGEST,
    STATE,
    Folder,
    check_names,
    prerequisites,
    read_sources,
    seed_of,
    with_ours,
)
from numpy_resnet.exercises.judges import Check
from numpy_resnet.exercises.lessons import to_notebook
from numpy_resnet.exercises.sandbox.local import Local

ALL = list(EXERCISES.values())
SOLVED, BLANK = dev.solved(), dev.blank()
RELU, LINEAR = EXERCISES["relu"], EXERCISES["linear"]
BLOCK = ["relu", "columns", "conv2d_forward", "conv2d_backward", "batchnorm_forward", "batchnorm_backward", "add"]


def begun(path, names=("relu", "linear", "cross_entropy"), **options):
    """A new folder of these exercises, not worked on."""
    return Folder.start(path / "course", "Ada", [EXERCISES[name] for name in names], **options)[0]


def solve(folder, *names):
    for name in names:
        file = f"{EXERCISES[name].file}.py"
        (folder.path / file).write_text(SOLVED[file], encoding="utf-8")


def checked(folder, *names):
    """The Verdicts of checks in this process."""
    return [folder.check(EXERCISES[name], student=Local)[0] for name in names]


def with_passed(path, *names):
    """A folder where these were solved and have passed; asked nothing, which is quick."""
    folder = begun(path, names or EXERCISES)
    solve(folder, *names)
    for name in names:
        assert folder.check(replace(EXERCISES[name], judges=()), student=Local)[0].passed
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.path.iterdir()}


# start


@pytest.mark.parametrize("notebooks", [False, True])
def test_start_writes_every_exercise_in_its_order_and_nothing_else(tmp_path, notebooks):
    folder, stayed = Folder.start(tmp_path / "new" / "course", "Ada", ALL, notebooks=notebooks)
    ending = "ipynb" if notebooks else "py"
    assert stayed == []
    assert sorted(contents(folder)) == sorted([STATE, *(f"{e.file}.{ending}" for e in ALL)])
    assert [e.name for e in folder.exercises] == list(EXERCISES)
    assert {e.file: folder.file(e).name for e in ALL} == {e.file: f"{e.file}.{ending}" for e in ALL}
    assert folder.done() == set()
    assert folder.find() is RELU
    if not notebooks:
        assert read_sources(folder.path) == BLANK


def test_start_never_overwrites_and_says_what_stayed(tmp_path):
    folder = begun(tmp_path, EXERCISES)
    solve(folder, "linear")
    checked(folder, "linear")
    folder.hint(RELU)
    (folder.path / "ex04_columns.py").unlink()
    before = contents(folder)
    again, stayed = Folder.start(folder.path, "Eve", ALL, most_hints=0)
    assert stayed == [f"{e.file}.py" for e in ALL if e.name != "columns"]
    assert contents(again) == before | {"ex04_columns.py": BLANK["ex04_columns.py"].encode()}
    assert (again.name, again.done(), again.given) == ("Ada", {"linear"}, {"relu": 1})


def test_start_adds_exercises_to_a_folder_that_has_others(tmp_path):
    folder = begun(tmp_path, ["relu"])
    again, stayed = Folder.start(folder.path, "Ada", ALL[:3])
    assert stayed == ["ex01_relu.py"]
    assert again.find("linear") is LINEAR
    assert again.exercises == ALL[:3]


def test_start_wants_a_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="it is a file"):
        Folder.start(tmp_path / "file", "Ada", ALL)


# names


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("relu", "relu"),
        ("ex01_relu.py", "relu"),
        ("some/where/ex01_relu.ipynb", "relu"),
        ("ex01", "relu"),
        ("1", "relu"),
        ("01", "relu"),
        ("10", "batchnorm_backward"),
        ("ex20", "vanishing_gradients"),
        ("rel", "relu"),
        ("conv2d_b", "conv2d_backward"),
        ("add", "add"),
    ],
)
def test_an_exercise_goes_by_many_names(name, meant):
    assert check_names([name]) == [EXERCISES[meant]]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rleu", "did you mean relu?"),
        ("liner", "did you mean linear?"),
        ("conv2d", "did you mean conv2d_forward or conv2d_backward?"),
        ("batchnorm", "did you mean batchnorm_forward or batchnorm_backward?"),
        ("21", "`numpy-resnet exercises list` shows all"),
        ("0", "`numpy-resnet exercises list` shows all"),
        ("zebra", "`numpy-resnet exercises list` shows all"),
    ],
)
def test_a_name_that_is_none_gets_a_proposal(name, said):
    with pytest.raises(ValueError, match=f"there is no exercise called '{name}'; {re.escape(said)}"):
        check_names([name])


def test_names_come_back_in_the_order_of_the_course_and_once():
    assert check_names(["linear", "1", "ex01_relu.py", "resnet18"]) == [RELU, LINEAR, EXERCISES["resnet18"]]


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("relu", []),
        ("conv2d_forward", ["columns"]),
        ("conv2d_backward", ["columns", "conv2d_forward"]),
        ("identity_block", BLOCK),
        (
            "resnet18",
            [e.name for e in ALL[: ALL.index(EXERCISES["resnet18"])] if e.name not in ("cross_entropy", "dropout")],
        ),
    ],
)
def test_prerequisites_and_theirs(name, needed):
    assert {e.name for e in prerequisites(EXERCISES[name])} == set(needed)
    assert prerequisites(EXERCISES[name]) == [e for e in ALL if e.name in needed]


@pytest.mark.parametrize(
    ("words", "seed"),
    [
        (("Ada",), 2577753003),
        (("autumn", "Ada"), 4182063548),
        (("Ada", "autumn"), 1813815827),
        (("autumnAda",), 400585304),
        (("\udcff",), 2819623654),
    ],
)
def test_a_seed_is_the_same_on_every_machine(words, seed):
    assert seed_of(*words) == seed


# checks


def test_ours_stands_in_only_for_what_has_not_passed():
    mine = {name: f"# mine\n{source}" for name, source in BLANK.items()}
    files, ours = with_ours(EXERCISES["conv2d_backward"], mine, {"columns", "relu"})
    assert ours == ["conv2d_forward"]
    assert files == mine | {"ex05_conv2d_forward.py": SOLVED["ex05_conv2d_forward.py"]}
    assert with_ours(RELU, mine, set()) == (mine, [])


def test_a_later_exercise_can_be_checked_before_the_earlier_ones_and_says_so(tmp_path):
    folder = begun(tmp_path, ["columns", "conv2d_forward", "conv2d_backward"])
    solve(folder, "conv2d_backward", "columns")
    checked(folder, "columns")
    exercise = EXERCISES["conv2d_backward"]
    verdict, ours = folder.check(exercise, student=Local)
    assert verdict.passed
    assert ours == ["conv2d_forward"]
    lines = list(report.verdict_lines(verdict, exercise, ours, report.Paint(None)))
    assert "Ours stands in for conv2d_forward: not passed yet, or changed since." in lines
    assert Folder(folder.path).done() == {"columns", "conv2d_backward"}


def test_what_has_passed_of_a_student_is_what_later_exercises_use(tmp_path):
    folder = begun(tmp_path, ["relu", "identity_block"])
    solve(folder, "relu", "identity_block")
    file = folder.file(RELU)
    file.write_text(file.read_text() + "print('this is mine')\n")
    assert checked(folder, "relu")[0].passed
    verdict, ours = folder.check(EXERCISES["identity_block"])
    assert verdict.passed
    assert ours == [name for name in BLOCK if name != "relu"]
    assert "this is mine" in verdict.printed


def test_done_forgets_what_changed_since_and_what_fails_again(tmp_path):
    folder = begun(tmp_path)
    assert [v.status for v in checked(folder, "relu", "linear")] == ["unfinished", "unfinished"]
    solve(folder, "relu", "linear")
    assert all(v.passed for v in checked(folder, "relu", "linear"))
    assert Folder(folder.path).done() == {"relu", "linear"}
    assert folder.find() is EXERCISES["cross_entropy"]
    file = folder.file(RELU)
    file.write_text(file.read_text().replace("x > 0", "x < 0"))
    assert folder.done() == {"linear"}
    assert folder.find() is RELU
    assert checked(folder, "relu")[0].status == "failed"
    solve(folder, "relu")
    assert folder.done() == {"linear"}, "a check that failed is remembered"
    folder.file(LINEAR).unlink()
    assert folder.done() == set()


def test_a_check_depends_on_the_name(tmp_path, monkeypatch):
    seeds = []

    def judged(exercise, files, *, seed):
        seeds.append(seed)
        return Verdict(exercise.name, "failed", ())

    monkeypatch.setattr("numpy_resnet.exercises.folder.judge", judged)
    for name in ("Ada", "Eve"):
        Folder.start(tmp_path / name, name, [RELU])[0].check(RELU)
    assert seeds == [seed_of("Ada"), seed_of("Eve")]


@pytest.mark.parametrize("name", [None, "relu"])
def test_find_keeps_to_the_folder(tmp_path, name):
    folder = begun(tmp_path, ["relu", "add"])
    assert folder.find(name) is RELU
    with pytest.raises(ValueError, match="linear is not among the exercises of this folder"):
        folder.find("linear")


# notebooks


def test_a_notebook_is_checked_like_a_script(tmp_path):
    folder = begun(tmp_path, ["relu", "linear"], notebooks=True)
    assert checked(folder, "relu")[0].status == "unfinished"
    notebook = folder.path / "ex01_relu.ipynb"
    content = json.loads(to_notebook(SOLVED["ex01_relu.py"]))
    content["cells"][1]["source"] = ["%matplotlib inline\n", *content["cells"][1]["source"]]
    notebook.write_text(json.dumps(content))
    assert checked(folder, "relu")[0].passed
    content["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["hello"]}]
    notebook.write_text(json.dumps(content))
    assert folder.done() == {"relu"}, "an output is no change"
    backup = folder.reset(RELU)
    assert backup.name == "ex01_relu.ipynb.1.bak"
    assert json.loads(backup.read_text()) == content
    assert notebook.read_text() == to_notebook(BLANK["ex01_relu.py"])
    assert folder.done() == set()


def test_a_script_goes_before_a_notebook(tmp_path):
    folder = begun(tmp_path, ["relu"], notebooks=True)
    solve(folder, "relu")
    assert folder.file(RELU).name == "ex01_relu.py"
    assert read_sources(folder.path) == {"ex01_relu.py": SOLVED["ex01_relu.py"]}
    assert checked(folder, "relu")[0].passed


# what is no folder, and files that cannot be used


def _too_large(path):
    (path / "ex01_relu.py").write_bytes(b"#" * (LARGEST + 1))


def _no_notebook(path):
    (path / "ex01_relu.py").unlink()
    (path / "ex01_relu.ipynb").write_text('{"cells": [')


def _no_cells(path):
    (path / "ex01_relu.py").unlink()
    (path / "ex01_relu.ipynb").write_text("[1, 2]")


def _link(path):
    (path / "ex01_relu.py").rename(path.parent / "elsewhere.py")
    (path / "ex01_relu.py").symlink_to(path.parent / "elsewhere.py")


def _missing(path):
    (path / "ex01_relu.py").unlink()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_too_large, r"ex01_relu\.py has 1,048,577 bytes; an exercise has at most 1,048,576"),
        (_no_notebook, r"ex01_relu\.ipynb: this is no notebook"),
        (_no_cells, r"ex01_relu\.ipynb: this is no notebook"),
        (_missing, "ex01_relu.py is not there: `numpy-resnet exercises reset relu` brings it back"),
        (_link, "link"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, change, said):
    folder = begun(tmp_path)
    change(folder.path)
    with pytest.raises(ValueError, match=said):
        folder.check(RELU, student=Local)


def test_the_largest_file_is_large_enough(tmp_path):
    folder = begun(tmp_path)
    folder.file(RELU).write_bytes(SOLVED["ex01_relu.py"].encode().ljust(LARGEST, b"#"))
    assert checked(folder, "relu")[0].passed


def test_an_exercise_that_is_not_installed_is_named(tmp_path):
    folder = begun(tmp_path)
    (folder.path / STATE).write_text(json.dumps(folder.state | {"exercises": ["relu", "nothing"]}))
    with pytest.raises(ValueError, match="has the exercise 'nothing', which this installation does not know"):
        Folder(folder.path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        b"\xff\xfe",
        {"name": ...},
        {"passed": ...},
        {"exercises": None},
        {"most_hints": "many"},
        {"passed": []},
        {"passed": {"nothing": "1f"}},
        {"exercises": []},
        {"name": 5},
        {"hints": []},
    ],
)
def test_a_broken_course_json_is_named(tmp_path, text):
    folder = begun(tmp_path)
    if isinstance(text, dict):
        state = folder.state | text
        text = json.dumps({key: value for key, value in state.items() if value is not ...})
    (folder.path / STATE).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=r"course\.json is not what `start` writes"):
        Folder(folder.path)


def test_a_wrong_folder_says_where_the_right_one_is(tmp_path):
    with pytest.raises(ValueError, match="`numpy-resnet exercises start DIR` makes some"):
        Folder(tmp_path)
    begun(tmp_path)
    with pytest.raises(ValueError, match="there are some in course: cd course"):
        Folder(tmp_path)


# hints


@pytest.mark.parametrize("most", range(4))
def test_hints_come_one_at_a_time_and_are_remembered(tmp_path, most):
    folder = begun(tmp_path, most_hints=most)
    assert folder.hint(RELU, again=True) is None
    for number in range(1, most + 1):
        told = number, RELU.lesson.hints[number - 1]
        assert folder.hint(RELU) == told
        folder = Folder(folder.path)
        assert folder.hint(RELU, again=True) == folder.hint(RELU, again=True) == told
        assert json.loads((folder.path / STATE).read_text())["hints"] == {"relu": number}
    assert folder.hint(RELU) is folder.hint(RELU) is None
    assert Folder(folder.path).given == ({"relu": most} if most else {})


# reset


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x = 1\n",
        b"no end of line",
        "x = '\u03b1'\n".encode(),
        b"\xff\xfe latin\n",
        b"x = 1\r\ny = 2\r\n",
        b"x = 1\ry = 2\n",
    ],
)
def test_reset_keeps_every_byte(tmp_path, data):
    folder = begun(tmp_path)
    folder.file(RELU).write_bytes(data)
    backup = folder.reset(RELU)
    assert backup.read_bytes() == data
    assert folder.file(RELU).read_text() == BLANK["ex01_relu.py"]


def test_backups_are_numbered_and_none_is_overwritten(tmp_path):
    folder = begun(tmp_path)
    (folder.path / "ex01_relu.py.2.bak").write_text("older")
    names = []
    for text in ("first", "second", "third"):
        folder.file(RELU).write_text(text)
        names.append(folder.reset(RELU).name)
    assert names == [f"ex01_relu.py.{n}.bak" for n in (1, 3, 4)]
    kept = [(folder.path / f"ex01_relu.py.{n}.bak").read_text() for n in (1, 2, 3, 4)]
    assert kept == ["first", "older", "second", "third"]


def test_reset_forgets_that_it_passed_and_brings_back_what_is_gone(tmp_path):
    folder = begun(tmp_path)
    solve(folder, "relu", "linear")
    checked(folder, "relu", "linear")
    folder.hint(RELU)
    folder.reset(RELU)
    assert set(Folder(folder.path).passed) == {"linear"}
    assert folder.given == {"relu": 1}
    folder.file(RELU).unlink()
    assert folder.reset(RELU) is None
    assert folder.file(RELU).read_text() == BLANK["ex01_relu.py"]


# what is shown


def _returns(exercise):
    return "".join(f"\n{name} = lambda *args, **options: 0\n" for name in exercise.lesson.functions)


def _raises(exercise):
    body = "print('said ' * 50)\n    raise ValueError('wrong ' * 30 + 'x' * 100)"
    return "".join(f"\ndef {name}(*args, **options):\n    {body}\n" for name in exercise.lesson.functions)


def _passed(exercise):
    checks = [Check(ask.subject, part, 1.0) for ask in exercise.judges for part in ask.parts]
    return Verdict(exercise.name, "passed", tuple(checks), printed="said " * 50, seconds=59.96)


def _judged(exercise, source):
    return judge(exercise, SOLVED | {f"{exercise.file}.py": source}, student=Local)


STATES = {
    "passed": _passed,
    "blank": lambda e: _judged(e, BLANK[f"{e.file}.py"]),
    "returns": lambda e: _judged(e, SOLVED[f"{e.file}.py"] + _returns(e)),
    "raises": lambda e: _judged(e, SOLVED[f"{e.file}.py"] + _raises(e)),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("exercise", ALL, ids=EXERCISES)
def test_a_verdict_fits_into_a_terminal(exercise, state):
    verdict = STATES[state](exercise)
    ours = [e.name for e in prerequisites(exercise)]
    plain = list(report.verdict_lines(verdict, exercise, ours, report.Paint(None)))
    assert max(map(len, plain)) <= report.WIDTH
    text = "\n".join(plain)
    assert text.isascii()
    assert "\x1b" not in text
    assert "\0" not in text
    assert plain[0].startswith(f"{exercise.name}: {report.WORDS[verdict.status]}   {exercise.file}, ")
    assert verdict.passed == (state == "passed")
    for check in verdict.checks:
        sign = "+" if check.passed else "-" if check.unfinished or not check.asked else "x"
        assert f"{sign} {check.part}" in text
    if state == "raises":
        assert "ValueError: wrong wrong" in " ".join(text.split())


def _stream(encoding, terminal):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    stream.isatty = lambda: terminal
    return stream


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(("encoding", "signs"), [("ascii", "+x-#."), ("latin-1", "+x-#."), ("utf-8", "✓✗·█░")])
def test_colours_are_for_terminals_and_signs_for_utf_8(encoding, signs, terminal):
    paint = report.Paint(_stream(encoding, terminal))
    assert "".join((paint.yes, paint.no, paint.dash, paint.full, paint.empty)) == signs
    assert paint("words", "passed") == ("\x1b[32mwords\x1b[0m" if terminal else "words")
    assert paint("words", "no colour") == "words"


@pytest.mark.parametrize("exercise", ALL, ids=EXERCISES)
def test_hints_fit_into_a_terminal(exercise):
    for number, text in enumerate(exercise.lesson.hints, 1):
        first, _, *lines = report.hint_lines(exercise, 3, number, text)
        assert (
            first == f"{exercise.name}, hint {number} of 3: " + ["the concept", "the formula", "the shapes"][number - 1]
        )
        assert max(map(len, lines)) <= report.WIDTH
        assert " ".join(" ".join(lines).split()) == text


def test_the_list_shows_what_is_done_and_a_sign_for_each_hint(tmp_path):
    folder = begun(tmp_path, EXERCISES)
    solve(folder, "linear")
    checked(folder, "linear")
    for exercise in [RELU, RELU, *3 * [LINEAR]]:
        folder.hint(exercise)
    *rows, empty, told, blank, last = report.list_lines(folder, report.Paint(None))
    assert rows[0].startswith("  ex01_relu ")
    assert rows[0].endswith("Easy    10 min ??")
    assert rows[1].startswith("+ ex02_linear ")
    assert rows[1].endswith(" ???")
    assert [row[2:].split()[0] for row in rows] == [e.file for e in ALL]
    assert max(map(len, rows)) <= report.WIDTH
    assert (empty, blank, last) == ("", "", "#" + 23 * "." + " 1 of 20")
    assert told == "? is a hint that was given"


@pytest.mark.parametrize("width", [20, 40, 79, 80, 81, 120])
@pytest.mark.parametrize("coloured", [False, True])
def test_the_line_of_progress_is_no_wider_than_the_terminal(tmp_path, width, coloured):
    folder = begun(tmp_path, ["relu", "linear"])
    solve(folder, "relu")
    checked(folder, "relu")
    paint = report.Paint(_stream("ascii", coloured))
    line = report.progress_line(folder, paint, "h hint  n next  p previous  l list", width)
    bare = re.sub(r"\x1b\[\d+m", "", line)
    assert len(bare) <= width
    assert ("\x1b" in line) == coloured
    bar, words = bare.split(" ", 1)
    assert bar == "#" * round(len(bar) / 2) + "." * (len(bar) - round(len(bar) / 2))
    full = "1 of 2   h hint  n next  p previous  l list"
    assert full.startswith(words)
    assert words == full or len(bare) == width - 1


# training with one's own


def split(path, names):
    folder = with_passed(path, *names)
    return folder, *training.split(folder)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], {}),
        (["relu"], {"relu": "relu", "relu_backward": "relu"}),
        (["conv2d_forward"], {}),
        (["conv2d_backward"], {}),
        (
            ["conv2d_forward", "conv2d_backward"],
            {"conv2d": "conv2d_forward", "conv2d_backward": "conv2d_backward"},
        ),
        (["batchnorm_backward", "sgd"], {"sgd": "sgd"}),
        (["columns", "identity_block"], {}),
    ],
)
def test_a_backward_counts_only_with_its_forward(tmp_path, names, expected):
    folder, yours, ours = split(tmp_path, names)
    assert yours == expected
    every = [name for exercise in ALL for name in exercise.plugs]
    assert sorted([*yours, *ours]) == sorted(every)
    with training.load_functions(folder, yours) as functions:
        assert set(functions) == set(expected)
        ops.replaced(**{name: f for name, f in functions.items() if name != "sgd"})


def test_a_stray_file_that_is_no_utf_8_does_not_keep_anybody_from_training(tmp_path):
    folder, yours, _ = split(tmp_path, ["relu"])
    (folder.path / "notes.py").write_bytes(b"# caf\xe9\n")
    with training.load_functions(folder, yours) as loaded:
        assert set(loaded) == {"relu", "relu_backward"}


def test_two_terminals_do_not_undo_each_other(tmp_path):
    one = begun(tmp_path, ["relu"])
    other, _ = Folder.start(one.path, "Ada", [LINEAR])
    other.hint(LINEAR)
    one.hint(RELU)
    assert [e.name for e in one.exercises] == ["relu", "linear"]
    assert Folder(one.path).given == {"relu": 1, "linear": 1}


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    """Those of somebody who has done all."""
    folder, yours, ours = split(tmp_path_factory.mktemp("all"), EXERCISES)
    assert ours == []
    with training.load_functions(folder, yours) as loaded:
        yield loaded


def _small_model(dtype):
    rng = np.random.default_rng(5)
    return layers.Sequential(
        layers.Linear(4, 6, rng=rng, dtype=dtype), layers.ReLU(), layers.Linear(6, 3, rng=rng, dtype=dtype)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "weight_decay": 5e-4},
        {"momentum": 0.8, "weight_decay": 0.1, "nesterov": True},
    ],
    ids=str,
)
def test_sgd_of_the_lesson_takes_the_same_steps_as_ours(functions, options, dtype):
    own, ours = _small_model(dtype), _small_model(dtype)
    optimizers = training.OwnSGD(functions["sgd"], own, 0.1, **options), optim.SGD(ours, 0.1, **options)
    rng = np.random.default_rng(6)
    for n in range(5):
        x, dy = rng.standard_normal((7, 4)).astype(dtype), rng.standard_normal((7, 3)).astype(dtype)
        for model, optimizer in zip((own, ours), optimizers, strict=True):
            optimizer.lr = 0.1 / (n + 1)
            model.forward(x)
            model.backward(dy)
            optimizer.step()
        for (key, a, _), (_, b, _) in zip(own.named_parameters(), ours.named_parameters(), strict=True):
            assert a.tobytes() == b.tobytes(), key
            assert a.dtype == dtype


def test_a_resnet18_of_a_students_functions_has_our_gradients(functions):
    namespace = ops.replaced(**{name: f for name, f in functions.items() if name != "sgd"})
    x = np.random.default_rng(8).standard_normal((2, 3, 8, 8))
    found = []
    for own in (namespace, ops):
        model = models.resnet18(num_classes=3, stem="cifar", dtype=np.float64, ops=own)
        logits = model.forward(x)
        _, cache = own.cross_entropy(logits, np.array([0, 2]))
        dx = model.backward(own.cross_entropy_backward(1.0, cache))
        found.append({"logits": logits, "dx": dx, **{key: grad for key, _, grad in model.named_parameters()}})
    yours, ours = found
    assert len(yours) == len(ours) > 60
    for key, gradient in ours.items():
        np.testing.assert_allclose(yours[key], gradient, rtol=0, atol=1e-9 * np.abs(gradient).max(), err_msg=key)
        assert np.abs(gradient).max() > 0
    assert functions["conv2d"] is not ops.conv2d
