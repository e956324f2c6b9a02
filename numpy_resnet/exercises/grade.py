"""Submissions, graded: fresh inputs for each student, partial credit by check, the same numbers everywhere."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from numpy_resnet.exercises.catalogue import EXERCISES
from numpy_resnet.exercises.folder import prerequisites, read_source, read_sources, seed_of, with_ours
from numpy_resnet.exercises.judge import MISSING, Verdict, judge
from numpy_resnet.exercises.judges import Check
from numpy_resnet.kernels.threads import set_num_threads

POINTS = 10.0  # of an exercise


@dataclass(frozen=True)
class Grade:
    """What one student gets."""

    student: str
    seed: int
    verdicts: tuple
    points: tuple  # the most that each exercise gives

    @property
    def scores(self):
        return tuple(
            min(most, round(verdict.score * most, 2)) for verdict, most in zip(self.verdicts, self.points, strict=True)
        )

    @property
    def score(self):
        return min(self.most, round(sum(self.scores), 2))

    @property
    def most(self):
        return sum(self.points)

    @property
    def seconds(self):
        return sum(verdict.seconds for verdict in self.verdicts)

    def as_dict(self):
        """For JSON; no times, so that the same submission gives the same text."""
        exercises = [
            {
                "name": verdict.exercise,
                "status": verdict.status,
                "score": score,
                "most": most,
                "checks": [
                    {
                        "subject": check.subject,
                        "part": check.part,
                        "share": round(check.share, 4),
                        "weight": check.weight,
                        "text": check.text,
                    }
                    for check in verdict.checks
                ],
                "text": verdict.text,
            }
            for verdict, score, most in zip(self.verdicts, self.scores, self.points, strict=True)
        ]
        return {
            "student": self.student,
            "seed": self.seed,
            "score": self.score,
            "most": self.most,
            "exercises": exercises,
        }


def find_submissions(folders):
    """[(student, folder)]: each folder is a submission, or holds one folder for each.

    A folder in between, as zip files have it, is looked through.
    Raises ValueError for what is no folder, for none at all, and for two of one name.
    """
    found = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise ValueError(f"{folder} must be a folder: a submission, or one that holds submissions")
        several = not _has_exercises(folder) and _inner(folder)
        found += several or [folder]
    named = {path.resolve().name: _where_the_files_are(path) for path in found}
    if not found or len(named) < len(found):
        raise ValueError("there must be submissions, each in a folder with the student's name; two have the same name")
    return list(named.items())


def _has_exercises(folder):
    return any(folder.glob("ex*.py")) or any(folder.glob("ex*.ipynb"))


def _inner(folder):
    """The folders in a folder, but for what systems leave there."""
    inner = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    return sorted(inner)


def _where_the_files_are(folder):
    inner = [] if _has_exercises(folder) else [path for path in _inner(folder) if _has_exercises(path)]
    return inner[0] if len(inner) == 1 else folder


def grade_submission(student, folder, seed_from, names, points):
    """The Grade of one folder. Where an earlier exercise does not pass, ours stands in for it in the later ones."""
    exercises = [EXERCISES[name] for name in names]
    seed, passed, verdicts = seed_of(seed_from, student), set(), []
    sources = read_sources(folder, strict=False)
    for exercise in EXERCISES.values():
        if f"{exercise.file}.py" not in sources:
            verdict = _missing(exercise, _why_missing(folder, exercise.file))
        elif exercise in exercises or _is_needed(exercise, exercises):
            files, _ = with_ours(exercise, sources, passed)
            verdict = judge(exercise, files, seed=seed)
        else:
            continue
        passed |= {exercise.name} if verdict.passed else set()
        if exercise in exercises:
            verdicts.append(verdict)
    return Grade(student, seed, tuple(verdicts), tuple(points.get(e.name, POINTS) for e in exercises))


def _why_missing(folder, file):
    """What there is instead of an exercise's file, in words."""
    for path in (folder / f"{file}.py", folder / f"{file}.ipynb"):
        if path.exists() or path.is_symlink():
            try:
                read_source(path)
            except (ValueError, OSError) as error:
                return str(error)
    like = [path.name for path in sorted(folder.glob(f"{file}*"))]
    return f"{file}.py is missing" + (f"; there is {like[0]!r}" if like else "")


def _is_needed(exercise, exercises):
    return any(exercise in prerequisites(other) for other in exercises)


def _missing(exercise, text):
    checks = [Check(ask.subject, part, 0.0, weight) for ask in exercise.judges for part, weight in ask.parts.items()]
    return Verdict(exercise.name, MISSING, tuple(checks), text)


def grade_all(submissions, seed_from, exercises, points, jobs):
    """Grades in the order of the submissions, by so many processes."""
    names = [exercise.name for exercise in exercises]
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(jobs, mp_context=context, initializer=set_num_threads, initargs=(1,)) as pool,
        tqdm(total=len(submissions), desc="grading", unit="student", disable=None) as bar,
    ):
        waiting = [
            pool.submit(grade_submission, student, folder, seed_from, names, points) for student, folder in submissions
        ]
        for job in waiting:
            job.add_done_callback(lambda job: bar.update())
        return [_result(job, *submission, names, points) for job, submission in zip(waiting, submissions, strict=True)]


def _result(job, student, folder, names, points):
    """A Grade; of a job that failed one of nothing, with the reason: the others have theirs."""
    try:
        return job.result()
    except Exception as error:
        text = f"the grader failed, not this submission ({type(error).__name__}: {error}); please report it"
        exercises = [EXERCISES[name] for name in names]
        verdicts = tuple(_missing(exercise, text) for exercise in exercises)
        return Grade(student, 0, verdicts, tuple(points.get(name, POINTS) for name in names))
