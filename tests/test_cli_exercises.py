"""The command `exercises`: exit codes, what is printed, and one line for whatever is refused."""

import io
import json
import sys
from dataclasses import replace

import pytest

from numpy_resnet import cli
from numpy_resnet.cli import main
from numpy_resnet.exercises import EXERCISES, dev
from numpy_resnet.exercises.folder import Folder, read_sources
from numpy_resnet.exercises.lessons import to_notebook
from numpy_resnet.exercises.sandbox.local import Local

SOLVED, BLANK = dev.solved(), dev.blank()
RELU, LINEAR = EXERCISES["relu"], EXERCISES["linear"]


def run(capsys, *argv):
    """(exit code, stdout, stderr)"""
    try:
        code = main(["exercises", *map(str, argv)])
    except SystemExit as stop:  # argparse's way
        code = stop.code
    return code, *capsys.readouterr()


def done(capsys, *argv, code=0):
    """The lines on stdout of what ends well, or with this exit code."""
    found, out, err = run(capsys, *argv)
    assert (found, err) == (code, "")
    return out.splitlines()


def refused(capsys, *argv):
    """The one line on stderr."""
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert err.startswith("numpy-resnet")
    assert err.count("\n") == 1
    return err


@pytest.fixture
def course(tmp_path, monkeypatch):
    """The current folder, with two exercises."""
    monkeypatch.chdir(tmp_path)
    return Folder.start(tmp_path, "Ada", [RELU, LINEAR])[0]


def solve(folder, *names):
    for name in names:
        file = f"{EXERCISES[name].file}.py"
        (folder.path / file).write_text(SOLVED[file], encoding="utf-8")


# start


def test_start_says_what_there_is_and_how_to_begin(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = done(capsys, "start", "course", "--name", "Ada")
    minutes = sum(exercise.lesson.effort[1] for exercise in EXERCISES.values())
    assert lines == [
        f"20 exercises in course, about {round(minutes / 60)} hours in all; yours, Ada.",
        "",
        "  cd course",
        "  numpy-resnet exercises watch       and open ex01_relu.py in your editor",
    ]
    assert read_sources("course") == BLANK
    assert Folder("course").name == "Ada"
    lines = done(capsys, "start", "course")
    assert lines[1] == "20 files were there already and stay as they are, ex01_relu.py for one."
    assert Folder("course").name == "Ada"


def test_start_takes_some_and_notebooks(tmp_path, capsys):
    lines = done(capsys, "start", tmp_path / "a", "--only", "2", "relu", "--notebooks", "--name", "Ada")
    assert lines[0] == f"2 exercises in {tmp_path / 'a'}, about 30 minutes in all; yours, Ada."
    assert lines[-1].endswith("open ex01_relu.ipynb in your editor")
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["course.json", "ex01_relu.ipynb", "ex02_linear.ipynb"]


# check, list, hint, solution


def test_a_course_from_the_first_check_to_the_last(course, capsys):
    lines = done(capsys, "check", code=1)
    assert lines[0].startswith("relu: not finished yet   ex01_relu, ")
    assert lines[-1] == "A hint: numpy-resnet exercises hint relu"

    solve(course, "relu")
    lines = done(capsys, "check")
    assert lines[0].startswith("relu: passed")
    assert lines[-2:] == [
        "Ours, with the derivation: numpy-resnet exercises solution relu",
        "Next: ex02_linear.py, easy, about 20 minutes",
    ]
    assert done(capsys, "check", code=1)[0].startswith("linear: not finished yet"), "the first that is not done"

    lines = done(capsys, "check", "linear", "relu", code=1)
    assert [line.split(":")[0] for line in lines if ": " in line][:1] == ["linear"]
    assert lines[-1] == 12 * "█" + 12 * "░" + " 1 of 2"
    (course.path / "ex02_linear.py").write_text(SOLVED["ex02_linear.py"].replace("dy @ weight", "-dy @ weight"))
    assert "dx is wrong" in "\n".join(done(capsys, "check", "ex02", code=1))

    solve(course, "linear")
    assert done(capsys, "check", "--all")[-1] == 24 * "█" + " 2 of 2"
    assert done(capsys, "check") == [
        "All exercises have passed. `numpy-resnet exercises train` trains a ResNet-18 with your functions."
    ]
    assert done(capsys, "check", "2")[-1] == "That was the last. Now the reward: numpy-resnet exercises train"
    assert done(capsys, "hint") == ["All exercises have passed: there is nothing to give a hint on."]
    rows = done(capsys, "list")
    assert [row[:14] for row in rows[:2]] == ["✓ ex01_relu   ", "✓ ex02_linear "]
    for exercise in (RELU, LINEAR):
        assert done(capsys, "solution", exercise.name) == exercise.lesson.solution().splitlines()


def test_all_is_checked_even_if_the_first_fails(course, capsys):
    solve(course, "linear")
    lines = done(capsys, "check", "--all", code=1)
    assert [line.split("   ")[0] for line in lines if "   ex0" in line] == ["relu: not finished yet", "linear: passed"]
    assert done(capsys, "list")[1].startswith("✓ ex02_linear")


def test_hints_one_at_a_time(course, capsys):
    last, again = " That is the last one.", " That is the last one, once more."
    told = ((1, "the concept", ""), (2, "the formula", ""), (3, "the shapes", last), (3, "the shapes", again))
    for number, kind, ending in told:
        lines = done(capsys, "hint", "relu")
        assert lines[0] == f"relu, hint {number} of 3: {kind}"
        text = " ".join(" ".join(lines[1:]).split())
        assert text == RELU.lesson.hints[number - 1] + ending
    assert done(capsys, "hint", "linear")[0] == "linear, hint 1 of 3: the concept"
    assert done(capsys, "hint", "--again", "2")[0] == "linear, hint 1 of 3: the concept"
    assert done(capsys, "hint")[0] == "relu, hint 3 of 3: the shapes"
    assert [row.partition(" min ")[2] for row in done(capsys, "list")[:2]] == ["???", "?"]
    assert done(capsys, "check", code=1)[-1] == "A hint: numpy-resnet exercises hint relu --again"


def test_a_folder_without_hints_says_so(tmp_path, capsys):
    done(capsys, "release", tmp_path / "out", "--hints", "0", "--only", "relu")
    assert done(capsys, "hint", "--dir", tmp_path / "out") == ["relu: there are no hints in this folder"]


def test_the_last_hint_again_where_there_was_none(course, capsys):
    assert done(capsys, "hint", "relu", "--again") == ["relu: no hint was given yet"]


@pytest.mark.parametrize(
    "argv",
    [
        ["list"],
        ["check", "relu"],
        ["hint", "relu"],
        ["solution", "cross_entropy"],
    ],
    ids=" ".join,
)
def test_a_stream_of_ascii_gets_all(tmp_path, monkeypatch, capsys, argv):
    monkeypatch.chdir(tmp_path)
    folder, _ = Folder.start(tmp_path, "Ada", [RELU, EXERCISES["cross_entropy"]])
    solve(folder, "relu", "cross_entropy")
    for exercise in folder.exercises:
        folder.check(replace(exercise, judges=()), student=Local)  # asked nothing, it passes
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "argv", ["numpy-resnet", "exercises", *argv])
    with pytest.raises(SystemExit) as end:
        cli.run()
    assert end.value.code == 0, capsys.readouterr().err
    assert len(stream.buffer.getvalue().splitlines()) > 2


# reset and notebook


def test_reset_keeps_what_was_there(course, capsys):
    solve(course, "relu")
    done(capsys, "check", "relu")
    assert done(capsys, "reset", "relu") == [
        "ex01_relu.py is as it was in the beginning; yours is in ex01_relu.py.1.bak"
    ]
    assert (course.path / "ex01_relu.py.1.bak").read_text() == SOLVED["ex01_relu.py"]
    assert read_sources(course.path)["ex01_relu.py"] == BLANK["ex01_relu.py"]
    assert done(capsys, "list")[0].startswith("  ex01_relu ")
    (course.path / "ex01_relu.py").unlink()
    assert done(capsys, "reset", "1") == ["ex01_relu.py is as it was in the beginning"]


def test_notebooks_of_ones_own_files(course, capsys):
    solve(course, "relu")
    assert done(capsys, "notebook") == [
        "2 notebooks in notebooks; `numpy-resnet exercises check --dir notebooks` checks them",
        "The scripts stay beside them: hand in the folder that you work in.",
    ]
    out = course.path / "notebooks"
    assert (out / "ex01_relu.ipynb").read_text() == to_notebook(SOLVED["ex01_relu.py"])
    assert (out / "ex02_linear.ipynb").read_text() == to_notebook(BLANK["ex02_linear.py"])
    assert done(capsys, "check", "--dir", "notebooks", "relu")[0].startswith("relu: passed")
    (out / "ex01_relu.ipynb").write_text("mine")
    (out / "ex02_linear.ipynb").unlink()
    first, last, _ = done(capsys, "notebook", "relu", "linear")
    assert first.endswith("ex01_relu.ipynb is there and stays as it is; delete it, and it is made anew")
    assert last.startswith("1 notebooks in ")
    assert (out / "ex01_relu.ipynb").read_text() == "mine"


def test_notebooks_of_ones_own_notebooks(tmp_path, capsys):
    Folder.start(tmp_path, "Ada", [RELU], notebooks=True)
    (tmp_path / "ex01_relu.ipynb").write_text(to_notebook(SOLVED["ex01_relu.py"]))
    run(capsys, "notebook", "--dir", tmp_path)
    copy = tmp_path / "notebooks" / "ex01_relu.ipynb"
    assert not copy.exists() or copy.read_text() == to_notebook(SOLVED["ex01_relu.py"])


# release


def test_release_and_the_test_of_one(tmp_path, capsys):
    out = tmp_path / "out"
    (line,) = done(capsys, "release", out, "--hints", "1", "--only", "relu", "linear")
    assert line == f"4 files in {out}, and no answer in them: README.md, course.json, ex01_relu.py, ..."
    assert json.loads((out / "course.json").read_text())["most_hints"] == 1
    assert done(capsys, "release", out, "--test") == [f"no answer was found in {out}"]
    assert "must be a folder that is new or empty" in refused(capsys, "release", out)
    (out / "ex01_relu.py").write_text(SOLVED["ex01_relu.py"])
    (out / "__pycache__").mkdir()
    assert done(capsys, "release", out, "--test", code=1) == [
        "__pycache__ keeps what was there before, or byte code",
        "ex01_relu.py has the solution of relu",
    ]


def test_who_gets_a_release_has_his_own_name(tmp_path, capsys, monkeypatch):
    done(capsys, "release", tmp_path / "out", "--only", "relu")
    for name in ("ada", "eve"):
        monkeypatch.setattr("getpass.getuser", lambda name=name: name)
        assert Folder(tmp_path / "out").name == name


# what is refused


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["nothing"], "invalid choice: 'nothing'"),
        (["start"], "the following arguments are required: DIR"),
        (["start", "ex01_relu.py"], "ex01_relu.py must be a folder, or a name that is free; it is a file"),
        (["start", "new", "--only", "rleu"], "there is no exercise called 'rleu'; did you mean relu?"),
        (["check", "rleu"], "there is no exercise called 'rleu'; did you mean relu?"),
        (["check", "dropout"], "dropout is not among the exercises of this folder"),
        (["check", "--dir", "nowhere"], "there are no exercises in "),
        (["watch", "zebra"], "watch needs a terminal; `numpy-resnet exercises check` does not"),
        (["watch"], "watch needs a terminal; `numpy-resnet exercises check` does not"),
        (["list", "--dir", "nowhere"], "or name their folder with --dir"),
        (["hint", "zebra"], "there is no exercise called 'zebra'; `numpy-resnet exercises list` shows all"),
        (["reset"], "the following arguments are required: name"),
        (["reset", "conv2d"], "did you mean conv2d_forward or conv2d_backward?"),
        (["solution", "relu"], "relu has not, or has changed since: `numpy-resnet exercises check relu`; a hint: "),
        (["notebook", "zebra"], "there is no exercise called 'zebra'"),
        (["train"], "no function of yours has passed yet, so there is nothing to train with: begin with relu"),
        (["train", "--epochs", "0"], "must be a whole number, at least 1"),
        (["release", "new", "--hints", "7"], "argument --hints: invalid choice: 7"),
        (["release", "."], "must be a folder that is new or empty"),
        (["release", "nowhere", "--test"], "nowhere must be a folder"),
        (["grade", "."], "the following arguments are required: --seed-from"),
        (["grade", "nowhere", "--seed-from", "x"], "nowhere must be a folder: a submission, or one that holds "),
        (["grade", ".", ".", "--seed-from", "x"], "two have the same name"),
        (["grade", ".", "--seed-from", "x", "--only", "zebra"], "there is no exercise called 'zebra'"),
        (["grade", ".", "--seed-from", "x", "--jobs", "0"], "must be a whole number, at least 1"),
        (["grade", ".", "--seed-from", "x", "--points", "zebra=3"], "there is no exercise called 'zebra'"),
        (["dev-check", "zebra"], "there is no exercise called 'zebra'"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)  # fmt: skip
def test_what_is_refused_is_said_in_one_line(course, capsys, argv, said):
    before = {path.name: path.read_bytes() for path in course.path.iterdir()}
    assert said in refused(capsys, *argv)
    assert {path.name: path.read_bytes() for path in course.path.iterdir()} == before


@pytest.mark.parametrize(
    "points",
    ["relu", "relu=", "relu=ten", "relu=-1", "relu=nan", "=3", "relu=inf"],
)
def test_points_are_numbers(course, capsys, monkeypatch, points):
    monkeypatch.setattr("numpy_resnet.exercises.grade.find_submissions", lambda folders: pytest.fail("it went on"))
    line = refused(capsys, "grade", ".", "--seed-from", "x", "--points", points)
    assert "--points wants NAME=NUMBER, such as conv2d_backward=20; got " in line or points == "=3"


def test_a_wrong_folder_gets_a_hint_where_the_right_one_is(tmp_path, monkeypatch, capsys):
    Folder.start(tmp_path / "course", "Ada", [RELU])
    monkeypatch.chdir(tmp_path)
    for command in (["check"], ["list"], ["hint"], ["reset", "relu"], ["solution", "relu"], ["notebook"], ["train"]):
        assert "there are some in course: cd course, or name their folder with --dir" in refused(capsys, *command)
    monkeypatch.chdir(tmp_path / "course")
    assert done(capsys, "list")[-1] == 24 * "░" + " 0 of 1"


def test_the_solution_goes_again_when_a_file_has_changed(course, capsys):
    solve(course, "relu")
    done(capsys, "check", "relu")
    done(capsys, "solution", "relu")
    (course.path / "ex01_relu.py").write_text(SOLVED["ex01_relu.py"] + "\n# more\n")
    assert "has changed since" in refused(capsys, "solution", "relu")


def test_a_missing_file_can_be_brought_back(course, capsys):
    (course.path / "ex01_relu.py").unlink()
    assert "`numpy-resnet exercises reset relu` brings it back" in refused(capsys, "check", "relu")
    done(capsys, "reset", "relu")
    done(capsys, "check", "relu", code=1)
