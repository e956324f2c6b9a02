"""A dict of arrays in one file, with a note beside them: what every model file is made of."""

import json
from pathlib import Path

import numpy as np

from numpy_resnet import files

METADATA = "__metadata__"  # the one name that no array may have: the note, as the bytes of its JSON
WRITERS = {".npz": files.write_npz}


class CheckpointError(ValueError):
    """A file that cannot be a checkpoint, or is one no longer."""


def save_arrays(path, arrays, metadata=None):
    """Write a dict of arrays, and `metadata`, a dict for JSON; if that goes wrong, an older file stays whole.

    The extension says the format: .npz, which np.load reads too. Dtypes and shapes are kept; JSON turns the
    tuples and the keys of the metadata into lists and strings.
    Raises CheckpointError for another extension or a reserved name, TypeError for what can only be pickled.
    """
    extension = Path(path).suffix.lower()
    if extension not in WRITERS:
        raise CheckpointError(f"cannot write {path}: the extension must be one of {', '.join(WRITERS)}")
    if METADATA in arrays:
        raise CheckpointError(f"cannot write {path}: {METADATA} is reserved; give that array another name")
    if metadata is not None:
        arrays = {**arrays, METADATA: _encode(metadata)}
    WRITERS[extension](path, arrays)


def load_arrays(path):
    """The arrays of a checkpoint by name, whatever its extension; nothing in it is executed.

    Raises CheckpointError for a file that is broken or something else, FileNotFoundError where there is none.
    """
    return {name: array for name, array in _read(path).items() if name != METADATA}


def load_metadata(path):
    """The metadata of a checkpoint, {} if it has none.   Raises as load_arrays does."""
    return load_both(path)[1]


def load_both(path):
    """The arrays and the metadata, of one moment: the file is read once.   Raises as load_arrays does."""
    arrays = _read(path)
    note = arrays.pop(METADATA, None)
    return arrays, {} if note is None else _decode(path, note)


def _decode(path, note):
    try:
        metadata = json.loads(note.tobytes())
    except (ValueError, RecursionError) as error:  # the latter for a thousand brackets
        raise CheckpointError(f"{path}: expected JSON under {METADATA}; {error}") from error
    if not isinstance(metadata, dict):
        raise CheckpointError(f"{path}: expected a dict under {METADATA}; got {type(metadata).__name__}")
    return metadata


def _encode(metadata):
    if not isinstance(metadata, dict):
        raise TypeError(f"metadata must be a dict; got {type(metadata).__name__}")
    try:
        return np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    except TypeError as error:
        raise TypeError(f"metadata must be text, numbers, lists and dicts, for JSON; {error}") from error


def _read(path):
    try:
        return files.read_npz(path)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
