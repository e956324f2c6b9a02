"""The course is a folder of solved exercises; here a student's file, the hints and a notebook are made from each.

A lesson is a percent script: cells begin with `# %%`, or `# %% [markdown]` for text. What is between BEGIN SOLUTION and
END SOLUTION, and the cells `derivation` and `hints`, are not for the student's file.
"""

import json
import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

COURSE = Path(__file__).with_name("course")
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


@dataclass(frozen=True)
class Cell:
    """A part of a percent script."""

    kind: str  # "code", "markdown", "derivation" or "hints"
    lines: tuple

    @property
    def text(self):
        """Of markdown, without the comment signs."""
        return "\n".join(line.removeprefix("#").removeprefix(" ") for line in self.lines).strip("\n")

    @property
    def code(self):
        return "\n".join(self.lines).strip("\n")

    @property
    def head(self):
        return "# %%" if self.kind == "code" else "# %% [markdown]"


def split_cells(source):
    """The cells of a percent script."""
    kind, lines = "code", []
    for line in source.splitlines():
        head = re.match(r"# %%( \[markdown\](?: (\w+))?)?", line)
        if not head:
            lines.append(line)
            continue
        if any(lines):
            yield Cell(kind, tuple(lines))
        kind, lines = "markdown" if head[1] else "code", []
        kind = head[2] or kind
    if any(lines):
        yield Cell(kind, tuple(lines))


@dataclass(frozen=True)
class Lesson:
    """One exercise as it is told: its file in the course."""

    name: str  # "relu"
    source: str

    @cached_property
    def cells(self):
        return list(split_cells(self.source))

    @cached_property
    def title(self):
        return self.cells[0].text.splitlines()[0].removeprefix("# ")

    @cached_property
    def effort(self):
        """(difficulty, minutes)"""
        match = re.search(r"^\*(\w+) · (\d+) minutes\*$", self.cells[0].text, re.M)
        return match[1], int(match[2])

    @cached_property
    def hints(self):
        """Concept, formula, shapes."""
        (cell,) = [cell for cell in self.cells if cell.kind == "hints"]
        return [" ".join(hint.split()) for hint in re.split(r"^\d\. ", cell.text, flags=re.M)[1:]]

    @cached_property
    def functions(self):
        """The names of the functions to write, in order."""
        found, current = [], None
        for line in self.source.splitlines():
            if match := re.match(r"def (\w+)", line):
                current = match[1]
            elif line.strip() == BEGIN and current not in found:
                found.append(current)
        return found

    def student_source(self):
        """The file that a student gets."""
        cells = [cell for cell in self.cells if cell.kind in ("code", "markdown")]
        return _joined(cells, lambda lines: self._without_solutions(lines))

    def _without_solutions(self, lines):
        out, inside = [], False
        for line in lines:
            if line.strip() == BEGIN:
                out.append(line.replace(BEGIN, f'raise NotImplementedError("exercise {self.name}")'))
                inside = True
            elif line.strip() == END:
                inside = False
            elif not inside:
                out.append(line)
        return out

    def solved_source(self):
        """Ours, runnable, without the marks."""
        cells = [cell for cell in self.cells if cell.kind in ("code", "markdown")]
        return _joined(cells, lambda lines: [line for line in lines if line.strip() not in (BEGIN, END)])

    def solution(self):
        """What the student was to write, and the derivations."""
        out = []
        for cell in self.cells:
            if cell.kind == "derivation":
                out += [cell.text, ""]
            elif cell.kind == "code" and BEGIN in cell.code:
                out += [line for line in cell.code.splitlines() if line.strip() not in (BEGIN, END)] + [""]
        return "\n".join(out).strip("\n") + "\n"

    def solution_lines(self):
        """The lines between the marks that say something, as a leak would show them."""
        inside = False
        for line in self.source.splitlines():
            if line.strip() in (BEGIN, END):
                inside = line.strip() == BEGIN
            elif inside and len(re.sub(r"\W", "", line)) >= 12 and not line.strip().startswith("#"):
                yield line.strip()


def faults(file, source):
    """What is wrong with the form of a lesson, in words."""
    head = source.split("# %%")[1] if "# %%" in source else ""
    number = file[2:4].lstrip("0")
    if not re.search(rf"^# # {number}\. .+$", head, re.M):
        yield f"the first cell must have a title, `# # {number}. Name: one clause`"
    if not re.search(r"^# \*(Easy|Medium|Hard) · \d+ minutes\*$", head, re.M):
        yield "under the title must stand, for example, `# *Medium · 20 minutes*`"
    kinds = [cell.kind for cell in split_cells(source)]
    if odd := sorted(set(kinds) - {"code", "markdown", "derivation", "hints"}):
        yield f"a cell is called {odd[0]!r}; there are code, [markdown], [markdown] derivation and [markdown] hints"
    if kinds.count("hints") != 1 or "derivation" not in kinds:
        yield "there must be one cell `# %% [markdown] hints`, and one `# %% [markdown] derivation` at least"
    marks = [line.strip() for line in source.splitlines() if "SOLUTION" in line]
    if not marks or marks != [BEGIN, END] * (len(marks) // 2):
        yield f"lines {BEGIN!r} and {END!r} must take turns; there are {', '.join(marks) or 'none'}"
    if 'if __name__ == "__main__":' not in source:
        yield 'at the end must stand the example by hand, under `if __name__ == "__main__":`'


def _joined(cells, change):
    parts = []
    for cell in cells:
        lines = change(cell.lines) if cell.kind == "code" else cell.lines
        parts.append("\n".join([cell.head, *lines]).rstrip("\n"))
    return "\n\n".join(parts) + "\n"


@cache
def load_lesson(file):
    """The Lesson in course/<file>.py, such as ex01_relu."""
    name = re.sub(r"^ex\d+_", "", file)
    return Lesson(name, (COURSE / f"{file}.py").read_text(encoding="utf-8"))


def to_notebook(source):
    """A percent script as a Jupyter notebook, in its JSON (nbformat 4.5), without outputs."""
    cells = []
    for number, cell in enumerate(split_cells(source)):
        body = cell.code if cell.kind == "code" else cell.text
        about = {"id": f"cell-{number}", "metadata": {}, "source": body.splitlines(keepends=True)}
        if cell.kind == "code":
            cells.append({"cell_type": "code", "execution_count": None, "outputs": [], **about})
        else:
            cells.append({"cell_type": "markdown", **about})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"


def from_notebook(text):
    """The code of a notebook as a script; lines for IPython alone, such as %matplotlib, are left out.

    Raises ValueError for what is no notebook.
    """
    try:
        cells = json.loads(text)["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        "".join(sources).encode()  # JSON may hold halves of signs
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"this is no notebook: {error!r}") from None
    code = "\n\n\n".join(sources) + "\n"
    return re.sub(r"^([ \t]*)(%{1,2}[a-zA-Z]|! *\w).*$", r"\1pass", code, flags=re.M)
