"""Does depth help? Training error by epoch, without shortcuts and with them."""

import numpy as np

from numpy_resnet.plots.style import BLUE, INK, QUIET, VERMILLION, page, quiet_axes


def depths(runs, *, title=""):
    """Training error in % by epoch: networks without shortcuts (left) and with them (right) -> Figure

    runs: for each network a dict with depth, shortcuts (a bool) and history, for each epoch a dict with epoch and
    train_accuracy. The shallowest is blue, the deepest vermillion.   As figure 6 of He et al. 2015
    Raises ValueError unless there are histories both without shortcuts and with them.
    """
    if {bool(run["shortcuts"]) for run in runs if run["history"]} != {False, True}:
        raise ValueError("runs must hold histories of networks without shortcuts, and of some with them")
    figure = page(10, 4.2)
    figure.suptitle(title, x=0.02, ha="left", fontsize=15, fontweight="bold", color=INK)
    colors = {run["depth"]: INK for run in runs}
    colors |= {max(colors): VERMILLION, min(colors): BLUE}
    highest = max(_errors(run).max() for run in runs)
    for axes, shortcuts in zip(figure.subplots(1, 2, sharey=True), (False, True), strict=True):
        axes.set(ylim=(0, 1.05 * highest))
        axes.set_title("with shortcuts" if shortcuts else "without shortcuts", loc="left", fontsize=14, color=INK)
        drawn = [run for run in runs if bool(run["shortcuts"]) == shortcuts and run["history"]]
        quiet_axes(axes, max(([row["epoch"] for row in run["history"]] for run in drawn), key=len))
        height = -np.inf
        for run in sorted(drawn, key=lambda run: _errors(run)[-1]):
            epochs, errors, color = [row["epoch"] for row in run["history"]], _errors(run), colors[run["depth"]]
            axes.plot(epochs, errors, color=color, lw=2.6, marker="o", ms=5, clip_on=False)
            height = max(errors[-1], height + 0.085 * highest)  # names do not cover each other
            label = f"{run['depth']} layers {errors[-1]:.1f} %"
            place = {"xy": (1.02, height), "xycoords": axes.get_yaxis_transform()}
            axes.annotate(label, **place, color=color, fontsize=13, fontweight="bold", va="center")
    figure.axes[0].set_ylabel("training error in %", fontsize=13, color=QUIET)
    return figure


def _errors(run):
    return np.array([100 * (1 - row["train_accuracy"]) for row in run["history"]] or [0.0])
