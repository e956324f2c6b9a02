"""The loop beside the editor: keys, files that are saved, and a terminal that is left as it was."""

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from numpy_resnet.exercises import EXERCISES, dev, report
from numpy_resnet.exercises.folder import Folder
from numpy_resnet.exercises.lessons import to_notebook
from numpy_resnet.exercises.sandbox.local import Local
from numpy_resnet.exercises.watch import Checking, Session, watch

SOLVED, BLANK = dev.solved(), dev.blank()
NAMES = ["relu", "linear", "dropout", "add"]
HINTS = EXERCISES["relu"].lesson.hints
TODO = 1 + next(i for i, line in enumerate(BLANK["ex01_relu.py"].splitlines()) if "NotImplementedError" in line)
ENDLESS = SOLVED["ex01_relu.py"].replace("return np.maximum", "while True: pass\n    return np.maximum")


@pytest.fixture
def folder(tmp_path):
    return Folder.start(tmp_path / "course", "Ada", [EXERCISES[name] for name in NAMES])[0]


class Quick(Local):
    """A child that is none."""

    def stop(self):
        pass


def wait(session):
    """Until the check is done, and looked at."""
    if session.running:
        session.running.thread.join()
    session.look()


@pytest.fixture
def new_real_session(folder):
    """A function that begins a Session and waits for its first verdict; all are closed in the end."""
    with contextlib.ExitStack() as stack:

        def new(name=None, solved=()):
            for other in solved:
                save(folder, other)
                assert folder.check(EXERCISES[other], student=Quick)[0].passed
            session = Session(folder, name, report.Paint(None))
            stack.callback(session.close)
            wait(session)
            return session

        yield new


@pytest.fixture
def new_session(new_real_session, folder, monkeypatch):
    """The same, but what is checked is run here: for tests that are about the keys."""
    monkeypatch.setattr(folder, "check", partial(folder.check, student=Quick))
    return new_real_session


@pytest.fixture
def session(new_session):
    return new_session()


def started_event(monkeypatch, until_it_is_stopped=False):
    """An Event for the start of a child, which may have to wait there until somebody ends it."""
    started, stopped, real_started, real_stop = threading.Event(), threading.Event(), Checking._started, Checking.stop

    def start(self, child):
        real_started(self, child)
        started.set()
        if until_it_is_stopped:
            stopped.wait(20)

    def stop(self):
        stopped.set()
        real_stop(self)

    monkeypatch.setattr(Checking, "_started", start)
    monkeypatch.setattr(Checking, "stop", stop)
    return started


def save(folder, name, source=None):
    file = f"{EXERCISES[name].file}.py"
    (folder.path / file).write_text(source or SOLVED[file], encoding="utf-8")


def shown(session):
    return "\n".join(session.shown())


def hint(number, last=False):
    lines = list(report.hint_lines(EXERCISES["relu"], 3, number, HINTS[number - 1]))
    return [*lines, *(["", "That was the last one."] if last else []), "", "c: back to the check"]


# keys


def test_the_first_screen_is_the_check_of_the_first_that_is_not_done(new_session):
    assert shown(new_session()).startswith("relu: not finished yet   ex01_relu, ")
    assert shown(new_session(solved=["relu"])).startswith("linear: not finished yet   ex02_linear, ")
    assert shown(new_session("dropout")).startswith("dropout: not finished yet")


def test_what_is_under_way_says_so(session):
    session.press("c")
    assert re.fullmatch(r"relu: checking ex01_relu \.\.\. \d s", shown(session))
    wait(session)
    assert f"relu is not written yet (ex01_relu.py, line {TODO})" in shown(session)


def test_h_gives_the_first_hint_and_then_the_next_ones(session):
    for number in (1, 2, 3, 3):
        assert session.press("h")
        assert session.lines == hint(number, last=number == 3)


@pytest.mark.parametrize(
    "key",
    [
        "c",
        "l",
        pytest.param(
            "rx",
        ),
    ],
)
def test_h_after_another_key_shows_the_last_hint_again(session, key):
    for pressed in f"hh{key}":
        session.press(pressed)
    wait(session)
    session.press("h")
    assert session.lines[:-2] == hint(2)[:-2]
    session.press("h")
    assert session.lines == hint(3, last=True)


def test_h_after_a_save_shows_the_last_hint_again(session, folder):
    session.press("h")
    save(folder, "relu", BLANK["ex01_relu.py"] + "# thinking\n")
    assert session.look()
    wait(session)
    session.press("h")
    assert session.lines == hint(1)


def test_a_verdict_comes_below_a_hint_that_is_being_read(session):
    session.press("c")
    session.press("h")
    assert session.lines == hint(1)
    wait(session)
    assert session.lines[: len(hint(1))] == hint(1)
    assert "relu: not finished yet" in shown(session)
    session.press("h")
    assert session.lines == hint(2), "it was still on the screen"


def test_a_folder_may_have_no_hints(tmp_path):
    folder, _ = Folder.start(tmp_path / "course", "Ada", [EXERCISES["relu"]], most_hints=0)
    session = Session(folder, paint=report.Paint(None))
    wait(session)
    session.press("h")
    assert session.lines == ["There are no hints in this folder."]


@pytest.mark.parametrize(
    ("solved", "keys", "visited"),
    [
        ([], "nnnn", ["linear", "dropout", "add", "relu"]),
        ([], "ppn", ["add", "dropout", "add"]),
        (["linear", "add"], "nnp", ["dropout", "relu", "dropout"]),
        (["linear", "dropout", "add"], "np", ["linear", "relu"]),
    ],
)
def test_n_and_p_go_round_over_what_is_not_done(new_session, solved, keys, visited):
    session = new_session(solved=solved)
    if len(solved) == 3:  # and with the one on the screen all are done: then it goes over all
        save(session.folder, "relu")
        wait(session)
        wait(session)
    found = []
    for key in keys:
        assert session.press(key)
        found.append(session.exercise.name)
        wait(session)
        assert shown(session).startswith(found[-1])
    assert found == visited


@pytest.mark.parametrize(
    "end", [lambda s: s.press("n"), lambda s: s.close(), lambda s: s.press("c")], ids=["n", "q", "c"]
)
def test_a_check_that_is_ended_takes_nothing_away(new_real_session, monkeypatch, end):
    session = new_real_session("add", solved=["relu"])
    started = started_event(monkeypatch, until_it_is_stopped=True)
    session.exercise = EXERCISES["relu"]
    session.press("c")
    assert started.wait(20)
    end(session)
    assert "relu" in Folder(session.folder.path).done()


def test_l_lists_and_c_goes_back(session, folder):
    session.press("l")
    assert session.lines == [*report.list_lines(folder, session.paint), "", "c: back to the check"]
    assert session.lines[-3] == "." * 24 + " 0 of 4"
    session.press("c")
    wait(session)
    assert "relu: not finished yet" in shown(session)


def test_r_asks_and_y_resets(session, folder):
    mine = BLANK["ex01_relu.py"] + "# mine\n"
    save(folder, "relu", mine)
    assert session.look()
    wait(session)
    session.press("r")
    assert session.lines == ["Begin ex01_relu.py anew? Yours is kept beside it.  y: yes, any other key: no"]
    assert (folder.path / "ex01_relu.py").read_text() == mine
    assert session.press("y")
    assert session.lines == ["ex01_relu.py is as it was in the beginning; yours is in ex01_relu.py.1.bak."]
    assert (folder.path / "ex01_relu.py").read_text() == BLANK["ex01_relu.py"]
    assert (folder.path / "ex01_relu.py.1.bak").read_text() == mine
    assert not session.look(), "that was no save"


@pytest.mark.parametrize("key", ["n", "q", "Y", "\n", "\x1b"])
def test_any_other_key_resets_nothing_and_does_nothing_else(session, folder, key):
    before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    session.press("r")
    assert session.press(key)
    assert session.lines == ["Nothing was changed."]
    assert session.exercise.name == "relu"
    assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == before
    assert session.press("y"), "nothing is asked any more"
    assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == before


def test_r_brings_back_a_file_that_is_gone(session, folder):
    (folder.path / "ex01_relu.py").unlink()
    session.look()
    wait(session)
    assert "ex01_relu.py is not there" in shown(session)
    session.press("r")
    session.press("y")
    assert (folder.path / "ex01_relu.py").exists()


@pytest.mark.parametrize("key", ["", "x", "H", "1", "\x1b", "é"])
def test_other_keys_do_nothing(session, key):
    before = session.shown()
    assert session.press(key)
    assert session.shown() == before


def test_q_ends(session):
    assert session.press("q") is False


# saving


def test_nothing_is_to_be_drawn_while_nothing_happens(session):
    assert not session.look()
    assert not session.look()


def test_passing_shows_the_way_on(session, folder):
    save(folder, "relu")
    assert session.look()
    wait(session)
    assert session.lines[0].startswith("relu: passed")
    assert session.lines[-3:] == [
        "",
        "n goes on. Ours, with the derivation:",
        "  numpy-resnet exercises solution relu",
    ]
    assert Folder(folder.path).done() == {"relu"}
    assert session.status(80).startswith("##....... 1 of 4   h hint")


def test_the_last_one_shows_the_reward(new_session, folder):
    session = new_session(solved=NAMES[1:])
    save(folder, "relu")
    wait(session)
    wait(session)
    assert session.lines[-1] == "That was the last. Now the reward: numpy-resnet exercises train"


def test_whoever_saves_a_file_is_working_on_it(session, folder):
    save(folder, "dropout")
    assert session.look()
    assert session.exercise.name == "dropout"
    wait(session)
    assert session.lines[0].startswith("dropout: passed")
    save(folder, "relu", SOLVED["ex01_relu.py"])
    save(folder, "dropout", SOLVED["ex11_dropout.py"] + "# more\n")
    assert session.look()
    assert session.exercise.name == "dropout", "the one on the screen goes before"
    (folder.path / "notes.txt").touch()
    wait(session)
    assert not session.look()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "def relu(x)\n",
            ["relu: something is wrong", "SyntaxError: expected ':', at `def relu(x)` (ex01_relu.py, line 1)"],
        ),
        ("import os\nos._exit(3)\n", ["relu: stopped", "it ended the process (exit code 3)"]),
        ("def relu(x):\n    return y\n", ["relu: something is wrong"]),
        (SOLVED["ex01_relu.py"].replace("(x > 0)", "(x < 0)"), ["dx is wrong"]),
        (
            SOLVED["ex01_relu.py"].replace("return np", "print('hello')\n    return -np"),
            ["What it printed:", "  hello"],
        ),
    ],
)
def test_what_is_wrong_is_shown(new_real_session, folder, source, said):
    session = new_real_session("add")
    save(folder, "relu", source)
    assert session.look()
    wait(session)
    text = " ".join(shown(session).replace("\n", " ").split())
    for words in said:
        assert words.strip() in text
    assert "n goes on" not in text


def test_a_save_during_an_endless_loop_begins_anew(new_real_session, folder, monkeypatch):
    session, started = new_real_session("add"), started_event(monkeypatch)
    save(folder, "relu", ENDLESS)
    assert session.look()
    endless = session.running
    assert started.wait(20)
    save(folder, "relu")
    began = time.monotonic()
    assert session.look()
    assert time.monotonic() - began < 5, "it waited for the limit"
    assert endless.done()
    assert session.running is not endless
    wait(session)
    assert session.lines[0].startswith("relu: passed")
    assert endless.child.process.poll() is not None


def test_a_notebook_that_is_saved_is_checked(tmp_path):
    folder, _ = Folder.start(tmp_path / "course", "Ada", [EXERCISES["relu"]], notebooks=True)
    session = Session(folder, paint=report.Paint(None))
    wait(session)
    (folder.path / "ex01_relu.ipynb").write_text(to_notebook(SOLVED["ex01_relu.py"]))
    assert session.look()
    wait(session)
    assert session.lines[0].startswith("relu: passed")
    session.close()


@pytest.mark.parametrize("ask", [lambda s: s.status(80), lambda s: s.press("l"), lambda s: s.press("n")])
def test_a_notebook_that_is_half_saved_does_not_end_the_watch(session, folder, ask):
    (folder.path / "ex02_linear.ipynb").write_text("{")
    (folder.path / "ex02_linear.py").unlink()
    session.look()
    wait(session)
    assert "ex02_linear.ipynb: this is no notebook" in " ".join(shown(session).split())
    ask(session)


def test_the_status_fits_and_names_the_keys(session):
    for width in (30, 80, 120):
        assert len(session.status(width)) <= width
    for words in ("0 of 4", "h hint", "n next", "p previous", "l list", "c check", "r reset", "q quit"):
        assert words in session.status(80)


# the terminal


def test_watch_wants_a_terminal(folder):
    with pytest.raises(ValueError, match="watch needs a terminal; `numpy-resnet exercises check` does not"):
        watch(folder)


def test_without_a_terminal_the_command_says_so_in_one_line(folder):
    command = [sys.executable, "-m", "numpy_resnet", "exercises", "watch", "--dir", folder.path]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "numpy-resnet: watch needs a terminal; `numpy-resnet exercises check` does not\n"


class Terminal:
    """The outer end of a pseudo-terminal in which the command runs."""

    def __init__(self, path):
        import fcntl
        import pty
        import struct
        import termios

        self.handle, self.inner = pty.openpty()
        fcntl.ioctl(self.inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self.inner)
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "numpy_resnet", "exercises", "watch"],
            cwd=path, stdin=self.inner, stdout=self.inner, stderr=subprocess.PIPE, start_new_session=True,
            env=environment | {"PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip
        self.text = ""

    def until(self, *words, seconds=60):
        """The screen as it was drawn last, once these words are on it."""
        import select

        end = time.monotonic() + seconds
        while any(word not in self.screen() for word in words):
            ready, _, _ = select.select([self.handle], [], [], max(0, end - time.monotonic()))
            assert ready, f"{words} did not come:\n{self.screen()}"
            self.text += os.read(self.handle, 2**16).decode(errors="replace")
        return self.screen()

    def screen(self):
        return re.sub(r"\x1b\[[\d;]*m", "", self.text.rpartition("\x1b[2J")[2])

    def press(self, key):
        os.write(self.handle, key.encode())

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        os.close(self.handle)
        os.close(self.inner)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
def test_a_real_terminal_from_the_first_screen_to_the_last(folder):
    import termios

    terminal = Terminal(folder.path)
    try:
        screen = terminal.until("q quit")
        assert terminal.text.startswith("\x1b[?1049h")
        screen = terminal.until("relu: not finished yet", "q quit")
        assert f"relu is not written yet (ex01_relu.py, line {TODO})" in screen
        assert screen.rpartition("\x1b[24;1H")[2].startswith("░" * 9 + " 0 of 4   h hint  n next")
        lines = screen.rpartition("\x1b[24;1H")[0].split("\r\n")
        assert max(map(len, lines)) <= 80
        terminal.press("h")
        terminal.until("relu, hint 1 of 3: the concept")
        save(folder, "relu")
        screen = terminal.until("relu: passed", "q quit")
        assert "n goes on." in screen
        assert " 1 of 4 " in screen
        assert terminal.process.poll() is None
        terminal.press("q")
        terminal.until("\x1b[?25h\x1b[?1049l")
        terminal.until("1 of 4\r\n")
        assert terminal.process.wait(30) == 0
        assert termios.tcgetattr(terminal.inner) == terminal.before
        assert b"Traceback" not in terminal.process.stderr.read()
    finally:
        terminal.close()
