"""The zoo, and what was measured on it."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from numpy_resnet.exercises import zoo
from numpy_resnet.gradcheck import CAUSES, SPECS

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "doctor"


def test_there_are_many_bugs_of_every_op():
    assert len(zoo.BUGS) == sum(len(enclosure.bugs) for enclosure in zoo.ENCLOSURES.values()) >= 250
    assert set(zoo.ENCLOSURES) == set(SPECS) - {"batchnorm2d_relu", "batchnorm2d_add_relu"}
    counts = Counter(bug.op for bug in zoo.BUGS.values())
    assert min(counts.values()) >= 5
    assert counts["conv2d"] >= 20
    assert counts["batchnorm2d"] >= 30


@pytest.mark.parametrize("name", zoo.BUGS)
def test_a_bug_says_what_one_sees_and_how_it_came_about(name):
    bug = zoo.BUGS[name]
    assert name.split("/")[0] == bug.op
    assert set(bug.causes) <= set(CAUSES)
    assert bug.symptom.endswith((".", ")"))
    assert bug.story.endswith((".", '"', "!", "?", ")"))
    right = zoo.ENCLOSURES[bug.op]
    assert (bug.f is not right.f) or (bug.f_backward is not right.f_backward)


def read(name):
    return json.loads((RESULTS / name).read_text())


def test_the_committed_matrix_is_of_this_zoo_and_the_doctor_found_all():
    bugs = read("matrix.json")["bugs"]
    assert set(bugs) == set(zoo.BUGS)
    for name, row in bugs.items():
        assert tuple(row["causes"]) == zoo.BUGS[name].causes
        assert row["found"][6], name
    assert sum(row["first_right"] for row in bugs.values()) >= 0.85 * len(bugs)
    assert sum(row["one_of_three_right"] for row in bugs.values()) >= 0.95 * len(bugs)
    found = [sum(row["found"][style] for row in bugs.values()) for style in range(7)]
    assert found[0] < found[2] < found[4] < found[5] < found[6] == len(bugs)


def test_the_committed_alarms_are_none_in_a_thousand_seeds_for_each_op():
    rows = read("alarms.json")
    assert {row["op"] for row in rows} == set(SPECS)
    for row in rows:
        assert row["alarms"] == [], row["op"]
        assert row["seeds"] >= (200 if row["op"].endswith("_block") else 1000), row["op"]


def test_every_mutant_was_caught_or_explained():
    told = read("mutants.json")
    assert sum(row["mutants"] for row in told["counts"]) >= 500
    for row in told["counts"]:
        assert row["mutants"] == row["caught"] + row["equivalent"], row
    assert all(reason for reason in told["equivalent"].values())


def test_a_few_mutants_are_caught_or_explained_now():
    command = [sys.executable, str(ROOT / "tools" / "mutants.py"), "--few", "60"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
