"""Small matrices with their numbers in them, and how windows become the columns of a matrix."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from numpy_resnet.plots.style import BLUE, DIVERGING, FAINT, INK, VERMILLION, nonzero, page

ORANGE, SKY, PURPLE = "#E69F00", "#56B4E9", "#CC79A7"  # Okabe & Ito 2008, as the rest
FRAME = {"fill": False, "edgecolor": INK, "linewidth": 2.5, "zorder": 3, "clip_on": False}
MARKS = (VERMILLION, BLUE, ORANGE, SKY, PURPLE)


def cells(axes, values, *, title="", limit=None, colors=None, fontsize=12):
    """A matrix on these axes, each number in its cell: vermillion is positive, blue is negative, a zero stays empty.

    values (H, W); limit: the value of the strongest colour, by default the largest. With colors, (H, W) of colours by
    name, these are the cells' and every number is written but NaN. Raises ValueError for other shapes.
    """
    values = np.asarray(values)
    if values.ndim != 2 or (colors is not None and np.shape(colors) != values.shape):
        raise ValueError(f"values, and colors if given, must be (H, W), alike; got {values.shape}, {np.shape(colors)}")
    limit = float(nonzero(np.abs(values).max(initial=0))) if limit is None else limit
    paint = DIVERGING(0.5 + 0.5 * values / limit)[..., :3]
    if colors is not None:
        paint = np.array([[to_rgb(color) for color in row] for row in colors])
    axes.imshow(paint, interpolation="nearest")
    for (h, w), value in np.ndenumerate(values):
        if np.isfinite(value) and (colors is not None or value):
            ink = "white" if paint[h, w] @ (0.299, 0.587, 0.114) < 0.55 else INK
            axes.text(w, h, f"{value:.3g}", ha="center", va="center", fontsize=fontsize, color=ink)
    axes.set_xticks(np.arange(values.shape[1] + 1) - 0.5, labels=[])
    axes.set_yticks(np.arange(values.shape[0] + 1) - 0.5, labels=[])
    axes.grid(color=FAINT if colors is None else "white", linewidth=1.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=12, color=INK)
    return axes


def windows_as_columns(x, cols, *, kernel_size, stride=1):
    """The places of a window on an image, and beside them the matrix in which each is a column -> Figure

    x (H, W), cols (KH*KW, OH*OW). Up to five of the pixels that most windows share have colours of their own, the same
    on both sides. Raises ValueError where cols is not of the shape that such windows make.
    """
    (H, W), (KH, KW), (SH, SW) = x.shape, np.broadcast_to(kernel_size, 2), np.broadcast_to(stride, 2)
    OH, OW = (H - KH) // SH + 1, (W - KW) // SW + 1
    if cols.shape != (KH * KW, OH * OW):
        raise ValueError(f"cols must be ({KH * KW}, {OH * OW}) for such windows; got {cols.shape}")
    windows = [np.s_[oh * SH : oh * SH + KH, ow * SW : ow * SW + KW] for oh, ow in np.ndindex(OH, OW)]
    uses, paint = np.zeros((H, W), int), np.full((H, W), FAINT, object)
    for window in windows:
        uses[window] += 1
    for mark, (h, w) in zip(MARKS, np.argwhere(uses == uses.max()), strict=False):
        paint[h, w] = mark

    figure = page(10, 5.4)
    left, right = figure.add_gridspec(1, 2, width_ratios=(1.25, 1))
    left = left.subgridspec(OH, OW)
    for (oh, ow), window in zip(np.ndindex(OH, OW), windows, strict=True):
        inside = np.full((H, W), "#FFFFFF", object)
        inside[window] = paint[window]
        axes = cells(figure.add_subplot(left[oh, ow]), x, colors=inside, title=f"window {oh}, {ow}")
        axes.add_patch(Rectangle((ow * SW - 0.5, oh * SH - 0.5), KW, KH, **FRAME))
    colors = np.stack([paint[window].ravel() for window in windows], axis=1)
    axes = cells(figure.add_subplot(right), cols, colors=colors)
    for p, (oh, ow) in enumerate(np.ndindex(OH, OW)):
        axes.text(p, -0.7, f"{oh}, {ow}", ha="center", fontsize=12, color=INK)
    for k, (kh, kw) in enumerate(np.ndindex(KH, KW)):
        axes.text(-0.7, k, f"{kh}, {kw}", ha="right", va="center", fontsize=12, color=INK)
    axes.set_title("cols: a column for each window oh, ow", fontsize=12, color=INK, pad=28)
    axes.text(-2.1, KH * KW / 2 - 0.5, "kh, kw", rotation=90, ha="center", va="center", fontsize=12, color=INK)
    return figure
