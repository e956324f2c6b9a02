"""One image through a network and back: activations above, their gradients below."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import FancyArrowPatch

from numpy_resnet.plots.style import Picture, nonzero, stretched

NIGHT, PAPER, DIM = "#0B0F14", "#F2F2F2", "#9AA4AE"
SKY, AMBER = "#56B4E9", "#F0A030"
COLD = LinearSegmentedColormap.from_list("cold", [NIGHT, "#0F4C75", SKY, "white"])
HOT = LinearSegmentedColormap.from_list("hot", [NIGHT, "#8A2D00", AMBER, "white"])
WIDE, TALL = 13.0, 6.1  # inches
LARGEST, SMALLEST = 1.72, 0.86  # a map
OFFSET = 0.085  # from a map to the one behind it


def passes(x, stages, dx, verdict, *, title, words=("forward", "backward")):
    """An image on its way to the loss, and the gradient of the loss on its way back -> Figure

    x, dx (C, H, W): the image and its gradient; stages: (name, activation (C, h, w), gradient (C, h, w)) of each stage,
    in the order of forward; verdict: lines of text where forward ends. Of each stage the channels are shown that say
    most, with the largest sum of |activation * gradient|. Each map has its own scale; a gradient is shown by its size.
    Raises ValueError where an activation and its gradient differ in shape.
    """
    for name, activation, gradient in [("x", x, dx), *stages]:
        if activation.shape != gradient.shape or activation.ndim != 3:
            came = f"{activation.shape} and {gradient.shape}"
            raise ValueError(f"{name} and its gradient must be (C, H, W), alike; got {came}")
    figure = Picture(figsize=(WIDE, TALL), facecolor=NIGHT)
    paper = figure.add_axes((0, 0, 1, 1), frame_on=False)
    paper.set(xlim=(0, WIDE), ylim=(0, TALL), xticks=[], yticks=[])
    paper.text(0.4, TALL - 0.4, title, color=PAPER, fontsize=17, fontweight="bold", va="center")

    sizes = np.linspace(LARGEST, SMALLEST, len(stages) + 1)
    gap = (WIDE - 2.6 - sizes.sum()) / len(stages)
    lefts = 0.4 + np.concatenate([[0], np.cumsum(sizes[:-1] + gap)])
    rows = ((TALL * 0.68, COLD), (TALL * 0.27, HOT))
    for i, (name, *pair) in enumerate([("x", x, dx), *stages]):
        order = np.argsort(-np.abs(pair[0] * pair[1]).sum(axis=(1, 2)))[: 1 if i == 0 else 2 + i]
        for (middle, colors), maps in zip(rows, pair, strict=True):
            image = stretched(x) if i == 0 and maps is x else None
            _stack(figure, np.abs(maps[order]), lefts[i], middle - sizes[i] / 2, sizes[i], colors, image)
        shape = "×".join(str(s) for s in (*x.shape[1:], x.shape[0])) if i == 0 else _shape(pair[0])
        label = {"ha": "center", "va": "center", "fontsize": 12.5}
        paper.text(lefts[i] + sizes[i] / 2, TALL * 0.475 + 0.11, name, color=PAPER, fontweight="bold", **label)
        paper.text(lefts[i] + sizes[i] / 2, TALL * 0.475 - 0.13, shape, color=DIM, **label)
    _ways(paper, rows, words, lefts[0], lefts[-1] + sizes[-1], verdict)
    return figure


def _shape(maps):
    C, H, W = maps.shape
    return f"{H}×{W}×{C}"


def _stack(figure, maps, left, bottom, size, colors, image=None):
    """Maps as sheets, the first in front."""
    for depth in reversed(range(len(maps))):
        corner = left + depth * OFFSET, bottom + depth * OFFSET
        axes = figure.add_axes((corner[0] / WIDE, corner[1] / TALL, size / WIDE, size / TALL))
        if image is None:
            high = nonzero(np.quantile(maps[depth], 0.995) or maps[depth].max())
            axes.imshow(maps[depth], cmap=colors, vmin=0, vmax=high, aspect="auto", interpolation="nearest")
        else:
            axes.imshow(image, cmap="gray", aspect="auto")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color=DIM, linewidth=0.6)


def _ways(paper, rows, words, left, right, verdict):
    """The way there, the way back, and what is said at the turn."""
    (top, _), (bottom, _) = rows
    high, low = top + LARGEST / 2 + 0.34, bottom - LARGEST / 2 - 0.28
    for height, color, text, ends in ((high, SKY, words[0], (left, right)), (low, AMBER, words[1], (right, left))):
        arrow = {"arrowstyle": "-|>", "mutation_scale": 16, "color": color, "lw": 1.6, "shrinkA": 0, "shrinkB": 0}
        paper.add_patch(FancyArrowPatch((ends[0], height), (ends[1], height), **arrow))
        paper.text((left + right) / 2, height, f"  {text}  ", color=color, fontsize=13, ha="center", va="center",
                   family="monospace", bbox={"fc": NIGHT, "ec": "none", "pad": 2})  # fmt: skip
    bend = {"arrowstyle": "-|>", "mutation_scale": 16, "lw": 1.6, "connectionstyle": "arc3,rad=-1.15"}
    x = right + 0.6
    paper.add_patch(FancyArrowPatch((x, top + 0.1), (x, bottom + 0.1), color=AMBER, **bend))
    for line, text in enumerate(verdict):
        paper.text(x + 0.08, (top + bottom) / 2 + 0.25 - 0.28 * line, text, color=PAPER, fontsize=12, va="center")
