"""Boxes and arrows: what depends on what, and which way a gradient takes."""

import numpy as np
from matplotlib.patches import FancyArrowPatch

from numpy_resnet.plots.style import INK, QUIET, page


def diagram(boxes, arrows, *, width=10, height=4, title="", fontsize=13):
    """Boxes with a text, and arrows between them -> Figure

    boxes: {name: (x, y)} or {name: (x, y, text)}, the centre in inches from the bottom left; an empty text is a point.
    arrows: (from, to, text, colour) or (from, to, text, colour, bend), bend as a share of the length, to the right.
    Raises ValueError for an arrow that begins or ends at no box.
    """
    for start, end, *_ in arrows:
        if odd := {start, end} - set(boxes):
            raise ValueError(f"an arrow must join two of the boxes {', '.join(boxes)}; got {odd.pop()!r}")
    figure = page(width, height)
    axes = figure.subplots()
    axes.set(xlim=(0, width), ylim=(0, height), xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left", fontsize=14, fontweight="bold", color=INK)
    drawn = {}
    for name, (x, y, *text) in boxes.items():
        text = text[0] if text else name
        style = {"boxstyle": "round,pad=0.45", "fc": "white", "ec": INK if text else "none", "lw": 1.4}
        drawn[name] = axes.text(
            x, y, text, fontsize=fontsize, color=INK, ha="center", va="center", bbox=style, zorder=3
        )
    for start, end, text, color, *bend in arrows:
        _arrow(axes, boxes[start], boxes[end], drawn[start], drawn[end], text, color, *bend)
    return figure


def _arrow(axes, start, end, box, other, text, color, bend=0.0):
    """An arrow from the edge of one box to that of another, and its text half way."""
    (x0, y0), (x1, y1) = start[:2], end[:2]
    look = {"arrowstyle": "-|>", "mutation_scale": 18, "color": color, "lw": 2, "zorder": 2}
    patches = {"patchA": box.get_bbox_patch(), "patchB": other.get_bbox_patch(), "shrinkA": 3, "shrinkB": 3}
    axes.add_patch(FancyArrowPatch((x0, y0), (x1, y1), connectionstyle=f"arc3,rad={bend}", **look, **patches))
    middle = np.array([x0 + x1, y0 + y1]) / 2 + bend / 2 * np.array([y1 - y0, x0 - x1])
    paper = {"fc": "white", "ec": "none", "pad": 2}
    color = QUIET if color == INK else color
    axes.text(*middle, text, fontsize=12, color=color, ha="center", va="center", bbox=paper if text else None, zorder=4)
