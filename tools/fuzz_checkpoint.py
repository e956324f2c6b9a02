"""Look for a file that load_arrays neither reads nor refuses with a CheckpointError; runs until it is stopped.

    pip install atheris
    python tools/fuzz_checkpoint.py [-runs=100000] [FOLDER of files found so far]

It begins with small files of every format. A file that crashes, hangs or takes too much memory is kept.
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["numpy_resnet.checkpoint", "numpy_resnet.files", "zipfile", "tarfile", "json"]
):
    from numpy_resnet.checkpoint import CheckpointError, load_arrays

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from checkpoint.torch_files import SEEDS

FILE = Path(tempfile.mkdtemp()) / "file"


def one_file(content):
    FILE.write_bytes(content)
    with contextlib.suppress(CheckpointError):
        load_arrays(FILE)


def main():
    folder = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), tempfile.mkdtemp())
    for name, content in SEEDS.items():
        (Path(folder) / name).write_bytes(content)
    for path in Path(__file__).parents[1].glob("tests/golden/checkpoint_*.pth"):
        (Path(folder) / path.name).write_bytes(path.read_bytes())
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    atheris.Setup([sys.argv[0], "-rss_limit_mb=2048", "-timeout=20", *options, folder], one_file)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
