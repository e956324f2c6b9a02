"""Every picture: functions from arrays to a matplotlib Figure. None shows it, none changes a setting."""

import math

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

# Okabe & Ito 2008, "Color Universal Design": told apart with every kind of colour vision
BLUE, VERMILLION = "#0072B2", "#D55E00"
INK, QUIET, PALE, FAINT = "#222222", "#6B6B6B", "#C4C4C4", "#E3E3E3"
DIVERGING = LinearSegmentedColormap.from_list("blue-white-vermillion", [BLUE, "white", VERMILLION])
LEGIBLE = 30  # classes: the counts of more are too small to read


def learning_curves(history):
    """Loss (left, logarithmic) and accuracy (right, in %) of training and test images by epoch -> Figure

    history: for each epoch a dict with epoch, train_loss, train_accuracy, test_loss and test_accuracy.
    The accuracies of the first fifth of the epochs may leave the picture, so that small differences can be
    seen later on; a ring marks the best test value.   Raises ValueError for no epochs or a missing key.
    """
    keys = ("epoch", "train_loss", "test_loss", "train_accuracy", "test_accuracy")
    if not history or any(key not in row for row in history for key in keys):
        raise ValueError(f"history must hold a dict with {', '.join(keys)} for each epoch, one at least")
    epoch, *values = (np.array([row[key] for row in history], float) for key in keys)
    losses, accuracies = values[:2], [100 * accuracy for accuracy in values[2:]]
    lowest = np.argmin(losses[1])
    highest = len(epoch) - 1 - np.argmax(accuracies[1][::-1])  # the last of equals

    figure = _page(13.3, 5)
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        _quiet_axes(axes, epoch)
    left.set_yscale("log")
    left.set_ylim(_loss_range(np.concatenate(losses)))
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter(NullFormatter())
    right.set_ylim(_accuracy_range(np.concatenate([curve[len(epoch) // 5 :] for curve in accuracies])))
    _draw_curves(left, epoch, losses, lowest, "Loss", "{:.3g}")
    _draw_curves(right, epoch, accuracies, highest, "Accuracy in %", "{:.2f}")
    return figure


def _page(width, height):
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.15)
    return figure


def _quiet_axes(axes, epoch):
    margin = max(0.5, 0.03 * (epoch[-1] - epoch[0]))
    axes.set_xlim(epoch[0] - margin, epoch[-1] + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", fontsize=14, color=QUIET)
    axes.set_facecolor("white")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)
    axes.grid(axis="y", color=FAINT)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", labelsize=13, labelcolor=QUIET, color=QUIET, left=False)


def _loss_range(values):
    """A decade or more, so that a logarithmic axis has its ticks."""
    values = values[np.isfinite(values) & (values > 0)]
    low, high = (values.min(), values.max()) if len(values) else (1, 1)
    margin = max(1.3, math.sqrt(10 * low / high))
    return low / margin, high * margin


def _accuracy_range(values):
    low, high = values.min(), values.max()
    margin = 0.12 * max(high - low, 1)
    return low - margin, min(high + margin, 100 + margin / 3)


def _draw_curves(axes, epoch, curves, best, title, form):
    """Both curves with their names and last values at their ends, and a ring around the best test value."""
    axes.set_title(title, loc="left", fontsize=16, color=INK, fontweight="bold", pad=12)
    note = f"best test {form.format(curves[1][best])}, epoch {epoch[best]:g}"
    axes.set_title(note, loc="right", fontsize=13, color=VERMILLION, pad=12)
    axes.plot(epoch[best], curves[1][best], "o", ms=14, mfc="none", mec=VERMILLION, mew=2, label="best")

    to_share = axes.transData + axes.transAxes.inverted()  # from values to shares of the axes' height
    heights = _keep_apart(*(to_share.transform((epoch[-1], curve[-1]))[1] for curve in curves), 0.075)
    marker = "o" if len(epoch) <= 40 else None
    styles = (("train", BLUE, 2.2), ("test", VERMILLION, 2.8))
    for (name, color, width), curve, height in zip(styles, curves, heights, strict=True):
        axes.plot(epoch, curve, color=color, lw=width, marker=marker, ms=2 * width, label=name)
        last = {"fontsize": 14, "fontweight": "bold", "va": "center", "transform": axes.transAxes}
        axes.text(1.02, height, f"{name} {form.format(curve[-1])}", color=color, **last)


def _keep_apart(a, b, gap):
    """Two heights in [0, 1], moved away from each other until they are `gap` apart."""
    a, b = np.clip(np.nan_to_num([a, b]), 0, 1)
    push = max(0, gap - abs(a - b)) / 2
    return (a + push, b - push) if a >= b else (a - push, b + push)


def confusion_matrix(matrix, classes):
    """Counts of true class (rows) by predicted class (columns).   matrix (K, K), classes: K names -> Figure

    The shade is the share of the row: blue where the prediction is right, vermillion where it is wrong.
    Raises ValueError unless matrix holds a count for each pair of classes, not all of them 0.
    """
    matrix, K = np.asarray(matrix), len(classes)
    if matrix.shape != (K, K) or (matrix < 0).any() or not matrix.any():
        raise ValueError(f"matrix must hold counts, not all 0, of shape {(K, K)}; got {matrix.shape}")
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shade = np.sqrt(share)[..., None]  # (K, K, 1): the root makes a single error visible
    color = np.where(np.eye(K, dtype=bool)[..., None], to_rgb(BLUE), to_rgb(VERMILLION))  # (K, K, 3)

    figure = _page(8.6, 8.6)
    axes = figure.subplots()
    axes.imshow(1 - shade * (1 - color))
    _class_axes(axes, [str(name) for name in classes])
    right, total = np.trace(matrix), matrix.sum()
    accuracy, errors = f"Accuracy {right / total:.2%}", f"{total - right:,} of {total:,} wrong"
    axes.set_title(accuracy, loc="left", pad=14, fontsize=20, color=INK, fontweight="bold")
    axes.set_title(errors, loc="right", pad=14, fontsize=16, color=VERMILLION)
    for (i, j), count in np.ndenumerate(matrix if K <= LEGIBLE else matrix[:0]):
        ink = PALE if count == 0 else "white" if shade[i, j, 0] > 0.85 else INK
        axes.text(j, i, f"{count:,}", ha="center", va="center", fontsize=min(26, 150 / K), color=ink)
    return figure


def _class_axes(axes, names):
    """The names of the classes along both edges, and white lines between the cells."""
    K = len(names)
    label = {"fontsize": np.clip(150 / K, 5, 18), "color": INK}
    upright = K * max(map(len, names)) <= 50
    axes.set_xticks(range(K), names, rotation=0 if upright else 90, **label)
    axes.set_yticks(range(K), names, **label)
    for axis, text in ((axes.xaxis, "predicted class"), (axes.yaxis, "true class")):
        axis.set_ticks(np.arange(K + 1) - 0.5, minor=True)
        axis.set_label_text(text, fontsize=16, color=QUIET)
        axis.labelpad = 10
    axes.grid(which="minor", color="white", lw=min(2, 40 / K))
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)


def predictions(x, labels, predicted, probabilities, classes, *, title=None, columns=8):
    """Images with what the network says of them; a frame and `9, not 4` where that is wrong -> Figure

    x (N, 1, H, W) or (N, 3, H, W), each image stretched to its own range; labels and predicted (N,);
    probabilities (N, K), of which that of the predicted class is shown. The title counts the wrong ones among these
    N images, unless it is given.
    Raises ValueError for other shapes or no images.
    """
    N = len(x)
    if x.ndim != 4 or not x.size or x.shape[1] not in (1, 3):
        raise ValueError(f"x must be (N, 1, H, W) or (N, 3, H, W), one image at least; got shape {x.shape}")
    expected = [(N,), (N,), (N, len(classes))]
    if (shapes := [np.shape(array) for array in (labels, predicted, probabilities)]) != expected:
        raise ValueError(f"labels, predicted, probabilities must have shapes {expected}; got {shapes}")
    wrong = np.asarray(labels) != np.asarray(predicted)
    captions = _captions(labels, predicted, [str(name) for name in classes])
    size = min(15, 150 / max(len(line) for caption in captions for line in caption))  # fits its column

    width, height = 1.3, 1.3 * x.shape[2] / x.shape[3]
    below = 0.48 + 0.23 * max(map(len, captions))
    axes, corners = _sheet(
        title or f"{wrong.sum()} of {N} wrong", N, min(columns, N), width, height, gap=0.3, below=below
    )
    for i, (left, top) in enumerate(corners):
        color, weight = (VERMILLION, "bold") if wrong[i] else (QUIET, "normal")
        _show(axes, _stretched(x[i]), left, top, width, height, cmap="gray", vmin=0, vmax=1)
        if wrong[i]:
            axes.add_patch(Rectangle((left, top), width, height, fill=False, ec=VERMILLION, lw=5))
        for row, line in enumerate([*captions[i], f"{probabilities[i][predicted[i]]:.0%}"]):
            place = (left + width / 2, top + height + 0.25 + 0.23 * row)
            axes.text(*place, line, ha="center", fontsize=size, color=color, weight=weight)
    return axes.figure


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
        pixels = 0.5 + 0.5 * pixels / _nonzero(np.abs(pixels).max(axis=(1, 2, 3), keepdims=True))
    limit = float(_nonzero(np.abs(pixels).max()))

    columns = math.ceil(math.sqrt(OC))
    width = min(1.6, 7 / columns)
    height = width * KH / KW
    title, beside = f"Filters: {OC} of {KH}x{KW}", 0 if C == 3 else 1.1
    axes, corners = _sheet(title, OC, columns, width, height, gap=0.14 * width, beside=beside)
    for picture, (left, top) in zip(pixels, corners, strict=True):
        image = _show(axes, picture, left, top, width, height, cmap=DIVERGING, vmin=-limit, vmax=limit)
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


def _sheet(title, n, columns, width, height, *, gap, below=0, beside=0):
    """Axes that are a sheet of paper, measured in inches from its top left, and the corners of n pictures."""
    margin, head, across, down = 0.35, 0.85, width + gap, height + max(gap, below)
    right = max(3, 2 * margin + columns * across - gap + beside)
    bottom = head + (math.ceil(n / columns) - 1) * down + height + below + margin
    axes = Figure(figsize=(right, bottom), facecolor="white").add_axes((0, 0, 1, 1), frame_on=False)
    axes.set(xlim=(0, right), ylim=(bottom, 0), xticks=[], yticks=[])
    axes.text(margin, 0.48, title, fontsize=18, fontweight="bold", color=INK, va="center")
    return axes, [(margin + i % columns * across, head + i // columns * down) for i in range(n)]


def _show(axes, pixels, left, top, width, height, **colors):
    extent = (left, left + width, top + height, top)
    return axes.imshow(pixels, extent=extent, aspect="auto", interpolation="nearest", **colors)


def _stretched(image):
    """One image with its smallest value at 0 and its largest at 1.   (C, H, W) -> (H, W) or (H, W, 3)"""
    image = image - image.min()
    image = image / _nonzero(image.max())
    return image[0] if len(image) == 1 else image.transpose(1, 2, 0)


def _nonzero(scale):
    return np.where(scale == 0, 1, scale)  # to divide by
