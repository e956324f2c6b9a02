"""The pages of the site that are made from something else: chapters as they ran, the exercises, the explorer."""

import json
import re
from pathlib import Path

from numpy_resnet import explore, files
from numpy_resnet.exercises.catalogue import EXERCISES
from numpy_resnet.exercises.lessons import split_cells, to_notebook

TUTORIALS = Path(__file__).parents[1] / "tutorials"
HINTS = ("The idea", "The formula", "The shapes")


def gather(docs):
    """Write them into docs/tutorials, docs/exercises and docs/explorer, which are not committed."""
    notebooks = {path.stem: path.read_text(encoding="utf-8") for path in (TUTORIALS / "notebooks").glob("*.ipynb")}
    if not notebooks:
        raise ValueError("there must be notebooks in tutorials/notebooks; there are none: run make notebooks")
    texts = {
        docs / "tutorials" / f"{name}.ipynb": text.replace("../../docs/explorer/", "../").replace("../../docs/", "../")
        for name, text in notebooks.items()
    }
    texts[docs / "explorer" / "resnet18.html"] = explorer()
    texts[docs / "tutorials" / "table.md"] = table_of_chapters(notebooks)
    texts[docs / "exercises" / "table.md"] = table_of_exercises()
    for exercise in EXERCISES.values():
        texts[docs / "exercises" / f"{exercise.file}.ipynb"] = exercise_page(exercise)
    for folder in ("tutorials", "exercises", "explorer"):
        (docs / folder).mkdir(exist_ok=True)
        for old in set((docs / folder).iterdir()) - set(texts):
            old.unlink()
    for path, text in texts.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            files.write_text(path, text)


def explorer():
    """The page of `numpy-resnet explore`, without any argument."""
    picture, label, name = explore.digit()
    return explore.page_of(explore.digits_network(), picture, label, image=name)


def table_of_chapters(names):
    """What each chapter asks, and the exercises that belong to it."""
    lines = ["| | chapter | question | exercises |", "|---|---|---|---|"]
    for name in sorted(names):
        cells = split_cells((TUTORIALS / f"{name}.py").read_text(encoding="utf-8"))
        prose = "\n".join(cell.text for cell in cells if cell.kind == "markdown")
        number, title = re.match(r"# (\d+)\. (.*)", prose).groups()
        question = " ".join(re.search(r"\*\*Question:\*\* (.*?)(?:\n\n|$)", prose, re.DOTALL)[1].split())
        asked = " ".join(re.findall(r"exercises start \S+ --only ([a-z_0-9 ]+)", prose)).split()
        links = ", ".join(f"[{word}](exercises/{EXERCISES[word].file}.ipynb)" for word in asked)
        lines.append(
            f"| {number} | [{title}](tutorials/{name}.ipynb) | {question[:1].upper()}{question[1:]} | {links} |"
        )
    return "\n".join(lines) + "\n"


def table_of_exercises():
    lines = ["| | exercise | difficulty | minutes |", "|---|---|---|---|"]
    for exercise in EXERCISES.values():
        number, title = exercise.lesson.title.split(". ", 1)
        difficulty, minutes = exercise.lesson.effort
        lines.append(f"| {number} | [{title}](exercises/{exercise.file}.ipynb) | {difficulty.lower()} | {minutes} |")
    return "\n".join(lines) + "\n"


def exercise_page(exercise):
    """The notebook that a student gets, and its hints, folded."""
    page = json.loads(to_notebook(exercise.lesson.student_source()))
    lines = [
        "## Begin",
        "",
        "```",
        f"numpy-resnet exercises start mine --only {exercise.name}",
        "```",
        "",
        "## Hints",
        "",
    ]
    for word, hint in zip(HINTS, exercise.lesson.hints, strict=True):
        lines += [f"<details><summary>{word}</summary>", "", hint, "", "</details>", ""]
    cell = {"cell_type": "markdown", "id": "hints", "metadata": {}, "source": "\n".join(lines)}
    return json.dumps({**page, "cells": [*page["cells"], cell]}, indent=1) + "\n"
