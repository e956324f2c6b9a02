"""For who writes exercises: does each one fail unsolved, pass solved, and catch its zoo?"""

import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from numpy_resnet.exercises import zoo
from numpy_resnet.exercises.catalogue import EXERCISES
from numpy_resnet.exercises.folder import seed_of
from numpy_resnet.exercises.fresh import CASES
from numpy_resnet.exercises.judge import PASSED, UNFINISHED, judge
from numpy_resnet.exercises.judges.ops import BARE, Op
from numpy_resnet.exercises.lessons import COURSE, faults
from numpy_resnet.exercises.sandbox import Student
from numpy_resnet.exercises.sandbox.local import Local

ADAPTERS = {  # im2col and col2im return bare arrays, and each is the other's backward
    ("im2col", "forward"): "def im2col(x, **window): return bug.f(x, **window)[0]",
    ("col2im", "forward"): "def col2im(cols, **window): return bug.f(cols, **window)[0]",
    ("im2col", "backward"): """
def col2im(cols, *, size, kernel_size, stride=1, padding=0):
    return bug.f_backward(cols, (tuple(size), pair(kernel_size), pair(stride), pair(padding)))
""",
    ("col2im", "backward"): """
def im2col(x, *, kernel_size, stride=1, padding=0):
    return bug.f_backward(x, (x.shape[2:], pair(kernel_size), pair(stride), pair(padding)))
""",
}
SLOWEST = 10.0  # seconds for one check


def solved():
    """The files of somebody who has done all."""
    return {f"{exercise.file}.py": exercise.lesson.solved_source() for exercise in EXERCISES.values()}


def blank():
    """The files as they are handed out."""
    return {f"{exercise.file}.py": exercise.lesson.student_source() for exercise in EXERCISES.values()}


def with_bug(exercise, bug):
    """The files where an exercise was solved with a bug of the zoo."""
    right, name = zoo.ENCLOSURES[bug.op], f"{exercise.file}.py"
    lines = ["from numpy_resnet.exercises.zoo import BUGS", f"bug = BUGS[{bug.name!r}]"]
    if bug.op in BARE:
        lines = [solved()[name], *lines, ADAPTERS[bug.op, "forward" if bug.f is not right.f else "backward"]]
    else:
        names = next(ask for ask in examined(bug).judges if ask.op == bug.op).names
        lines += [f"{n} = bug.{'f_backward' if 'backward' in n else 'f'}" for n in names]
    return solved() | {name: "\n".join(lines) + "\n"}


def examined(bug):
    """The exercise whose check has to find this bug, asked about its op alone; None if it is no exercise's."""
    for exercise in EXERCISES.values():
        for ask in exercise.judges:
            if isinstance(ask, Op) and ask.op == bug.op and (ask.f_backward == "" or ask.op in BARE):
                return exercise if ask.op in BARE else replace(exercise, judges=(ask,))
    return None


def missed(exercise, seed=0):
    """(names of the zoo's bugs that the exercise does not catch, how many it was tried on)"""
    bugs = [bug for bug in zoo.BUGS.values() if (other := examined(bug)) and other.name == exercise.name]
    own = partial(Student, trusted=True)  # as a student's code runs, but for the zoo's import
    kept = [b.name for b in bugs if judge(examined(b), with_bug(exercise, b), seed=seed, student=own).passed]
    return kept, len(bugs)


def example_fails(exercise):
    """What the example by hand says against the solution; "" if it agrees."""
    with tempfile.TemporaryDirectory() as folder:
        for name, source in solved().items():
            Path(folder, name).write_text(source, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-B", f"{exercise.file}.py"], cwd=folder, capture_output=True, text=True, check=False
        )
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def dev_check(exercise):
    """Lines on what is wrong with an exercise, and a dict of what was measured."""
    form = [*faults(exercise.file, (COURSE / f"{exercise.file}.py").read_text(encoding="utf-8"))]
    form += [f"fresh.py has no shapes for {op}: add them to CASES" for op in exercise.ops if op not in CASES]
    if form:
        return form, {"seconds": 0.0, "zoo": 0, "caught": 0}
    seed = seed_of("dev-check")
    before, after = (judge(exercise, files, seed=seed) for files in (blank(), solved()))
    kept, tried = missed(exercise, seed)
    problems = [
        *(
            [f"unsolved it is {before.status}, {before.score:.0%}"]
            if before.status != UNFINISHED or before.score
            else []
        ),
        *([f"solved it is {after.status}: {after.text}"] if after.status != PASSED else []),
        *([f"it has {len(exercise.lesson.hints)} hints, not 3"] if len(exercise.lesson.hints) != 3 else []),
        *([f"the check takes {after.seconds:.1f} s"] if after.seconds > SLOWEST else []),
        *([f"the example by hand: {text}"] if (text := example_fails(exercise)) else []),
        *(f"the check does not catch {name}" for name in kept),
    ]
    return problems, {"seconds": after.seconds, "zoo": tried, "caught": tried - len(kept)}


def refused(exercise, students):
    """The seeds of made-up students, of so many, with which the solution does not pass."""
    seeds = [seed_of(f"student {n}") for n in range(students)]
    return [seed for seed in seeds if not judge(exercise, solved(), seed=seed, student=Local).passed]
