"""The benchmarks' own machinery, with ourselves as the only contender."""

import json
import re

import pytest
import report
import results
import turns

WORK = {"model": "cifar_resnet20", "options": {}, "batch": 2, "size": 8, "train": False}


@pytest.mark.real_size
@pytest.mark.parametrize("train", [False, True])
def test_a_row_is_measured_in_turns(train):
    said = []
    figures = turns.compare(
        ["numpy_resnet", "nobody"], {**WORK, "train": train}, threads=1, rounds=2, seconds=0.01, say=said.append
    )
    assert list(figures) == ["numpy_resnet"]
    ours = figures["numpy_resnet"]
    assert ours["iterations"] >= 2
    assert 0 < ours["quartiles"][0] <= ours["median"] <= ours["quartiles"][1]
    assert ours["memory"] > 0
    assert len(said) == 1
    assert said[0].startswith("  skipped: nobody: ")


class Pretender:
    """A contender that answers what it is told to."""

    version = "1"

    def __init__(self, name, result):
        self.name, self.result, self.closed = name, result, False

    def ask(self, **question):
        return {"prepare": self.result, "run": [0.2, 0.1, 0.3], "memory": 5.0}[next(iter(question))]

    def close(self):
        self.closed = True


def test_one_that_computes_something_else_is_an_error():
    made = {"a": Pretender("a", [1.0, 2.0]), "b": Pretender("b", [1.0, 2.1])}
    with pytest.raises(turns.Failed, match=r"b computes something else: it differs by 5.*e-02"):
        turns.compare(["a", "b"], WORK, threads=1, rounds=1, make=lambda name, threads: made[name])
    assert all(contender.closed for contender in made.values())


def test_medians_and_quartiles(monkeypatch):
    monkeypatch.setattr(turns, "PAUSE", 0)
    figures = turns.compare(["a"], WORK, threads=1, rounds=2, make=lambda name, threads: Pretender(name, [1.0]))
    assert figures["a"] == {
        "version": "1", "differs": 0, "memory": 5.0, "median": 0.2, "quartiles": [0.1, 0.3], "iterations": 6,
    }  # fmt: skip


def test_a_table():
    assert report.table(["", "ms"], [["a", 1], ["b", 2]]) == "|  | ms |\n| --- | ---: |\n| a | 1 |\n| b | 2 |"


def test_figures_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    assert results.load("network") == {}
    results.save("network", {"rows": 1})
    assert results.load("network") == {"rows": 1}
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["network.json"]


def test_the_tables_are_those_of_the_figures():
    """Whoever measures again must run report.py, too."""
    text = report.README.read_text(encoding="utf-8")
    for part in (report.network, report.layers, report.teaching, report.scaling):
        (shown,) = re.findall(rf"<!-- {part.__name__} -->\n(.*?)<!-- end", text, re.DOTALL)
        assert results.load(part.__name__), f"{part.__name__} was never measured"
        assert shown.strip() == part().strip()


def test_the_environment_can_be_written():
    told = json.loads(json.dumps(results.environment(2)))
    assert told["threads"] == 2
    assert told["cpu"]
