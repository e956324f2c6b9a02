"""Run the tutorials and keep what they print and draw, as notebooks in tutorials/notebooks.

python tools/notebooks.py             those that changed since, or whose package did
python tools/notebooks.py 02 05       these
"""

import argparse
import hashlib
import os
import platform
import re
import sys
import time
from importlib import metadata
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm

from numpy_resnet import files

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "tutorials"
NOTEBOOKS = TUTORIALS / "notebooks"
READ = ("benchmarks/results/depth.json", "docs/doctor/matrix.json", "tests/golden/checkpoint*")  # by some chapters
INSTALL = """\
# In a clone of the repository: installs numpy_resnet, if it is missing.
import importlib.util

if importlib.util.find_spec("numpy_resnet") is None:
    %pip install --quiet --editable ../..
    import sys

    sys.path.insert(0, "../..")  # until the kernel is started anew"""


def chapters(words=()):
    """The percent scripts, in order; those whose names begin with one of the words, if there are any."""
    found = sorted(TUTORIALS.glob("[0-9]*.py"))
    return [path for path in found if not words or path.name.startswith(tuple(words))]


def notebook(path):
    """A chapter as a notebook, not run yet."""
    made = jupytext.read(path, fmt="py:percent")
    made.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    made.cells.insert(0, nbformat.v4.new_code_cell(INSTALL, metadata={"tags": ["remove-cell"]}))
    for number, cell in enumerate(made.cells):
        cell["id"] = f"cell-{number}"
        if cell.cell_type == "markdown":
            # the other chapters are notebooks, too, and all else is one folder further away
            cell.source = re.sub(r"\]\((\d\d_\w+)\.py\)", r"](\1.ipynb)", cell.source).replace("](../", "](../../")
    return made


def fingerprint(path):
    """What a chapter's output depends on, in short."""
    package = (source for source in (ROOT / "numpy_resnet").rglob("*") if source.suffix in (".py", ".npz", ".txt"))
    read = (source for pattern in READ for source in ROOT.glob(pattern))
    sources = [path, Path(__file__), *sorted(package), *sorted(read)]
    versions = [platform.python_version(), *map(metadata.version, ("numpy", "numba", "matplotlib"))]
    about = hashlib.sha256(f"{versions} {os.environ.get('NUMPY_RESNET_DATA')}".encode())
    for source in sources:
        about.update(source.read_bytes())
    return about.hexdigest()


def is_fresh(path, made_from):
    """Whether the notebook of a chapter is that of today's sources."""
    if not path.exists():
        return False
    return nbformat.read(path, as_version=4).metadata.get("numpy_resnet", {}).get("made_from") == made_from


def run(path):
    """Run a chapter and write its notebook.   -> seconds; raises CellExecutionError, and ValueError for warnings"""
    made, made_from, start = notebook(path), fingerprint(path), time.perf_counter()
    options = {"resources": {"metadata": {"path": NOTEBOOKS}}, "extra_arguments": ["--log-level=ERROR"]}
    NotebookClient(made, timeout=600, startup_timeout=300, coalesce_streams=True, **options).execute()
    seconds = time.perf_counter() - start
    for cell in made.cells:
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":
                raise ValueError(f"{path.name} wrote to stderr, which no chapter should: {output.text}")
        cell.metadata.pop("execution", None)  # times of day
    made.metadata["numpy_resnet"] = {"made_from": made_from}
    files.write_text(out(path), nbformat.writes(made))
    return seconds


def out(path):
    return NOTEBOOKS / f"{path.stem}.ipynb"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", help="01, 02 ...: run these, even if nothing changed")
    words = parser.parse_args(argv).chapters
    if unknown := [word for word in words if not chapters([word])]:
        parser.error(f"no chapter begins with {unknown[0]!r}; there are {', '.join(p.stem[:2] for p in chapters())}")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # kernels must not spin while a neighbour wants a core
    NOTEBOOKS.mkdir(exist_ok=True)
    todo = [path for path in chapters(words) if words or not is_fresh(out(path), fingerprint(path))]
    for path in tqdm(todo, desc="tutorials", unit="chapter", disable=None):
        try:
            seconds = run(path)
        except (CellExecutionError, ValueError) as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            return 1
        tqdm.write(f"{path.stem:<32} {seconds:5.1f} s")
    for old in NOTEBOOKS.glob("*.ipynb"):
        if not (TUTORIALS / f"{old.stem}.py").exists():
            old.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
