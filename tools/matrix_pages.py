"""What doctor_matrix.py found, as a page and as a picture."""

from itertools import groupby

import numpy as np
from matplotlib.colors import ListedColormap

from numpy_resnet.plots.style import BLUE, FAINT, INK, QUIET, page

HEADS = (
    "not zero",
    "mean",
    "one entry,\ndy of ones",
    "every entry,\ndy of ones",
    "every entry,\nrandom dy",
    "and in\nawkward\ncases",
    "and\ninvariants:\nthe doctor",
)
GAP = 1.6  # between two ops, in rows


def groups(rows):
    """[(op, [(name, row), ...])]: of each op those that most styles find first."""
    by_op = groupby(rows.items(), key=lambda item: item[1]["op"])
    return [(op, sorted(bugs, key=lambda item: (-sum(item[1]["found"]), item[0]))) for op, bugs in by_op]


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
    total, figure = np.array([row["found"] for row in rows.values()]).sum(0), page(9, 15.5)
    axes, top = figure.subplots(), 0.0
    for op, bugs in groups(rows):
        found, bottom = np.array([row["found"] for _, row in bugs]), top + len(bugs)
        place = (-0.5, len(HEADS) - 0.5, bottom, top)
        colors = ListedColormap([FAINT, BLUE])
        axes.imshow(found, colors, vmin=0, vmax=1, extent=place, aspect="auto", interpolation="nearest")
        axes.hlines(np.arange(top + 1, bottom), *place[:2], color="white", lw=0.7)
        axes.text(-0.62, (top + bottom) / 2, op, ha="right", va="center", fontsize=10.5, color=INK)
        axes.text(len(HEADS) - 0.4, (top + bottom) / 2, len(bugs), va="center", fontsize=10.5, color=QUIET)
        top = bottom + GAP
    axes.vlines(np.arange(len(HEADS) - 1) + 0.5, 0, top, color="white", lw=5)
    axes.set(xlim=(-0.5, len(HEADS) - 0.5), ylim=(top - GAP, 0), yticks=[])
    axes.spines[:].set_visible(False)
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(HEADS)), HEADS, fontsize=10.5, color=INK)
    axes.tick_params(length=0, pad=30)
    for column, count in enumerate(total):
        axes.annotate(
            str(count),
            (column, 0),
            (0, 9),
            textcoords="offset points",
            ha="center",
            fontsize=17,
            fontweight="bold",
            color=BLUE,
            annotation_clip=False,
        )
    title = f"{len(rows)} wrong backwards and forwards, and the seven tests that look for them: blue is found"
    figure.suptitle(title, x=0.02, ha="left", fontsize=12.5, fontweight="bold", color=INK)
    return figure
