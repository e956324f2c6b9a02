"""Mistakes that leave some of the products out, or put them elsewhere: seen in the Jacobian that a backward has."""

from typing import NamedTuple

import numpy as np


class Found(NamedTuple):
    code: str
    evidence: str
    trust: float = 1.0


def axis_name(e, axis):
    """What an axis of the argument counts: sample, channel, row, ..."""
    words = {"N": "sample", "C": "channel", "H": "row", "W": "column", "OC": "output channel", "IN": "feature"}
    words |= {"OUT": "output", "KH": "row of the kernel", "KW": "column of the kernel"}
    axes = e.case.axes.get(e.name, "").split()
    if axes == ["N", "C"] and axis == 1:
        return "class"
    if len(axes) == e.numeric.ndim and axes[axis] in words:
        return words[axes[axis]]
    return ["sample", "channel", "row", "column"][axis] if e.numeric.ndim == 4 else f"index of axis {axis}"


def subset_of_the_jacobian(e):
    """What is missing, or in another place, if each row of the Jacobian is made of the right numbers."""
    if len(e.trial.paths.get(e.name, ())) > 1:
        return None  # its parts are known better
    mine, right = e.impulses, e.jacobian
    if mine is None or not np.isfinite(mine).all():
        return None
    outputs, shape = e.dy.size, e.numeric.shape
    mine, right = mine.reshape(outputs, -1), right.reshape(outputs, -1)
    size = np.abs(right).max()
    there, here = np.abs(right) > 1e-6 * size, np.abs(mine) > 1e-6 * size
    if not here.any():
        return Found("branch_missing", "nothing comes back, whatever dy is")
    equal = np.abs(mine - right) <= 1e-5 * size
    if np.all(equal | ~here):
        return _dropped(e, here, there)
    moved = _moved_alike(mine.reshape(outputs, *shape), right.reshape(outputs, *shape))
    if moved:
        return Found(
            "shifted", f"every window's gradient lies {moved[0]} rows and {moved[1]} columns away from its place"
        )
    if _permuted(mine, right, size):
        return Found("transposed", "dy is read in another order: every entry's gradient is that of another one")
    if there.any(axis=0).all() and _permuted(mine.T, right.T, size):
        return Found("transposed", "the right numbers, but in another order")
    columns = [j.T.reshape(-1, *e.dy.shape) for j in (mine, right)]
    moved = e.dy.ndim == 4 and _moved_alike(*columns)
    if moved:
        return Found("shifted", f"dy is read {moved[0]} rows and {moved[1]} columns away from the place")
    if np.all(equal | ~there):
        return _added(e, mine, right, here & ~there)
    return _elsewhere(e, mine.reshape(outputs, *shape), right.reshape(outputs, *shape))


def _moved_alike(mine, right):
    """By how many rows and columns all maps are away from their places, the same for all; None if they are not."""
    if mine.ndim < 4 or max(mine.shape[-2:]) < 3:
        return None
    moves = {_displacement(m, r) for m, r in zip(mine, right, strict=True) if np.any(m) or np.any(r)} - {"any"}
    only = moves.pop() if len(moves) == 1 else None
    return only if only and only != (0, 0) else None


def _permuted(mine, right, size):
    """Whether the rows are the right ones, each once, in another order."""
    if len(mine) ** 2 * mine.shape[1] > 2**24:
        return False
    mine, right = np.round(mine / size, 4) + 0.0, np.round(right / size, 4) + 0.0
    order = [sorted(map(bytes, np.ascontiguousarray(rows))) for rows in (mine, right)]
    return len(set(order[1])) > 1 and order[0] == order[1] and not np.array_equal(mine, right)


def _dropped(e, here, there):
    """Some products are missing, all others are right."""
    lost, reached = there & ~here, _groups(e, there)
    overlaps = reached > 1
    overwritten = overlaps.any() and not lost[:, ~overlaps].any() and _one_is_left(e, here, there, overlaps)
    if overwritten and not overlaps.all():
        return Found("not_accumulated", "each entry that several outputs use has the share of one of them alone")
    senders = there.any(axis=1)
    silent = senders & ~here.any(axis=1)  # outputs whose gradient goes nowhere
    if np.array_equal(lost, there & silent[:, None]):
        left = np.argwhere((senders & ~silent).reshape(e.dy.shape))
        ranges = [np.unique(column) for column in left.T]
        whole_maps = all(len(r) == n for r, n in zip(ranges[2:], e.dy.shape[2:], strict=True))
        if e.dy.ndim and len(ranges[0]) == 1 < e.dy.shape[0] and whole_maps:
            return Found("one_sample_only", f"only dy[{ranges[0][0]}] counts, of {e.dy.shape[0]} samples")
        if e.dy.ndim == 4 and len(left) and len(ranges[2]) == len(ranges[3]) == 1 and e.dy.shape[2] * e.dy.shape[3] > 1:
            return Found("not_accumulated", f"only the window at {ranges[2][0], ranges[3][0]} counts")
        if e.dy.ndim > 1 and len(left) and len(ranges[1]) == 1 < e.dy.shape[1]:
            return Found("not_accumulated", f"only output channel {ranges[1][0]} counts")
        axes = [axis for axis, r in enumerate(ranges) if len(r) < e.dy.shape[axis]]
        where = ", ".join(f"{e.dy.shape[a] - len(ranges[a])} of {e.dy.shape[a]} along axis {a}" for a in axes)
        return Found("partly_missing", f"some entries of dy send nothing back: {where or silent.sum()}", 0.95)
    blank = there.any(axis=0) & ~here.any(axis=0)  # inputs that get nothing
    if np.array_equal(lost, there & blank[None, :]):
        return _blank(e, blank.reshape(e.numeric.shape), there.any(axis=0).reshape(e.numeric.shape))
    if overwritten:
        return Found("not_accumulated", "each entry that several outputs use has the share of one of them alone")
    if not lost[:, there.sum(axis=0) == 1].any() and np.all(here.sum(axis=0)[lost.any(axis=0)] >= 1):
        return Found("not_accumulated", "entries that several outputs use lack some of the shares", 0.9)
    return Found(
        "partly_missing", f"{lost.sum()} of {there.sum()} products with dy are missing, the rest is right", 0.8
    )


def _one_is_left(e, here, there, overlaps):
    """Whether each entry keeps the share of one place alone, everywhere that of the last or everywhere of the first."""
    left, reach = _places(e, here)[:, overlaps], _places(e, there)[:, overlaps]
    if not np.all(left.sum(axis=0) == 1):
        return False
    last = len(reach) - 1 - reach[::-1].argmax(axis=0)
    return np.array_equal(left.argmax(axis=0), last) or np.array_equal(left.argmax(axis=0), reach.argmax(axis=0))


def _places(e, present):
    """Whether each place (n, oh, ow) of dy reaches each entry; its channels count as one."""
    shape = e.dy.shape
    return present.reshape(*shape, -1).any(axis=1).reshape(-1, present.shape[1]) if len(shape) == 4 else present


def _groups(e, present):
    """By how many places of dy each entry is reached."""
    return _places(e, present).sum(axis=0)


def _blank(e, blank, used):
    """Entries without any gradient: by samples, channels, rows, columns?"""
    for axis in range(blank.ndim):
        others = tuple(i for i in range(blank.ndim) if i != axis)
        empty = (blank | ~used).all(axis=others) & blank.any(axis=others)
        if empty.any() and np.array_equal(
            blank, used & np.moveaxis(np.broadcast_to(empty, (*np.delete(blank.shape, axis), empty.size)), -1, axis)
        ):
            name, n = axis_name(e, axis), blank.shape[axis]
            if name == "sample" and empty.sum() == n - 1:
                return Found("one_sample_only", f"only sample {int(np.argmin(empty))} has a gradient, of {n}")
            which = ", ".join(map(str, np.flatnonzero(empty)[:5]))
            return Found("partly_missing", f"no gradient in {name} {which} (of {n})")
    return Found(
        "partly_missing", f"{blank.sum()} of {blank.size} entries have no gradient, the others are right", 0.85
    )


def _added(e, mine, right, extra):
    """Products that should not be there, beside all that should."""
    shape = e.numeric.shape
    for axis in range(len(shape)):
        total = right.reshape(-1, *shape).sum(axis=axis + 1, keepdims=True) + np.zeros(shape)
        if np.allclose(mine, total.reshape(mine.shape), atol=1e-6 * np.abs(right).max()):
            return Found("summed_too_far", f"every {axis_name(e, axis)} has the sum over all of them")
    if not np.any(extra & (np.abs(right).sum(axis=1) > 0)[:, None]):
        return Found("mask_missing", "outputs that depend on nothing send their gradient back")
    return Found(
        "mask_missing", f"{extra.any(axis=0).sum()} entries get gradient of outputs that they do not reach", 0.9
    )


def _elsewhere(e, mine, right):
    """The right numbers in other places: a window in another place, or another pixel of the window."""
    rows = [k for k in range(len(mine)) if np.any(right[k]) or np.any(mine[k])]
    flat, true = (j.reshape(len(j), -1)[rows] for j in (mine, right))
    selects = np.allclose(np.abs(true).max(axis=1), np.abs(true).sum(axis=1))  # each output is a copy of one entry
    if mine.ndim == 5:
        moves = {k: _displacement(mine[k], right[k]) for k in rows}
        known = {m for m in moves.values() if m is not None and m != "any"}
        if known and None not in moves.values() and (not selects or _by_window(e, moves)):
            text = ", ".join(str(m) for m in sorted(known)[:4])
            return Found(
                "shifted", f"the windows' gradients lie away from their places, by (rows, columns) {text}", 0.97
            )
    here, there = np.abs(flat) > 1e-6, np.abs(true) > 1e-6
    if np.array_equal(here, there) or not selects:
        return None
    most = here.sum(axis=1).max()
    if most == 1:
        return Found(
            "mask_wrong_source", "each output sends its gradient to one entry, but not to the one it came from"
        )
    if not np.any(here & there):
        return Found("mask_inverted", "each output sends its gradient to all entries but the one it came from", 0.95)
    return Found("mask_missing", f"each output sends gradient to up to {most} entries; it came from one of them", 0.95)


def _by_window(e, moves):
    """Whether the displacement is the same in all samples and channels."""
    by_place = {}
    for k, move in moves.items():
        if move != "any":
            by_place.setdefault(np.unravel_index(k, e.dy.shape)[2:], set()).add(move)
    return all(len(found) == 1 for found in by_place.values())


def overlap(p, q, H, W):
    """(where, whence): the rows and columns that come from a map (H, W) moved by p rows and q columns, and theirs."""
    there = slice(max(p, 0), H + min(p, 0)), slice(max(q, 0), W + min(q, 0))
    return there, (slice(max(-p, 0), H + min(-p, 0)), slice(max(-q, 0), W + min(-q, 0)))


def _displacement(mine, right):
    """By how many (rows, columns) one window's gradient is away from its place; "any" if nothing of it is seen."""
    if not mine.any():
        return "any"
    size = np.abs(right).max()
    H, W = mine.shape[-2:]
    for p, q in sorted(np.ndindex(2 * H - 1, 2 * W - 1), key=lambda d: abs(d[0] - H + 1) + abs(d[1] - W + 1)):
        p, q = p - H + 1, q - W + 1
        there, here = overlap(p, q, H, W)
        inside = mine[..., *there]
        if (
            np.abs(inside).sum() >= 0.999 * np.abs(mine).sum() - 1e-12
            and np.abs(inside - right[..., *here]).max() <= 1e-5 * size
        ):
            return p, q
    return None
