"""Why a gradient is wrong: one table of hypotheses. Each predicts what that mistake would give, and compares.

A cause takes the Evidence of one wrong gradient and yields a Match if the numbers are, all of them, what it predicts;
else nothing. The order of the table is that of trust: the more special a prediction, the earlier it stands.
"""

from itertools import combinations

import numpy as np

from numpy_resnet.gradcheck import causes_of_paths, causes_of_shape, names  # noqa: F401, they sign up
from numpy_resnet.gradcheck.subsets import axis_name, overlap, subset_of_the_jacobian
from numpy_resnet.gradcheck.table import TABLE, Match, cause


@cause("upstream_ignored", 0.965)
def another_dy_changes_nothing(e):
    other = e.answer(1.5 - 2 * e.dy)
    if e.close(other) and np.any(e.analytic):
        yield Match("another dy gave the same gradient")
    ones = e.from_part(np.ones(e.dy.shape, bool)) if e.dy.ndim == 0 else _with_ones(e)
    if ones is not None and e.close(ones):
        yield Match("it is the gradient for a dy of ones")


@cause("unknown", 0.97)
def suspected_formula(e):
    """A formula that is often taken for the right one."""
    for code, words, gradients in e.trial.suspects:
        if e.name in gradients and not np.allclose(gradients[e.name], e.numeric) and e.close(gradients[e.name]):
            yield Match(f"these numbers come out if {words}", code=code)


@cause("constant_factor", 0.955)
def one_factor(e):
    k = _ratio(e.analytic, e.numeric)
    if k and e.numeric.size > 1 and e.close(k * e.numeric):
        yield Match("every entry is {} times the right one", names.of(k, names.numbers(e)))


@cause("channel_factor", 0.962)
def factor_along_an_axis(e):
    a, n = e.analytic, e.numeric
    for axis in [1, 0, *range(2, n.ndim)] if n.ndim > 1 else [0]:
        if axis < n.ndim and n.shape[axis] > 1 and (n.ndim > 1 or names.vectors(e)):
            others = tuple(i for i in range(n.ndim) if i != axis)
            k = (a * n).sum(axis=others, keepdims=True) / np.maximum((n * n).sum(axis=others, keepdims=True), 1e-300)
            enough = n.size >= 2 * n.shape[axis]
            known = names.of_vector(k.ravel(), names.vectors(e)) if np.all(k) else ()
            if e.close(k * n) and (known or enough) and np.ptp(k) > 1e-3 * np.abs(k).max() and np.all(k):
                what = axis_name(e, axis)
                code = {"sample": "sample_factor", "row of the batch": "sample_factor"}.get(what, "channel_factor")
                yield Match(f"each {what} has a factor of its own, {{}}", known or (names.rounded(k.ravel()),), code)


@cause("mask_wrong_source")
def depends_on_the_sign(e):
    """Linear for positive factors, and not for negative ones: something compares dy with zero."""
    plus, minus = e.answer(2 * e.dy), e.answer(-e.dy)
    if plus is None or minus is None or e.close(minus, -e.analytic):
        return
    if e.close(plus, 2 * e.analytic):
        yield Match("-dy does not give the negative gradient: the mask depends on the sign of dy")
    yield Match("2 dy does not give twice the gradient: backward is not linear in dy", code="not_linear")


@cause("branch_missing", 0.96)
def a_whole_branch(e):
    if not e.analytic.any() and e.numeric.any():
        yield Match("it is zero everywhere")


@cause("partly_missing", 0.94)
def zero_or_right(e):
    """Some entries are right and all others are nothing, or those of the first sample stand for all."""
    a, n = e.analytic, e.numeric
    allowed = 1e-5 * np.abs(n).max() + 4 * e.slopes.tolerance.max()
    right = np.abs(a - n) <= allowed
    if n.ndim > 1 and n.shape[0] > 1:
        for i in (0, n.shape[0] - 1):
            if e.close(np.broadcast_to(n[i], n.shape)) and not np.allclose(n, n[i]):
                yield Match(f"every sample has the gradient of sample {i}", code="one_sample_only")
        alive = [i for i in range(n.shape[0]) if np.any(a[i])]
        if len(alive) == 1 and np.all(right | (a == 0)) and axis_name(e, 0) == "sample":
            yield Match(f"only sample {alive[0]} has a gradient, of {n.shape[0]}", code="one_sample_only")
    if np.any(right & (np.abs(n) > allowed)) and np.all(right | (a == 0)) and len(e.trial.paths.get(e.name, ())) > 1:
        yield Match(f"{int((~right).sum())} of {n.size} entries are zero that should not be, the others are right")


@cause("rotated_180")
def flipped(e):
    n = e.numeric
    for axes in ((-2, -1), (-2,), (-1,)) if n.ndim == 4 else ():
        if e.close(np.flip(n, axes)) and not np.allclose(n, np.flip(n, axes)):
            where = {(-2, -1): "180 degrees round", (-2,): "upside down", (-1,): "left to right"}[axes]
            yield Match(f"it is the right gradient, {where}")


@cause("shifted")
def moved(e):
    n = e.numeric
    if n.ndim < 3:
        return
    for p, q in sorted(np.ndindex(7, 7), key=lambda d: abs(d[0] - 3) + abs(d[1] - 3)):
        p, q = p - 3, q - 3
        here = _displaced(n, p, q, np.nan)
        known = ~np.isnan(here)
        if (p or q) and known.sum() >= max(3, n.size / 4) and e.close(here) and e.analytic[known].any():
            yield Match(f"it is the right gradient, moved by {_moves(p, q)}")
        if (p or q) and e.analytic.any() and e.close(_displaced(n, p, q, 0.0)):
            yield Match(f"it is the right gradient, moved by {_moves(p, q)}, and cut off")
    for p, q in ((0, 1), (1, 0), (1, 1), (0, -1), (-1, 0), (-1, -1)):
        if e.close(np.roll(n, (p, q), (-2, -1))):
            yield Match(f"it is the right gradient, rolled by {_moves(p, q)}")


@cause("mask_missing")
def mask(e):
    """For functions that work entry by entry: the wrong gradient is dy times another mask."""
    if e.dy.shape != e.numeric.shape or e.jacobian is None:
        return
    n = e.dy.size
    slope = e.jacobian.reshape(n, n)
    diagonal = np.diagonal(slope)
    if np.abs(slope - np.diag(diagonal)).max() > 1e-6 or not np.any(np.abs(diagonal) < 1e-6):
        return
    passes, mine = np.abs(diagonal) > 1e-6, np.abs(e.analytic.ravel()) > 1e-9
    factor = e.analytic.ravel()[mine] / e.dy.ravel()[mine]
    if not mine.any() or np.ptp(factor) > 1e-4:
        return
    extra = f" (times {factor[0]:.4g})" if abs(factor[0] - diagonal[passes].mean()) > 1e-3 else ""
    if mine.all():
        yield Match(f"dy passes everywhere{extra}")
    if np.array_equal(mine, ~passes):
        yield Match(f"dy passes just where the forward let nothing through{extra}", code="mask_inverted")
    if not np.all(passes[mine]):
        yield Match(f"dy passes in {mine.sum()} of {n} places; {passes.sum()} are right", code="mask_wrong_source")


@cause("wrong_argument", 0.9)
def another_argument_changed(e):
    """What the gradient would be if another argument were transposed, rotated, squared, or left out."""
    if e.case.arrays[e.name].size > 200 or len(e.case.arrays) > 4:
        return
    for name in e.case.differentiable():
        w = e.case.arrays[name]
        if name == e.name:
            continue
        changes = [("squared", w**2, "wrong_argument"), ("left out (all ones)", np.ones_like(w), "wrong_argument")]
        if w.ndim > 1:
            pairs = [p for p in combinations(range(w.ndim), 2) if w.shape[p[0]] == w.shape[p[1]] > 1]
            changes = [(f"given with axes {p} exchanged", w.swapaxes(*p), "transposed") for p in pairs] + changes
        if w.ndim == 4 and w[0, 0].size > 1:
            flips = {(-2, -1): "rotated by 180 degrees", (-2,): "upside down", (-1,): "left to right"}
            changes = [(how, np.flip(w, axes), "rotated_180") for axes, how in flips.items()] + changes
        for how, value, code in changes:
            if not np.array_equal(w, value) and e.fits_with(name, value):
                yield Match(f"these numbers come out if {name} is {how}", code=code)


@cause("partly_missing")
def subset(e):
    found = subset_of_the_jacobian(e)
    if found:
        yield Match(found.evidence, code=found.code, trust=found.trust)


def find(e):
    """[(code, trust, Match), ...] of all causes that explain this evidence, the most trusted first."""
    fits = e.analytic.dtype.kind == "f" and e.analytic.shape == e.numeric.shape
    if fits and not np.isfinite(e.analytic).all():
        bad = ~np.isfinite(e.analytic)
        return [("not_finite", 0.95, Match(f"{bad.sum()} of {bad.size} entries are infinite or NaN"))]
    found = []
    for code, trust, shape_is_right, function in TABLE:
        if shape_is_right == fits:
            match = next(function(e), None)
            if match:
                found.append((match.code or code, trust * match.trust, match))
    return found


def _ratio(a, n):
    """The factor that fits a = factor * n best."""
    if a.shape != n.shape or not np.isfinite(a).all() or not n.any():
        return 0.0
    return float((a * n).sum() / (n * n).sum())


def _with_ones(e):
    return None if e.jacobian is None else np.tensordot(np.ones(e.dy.shape), e.jacobian, e.dy.ndim)


def _displaced(n, p, q, fill):
    """n moved by p rows and q columns, `fill` where nothing comes from."""
    H, W = n.shape[-2:]
    moved = np.full_like(n, fill)
    if abs(p) < H and abs(q) < W:
        there, here = overlap(p, q, H, W)
        moved[..., *there] = n[..., *here]
    return moved


def _moves(p, q):
    """1 row and 2 columns"""
    words = [f"{n} {word}{'s' if abs(n) > 1 else ''}" for n, word in ((p, "row"), (q, "column")) if n]
    return " and ".join(words)
