"""A wrong gradient beside the right one."""

import numpy as np

from numpy_resnet.plots.style import DIVERGING, INK, QUIET, nonzero, page


def gradient_maps(analytic, numeric, impulses=None, *, title):
    """Three maps: the gradient that came, the right one, their difference; two more of `impulses` -> Figure

    analytic, numeric (H, W); impulses: a pair (H, W), what one output sends back to the input, and what it should.
    Blue is negative, vermillion positive, on one scale for each row. Raises ValueError for other shapes.
    """
    analytic, numeric = np.asarray(analytic, float), np.asarray(numeric, float)
    if numeric.ndim != 2 or analytic.shape != numeric.shape:
        raise ValueError(f"analytic and numeric must be (H, W), alike; got {analytic.shape} and {numeric.shape}")
    rows = [[("yours", analytic), ("right", numeric), ("yours - right", analytic - numeric)]]
    if impulses is not None:
        mine, right = impulses
        rows.append([("one output sends back", mine), ("it should", right), ("difference", mine - right)])
    wide = min(3.4, max(2.2, 2.2 * numeric.shape[1] / numeric.shape[0]))
    figure = page(3 * wide + 0.6, len(rows) * max(1.5, wide * numeric.shape[0] / numeric.shape[1] + 0.5) + 0.7)
    figure.suptitle(title, fontsize=13, fontweight="bold", color=INK)
    for i, row in enumerate(rows):
        scale = nonzero(np.nanmax(np.abs(row[1][1])))
        for j, (name, values) in enumerate(row):
            axes = figure.add_subplot(len(rows), 3, 3 * i + j + 1)
            shown = np.where(np.isfinite(values), values, np.nan)
            axes.imshow(shown, cmap=DIVERGING, vmin=-scale, vmax=scale, interpolation="nearest")
            axes.set_title(name, fontsize=11, color=QUIET)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_color(QUIET)
            if values.size <= 64:
                _write(axes, values, scale)
    return figure


def _write(axes, values, scale):
    """Each number in its cell, white on dark."""
    for (h, w), value in np.ndenumerate(values):
        if abs(value) > 5e-3 * scale or not np.isfinite(value):
            dark = abs(value) > 0.6 * scale
            axes.text(w, h, f"{value:.2g}", ha="center", va="center", fontsize=8, color="white" if dark else INK)
