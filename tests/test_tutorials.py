"""Every tutorial runs from the first line to the last, and shows what it is about."""

import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "tutorials"
SHOWN = {
    "01_residual_block.py": (
        "2 x 64 x 56 x 56",
        "2 x 128 x 28 x 28",
        "the same array: True",
        "dx = branch + shortcut",
        "block.backward(dy) gives the same",
        "right",
        "WRONG",
    ),
}


def test_every_tutorial_is_listed():
    assert {path.name for path in FOLDER.glob("*.py")} == set(SHOWN)


@pytest.mark.real_size
@pytest.mark.parametrize("name", SHOWN)
def test_tutorial_runs(name, capsys):
    runpy.run_path(str(FOLDER / name))
    text = capsys.readouterr().out
    for part in SHOWN[name]:
        assert part in text
