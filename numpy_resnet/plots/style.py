"""The house's look: colours, paper, and sheets of pictures."""

import io
import math

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator

# Okabe & Ito 2008, "Color Universal Design": told apart with every kind of colour vision
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
INK, QUIET, PALE, FAINT = "#222222", "#6B6B6B", "#C4C4C4", "#E3E3E3"
WARM = LinearSegmentedColormap.from_list("warm", [(0, "#F0E44200"), (0.5, "#E69F0080"), (1, "#D55E00C0")])
DIVERGING = LinearSegmentedColormap.from_list("blue-white-vermillion", [BLUE, "white", VERMILLION])


class Picture(Figure):
    """A figure that a notebook shows, whatever Matplotlib's backend is."""

    def _repr_png_(self):
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=100)
        return file.getvalue()


def page(width, height):
    """A white figure that finds room for all that is written, in inches."""
    figure = Picture(figsize=(width, height), layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.15)
    return figure


def sheet(title, n, columns, width, height, *, gap, below=0, beside=0):
    """Axes that are a sheet of paper, measured in inches from its top left, and the corners of n pictures."""
    margin, head, across, down = 0.35, 0.85, width + gap, height + max(gap, below)
    right = 2 * margin + max(2.3, 18 * inches_per_point([title]), columns * across - gap + beside)
    bottom = head + (math.ceil(n / columns) - 1) * down + height + below + margin
    axes = Picture(figsize=(right, bottom), facecolor="white").add_axes((0, 0, 1, 1), frame_on=False)
    axes.set(xlim=(0, right), ylim=(bottom, 0), xticks=[], yticks=[])
    axes.text(margin, 0.48, title, fontsize=18, fontweight="bold", color=INK, va="center")
    return axes, [(margin + i % columns * across, head + i // columns * down) for i in range(n)]


def inches_per_point(lines):
    """How wide the widest of these lines is, in bold: times the font size it is inches."""
    bold = FontProperties(weight="bold")
    return max([TextPath((0, 0), line, 72, prop=bold).get_extents().width for line in set(lines) - {""}] + [1]) / 72**2


def show(axes, pixels, left, top, width, height, **colors):
    """One picture on a sheet, its top left corner there."""
    extent = (left, left + width, top + height, top)
    return axes.imshow(pixels, extent=extent, aspect="auto", interpolation="nearest", **colors)


def stretched(image):
    """One image with its smallest value at 0 and its largest at 1.   (C, H, W) -> (H, W) or (H, W, 3)"""
    image = image - image.min()
    image = image / nonzero(image.max())
    return image[0] if len(image) == 1 else image.transpose(1, 2, 0)


def nonzero(scale):
    """The same to divide by: 1 instead of 0."""
    return np.where(scale == 0, 1, scale)


def quiet_axes(axes, epoch):
    """Epochs from left to right, and nothing that is not data."""
    margin = max(0.5, 0.03 * (epoch[-1] - epoch[0]))
    axes.set_xlim(epoch[0] - margin, epoch[-1] + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", fontsize=14, color=QUIET)
    quiet_grid(axes)


def quiet_grid(axes):
    """Pale lines for the values, and no frame."""
    axes.set_facecolor("white")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)
    axes.grid(axis="y", color=FAINT)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", labelsize=13, labelcolor=QUIET, color=QUIET, left=False)
