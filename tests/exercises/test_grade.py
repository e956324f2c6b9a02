"""Grades and handouts: fair, reproducible, readable by others, and without an answer that leaks."""

import json
import os
import re
import textwrap
from types import SimpleNamespace
from xml.etree import ElementTree

import fastjsonschema
import pytest

from numpy_resnet.cli import main
from numpy_resnet.exercises import EXERCISES, Verdict, dev, exports, grade
from numpy_resnet.exercises.folder import STATE, check_names, seed_of
from numpy_resnet.exercises.grade import MISSING, Grade, find_submissions, grade_submission
from numpy_resnet.exercises.judges import Check
from numpy_resnet.exercises.lessons import BEGIN, END, to_notebook
from numpy_resnet.exercises.release import find_leaks, release

ALL = list(EXERCISES.values())
SOLVED, BLANK = dev.solved(), dev.blank()
RELU, LINEAR = "ex01_relu.py", "ex02_linear.py"
NAMES = ["relu", "linear"]
VALID = fastjsonschema.compile(json.loads(exports.SCHEMA.read_text()))


def changed(file, old, new):
    assert SOLVED[file].count(old) == 1
    return SOLVED[file].replace(old, new)


SUBMISSIONS = {  # files of relu and linear; statuses; points of 10 each, or bounds that are not reached
    "right": ({RELU: SOLVED[RELU], LINEAR: SOLVED[LINEAR]}, ["passed", "passed"], [10, 10]),
    "half": (
        {RELU: SOLVED[RELU], LINEAR: changed(LINEAR, "dbias = None if bias is None else dy.sum", "dbias = dy.mean")},
        ["passed", "failed"],
        [10, (0, 10)],
    ),
    "blank": ({RELU: BLANK[RELU], LINEAR: BLANK[LINEAR]}, ["unfinished", "unfinished"], [0, 0]),
    "wrong": ({RELU: changed(RELU, "x > 0", "dy > 0"), LINEAR: SOLVED[LINEAR]}, ["failed", "passed"], [(0, 10), 10]),
    "missing": ({LINEAR: SOLVED[LINEAR], "notes.txt": "see above"}, [MISSING, "passed"], [0, 10]),
    "hostile": (
        {RELU: changed(RELU, "return np.maximum(x, 0), x", "import os; os._exit(0)"), LINEAR: SOLVED[LINEAR]},
        ["stopped", "passed"],
        [0, 10],
    ),
    "notebook": (
        {"ex01_relu.ipynb": to_notebook(SOLVED[RELU]), LINEAR: SOLVED[LINEAR]},
        ["passed", "passed"],
        [10, 10],
    ),
    "torn": ({"ex01_relu.ipynb": "{", "ex02_linear.ipynb": "[]"}, [MISSING, MISSING], [0, 0]),
}


def submit(path, files):
    path.mkdir(parents=True)
    for name, text in files.items():
        (path / name).write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """What the command made of all of them: its output, and the files that it wrote."""
    path = tmp_path_factory.mktemp("graded")
    for student, (files, _, _) in SUBMISSIONS.items():
        submit(path / "in" / student, files)
    return command(path, path / "in", "--only", "relu", "linear")


def command(path, *options):
    out = [path / "grades.json", path / "junit.xml", path / "gradescope"]
    files = ["--json", out[0], "--junit", out[1], "--gradescope", out[2], "--jobs", 1]
    code = main(["exercises", "grade", "--seed-from", "autumn", *map(str, [*options, *files])])
    scopes = {file.stem: json.loads(file.read_text()) for file in out[2].iterdir()}
    return SimpleNamespace(code=code, json=out[0].read_text(), junit=out[1].read_text(), gradescope=scopes)


@pytest.fixture
def in_process(monkeypatch):
    """Grading begins no process of its own, which is quicker."""

    def grade_all(submissions, seed_from, exercises, points, jobs):
        names = [exercise.name for exercise in exercises]
        return [grade_submission(student, folder, seed_from, names, points) for student, folder in submissions]

    monkeypatch.setattr(grade, "grade_all", grade_all)


def by_hand(*verdicts, student="Ada", points=10.0):
    return Grade(student, 1, verdicts, (points,) * len(verdicts))


def verdict(name="relu", status="failed", shares=(1.0, 0.5, 0.0), text="wrong"):
    parts = zip(("shapes", "values", "invariants"), (1, 2, 1), shares, strict=True)
    checks = [Check(name, part, share, weight, "" if share == 1 else text) for part, weight, share in parts]
    return Verdict(name, status, tuple(checks), text, seconds=0.5)


# submissions


def test_a_folder_is_a_submission_or_holds_some(tmp_path):
    ada, eve = (submit(tmp_path / "all" / name, {RELU: ""}) for name in ("Ada", "Eve"))
    bob = submit(tmp_path / "Bob", {"ex01_relu.ipynb": "{}"})
    (bob / "pictures").mkdir()
    (tmp_path / "all" / ".git").mkdir()
    (tmp_path / "all" / "notes.txt").touch()
    assert find_submissions([tmp_path / "all"]) == [("Ada", ada), ("Eve", eve)]
    assert find_submissions([bob, tmp_path / "all"]) == [("Bob", bob), ("Ada", ada), ("Eve", eve)]
    assert find_submissions([submit(tmp_path / "Zoë", {})]) == [("Zoë", tmp_path / "Zoë")]


def test_files_may_lie_one_folder_deeper_in_a_submission(tmp_path):
    inner = submit(tmp_path / "all" / "Ada" / "homework", {RELU: ""})
    eve = submit(tmp_path / "all" / "Eve", {RELU: ""})
    (eve / "pictures").mkdir()
    (tmp_path / "all" / "Ada" / "__MACOSX").mkdir()
    assert find_submissions([tmp_path / "all"]) == [("Ada", inner), ("Eve", eve)]


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        ([], "there must be submissions"),
        (["nowhere"], "nowhere must be a folder"),
        (["file"], "file must be a folder"),
        (["a/Ada", "b/Ada"], "two have the same name"),
        (["a", "a/Ada"], "two have the same name"),
    ],
)
def test_what_is_no_submission_is_refused(tmp_path, folders, said):
    for name in ("a", "b"):
        submit(tmp_path / name / "Ada", {RELU: ""})
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=said):
        find_submissions([tmp_path / folder for folder in folders])


# grades


@pytest.mark.parametrize("student", SUBMISSIONS)
def test_each_submission_gets_what_it_deserves(graded, student):
    _, statuses, scores = SUBMISSIONS[student]
    assert graded.code == 0
    (one,) = [one for one in json.loads(graded.json)["grades"] if one["student"] == student]
    assert [e["name"] for e in one["exercises"]] == NAMES
    assert [e["status"] for e in one["exercises"]] == statuses
    for exercise, score in zip(one["exercises"], scores, strict=True):
        if isinstance(score, tuple):
            assert score[0] < exercise["score"] < score[1]
        else:
            assert exercise["score"] == score
        assert exercise["most"] == 10
        assert (exercise["text"] == "") == (exercise["status"] == "passed")
        shares = [(check["share"], check["weight"]) for check in exercise["checks"]]
        part = sum(share * weight for share, weight in shares) / sum(weight for _, weight in shares)
        assert exercise["score"] == pytest.approx(10 * part, abs=0.006)
    assert one["score"] == pytest.approx(sum(e["score"] for e in one["exercises"]))
    assert one["most"] == 20
    assert one["seed"] == seed_of("autumn", student)


@pytest.mark.parametrize(
    ("student", "said"),
    [
        ("missing", "ex01_relu.py is missing"),
        ("hostile", "it ended the process"),
        ("torn", "ex01_relu.ipynb: this is no notebook"),
        ("wrong", "dx is wrong"),
    ],
)
def test_who_lost_points_is_told_why(graded, student, said):
    (one,) = [one for one in json.loads(graded.json)["grades"] if one["student"] == student]
    assert said in one["exercises"][0]["text"]


def test_the_json_is_as_its_schema_says_and_in_order(graded):
    content = VALID(json.loads(graded.json))
    assert [one["student"] for one in content["grades"]] == sorted(SUBMISSIONS)
    assert content["seed_from"] == "autumn"


@pytest.mark.parametrize("change", [{"seed": -1}, {"more": 1}, {"score": "10"}, {"exercises": [{}]}])
def test_the_schema_is_strict(graded, change):
    content = json.loads(graded.json)
    content["grades"][0] |= change
    with pytest.raises(fastjsonschema.JsonSchemaException):
        VALID(content)


def test_the_same_submissions_get_the_same_bytes(graded, tmp_path):
    for student in ("half", "hostile"):
        submit(tmp_path / "in" / student, SUBMISSIONS[student][0])
    again = json.loads(command(tmp_path, tmp_path / "in", "--only", "linear", "relu").json)
    first = [one for one in json.loads(graded.json)["grades"] if one["student"] in ("half", "hostile")]
    assert json.dumps(again["grades"]) == json.dumps(first)


def test_other_words_and_other_students_have_other_inputs(tmp_path, monkeypatch):
    seeds = []

    def judged(exercise, files, *, seed):
        seeds.append(seed)
        return verdict(exercise.name)

    monkeypatch.setattr(grade, "judge", judged)
    folder = submit(tmp_path / "Ada", {RELU: SOLVED[RELU]})
    who = [("autumn", "Ada"), ("spring", "Ada"), ("autumn", "Eve")]
    grades = [grade_submission(student, folder, words, ["relu"], {}) for words, student in who]
    assert seeds == [one.seed for one in grades] == [seed_of(*words) for words in who]
    assert len(set(seeds)) == 3


def test_what_is_needed_is_judged_but_gives_no_points(tmp_path):
    files = {name: SOLVED[name] for name in ("ex04_columns.py", "ex05_conv2d_forward.py")}
    files["ex04_columns.py"] += "\nprint('mine')\n"
    folder = submit(tmp_path / "Ada", files)
    (verdict,) = grade_submission("Ada", folder, "", ["conv2d_forward"], {}).verdicts
    assert (verdict.exercise, verdict.status) == ("conv2d_forward", "passed")
    assert "mine" in verdict.printed, "theirs has passed, so it is used"
    (folder / "ex04_columns.py").write_text(BLANK["ex04_columns.py"] + "\nprint('mine')\n")
    (verdict,) = grade_submission("Ada", folder, "", ["conv2d_forward"], {}).verdicts
    assert verdict.passed, "ours stands in"
    assert verdict.printed == ""


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("notes.py", b"# caf\xe9\n"),
        ("notes.txt", b"\0"),
        ("Untitled.ipynb", b""),
        ("pictures.ipynb", b'{"cells": [], "metadata": {"image": "' + 2**20 * b"x" + b'"}}'),
        ("ex03_cross_entropy.ipynb", b"{"),
    ],
)
def test_a_stray_file_takes_nothing_from_the_others(tmp_path, name, data):
    folder = submit(tmp_path / "Ada", {RELU: SOLVED[RELU]})
    (folder / name).write_bytes(data)
    assert grade_submission("Ada", folder, "", ["relu"], {}).score == 10


def test_what_is_told_to_a_student_does_not_depend_on_where_the_files_are(tmp_path):
    texts = set()
    for place in ("here", "there"):
        folder = submit(tmp_path / place / "Ada", SUBMISSIONS["torn"][0])
        texts.add(str(grade_submission("Ada", folder, "", NAMES, {}).as_dict()))
    assert len(texts) == 1
    assert str(tmp_path) not in texts.pop()


def test_what_is_told_of_an_exercise_is_about_its_own_file(tmp_path):
    folder = submit(tmp_path / "Ada", SUBMISSIONS["torn"][0])
    verdicts = grade_submission("Ada", folder, "", [*NAMES, "cross_entropy"], {}).verdicts
    for one, said in zip(
        verdicts, ("ex01_relu.ipynb: ", "ex02_linear.ipynb: ", "ex03_cross_entropy.py is missing"), strict=True
    ):
        assert said in one.text


def test_a_file_of_another_name_is_mentioned(tmp_path):
    folder = submit(tmp_path / "Ada", {f"{RELU}.txt": SOLVED[RELU]})
    (verdict,) = grade_submission("Ada", folder, "", ["relu"], {}).verdicts
    assert verdict.text == "ex01_relu.py is missing; there is 'ex01_relu.py.txt'"


@pytest.mark.parametrize(
    ("points", "most", "scores"),
    [({}, (10, 10), (5, 10)), ({"relu": 4, "linear": 0}, (4, 0), (2, 0)), ({"relu": 0.5}, (0.5, 10), (0.25, 10))],
)
def test_points(points, most, scores):
    worth = tuple(points.get(name, 10) for name in NAMES)
    one = Grade("Ada", 1, (verdict(), verdict("linear", "passed", (1, 1, 1), "")), worth)
    assert (one.points, one.scores) == (most, scores)
    assert (one.score, one.most) == (sum(scores), sum(most))


def test_points_of_the_command(tmp_path, capsys, in_process):
    submit(tmp_path / "in" / "Ada", {RELU: SOLVED[RELU]})
    made = command(tmp_path, tmp_path / "in", "--only", "relu", "linear", "--points", "relu=2.5", "linear=3")
    (one,) = json.loads(made.json)["grades"]
    assert [(e["score"], e["most"]) for e in one["exercises"]] == [(2.5, 2.5), (0, 3)]
    header, row, most = capsys.readouterr().out.splitlines()[:3]
    assert header.split() == ["student", "score", "01", "02", "time"]
    assert row.split()[:4] == ["Ada", "2.5", "2.5", "0"]
    assert most.split() == ["of", "5.5", "2.5", "3"]


def test_points_go_by_the_same_names_as_exercises(tmp_path, in_process):
    assert [e.name for e in check_names(["1", "lin"])] == NAMES
    submit(tmp_path / "in" / "Ada", {RELU: BLANK[RELU]})
    made = command(tmp_path, tmp_path / "in", "--only", "relu", "linear", "--points", "1=3", "lin=4")
    assert [e["most"] for e in json.loads(made.json)["grades"][0]["exercises"]] == [3, 4]


@pytest.mark.parametrize("points", [10.0, 0.3, 7, 6.667])
def test_nobody_gets_more_than_the_most(points):
    one = by_hand(verdict(shares=(1, 1, 1), status="passed", text=""), points=points)
    assert one.score <= one.most
    assert one.score == pytest.approx(points, abs=0.005)


# for others

GRADESCOPE = {
    "score",
    "execution_time",
    "visibility",
    "stdout_visibility",
    "tests",
    "output",
    "leaderboard",
    "extra_data",
}
GRADESCOPE_TEST = {"name", "score", "max_score", "status", "output", "output_format", "visibility", "number", "tags"}


@pytest.mark.parametrize("student", SUBMISSIONS)
def test_gradescope_understands_it(graded, student):
    assert set(graded.gradescope) == set(SUBMISSIONS)
    result = graded.gradescope[student]
    _, statuses, _ = SUBMISSIONS[student]
    (one,) = [one for one in json.loads(graded.json)["grades"] if one["student"] == student]
    assert set(result) <= GRADESCOPE
    assert result["visibility"] == "visible"
    assert result["stdout_visibility"] == "hidden"
    assert result["execution_time"] >= 0
    assert result["score"] == one["score"]
    for test, status, exercise in zip(result["tests"], statuses, one["exercises"], strict=True):
        assert set(test) <= GRADESCOPE_TEST
        assert (test["name"], test["score"], test["max_score"]) == (exercise["name"], exercise["score"], 10)
        assert 0 <= test["score"] <= test["max_score"]
        assert test["status"] == ("passed" if status == "passed" else "failed")
        assert test["output"].startswith(f"{exercise['name']}: ")
        assert " ".join(exercise["text"].split()) in " ".join(test["output"].split())
        assert (test["output_format"], test["visibility"]) == ("text", "visible")


def test_gradescope_gets_a_file_for_one_and_a_folder_for_several(tmp_path):
    ada, eve = by_hand(verdict()), by_hand(verdict(), student="Eve")
    exports.write_gradescope(tmp_path / "results.json", [ada])
    assert json.loads((tmp_path / "results.json").read_text())["score"] == 5
    for folder, grades in (("both", [ada, eve]), ("one", [eve])):
        exports.write_gradescope(tmp_path / folder, grades)
        assert sorted(p.name for p in (tmp_path / folder).iterdir()) == sorted(f"{g.student}.json" for g in grades)
    with pytest.raises(ValueError, match=r"both\.json is one file, and there are 2 students: name a folder"):
        exports.write_gradescope(tmp_path / "both.json", [ada, eve])
    assert not (tmp_path / "both.json").exists()


def test_junit_counts_what_it_holds(graded):
    root = ElementTree.fromstring(graded.junit)
    assert [suite.get("name") for suite in root] == sorted(SUBMISSIONS)
    for suite, one in zip(root, json.loads(graded.json)["grades"], strict=True):
        checks = [(e["name"], check) for e in one["exercises"] for check in e["checks"]]
        cases = [(case.get("classname"), case.get("name")) for case in suite]
        assert cases == [(name, f"{check['subject']}: {check['part']}") for name, check in checks]
        failed = [case.find("failure") is not None for case in suite]
        assert failed == [check["share"] < 1 for _, check in checks]
        assert (suite.get("tests"), suite.get("failures")) == (str(len(checks)), str(sum(failed)))
        assert suite.get("errors") == "0"
        assert float(suite.get("time")) >= 0


HARD = "]]> <b>&amp; \x00\x07\x1b[2J\x7f \ud800 \ufffe é 🎲\r\nend"


def test_junit_has_something_to_say_where_a_check_says_nothing():
    root = ElementTree.fromstring(exports.to_junit([by_hand(verdict(text=""))]))
    assert len(root.findall(".//failure")) == 2


def test_junit_survives_whatever_was_raised():
    root = ElementTree.fromstring(exports.to_junit([by_hand(verdict(text=HARD))]).encode())
    text = root.find(".//failure").text
    assert text.startswith("]]> <b>&amp; ")
    assert text.endswith("\nend")
    assert "é" in text
    assert root.find(".//failure").get("message") == "50% of it"


@pytest.mark.parametrize(
    "student",
    [
        'Zoë <&> "quoted"',
        "bell\x07",
        os.fsdecode(b"\xff"),
    ],
)
def test_junit_takes_every_name_that_a_folder_can_have(tmp_path, student):
    text = exports.to_junit([by_hand(verdict(), student=student)])
    root = ElementTree.fromstring(text.encode("utf-8", "surrogateescape"))
    assert root[0].get("name")[:3] == student[:3] or not student.isprintable()


def test_terminal_codes_of_a_student_reach_no_terminal(tmp_path, capsys, in_process):
    codes = changed(RELU, "return np.maximum(x, 0), x", r"raise ValueError('\x1b[2J\x1b]0;owned\x07 ]]>')")
    submit(tmp_path / "in" / "Ada", {RELU: f"print('\\x1b[31m')\n{codes}"})
    made = command(tmp_path, tmp_path / "in", "--only", "relu")
    (one,) = json.loads(made.json)["grades"]
    told = [
        one["exercises"][0]["text"],
        made.gradescope["Ada"]["tests"][0]["output"],
        ElementTree.fromstring(made.junit).find(".//failure").text,
    ]
    for text in told:
        assert "ValueError: ?[2J?]0;owned? ]]>" in text
    for text in [*told, *capsys.readouterr()]:
        assert re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text) is None


# what students get


@pytest.mark.parametrize("notebooks", [False, True])
@pytest.mark.parametrize("names", [list(EXERCISES), ["linear", "relu"]], ids=["all", "some"])
def test_a_release_holds_what_it_must_and_nothing_else(tmp_path, names, notebooks):
    exercises = check_names(names)
    files = release(tmp_path / "out", exercises, most_hints=1, notebooks=notebooks)
    ending = "ipynb" if notebooks else "py"
    expected = {f"{e.file}.{ending}" for e in exercises} | {"README.md", STATE}
    assert set(files) == {path.name for path in (tmp_path / "out").iterdir()} == expected
    state = json.loads((tmp_path / "out" / STATE).read_text())
    names = [e.name for e in exercises]
    assert state == {"name": "", "exercises": names, "most_hints": 1, "passed": {}, "hints": {}}
    for exercise in exercises:
        text = (tmp_path / "out" / f"{exercise.file}.{ending}").read_text()
        blank = BLANK[f"{exercise.file}.py"]
        assert text == (to_notebook(blank) if notebooks else blank)
    readme = (tmp_path / "out" / "README.md").read_text()
    assert f"{len(exercises)} files" in readme
    assert f"Open {exercises[0].file}.{ending} first." in readme
    assert find_leaks(tmp_path / "out") == [], "a false alarm"


def test_a_release_goes_into_an_empty_folder_alone(tmp_path):
    (tmp_path / "empty").mkdir()
    release(tmp_path / "empty", ALL[:1])
    (tmp_path / "file").touch()
    for name in ("empty", "file"):
        with pytest.raises(ValueError, match=f"{name} must be a folder that is new or empty"):
            release(tmp_path / name, ALL[:1])


@pytest.fixture(scope="module")
def handout(tmp_path_factory):
    """A release that tests put something into, and take it out again."""
    path = tmp_path_factory.mktemp("handout") / "out"
    release(path, ALL)
    return path


def leaks_with(handout, more):
    """What find_leaks says where there is more, {file: bytes or text}: in new files, or below what is there."""
    before = {handout / name: (handout / name).read_bytes() if (handout / name).exists() else None for name in more}
    folders = {path.parent for path in before} - {handout}
    for folder in folders:
        folder.mkdir()
    for path, text in zip(before, more.values(), strict=True):
        path.write_bytes((before[path] or b"") + (text if isinstance(text, bytes) else text.encode()))
    try:
        return find_leaks(handout)
    finally:
        for path, data in before.items():
            path.unlink() if data is None else path.write_bytes(data)
        for folder in folders:
            folder.rmdir()


def blocks(exercise):
    return re.findall(rf"{BEGIN}\n(.*?)\n *{END}", exercise.lesson.source, re.S)


def reindented(text, indent):
    least = min(len(line) - len(line.lstrip()) for line in text.splitlines() if line.strip())
    return "".join(f"{indent}{line[least:]}\n" for line in text.splitlines())


@pytest.mark.parametrize("exercise", ALL, ids=EXERCISES)
def test_a_solution_is_found_in_any_file_however_it_is_indented(handout, exercise):
    block = max(blocks(exercise), key=len)
    indents = {"README.md": "", f"{exercise.file}.py": "  ", "notes.txt": "\t", "other.py": "# "}
    found = leaks_with(handout, {file: f"\n{reindented(block, indent)}" for file, indent in indents.items()})
    for file, line in zip(sorted(indents), found, strict=True):
        assert re.fullmatch(rf"{re.escape(file)} has the solution of \w+", line)


@pytest.mark.parametrize("exercise", ALL, ids=EXERCISES)
def test_one_line_of_a_solution_is_found(handout, exercise):
    line = max(exercise.lesson.solution_lines(), key=len)
    (found,) = leaks_with(handout, {"hints.md": f"Try this: `{line}`, says a friend.\n"})
    assert found.startswith("hints.md has the solution of ")


@pytest.mark.parametrize("exercise", ALL, ids=EXERCISES)
def test_a_paragraph_of_a_derivation_is_found(handout, exercise):
    for cell in exercise.lesson.cells:
        if cell.kind == "derivation":
            paragraph = max(cell.text.split("\n\n"), key=len)
            told = textwrap.fill(f"A friend says: {paragraph}", 50)
            assert leaks_with(handout, {"notes.txt": told}) == [f"notes.txt has the derivation of {exercise.name}"]


def _in_a_cell(kind, text):
    cell = {"cell_type": kind, "metadata": {}, "source": text.splitlines(keepends=True)}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.mark.parametrize("exercise", ALL, ids=EXERCISES)
def test_a_solution_in_a_cell_is_found(handout, exercise):
    text = f"def f():\n{max(blocks(exercise), key=len)}\n"
    found = leaks_with(handout, {f"{kind}.ipynb": _in_a_cell(kind, text) for kind in ("code", "markdown")})
    for kind, line in zip(("code", "markdown"), found, strict=True):
        assert line.startswith(f"{kind}.ipynb has the solution of ")


def _run(**fields):
    content = json.loads(_in_a_cell("code", "1 + 1"))
    content["cells"][0] |= fields
    return json.dumps(content)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.py", f"    {BEGIN}\n", "a.py has the marks of a solution"),
        ("a.py", f"    {END}\n", "a.py has the marks of a solution"),
        ("__pycache__/a.txt", "", "__pycache__ keeps what was there before, or byte code"),
        (".git/config", "", ".git keeps what was there before, or byte code"),
        (".ipynb_checkpoints/a.py", "", ".ipynb_checkpoints keeps what was there before, or byte code"),
        ("a.pyc", b"\0", "a.pyc is byte code"),
        ("deep/a.pyc", b"\0", os.path.join("deep", "a.pyc is byte code")),
        ("ex01_relu.py.1.bak", "", "ex01_relu.py.1.bak is an older version"),
        ("ex01_relu.py~", "", "ex01_relu.py~ is an older version"),
        (".ex01_relu.py.swp", "", ".ex01_relu.py.swp is an older version"),
        ("a.zip", "", "a.zip is an archive, which nobody has looked into"),
        ("a.tar.gz", "", "a.tar.gz is an archive, which nobody has looked into"),
        ("A.ZIP", "", "A.ZIP is an archive, which nobody has looked into"),
        ("a.docx", b"PK\3\4", "a.docx is an archive, which nobody has looked into"),
        ("a.txt", SOLVED[RELU].encode("utf-16"), "a.txt has the solution of relu"),
        ("a.ipynb", _run(outputs=[{"output_type": "stream", "text": ["2"]}]), "a.ipynb has outputs"),
        ("a.ipynb", _run(execution_count=1), "a.ipynb has outputs"),
        ("a.ipynb", "{", "a.ipynb is no notebook that can be read"),
    ],
)  # fmt: skip
def test_other_places_of_answers_are_found(handout, name, text, said):
    assert leaks_with(handout, {name: text}) == [said]


@pytest.mark.parametrize(
    "target",
    [
        "file",
        "nowhere",
        "folder",
    ],
)
def test_a_link_is_found(handout, tmp_path, target):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    link = handout / "link"
    link.symlink_to(tmp_path / target)
    try:
        assert find_leaks(handout) == ["link is a link"]
    finally:
        link.unlink()


@pytest.mark.parametrize(
    "text",
    [
        "def relu(x):\n    return None\n\ny, cache = relu(x)\n",
        "The derivation is on the blackboard: dx = dy where x was positive, else 0.\n",
        "import numpy as np\nrng = np.random.default_rng(seed)\nreturn dx, dweight, dbias\n",
        b"\x89PNG\r\n\x1a\n\0\xff",
    ],
)
def test_no_false_alarm(handout, text):
    assert leaks_with(handout, {"notes.txt": text}) == []
