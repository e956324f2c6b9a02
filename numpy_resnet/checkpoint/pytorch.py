"""Files that torch.save wrote, without PyTorch; and files that torch.load reads.

Three containers have been in use. Since 2020 a zip archive: NAME/data.pkl, a pickle of the objects, and NAME/data/KEY,
the numbers of each storage. Before, a stream: five pickles (a magic number, a version, the writer's byte order, the
objects, the keys), then for each key its count and its numbers. Until 2017 a tar archive of such streams.
"""

import io
import json
import struct
import sys
import tarfile
import zipfile

import numpy as np

from numpy_resnet import files
from numpy_resnet.checkpoint import pickles
from numpy_resnet.checkpoint.errors import CheckpointError
from numpy_resnet.checkpoint.storages import Storages, flatten, tuple_of
from numpy_resnet.checkpoint.tensors import ITEMSIZE, STORAGES, natural, storage_dtype, tensor

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
LONGEST = 2**23  # bytes of a pickle; those of the largest networks have a tenth
NOTE = "numpy_resnet.json"  # our metadata, beside what torch.load looks for


def read_zip(window):
    """(arrays by name, metadata as JSON or {}) of a zip archive."""
    with zipfile.ZipFile(window) as archive:
        entries = files.checked_entries(archive, window.size)
        for name in entries:
            parts = name.replace("\\", "/").split("/")
            if ".." in parts or parts[0] in ("", "."):  # nothing is unpacked, but no honest file has such names
                raise CheckpointError(f"the name {name!r:.80} leads out of it")
        pickled = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickled) != 1:
            raise CheckpointError(f"a file of PyTorch must hold one NAME/data.pkl; it holds {len(pickled)}")
        folder = pickled[0].removesuffix("data.pkl")
        if entries[pickled[0]].file_size > LONGEST:
            raise CheckpointError(f"{pickled[0]} must have {LONGEST:,} bytes at most")
        storages = Storages()
        tree = pickles.load(io.BytesIO(archive.read(pickled[0])), storages.of_zip)
        order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in entries else b"little"
        if order not in (b"little", b"big"):
            raise CheckpointError(f"{folder}byteorder must be little or big; got {order[:20]!r}")
        for key, (dtype, numel) in storages.found.items():
            name, size = f"{folder}data/{key}", numel * ITEMSIZE.get(dtype, 1)
            if name not in entries:
                raise CheckpointError(f"{name} is missing: the file is not whole")
            if entries[name].file_size != size:
                raise CheckpointError(f"{name} must have {size:,} bytes; it has {entries[name].file_size:,}")
        tensors = flatten(tree, window.size)
        for key in {tensor.storage.key: None for tensor in tensors.values()}:
            storages.raw[key] = bytearray(archive.read(f"{folder}data/{key}"))
        note = archive.read(folder + NOTE) if folder + NOTE in entries else {}
    return storages.arrays(tensors, "<" if order == b"little" else ">"), note


def read_stream(window):
    """(arrays by name, {}) of a stream of pickles and numbers."""
    if _load(window) != MAGIC or _load(window) != VERSION:
        raise CheckpointError("it is a pickle, but none that torch.save wrote")
    system = _load(window)
    little = system.get("little_endian") if isinstance(system, dict) else None
    if type(little) is not bool:
        raise CheckpointError("it does not say its byte order")
    storages, order = Storages(), "<" if little else ">"
    tree, keys = _load(window, storages.of_stream), _load(window)
    if type(keys) is not list or not all(type(key) is str for key in keys) or sorted(keys) != sorted(storages.found):
        raise CheckpointError("the list of its storages is not that of its tensors")
    tensors = flatten(tree, window.size)
    for key in keys:
        storages.read(window, key, order)
    if window.left():
        raise CheckpointError(f"{window.left():,} bytes are left over at its end")
    return storages.arrays(tensors, order), {}


def read_tar(window):
    """(arrays by name, {}) of a tar archive, as PyTorch 0.1 wrote."""
    with tarfile.open(fileobj=window, mode="r:") as archive:
        members = {}
        for member in archive:
            if member.name in members or not member.isreg() or member.issparse():
                raise CheckpointError(f"{member.name!r} stands twice in it, or is no plain file")
            members[member.name] = files.Window(archive.extractfile(member))
    if missing := {"storages", "tensors", "pickle"} - members.keys():
        raise CheckpointError(f"{', '.join(sorted(missing))} is missing: it is no file of PyTorch, or not whole")
    storages, lying = Storages(), {}  # the storage of each key; views lie in another's
    source = members["storages"]
    for _ in range(natural(_load(source), "the number of storages")):
        key, _, kind = tuple_of(_load(source), 3)
        dtype, numel = storage_dtype(kind), struct.unpack("<q", source.read(8))[0]
        lying[_id(key)] = storages.add(dtype, f"{_id(key)}", natural(numel, "the size of a storage"))
        storages.read_numbers(source, f"{_id(key)}", "<")
    views = _load(source)
    for view in views if type(views) is list else [None]:
        key, root, offset, length = tuple_of(view, 4)
        whole = lying.get(_id(root))
        lying[_id(key)] = storages.view(whole, natural(offset, "an offset"), natural(length, "a length"))
    source, tensors = members["tensors"], {}
    for _ in range(natural(_load(source), "the number of tensors")):
        key, storage, _ = tuple_of(_load(source), 3)
        ndim = min(65, natural(struct.unpack("<ixxxx", source.read(8))[0], "a number of dimensions"))
        numbers = struct.unpack(f"<{2 * ndim + 1}q", source.read(8 * (2 * ndim + 1)))
        size, stride, offset = numbers[:ndim], numbers[ndim:-1], numbers[-1]
        if _id(storage) not in lying:
            raise CheckpointError(f"the storage {storage} of a tensor is missing")
        tensors[_id(key)] = tensor(lying[_id(storage)], offset, size, stride)

    def persistent(name):
        if _id(name) not in tensors:
            raise CheckpointError("its pickle refers to a tensor that is missing")
        return tensors[_id(name)]

    return storages.arrays(flatten(_load(members["pickle"], persistent), window.size), "<"), {}


def _load(window, persistent=None):
    """The next pickle; the window then stands behind it."""
    return pickles.load(files.Window(window, LONGEST), persistent)


def _id(key):
    """What names storages and tensors in a tar archive."""
    text = str(key) if type(key) in (int, str) else ""
    if not text.isdecimal() or len(text) > 20:
        raise CheckpointError("storages and tensors must be named by numbers")
    return int(text)


def write(file, arrays, metadata=None):
    """A zip archive with a state dict of these arrays, as torch.save writes.

    Raises CheckpointError for a dtype that PyTorch does not have.
    """
    storages, arrays = {dtype: name for name, dtype in STORAGES.items()}, {k: np.asarray(v) for k, v in arrays.items()}
    for name, array in arrays.items():
        if array.dtype.name not in storages:
            raise CheckpointError(
                f"{name} must be of one of PyTorch's dtypes, {', '.join(storages)}; got {array.dtype}"
            )
    arrays = {name: np.asarray(array, array.dtype.newbyteorder("="), order="C") for name, array in arrays.items()}
    entries = {name: (storages[array.dtype.name], array) for name, array in arrays.items()}
    with zipfile.ZipFile(file, "w") as archive:
        _add(archive, "data.pkl", _pickle(entries))
        _add(archive, "byteorder", sys.byteorder.encode())
        for key, array in enumerate(arrays.values()):
            _add(archive, f"data/{key}", array.reshape(-1).view(np.uint8).data)
        if metadata is not None:
            _add(archive, NOTE, json.dumps(metadata).encode())
        _add(archive, "version", b"3\n")


def _add(archive, name, content):
    with archive.open(zipfile.ZipInfo(f"archive/{name}"), "w", force_zip64=len(content) > 2**30) as entry:
        entry.write(content)


def _pickle(entries):
    """The pickle of an OrderedDict of tensors, instruction by instruction (protocol 2)."""
    dict_ = b"ccollections\nOrderedDict\n)R"
    parts = [b"\x80\x02", dict_, b"("]
    for key, (name, (storage, array)) in enumerate(entries.items()):
        strides = [step // array.itemsize for step in array.strides]
        parts += [
            _text(name), b"ctorch._utils\n_rebuild_tensor_v2\n", b"(",
            b"(", _text("storage"), f"ctorch\n{storage}\n".encode(), _text(str(key)), _text("cpu"), _int(array.size),
            b"tQ", _int(0), b"(", *map(_int, array.shape), b"t", b"(", *map(_int, strides), b"t", b"\x89", dict_, b"tR",
        ]  # fmt: skip
    return b"".join([*parts, b"u."])


def _text(text):
    content = text.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def _int(number):
    return b"J" + struct.pack("<i", number) if number < 2**31 else b"\x8a\x08" + struct.pack("<q", number)
