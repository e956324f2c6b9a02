"""What the doctor found, in the words of a course: without its codes, and without a formula that a hint would give."""

import textwrap
from dataclasses import replace

from numpy_resnet.gradcheck.findings import likelihood

WIDTH = 80
NORMS = {"batchnorm2d", "batchnorm2d_inference", "identity_block", "convolution_block"}
SOFTMAXES = {"softmax", "log_softmax", "cross_entropy"}
BELONGS = {  # causes that only some ops can have
    "mean_path": NORMS,
    "variance_path": NORMS,
    "mean_and_variance_path": NORMS,
    "wrong_statistics": NORMS,
    "train_formula_in_eval": NORMS,
    "sum_path": SOFTMAXES,
    "not_normalised": SOFTMAXES,
}
THROUGH_STATISTICS = (
    "follow x to y on that path too: what comes back to a statistic goes on to all pixels of the channel"
)
KINDER = {  # instead of an advice that is the answer
    "mean_path": THROUGH_STATISTICS,
    "variance_path": THROUGH_STATISTICS,
    "mean_and_variance_path": THROUGH_STATISTICS,
    "sum_path": "every x reaches every y of its row through the sum: what does that way send back?",
    "train_formula_in_eval": "which of the three paths are left if the statistics do not depend on x?",
}
ROWS = "take the largest of each row off before exp, of each row by itself; and no logarithm of what may be 0"


def tell(found, op):
    """A Diagnosis of this op for a student, as text."""
    out, told = [], {}
    for finding in _relevant(found.findings, op):
        told.setdefault(finding.argument, []).append(finding)
    for first, *others in list(told.values())[:3]:
        where = f": {first.location}" if first.location else ""
        verb = "are" if "," in first.argument else "is"
        out += _wrapped(f"{first.argument} {verb} wrong{where}.")
        out += _wrapped(f"{likelihood(first.confidence).capitalize()}: {first.explanation}; {first.evidence}.", "  ")
        out += _wrapped(f"Look here: {first.advice}.", "  ")
        out += [line for other in others[:1] for line in _wrapped(f"Or: {other.explanation}; {other.evidence}.", "  ")]
        out += [""]
    if found.exhibit:
        out += found.exhibit.lines()
    return "\n".join(out).strip("\n")


def _relevant(findings, op):
    """Those that this op can have, and no guesses beside what is nearly certain; with advice that leaves work to do."""
    possible = [f for f in findings if op in BELONGS.get(f.cause, {op})] or list(findings)
    sure = {f.argument for f in possible if f.confidence >= 0.85}
    for finding in possible:
        if finding.argument in sure and finding.confidence < 0.6:
            continue
        advice = KINDER.get(finding.cause, finding.advice)
        if finding.cause == "not_finite" and op in SOFTMAXES:
            advice = ROWS
        yield replace(finding, advice=advice)


def _wrapped(text, indent=""):
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
