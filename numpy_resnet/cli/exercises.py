"""numpy-resnet exercises: a course that checks itself, and what instructors need."""

import os
import sys
import time
from pathlib import Path

from numpy_resnet import exercises
from numpy_resnet.cli.options import at_least, new_command
from numpy_resnet.exercises import report
from numpy_resnet.exercises.folder import Folder, account, check_names, exercise_file
from numpy_resnet.files import write_text

HELP = """\
Write a ResNet-18 yourself, operation by operation, and be told what is wrong and why.

  numpy-resnet exercises start DIR     twenty files to fill in, the first takes ten minutes
  numpy-resnet exercises watch         checks a file whenever it is saved (in DIR, or with --dir DIR)
  numpy-resnet exercises check relu    one exercise, or without a name the first that is not done
  numpy-resnet exercises hint relu     one hint at a time, of three
  numpy-resnet exercises train         ResNet-18 with your functions, on real digits

For instructors: release, grade and dev-check; docs/instructors.md has all about them.

The answers lie openly in the installed package, in numpy_resnet/exercises/course. That is by design: who looks there
knows that it is cheating, and who is stuck may learn from them.
"""


def add_commands(commands):
    parser = new_command(commands, None, "exercises", "a course of exercises that check themselves", HELP)
    inner = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    add = new_command(inner, run_start, "start", "write the exercises into a folder").add_argument
    add("folder", type=Path, metavar="DIR", help="to be made; files that are there stay as they are")
    add("--name", help="yours: the inputs of the checks depend on it (default: the name of your account)")
    add("--only", nargs="+", metavar="NAME", help="some exercises alone")
    add("--notebooks", action="store_true", help="Jupyter notebooks instead of Python files")

    add = _in_folder(inner, run_check, "check", "check an exercise: what is wrong, where, and why")
    add("names", nargs="*", metavar="NAME", help="relu, linear, ... (default: the first that is not done)")
    add("--all", action="store_true", help="every exercise")

    add = _in_folder(inner, run_watch, "watch", "check whenever a file is saved; one key each for what else there is")
    add("name", nargs="?", help="where to begin (default: the first that is not done)")

    _in_folder(inner, run_list, "list", "all exercises, and which are done")

    add = _in_folder(inner, run_hint, "hint", "the next hint: concept, formula, shapes")
    add("name", nargs="?", help="(default: the first exercise that is not done)")
    add("--again", action="store_true", help="the one that was given last")

    add = _in_folder(inner, run_reset, "reset", "begin an exercise anew; what is there is kept beside it")
    add("name")

    add = _in_folder(inner, run_solution, "solution", "ours, with the derivation, once yours has passed")
    add("name")

    add = _in_folder(inner, run_notebook, "notebook", "your files as Jupyter notebooks, in the folder notebooks")
    add("names", nargs="*", metavar="NAME", help="(default: all)")

    add = _in_folder(inner, run_train, "train", "ResNet-18 with your functions, trained on the digits, beside ours")
    add("--epochs", type=at_least(1), default=12, metavar="N", help="passes over the training images (default: 12)")
    add("--out", type=Path, metavar="DIR", help="to write, new or empty (default: runs in the folder)")

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


def _in_folder(inner, run, name, help, description=None):
    parser = new_command(inner, run, name, help, description)
    parser.add_argument("--dir", type=Path, default=Path(), metavar="DIR", help="of the exercises (default: here)")
    return parser.add_argument


def run_start(args):
    chosen = _chosen(args.only)
    name = args.name or account()
    folder, stayed = Folder.start(args.folder, name, chosen, notebooks=args.notebooks)
    minutes = sum(exercise.lesson.effort[1] for exercise in folder.exercises)
    long = f"{minutes} minutes" if minutes < 90 else f"{round(minutes / 60)} hours"
    count = f"{len(folder.exercises)} exercise{'s' if len(folder.exercises) > 1 else ''}"
    print(f"{count} in {args.folder}, about {long} in all; yours, {folder.name}.")
    if stayed:
        print(f"{len(stayed)} files were there already and stay as they are, {stayed[0]} for one.")
    first = folder.find() or folder.exercises[0]
    print(
        f"\n  cd {args.folder}\n  numpy-resnet exercises watch       and open {folder.file(first).name} in your editor"
    )


def run_check(args):
    folder, paint = Folder(args.dir), report.Paint(sys.stdout)
    chosen = [folder.find(name) for name in args.names] or [folder.find()]
    chosen = folder.exercises if args.all else chosen
    if chosen == [None]:
        print("All exercises have passed. `numpy-resnet exercises train` trains a ResNet-18 with your functions.")
        return 0
    code = 0
    for missing in exercises.missing_limits():
        print(f"note: this system has no limit on {missing}")
    for exercise in chosen:
        verdict, ours = folder.check(exercise)
        print("\n".join(report.verdict_lines(verdict, exercise, ours, paint)))
        print()
        code |= not verdict.passed
    print("\n".join(_what_now(folder, chosen, verdict)))
    return code


def _what_now(folder, chosen, verdict):
    if len(chosen) > 1:
        yield report.progress_line(folder, report.Paint(sys.stdout))
    elif not verdict.passed:
        given = folder.given.get(chosen[0].name, 0)
        again = " --again" if given >= folder.most_hints else ""
        yield f"A hint: numpy-resnet exercises hint {chosen[0].name}{again}" if folder.most_hints else ""
    else:
        yield f"Ours, with the derivation: numpy-resnet exercises solution {chosen[0].name}"
        if next_one := folder.find():
            level, minutes = next_one.lesson.effort
            yield f"Next: {folder.file(next_one).name}, {level.lower()}, about {minutes} minutes"
        else:
            yield "That was the last. Now the reward: numpy-resnet exercises train"


def run_watch(args):
    from numpy_resnet.exercises.watch import watch

    return watch(Folder(args.dir), args.name)


def run_list(args):
    print("\n".join(report.list_lines(Folder(args.dir), report.Paint(sys.stdout))))


def run_hint(args):
    folder = Folder(args.dir)
    exercise = folder.find(args.name)
    if exercise is None:
        print("All exercises have passed: there is nothing to give a hint on.")
        return
    found = folder.hint(exercise, args.again) or folder.hint(exercise, again=True)
    if found is None:
        print(f"there are no hints on {exercise.name} here")
        return
    print("\n".join(report.hint_lines(exercise, *found)))
    if found[0] == folder.most_hints:
        print("\nThat was the last one.")


def run_reset(args):
    folder = Folder(args.dir)
    exercise = folder.find(args.name)
    backup = folder.reset(exercise)
    print(
        f"{folder.file(exercise).name} is as it was in the beginning"
        + (f"; yours is in {backup.name}" if backup else "")
    )


def run_solution(args):
    folder = Folder(args.dir)
    exercise = folder.find(args.name)
    if exercise.name not in folder.done():
        raise ValueError(
            f"the solution comes once yours has passed, and {exercise.name} has not, or has changed since: "
            f"`numpy-resnet exercises check {exercise.name}`; a hint: `numpy-resnet exercises hint {exercise.name}`"
        )
    print(exercise.lesson.solution(), end="")


def run_notebook(args):
    from numpy_resnet.exercises.folder import STATE
    from numpy_resnet.exercises.lessons import to_notebook

    folder = Folder(args.dir)
    chosen = [folder.find(name) for name in args.names] or folder.exercises
    out = folder.path / "notebooks"
    out.mkdir(exist_ok=True)
    written = 0
    for exercise in chosen:
        source, path = folder.path / f"{exercise.file}.py", out / f"{exercise.file}.ipynb"
        text = source.read_text(encoding="utf-8") if source.exists() else exercise_file(exercise)[1]
        if path.exists():
            print(f"{path} is there and stays as it is; delete it, and it is made anew")
            continue
        write_text(path, to_notebook(text))
        written += 1
    if not (out / STATE).exists():
        write_text(out / STATE, (folder.path / STATE).read_text(encoding="utf-8"))
    print(f"{written} notebooks in {out}; `numpy-resnet exercises check --dir {out}` checks them")


def run_train(args):
    """The reward."""
    from numpy_resnet.exercises import training
    from numpy_resnet.train import recipe
    from numpy_resnet.train.folder import new_folder

    folder = Folder(args.dir)
    yours, ours = training.split(folder)
    if not yours:
        raise ValueError("no function of yours has passed yet, so there is nothing to train with: begin with relu")
    print(f"yours: {', '.join(yours)}")
    print(f"ours:  {', '.join(ours)}" if ours else "Nothing is ours: the network is made of your functions alone.")
    out = new_folder(args.out, folder.path / "runs" / "digits")
    settings = recipe.SETTINGS | {"epochs": args.epochs}
    functions = training.load_functions(folder, yours)
    own, reference = training.time_steps(settings, functions)
    print(f"a step takes {1000 * own:.0f} ms with yours, {1000 * reference:.0f} ms with ours\n\nwith yours:")
    outcomes = {"yours": training.run_training(settings, out / "yours", functions)}
    print("\nwith ours:")
    outcomes["ours"] = training.run_training(settings, out / "ours")
    print()
    for name, o in outcomes.items():
        print(f"{name:<6} {o.accuracy:.2%} of {o.images} test images ({o.wrong} wrong), {o.seconds:.0f} s of training")
    training.save_curves(out / "curves.png", outcomes)
    print(f"A step with yours takes {own / reference:.1f} times as long. The curves: {out / 'curves.png'}")


def run_release(args):
    from numpy_resnet.exercises.release import find_leaks, release

    if args.test:
        found = find_leaks(_folder(args.folder))
        print("\n".join(found) or f"no answer was found in {args.folder}")
        return 1 if found else 0
    files = release(args.folder, _chosen(args.only), args.hints, args.notebooks)
    print(f"{len(files)} files in {args.folder}, and no answer in them: {', '.join(files[:3])}, ...")
    return 0


def _folder(path):
    if not path.is_dir():
        raise ValueError(f"{path} must be a folder")
    return path


def _chosen(names):
    return check_names(names) if names else list(exercises.EXERCISES.values())


def run_grade(args):
    from numpy_resnet.exercises import exports, grade

    chosen = _chosen(args.only)
    points = dict(map(_points, args.points))
    check_names(points)
    submissions = grade.find_submissions(args.folders)
    for missing in exercises.missing_limits():
        print(f"note: this system has no limit on {missing}", file=sys.stderr)
    began = time.monotonic()
    grades = grade.grade_all(submissions, args.seed_from, chosen, points, min(args.jobs, len(submissions)))
    print("\n".join(exports.table(grades)))
    print(f"\n{len(grades)} submissions in {time.monotonic() - began:.0f} s")
    if args.json:
        write_text(args.json, exports.to_json(grades, args.seed_from))
    if args.junit:
        write_text(args.junit, exports.to_junit(grades))
    if args.gradescope:
        exports.write_gradescope(args.gradescope, grades)


def _points(text):
    name, _, number = text.partition("=")
    try:
        if float(number) >= 0:
            return name, float(number)
    except ValueError:
        pass
    raise ValueError(f"--points wants NAME=NUMBER, such as conv2d_backward=20; got {text!r}")


def run_dev_check(args):
    from numpy_resnet.exercises import dev

    code = 0
    for exercise in _chosen(args.names):
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
