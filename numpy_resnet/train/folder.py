"""The folder of a run: what is in it, and that two runs never share one.

config.json   the settings, and the versions of what ran
last.npz      weights, optimizer and progress: `--resume` goes on from it
best.npz      weights of the epoch with the lowest validation loss
history.csv   a row for each epoch
*.png         learning curves, first-layer filters
"""

import contextlib
import csv
import io
import json
from pathlib import Path

from numpy_resnet import files

try:
    import fcntl
except ImportError:  # Windows has no such lock
    fcntl = None


LOCK = ".lock"


def _is_content(path):
    return path.name != LOCK and path.suffix != ".unfinished"


def new_folder(wanted, default):
    """Make the folder to write into: `wanted`, which must be new or empty, or default, default-2, ... -> Path"""
    if wanted is not None:
        check_new(wanted)
        Path(wanted).mkdir(parents=True, exist_ok=True)
        return Path(wanted)
    folder, number = Path(default), 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
            folder = Path(default).with_name(f"{Path(default).name}-{number}")


def check_new(folder):
    """Raises ValueError for a folder that holds something."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(map(_is_content, folder.iterdir()))):
        raise ValueError(f"{folder} exists and is not empty: give another name, or move that away")


def newest_run(runs="runs"):
    """The folder below `runs` that was trained last.   Raises ValueError if there is none"""
    found = list(Path(runs).glob("*/last.npz"))
    if not found:
        raise ValueError(f"there is no run in {runs}/ yet: `numpy-resnet train` makes one, or name another folder")
    return max(found, key=lambda path: path.stat().st_mtime).parent


@contextlib.contextmanager
def alone(folder):
    """Nobody else may write into the folder until the block ends.   Raises ValueError if somebody does"""
    with open(Path(folder) / LOCK, "ab") as lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"{folder} is being written by another process: wait for it, or stop it") from None
        files.remove_unfinished(folder)
        yield


def write_json(path, content):
    """A dict, for people and programs."""
    files.write_text(path, json.dumps(content, indent=2) + "\n")


def read_config(folder):
    """What config.json of a run says.   Raises ValueError for a folder that is no run"""
    path = Path(folder) / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder} is no run: it has no config.json, which `numpy-resnet train` writes") from None
    except ValueError as error:
        raise ValueError(f"{path} must be JSON, as `numpy-resnet train` writes it; {error}") from None
    keys = ("settings", "versions", "fingerprints")
    if not isinstance(config, dict) or not all(isinstance(config.get(key), dict) for key in keys):
        raise ValueError(f"{path} must hold {', '.join(keys)} of a run; it does not")
    return config


def write_csv(path, rows):
    """Dicts with the same keys, as a table."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    files.write_text(path, text.getvalue())


def save_picture(path, figure):
    """A Figure as PNG."""
    with files.atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)
