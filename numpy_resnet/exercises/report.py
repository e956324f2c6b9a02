"""What a student sees: verdicts, progress and the list, for a terminal of 80 columns."""

import textwrap

from numpy_resnet.exercises.judge import FAILED, PASSED, STOPPED, UNFINISHED

WIDTH = 80
WORDS = {
    PASSED: "passed",
    UNFINISHED: "not finished yet",
    FAILED: "something is wrong",
    STOPPED: "stopped",
}
COLOURS = {PASSED: "32", UNFINISHED: "33", FAILED: "31", STOPPED: "31", "title": "1", "quiet": "2"}


class Paint:
    """Colours and signs, where the terminal has them."""

    def __init__(self, stream, colours=None):
        tty = stream is not None and stream.isatty()
        self.colours = tty if colours is None else colours
        wide = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "") == "utf8"
        self.yes, self.no, self.dash, self.full, self.empty = "✓✗·█░" if wide else "+x-#."

    def __call__(self, text, colour):
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self.colours and colour in COLOURS else text


def verdict_lines(verdict, exercise, ours, paint):
    """A verdict: a line for each function, then what is wrong, first things first."""
    head = f"{exercise.name}: {WORDS[verdict.status]}"
    yield paint(head, verdict.status) + paint(f"   {exercise.file}, {verdict.seconds:.1f} s", "quiet")
    subjects = {}
    for check in verdict.checks:
        subjects.setdefault(check.subject, []).append(check)
    wide = max((len(subject) for subject in subjects), default=0)
    for subject, checks in subjects.items():
        marks = (
            f"{paint.yes if check.passed else paint.dash if check.unfinished else paint.no} {check.part}"
            for check in checks
        )
        yield f"  {subject:<{wide}}  " + "  ".join(marks)
    if ours:
        yield from ("", *_wrapped(f"Ours stands in for {', '.join(ours)}: not passed yet, or changed since."))
    if verdict.text:
        yield ""
        for line in verdict.text.splitlines():
            yield from _wrapped(line) if len(line) > WIDTH else [line]
    if verdict.printed.strip() and not verdict.passed:
        lines = verdict.printed.rstrip().splitlines()
        yield from ("", paint("What it printed:", "quiet"), *(f"  {line[: WIDTH - 2]}" for line in lines[:12]))
        if len(lines) > 12:
            yield paint(f"  ... and {len(lines) - 12} lines more", "quiet")


def list_lines(folder, paint):
    """Every exercise, with what it takes and whether it has passed."""
    done = folder.done()
    for exercise in folder.exercises:
        level, minutes = exercise.lesson.effort
        mark = paint(paint.yes, PASSED) if exercise.name in done else " "
        title = exercise.lesson.title.split(". ", 1)[1].split(":")[0]
        given = folder.given.get(exercise.name, 0)
        hints = f"{given} hint{'s' if given > 1 else ''}" if given else ""
        yield f"{mark} {exercise.file:<26} {title:<28} {level:<6} {minutes:>3} min  {hints}".rstrip()
    yield ""
    yield progress_line(folder, paint)


def progress_line(folder, paint, current=None, keys="", width=WIDTH):
    """[######......] 6 of 20   ex07_maxpool   h hint ..., no wider than the terminal."""
    done, most = len(folder.done() & {e.name for e in folder.exercises}), len(folder.exercises)
    words = "   ".join(filter(None, (f"{done} of {most}", current and current.file, keys)))
    size = max(0, min(24, width - len(words) - 2))
    full = round(size * done / max(1, most))
    bar = paint(paint.full * full, PASSED) + paint.empty * (size - full)
    return f"{bar} {words}"[: width + len(bar) - size - 1]


def hint_lines(exercise, number, text):
    kind = ("the concept", "the formula", "the shapes")[number - 1]
    yield f"{exercise.name}, hint {number} of 3: {kind}"
    yield from ("", *_wrapped(text, "  "))


def _wrapped(text, indent=""):
    indent = indent or " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(text.strip(), WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
