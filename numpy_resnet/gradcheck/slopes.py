"""Slopes of a function that nobody has written down: differences that say how far they can be trusted.

For each entry two evaluations, at x + h and x - h. Where a gradient disagrees with them, more: half the step, and
Richardson's extrapolation from both, whose change estimates the truncation; and steps 64 and 4,096 times smaller, from
either side, which tell a kink from a curve: on a curve the two sides agree ever better, at a kink they never do.
"""

from typing import NamedTuple

import numpy as np

STEP = 2.0**-16  # of the spread of the array: truncation and rounding are both about 1e-10
SMALLER = 64
PRECISE = 1e-6  # how well a right gradient agrees, relative to the entry or to 1 % of the largest
NOISE = 1e-8  # more than this, relative to y, is no float64
LARGEST_JACOBIAN = 2**21  # entries


class Slopes(NamedTuple):
    """d(sum of dy * y) / dx for one argument, entry by entry."""

    gradient: np.ndarray  # of the shape of x
    tolerance: np.ndarray  # how far from it a right gradient may be
    kink: np.ndarray  # bool: no slope there, for it differs on both sides
    low: np.ndarray  # the least and the largest that a subgradient may be, where there is a kink
    high: np.ndarray
    jacobian: np.ndarray | None  # (*y.shape, *x.shape), unless it is too large

    def wrong(self, analytic):
        """Where a gradient cannot be right: bool, of the shape of x."""
        with np.errstate(invalid="ignore"):
            off = ~(np.abs(analytic - self.gradient) <= self.tolerance)  # NaN is off, too
            outside = ~((analytic >= self.low - self.tolerance) & (analytic <= self.high + self.tolerance))
        return np.where(self.kink, outside, off)


def noise(run, x):
    """How much y jumps, relative to its size, when x hardly moves: 1e-16 in float64, 1e-7 in float32."""
    step = spread(x) * np.random.default_rng(1).choice([-1.0, 1.0], x.shape)
    middle, tiny = run(x), 1e-9 * step
    jump = np.abs(run(x + tiny) - 2 * middle + run(x - tiny))
    size = max(np.abs(middle).max(initial=0), np.abs(run(x + step)).max(initial=0), 1e-300)
    return float(jump.max(initial=0) / size)


def spread(x):
    """The scale on which the entries of x differ, or their size where all are equal."""
    return float(np.std(x)) or float(np.abs(x).max(initial=0)) or 1.0


def measure(run, x, dy, analytic, *, noisy=0.0, run_all=None):
    """The Slopes of sum(dy * run(x)) at x, with more evaluations where `analytic` disagrees.

    run(x) -> y, a float array; noisy: what `noise` found, if it is more than NOISE; run_all: the same for a list of x.
    """
    run_all = run_all or (lambda xs: map(run, xs))
    middle = run(x)
    h = spread(x) * max(STEP, noisy ** (1 / 3))
    rounding = 4 * max(np.finfo(float).eps, noisy) * np.sum(np.abs(dy) * np.abs(middle).max(initial=0)) / h
    columns = np.empty((x.size, middle.size)) if x.size * middle.size <= LARGEST_JACOBIAN else None
    gradient, tolerance = np.empty(x.shape), np.empty(x.shape)
    kink, low, high = np.zeros(x.shape, bool), np.empty(x.shape), np.empty(x.shape)

    def difference(index, above, below):
        moved = x.copy()
        moved[index] = x[index] + above
        y = run(moved)
        moved[index] = x[index] - below
        return (y - run(moved)) / (above + below)

    for j, (index, above, below) in enumerate(_moved(run_all, x, h)):
        slope = (above - below) / (2 * h)
        if columns is not None:
            columns[j] = slope.ravel()
        gradient[index] = np.sum(dy * slope)
    smallest = 0.01 * np.abs(gradient).max(initial=0)
    analytic = np.broadcast_to(analytic, x.shape) if np.shape(analytic) in ((), x.shape) else np.full(x.shape, np.nan)
    tolerance[...] = PRECISE * np.maximum(np.abs(gradient), smallest) + rounding
    with np.errstate(invalid="ignore"):
        doubtful = np.argwhere(~(np.abs(analytic - gradient) <= tolerance))
    if noisy:
        doubtful = doubtful[:0]  # smaller steps would show noise
    few = doubtful[:: -(-len(doubtful) // 16) or 1]
    for chosen in (few, doubtful):
        for index in map(tuple, chosen):
            slope, off, kink[index], low[index], high[index] = _look_closer(difference, index, h, dy, rounding)
            gradient[index] = np.sum(dy * slope)
            tolerance[index] = PRECISE * max(abs(gradient[index]), smallest) + off
            if columns is not None:
                columns[np.ravel_multi_index(index, x.shape)] = slope.ravel()
        with np.errstate(invalid="ignore"):
            still_off = [not abs(analytic[i] - gradient[i]) <= tolerance[i] for i in map(tuple, chosen)]
        if not kink.any() and all(still_off):
            break  # what is wrong wherever one looks closer is wrong
    jacobian = None if columns is None else columns.T.reshape(*middle.shape, *x.shape)
    return Slopes(gradient, tolerance, kink, low, high, jacobian)


def _moved(run_all, x, h, most=2**16):
    """(index, y above, y below) for each entry of x, moved by h either way; many at a time."""
    entries = list(np.ndindex(x.shape))
    count = max(1, most // max(1, x.size))
    for start in range(0, len(entries), count):
        chosen, moved = entries[start : start + count], []
        for index in chosen:
            for step in (h, -h):
                moved.append(x.copy())
                moved[-1][index] += step
        ys = iter(run_all(moved))
        yield from zip(chosen, ys, ys, strict=True)


def agree(run, x, dy, analytic, allowed):
    """Whether central differences of sum(dy * run(x)) are this gradient; the first that is not ends it."""
    h = spread(x) * STEP
    for index in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[index] += h
        below[index] -= h
        if not abs(np.sum(dy * (run(above) - run(below))) / (2 * h) - analytic[index]) <= allowed:
            return False
    return True


def _look_closer(difference, index, h, dy, rounding):
    """The slope of each y, how far their sum with dy may be off, whether there is a kink, and between what bounds.

    On three scales, each 64 times smaller, the slopes to the right and to the left are compared. On a curve their jump
    shrinks with the scale; a kink between two scales is seen on the larger one alone, a kink at x on all.
    """
    steps = h, h / SMALLER, h / SMALLER**2
    sides = [(difference(index, step, 0), difference(index, 0, step)) for step in steps]
    jumps = [np.abs(right - left) for right, left in sides]
    blurs = [50 * rounding / max(np.abs(dy).sum(), 1e-300) * SMALLER**k for k in range(3)]
    for k in (0, 1):
        curve = (jumps[k] <= 4 * SMALLER * jumps[k + 1] + blurs[k + 1]) & (jumps[k + 1] <= jumps[k] / 16 + blurs[k + 1])
        if np.all(curve):
            whole, half = difference(index, steps[k], steps[k]), difference(index, steps[k] / 2, steps[k] / 2)
            change = np.abs(np.sum(dy * (half - whole)))
            return (4 * half - whole) / 3, change + 3 * rounding * SMALLER**k, False, 0, 0
    right, left = sides[2]
    if np.all(jumps[2] <= blurs[2]):
        return (right + left) / 2, rounding * SMALLER**2, False, 0, 0  # a kink, but not this near
    pair = dy * right, dy * left
    return right, rounding * SMALLER**2, True, np.minimum(*pair).sum(), np.maximum(*pair).sum()


def complex_slopes(run, x, dy):
    """The same by complex steps: y(x + ih) = y + ih y' without any difference, so exact to 1e-15.

    run must compute in complex128, without abs, max or comparisons that look at the imaginary part.
    Source: Squire & Trapp 1998, "Using complex variables to estimate derivatives of real functions".
    """
    h, moved = 1e-30, x.astype(complex)
    columns, shape = [], np.shape(run(x))
    for index in np.ndindex(x.shape):
        moved[index] = x[index] + 1j * h
        y = np.asarray(run(moved))
        if y.dtype.kind != "c":
            raise ValueError(
                f"complex_step needs an f that computes in complex128; it made {y.dtype} of it: use complex_step=False"
            )
        columns.append(y.imag.ravel() / h)
        moved[index] = x[index]
    jacobian = np.array(columns).reshape(x.size, -1).T.reshape(*shape, *x.shape)
    gradient = np.tensordot(dy, jacobian, dy.ndim)
    tolerance = 1e-13 * np.abs(gradient).max(initial=0) + np.zeros(x.shape)
    none = np.zeros(x.shape)
    return Slopes(gradient, tolerance, none.astype(bool), none, none, jacobian)
