"""One question that a judge asks, and the answer."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.exercises.sandbox import StudentError

SHAPE, VALUES, AWKWARD, INVARIANTS = "shapes", "values", "awkward shapes", "invariants"
PARTS = {SHAPE: 1, VALUES: 2, AWKWARD: 2, INVARIANTS: 1}  # and how much each of them weighs


class Check(NamedTuple):
    """Print `text` where it is not passed."""

    subject: str  # "relu"
    part: str  # one of PARTS, or another name
    share: float  # 1 is passed, 0 is not
    weight: float = 1.0
    text: str = ""  # what is wrong, or, of a share between, what is missing
    unfinished: bool = False
    asked: bool = True  # False: something before it was wrong

    @property
    def passed(self):
        return self.share == 1


class Judge(NamedTuple):
    """Asks about one subject: `ask(student, seed)` yields a Check for each of `parts`, {name: weight}."""

    subject: str
    ask: callable
    parts: dict = PARTS


class NotReadyError(Exception):
    """There is nothing to judge: the function is missing, not written yet, or raises in the easiest case."""

    def __init__(self, text, unfinished=False):
        super().__init__(text)
        self.text, self.unfinished = text, unfinished


def parts(subject, text="", unfinished=False, share=0.0, only=PARTS):
    """The same answer to all parts; the text is told once."""
    for i, part in enumerate(only):
        yield Check(subject, part, share, PARTS[part], text if i == 0 else "", unfinished, asked=i == 0)


def first_call(name, call):
    """What the easiest call returns.   Raises NotReadyError in words for a student."""
    try:
        return call()
    except StudentError as error:
        about = error.about
        if error.unfinished:
            where = f"{about['file']}, line {about['number']}"
            raise NotReadyError(f"{name} is not written yet ({where})", unfinished=True) from None
        way = "".join(f"\n    {line}" for line in about["way"][:-1])  # the last is told already
        cache = "\n  A backward sees dy and its cache alone: what it needs has to be in the cache."
        hint = cache if about["type"] == "NameError" and "backward" in name else ""
        raise NotReadyError(f"{name} raises {error.told}{way and f'{chr(10)}  on the way from'}{way}{hint}") from None


def missing(student, *names):
    """Raises NotReadyError unless the module has functions of these names."""
    for name in names:
        if name not in student.names:
            raise NotReadyError(f"{name} is missing: {student.module}.py must define a function of that name")


def misshapen(name, value, expected):
    """What is wrong with the shape of a value, in words; "" if it is right."""
    if expected is None:
        return "" if value is None else f"{name} should be None here"
    if value is None:
        return f"{name} did not come; return an array of shape {np.shape(expected)}"
    if not isinstance(value, np.ndarray | np.generic | float | int):
        return f"{name} must be an array of real numbers; it is: {type(value).__name__}"
    if np.shape(value) != np.shape(expected):
        empty = " (a slice PH:-PH is empty where PH is 0)" if 0 in np.shape(value) else ""
        return f"{name} must have shape {np.shape(expected)}; it has {np.shape(value)}{empty}"
    return ""


def difference(name, value, expected, tolerance=1e-6):
    """Where a value is not what it should be, in words; "" if it is."""
    if wrong := misshapen(name, value, expected):
        return wrong
    if expected is None:
        return ""
    value, expected = np.asarray(value, float), np.asarray(expected, float)
    off = ~(np.abs(value - expected) <= tolerance * max(1e-12, np.abs(expected).max(initial=0)))
    if not off.any():
        return ""
    at = tuple(int(i) for i in np.argwhere(off)[0])
    place = str(list(at)) if at else ""
    return f"{name}{place} is {value[at]:.6g}, should be {expected[at]:.6g} ({off.sum()} of {off.size} entries are off)"


def narrow(name, value):
    """What is wrong with the dtype of something made of float32 arrays; "" if nothing."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype != np.float32:
        return (
            f"for float32 arrays {name} is {value.dtype}: dtype in = dtype out. A new array has to be told its dtype, "
            "as in np.zeros(shape, dy.dtype); times a Python number it keeps it, times an np.float64 it does not"
        )
    return ""
