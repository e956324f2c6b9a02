"""Safe files: a file is either wholly written or not touched, and what is read back is what was written."""

import contextlib
import glob
import io
import math
import os
import stat
import sys
import time
import zipfile
from pathlib import Path
from uuid import uuid4

import numpy as np


def cache_folder():
    """Where data and weights of others are kept for this user, by the platform's convention."""
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        base = Path(os.environ["LOCALAPPDATA"])
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "numpy_resnet"


@contextlib.contextmanager
def atomic_write(path):
    """A binary file to write to, which becomes `path` only when the block ends well.

    Until then it has a name of its own in the same folder, so an older file stays whole whatever happens. What a killed
    process had begun for this path, and nobody has touched for an hour, is taken away.
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
        _remove_orphans(path)
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


def _remove_orphans(path):
    for orphan in path.parent.glob(f".{glob.escape(path.name)}.*.unfinished"):
        with contextlib.suppress(OSError):
            if time.time() - orphan.stat().st_mtime > 3600:
                orphan.unlink()


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


class Window:
    """A file from where it is to its end: whatever number of bytes is asked for, no more is allocated than is there.

    `most`: what comes later is not there either. It reads, seeks and tells as a file does.
    """

    def __init__(self, file, most=None):
        self.file, self.start = file, file.tell()
        self.size = file.seek(0, os.SEEK_END) - self.start
        if most is not None:
            self.size = min(self.size, most)
        file.seek(self.start)

    def tell(self):
        return self.file.tell() - self.start

    def seek(self, offset, whence=os.SEEK_SET):
        place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self.size}[whence]
        return self.file.seek(self.start + place) - self.start

    def seekable(self):
        return True

    def left(self):
        return max(0, self.size - self.tell())

    def read(self, count=-1):
        return self.file.read(self.left() if count is None or count < 0 else min(count, self.left()))

    def readline(self, count=-1):
        return self.file.readline(self.left() if count < 0 else min(count, self.left()))


def most_bytes(size):
    """What the content of a file of `size` bytes may take in memory: images and weights shrink less, bombs far more."""
    return 64 * size + 2**24


def checked_entries(archive, size):
    """{name: entry} of a zip archive of `size` bytes, before anything is read.

    Raises ValueError for names that stand twice, for entries that are encrypted, packed in another way than deflate, or
    larger than the file can honestly hold.
    """
    entries, total, packed = {}, 0, 0
    for entry in archive.infolist():
        name = entry.filename
        if name in entries:
            raise ValueError(f"it holds {name!r} twice")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ValueError(f"{name!r} is a link")
        if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name!r} is encrypted, or packed in an unusual way")
        if entry.compress_type == zipfile.ZIP_STORED and entry.file_size != entry.compress_size:
            raise ValueError(f"{name!r} says two sizes, {entry.file_size:,} and {entry.compress_size:,} bytes")
        entries[name] = entry
        total, packed = total + entry.file_size, packed + entry.compress_size
    if packed > size:
        raise ValueError(f"its entries would take {packed:,} bytes; the file has {size:,}")
    if total > most_bytes(size):
        raise ValueError(f"{size:,} bytes would become {total:,}, more than honest contents do")
    return entries


def read_npz(path):
    """The arrays of an .npz file by name, all of them, checked against their checksums; nothing is unpickled.

    Raises ValueError for a file that is broken, cut short or something else, OSError if it cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            return read_npz_window(Window(file))
        except Exception as error:  # zip, zlib and the header's parser each have their own ways to fail
            raise ValueError(f"{path}: expected an .npz file, whole and free of pickles; {error}") from error


def read_npz_window(window):
    """What read_npz says, of an open file; it may raise whatever zip, zlib and the header's parser raise."""
    with zipfile.ZipFile(window) as archive:
        entries = checked_entries(archive, window.size)
        return dict(_read_member(archive, entry) for entry in entries.values())


def _read_member(archive, entry):
    name = entry.filename
    if not name.endswith(".npy"):
        raise ValueError(f"it holds {name!r}, which is no .npy array")
    content = archive.read(entry)
    dtype, shape, rest = _read_header(io.BytesIO(content))
    if dtype.hasobject:
        raise ValueError(f"{name!r} holds Python objects, and allow_pickle is False")
    if math.prod(shape) * dtype.itemsize != rest:
        raise ValueError(f"{name!r} must have {math.prod(shape) * dtype.itemsize:,} bytes; it has {rest:,}")
    return name.removesuffix(".npy"), np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def _read_header(file):
    """dtype and shape of an .npy file, and how many bytes come after its header."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"an .npy file of version {version} is not known")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return dtype, shape, len(file.getbuffer()) - file.tell()
