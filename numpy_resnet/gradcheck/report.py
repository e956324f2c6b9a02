"""The verdict on a gradient, as data and as a table."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ArgumentReport:
    """One argument's gradient beside the finite difference, at the entry where they differ most."""

    name: str
    ok: bool
    max_relative_error: float
    worst_index: tuple | None = None  # None for a directional derivative
    analytic: float = np.nan  # what backward returned there
    numeric: float = np.nan  # what the finite difference says there
    problem: str = ""  # why there is nothing to compare, such as a wrong shape


@dataclass(frozen=True)
class GradientReport:
    """One row for each argument; `ok` if all of them are."""

    title: str
    arguments: tuple
    tolerance: float

    @property
    def ok(self):
        return all(argument.ok for argument in self.arguments)

    @property
    def max_relative_error(self):
        return max((argument.max_relative_error for argument in self.arguments), default=0.0)

    def __bool__(self):
        return self.ok

    def __str__(self):
        verdict = "right" if self.ok else "WRONG"
        width = max([len("gradient"), *(len(argument.name) + 1 for argument in self.arguments)])
        lines = [f"{self.title}: {verdict}, tolerance {self.tolerance:g}"]
        lines += [f"  {'gradient':<{width}}  verdict  max error  {'at':<16}  {'backward':>12}  {'finite diff.':>12}"]
        lines += [f"  {_row(argument, width)}" for argument in self.arguments]
        return "\n".join(lines)


def _row(argument, width):
    start = f"{'d' + argument.name:<{width}}  {'right' if argument.ok else 'WRONG':<7}"
    if argument.problem:
        return f"{start}  {argument.problem}"
    at = "a random direction" if argument.worst_index is None else str(argument.worst_index).replace(" ", "")
    values = f"{argument.analytic:>12.5g}  {argument.numeric:>12.5g}"
    return f"{start}  {argument.max_relative_error:>9.1e}  {at:<16}  {values}"


def relative_error(analytic, numeric, floor=0.0):
    """|analytic - numeric| relative to the larger of both, or to `floor`, or to 1 % of the largest entry.

    So one entry that is off is seen whatever its size, but not the rounding of one that should be zero.
    NaN and infinity in either are an infinite error.
    """
    analytic, numeric = np.asarray(analytic), np.asarray(numeric)
    size = np.maximum(np.abs(analytic), np.abs(numeric))
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.abs(analytic - numeric) / np.maximum(size, max(floor, 0.01 * size.max(initial=0)))
    error = np.where(analytic == numeric, 0.0, error)
    return np.where(np.isfinite(analytic) & np.isfinite(numeric), error, np.inf)


def rounding(dy, y, h):
    """What rounding may add to sum(dy * (y(x + h) - y(x - h))) / 2h."""
    return 10 * np.finfo(np.float64).eps * np.sum(np.abs(dy * y)) / (2 * h)
