"""Residual blocks as they are drawn on a board: a main branch, a shortcut under it, and both directions."""

import itertools

import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from numpy_resnet.plots.style import BLUE, INK, VERMILLION, page

WIDTH, HIGH, DROP, RADIUS, ROW = 10, 0.56, 1.25, 0.2, 2.6  # inches; DROP: from the branch to its shortcut
FORK, FIRST, PLUS, LAST = 0.85, 1.25, 7.7, 8.25  # where things stand along a row


def residual_blocks(blocks, *, fork="", plus="", title=""):
    """A row for each block: forward in blue, backward in vermillion, each on the left of its way -> Figure

    blocks: {its title: (texts of the boxes of the branch, texts of those of the shortcut, text of the box behind the
    sum)}; a shortcut without boxes is x itself. fork, plus: what the gradients do there.
    Raises ValueError for a branch without a box.
    """
    if not blocks or not all(branch for branch, _, _ in blocks.values()):
        raise ValueError(f"there must be a block, and in the branch of each a box; got {blocks}")
    height = ROW * len(blocks)
    figure = page(WIDTH, height + 0.5)
    axes = figure.subplots()
    axes.set(xlim=(0, WIDTH), ylim=(0, height), xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left", fontsize=14, fontweight="bold", color=INK)
    for row, (name, block) in enumerate(blocks.items()):
        top = height - ROW * row - 0.85
        axes.text(0.1, top + 0.62, name, fontsize=13, color=INK, va="center")
        _draw(axes, top, *block)
        told = {"y": top - DROP / 2, "fontsize": 12, "color": VERMILLION, "va": "center"}
        axes.text(FORK + 0.25, s=fork, ha="left", **told)
        axes.text(PLUS - 0.25, s=plus, ha="right", **told)
    return figure


def _draw(axes, top, branch, shortcut, after):
    """One block, its branch at this height."""
    bottom, gap = top - DROP, 0.34
    wide = (PLUS - RADIUS - gap - FIRST + gap) / len(branch) - gap
    edges = [(FIRST + i * (wide + gap), FIRST + i * (wide + gap) + wide) for i in range(len(branch))]
    ways = [[(0.5, top), (edges[0][0], top)]]
    ways += [[(a[1], top), (b[0], top)] for a, b in itertools.pairwise(edges)]
    ways += [
        [(edges[-1][1], top), (PLUS - RADIUS, top)],
        [(PLUS + RADIUS, top), (LAST, top)],
        [(9.15, top), (9.5, top)],
    ]
    for text, (left, right) in zip((*branch, after), (*edges, (LAST, 9.15)), strict=True):
        _box(axes, left, right, top, text)

    wide, middle = 1.5, (FORK + PLUS) / 2
    lefts = [middle + (i - len(shortcut) / 2) * (wide + gap) + gap / 2 for i in range(len(shortcut))]
    for left, text in zip(lefts, shortcut, strict=True):
        _box(axes, left, left + wide, bottom, text)
    stops = [(FORK, top), (FORK, bottom)]
    for left in lefts:
        ways.append([*stops, (left, bottom)])
        stops = [(left + wide, bottom)]
    ways.append([*stops, (PLUS, bottom), (PLUS, top - RADIUS)])
    for way in ways:
        for points, color in ((way, BLUE), (way[::-1], VERMILLION)):
            look = {"arrowstyle": "-|>", "mutation_scale": 13, "color": color, "lw": 1.8}
            axes.add_patch(FancyArrowPatch(path=Path(_kept_left(points)), **look))
    for x, text, look in ((0.3, "x", {}), (9.7, "y", {}), (PLUS, "+", {"boxstyle": "circle,pad=0.25"})):
        bbox = {"fc": "white", "ec": INK, "lw": 1.4, **look} if look else None
        axes.text(x, top, text, fontsize=14, color=INK, ha="center", va="center", bbox=bbox)
    axes.plot(FORK, top, "o", ms=9, color=INK, zorder=4)


def _box(axes, left, right, y, text):
    corner, size = (left + 0.05, y - HIGH / 2 + 0.05), (right - left - 0.1, HIGH - 0.1)
    axes.add_patch(FancyBboxPatch(corner, *size, boxstyle="round,pad=0.05", fc="white", ec=INK, lw=1.4))
    axes.text((left + right) / 2, y, text, fontsize=11, color=INK, ha="center", va="center", linespacing=1.1)


def _kept_left(points, aside=0.08):
    """A way of right angles, moved to the left of its direction."""
    points = np.array(points, float)
    steps = np.diff(points, axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    normals = np.stack([-steps[:, 1], steps[:, 0]], axis=1)
    turns = np.concatenate([normals[:1], normals[:-1] + normals[1:], normals[-1:]])
    return points + aside * turns
