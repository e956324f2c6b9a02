"""The judge of an op, or of a pair of blocks: the doctor, in awkward and in fresh cases."""

from dataclasses import dataclass

import numpy as np

from numpy_resnet import gradcheck
from numpy_resnet.exercises.fresh import fresh_cases
from numpy_resnet.exercises.judges.check import (
    AWKWARD,
    INVARIANTS,
    PARTS,
    SHAPE,
    VALUES,
    Check,
    NotReadyError,
    first_call,
    misshapen,
    missing,
    narrow,
    parts,
)
from numpy_resnet.exercises.tell import tell

UNASKED = {"writes_input", "writes_upstream", "stale_state", "not_linear"}  # what no slope shows: the invariants
WITH_FORWARD_ALONE = 0.4
BARE = ("im2col", "col2im")  # these return an array, and each is the other's backward


@dataclass(frozen=True)
class Op:
    """A forward and its backward, under these names in the student's module; the forward alone without a backward."""

    op: str
    f: str = ""
    f_backward: str | None = ""
    cache: str = ""  # the name of the cache's type, where a later exercise builds on it
    parts = PARTS

    @property
    def subject(self):
        name, backward = self.names
        return name if backward is None or self.f_backward == "" else backward

    @property
    def easiest(self):
        """The number of the first case whose sizes all differ."""
        return 1 if self.op == "linear" else 0

    @property
    def names(self):
        backward = gradcheck.backward_name(self.op) if self.f_backward == "" else self.f_backward
        return self.f or self.op, backward

    def ask(self, student, seed):
        (name, backward), subject = self.names, self.subject
        try:
            missing(student, name)
            f, f_backward = self._functions(student)
            self._check_shapes(name, f, None, seed)
        except NotReadyError as error:
            yield from parts(subject, error.text, error.unfinished)
            return
        try:
            if backward:
                missing(student, backward)
            self._check_shapes(backward, f, f_backward, seed)
        except NotReadyError as error:
            yield from self._forward_alone(subject, f, error, seed)
            return
        yield Check(subject, SHAPE, 1, PARTS[SHAPE])
        found = self._diagnose(f, f_backward, seed)
        least = 0.0
        if backward and not found.ok and self._diagnose(f, None, seed).ok:
            least = WITH_FORWARD_ALONE  # who has tried a backward gets no less than who has none
        for check in self._verdict(subject, found, _other_dtype(self.op, f, f_backward, seed)):
            yield check._replace(share=max(check.share, least))

    def _functions(self, student):
        name, backward = self.names
        if self.op in BARE and backward is None:
            bare = student.function(name)
            return lambda *args, **options: (bare(*args, **options), None), None
        f = student.function(name, opaque=True)
        return f, None if backward is None else student.function(backward)

    def _diagnose(self, f, f_backward, seed):
        return gradcheck.diagnose_op(self.op, f, f_backward, seed=seed, more=fresh_cases(self.op, seed))

    def _check_shapes(self, name, f, f_backward, seed):
        """The easiest case.   Raises NotReadyError for what is not there, or of another shape"""
        case = gradcheck.awkward_cases(self.op, seed)[self.easiest]
        result = first_call(name or self.names[0], lambda: f(*case.copies(), **case.options))
        if not isinstance(result, tuple) or len(result) != 2:
            came = f"{len(result)} values" if isinstance(result, tuple) else f"one {type(result).__name__}"
            raise NotReadyError(f"{self.names[0]} must `return y, cache`; it returned {came}")
        y, cache = result
        right = np.asarray(gradcheck.SPECS[self.op].definition(*case.copies(), **case.options))
        if wrong := misshapen("y", y, right):
            raise NotReadyError(f"{self.names[0]}: {wrong}")
        if self.cache and type(cache).__name__ != self.cache:
            raise NotReadyError(
                f"{self.names[0]} must return y, {self.cache}(...): a later exercise takes that cache; "
                f"it returned a {type(cache).__name__}"
            )
        if f_backward is None:
            return
        rng = np.random.default_rng(seed)
        dy = rng.standard_normal(right.shape) if right.ndim else 0.7
        gradients = first_call(name, lambda: f_backward(dy, cache))
        gradients = gradients if isinstance(gradients, tuple | list) else (gradients,)
        wanted = case.differentiable()
        if len(gradients) < len(wanted):
            listed = ", ".join(f"d{n}" for n in wanted)
            raise NotReadyError(f"{name} must return {listed}, in this order; it returned {len(gradients)} values")
        for argument, gradient in zip(case.arrays, gradients, strict=False):
            if argument in wanted and (wrong := misshapen(f"d{argument}", gradient, case.arrays[argument])):
                raise NotReadyError(f"{name}: {wrong}")

    def _forward_alone(self, subject, f, error, seed):
        """The backward is not there, or it fails at once: what the forward is worth."""
        found = self._diagnose(f, None, seed)
        if not found.ok:
            yield from parts(subject, tell(found, self.op))
            return
        text = f"{error.text}\n  {self.names[0]} is right, which earns {WITH_FORWARD_ALONE:.0%}."
        yield from parts(subject, text, error.unfinished, WITH_FORWARD_ALONE)

    def _verdict(self, subject, found, dtype):
        """The other three parts, from what the doctor found."""
        easy = gradcheck.awkward_cases(self.op)[self.easiest].label
        wrong = {label for label, cause in found.failures if cause not in UNASKED}
        broken = {cause for _, cause in found.failures} & UNASKED
        told = "" if found.ok and not wrong else tell(found, self.op)
        yield Check(subject, VALUES, float(easy not in wrong), PARTS[VALUES], told if easy in wrong else "")
        telling = told if wrong and easy not in wrong else ""
        yield Check(subject, AWKWARD, float(not wrong), PARTS[AWKWARD], telling)
        kept = easy not in wrong and not broken and not dtype
        text = (told if broken and not wrong else "") or ("" if wrong else dtype)
        yield Check(subject, INVARIANTS, float(kept), PARTS[INVARIANTS], text, asked=easy not in wrong)


def _other_dtype(op, f, f_backward, seed):
    """What comes out of float32 arrays, if that is wrong; in words."""
    case = gradcheck.awkward_cases(op, seed)[0]
    arrays = [a.astype(np.float32) if getattr(a, "dtype", None) == np.float64 else a for a in case.copies()]
    try:
        y, cache = f(*arrays, **case.options)
        if wrong := narrow("y", y):
            return f"{op}: {wrong}"
        if f_backward is None:
            return ""
        dy = np.ones(np.shape(y), np.float32) if np.ndim(y) else 1.0
        gradients = f_backward(dy, cache)
        gradients = gradients if isinstance(gradients, tuple | list) else (gradients,)
        told = (narrow(f"d{n}", g) for n, g in zip(case.arrays, gradients, strict=False))
        return next((f"{op}: {text}" for text in told if text), "")
    except Exception as error:  # with float64 it worked
        return f"{op} fails for float32 arrays: {getattr(error, 'told', error)}"
