"""The table of hypotheses that causes.py and its neighbours sign up in."""

from dataclasses import dataclass

TABLE = []  # (code, trust, whether the shape is right, function)


@dataclass(frozen=True)
class Match:
    """That a prediction came true, in words; `{}` in them stands for one of `names`."""

    evidence: str
    names: tuple = ()  # of the same number, the simplest first: what they have in common over several cases is right
    code: str = ""  # another than the function's
    trust: float = 1.0


def cause(code, trust=0.95, *, shape_is_right=True):
    """Signs a hypothesis up, for gradients of numbers whose shape is right, or for the others."""

    def sign_up(function):
        TABLE.append((code, trust, shape_is_right, function))
        return function

    return sign_up
