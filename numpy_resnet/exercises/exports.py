"""Grades for others: JSON, Gradescope's results.json, JUnit's XML."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

from numpy_resnet import __version__
from numpy_resnet.exercises.catalogue import EXERCISES
from numpy_resnet.exercises.judge import MISSING, clean
from numpy_resnet.exercises.report import Paint, verdict_lines
from numpy_resnet.files import write_text

SCHEMA = Path(__file__).with_name("grades.schema.json")  # what `grade --json` writes


def to_json(grades, seed_from):
    content = {
        "version": 1,
        "made_by": f"numpy_resnet {__version__}",
        "seed_from": seed_from,
        "grades": [grade.as_dict() for grade in grades],
    }
    return json.dumps(content, indent=1) + "\n"


def to_gradescope(grade):
    """results.json of one student, as Gradescope's autograder wants it."""
    tests = []
    for verdict, score, most in zip(grade.verdicts, grade.scores, grade.points, strict=True):
        lines = verdict_lines(verdict, EXERCISES[verdict.exercise], [], Paint(None, wide=True))
        tests.append(
            {
                "name": verdict.exercise,
                "score": score,
                "max_score": most,
                "status": "passed" if verdict.passed else "failed",
                "output": "\n".join(lines),
                "output_format": "text",
                "visibility": "visible",
            }
        )
    content = {
        "score": grade.score,
        "execution_time": round(grade.seconds, 1),
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
    }
    return json.dumps(content, indent=1) + "\n"


def to_junit(grades):
    """One suite for each student, one case for each check."""
    suites = ElementTree.Element("testsuites", name="numpy_resnet exercises")
    for grade in grades:
        cases = [(verdict, check) for verdict in grade.verdicts for check in verdict.checks]
        failures = sum(not check.passed for _, check in cases)
        suite = ElementTree.SubElement(
            suites, "testsuite", name=_printable(grade.student), tests=str(len(cases)), failures=str(failures),
            errors="0", time=f"{grade.seconds:.1f}",
        )  # fmt: skip
        for verdict, check in cases:
            name = f"{check.subject}: {check.part}"
            case = ElementTree.SubElement(suite, "testcase", classname=verdict.exercise, name=name)
            if check.passed:
                continue
            failure = ElementTree.SubElement(case, "failure", message=f"{check.share:.0%} of it")
            first = next((c.text for c in verdict.checks if c.subject == check.subject and c.text), verdict.text)
            failure.text = _printable(check.text or ("" if check.asked else "not asked: ") + first.partition("\n")[0])
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _printable(text):
    """XML knows no control characters."""
    return re.sub(r"[^\t\n\x20-\ud7ff\ue000-\ufffd]", "?", text)


def check_gradescope(path, count):
    """Raises ValueError where so many students do not go into this path."""
    if Path(path).suffix == ".json" and count > 1:
        raise ValueError(f"{path} is one file, and there are {count} students: name a folder")


def write_gradescope(path, grades):
    """A file for one student; a folder with a file for each of several."""
    check_gradescope(path, len(grades))
    path = Path(path)
    if path.suffix == ".json":
        write_text(path, to_gradescope(grades[0]))
        return
    path.mkdir(parents=True, exist_ok=True)
    for grade in grades:
        write_text(path / f"{grade.student}.json", to_gradescope(grade))


def table(grades):
    """A row for each student, a column for each exercise by its number."""
    wide = max([len("student"), *(len(grade.student) for grade in grades)])
    wide = min(wide, 24)
    numbers = [re.sub(r"\D+.*", "", file.removeprefix("ex")) for file in _files(grades[0])]
    yield f"{'student':<{wide}}  {'score':>7}  " + " ".join(f"{n:>5}" for n in numbers) + f"  {'time':>6}"
    for grade in grades:
        cells = " ".join(f"{score:>5.4g}" for score in grade.scores)
        yield f"{clean(grade.student)[:wide]:<{wide}}  {grade.score:>7.4g}  {cells}  {grade.seconds:>4.0f} s"
    most = " ".join(f"{points:>5.4g}" for points in grades[0].points)
    yield f"{'of':<{wide}}  {grades[0].most:>7.4g}  {most}"
    for grade in grades:
        if all(verdict.status == MISSING for verdict in grade.verdicts):
            yield f"no exercise files: {clean(grade.student)}"


def _files(grade):
    return [EXERCISES[verdict.exercise].file for verdict in grade.verdicts]
