"""Safe files: a file is either wholly written or not touched, and what is read back is what was written."""

import contextlib
import io
import os
import zipfile
from pathlib import Path
from uuid import uuid4

import numpy as np


@contextlib.contextmanager
def atomic_write(path):
    """A binary file to write to, which becomes `path` only when the block ends well.

    Until then it has a name of its own in the same folder, so an older file stays whole whatever happens.
    Raises FileNotFoundError where the folder is missing, IsADirectoryError where `path` is a folder.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {path.parent}; create it first")
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; give the name of a file")
    unfinished = path.with_name(f".{path.name}.{uuid4().hex[:8]}.unfinished")
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
        _sync_folder(path.parent)
    except OSError as error:  # a full disk, a folder that may not be written
        raise type(error)(
            error.errno, f"cannot write {path}: {error.strerror or error}; what was there is whole"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)  # nothing to do after a replace


def _sync_folder(folder):
    """The new name is on the disk, too, where folders can be asked for that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_unfinished(folder):
    """Take away what a process that was killed had begun to write. Nobody else may be writing there."""
    for path in Path(folder).glob(".*.unfinished"):
        path.unlink(missing_ok=True)


def write_text(path, text):
    """Write a string as UTF-8, its line ends as they are, names of files that are no UTF-8 too."""
    with atomic_write(path) as file:
        file.write(text.encode("utf-8", "surrogateescape"))


def write_npz(path, arrays):
    """Write a dict of arrays as NumPy's .npz, uncompressed; np.load reads it, equal arrays give equal bytes.

    Raises TypeError for names that are not strings, and for arrays of Python objects: they would need pickle.
    """
    arrays = {name: np.asanyarray(array) for name, array in arrays.items()}
    for name, array in arrays.items():
        if not isinstance(name, str) or "\0" in name:
            raise TypeError(f"names of arrays must be strings without NUL; got {name!r}")
        if array.dtype.hasobject:
            raise TypeError(f"{name} must hold numbers or text; got Python objects: convert it with .astype")
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def read_npz(path):
    """The arrays of an .npz file by name, all of them, checked against their checksums; nothing is unpickled.

    Raises ValueError for a file that is broken, cut short or something else, OSError if it cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return dict(_read_member(archive, name) for name in archive.namelist())
        except Exception as error:  # zip, zlib and the header's parser each have their own ways to fail
            raise ValueError(f"{path}: expected an .npz file, whole and free of pickles; {error}") from error


def _read_member(archive, name):
    if not name.endswith(".npy"):
        raise ValueError(f"it holds {name!r}, which is no .npy array")
    content = io.BytesIO(archive.read(name))
    return name.removesuffix(".npy"), np.lib.format.read_array(content, allow_pickle=False)
