"""Every picture: functions from arrays to a matplotlib Figure. None shows it, none changes a setting."""

from numpy_resnet.plots.blocks import residual_blocks
from numpy_resnet.plots.cells import cells, windows_as_columns
from numpy_resnet.plots.confusion import confusion_matrix
from numpy_resnet.plots.curves import compared_curves, learning_curves, roc
from numpy_resnet.plots.depths import depths
from numpy_resnet.plots.diagram import diagram
from numpy_resnet.plots.gradients import gradient_maps
from numpy_resnet.plots.passes import passes
from numpy_resnet.plots.sheets import filters, heat_maps, predictions
from numpy_resnet.plots.style import BLUE, DIVERGING, GREEN, INK, QUIET, VERMILLION, page

__all__ = [
    "BLUE",
    "DIVERGING",
    "GREEN",
    "INK",
    "QUIET",
    "VERMILLION",
    "cells",
    "compared_curves",
    "confusion_matrix",
    "depths",
    "diagram",
    "filters",
    "gradient_maps",
    "heat_maps",
    "learning_curves",
    "page",
    "passes",
    "predictions",
    "residual_blocks",
    "roc",
    "windows_as_columns",
]
