"""What doctor_matrix.py found, as a page and as a picture."""

from itertools import groupby

import numpy as np

from numpy_resnet.plots.style import BLUE, FAINT, INK, QUIET, page

HEADS = (
    "gradient\nnot zero",
    "means\nagree",
    "one entry,\ndy of ones",
    "all entries,\ndy of ones",
    "all entries,\nrandom dy",
    "and in\nawkward\ncases",
    "and\ninvariants:\nthe doctor",
)
GAP = 1.6  # between two ops, in rows


def groups(rows):
    """[(op, [(name, row), ...])]: of each op those that most styles find first."""
    by_op = groupby(rows.items(), key=lambda item: item[1]["op"])
    return [(op, sorted(bugs, key=_from_the_strongest)) for op, bugs in by_op]


def _from_the_strongest(item):
    name, row = item
    return -sum(row["found"]), [not found for found in reversed(row["found"])], name


def report(styles, rows):
    """The page in two parts: the counts, and the row of every bug."""
    N, found = len(rows), np.array([row["found"] for row in rows.values()])
    first, three = (sum(row[key] for row in rows.values()) for key in ("first_right", "one_of_three_right"))
    lines = ["# Which test finds which bug?", "", "Written by `tools/doctor_matrix.py`.", ""]
    lines += [f"| style | found of {N} |", "| --- | ---: |"]
    lines += [
        f"| {i}. {style} | {count} |" for i, (style, count) in enumerate(zip(styles, found.sum(0), strict=True), 1)
    ]
    lines += ["", "Styles 1 to 5 have one easy case: two samples, 4x4, parameters as at initialisation.", ""]
    lines += [f"The doctor's first cause is right for {first} of {N} bugs ({first / N:.1%}), ", ""]
    lines[-2] += f"one of its first three for {three} ({three / N:.1%})."
    lines += _row("op", "bugs", *range(1, 8), "first cause", "first three"), "| --- |" + " ---: |" * 10
    for op, bugs in groups(rows):
        counts = np.array([row["found"] for _, row in bugs]).sum(0)
        hits = (sum(row[key] for _, row in bugs) for key in ("first_right", "one_of_three_right"))
        lines.append(_row(op, len(bugs), *counts, *hits))
    table = ["", "Every bug; `●` is found, `·` is not:", "", _row("bug", *range(1, 8), "cause", "the doctor says")]
    table += ["| --- |" + " :---: |" * 7 + " --- | --- |"]
    for _, bugs in groups(rows):
        for name, row in bugs:
            marks = ("●" if found else "·" for found in row["found"])
            causes = (", ".join(dict.fromkeys(row[key])) or "nothing" for key in ("causes", "said"))
            table.append(_row(name, *marks, *causes))
    return "\n".join(lines) + "\n", "\n".join(table) + "\n"


def _row(*cells):
    return f"| {' | '.join(map(str, cells))} |"


def picture(rows):
    """Rows are bugs, op by op, columns the styles; a filled cell is found -> Figure"""
    figure, columns, top = page(9, 15.5), np.arange(len(HEADS)), 0.0
    axes = figure.subplots()
    for op, bugs in groups(rows):
        found = np.array([row["found"] for _, row in bugs])  # (bugs, styles)
        row, column = np.indices(found.shape).reshape(2, -1)
        colors = np.where(found, BLUE, FAINT).ravel()
        axes.barh(top + row + 0.5, 0.93, 0.84, column - 0.465, color=colors, snap=False)
        middle = {"y": top + len(bugs) / 2, "va": "center", "fontsize": 10.5}
        axes.text(-0.6, s=op, ha="right", color=INK, **middle)
        axes.text(columns[-1] + 0.6, s=len(bugs), color=QUIET, **middle)
        top += len(bugs) + GAP
    axes.set(xlim=(-0.5, columns[-1] + 0.5), ylim=(top - GAP, 0), yticks=[], frame_on=False)
    axes.xaxis.tick_top()
    axes.set_xticks(columns, HEADS, fontsize=10, color=INK)
    axes.tick_params(length=0, pad=30)
    for column, count in enumerate(np.array([row["found"] for row in rows.values()]).sum(axis=0)):
        look = {"ha": "center", "fontsize": 17, "fontweight": "bold", "color": BLUE, "annotation_clip": False}
        axes.annotate(str(count), (column, 0), (0, 9), textcoords="offset points", **look)
    title = f"{len(rows)} bugs and seven tests: blue where a test finds the bug"
    figure.suptitle(title, x=0.02, ha="left", fontsize=15, fontweight="bold", color=INK)
    return figure
