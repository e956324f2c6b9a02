"""The doctor: is this backward right, and if not, where is it wrong, and why?"""

from functools import partial

import numpy as np

from numpy_resnet.gradcheck import causes, locate, slopes
from numpy_resnet.gradcheck.awkward import Case
from numpy_resnet.gradcheck.diagnosis import Diagnosis, Exhibit, Maps
from numpy_resnet.gradcheck.findings import Finding
from numpy_resnet.gradcheck.finite_differences import _argument_names, _name
from numpy_resnet.gradcheck.invariants import (
    conventions,
    forward_against_definition,
    linearity,
    second_call,
    wrong_forward,
)
from numpy_resnet.gradcheck.shrink import smallest
from numpy_resnet.gradcheck.specs import SPECS
from numpy_resnet.gradcheck.trial import Evidence, Trial, UnsteadyError, quiet


def diagnose(f, f_backward, *arrays, seed=0, complex_step=False):
    """Is f_backward the derivative of f at these arrays? A Diagnosis: print it.

    The call is that of check_gradients: f(*arrays) -> y, cache and f_backward(dy, cache) -> one gradient for each
    array, whatever the cache is; options and constants are bound with functools.partial, every float array must get
    its gradient, and all runs in float64. There is no tolerance to set: the slopes say how far they can be trusted.
    complex_step: f computes in complex128 too, so that the slopes are exact to 1e-15.

    Nothing that f or f_backward does raises; it becomes a finding. Raises ValueError where no array is of floats.
    """
    names = _argument_names(f, len(arrays))
    values = [np.array(a, float) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in arrays]
    axes = {n: " ".join(map(str, a.shape)) for n, a in zip(names, values, strict=True) if isinstance(a, np.ndarray)}
    case = Case("your arrays", dict(zip(names, values, strict=True)), axes=axes)  # axes of one length go together
    if not case.differentiable():
        raise ValueError(f"there must be a float array to diagnose a gradient of; got {[type(a) for a in arrays]}")
    return _diagnose(_name(f), f, f_backward, [case], seed, complex_step)


def diagnose_op(name, f, f_backward, *, seed=0, more=()):
    """The same for an op of this library, with inputs that the doctor brings along. A Diagnosis: print it.

    name: conv2d, linear, relu, maxpool2d, batchnorm2d, ...: f has the arguments and options of that op, f_backward
    returns its gradients; without one (None) the forward alone is examined. Beside the derivative in awkward cases
    (overlap, padding, a stride with remainder, one sample, tiny variance, large logits) it checks the forward against
    its definition, and that nothing is written to. more: further Cases of yours.
    Raises ValueError for a name without a definition.
    """
    return _diagnose(name, f, f_backward, [*awkward_cases(name, seed), *more], seed, spec=SPECS[name])


def awkward_cases(name, seed=0):
    """The Cases that diagnose_op brings along, the easiest first.   Raises ValueError as it does"""
    if name not in SPECS:
        raise ValueError(f"no op is called {name!r}; there are {', '.join(SPECS)}")
    return SPECS[name].cases(np.random.default_rng([seed, *name.encode()]))


def _diagnose(*arguments, **options):
    """With neither NumPy's warnings nor Python's: what is not finite becomes a finding."""
    with quiet():
        return _examine(*arguments, **options)


def _examine(title, f, f_backward, cases, seed, complex_step=False, spec=None):
    trials, evidence, problems, failures, kinks, noisy, judged = [], [], [], [], 0, False, 0

    def note(label, findings):
        problems.extend(findings)
        failures.extend((label, finding.cause) for finding in findings)

    for case in cases:
        trial = Trial(case, f, f_backward, seed)
        trials.append(trial)
        note(case.label, trial.problems)
        if trial.y is not None and spec:
            note(case.label, forward_against_definition(trial, spec))
        if trial.gradients:
            try:
                wrong, kinky, blurred = _judge(trial, spec, complex_step)
            except UnsteadyError as error:
                note(case.label, [error.finding])
                continue
            evidence += wrong
            failures += [(case.label, "gradient")] if wrong else []
            kinks, noisy, judged = kinks + kinky, noisy or blurred, judged + 1
    for trial in trials:
        if trial.gradients and not evidence and not problems:
            note(trial.case.label, linearity(trial) or ([] if kinks or noisy else second_call(trial)))
    if f_backward and spec and spec.ties and not evidence and not problems:
        rng = np.random.default_rng([seed, 7])
        note("ties", conventions(f, f_backward, spec, rng))
    explained = _explain(evidence)
    findings = _sorted([*_merged(problems), *explained])
    verdict = "WRONG" if findings else "NOISY" if noisy else "KINK" if kinks else "PASS"
    shown = maps = None
    if evidence:
        told = max(explained, key=lambda finding: finding.confidence)
        shown = _exhibit(told, evidence, partial(_still_wrong, f, f_backward, seed, spec))
        maps = Maps.of(max(_about(told, evidence), key=lambda e: e.numeric.size))
    elif spec and any(problem.cause == "forward_wrong" for problem in problems):
        shown = _exhibit_forward(f, spec, cases)
    return Diagnosis(title, verdict, tuple(findings), shown, maps, len(cases), judged, kinks, tuple(failures))


def _judge(trial, spec, complex_step=False, names=None):
    """(evidence of what is wrong, how many entries lie at a kink, whether f is too noisy to tell)"""
    wrong, kinks, noisy, case = [], 0, False, trial.case
    rows = []
    for name in names or case.differentiable():
        x, analytic = case.arrays[name], np.asarray(trial.gradients[name])

        def run_all(xs, name=name):
            return trial.run_all({**case.arrays, name: x}.values() for x in xs)

        numbers = np.array(analytic, float) if analytic.dtype.kind in "fiub" else analytic
        found = _slopes(trial, case, name, x, numbers, run_all, complex_step)
        noisy = noisy or found[1]
        trial.numeric[name] = found[0].gradient
        rows.append((name, numbers, *found))
    for name, analytic, measured, blurred in rows:
        fits = analytic.dtype.kind == "f" and analytic.shape == measured.gradient.shape
        mask = measured.wrong(analytic) if fits else np.ones(measured.gradient.shape, bool)
        if blurred and fits:
            size = np.abs(measured.gradient).max(initial=0)
            mask &= ~(np.abs(analytic - measured.gradient) < 0.05 * size)
        kinks += int((measured.kink & ~mask).sum())
        if mask.any() or not fits:
            wrong.append(Evidence(trial, name, analytic, measured, mask))
    if wrong and spec and _has_the_right_shape(trial, spec):
        trial.paths = spec.paths(trial.dy, case) if spec.paths else {}
        trial.suspects = list(spec.suspects(trial.dy, case)) if spec.suspects else ()
    return wrong, kinks, noisy


def _has_the_right_shape(trial, spec):
    """Whether y is as large as the op's definition makes it; not, if the op refuses such a case."""
    try:
        return np.shape(spec.definition(*trial.case.copies(), **trial.case.options)) == trial.y.shape
    except (ValueError, IndexError):
        return False


def _slopes(trial, case, name, x, analytic, run_all, complex_step):
    """(Slopes, whether they are too noisy)"""

    def run(x):
        return next(iter(run_all([x])))

    guess = analytic if analytic.dtype.kind == "f" else np.nan
    if complex_step:

        def direct(z):
            arrays = {n: a.astype(complex) if n in case.differentiable() else a for n, a in case.arrays.items()}
            return trial.f(*(arrays | {name: z}).values(), **case.options)[0]

        return slopes.complex_slopes(direct, x, trial.dy), False
    level = slopes.noise(run, x)
    blurred = level > slopes.NOISE
    return slopes.measure(run, x, trial.dy, guess, noisy=level if blurred else 0.0, run_all=run_all), blurred


def _exhibit(finding, evidence, still_wrong):
    """The smallest case where this finding is true; where it has no cause, where its argument is wrong."""
    group = _about(finding, evidence)
    shows = [e for e in group if _has_cause(e, finding.cause)]
    first = min(shows or group, key=lambda e: e.numeric.size + e.dy.size)
    cause = finding.cause if shows else None
    return Exhibit.of(smallest(first, partial(still_wrong, first.name, cause)))


def _exhibit_forward(f, spec, cases):
    """The smallest case in which y is wrong."""
    wrong = [w for case in cases if (w := wrong_forward(f, spec, case))]
    if not wrong:
        return None
    first = min(wrong, key=lambda w: w.numeric.size + sum(np.size(a) for a in w.case.arrays.values()))
    return Exhibit.of(smallest(first, lambda case, dy: wrong_forward(f, spec, case)))


def _about(finding, evidence):
    """The evidence of the first argument that a finding names."""
    name = finding.argument.split(", ")[0][1:]
    return [e for e in evidence if e.name == name] or evidence


def _has_cause(e, cause):
    return cause in (None, "unknown") or any(code == cause for code, _, _ in causes.find(e))


def _still_wrong(f, f_backward, seed, spec, name, cause, case, dy=None):
    """The Evidence that the gradient of `name` is wrong in this case too, for that cause; else None."""
    trial = Trial(case, f, f_backward, seed, dy)
    if not trial.gradients or any(p.cause == "raises" for p in trial.problems):
        return None
    if spec and not _has_the_right_shape(trial, spec):
        return None
    try:
        wrong, _, _ = _judge(trial, spec, names=[name])
    except UnsteadyError:
        return None
    return next((e for e in wrong if e.name == name and _has_cause(e, cause)), None)


def _explain(evidence):
    """Findings: for each argument the causes that explain it, in as many cases as possible."""
    by_argument = {}
    for e in evidence:
        by_argument.setdefault(e.name, []).append(e)
    found = []
    for name, group in by_argument.items():
        matches = [causes.find(e) for e in group]
        votes = {}
        for case_matches in matches:
            for code in dict.fromkeys(code for code, _, _ in case_matches):
                trust, match = next((t, m) for c, t, m in case_matches if c == code)
                votes.setdefault(code, []).append((trust, match))
        place = locate.describe(max(group, key=lambda e: e.numeric.size))
        for code, support in votes.items():
            share = len(support) / len(group)
            trust = np.mean([t for t, _ in support])
            text = _common(support)
            where = f" ({len(support)} of {len(group)} cases)" if share < 1 else ""
            found.append(Finding(f"d{name}", code, text + where, round(float(trust * share), 3), place))
        if not any(len(s) == len(group) for s in votes.values()):
            worst = max(group, key=lambda e: e.numeric.size)
            text = "no single mistake explains all cases" if votes else "no mistake that is known here fits the numbers"
            found.append(Finding(f"d{name}", "unknown", f"{text}; {locate.error(worst)}", 0.3, place))
    return _joined(found)


def _common(support):
    """The evidence in words, with the name that its number has in all cases."""
    first = support[0][1]
    names = [n for n in first.names if all(n in m.names for _, m in support)]
    text = first.evidence
    if "{}" in text:
        seen = ", ".join(dict.fromkeys(m.names[-1] for _, m in support))
        text = text.replace("{}", names[0] if names else seen)
    return text


def _joined(findings):
    """One finding where several arguments have the same cause for the same reason."""
    joined = {}
    for finding in findings:
        key = finding.cause, finding.evidence
        other = joined.get(key)
        if other:
            names, best = f"{other.argument}, {finding.argument}", max(other.confidence, finding.confidence)
            finding = Finding(names, finding.cause, finding.evidence, best, other.location)
        joined[key] = finding
    return list(joined.values())


def _merged(problems):
    """The problems of all cases, each told once."""
    seen = {}
    for problem in problems:
        seen.setdefault((problem.argument, problem.cause), []).append(problem)
    return [found[0] for found in seen.values()]


FIRST = ("raises", "not_finite", "writes_input", "writes_upstream", "stale_state")  # they make the rest doubtful


def _sorted(findings):
    """Best first; what would spoil every comparison before all."""
    return sorted(findings, key=lambda f: (f.cause not in FIRST, -f.confidence))
