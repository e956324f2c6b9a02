"""IDX, the format of MNIST and its kin: a short header, big-endian, and then the numbers.

https://web.archive.org/web/2016/http://yann.lecun.com/exdb/mnist/ ("The IDX file format")
"""

import gzip
import math
import struct
from pathlib import Path

import numpy as np

from numpy_resnet.data.arrays import class_names
from numpy_resnet.data.dataset import Dataset
from numpy_resnet.data.images import ArrayImages

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_BYTES = 2**31  # 45 times MNIST
PIECE = 2**20
PARTS = {"train": "train", "test": "t10k"}
SPELLINGS = [f"{{}}-{{}}{mark}idx{{}}-ubyte{end}" for mark in "-." for end in ("", ".gz")]


def read_idx(path):
    """The array in an IDX file, plain or gzipped, whatever its name says.

    Never holds more than the file does: it is read piece by piece, at most to the length that its header tells.
    Raises ValueError for a file that is broken, cut short, too long or something else, OSError if it cannot be opened.
    """
    with open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            return _read(gzip.GzipFile(fileobj=file) if zipped else file)
        except Exception as error:  # gzip and zlib each have their own ways to fail
            raise ValueError(f"{path}: expected an IDX file, plain or gzipped; {error}") from error


def _read(file):
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES or not magic[3]:
        raise ValueError(f"it begins with {magic!r}, not with two zeros, the type and the number of dimensions")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise ValueError("it ends within the header")
    shape, dtype = struct.unpack(f">{magic[3]}I", sizes), np.dtype(DTYPES[magic[2]])
    length = math.prod(shape) * dtype.itemsize
    if length > MAX_BYTES:
        raise ValueError(f"its header tells of {length:,} bytes, and at most {MAX_BYTES:,} are read")
    content = bytearray()
    while len(content) < length and (piece := file.read(min(PIECE, length - len(content)))):
        content += piece
    if len(content) < length:
        raise ValueError(f"its header, of shape {shape}, tells of {length:,} bytes, but {len(content):,} follow")
    if file.read(1):  # at the end gzip compares its checksum
        raise ValueError(f"more follows than the {length:,} bytes of which its header, of shape {shape}, tells")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def is_idx_folder(folder):
    """Whether the images of MNIST's training part are there, under one of their usual names."""
    return _find(folder, "train", "images", 3) is not None


def idx_dataset(folder, name=None, classes=None):
    """MNIST, or a data set in its format: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., each maybe .gz.

    Raises ValueError for a broken or missing file and for labels that do not fit, and names the file.
    """
    parts = {}
    for part, prefix in PARTS.items():
        images, labels = (_find(folder, prefix, kind, ndim) for kind, ndim in (("images", 3), ("labels", 1)))
        if part == "test" and not images and not labels:
            continue
        for path, kind, ndim in ((images, "images", 3), (labels, "labels", 1)):
            if path is None:
                raise ValueError(f"{Path(folder) / SPELLINGS[0].format(prefix, kind, ndim)}(.gz) is missing; add it")
        pixels, numbers = _read_bytes(images, 3), _read_bytes(labels, 1)
        if len(pixels) != len(numbers):
            raise ValueError(f"{labels} must hold {len(pixels)} labels, one for each of {images}; got {len(numbers)}")
        parts[part] = ArrayImages(pixels, numbers)
    labels = np.concatenate([images.labels for images in parts.values()])
    try:
        classes = class_names(labels, classes)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error
    return Dataset(name or Path(folder).resolve().name, classes, **parts)


def _find(folder, prefix, kind, ndim):
    paths = [Path(folder) / spelling.format(prefix, kind, ndim) for spelling in SPELLINGS]
    return next((path for path in paths if path.is_file()), None)


def _read_bytes(path, ndim):
    array = read_idx(path)
    if array.dtype != np.uint8 or array.ndim != ndim or not array.size:
        of = "1 dimension" if ndim == 1 else f"{ndim} dimensions"
        raise ValueError(f"{path} must hold bytes of {of}, at least one; got {array.dtype} of shape {array.shape}")
    return array
