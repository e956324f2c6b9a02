"""Which class is taken for which."""

import numpy as np
from matplotlib.colors import to_rgb

from numpy_resnet.plots.style import BLUE, INK, PALE, QUIET, VERMILLION, page

LEGIBLE = 30  # classes: the counts of more are too small to read


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

    figure = page(8.6, 8.6)
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
