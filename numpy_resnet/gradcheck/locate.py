"""Where a gradient is wrong, in words and in characters."""

import numpy as np

from numpy_resnet.gradcheck.subsets import axis_name

PLURAL = {"sample": "samples", "channel": "channels", "row": "rows", "column": "columns"}


def describe(e):
    """The one place that all wrong entries have in common, or how many there are."""
    if e.wrong.shape != e.numeric.shape or e.analytic.shape != e.numeric.shape:
        return "everywhere: it has another shape"
    wrong = e.wrong
    if wrong.all():
        return "every entry"
    if e.jacobian is not None and np.array_equal(wrong, np.abs(e.jacobian).sum(tuple(range(e.dy.ndim))) > 0):
        return "every entry that reaches y"
    overlap = _overlap(e)
    if overlap is not None and np.array_equal(wrong, overlap):
        return "every pixel that several windows share"
    border = _border(wrong.shape)
    if border is not None and np.array_equal(wrong, border):
        return "the border"
    if border is not None and np.array_equal(wrong, ~border):
        return "everything but the border"
    for axis in range(wrong.ndim):
        others = tuple(i for i in range(wrong.ndim) if i != axis)
        touched = wrong.any(axis=others)
        if 0 < touched.sum() < wrong.shape[axis]:
            return f"{_which(touched, axis_name(e, axis))}: {wrong.sum()} of {wrong.size} entries"
    sign = np.sign(e.numeric)
    if np.array_equal(wrong, sign == 0):
        return "every entry that should be zero"
    return f"{wrong.sum()} of {wrong.size} entries"


def error(e):
    """The largest error, as numbers."""
    if e.analytic.shape != e.numeric.shape:
        return f"expected shape {e.numeric.shape}, got {e.analytic.shape}"
    off = np.where(np.isfinite(e.analytic), np.abs(e.analytic - e.numeric), np.inf)
    worst = tuple(int(i) for i in np.unravel_index(off.argmax(), off.shape))
    return f"at {worst} it is {e.analytic[worst]:.5g}, and {e.numeric[worst]:.5g} is right"


def _which(touched, name):
    n, where = len(touched), np.flatnonzero(touched)
    if len(where) == 1:
        words = {0: f"the first {name}", n - 1: f"the last {name}"}
        return words.get(int(where[0]), f"{name} {where[0]} of {n}")
    listed = ", ".join(map(str, where[:6])) + (", ..." if len(where) > 6 else "")
    if name.startswith("index of axis"):
        return f"indices {listed} of {n} along {name.removeprefix('index of ')}"
    return f"{PLURAL.get(name, name)} {listed} of {n}"


def _border(shape):
    if len(shape) < 3 or min(shape[-2:]) < 3:
        return None
    border = np.ones(shape, bool)
    border[..., 1:-1, 1:-1] = False
    return border


def _overlap(e):
    """Which pixels several windows reach."""
    if e.jacobian is None or e.jacobian.ndim != 8 or e.numeric.ndim != 4:
        return None
    return (np.abs(e.jacobian) > 0).any(axis=1).sum(axis=(0, 1, 2)) > 1


def heat(array, scale):
    """A map of one channel in characters: a point for nothing, digits for parts of the largest, - for negative."""
    lines = []
    for row in array:
        cells = []
        for value in row:
            if not np.isfinite(value):
                cells.append(" !")
                continue
            level = min(9, int(np.ceil(9 * abs(value) / scale - 1e-9))) if scale else 0
            cells.append(f"{'-' if value < 0 and level else ' '}{level or '.'}")
        lines.append("".join(cells))
    return lines
