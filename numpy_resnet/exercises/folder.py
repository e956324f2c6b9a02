"""A student's folder: the files of the exercises, and course.json, which remembers what has passed."""

import difflib
import getpass
import hashlib
import json
import re
import threading
from pathlib import Path

from numpy_resnet.exercises.catalogue import EXERCISES
from numpy_resnet.exercises.judge import judge
from numpy_resnet.exercises.lessons import from_notebook, load_lesson, to_notebook
from numpy_resnet.files import atomic_write, write_text

STATE = "course.json"
LARGEST = 2**20  # bytes of one file


def account():
    """The name of whoever is logged in."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # nobody, as in some containers
        return "student"


def seed_of(*words):
    """A seed that depends on nothing but these words: a student's name, a term."""
    digest = hashlib.sha256("\n".join(words).encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:4], "big")


def check_names(names):
    """The exercises of these names, files, numbers or beginnings, in the order of the course.

    Raises ValueError for one that is none, or could be several.
    """
    wanted = {_full_name(name) for name in names}
    return [exercise for name, exercise in EXERCISES.items() if name in wanted]


def _full_name(text):
    """relu for relu, ex01_relu.py, ex01, 1 and rel."""
    name = re.sub(r"^ex\d+_", "", Path(text).name.lower().removesuffix(".py").removesuffix(".ipynb"))
    if number := re.fullmatch(r"(?:ex)?0*(\d+)", name):
        name = next((e.name for e in EXERCISES.values() if int(e.file[2:4]) == int(number[1])), name)
    found = [name] if name in EXERCISES else [other for other in EXERCISES if name and other.startswith(name)]
    if len(found) == 1:
        return found[0]
    like = found or difflib.get_close_matches(name, EXERCISES, 3, 0.5)
    meant = f"did you mean {' or '.join(like)}?" if like else "`numpy-resnet exercises list` shows all"
    raise ValueError(f"there is no exercise called {text!r}; {meant}")


def prerequisites(exercise):
    """The exercises whose functions this one imports, and those that they import, in the order of the course."""
    found, todo = set(), [exercise.file]
    while todo:
        source = load_lesson(todo.pop()).source
        new = set(re.findall(r"^from (ex\d+_\w+) import", source, re.M)) - found
        found |= new
        todo += new
    return [other for other in EXERCISES.values() if other.file in found]


def read_sources(folder, strict=True):
    """{name.py: source} of the Python files and notebooks that lie directly in a folder; scripts go before notebooks.

    Raises ValueError for a file of more than a megabyte, a link, and a notebook that is none; without `strict` such are
    left out.
    """
    sources = {}
    for path in sorted(Path(folder).glob("*.ipynb")) + sorted(Path(folder).glob("*.py")):
        try:
            sources[f"{path.stem}.py"] = read_source(path)
        except (ValueError, OSError):
            if strict:
                raise
    return sources


def read_source(path):
    """The code of a script or a notebook."""
    if path.is_symlink():
        raise ValueError(f"{path.name} is a link: put the file itself there")
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path.name} has {path.stat().st_size:,} bytes; an exercise has at most {LARGEST:,}")
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    try:
        return from_notebook(text) if path.suffix == ".ipynb" else text
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def with_ours(exercise, sources, passed):
    """The files for the child, and the names of prerequisites where ours stands in for one that has not passed."""
    ours = [other for other in prerequisites(exercise) if other.name not in passed]
    files = sources | {f"{other.file}.py": other.lesson.solved_source() for other in ours}
    return files, [other.name for other in ours]


class Folder:
    """What a student has.   Raises ValueError for a folder that `start` has not made."""

    def __init__(self, path):
        self.path, self.lock = Path(path), threading.Lock()
        try:
            self.state = json.loads((self.path / STATE).read_text(encoding="utf-8"))
            unknown = sorted(set(self.state["exercises"]) - set(EXERCISES), key=str)
            self.name = self.state["name"] or account()
            self.passed, self.given = self.state["passed"], self.state["hints"]
            self.exercises = [EXERCISES[name] for name in self.state["exercises"] if name in EXERCISES]
            self.most_hints = int(self.state["most_hints"])
            whole = all(isinstance(n, int) for n in self.given.values()) and self.passed.keys() <= EXERCISES.keys()
            if not (self.state["exercises"] and whole and isinstance(self.name, str)):
                raise ValueError("a part of it is of another kind")
        except FileNotFoundError:
            inner = sorted(path.parent.name for path in self.path.glob(f"*/{STATE}"))
            do = (
                f"there are some in {inner[0]}: cd {inner[0]}"
                if inner
                else "`numpy-resnet exercises start DIR` makes some"
            )
            raise ValueError(
                f"there are no exercises in {self.path.resolve()}; {do}, or name their folder with --dir"
            ) from None
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise ValueError(
                f"{self.path / STATE} is not what `start` writes ({error!r}); start anew beside it"
            ) from None
        if unknown:
            raise ValueError(
                f"{self.path / STATE} has the exercise {unknown[0]!r}, which this installation does not know: "
                "install numpy_resnet as your course has it"
            )

    @classmethod
    def start(cls, path, name, exercises, most_hints=3, notebooks=False):
        """Write the files that are not there yet; those that are stay as they are. -> Folder, [files that stayed]

        In a folder that was started before, the exercises are added to those that it has.
        """
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise ValueError(f"{path} must be a folder, or a name that is free; it is a file")
        path.mkdir(parents=True, exist_ok=True)
        stayed = []
        for exercise in exercises:
            file, text = exercise_file(exercise, notebooks)
            if (path / file).exists():
                stayed.append(file)
            else:
                write_text(path / file, text)
        state = {"name": name, "exercises": [], "most_hints": most_hints, "passed": {}, "hints": {}}
        if (path / STATE).exists():
            state = cls(path).state
        wanted = {exercise.name for exercise in exercises} | set(state["exercises"])
        state["exercises"] = [name for name in EXERCISES if name in wanted]
        write_text(path / STATE, json.dumps(state, indent=1) + "\n")
        return cls(path), stayed

    @property
    def seed(self):
        return seed_of(self.name)

    def _remember(self, what, exercise, value):
        """One change in course.json, which another terminal may have changed since; None takes something out."""
        with self.lock:
            now = Folder(self.path)
            changed = {name: old for name, old in now.state[what].items() if name != exercise.name}
            now.state[what] = changed if value is None else changed | {exercise.name: value}
            write_text(self.path / STATE, json.dumps(now.state, indent=1) + "\n")
            self.state, self.exercises = now.state, now.exercises
            self.passed, self.given = (
                now.state["passed"],
                now.state["hints"],
            )  # new dicts: others may be reading the old

    def find(self, name=None):
        """The exercise of this name; without one the first that has not passed, or None."""
        if name is not None:
            (exercise,) = check_names([name])
            if exercise not in self.exercises:
                raise ValueError(f"{exercise.name} is not among the exercises of this folder")
            return exercise
        done = self.done()
        return next((e for e in self.exercises if e.name not in done), None)

    def file(self, exercise):
        """The path of the student's file: a script, or a notebook where there is no script."""
        script, notebook = (self.path / f"{exercise.file}.{ending}" for ending in ("py", "ipynb"))
        return notebook if notebook.exists() and not script.exists() else script

    def done(self):
        """The names of exercises that have passed, and whose file has not changed since."""
        sources = read_sources(self.path, strict=False)
        return {name for name, stamp in self.passed.items() if stamp == _stamp(sources, EXERCISES[name])}

    def check(self, exercise, **how):
        """(Verdict, names of exercises where ours stands in); what passes is remembered.   how: what else judge takes

        Raises ValueError where the file is missing.
        """
        if not self.file(exercise).exists():
            name = self.file(exercise).name
            raise ValueError(f"{name} is not there: `numpy-resnet exercises reset {exercise.name}` brings it back")
        read_source(self.file(exercise))  # of the others, what can be read will do
        files, ours = with_ours(exercise, read_sources(self.path, strict=False), self.done())
        verdict = judge(exercise, files, seed=self.seed, **how)
        self._remember("passed", exercise, _stamp(files, exercise) if verdict.passed else None)
        return verdict, ours

    def hint(self, exercise, again=False):
        """(number, text) of the next hint, or of the last that was given; None where there is none left."""
        number = self.given.get(exercise.name, 0) + (not again)
        if not 1 <= number <= min(self.most_hints, len(exercise.lesson.hints)):
            return None
        if not again:
            self._remember("hints", exercise, number)
        return number, exercise.lesson.hints[number - 1]

    def reset(self, exercise):
        """The file as it was in the beginning; -> the path of the backup, or None if there was no file."""
        path, backup = self.file(exercise), None
        file, text = exercise_file(exercise, path.suffix == ".ipynb")
        if path.exists():
            numbers = (n for n in range(1, 10_000) if not (self.path / f"{path.name}.{n}.bak").exists())
            backup = self.path / f"{path.name}.{next(numbers)}.bak"
            with atomic_write(backup) as kept:
                kept.write(path.read_bytes())
        write_text(self.path / file, text)
        self._remember("passed", exercise, None)
        return backup


def exercise_file(exercise, notebook=False):
    """(name, text) of the file that a student gets."""
    source = exercise.lesson.student_source()
    return (f"{exercise.file}.ipynb", to_notebook(source)) if notebook else (f"{exercise.file}.py", source)


def _stamp(sources, exercise):
    source = sources.get(f"{exercise.file}.py", "")
    return hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()
