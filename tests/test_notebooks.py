"""How a chapter becomes a notebook: its links, its first cell, and when it is run again."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("jupytext", reason="the extra [docs] is not installed")
pytest.importorskip("nbclient", reason="the extra [docs] is not installed")
sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import notebooks

CHAPTER = """# %% [markdown]
# # 1. A chapter, [the next](02_next.py), [a page](../docs/doctor.md)

# %%
{code}
"""


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    """A folder with one chapter; call it with its code."""
    monkeypatch.setattr(notebooks, "TUTORIALS", tmp_path)
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path / "notebooks")

    def write(code):
        path = tmp_path / "01_chapter.py"
        path.write_text(CHAPTER.format(code=code), encoding="utf-8")
        return path

    return write


def test_links_lead_from_the_folder_of_the_notebooks(chapter):
    install, text, code = notebooks.notebook(chapter("x = 1")).cells
    assert "find_spec" in install.source and install.metadata["tags"] == ["remove-cell"]
    assert text.source == "# 1. A chapter, [the next](02_next.ipynb), [a page](../../docs/doctor.md)"
    assert code.source == "x = 1"


def test_another_text_is_another_fingerprint(chapter, monkeypatch):
    first = notebooks.fingerprint(chapter("x = 1"))
    assert notebooks.fingerprint(chapter("x = 1")) == first
    assert notebooks.fingerprint(chapter("x = 2")) != first
    monkeypatch.setenv("NUMPY_RESNET_DATA", "elsewhere")
    assert notebooks.fingerprint(chapter("x = 1")) != first


def test_a_chapter_runs_once_until_it_changes(chapter, capsys):
    path = chapter("print(6 * 7)")
    notebooks.NOTEBOOKS.mkdir()
    (notebooks.NOTEBOOKS / "99_gone.ipynb").write_text("{}")
    assert notebooks.main([]) == 0
    assert "01_chapter" in capsys.readouterr().out
    assert '"42\\n"' in notebooks.out(path).read_text(encoding="utf-8")
    assert [file.name for file in notebooks.NOTEBOOKS.iterdir()] == ["01_chapter.ipynb"]
    assert notebooks.main([]) == 0
    assert "01_chapter" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "said"), [("1 / 0", "ZeroDivisionError"), ("import sys; sys.stderr.write('hm')", "wrote to stderr")]
)
def test_an_error_and_a_word_on_stderr_are_told_and_nothing_is_kept(chapter, capsys, code, said):
    path = chapter(code)
    assert notebooks.main([]) == 1
    assert said in capsys.readouterr().err
    assert not notebooks.out(path).exists()


def test_an_unknown_chapter_is_refused(chapter, capsys):
    chapter("x = 1")
    with pytest.raises(SystemExit, match="2"):
        notebooks.main(["07"])
    assert "no chapter begins with '07'; there are 01" in capsys.readouterr().err
