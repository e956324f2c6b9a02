"""The tools that make the site: a broken link is found, and no page of an exercise tells its answer."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import check_site
import site_pages

from numpy_resnet.exercises.catalogue import EXERCISES


def site(tmp_path, body, head=""):
    (tmp_path / "other.html").write_text('<h1 id="there">Other</h1>')
    (tmp_path / "index.html").write_text(f'<html><head>{head}</head><body id="top">{body}</body></html>')
    return list(check_site.faults(tmp_path))


@pytest.mark.parametrize(
    "body",
    ['<a href="other.html">', '<a href="other.html#there">', '<a href="#top">', '<a href="https://example.org/x">'],
)
def test_a_good_link_is_no_fault(tmp_path, body):
    assert site(tmp_path, body) == []


@pytest.mark.parametrize(
    ("body", "head", "said"),
    [
        ('<a href="gone.html">', "", "index.html: gone.html leads nowhere"),
        ('<a href="other.html#gone">', "", "index.html: there is no gone in other.html"),
        ('<a href="#gone">', "", "index.html: there is no gone in index.html"),
        ('<img src="gone.png">', "", "index.html: gone.png leads nowhere"),
        (
            '<script src="https://example.org/a.js"></script>',
            "",
            "index.html loads https://example.org/a.js from elsewhere",
        ),
        (
            "",
            '<link rel="stylesheet" href="//example.org/a.css">',
            "index.html loads //example.org/a.css from elsewhere",
        ),
    ],
)
def test_a_fault_is_told(tmp_path, body, head, said):
    assert site(tmp_path, body, head) == [said]


@pytest.mark.parametrize("rule", ["@import 'https://example.org/a.css';", "a { background: url(//example.org/a.png) }"])
def test_a_style_sheet_that_loads_from_elsewhere_is_a_fault(tmp_path, rule):
    (tmp_path / "site.css").write_text(rule)
    assert ["site.css loads" in fault and "from elsewhere" in fault for fault in site(tmp_path, "")] == [True]


def test_a_folder_without_pages_is_a_fault(tmp_path):
    assert list(check_site.faults(tmp_path)) == [f"there is no page in {tmp_path}"]


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=lambda exercise: exercise.name)
def test_the_page_of_an_exercise_tells_no_answer(exercise):
    text = "\n".join("".join(cell["source"]) for cell in json.loads(site_pages.exercise_page(exercise))["cells"])
    assert exercise.lesson.title in text
    assert exercise.lesson.hints[0] in text
    assert "NotImplementedError" in text
    given = {line.strip("# ") for line in exercise.lesson.student_source().splitlines()}
    told = {line.strip() for line in text.splitlines()} - given
    assert told.isdisjoint(exercise.lesson.solution_lines())


def test_every_chapter_and_exercise_is_in_a_table():
    chapters = [path.stem for path in site_pages.TUTORIALS.glob("*.py")]
    table = site_pages.table_of_chapters(chapters)
    assert all(f"(tutorials/{name}.ipynb)" in table for name in chapters)
    assert all(
        f"(exercises/{exercise.file}.ipynb)" in site_pages.table_of_exercises() for exercise in EXERCISES.values()
    )
