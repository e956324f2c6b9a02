"""A loop beside the editor: a file that is saved is checked at once, and one key each does what else there is."""

import contextlib
import os
import shutil
import sys
import textwrap
import threading
import time

from numpy_resnet.exercises import report
from numpy_resnet.exercises.sandbox import EndedError, missing_limits

PAUSE = 0.15  # seconds between two looks at the files
KEYS = {"h": "hint", "n": "next", "p": "previous", "l": "list", "c": "check", "r": "reset", "q": "quit"}


class Session:
    """What is on the screen, without the screen: `press` a key, `look` what was saved, read `lines` and `status`."""

    def __init__(self, folder, name=None, paint=None):
        self.folder, self.paint = folder, paint or report.Paint(sys.stdout)
        self.exercise = folder.find(name) or folder.exercises[-1]
        self.lines, self.asking, self.hinting, self.running = [], False, False, None
        self.seen = self._stamps()
        self.check()

    def look(self):
        """Whether something is to be drawn: a file was saved, or a check has come to its end."""
        now = self._stamps()
        saved = [exercise for exercise in self.folder.exercises if now[exercise.name] != self.seen[exercise.name]]
        self.seen = now
        if saved:  # whoever saves a file is working on it
            self.exercise = self.exercise if self.exercise in saved else saved[0]
            self.check()
            return True
        if self.running and self.running.done():
            self.lines = [*self.lines, "", *self.running.lines] if self.lines else self.running.lines
            self.running = None
            return True
        return False

    def check(self):
        """Begin to check; a check that is under way is ended."""
        self.asking = False
        if self.running:
            self.running.stop()
        self.running = Checking(self.folder, self.exercise, self.paint)
        self.lines, self.hinting = [], False

    def press(self, key):
        """Do what a key stands for; False for quit."""
        if self.asking:
            self.asking = False
            self.lines = self._reset() if key == "y" else ["Nothing was changed."]
            return True
        if key == "q":
            return False
        if key in ("n", "p"):
            self._go(1 if key == "n" else -1)
        elif key == "c":
            self.check()
        elif key == "h":
            self.lines, self.hinting = self._hint(), True
        elif key == "l":
            self.lines, self.hinting = [*report.list_lines(self.folder, self.paint), "", "c: back to the check"], False
        elif key == "r":
            file = self.folder.file(self.exercise).name
            self.hinting = False
            self.lines = [f"Begin {file} anew? Yours is kept beside it.  y: yes, any other key: no"]
            self.asking = True
        return True

    def status(self, width):
        """The line at the bottom."""
        keys = "  ".join(f"{key} {word}" for key, word in KEYS.items())
        return report.progress_line(self.folder, self.paint, keys=keys, width=width)

    def shown(self):
        """What is to be seen now."""
        if self.running and not self.lines:
            return [f"{self.exercise.name}: checking {self.exercise.file} ... {self.running.seconds():.0f} s"]
        return self.lines

    def close(self):
        if self.running:
            self.running.stop()

    def _stamps(self):
        return {exercise.name: _stamp(self.folder.file(exercise)) for exercise in self.folder.exercises}

    def _hint(self):
        """The one that was given last; where that is on the screen, or there was none, the next."""
        last = self.folder.hint(self.exercise, again=True)
        found = (last if not self.hinting else None) or self.folder.hint(self.exercise) or last
        if found is None:
            return ["There are no hints in this folder."]
        end = ["", "That was the last one."] if found[0] == self.folder.most_hints else []
        return [*report.hint_lines(self.exercise, self.folder.most_hints, *found), *end, "", "c: back to the check"]

    def _go(self, way):
        """To the next one that is not done, in this direction and round; to the next of all where all are."""
        names = [exercise.name for exercise in self.folder.exercises]
        at, done = names.index(self.exercise.name), self.folder.done()
        others = [self.folder.exercises[(at + way * k) % len(names)] for k in range(1, len(names))]
        self.exercise = next((e for e in others if e.name not in done), (others or [self.exercise])[0])
        self.check()

    def _reset(self):
        if self.running:
            self.running.stop()
            self.running = None
        backup = self.folder.reset(self.exercise)
        self.seen = self._stamps()
        kept = f"; yours is in {backup.name}" if backup else ""
        return [f"{self.folder.file(self.exercise).name} is as it was in the beginning{kept}."]


class Checking:
    """A check that goes on beside the screen."""

    def __init__(self, folder, exercise, paint):
        self.folder, self.exercise, self.paint = folder, exercise, paint
        self.began, self.lines, self.child, self.stopped = time.monotonic(), [], None, False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def done(self):
        return not self.thread.is_alive()

    def seconds(self):
        return time.monotonic() - self.began

    def stop(self):
        """End it, and wait until it has ended: two checks would write into one course.json."""
        self.stopped = True
        if self.child:
            self.child.stop()
        self.thread.join()

    def _started(self, child):
        self.child = child
        if self.stopped:
            child.stop()

    def _run(self):
        try:
            verdict, ours = self.folder.check(self.exercise, started=self._started)
        except EndedError:
            return
        except Exception as error:  # shown, since nobody else would see it
            self.lines = textwrap.wrap(str(error), report.WIDTH)
            return
        lines = list(report.verdict_lines(verdict, self.exercise, ours, self.paint))
        if verdict.passed:
            lines += ["", "n goes on. Ours, with the derivation:"]
            lines += [f"  numpy-resnet exercises solution {self.exercise.name}"]
            if self.folder.find() is None and len(self.folder.exercises) > 1:
                lines += ["That was the last. Now the reward: numpy-resnet exercises train"]
        self.lines = lines


def _stamp(path):
    try:
        status = path.stat()
        return status.st_mtime_ns, status.st_size
    except OSError:
        return None


def watch(folder, name=None):
    """Until q or Ctrl-C.   Raises ValueError where standard input or output is no terminal"""
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        raise ValueError("watch needs a terminal; `numpy-resnet exercises check` does not")
    for missing in missing_limits():
        print(f"note: this system has no limit on {missing}")
    session = Session(folder, name)
    with _screen(), _keys() as read_key, contextlib.suppress(KeyboardInterrupt):
        drawn = None
        while True:
            session.look()
            view = session.shown(), shutil.get_terminal_size()
            if view != drawn:
                _draw(session, *view)
                drawn = view
            key = read_key(PAUSE)
            if key:
                drawn = None
                if not session.press(key):
                    break
    session.close()
    print(report.progress_line(folder, session.paint))
    return 0


def _draw(session, lines, size):
    width, height = size
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
