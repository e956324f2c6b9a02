"""Every chapter has all its parts, and leads on. `make check` runs them."""

import json
import re
from pathlib import Path

import pytest

from numpy_resnet.exercises.catalogue import EXERCISES
from numpy_resnet.exercises.lessons import split_cells

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "tutorials").glob("*.py"))
NAMES = [path.name for path in CHAPTERS]
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in CHAPTERS}
PROSE = {
    name: "\n".join(cell.text for cell in split_cells(text) if cell.kind == "markdown") for name, text in TEXTS.items()
}
WITHOUT_EXERCISE = ("10_", "12_")


def test_there_are_twelve_chapters_in_order():
    assert [name[:3] for name in NAMES] == [f"{number:02}_" for number in range(1, 13)]


@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_asks_derives_checks_and_draws(name):
    prose, number = PROSE[name], int(name[:2])
    assert re.match(rf"# {number}\. \S", prose)
    for part in ("**Question:**", "**Predict, then run:**", "<summary>Answers</summary>", "## Now you"):
        assert prose.count(part) == 1, part
    assert re.search(r"\$\$.+?\$\$|\$[^$\n]*\\[^$]*\$", prose, re.DOTALL)  # an equation
    assert re.search(r"assert|np\.testing", TEXTS[name])
    assert re.search(r"^(figure|plots\.\w+\(.*\))$", TEXTS[name], re.MULTILINE)  # a cell ends with a picture


@pytest.mark.parametrize("name", NAMES)
def test_as_many_answers_as_questions(name):
    asked = PROSE[name].split("**Predict, then run:**")[1]
    questions, answers = asked.split("<details><summary>Answers</summary>")
    answers = answers.split("</details>")[0]
    count = [len(re.findall(r"^\d\. ", part, re.MULTILINE)) for part in (questions, answers)]
    assert count[0] == count[1] >= 2


@pytest.mark.parametrize("name", NAMES)
def test_the_exercises_are_there(name):
    asked = re.findall(r"numpy-resnet exercises start \S+ --only ([a-z_0-9 ]+)", PROSE[name])
    assert asked or name.startswith(WITHOUT_EXERCISE)
    assert {word for words in asked for word in words.split()} <= set(EXERCISES)


def test_every_exercise_belongs_to_a_chapter():
    asked = {
        word
        for prose in PROSE.values()
        for words in re.findall(r"exercises start \S+ --only ([a-z_0-9 ]+)", prose)
        for word in words.split()
    }
    assert asked == set(EXERCISES)


@pytest.mark.parametrize("name", NAMES)
def test_files_that_a_chapter_names_are_there(name):
    for path in re.findall(r"`((?:numpy_resnet|benchmarks|docs|tests|tutorials)/[\w/.]+\.\w+)`", PROSE[name]):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"`((?:ops|kernels|layers|models|train|data|gradcheck)/[\w/]+\.py)`", PROSE[name]):
        assert (ROOT / "numpy_resnet" / path).exists(), path


def test_the_debugger_is_set_up():
    launch = json.loads((ROOT / ".vscode" / "launch.json").read_text(encoding="utf-8"))
    stepping = launch["configurations"][0]
    assert stepping["env"] == {"NUMBA_DISABLE_JIT": "1"}
    assert stepping["justMyCode"] is False
