"""One exercise, judged: the student's file goes into a child process, and the answers come back as a Verdict."""

import time
from dataclasses import dataclass

from numpy_resnet.exercises.judges import Check
from numpy_resnet.exercises.judges.check import NotReadyError, first_call
from numpy_resnet.exercises.sandbox import LIMITS, EndedError, RunawayError, Student, StudentError

PASSED, UNFINISHED, FAILED, STOPPED, MISSING = "passed", "unfinished", "failed", "stopped", "missing"


@dataclass(frozen=True)
class Verdict:
    """`status` is passed, unfinished (nothing is wrong, something is not written), failed, or stopped (by a limit)."""

    exercise: str
    status: str
    checks: tuple
    text: str = ""  # what is wrong, first things first
    printed: str = ""  # by the student's code
    seconds: float = 0.0

    @property
    def passed(self):
        return self.status == PASSED

    @property
    def score(self):
        """From 0 to 1."""
        total = sum(check.weight for check in self.checks)
        return sum(check.share * check.weight for check in self.checks) / total if total else 0.0


def judge(exercise, files, *, seed=0, limits=LIMITS, student=None, started=lambda child: None):
    """The Verdict on one exercise. files: {"ex01_relu.py": source, ...}, of which the module may import the others.

    student: (files, module) -> a context like Student, for code that is ours. started(child) is told of every child, so
    that somebody else can stop it; then EndedError is raised.
    """
    began, checks, texts, printed, stopped = time.perf_counter(), [], [], "", False
    if exercise.threads > 1:
        limits = limits._replace(threads=exercise.threads, memory=4 * limits.memory)  # a compiler is there, too
    for ask in exercise.judges:
        answers, problem, unfinished, child = {}, "", False, None
        try:
            with student(files, exercise.file) if student else Student(files, exercise.file, limits=limits) as child:
                started(child)
                try:
                    child.names = first_call(exercise.file, child.load)
                    for check in ask.ask(child, seed):
                        answers[check.part] = check
                except NotReadyError as error:
                    problem, unfinished = error.text, error.unfinished
                except StudentError as error:
                    problem = f"it raised {error.told}"
                except Exception as error:  # a student must not pay for it, nor a whole class wait
                    problem = f"the grader failed, not this code ({type(error).__name__}: {error}); please report it"
                except EndedError:
                    raise
                except RunawayError as error:
                    problem, stopped = f"stopped: {error}", True
        finally:
            printed = printed or (clean(child.printed) if child else "")
        answers = {part: check._replace(text=clean(check.text)) for part, check in answers.items()}
        problem = clean(problem)
        told = [problem, *(check.text for check in answers.values())]
        head = f"{ask.subject}:\n" if len(exercise.judges) > 1 else ""
        texts += [head + text for text in told if text and head + text not in texts]
        checks += [
            answers.get(part, Check(ask.subject, part, 0.0, weight, problem, unfinished, not answers and not i))
            for i, (part, weight) in enumerate(ask.parts.items())
        ]
    wrong = [check for check in checks if not check.passed]
    if stopped:
        status = STOPPED
    elif wrong:
        status = UNFINISHED if all(check.unfinished for check in wrong) else FAILED
    else:
        status = PASSED
    seconds = time.perf_counter() - began
    return Verdict(exercise.name, status, tuple(checks), "\n\n".join(texts), printed, seconds)


def clean(text):
    """Without signs that would do something to a terminal or a file."""
    text = text.encode("utf-8", "replace").decode()
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "?" for sign in text)
