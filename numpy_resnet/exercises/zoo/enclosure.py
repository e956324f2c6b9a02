"""What a bug of the zoo is, and the two decorators that put one in."""

import inspect
from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """One fault in a pair of functions that is otherwise right."""

    name: str  # "relu/mask_of_upstream"
    op: str
    f: callable
    f_backward: callable
    causes: tuple  # codes of the doctor that name it; the first fits best
    symptom: str  # what one sees
    story: str  # how a student comes to write it


class Enclosure:
    """The bugs of one op. A wrong backward goes with the right forward, a wrong forward with the right backward."""

    def __init__(self, op, f, f_backward):
        self.op, self.f, self.f_backward, self.bugs = op, f, f_backward, []

    def wrong_backward(self, *causes, f=None):
        """Decorates a backward; its docstring is the symptom and, in a second paragraph, the story."""
        return self._put_in(causes, lambda wrong: (f or self.f, wrong))

    def wrong_forward(self, *causes, f_backward=None):
        """Decorates a forward, likewise."""
        return self._put_in(causes, lambda wrong: (wrong, f_backward or self.f_backward))

    def _put_in(self, causes, pair):
        def decorate(wrong):
            symptom, story = (" ".join(part.split()) for part in inspect.getdoc(wrong).split("\n\n"))
            self.bugs.append(Bug(f"{self.op}/{wrong.__name__}", self.op, *pair(wrong), causes, symptom, story))
            return wrong

        return decorate
