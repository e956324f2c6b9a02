"""The smallest case that still fails: fewer samples, channels and pixels, simpler options, then simpler numbers."""

from dataclasses import replace

import numpy as np

SIMPLEST = {"stride": 1, "padding": 0, "eps": 1e-5, "label_smoothing": 0.0, "class_weight": None, "p": 0.5}
TRIALS = 120


def smallest(e, still_wrong):
    """Evidence as small as it was found: the mistake and the argument stay the same.

    still_wrong(case, dy) -> Evidence or None. Every step keeps what still fails.
    """
    left = TRIALS

    def attempt(case, dy=None):
        nonlocal left
        left -= 1
        return still_wrong(case, dy) if left > 0 else None

    changed = True
    while changed and left > 0:
        changed = False
        for case in _smaller(e.case):
            found = attempt(case)
            if found:
                e, changed = found, True
                break
    whole = e.case.with_arrays(**{n: _rounded(a, n) for n, a in e.case.arrays.items() if n in e.case.differentiable()})
    e = attempt(whole) or e
    return attempt(e.case, _whole_upstream(e.dy)) or e


def _smaller(case):
    """Cases with one axis shorter, as much as possible first, and cases with one option simpler."""
    sizes = {}
    for name, axes in case.axes.items():
        if case.arrays.get(name) is not None:
            sizes |= dict(zip(axes.split(), case.arrays[name].shape, strict=True))
    for axis, size in sizes.items():
        for shorter in dict.fromkeys((1, 2, size - 1)):
            if 0 < shorter < size:
                yield _cropped(case, axis, shorter)
    for option, value in case.options.items():
        simplest = SIMPLEST.get(option, value)
        if isinstance(value, tuple) and option in ("stride", "padding", "kernel_size"):
            yield replace(case, options={**case.options, option: min(value)})
        if value is not None and not np.array_equal(value, simplest):
            yield replace(case, options={**case.options, option: simplest})


def _cropped(case, axis, size):
    arrays = dict(case.arrays)
    for name, axes in case.axes.items():
        if arrays.get(name) is not None:
            cut = tuple(slice(size) if a == axis else slice(None) for a in axes.split())
            arrays[name] = arrays[name][cut].copy()
    if "labels" in arrays and axis == "C":
        arrays["labels"] = arrays["labels"] % size
    options = dict(case.options)
    if axis == "C" and options.get("class_weight") is not None:
        options["class_weight"] = options["class_weight"][:size]
    if "padding" in options and axis in ("KH", "KW", "H", "W"):
        options["padding"] = options["padding"]
    return replace(case, arrays=arrays, options=options)


def _rounded(array, name):
    """Small whole numbers in the same order: no two alike, so that no kink comes in."""
    if array.size > 30:
        return np.round(array, 1)
    ranks = array.ravel().argsort().argsort().reshape(array.shape) + 1.0
    return np.where(array.min() < 0, ranks - (array < 0).sum() - (array < 0), ranks) if array.min() < 0 else ranks


def _whole_upstream(dy):
    """1, 2, 3, ...; 1 for a loss."""
    return np.arange(1.0, dy.size + 1).reshape(dy.shape) if dy.ndim else np.array(2.0)
