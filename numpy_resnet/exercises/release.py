"""What students get, and the test that no answer is in it."""

import codecs
import json
import os
import re
from pathlib import Path

from numpy_resnet.exercises.catalogue import EXERCISES
from numpy_resnet.exercises.folder import STATE, Folder, exercise_file, prerequisites
from numpy_resnet.exercises.lessons import BEGIN, END
from numpy_resnet.files import write_text

README = """\
# Exercises: write a ResNet-18 yourself

{count}: {files}.

A file says why it matters, gives the shapes and an example by hand, and has TODOs where code is missing. The checks
come with the Python package numpy_resnet.

    numpy-resnet exercises watch      (in this folder) checks a file whenever you save it
    numpy-resnet exercises check {name}
    numpy-resnet exercises hint {name}
    numpy-resnet exercises list

Open {first} first.

{missing}
"""
OLD = {".git", ".hg", ".svn", ".ipynb_checkpoints", ".idea", ".vscode", "__pycache__"}
ARCHIVES = {".zip", ".tar", ".gz", ".bz2", ".xz", ".7z", ".rar", ".whl", ".tgz"}
SHORTEST = 14  # signs of a solution that nobody writes by accident


def release(path, exercises, most_hints=3, notebooks=False):
    """Write a folder for students, new or empty: exercises without solutions, a README, and nothing else.

    Raises ValueError where something is in the folder, and if an answer were to be found there afterwards.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(f"{path} must be a folder that is new or empty")
    Folder.start(path, "", exercises, most_hints, notebooks)
    first, _ = exercise_file(exercises[0], notebooks)
    names = [exercise_file(exercise, notebooks)[0] for exercise in exercises]
    needed = {other.file for exercise in exercises for other in prerequisites(exercise)}
    absent = sorted(needed - {exercise.file for exercise in exercises})
    missing = f"Some import from {', '.join(absent)}: `check` takes ours; put yours here to run a file by itself."
    count = f"{len(names)} files, in this order" if len(names) > 1 else "One file"
    words = {"count": count, "files": ", ".join(names), "first": first, "name": exercises[0].name}
    write_text(path / "README.md", README.format(**words, missing=missing if absent else "").rstrip() + "\n")
    allowed = {exercise_file(exercise, notebooks)[0] for exercise in exercises} | {"README.md", STATE}
    found = find_leaks(path)
    if found or {entry.name for entry in path.iterdir()} != allowed:
        raise ValueError(f"{path} must not go out: {'; '.join(found) or 'there are files that nobody wrote'}")
    return sorted(allowed)


def find_leaks(path):
    """Where answers may be read in a folder, in words: solution text, byte code, outputs of notebooks, history."""
    found, answers = [], _answers()
    for folder, names, files in os.walk(path):
        for name in sorted(set(names) & OLD):
            found.append(f"{_short(path, folder, name)} keeps what was there before, or byte code")
            names.remove(name)
        found += [f"{_short(path, folder, n)} is a link" for n in sorted(names) if Path(folder, n).is_symlink()]
        for name in sorted(files):
            file = Path(folder, name)
            place = _short(path, folder, name)
            if file.is_symlink():
                found.append(f"{place} is a link")
            elif file.suffix in (".pyc", ".pyo"):
                found.append(f"{place} is byte code")
            elif file.suffix.lower() in ARCHIVES or file.read_bytes()[:2] in (b"PK", b"\x1f\x8b"):
                found.append(f"{place} is an archive, which nobody has looked into")
            elif re.search(r"(\.bak|\.orig|\.rej|~|\.swp|\.swo)$", name):
                found.append(f"{place} is an older version")
            else:
                found += [f"{place} {what}" for what in _leaks_of(file, answers)]
    return found


def _short(path, folder, name):
    return str(Path(folder, name).relative_to(path))


def _leaks_of(file, answers):
    data = file.read_bytes()
    wide = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    text = data.decode("utf-16" if wide else "utf-8", errors="replace")
    if file.suffix == ".ipynb":
        try:
            cells = json.loads(text)["cells"]
            if any(cell.get("outputs") or cell.get("execution_count") for cell in cells):
                yield "has outputs"
            text = "\n".join("".join(cell["source"]) for cell in cells) + text
        except (ValueError, KeyError, TypeError, AttributeError):
            yield "is no notebook that can be read"
    if BEGIN in text or END in text:
        yield "has the marks of a solution"
    bare = _bare(text)
    for exercise, kind, answer in answers:
        if answer in bare:
            yield f"has the {kind} of {exercise}"
            return


def _answers():
    """(exercise, kind, text without spaces) of all that must not be seen: solutions and derivations."""
    given = "".join(_bare(exercise.lesson.student_source()) for exercise in EXERCISES.values())
    found = []
    for exercise in EXERCISES.values():
        lesson = exercise.lesson
        blocks = re.findall(rf"{BEGIN}\n(.*?){END}", lesson.source, re.S)
        parts = [("solution", block) for block in blocks]
        parts += [("solution", line) for line in lesson.solution_lines()]
        for cell in lesson.cells:
            if cell.kind == "derivation":
                parts += [("derivation", paragraph) for paragraph in cell.text.split("\n\n")]
        for kind, part in parts:
            least = SHORTEST if "\n" in part or kind == "solution" else 40
            if len(bare := _bare(part)) >= least and bare not in given:
                found.append((exercise.name, kind, bare))
    return found


def _bare(text):
    """Without spaces, comment signs and JSON's escapes."""
    return re.sub(r'\\n|\\"|[\s#"\\]', "", text)
