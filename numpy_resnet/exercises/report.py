"""What a student sees: verdicts, progress and the list, for a terminal of 80 columns."""

import textwrap

from numpy_resnet.exercises.judge import FAILED, MISSING, PASSED, STOPPED, UNFINISHED

WIDTH = 80
WORDS = {
    PASSED: "passed",
    UNFINISHED: "not finished yet",
    FAILED: "something is wrong",
    STOPPED: "stopped",
    MISSING: "there is no file",
}
COLOURS = {PASSED: "32", UNFINISHED: "33", FAILED: "31", STOPPED: "31", "title": "1", "quiet": "2"}


class Paint:
    """Colours and signs, where the terminal has them."""

    def __init__(self, stream, wide=False):
        self.colours = stream is not None and stream.isatty()
        wide = wide or (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "") == "utf8"
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
        marks = "  ".join(f"{_mark(check, paint)} {check.part}".replace(" ", "\0") for check in checks)
        lines = textwrap.wrap(f"{subject:<{wide}}\0\0{marks}", WIDTH - 2, subsequent_indent="\0" * (wide + 2))
        yield from (f"  {line}".replace("\0", " ") for line in lines)
    if ours:
        yield from ("", *_wrapped(f"Ours stands in for {', '.join(ours)}: not passed yet, or changed since."))
    if verdict.text:
        yield ""
        for line in verdict.text.splitlines():
            yield from _wrapped(line) if len(line) > WIDTH else [line]
    if verdict.printed.strip():
        lines = verdict.printed.rstrip().splitlines()
        yield from ("", paint("What it printed:", "quiet"), *(_cut(f"  {line}") for line in lines[:12]))
        if len(lines) > 12:
            yield paint(f"  ... and {len(lines) - 12} lines more", "quiet")


def _mark(check, paint):
    if check.passed:
        return paint.yes
    return paint.dash if check.unfinished or not check.asked else paint.no


def list_lines(folder, paint):
    """Every exercise, with what it takes, whether it has passed, and a ? for each hint."""
    done = folder.done()
    for exercise in folder.exercises:
        level, minutes = exercise.lesson.effort
        mark = paint(paint.yes, PASSED) if exercise.name in done else " "
        title = exercise.lesson.title.split(". ", 1)[1].split(":")[0]
        title = title if len(title) <= 25 else title.split(",")[0]
        hints = "?" * folder.given.get(exercise.name, 0)
        yield f"{mark} {exercise.file:<24} {title:<25} {level:<6} {minutes:>3} min {hints}".rstrip()
    yield ""
    if folder.given:
        yield from ("? is a hint that was given", "")
    yield progress_line(folder, paint)


def progress_line(folder, paint, keys="", width=WIDTH):
    """[######......] 6 of 20   h hint ..., no wider than the terminal."""
    done, most = len(folder.done() & {e.name for e in folder.exercises}), len(folder.exercises)
    words = "   ".join(filter(None, (f"{done} of {most}", keys)))
    size = max(0, min(24, width - len(words) - 2))
    full = round(size * done / max(1, most))
    bar = paint(paint.full * full, PASSED) + paint.empty * (size - full)
    return f"{bar} {words}"[: width + len(bar) - size - 1]


def hint_lines(exercise, most, number, text):
    kind = ("the concept", "the formula", "the shapes")[number - 1]
    yield f"{exercise.name}, hint {number} of {most}: {kind}"
    yield from ("", *_wrapped(text, "  "))


def _cut(line):
    line = line.expandtabs()
    return line if len(line) <= WIDTH else line[: WIDTH - 3] + "..."


def _wrapped(text, indent=""):
    indent = indent or " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(text.strip(), WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
