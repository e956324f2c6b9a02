"""Curves: a training run epoch by epoch, and a classifier threshold by threshold."""

import math

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter

from numpy_resnet.plots.style import (
    BLUE,
    FAINT,
    INK,
    PALE,
    QUIET,
    VERMILLION,
    inches_per_point,
    page,
    quiet_axes,
    quiet_grid,
)


def learning_curves(history):
    """Loss (left, logarithmic) and accuracy (right, in %) of training and validation images by epoch -> Figure

    history: for each epoch a dict with epoch, train_loss, train_accuracy, val_loss and val_accuracy.
    The accuracies of the first fifth of the epochs may leave the picture, so that small differences can be
    seen later on; a ring marks the best validation value.   Raises ValueError for no epochs or a missing key.
    """
    keys = ("epoch", "train_loss", "val_loss", "train_accuracy", "val_accuracy")
    if not history or any(key not in row for row in history for key in keys):
        raise ValueError(f"history must hold a dict with {', '.join(keys)} for each epoch, one at least")
    epoch, *values = (np.array([row[key] for row in history], float) for key in keys)
    losses, accuracies = values[:2], [100 * accuracy for accuracy in values[2:]]
    lowest = np.argmin(losses[1])
    highest = len(epoch) - 1 - np.argmax(accuracies[1][::-1])  # the last of equals

    figure = page(16, 5.4)
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        quiet_axes(axes, epoch)
    _logarithmic(left)
    left.set_ylim(_loss_range(np.concatenate(losses)))
    right.set_ylim(_accuracy_range(np.concatenate([curve[len(epoch) // 5 :] for curve in accuracies])))
    _draw_curves(left, epoch, losses, lowest, "Loss", "{:.3g}")
    _draw_curves(right, epoch, accuracies, highest, "Accuracy in %", "{:.2f}")
    return figure


def compared_curves(histories, title=""):
    """Training loss (left, logarithmic) and validation accuracy (right, in %) of two trainings by epoch -> Figure

    histories: {name: history}, each as learning_curves takes it, the first drawn on top.
    Raises ValueError unless there are two, of one epoch at least.
    """
    if len(histories) != 2 or not all(histories.values()):
        raise ValueError(f"there must be two histories of an epoch or more; got {[len(h) for h in histories.values()]}")
    figure = page(16, 5.4)
    figure.suptitle(title, x=0.02, ha="left", fontsize=16, color=INK)
    for axes, key, words, form in zip(
        figure.subplots(1, 2),
        ("train_loss", "val_accuracy"),
        ("Training loss", "Validation accuracy in %"),
        ("{:.3g}", "{:.2f}"),
        strict=True,
    ):
        times = 100 if key == "val_accuracy" else 1
        curves = {name: times * np.array([row[key] for row in rows], float) for name, rows in histories.items()}
        epochs = [np.array([row["epoch"] for row in rows]) for rows in histories.values()]
        quiet_axes(axes, max(epochs, key=len))
        axes.set_title(words, loc="left", fontsize=16, color=INK, fontweight="bold", pad=12)
        values = np.concatenate([curve[len(curve) // 5 :] for curve in curves.values()])
        if key == "train_loss":
            _logarithmic(axes)
        else:
            axes.set_ylim(_accuracy_range(values))
        to_share = axes.transData + axes.transAxes.inverted()
        ends = [to_share.transform((e[-1], c[-1]))[1] for e, c in zip(epochs, curves.values(), strict=True)]
        heights = _keep_apart(*ends, 0.075)
        styles = ((VERMILLION, 2.8, "-", 3), (BLUE, 2.2, "--", 2))
        for (name, curve), epoch, height, (color, width, line, order) in zip(
            curves.items(), epochs, heights, styles, strict=True
        ):
            axes.plot(epoch, curve, line, color=color, lw=width, marker="o", ms=2 * width, zorder=order, label=name)
            last = {"fontsize": 14, "fontweight": "bold", "va": "center", "transform": axes.transAxes}
            axes.text(1.02, height, f"{name} {form.format(curve[-1])}", color=color, **last)
    return figure


def _logarithmic(axes):
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


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
    """Both curves with their names and last values at their ends, and a ring around the best validation value."""
    axes.set_title(title, loc="left", fontsize=16, color=INK, fontweight="bold", pad=12)
    note = f"best validation {form.format(curves[1][best])}, epoch {epoch[best]:g}"
    axes.set_title(note, loc="right", fontsize=13, color=VERMILLION, pad=12)
    axes.plot(epoch[best], curves[1][best], "o", ms=14, mfc="none", mec=VERMILLION, mew=2, label="best")

    to_share = axes.transData + axes.transAxes.inverted()  # from values to shares of the axes' height
    heights = _keep_apart(*(to_share.transform((epoch[-1], curve[-1]))[1] for curve in curves), 0.075)
    marker = "o" if len(epoch) <= 40 else None
    styles = (("train", BLUE, 2.2), ("validation", VERMILLION, 2.8))
    for (name, color, width), curve, height in zip(styles, curves, heights, strict=True):
        axes.plot(epoch, curve, color=color, lw=width, marker=marker, ms=2 * width, label=name)
        last = {"fontsize": 14, "fontweight": "bold", "va": "center", "transform": axes.transAxes}
        axes.text(1.02, height, f"{name} {form.format(curve[-1])}", color=color, **last)


def _keep_apart(a, b, gap):
    """Two heights in [0, 1], moved away from each other until they are `gap` apart."""
    a, b = np.clip(np.nan_to_num([a, b]), 0, 1)
    push = max(0, gap - abs(a - b)) / 2
    return (a + push, b - push) if a >= b else (a - push, b + push)


def roc(curve, auc, *, point=None, title=None):
    """Sensitivity by 1 - specificity, both in %, with the diagonal of chance -> Figure

    curve: false_positive_rate and true_positive_rate, arrays (D,) in [0, 1]; auc: the area under it.
    point: threshold, sensitivity and specificity of the threshold in use, which gets a ring.
    Raises ValueError for rates of different lengths or outside of [0, 1].
    """
    x, y = rates = [100 * np.asarray(r, float) for r in (curve.false_positive_rate, curve.true_positive_rate)]
    if x.shape != y.shape or x.ndim != 1 or not all(((r >= 0) & (r <= 100)).all() for r in rates):
        raise ValueError(f"curve must hold two arrays (D,) of rates in [0, 1]; got shapes {x.shape} and {y.shape}")
    figure = page(7.6, 7.6)
    axes = figure.subplots()
    quiet_grid(axes)
    axes.grid(color=FAINT)
    axes.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
    axes.set_xlabel("1 - specificity (false positive rate) in %", fontsize=14, color=QUIET)
    axes.tick_params(pad=9)  # a ring in the corner covers no number
    axes.set_ylabel("sensitivity in %", fontsize=14, color=QUIET)
    axes.set_title(f"AUC {auc:.3f}", loc="left", fontsize=16, color=INK, fontweight="bold", pad=12)
    words = title or ""
    size = min(13, 4.6 / inches_per_point([words]))
    axes.set_title(words, loc="right", fontsize=size, color=QUIET, pad=12)
    axes.plot([0, 100], [0, 100], color=PALE, lw=1.5, ls="--", label="chance")
    axes.text(52, 50, "chance", fontsize=13, color=QUIET, va="top")
    axes.plot(x, y, color=BLUE, lw=2.8, clip_on=False, label="ROC")
    if point:
        _draw_point(axes, *point)
    return figure


def _draw_point(axes, threshold, sensitivity, specificity):
    """A ring where this threshold lies, and what it means in the corner that a good curve leaves free."""
    place = (100 - 100 * specificity, 100 * sensitivity)
    axes.plot(*place, "o", ms=14, mfc="none", mec=VERMILLION, mew=2, clip_on=False, zorder=3, label="point")
    words = f"sensitivity {sensitivity:.1%}, specificity {specificity:.1%}, threshold {threshold:.3g}"
    paper = {"fc": "white", "ec": "none", "alpha": 0.85}
    axes.text(99, 4, words, fontsize=13, color=VERMILLION, ha="right", bbox=paper)
