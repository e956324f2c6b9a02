"""The pictures of the figures."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

FOLDER = Path(__file__).parent / "pictures"
COLORS = {  # Okabe & Ito 2008
    "numpy_resnet": "#D55E00", "winograd": "#D55E00", "im2col": "#E69F00", "PyTorch": "#0072B2",
    "PyTorch channels-last": "#56B4E9", "torch.compile": "#009E73", "ONNX Runtime": "#CC79A7", "OpenVINO": "#999999",
    "JAX": "#F0E442",
}  # fmt: skip


def draw(name, content):
    if name in PICTURES:
        figure = PICTURES[name](content)
        FOLDER.mkdir(exist_ok=True)
        figure.savefig(FOLDER / f"{name}.png", dpi=110)
        plt.close(figure)


def network(content):
    """Bars of each row, ours at 1."""
    rows = [row for row in content["rows"].values() if "memory" in row["figures"].get("numpy_resnet", {})]
    columns = 2
    figure, axes = plt.subplots(-(-len(rows) // columns), columns, figsize=(11, 1.75 * -(-len(rows) // columns)),
                                layout="constrained")  # fmt: skip
    for ax, row in zip(axes.flat, rows, strict=False):
        figures = sorted(row["figures"].items(), key=lambda item: -item[1]["median"])
        ours = row["figures"]["numpy_resnet"]["median"]
        for i, (name, entry) in enumerate(figures):
            ax.barh(i, entry["median"] * 1e3, color=COLORS[name])
            told = "" if name == "numpy_resnet" else f", {entry['median'] / ours:.2f}x"
            ax.text(entry["median"] * 1e3, i, f" {entry['median'] * 1e3:.0f} ms{told}", va="center", fontsize=8)
        ax.set_yticks(range(len(figures)), [name for name, _ in figures], fontsize=8)
        ax.set_title(row["title"], fontsize=9, loc="left")
        ax.set_xlim(0, 1.34 * max(entry["median"] for _, entry in figures) * 1e3)
        ax.tick_params(axis="x", labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes.flat[len(rows) :]:
        ax.remove()
    figure.suptitle(f"Milliseconds, median; shorter is better ({content['environment']['cpu']})", fontsize=10)
    return figure


def layers(content):
    """FLOP/s of each convolution, and the roof: those of the fastest large matrix product."""
    roof, rows = max(content["roof"].values()) / 1e9, content["convolutions"][::-1]
    figure, ax = plt.subplots(figsize=(9, 5), layout="constrained")
    ax.axvline(roof, color="black", lw=1)
    ax.text(roof, len(rows) - 0.35, f" fastest large matrix product, {roof:.0f}", fontsize=8)
    names = ("PyTorch", "PyTorch channels-last", "im2col", "winograd")
    for name, marker in zip(names, "sDo*", strict=True):
        there = [
            (row["flops"] / row["figures"][name][0] / 1e9, i) for i, row in enumerate(rows) if name in row["figures"]
        ]
        ax.plot(*zip(*there, strict=True), marker, color=COLORS[name], ms=11 if marker == "*" else 7, label=name)
    ax.set_yticks(range(len(rows)), [row["name"] for row in rows], fontsize=8)
    ax.hlines(range(len(rows)), 0, 1, transform=ax.get_yaxis_transform(), color="0.9", zorder=0)
    ax.set(xlim=(0, None), ylim=(-0.6, len(rows)), xlabel="GFLOP/s, as a direct convolution counts")
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    ax.set_title("Forward, batch 16: Winograd multiplies less, and passes the roof", fontsize=10)
    ax.spines[["top", "right", "left"]].set_visible(False)
    return figure


def scaling(content):
    """Time and memory of a training step over each axis."""
    axes_of = content["axes"]
    figure, axes = plt.subplots(2, len(axes_of), figsize=(3 * len(axes_of), 5), layout="constrained")
    for column, (axis, points) in enumerate(axes_of.items()):
        for name in ("numpy_resnet", "PyTorch channels-last"):
            there = [(i, point["figures"][name]) for i, point in enumerate(points) if name in point["figures"]]
            if there:
                at = [i for i, _ in there]
                axes[0, column].plot(at, [e["median"] * 1e3 for _, e in there], "o-", color=COLORS[name], label=name)
                axes[1, column].plot(at, [e["memory"] for _, e in there], "o-", color=COLORS[name])
        for ax in axes[:, column]:
            ax.set_xticks(np.arange(len(points)), [str(point["value"]).removeprefix("resnet") for point in points])
            ax.set_ylim(bottom=0)
            ax.spines[["top", "right"]].set_visible(False)
            ax.tick_params(labelsize=8)
        axes[1, column].set_xlabel({"model": "resnet...", "size": "pixels"}.get(axis, axis))
    axes[0, 0].set_ylabel("ms")
    axes[1, 0].set_ylabel("MB")
    axes[0, 0].legend(frameon=False, fontsize=8)
    base = content["base"]
    shape = f"{base['batch']}x3x{base['size']}x{base['size']}"
    figure.suptitle(f"A training step of {base['model']}, {shape}, one thing changed", fontsize=10)
    return figure


PICTURES = {"network": network, "layers": layers, "scaling": scaling}
