"""A loop beside the editor: every time a file is saved it is checked, and one key each does what else there is."""

import contextlib
import os
import shutil
import sys
import time

from numpy_resnet.exercises import report

PAUSE = 0.15  # seconds between two looks at the file
KEYS = {"h": "hint", "n": "next", "l": "list", "r": "reset", "q": "quit"}


class Session:
    """What is on the screen, without the screen: `press` a key, `look` whether the file was saved, read `lines`."""

    def __init__(self, folder, name=None, paint=None):
        self.folder, self.paint = folder, paint or report.Paint(sys.stdout)
        self.exercise = folder.find(name) or folder.exercises[-1]
        self.seen, self.lines, self.asking, self.verdict = None, [], False, None

    def look(self):
        """Whether the file changed since it was checked."""
        return self._stamp() != self.seen

    def check(self):
        """Check it; whatever is wrong with the file or the folder becomes what is shown."""
        self.seen, self.asking = self._stamp(), False
        try:
            self.verdict, ours = self.folder.check(self.exercise)
        except (ValueError, OSError) as error:
            self.verdict, self.lines = None, [str(error)]
            return
        self.lines = list(report.verdict_lines(self.verdict, self.exercise, ours, self.paint))
        if self.verdict.passed:
            name = self.exercise.name
            self.lines += ["", f"n goes on. Ours, with the derivation: numpy-resnet exercises solution {name}"]
            if self.folder.find() is None:
                self.lines += ["That was the last. Now the reward: numpy-resnet exercises train"]

    def press(self, key):
        """Do what a key stands for; False for quit."""
        if self.asking:
            self.asking = False
            if key == "y":
                self._reset()
            else:
                self.lines = ["Nothing was changed."]
            return True
        if key == "q":
            return False
        if key == "h":
            self._hint()
        elif key == "n":
            self._next()
        elif key == "l":
            self.lines = list(report.list_lines(self.folder, self.paint))
        elif key == "r":
            file = self.folder.file(self.exercise).name
            self.lines = [f"Begin {file} anew? Yours is kept beside it.  y: yes, any other key: no"]
            self.asking = True
        return True

    def status(self, width):
        """The line at the bottom."""
        keys = "  ".join(f"{key} {word}" for key, word in KEYS.items())
        return report.progress_line(self.folder, self.paint, self.exercise, keys, width)

    def _stamp(self):
        try:
            status = self.folder.file(self.exercise).stat()
            return self.exercise.name, status.st_mtime_ns, status.st_size
        except OSError:
            return self.exercise.name, None, None

    def _hint(self):
        again = self.folder.hint(self.exercise) or self.folder.hint(self.exercise, again=True)
        if again is None:
            self.lines = ["There are no hints in this folder."]
            return
        self.lines = list(report.hint_lines(self.exercise, *again))
        if again[0] == 3:
            self.lines += ["", "That was the last one."]

    def _next(self):
        """The next one that is not done, from here on and round; the next of all where all are."""
        names = [exercise.name for exercise in self.folder.exercises]
        at, done = names.index(self.exercise.name), self.folder.done()
        round_ = self.folder.exercises[at + 1 :] + self.folder.exercises[:at]
        self.exercise = next((e for e in round_ if e.name not in done), (round_ or [self.exercise])[0])
        self.seen = None

    def _reset(self):
        backup = self.folder.reset(self.exercise)
        self.seen = None
        if backup:
            self.lines = [f"Yours is in {backup.name}."]


def watch(folder, name=None):
    """Until q or Ctrl-C.   Raises ValueError where standard input or output is no terminal"""
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        raise ValueError("watch needs a terminal; `numpy-resnet exercises check` does not")
    session = Session(folder, name)
    with _screen(), _keys() as read_key, contextlib.suppress(KeyboardInterrupt):
        going = True
        while going:
            if session.look():
                _draw(session, [f"checking {session.exercise.file} ..."])
                session.check()
                _draw(session)
            key = read_key(PAUSE)
            if key:
                going = session.press(key)
                if going and not session.look():
                    _draw(session)
    print(report.progress_line(folder, session.paint))
    return 0


def _draw(session, lines=None):
    width, height = shutil.get_terminal_size()
    lines = session.lines if lines is None else lines
    room = height - 3
    if len(lines) > room:
        more = f"... {len(lines) - room + 1} lines more: numpy-resnet exercises check {session.exercise.name}"
        lines = [*lines[: room - 1], more]
    text = "\r\n".join(lines)
    sys.stdout.write(f"\x1b[2J\x1b[H{text}\x1b[{height};1H{session.status(width)}")
    sys.stdout.flush()


@contextlib.contextmanager
def _screen():
    """A screen of our own; afterwards what was there is there again."""
    sys.stdout.write("\x1b[?1049h\x1b[?25l")
    try:
        yield
    finally:
        sys.stdout.write("\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()


@contextlib.contextmanager
def _keys():
    """A function that waits so many seconds for a key: one letter, or ""."""
    try:
        import select
        import termios
        import tty
    except ImportError:  # Windows
        yield _windows_key
        return
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)

    def read(seconds):
        ready, _, _ = select.select([handle], [], [], seconds)
        return os.read(handle, 1).decode(errors="replace") if ready else ""

    try:
        tty.setcbreak(handle)
        yield read
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


def _windows_key(seconds):
    import msvcrt

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if msvcrt.kbhit():
            return msvcrt.getwch()
        time.sleep(0.02)
    return ""
