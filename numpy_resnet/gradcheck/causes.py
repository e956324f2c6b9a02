"""Why a gradient is wrong: one table of hypotheses. Each predicts what that mistake would give, and compares.

A cause takes the Evidence of one wrong gradient and yields a Match if the numbers are, all of them, what it predicts;
else nothing. The order of the table is that of trust: the more special a prediction, the earlier it stands.
"""

from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from numpy_resnet.gradcheck import names
from numpy_resnet.gradcheck.subsets import axis_name, subset_of_the_jacobian

TABLE = []  # (code, trust, whether the shape is right, function)


@dataclass(frozen=True)
class Match:
    """That a prediction came true, in words; `{}` in them stands for one of `names`."""

    evidence: str
    names: tuple = ()  # of the same number, the simplest first: what they have in common over several cases is right
    code: str = ""  # another than the function's
    trust: float = 1.0


def cause(code, trust=0.95, *, shape_is_right=True):
    """Signs a hypothesis up, for gradients of numbers whose shape is right, or for the others."""

    def sign_up(function):
        TABLE.append((code, trust, shape_is_right, function))
        return function

    return sign_up


@cause("not_returned", shape_is_right=False)
def nothing(e):
    if e.analytic.dtype == object:
        yield Match("nothing came back for it, or nothing that is an array of numbers")


@cause("wrong_order", 0.98, shape_is_right=False)
@cause("wrong_order", 0.98)
def another_arguments(e):
    for name, gradient in e.trial.numeric.items():
        if name != e.name and e.close(gradient) and gradient.any():
            yield Match(f"what came back for it is the right d{name}")


@cause("not_summed", shape_is_right=False)
def one_axis_too_many(e):
    a, n = e.analytic, e.numeric
    for count in range(1, a.ndim + 1):
        for axes in combinations(range(a.ndim), count):
            total = a.sum(axis=axes)
            if a.size > n.size == total.size and e.close(total.reshape(n.shape), n):
                yield Match(f"it came with shape {a.shape}; summed over axis {_listed(axes)} it is right, {n.shape}")


@cause("transposed", shape_is_right=False)
@cause("transposed")
def axes_exchanged(e):
    a, n = e.analytic, e.numeric
    if a.ndim == n.ndim:
        for order in permutations(range(n.ndim)):
            if order != tuple(range(n.ndim)) and e.close(a.transpose(order), n):
                yield Match(f"with its axes in the order {order} it is right")


@cause("summed_too_far", shape_is_right=False)
@cause("summed_too_far")
def too_few_axes(e):
    a, n = e.analytic, e.numeric
    for count in range(1, n.ndim + 1):
        for axes in combinations(range(n.ndim), count):
            total = n.sum(axis=axes, keepdims=True)
            for what, values in (("sum", total), ("mean", total * total.size / n.size)):
                if a.shape != n.shape and np.ndim(a) == n.ndim and np.allclose(n, values):
                    continue  # it would be right if it were broadcast
                flat = values.squeeze() if a.shape != n.shape else values + 0 * n
                if n.size > total.size and (e.close(flat) or e.close(values)):
                    where = f"axis {_listed(axes)}" if n.ndim > 1 else "its only axis"
                    yield Match(f"it is the {what} of the right gradient over {where}")


@cause("wrong_shape", 0.7, shape_is_right=False)
def other_shape(e):
    a, n = e.analytic, e.numeric
    if a.shape != n.shape and a.dtype != object:
        right = a.dtype.kind == "f" and a.size == n.size and e.close(a.reshape(n.shape), n)
        fits = "; reshaped it is right" if right else ""
        yield Match(f"expected shape {n.shape}, got {a.shape}{fits}")


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


@cause("channel_factor", 0.96)
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


@cause("branch_missing", 0.96)
def paths(e):
    """The right gradient is a sum of paths; the wrong one is the same sum with other weights."""
    shares = e.trial.paths.get(e.name)
    if not shares:
        return
    found = _weights(e, shares, None) or _weights(e, shares, 1)
    if not found:
        return
    weights, each = found
    wrong = {p: k for p, k in weights.items() if np.abs(np.asarray(k) - 1).max() > 1e-4}
    alike = len(weights) > 1 and np.ptp(np.array(list(weights.values())), axis=0).max() < 1e-4
    if not wrong or alike:
        return  # the factor is that of the whole
    if len(weights) == 1 and not any(np.abs(k - v) < 1e-4 for k in wrong.values() for v in (0, 0.5, 2)):
        return
    irregular = any(np.ndim(k) and np.ptp(k) > 1e-3 for k in wrong.values())
    text = "; ".join(f"'{p}' counts {names.described(k, e)}" for p, k in wrong.items())
    if len(shares) > 1:
        text = f"it is a sum of the paths {', '.join(shares)}: {text}"
    yield Match(
        text + (", channel by channel" if each else ""),
        code=_code_of_paths(wrong, weights),
        trust=0.95 if irregular else 1,
    )


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


@cause("train_formula_in_eval")
def statistics_differentiated(e):
    if "running_var" in e.case.arrays and e.name == "x":
        x, mean, var = (e.case.arrays[name] for name in ("x", "running_mean", "running_var"))
        x_hat = (x - mean[:, None, None]) / np.sqrt(var + e.case.options.get("eps", 1e-5))[:, None, None]
        error = (e.analytic - e.numeric).swapaxes(0, 1).reshape(len(mean), -1)
        basis = np.stack([np.ones_like(x), x_hat, _batch_hat(x)]).swapaxes(1, 2).reshape(3, len(mean), -1)
        if basis.shape[2] > 3 and all(_spanned(error[c], basis[:, c]) for c in range(len(mean))):
            yield Match("what is too much is a constant and a multiple of x_hat in each channel")


@cause("mean_path", 0.9)
def constant_error_per_channel(e):
    """For functions whose paths nobody told: batch norm by the look of its errors."""
    if e.name in e.trial.paths or e.numeric.ndim != 4:
        return
    x = e.case.arrays[e.name].swapaxes(0, 1).reshape(e.numeric.shape[1], -1)
    error = (e.analytic - e.numeric).swapaxes(0, 1).reshape(x.shape)
    if x.shape[1] < 5 or not np.abs(error).max():
        return
    x_hat = (x - x.mean(axis=1, keepdims=True)) / (x.std(axis=1, keepdims=True) + 1e-300)
    scale = np.abs(error).max()
    mean, along = error.mean(axis=1, keepdims=True), (error * x_hat).mean(axis=1, keepdims=True)
    if np.abs(error - mean - along * x_hat).max() > 1e-4 * scale:
        return
    parts = np.abs(mean).max() > 1e-4 * scale, np.abs(along).max() > 1e-4 * scale
    code = {(True, False): "mean_path", (False, True): "variance_path"}.get(parts, "mean_and_variance_path")
    text = {"mean_path": "constant", "variance_path": "a multiple of x_hat"}.get(
        code, "a constant and a multiple of x_hat"
    )
    yield Match(f"in each channel the error is {text}", code=code)


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
            yield Match(f"it is the right gradient, moved by {p} rows and {q} columns")
        if (p or q) and e.analytic.any() and e.close(_displaced(n, p, q, 0.0)):
            yield Match(f"it is the right gradient, moved by {p} rows and {q} columns, and cut off")
    for p, q in ((0, 1), (1, 0), (1, 1), (0, -1), (-1, 0), (-1, -1)):
        if e.close(np.roll(n, (p, q), (-2, -1))):
            yield Match(f"it is the right gradient, rolled by {p} rows and {q} columns")


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


@cause("wrong_statistics", 0.96)
def x_hat_moved(e):
    """Batch norm: dweight is made with an x_hat that lies off by a shift and a factor in each channel."""
    if e.name != "weight" or e.dy.ndim != 4 or e.numeric.ndim != 1 or e.impulses is None:
        return
    C = e.numeric.size
    mine, right = (np.stack([j[:, c, :, :, c].ravel() for c in range(C)]) for j in (e.impulses, e.jacobian))
    if right.shape[1] < 4:
        return
    affine = all(_spanned(m, np.stack([r, np.ones_like(r)])) for m, r in zip(mine, right, strict=True))
    if not affine or all(_spanned(m, r[None]) for m, r in zip(mine, right, strict=True)):
        return
    yield Match("x_hat is off by a shift and a factor in each channel")


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
            if not np.array_equal(w, value) and e.close(e.numeric_with(name, value)):
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
            if function is another_argument_changed and found:
                continue  # it takes many evaluations
            match = next(function(e), None)
            if match:
                found.append((match.code or code, trust * match.trust, match))
    return found


def _listed(axes):
    return str(axes[0]) if len(axes) == 1 else str(tuple(axes))


def _ratio(a, n):
    """The factor that fits a = factor * n best."""
    if a.shape != n.shape or not np.isfinite(a).all() or not n.any():
        return 0.0
    return float((a * n).sum() / (n * n).sum())


def _with_ones(e):
    return None if e.jacobian is None else np.tensordot(np.ones(e.dy.shape), e.jacobian, e.dy.ndim)


def _weights(e, shares, axis):
    """({path: weight}, whether by channel) with which the shares make up this gradient; None if they do not."""
    if e.analytic.shape != e.numeric.shape:
        return None
    basis = np.stack(list(shares.values()))
    if axis is None:
        present = [i for i, b in enumerate(basis) if np.abs(b).max() > 1e-9 * np.abs(e.numeric).max()]
        if not present:
            return None
        k = np.ones(len(basis))
        k[present] = np.linalg.lstsq(basis[present].reshape(len(present), -1).T, e.analytic.ravel(), rcond=None)[0]
        return (dict(zip(shares, k, strict=True)), False) if e.close(np.tensordot(k, basis, 1)) else None
    if e.numeric.ndim < 4:
        return None
    C = e.numeric.shape[axis]
    if e.numeric.size < (len(basis) + 2) * C:
        return None
    k = np.empty((len(basis), C))
    for c in range(C):
        part = np.take(basis, c, axis + 1).reshape(len(basis), -1)
        k[:, c] = np.linalg.lstsq(part.T, np.take(e.analytic, c, axis).ravel(), rcond=None)[0]
    return (dict(zip(shares, k, strict=True)), True) if e.close((k[:, None, :, None, None] * basis).sum(0)) else None


def _code_of_paths(wrong, weights):
    if set(wrong) == {"mean", "variance"} and (np.ptp(wrong["mean"]) > 1e-3) != (np.ptp(wrong["variance"]) > 1e-3):
        return "mean_path" if np.ptp(wrong["variance"]) > 1e-3 else "variance_path"  # the other only makes up for it
    if set(wrong) <= {"mean", "variance"}:
        return "mean_and_variance_path" if len(wrong) == 2 else f"{next(iter(wrong))}_path"
    if set(wrong) == {"sum"}:
        return "sum_path"
    if len(wrong) == 1:
        k = next(iter(wrong.values()))
        for value, code in ((0, "branch_missing"), (2, "branch_doubled"), (0.5, "branch_halved")):
            if np.abs(np.asarray(k) - value).max() < 1e-4:
                return code
    return "mean_and_variance_path" if set(weights) >= {"mean", "variance"} else "branch_factor"


def _batch_hat(x):
    std = np.sqrt(x.var(axis=(0, 2, 3), keepdims=True) + 1e-5)
    return (x - x.mean(axis=(0, 2, 3), keepdims=True)) / std


def _spanned(vector, basis):
    rest = vector - basis.T @ np.linalg.lstsq(basis.T, vector, rcond=None)[0]
    return np.abs(rest).max() <= 1e-5 * max(np.abs(vector).max(), 1e-300)


def _displaced(n, p, q, fill):
    """n moved by p rows and q columns, `fill` where nothing comes from."""
    H, W = n.shape[-2:]
    moved = np.full_like(n, fill)
    if abs(p) < H and abs(q) < W:
        rows, columns = slice(max(p, 0), H + min(p, 0)), slice(max(q, 0), W + min(q, 0))
        come = slice(max(-p, 0), H + min(-p, 0)), slice(max(-q, 0), W + min(-q, 0))
        moved[..., rows, columns] = n[..., *come]
    return moved
