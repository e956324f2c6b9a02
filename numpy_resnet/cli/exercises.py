"""numpy-resnet exercises: a course that checks itself, and what instructors need."""

import contextlib
import signal
import sys
import threading
from pathlib import Path

from numpy_resnet import exercises
from numpy_resnet.cli import instructors
from numpy_resnet.cli.instructors import select
from numpy_resnet.cli.options import at_least, new_command
from numpy_resnet.exercises import report
from numpy_resnet.exercises.folder import STATE, Folder, account, exercise_file
from numpy_resnet.exercises.lessons import to_notebook
from numpy_resnet.exercises.watch import watch
from numpy_resnet.files import write_text

HELP = """\
Write a ResNet-18 yourself, operation by operation, and be told what is wrong and why.

  numpy-resnet exercises start DIR     twenty files to fill in, the first takes ten minutes
  numpy-resnet exercises watch         checks a file whenever it is saved (in DIR, or with --dir DIR)
  numpy-resnet exercises check relu    one exercise, or without a name the first that is not done
  numpy-resnet exercises hint relu     one hint at a time, of three
  numpy-resnet exercises train         ResNet-18 with your functions, on real digits

For instructors: release, grade and dev-check; docs/instructors.md has all about them.

The answers lie openly in the installed package, in numpy_resnet/exercises/course. That is by design: try first, and
learn from them when you are stuck.
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

    instructors.add_commands(inner)


def _in_folder(inner, run, name, help, description=None):
    parser = new_command(inner, run, name, help, description)
    parser.add_argument("--dir", type=Path, default=Path(), metavar="DIR", help="of the exercises (default: here)")
    return parser.add_argument


def run_start(args):
    wanted = select(args.only)
    name = args.name or account()
    folder, stayed = Folder.start(args.folder, name, wanted, notebooks=args.notebooks)
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


@contextlib.contextmanager
def _ended_by_signals():
    """A terminal that is closed, or a kill, is like Ctrl-C: the child ends, and the screen is as it was."""

    def end(number, frame):
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    main = threading.current_thread() is threading.main_thread()  # only there can Python handle signals
    before = {number: signal.signal(number, end) for number in numbers if main}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@_ended_by_signals()
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
        elif len(folder.exercises) > 1:
            yield "That was the last. Now the reward: numpy-resnet exercises train"


@_ended_by_signals()
def run_watch(args):
    return watch(Folder(args.dir), args.name)


def run_list(args):
    print("\n".join(report.list_lines(Folder(args.dir), report.Paint(sys.stdout))))


def run_hint(args):
    folder = Folder(args.dir)
    exercise = folder.find(args.name)
    if exercise is None:
        print("All exercises have passed: there is nothing to give a hint on.")
        return
    found = folder.hint(exercise, args.again)
    new = found is not None and not args.again
    found = found or folder.hint(exercise, again=True)
    if found is None:
        none = "no hint was given yet" if folder.most_hints else "there are no hints in this folder"
        print(f"{exercise.name}: {none}")
        return
    print("\n".join(report.hint_lines(exercise, folder.most_hints, *found)))
    if found[0] == folder.most_hints:
        print("\nThat is the last one." if new else "\nThat is the last one, once more.")


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
    folder = Folder(args.dir)
    chosen = [folder.find(name) for name in args.names] or folder.exercises
    out = folder.path / "notebooks"
    out.mkdir(exist_ok=True)
    written = 0
    for exercise in chosen:
        if folder.file(exercise).suffix == ".ipynb":
            print(f"{folder.file(exercise).name} is a notebook already")
            continue
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
    print("The scripts stay beside them: hand in the folder that you work in.")


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
    with training.load_functions(folder, yours) as functions:
        own, reference = training.time_steps(settings, functions)
        print(f"a step takes {1000 * own:.0f} ms with yours, {1000 * reference:.0f} ms with ours\n\nwith yours:")
        outcomes = {"yours": training.run_training(settings, out / "yours", functions)}
    print("\nwith ours:")
    outcomes["ours"] = training.run_training(settings, out / "ours")
    print()
    for name, o in outcomes.items():
        print(f"{name:<6} {o.accuracy:.2%} of {o.images} test images ({o.wrong} wrong), {o.seconds:.0f} s of training")
    times = f"a step with yours takes {own / reference:.1f} times as long"
    training.save_curves(out / "curves.png", outcomes, f"ResNet-18 with your functions and with ours: {times}")
    print(f"{times}; the curves: {out / 'curves.png'}")
