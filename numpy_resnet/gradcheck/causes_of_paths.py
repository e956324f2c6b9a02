"""Which of the ways from x to y is missing or wrong, for batch norm, softmax and what has branches. See causes.py."""

import numpy as np

from numpy_resnet.gradcheck import names
from numpy_resnet.gradcheck.table import Match, cause


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
