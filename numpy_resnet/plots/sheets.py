"""Sheets of images: what the network says of them, where it looks, and its filters."""

import math

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from numpy_resnet.plots.style import (
    DIVERGING,
    FAINT,
    QUIET,
    VERMILLION,
    WARM,
    inches_per_point,
    nonzero,
    sheet,
    show,
    stretched,
)


def predictions(x, labels, predicted, probabilities, classes, *, title=None, columns=8):
    """Images with what the network says of them; a frame and `9, not 4` where that is wrong -> Figure

    x (N, 1, H, W) or (N, 3, H, W), each image stretched to its own range; labels and predicted (N,), labels None
    where nobody knows; probabilities (N, K), of which that of the predicted class is shown. The title counts the
    wrong ones among these N images, unless it is given.
    Raises ValueError for other shapes or no images.
    """
    N = _count(x)
    truth = predicted if labels is None else labels
    expected = [(N,), (N,), (N, len(classes))]
    if (shapes := [np.shape(array) for array in (truth, predicted, probabilities)]) != expected:
        raise ValueError(f"labels, predicted, probabilities must have shapes {expected}; got {shapes}")
    wrong = np.asarray(truth) != np.asarray(predicted)
    captions = _captions(truth, predicted, [str(name) for name in classes])
    for caption, row, k in zip(captions, probabilities, predicted, strict=True):
        caption.append(f"{row[k]:.0%}")
    title = title or (f"Images: {N}" if labels is None else f"{wrong.sum()} of {N} wrong")

    columns = min(columns, N)
    width = max(1.3, min(2.6, 10.4 / columns))  # few images are larger
    height = width * x.shape[2] / x.shape[3]
    below = 0.25 + 0.23 * max(map(len, captions))
    axes, corners = sheet(title, N, columns, width, height, gap=0.3, below=below)
    for i, corner in enumerate(corners):
        show(axes, stretched(x[i]), *corner, width, height, cmap="gray", vmin=0, vmax=1)
    _label(axes, corners, width, height, captions, wrong)
    return axes.figure


def heat_maps(x, maps, captions, *, wrong=None, title, columns=4):
    """Each image, and beside it the same under a heat map; a frame where `wrong` -> Figure

    x (N, 1, H, W) or (N, 3, H, W), each image stretched to its own range; maps (N, H, W) in [0, 1], clear at 0 and
    warm at 1; captions: N texts, of one line or several; wrong (N,) bool.
    Raises ValueError for other shapes, values outside of [0, 1] or no images.
    """
    N = _count(x)
    expected = [(N, *x.shape[2:]), (N,), (N,)]
    wrong = np.zeros(N, bool) if wrong is None else wrong
    if (shapes := [np.shape(array) for array in (maps, captions, wrong)]) != expected:
        raise ValueError(f"maps, captions, wrong must have shapes {expected}; got {shapes}")
    if not (np.min(maps) >= 0 and np.max(maps) <= 1):
        raise ValueError(f"maps must be in [0, 1]; got {np.min(maps):g}..{np.max(maps):g}")
    captions = [caption.split("\n") for caption in captions]

    columns = min(columns, N)
    side = min(2.6, 6.4 / columns)
    width, height = 2 * side + 0.04, side * x.shape[2] / x.shape[3]
    below = 0.25 + 0.23 * max(map(len, captions))
    axes, corners = sheet(title, N, columns, width, height, gap=0.3, below=below)
    for i, (left, top) in enumerate(corners):
        for start in (left, left + width - side):
            show(axes, stretched(x[i]), start, top, side, height, cmap="gray", vmin=0, vmax=1)
        show(axes, maps[i], start, top, side, height, cmap=WARM, vmin=0, vmax=1)
    _label(axes, corners, width, height, captions, wrong)
    return axes.figure


def _count(x):
    """How many images there are.   Raises ValueError unless they are images."""
    if x.ndim != 4 or not x.size or x.shape[1] not in (1, 3):
        raise ValueError(f"x must be (N, 1, H, W) or (N, 3, H, W), one image at least; got shape {x.shape}")
    return len(x)


def _label(axes, corners, width, height, captions, wrong):
    """The lines under each picture, and a frame around a wrong one."""
    lines = (line for caption in captions for line in caption)
    size = min(15, (width + 0.1) / inches_per_point(lines))  # fits its column
    for (left, top), caption, is_wrong in zip(corners, captions, wrong, strict=True):
        color, weight = (VERMILLION, "bold") if is_wrong else (QUIET, "normal")
        if is_wrong:
            axes.add_patch(Rectangle((left, top), width, height, fill=False, ec=VERMILLION, lw=5))
        for row, line in enumerate(caption):
            place = (left + width / 2, top + height + 0.25 + 0.23 * row)
            axes.text(*place, line, ha="center", fontsize=size, color=color, weight=weight)


def _captions(labels, predicted, names):
    """What to write under each image, line by line: `9`, or `9, not 4`, on two lines where names are long."""
    captions = [
        names[guess] if guess == truth else f"{names[guess]}, not {names[truth]}"
        for guess, truth in zip(predicted, labels, strict=True)
    ]
    long = max(map(len, captions)) > 12
    return [caption.replace(", not ", ",\nnot ").split("\n") if long else [caption] for caption in captions]


def filters(weight):
    """The filters of a first layer.   weight (OC, C, KH, KW) -> Figure

    Three channels are shown as colours, each filter on a scale of its own, grey for zero. Of other filters
    the first channel is shown, all on one scale: vermillion is positive, blue is negative.
    Raises ValueError unless weight has four axes, none of them empty.
    """
    if weight.ndim != 4 or not weight.size:
        raise ValueError(f"weight must be (OC, C, KH, KW) and not empty; got shape {weight.shape}")
    OC, C, KH, KW = weight.shape
    pixels = weight.transpose(0, 2, 3, 1) if C == 3 else weight[:, 0]  # (OC, KH, KW, 3) or (OC, KH, KW)
    if C == 3:
        pixels = 0.5 + 0.5 * pixels / nonzero(np.abs(pixels).max(axis=(1, 2, 3), keepdims=True))
    limit = float(nonzero(np.abs(pixels).max()))

    columns = math.ceil(math.sqrt(OC))
    width = min(1.6, 7 / columns)
    height = width * KH / KW
    title, beside = f"Filters: {OC} of {KH}x{KW}", 0 if C == 3 else 1.1
    axes, corners = sheet(title, OC, columns, width, height, gap=0.14 * width, beside=beside)
    for picture, (left, top) in zip(pixels, corners, strict=True):
        image = show(axes, picture, left, top, width, height, cmap=DIVERGING, vmin=-limit, vmax=limit)
        axes.add_patch(Rectangle((left, top), width, height, fill=False, ec=FAINT, lw=1))
    if C != 3:
        _scale_bar(axes, image, top=corners[0][1], bottom=top + height)
    return axes.figure


def _scale_bar(axes, image, *, top, bottom):
    """What the colours mean, along the right edge of the sheet."""
    width, height = axes.figure.get_size_inches()
    place = ((width - 1.15) / width, 1 - bottom / height, 0.18 / width, (bottom - top) / height)
    bar = axes.figure.colorbar(image, cax=axes.figure.add_axes(place), ticks=MaxNLocator(5, symmetric=True))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=13, labelcolor=QUIET, color=QUIET)
