"""What comes out of an examination: a verdict, the findings, and the smallest case that fails."""

import json
import textwrap
from dataclasses import dataclass

import numpy as np

from numpy_resnet.gradcheck import locate
from numpy_resnet.gradcheck.findings import likelihood

WIDTH = 80
MEANING = {
    "PASS": "every gradient agrees with the differences, and all else holds.",
    "KINK": "every gradient agrees where there is a slope; entries at a kink have none and do not count.",
    "NOISY": "the forward is too noisy to judge by: compute in float64 throughout, and keep randomness out of it.",
    "WRONG": "",
}


@dataclass(frozen=True)
class Exhibit:
    """The smallest failing case, whole."""

    label: str
    arrays: dict
    options: dict
    dy: np.ndarray | None  # None where it is the forward that is wrong
    argument: str
    analytic: np.ndarray
    numeric: np.ndarray

    @classmethod
    def of(cls, e):
        case = e.case
        return cls(case.label, case.arrays, case.options, e.dy, e.name, e.analytic, e.numeric)

    @property
    def name(self):
        """What is wrong: dx, or y."""
        return self.argument if self.dy is None else f"d{self.argument}"

    def lines(self):
        shapes = ", ".join(f"{n} {'x'.join(map(str, np.shape(a)))}" for n, a in self.arrays.items() if a is not None)
        options = "".join(f", {n}={_short(v)}" for n, v in self.options.items())
        out = _wrapped(f"Smallest failing case: {shapes}{options}", "")
        for name, array in [*self.arrays.items(), ("dy", self.dy)]:
            if array is not None:
                out += _labelled(name, _numbers(array) if np.size(array) <= 144 else [f"{np.size(array)} numbers"])
        if self.analytic.dtype == object or max(self.analytic.size, self.numeric.size) > 144:
            return out
        out += _labelled(f"{self.name}, yours", _numbers(self.analytic))
        out += _labelled(f"{self.name}, right", _numbers(self.numeric))
        return out


@dataclass(frozen=True)
class Maps:
    """One wrong gradient as maps, (H, W) each: of the sample and channel that differ most."""

    title: str
    analytic: np.ndarray
    numeric: np.ndarray
    impulses: tuple | None  # what a 1 in the middle of dy sends back, and what it should: the receptive field

    @classmethod
    def of(cls, e):
        """None where there is nothing to show."""
        if e.analytic.dtype.kind != "f" or e.analytic.shape != e.numeric.shape or e.numeric.ndim == 0:
            return None
        size = e.numeric.shape[-2:] if e.numeric.ndim > 1 else (1, e.numeric.size)
        a, n = e.analytic.reshape(-1, *size), e.numeric.reshape(-1, *size)
        worst = int(np.nan_to_num(np.abs(a - n), nan=np.inf).max(axis=(1, 2)).argmax())
        return cls(f"d{e.name}, {e.case.label}", a[worst], n[worst], _impulses(e))


def _impulses(e):
    """The maps of the one output in the middle: what this backward sends back from there, and what is right."""
    if e.numeric.ndim != 4 or e.dy.ndim != 4 or e.impulses is None:
        return None
    at = (0, 0, e.dy.shape[2] // 2, e.dy.shape[3] // 2)
    return e.impulses[at][0, 0], e.jacobian[at][0, 0]


@dataclass(frozen=True)
class Diagnosis:
    """Print it. `ok` where nothing is wrong; `findings`, best first."""

    title: str
    verdict: str  # PASS, WRONG, KINK or NOISY
    findings: tuple
    exhibit: Exhibit | None = None
    maps: Maps | None = None
    cases: int = 1
    judged: int = 1
    kinks: int = 0
    failures: tuple = ()  # (label of a case, cause of what fails there, or "gradient" for wrong numbers)

    @property
    def ok(self):
        return self.verdict in ("PASS", "KINK")

    def __bool__(self):
        return self.ok

    def __str__(self):
        """For a terminal of 80 columns."""
        out = [f"{self.title}: {self.verdict}"]
        if MEANING[self.verdict]:
            out += _wrapped(MEANING[self.verdict], "  ")
        if self.kinks:
            out += _wrapped(f"{self.kinks} entries lie at a kink, such as the zero of ReLU, and were left out.", "  ")
        groups = {}
        for finding in self.findings:
            groups.setdefault(finding.argument, []).append(finding)
        for i, group in enumerate(list(groups.values())[:4], 1):
            out += ["", *_told(i, *group)]
        if len(groups) > 4:
            out += ["", f"... and {len(groups) - 4} more, in .findings"]
        if self.exhibit:
            out += ["", *self.exhibit.lines()]
        if self.maps and self.maps.numeric.size > 3:
            out += self._heat()
        return "\n".join(out)

    def _heat(self):
        """Yours, right and the difference, in characters."""
        a, n = self.maps.analytic, self.maps.numeric
        if 6 * a.shape[1] + 8 > WIDTH:
            return []
        scale = np.abs(n).max() or 1.0
        maps = [locate.heat(m, scale) for m in (a, n, a - n)]
        wide = max(10, 2 * a.shape[1])
        head = "".join(f"{text:<{wide + 4}}" for text in ("yours", "right", "yours - right"))
        body = [
            " " * 2 + "".join(f"{line:<{wide + 4}}" for line in lines).rstrip() for lines in zip(*maps, strict=True)
        ]
        title = _wrapped(f"{self.maps.title}: 9 is {scale:.3g}, . is nothing", "")
        return ["", *title, f"  {head.rstrip()}", *body]

    def figure(self):
        """The same maps as a picture, and the receptive field of one output -> Figure; None where nothing is wrong."""
        if self.maps is None:
            return None
        from numpy_resnet import plots  # only here: Matplotlib takes a while

        return plots.gradient_maps(self.maps.analytic, self.maps.numeric, self.maps.impulses, title=self._headline())

    def _headline(self):
        first = self.findings[0]
        return f"{self.title}: {first.argument} is wrong, {first.cause}"

    def as_dict(self):
        """For JSON: plain numbers and lists."""
        case = self.exhibit and {
            "arrays": {n: None if a is None else np.asarray(a).tolist() for n, a in self.exhibit.arrays.items()},
            "options": {n: np.asarray(v).tolist() for n, v in self.exhibit.options.items()},
            "dy": None if self.exhibit.dy is None else self.exhibit.dy.tolist(),
            "argument": self.exhibit.argument,
            "analytic": self.exhibit.analytic.tolist() if self.exhibit.analytic.dtype != object else None,
            "numeric": self.exhibit.numeric.tolist(),
        }
        findings = [finding.as_dict() for finding in self.findings]
        counts = {"cases": self.cases, "judged": self.judged, "kinks": self.kinks}
        return {
            "title": self.title,
            "verdict": self.verdict,
            "ok": self.ok,
            "findings": findings,
            **counts,
            "case": case,
        }

    def to_json(self, **options):
        return json.dumps(_finite(self.as_dict()), **options)


def _told(i, finding, *others):
    told = finding.as_dict()
    where = f" Where: {finding.location}." if finding.location else ""
    verb = "are" if "," in finding.argument else "is"
    also = "; ".join(f"{o.cause} ({o.evidence})" for o in others[:2] if o.confidence >= 0.4)
    return [
        *_wrapped(f"{i}. {finding.argument} {verb} wrong.{where}", "   ", first=""),
        *_wrapped(f"Cause ({likelihood(finding.confidence)}): {finding.cause}: {told['explanation']}.", "   "),
        *_wrapped(f"Evidence: {finding.evidence}.", "   "),
        *_wrapped(f"Do: {told['advice']}.", "   "),
        *(_wrapped(f"Or: {also}.", "   ") if also else []),
    ]


def _wrapped(text, indent, first=None):
    first = indent if first is None else first
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)


def _labelled(label, lines):
    return [f"  {label if i == 0 else '':<16} {line}" for i, line in enumerate(lines)]


def _numbers(array):
    array = np.asarray(array)
    if array.ndim == 4 and array.shape[:2] == (1, 1):
        array = array[0, 0]
    text = np.array2string(array, precision=4, suppress_small=True, max_line_width=60, separator=" ")
    return [line for line in text.splitlines() if line.strip()]


def _short(value):
    return np.array2string(value, precision=3) if isinstance(value, np.ndarray) else value


def _finite(value):
    """JSON has neither NaN nor infinity: they become text."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value
