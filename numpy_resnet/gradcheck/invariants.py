"""What must hold beside the derivative, and what no derivative shows."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.gradcheck.awkward import Case
from numpy_resnet.gradcheck.findings import Finding
from numpy_resnet.gradcheck.trial import FAULTS, Trial, UnsteadyError, same, told


def forward_against_definition(trial, spec):
    """y, and a mean and var in the cache, against reference.py: [Finding]"""
    case = trial.case
    expected = np.asarray(spec.definition(*case.copies(), **case.options), float)
    if trial.y.shape != expected.shape:
        text = f"expected y of shape {expected.shape}, got {trial.y.shape} ({case.label})"
        return [Finding("y", "forward_wrong", text, 0.99)]
    wrong = _off(trial.y, expected)
    found = []
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        text = f"y{list(at) if at else ''} is {trial.y[at]:.6g} and should be {expected[at]:.6g} ({case.label})"
        k = _constant(trial.y, expected)
        text += f"; all of it is {k:.6g} times as large" if k else ""
        found.append(Finding("y", "forward_wrong", text, 0.99, f"{wrong.sum()} of {wrong.size} entries of y"))
    x = case.arrays.get("x")
    if x is not None and "running_var" not in case.arrays and x.ndim == 4 and "weight" in case.arrays:
        for name, right in (("mean", x.mean(axis=(0, 2, 3))), ("var", x.var(axis=(0, 2, 3)))):
            held = getattr(trial.cache, name, None)
            if isinstance(held, np.ndarray) and held.size == right.size and not np.allclose(held.ravel(), right, 1e-5):
                ratio = float(np.mean(held.ravel() / right))
                text = f"{name} in the cache is {ratio:.4g} times that of the batch (the biased one is asked for)"
                found.append(Finding("y", "forward_wrong", text, 0.9, f"cache.{name}"))
    return found


def _off(y, expected):
    """Where an output is not what it should be."""
    return ~(np.abs(y - expected) <= 1e-6 * np.abs(expected).max(initial=0) + 1e-7 * np.abs(expected))


class WrongForward(NamedTuple):
    """A case in which the forward is wrong, as shrink.smallest makes it smaller."""

    case: Case
    name: str
    analytic: np.ndarray
    numeric: np.ndarray
    dy: None = None


def wrong_forward(f, spec, case):
    """A WrongForward, if y has the right shape and other numbers than it should; else None."""
    try:
        expected = np.asarray(spec.definition(*case.copies(), **case.options), float)
        y = np.array(f(*case.copies(), **case.options)[0], float)
    except FAULTS:
        return None
    fits = y.shape == expected.shape and y.size
    return WrongForward(case, "y", y, expected) if fits and _off(y, expected).any() else None


def _constant(y, expected):
    k = (y * expected).sum() / max((expected * expected).sum(), 1e-300)
    return k if np.allclose(y, k * expected, rtol=1e-6) and abs(k - 1) > 1e-6 else None


def linearity(trial):
    """A backward is a linear function of dy, and dy = 0 gives nothing: [Finding]"""
    one, two = trial.dy, np.asarray(np.random.default_rng(11).standard_normal(trial.dy.shape))
    try:
        a, b, both = (trial.gradients_of(dy) for dy in (one, two, 2 * one - 3 * two))
    except FAULTS as error:
        return [Finding("dx", "raises", f"another dy raised {told(error)}", 0.9)]
    for name in trial.case.differentiable():
        if not all(_like(trial.gradients[name], g.get(name)) for g in (a, b, both)):
            return [Finding(f"d{name}", "stale_state", "for another dy it has another shape, or does not come", 0.9)]
        if not same(2 * a[name] - 3 * b[name], both[name], 1e-6):
            text = "the gradient for 2*dy1 - 3*dy2 is not 2 times that for dy1 less 3 times that for dy2"
            return [Finding(f"d{name}", "not_linear", text, 0.8)]
    return []


def _like(one, two):
    """Whether both are arrays of numbers, of one shape."""
    return two is not None and two.dtype != object and one.shape == two.shape


def second_call(trial):
    """The backward of a later forward, of other numbers, is right as well, along a random direction: [Finding]"""
    case, rng = trial.case, np.random.default_rng(12)
    names = case.differentiable()
    other = case.with_arrays(**{n: case.arrays[n] * 0.75 for n in names})
    later = Trial(other, trial.f, trial.f_backward, dy=trial.dy)
    if later.problems:
        return later.problems
    text = "the gradients were right for the first arrays, and are wrong for others that came later"
    found = [Finding(", ".join(f"d{n}" for n in names), "stale_state", text, 0.9)]
    if not all(_like(trial.gradients[n], later.gradients[n]) for n in names):
        return found
    for step in (1e-6, 1e-7, 1e-8):  # a kink that lies between is not there at all of them
        along = {n: rng.standard_normal(case.arrays[n].shape) for n in names}
        ends = [other.with_arrays(**{n: other.arrays[n] + h * along[n] for n in names}) for h in (step, -step)]
        try:
            above, below = (later.run(end.arrays.values()) for end in ends)
        except UnsteadyError as error:
            return [error.finding]
        numeric = float(np.sum(trial.dy * (above - below)) / (2 * step))
        analytic = sum(float(np.sum(np.asarray(later.gradients[n], float) * along[n])) for n in names)
        blur = 1e-15 * float(np.sum(np.abs(trial.dy) * np.abs(later.y))) / step
        if abs(numeric - analytic) <= 1e-4 * max(abs(numeric), abs(analytic)) + 10 * blur + 1e-6:
            return []
    return found


def conventions(f, f_backward, spec, rng):
    """Where there is no slope the gradient is a convention: 0 at the zero of ReLU; one winner takes all in a tie."""
    for case in spec.ties(rng):
        trial = Trial(case, f, f_backward)
        (name,) = case.differentiable()
        got = trial.gradients.get(name)
        if got is None or np.shape(got) != case.arrays[name].shape:
            text = "with zeros or equal numbers in x it does not come, or has another shape"
            return trial.problems or [Finding(f"d{name}", "stale_state", text, 0.9)]
        if not np.isfinite(got).all():
            return [Finding(f"d{name}", "not_finite", "zeros or equal numbers in x make it infinite or NaN", 0.95)]
        right = spec.definition_backward(trial.dy, *case.copies(), **case.options)
        if spec.definition.__name__ == "relu":
            at = (case.arrays[name] == 0) & ~np.isclose(got, 0)
            if at.any():
                text = f"where x is 0 the gradient is 0 by convention; in {at.sum()} places it is not"
                advice = "compare with > 0, not with >= 0"
                return [Finding(f"d{name}", "mask_wrong_source", text, 0.9, "every x that is 0", advice)]
        elif not np.allclose(got.sum(axis=(2, 3)), right.sum(axis=(2, 3))):
            sums = f"{got.sum():.4g}, not {right.sum():.4g}, the sum of dy"
            text = f"with equal pixels in a window the gradients add up to {sums}"
            advice = "let one pixel win each window, the first: keep its index in the cache"
            return [Finding(f"d{name}", "mask_wrong_source", text, 0.9, "windows with a tie", advice)]
        elif not np.allclose(got, right):
            text = "of equal pixels in a window not the first alone gets the gradient"
            advice = "the first of equals wins all of it: compare with >, not >=, and share nothing"
            return [Finding(f"d{name}", "mask_wrong_source", text, 0.9, "windows with a tie", advice)]
    return []
