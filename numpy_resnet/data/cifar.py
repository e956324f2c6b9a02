"""CIFAR-10 (Krizhevsky 2009), its binary and its Python version, unpacked or as the archive that is downloaded.

https://www.cs.toronto.edu/~kriz/cifar.html
"""

import gzip
import io
import pickle
import pickletools
import re
import tarfile
from pathlib import Path, PurePosixPath

import numpy as np

from numpy_resnet.data.arrays import class_names
from numpy_resnet.data.dataset import Dataset
from numpy_resnet.data.images import ArrayImages

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PIXELS = 3 * 32 * 32
MEMBER = re.compile(r"(data_batch_\d+|test_batch)(\.bin)?|batches\.meta(\.txt)?")
MAX_BYTES = 2**26  # of one file: twice the largest of CIFAR-10
GLOBALS = {  # what NumPy's arrays are pickled with, and Python 3's bytes
    ("numpy.core.multiarray", "_reconstruct"): "array",
    ("numpy._core.multiarray", "_reconstruct"): "array",
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "bytes",
}


def is_cifar(path):
    """Whether a folder or a .tar.gz has one of CIFAR-10's files of images."""
    try:
        return any("_batch" in member for member, _ in _members(path))
    except (ValueError, OSError):
        return False


def cifar_dataset(path, name=None):
    """CIFAR-10 from a folder or a .tar.gz: every data_batch there is to train on, and test_batch if it is there.

    Of two versions the binary one is taken. Pickles are read, but nothing in them is executed.
    Raises ValueError, which names the file, for whatever is broken or missing, OSError for what cannot be opened.
    """
    found = {}
    for member, read in _members(path):
        if member in found:
            raise ValueError(f"{path} holds {member} twice; keep one of them")
        try:
            found[member] = _decode(member, read())
        except Exception as error:  # pickle and tarfile each have their own ways to fail
            raise ValueError(f"{path}/{member}: {error}") from error
    end, text = (".bin", ".txt") if any(member.endswith(".bin") for member in found) else ("", "")
    classes = found.pop(f"batches.meta{text}", CLASSES)
    batches = {member: batch for member, batch in found.items() if re.fullmatch(rf".*_batch(_\d+)?{end}", member)}
    for member, (_, labels) in batches.items():
        if not 0 <= labels.min() <= labels.max() < len(classes):
            raise ValueError(
                f"{path}/{member}: labels must be 0 to {len(classes) - 1}; got {labels.min()} to {labels.max()}"
            )
    test = batches.pop(f"test_batch{end}", None)
    if not batches:
        raise ValueError(f"{path} must hold data_batch_1 or another, to train on; there is none: get it anew")
    train = [batches[member] for member in sorted(batches, key=lambda member: (len(member), member))]
    train = ArrayImages(*(np.concatenate(arrays) for arrays in zip(*train, strict=True)))
    return Dataset(name or "CIFAR-10", classes, train, test=test and ArrayImages(*test))


def _members(path):
    """Name and reader of each file of CIFAR-10 in a folder or an archive; call the reader at once."""
    path = Path(path)
    if path.is_dir():
        for file in sorted(path.iterdir()):
            if MEMBER.fullmatch(file.name) and file.is_file():
                yield file.name, lambda file=file: _read_bounded(file.open("rb"), file.stat().st_size)
        return
    with open(path, "rb") as file:
        try:
            with tarfile.open(fileobj=_BoundedGzip(fileobj=file), mode="r:") as archive:
                for member in archive:
                    name = PurePosixPath(member.name).name
                    if MEMBER.fullmatch(name) and member.isfile():
                        yield name, lambda member=member: _read_bounded(archive.extractfile(member), member.size)
        except Exception as error:  # gzip, zlib and tarfile each have their own ways to fail
            raise ValueError(f"{path}: expected a .tar.gz, as CIFAR-10's; {error}") from error


class _BoundedGzip(gzip.GzipFile):
    def read(self, size=-1):  # tarfile believes any length that a header claims
        if not 0 <= size <= MAX_BYTES:
            raise ValueError(f"it claims a piece of {size:,} bytes; at most {MAX_BYTES:,} are read")
        return super().read(size)


def _read_bounded(file, size):
    with file:
        if size > MAX_BYTES:
            raise ValueError(f"it has {size:,} bytes, and at most {MAX_BYTES:,} are read")
        return file.read(MAX_BYTES)


def _decode(member, content):
    """Pixels (N, 32, 32, 3) and labels (N,) of a batch, or the names in batches.meta."""
    if member == "batches.meta.txt":
        return class_names(np.zeros(0, int), [name.strip() for name in content.decode().splitlines() if name.strip()])
    if member == "batches.meta":
        return class_names(np.zeros(0, int), [_text(name) for name in _unpickle(content).get("label_names", [])])
    pixels, labels = (_read_records if member.endswith(".bin") else _read_pickle)(content)
    if len(pixels) != len(labels) or not len(labels):
        raise ValueError(f"it must hold a label for each image; got {len(pixels)} images and {len(labels)} labels")
    return np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels.astype(np.int64)


def _read_records(content):
    """Of each image its label and then all of red, of green and of blue, a byte each."""
    if len(content) % (1 + PIXELS):
        raise ValueError(f"it must hold records of {1 + PIXELS:,} bytes; got {len(content):,} bytes in all")
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + PIXELS)
    return records[:, 1:], records[:, 0]


def _read_pickle(content):
    """A dict of data, uint8 (N, 3072), and labels, a list of N."""
    batch = _unpickle(content)
    match batch.get("data"):
        case _Call("array", _, (_, (N, 3072), _Call("dtype", ("u1", *_)), False | 0, raw)):
            pixels = np.frombuffer(_bytes(raw), np.uint8).reshape(N, PIXELS)
        case _:
            raise ValueError(f"its data must be an array of uint8, (N, {PIXELS})")
    labels = batch.get("labels")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise ValueError("its labels must be a list of integers")
    return pixels, np.array(labels, np.int64)


class _Call:
    """A call that a pickle asks for: not made, but written down, with the state that its result should have."""

    __match_args__ = ("name", "args", "state")

    def __init__(self, name, args=None):
        self.name, self.args, self.state = name, args, None

    def __call__(self, *args):
        return _Call(self.name, args)

    def __setstate__(self, state):
        self.state = state


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in GLOBALS:
            raise ValueError(f"it asks for {module}.{name}, which no data need: do not trust it, get the file anew")
        return _Call(GLOBALS[module, name])


def _unpickle(content):
    """The dict in a pickle of Python 2 or 3, built of plain values and of _Call."""
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name.endswith("PUT") and argument > len(content):  # memory is set aside for that many
                raise ValueError(f"it counts to {argument:,} within {len(content):,} bytes")
        found = _Unpickler(io.BytesIO(content), encoding="latin1").load()
        return {_text(key): value for key, value in found.items()}
    except Exception as error:
        raise ValueError(f"expected the pickle of a dict of numbers and text; {error}") from error


def _bytes(value):
    match value:
        case bytes():
            return value
        case str() | _Call("bytes", (str(), "latin1")):
            return (value if isinstance(value, str) else value.args[0]).encode("latin1")
    raise ValueError("it must hold bytes or text")


def _text(value):
    return _bytes(value).decode()
