"""A dict of arrays in one file, with a note beside them: what every model file is made of."""

import json
import zipfile
from pathlib import Path

import numpy as np

from numpy_resnet import files
from numpy_resnet.checkpoint import pytorch, safetensors
from numpy_resnet.checkpoint.errors import CheckpointError

METADATA = "__metadata__"  # the one name that no array may have: in .npz the note, as the bytes of its JSON
PYTORCH = (".pth", ".pt", ".th")
EXTENSIONS = (".npz", ".safetensors", *PYTORCH)


def save_arrays(path, arrays, metadata=None):
    """Write a dict of arrays, and `metadata`, a dict for JSON; if that goes wrong, an older file stays whole.

    The extension says the format: .npz, which np.load reads too; .safetensors; .pth, .pt or .th, for torch.load.
    Dtypes and shapes are kept; JSON turns the tuples and the keys of the metadata into lists and strings.
    Raises CheckpointError for another extension, a reserved name, or a dtype that the format does not have, TypeError
    for what can only be pickled.
    """
    extension = Path(path).suffix.lower()
    if extension not in EXTENSIONS:
        raise CheckpointError(f"cannot write {path}: the extension must be one of {', '.join(EXTENSIONS)}")
    if METADATA in arrays:
        raise CheckpointError(f"cannot write {path}: {METADATA} is reserved; give that array another name")
    for name in arrays:
        if not isinstance(name, str):
            raise TypeError(f"names of arrays must be strings; got {name!r}")
    note = None if metadata is None else _encode(metadata)
    if extension == ".npz":
        files.write_npz(path, arrays if note is None else {**arrays, METADATA: np.frombuffer(note, np.uint8)})
        return
    write = pytorch.write if extension in PYTORCH else safetensors.write
    with files.atomic_write(path) as file:
        write(file, arrays, metadata)


def load_arrays(path):
    """The arrays of a checkpoint by name, whatever its extension; nothing in it is executed.

    It may be an .npz file, safetensors, or what torch.save wrote in any of its formats: names in dicts and lists are
    joined by dots, bfloat16 becomes float32, and arrays share memory where the tensors did.
    Raises CheckpointError for a file that is broken or something else, FileNotFoundError where there is none.
    """
    return _read(path)[0]


def load_metadata(path):
    """The metadata of a checkpoint, {} if it has none.   Raises as load_arrays does."""
    return load_both(path)[1]


def load_both(path):
    """The arrays and the metadata, of one moment: the file is read once.   Raises as load_arrays does."""
    arrays, note = _read(path)
    if isinstance(note, bytes):
        try:
            note = json.loads(note)
        except (ValueError, RecursionError) as error:  # the latter for a thousand brackets
            raise CheckpointError(f"{path}: expected JSON under {METADATA}; {error}") from error
    if not isinstance(note, dict):
        raise CheckpointError(f"{path}: expected a dict under {METADATA}; got {type(note).__name__}")
    return arrays, note


def _read(path):
    """The arrays, and the note on them: a dict, or the bytes of its JSON."""
    with open(path, "rb") as file:
        window = files.Window(file)
        head = window.read(512)
        window.seek(0)
        try:
            return _reader(head, window)(window)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error
        except Exception as error:  # zip, tar, zlib and NumPy's headers each have their own ways to fail
            raise CheckpointError(
                f"{path}: the file is broken or cut short: {error or type(error).__name__}"
            ) from error


def _reader(head, window):
    """What reads a file that begins like this.   Raises CheckpointError that says what it looks like instead"""
    if head[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(window) as archive:
            names = archive.namelist()
        window.seek(0)
        return pytorch.read_zip if any(name.endswith("/data.pkl") for name in names) else _read_npz
    if head[:4] == b"PK\x05\x06":
        return _read_npz  # without any array
    if head[:1] == b"\x80":
        return pytorch.read_stream
    if head[257:262] == b"ustar":
        return pytorch.read_tar
    if head[8:9] == b"{":
        return safetensors.read
    start, text = head.lstrip().lower(), all(byte > 31 or byte in b"\t\r\n" for byte in head)
    if not head:
        what = "it is empty"
    elif start.startswith((b"<!doctype", b"<html")):
        what = "it is a web page: the download went wrong"
    else:
        what = "it is text" if text else "it is something else, or its beginning is damaged"
    raise CheckpointError(f"expected weights, a file of PyTorch, safetensors or .npz; {what}")


def _read_npz(window):
    try:
        arrays = files.read_npz_window(window)
    except Exception as error:
        raise CheckpointError(f"expected an .npz file, whole and free of pickles; {error}") from error
    note = arrays.pop(METADATA, None)
    return arrays, {} if note is None else note.tobytes()


def _encode(metadata):
    if not isinstance(metadata, dict):
        raise TypeError(f"metadata must be a dict; got {type(metadata).__name__}")
    try:
        return json.dumps(metadata).encode()
    except TypeError as error:
        raise TypeError(f"metadata must be text, numbers, lists and dicts, for JSON; {error}") from error
