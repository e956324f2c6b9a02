"""One forward and one backward of somebody's functions, watched: nothing that they do stops the doctor."""

import re
import traceback
import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from numpy_resnet.gradcheck import slopes
from numpy_resnet.gradcheck.awkward import Case, is_float
from numpy_resnet.gradcheck.findings import Finding

FAULTS = Exception, SystemExit  # whatever a function does to get out


class UnsteadyError(Exception):
    """A forward that worked once, and then did not: the finding is in it."""

    def __init__(self, code, text):
        super().__init__(text)
        self.finding = Finding("y", code, text, 0.95)


class Trial:
    """What f and f_backward do with a case: y, the gradients by argument, and the problems that need no differences.

    dy is random, and not the numbers that a generator of the same seed would give to x.
    """

    def __init__(self, case, f, f_backward, seed=0, dy=None):
        self.case, self.f, self.f_backward = case, f, f_backward
        self.problems, self.gradients, self.y, self.cache = [], {}, None, None
        self.dy, self.numeric, self.paths, self.suspects = dy, {}, {}, ()  # what the doctor finds out, or knows
        try:
            if self._forward():
                if dy is None:
                    self.dy = np.random.default_rng([seed, *b"dy"]).standard_normal(self.y.shape)
                if f_backward:
                    self._backward()
        except UnsteadyError as error:
            self.problems.append(error.finding)

    def run(self, arrays):
        """y alone, of other arrays. Raises UnsteadyError where there is none, or it is not like the first."""
        try:
            y = self.f(*arrays, **self.case.options)[0]
        except FAULTS as error:
            raise self._worked_once(error) from None
        return self._like_the_first(y)

    def run_all(self, calls):
        """The same for many lists of arrays; a function in another process takes them in one go, with `batch`."""
        if not hasattr(self.f, "batch"):
            return map(self.run, calls)
        try:
            ys = self.f.batch([list(arrays) for arrays in calls], self.case.options)
        except FAULTS as error:
            raise self._worked_once(error) from None
        return map(self._like_the_first, ys)

    def _worked_once(self, error):
        return UnsteadyError("raises", f"the forward worked once, then it raised {told(error)}")

    def _like_the_first(self, y):
        try:
            y = np.array(y, float)  # a copy: y may be a view of x
        except (TypeError, ValueError) as error:
            raise self._worked_once(error) from None
        if y.shape != self.y.shape:
            raise UnsteadyError("stale_state", f"y has shape {y.shape} after {self.y.shape} for arrays of one shape")
        if np.isfinite(self.y).all() and not np.isfinite(y).all():
            raise UnsteadyError("not_finite", "y is not finite any more when an entry moves a little")
        return y

    def gradients_of(self, dy):
        """The gradients by argument, for another dy and the same cache; None for those that are not there."""
        returned = self.f_backward(_upstream(dy), self.cache)
        return dict(zip(self.case.arrays, map(keep, _listed(returned)), strict=False))

    def _problem(self, code, argument, evidence, confidence=0.99, **more):
        self.problems.append(Finding(argument, code, evidence, confidence, **more))
        return False

    def _forward(self):
        """Runs f twice; whether there is a y to go on with."""
        self.args = self.case.copies()
        try:
            result = self.f(*self.args, **self.case.options)
        except FAULTS as error:
            return self._problem("raises", "y", f"the forward raised {told(error)}; {self._called()}")
        if not isinstance(result, tuple) or len(result) != 2:
            came = f"{len(result)} values" if isinstance(result, tuple) else f"one {type(result).__name__}"
            return self._problem("not_returned", "y", f"the forward must `return y, cache`; it returned {came}")
        y, self.cache = result
        try:
            self.y = np.array(y, float)
        except (TypeError, ValueError):
            return self._problem("not_returned", "y", f"y must be an array of numbers; got {type(y).__name__}")
        self._written("forward", self.args)
        if not self.problems and not np.array_equal(self.run(self.case.copies()), self.y, equal_nan=True):
            return self._problem("stale_state", "y", "the same arrays gave other numbers the second time")
        if not np.isfinite(self.y).all() and all(np.isfinite(a).all() for a in self.args if is_float(a)):
            return self._problem("not_finite", "y", f"y has {(~np.isfinite(self.y)).sum()} entries that are not finite")
        return True

    def _backward(self):
        dy = _upstream(self.dy)
        try:
            returned = self.f_backward(dy, self.cache)
        except FAULTS as error:
            self._problem("raises", self._all(), f"the backward raised {told(error)}; {self._called()}")
            return
        gradients, names = _listed(returned), list(self.case.arrays)
        if any(gradient is not None for gradient in gradients[len(names) :]):
            text = f"{len(gradients)} gradients came for {len(names)} arrays ({', '.join(names)})"
            self._problem("not_returned", self._all(), text)
        gradients += [None] * (len(names) - len(gradients))
        self.gradients = {n: keep(g) for n, g in zip(names, gradients, strict=False)}
        if isinstance(dy, np.ndarray) and not np.array_equal(dy, self.dy):
            changed = int((dy != self.dy).sum())
            self._problem("writes_upstream", "dy", f"{changed} of {dy.size} entries of dy were changed by the backward")
        self._written("backward", self.args)
        for name in names:
            if name not in self.case.differentiable() and self.gradients[name] is not None:
                array = self.case.arrays[name]
                kind = "None here" if array is None else "a constant" if is_float(array) else "no array of floats"
                text = f"{name} was {kind}, so d{name} must be None, or left out; something else came"
                self._problem("not_returned", f"d{name}", text, 0.8, advice=f"return None where {name} has no gradient")
        if not self.problems:
            self._repeat(returned)

    def _repeat(self, returned):
        """The same again, after a call for other numbers: nothing may be left over from one call to the next."""
        try:
            other = [a[..., ::-1] * 0.75 if is_float(a) else a for a in self.case.copies()]
            self.f(*other, **self.case.options)
            between = [keep(g) for g in _listed(returned)]
            again = [keep(g) for g in _listed(self.f_backward(_upstream(self.dy), self.cache))]
            held = [keep(g) for g in _listed(returned)]
        except FAULTS as error:
            self._problem("stale_state", self._all(), f"a second backward raised {told(error)}")
            return
        first = [self.gradients[name] for name in self.case.arrays]
        for name, *gradients in zip(self.case.arrays, first, again, held, between, strict=False):
            one, two, now, before = gradients
            if not same(one, two):
                double = one is not None and same(np.asarray(two), 2 * np.asarray(one), 1e-9)
                how = "twice the first: a sum that was not set back to zero" if double else "other numbers"
                self._problem("stale_state", f"d{name}", f"a second backward with the same cache gave {how}")
            elif not same(one, now) or not same(one, before):
                text = "the array that was returned first was changed by the second call"
                self._problem("stale_state", f"d{name}", text)

    def _called(self):
        """The arguments of the forward, in words."""
        words = [f"{n} {'None' if a is None else 'x'.join(map(str, np.shape(a)))}" for n, a in self.case.arrays.items()]
        words += [f"{n}={v if np.ndim(v) < 1 or isinstance(v, tuple) else '...'}" for n, v in self.case.options.items()]
        return f"called with {', '.join(words)}"

    def _written(self, who, args):
        for name, old, new in zip(self.case.arrays, self.case.arrays.values(), args, strict=True):
            if isinstance(old, np.ndarray) and not np.array_equal(old, new, equal_nan=old.dtype.kind == "f"):
                text = f"{int((old != new).sum())} of {old.size} entries of {name} were changed by the {who}"
                self._problem("writes_input", name, text)

    def _all(self):
        return ", ".join(f"d{name}" for name in self.case.differentiable())


@dataclass
class Evidence:
    """One wrong gradient, and all that is known about it."""

    trial: Trial
    name: str
    analytic: np.ndarray
    slopes: slopes.Slopes
    wrong: np.ndarray  # bool, of the shape of the argument

    @property
    def case(self) -> Case:
        return self.trial.case

    @property
    def dy(self):
        return self.trial.dy

    @property
    def numeric(self):
        return self.slopes.gradient

    @property
    def jacobian(self):
        """How every y depends on every x, (*y.shape, *x.shape)."""
        return self.slopes.jacobian

    @cached_property
    def impulses(self):
        """The Jacobian that this backward has: its answer to a 1 in one place of dy, for each place; or None."""
        fits = self.jacobian is not None and self.dy.size <= 600 and self.analytic.shape == self.numeric.shape
        if not fits or not self.close(self.answer(-self.dy), -self.analytic):
            return None
        rows = np.empty((self.dy.size, *self.numeric.shape))
        try:
            for k, row in enumerate(rows):
                dy = np.zeros(self.dy.size)
                dy[k] = 1
                row[...] = self.trial.gradients_of(dy.reshape(self.dy.shape))[self.name]
        except FAULTS:
            return None
        return rows.reshape(self.jacobian.shape)

    def answer(self, dy):
        """The gradient that came back for another dy; None where the backward fails."""
        try:
            gradient = self.trial.gradients_of(dy)[self.name]
            return None if gradient is None or gradient.dtype == object else gradient.astype(float)
        except FAULTS:
            return None

    def fits_with(self, name, value):
        """Whether this is the right gradient at other arguments: what comes out if `name` is mistaken for `value`."""
        arrays = dict(self.case.arrays) | {name: value}

        def run(x):
            return self.trial.run((arrays | {self.name: x}).values())

        try:
            return slopes.agree(run, self.case.arrays[self.name], self.dy, self.analytic, self._allowed(self.analytic))
        except UnsteadyError:
            return False

    def from_part(self, where):
        """What the right gradient would be if dy were zero elsewhere; `where` is bool, of the shape of dy."""
        return None if self.jacobian is None else np.tensordot(self.dy * where, self.jacobian, self.dy.ndim)

    def close(self, values, to=None):
        """Whether these values are, all of them, what came back (NaN: nothing is said of that entry)."""
        to = self.analytic if to is None else to
        if values is None or np.shape(values) != np.shape(to) or not np.size(values) or to.dtype.kind != "f":
            return False
        known = ~np.isnan(values)
        return bool(np.all(np.abs(values - to)[known] <= max(self._allowed(to), self._allowed(values[known]))))

    def _allowed(self, values):
        """How far two gradients of this size may be from each other and still be the same."""
        return 1e-5 * np.abs(values).max(initial=0) + 4 * self.slopes.tolerance.max(initial=0)


def quiet():
    """Neither NumPy's warnings nor Python's."""
    return warnings.catch_warnings(action="ignore")


def told(error):
    """An exception in one line, with the line of code that raised it; one from another process tells that itself."""
    if hasattr(error, "told"):
        return error.told
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    line = f", at `{last.line}` (line {last.lineno})" if last and last.line else ""
    return f"{type(error).__name__}: {plain(str(error))[:160]}{line}"


def plain(text):
    """What an error says, without the words that only NumPy's authors know."""
    text = " ".join(text.split())
    match = re.match(r"(\w+): .*core dimension.*size (\d+) is different from (\d+)", text)
    return f"{match[1]}: the inner sizes, {match[3]} and {match[2]}, must be the same" if match else text


def keep(gradient):
    """A copy, or None; what is no array of real numbers becomes one of objects."""
    try:
        array = gradient if gradient is None else np.array(gradient)
    except ValueError:
        return np.array(None, object)
    return array if array is None or array.dtype.kind in "fiub" else np.array(None, object)


def same(one, two, tolerance=0.0):
    """Whether two gradients are equal, or both None."""
    if one is None or two is None:
        return one is two
    one, two = np.asarray(one), np.asarray(two)
    if one.shape != two.shape or one.dtype == object or two.dtype == object:
        return one.dtype == two.dtype == object
    size = np.abs(one[np.isfinite(one)]).max(initial=0)
    return bool(np.allclose(one, two, rtol=0, atol=tolerance * size, equal_nan=True))


def _upstream(dy):
    """A copy; a number where the output is one."""
    return dy.copy() if dy.ndim else float(dy)


def _listed(returned):
    return list(returned) if isinstance(returned, tuple | list) else [returned]
