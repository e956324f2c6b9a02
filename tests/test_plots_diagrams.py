"""The pictures of boxes and arrows: what is written in them, and which way the arrows go. Not the pixels."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch

from numpy_resnet import plots


def words(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def test_a_diagram_has_its_boxes_and_arrows():
    boxes = {"x": (1, 2), "y": (4, 2, "f(x)"), "point": (2, 1, "")}
    axes = plots.diagram(boxes, [("x", "y", "slope", plots.BLUE), ("y", "x", "", plots.INK, 0.2)], title="There").axes[
        0
    ]
    assert words(axes) == ["x", "f(x)", "slope"]
    colors = [to_hex(patch.get_edgecolor()).upper() for patch in axes.patches]
    assert colors == [plots.BLUE, plots.INK]
    assert axes.get_title(loc="left") == "There"
    with pytest.raises(ValueError, match="an arrow must join two of the boxes x, y, point; got 'z'"):
        plots.diagram(boxes, [("x", "z", "", plots.BLUE)])


def test_both_directions_of_a_block_keep_to_their_left():
    blocks = {"identity": (["conv1", "bn1"], [], "relu2"), "convolution": (["conv1"], ["1x1", "bn"], "relu2")}
    axes = plots.residual_blocks(blocks, fork="dx = dh + dshortcut", plus="dh", title="Both").axes[0]
    found = words(axes)
    for text in ("identity", "convolution", "conv1", "bn1", "relu2", "1x1", "bn", "x", "y", "+", "dx = dh + dshortcut"):
        assert text in found
    ways = {plots.BLUE: [], plots.VERMILLION: []}
    for patch in axes.patches:
        if isinstance(patch, FancyArrowPatch):
            ways[to_hex(patch.get_edgecolor()).upper()].append(patch._path_original.vertices)
    assert [len(way) for way in ways.values()] == [13, 13]  # 6 and 7: the sum has three, a box two, x and y one each
    for there, back in zip(*ways.values(), strict=True):
        np.testing.assert_allclose(np.linalg.norm(there - back[::-1], axis=1).min(), 0.16)  # side by side
        if len(there) == 2:
            assert there[0, 1] > back[0, 1]  # forward goes right and above
    for wrong in ({}, {"identity": ([], [], "relu2")}):
        with pytest.raises(ValueError, match="in the branch of each a box"):
            plots.residual_blocks(wrong)


def runs_of_two_depths():
    errors = {(20, False): (0.6, 0.4), (56, False): (0.8, 0.7), (20, True): (0.5, 0.3), (56, True): (0.5, 0.31)}
    return [
        {
            "depth": depth,
            "shortcuts": shortcuts,
            "history": [{"epoch": i + 1, "train_accuracy": 1 - error} for i, error in enumerate(curve)],
        }
        for (depth, shortcuts), curve in errors.items()
    ]


def test_depths_stand_by_kind_and_their_names_do_not_cover_each_other():
    left, right = plots.depths(runs_of_two_depths(), title="Digits").axes
    for axes, expected in (
        (left, {40.0: plots.BLUE, 70.0: plots.VERMILLION}),
        (right, {30.0: plots.BLUE, 31.0: plots.VERMILLION}),
    ):
        last = {round(line.get_ydata()[-1], 6): line.get_color() for line in axes.lines}
        assert last == expected
        heights = sorted(text.xy[1] for text in axes.texts)
        assert heights[1] - heights[0] >= 0.08 * 80
    assert left.get_title(loc="left") == "without shortcuts"
    assert [text.get_text() for text in right.texts] == ["20 layers 30.0 %", "56 layers 31.0 %"]


def test_depths_want_both_kinds():
    with pytest.raises(ValueError, match="without shortcuts, and of some with them"):
        plots.depths([run for run in runs_of_two_depths() if run["shortcuts"]])
