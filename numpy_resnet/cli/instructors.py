"""numpy-resnet exercises release, grade and dev-check: for those who give a course."""

import os
import re
import sys
import time
from pathlib import Path

from numpy_resnet import exercises
from numpy_resnet.cli.options import at_least, new_command
from numpy_resnet.exercises.folder import check_names
from numpy_resnet.files import write_text


def add_commands(inner):
    add = new_command(inner, run_release, "release", "for instructors: what students get, without answers").add_argument
    add("folder", type=Path, metavar="DIR", help="new or empty")
    add("--only", nargs="+", metavar="NAME", help="some exercises alone")
    add("--hints", type=int, choices=range(4), default=3, help="how many there are of each (default: 3)")
    add("--notebooks", action="store_true", help="Jupyter notebooks instead of Python files")
    add("--test", action="store_true", help="only look for answers in a folder that is there: text, byte code, outputs "
        "of notebooks, history")  # fmt: skip

    add = new_command(inner, run_grade, "grade", "for instructors: grade submissions").add_argument
    add("folders", nargs="+", type=Path, metavar="DIR", help="a submission, or a folder with one folder for each")
    add("--seed-from", required=True, metavar="WORDS", help="the inputs depend on them and on the name of the folder")
    add("--only", nargs="+", metavar="NAME", help="some exercises alone")
    add("--points", nargs="+", default=[], metavar="NAME=N", help="what an exercise is worth (default: 10)")
    add("--json", type=Path, metavar="FILE", help="all of it; its schema is grades.schema.json in the package")
    add("--gradescope", type=Path, metavar="PATH", help="results.json; a folder, where there are several submissions")
    add("--junit", type=Path, metavar="FILE", help="JUnit's XML")
    add("--jobs", type=at_least(1), default=os.cpu_count() or 1, metavar="N", help="processes (default: one per core)")

    add = new_command(inner, run_dev_check, "dev-check", "for authors: is every exercise in order?").add_argument
    add("names", nargs="*", metavar="NAME", help="(default: all)")
    add("--students", type=at_least(1), metavar="N", help="instead: whether the solution passes with so many seeds")


def run_release(args):
    from numpy_resnet.exercises.release import find_leaks, release

    if args.test:
        found = find_leaks(_folder(args.folder))
        print("\n".join(found) or f"no answer was found in {args.folder}")
        return 1 if found else 0
    files = release(args.folder, select(args.only), args.hints, args.notebooks)
    some = ", ".join(files[:3]) + (", ..." if len(files) > 3 else "")
    print(f"{len(files)} files in {args.folder}, and no answer in them: {some}")
    return 0


def _folder(path):
    if not path.is_dir():
        raise ValueError(f"{path} must be a folder")
    return path


def select(names):
    """The exercises of these names, or all."""
    return check_names(names) if names else list(exercises.EXERCISES.values())


def run_grade(args):
    from numpy_resnet.exercises import exports, grade

    wanted = select(args.only)
    points = dict(_points(text, wanted) for text in args.points)
    submissions = grade.find_submissions(args.folders)
    for path in filter(None, (args.json, args.junit)):
        _folder(path.parent)  # before the work, not after it
    if args.gradescope:
        exports.check_gradescope(args.gradescope, len(submissions))
    for missing in exercises.missing_limits():
        print(f"note: this system has no limit on {missing}", file=sys.stderr)
    began = time.monotonic()
    grades = grade.grade_all(submissions, args.seed_from, wanted, points, min(args.jobs, len(submissions)))
    print("\n".join(exports.table(grades)))
    print(f"\n{len(grades)} submissions in {time.monotonic() - began:.0f} s")
    if args.json:
        write_text(args.json, exports.to_json(grades, args.seed_from))
    if args.junit:
        write_text(args.junit, exports.to_junit(grades))
    for path in filter(None, (args.json, args.junit)):
        _folder(path.parent)  # before the work, not after it
    if args.gradescope:
        exports.write_gradescope(args.gradescope, grades)


def _points(text, wanted):
    name, _, number = text.partition("=")
    if not re.fullmatch(r"\d+(\.\d+)?", number):
        raise ValueError(f"--points wants NAME=NUMBER, such as conv2d_backward=20; got {text!r}")
    (exercise,) = check_names([name])
    if exercise not in wanted:
        raise ValueError(f"--points is for exercises that are graded; {exercise.name} is not among them")
    return exercise.name, float(number)


def run_dev_check(args):
    from numpy_resnet.exercises import dev

    code = 0
    for exercise in select(args.names):
        if args.students:
            seeds = dev.refused(exercise, args.students)
            problems = [f"the solution does not pass with the seeds {seeds}"] if seeds else []
            measured = f"{args.students - len(seeds)} of {args.students} seeds"
        else:
            problems, numbers = dev.dev_check(exercise)
            zoo = f"{numbers['caught']} of {numbers['zoo']} bugs caught" if numbers["zoo"] else ""
            measured = f"{numbers['seconds']:>5.1f} s  {zoo:<22}"
        print(f"{exercise.file:<26} {measured} {'ok' if not problems else ''}".rstrip(), flush=True)
        for problem in problems:
            print(f"  {problem}")
        code |= bool(problems)
    return code
