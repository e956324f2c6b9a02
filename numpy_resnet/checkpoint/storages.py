"""The numbers of a PyTorch file: which storages its pickle speaks of, their bytes, and the arrays that lie in them."""

import itertools
import math
import struct

import numpy as np

from numpy_resnet import files
from numpy_resnet.checkpoint.errors import CheckpointError
from numpy_resnet.checkpoint.tensors import ITEMSIZE, Storage, Tensor, natural, storage_dtype

MOST, DEEPEST = 1_000_000, 32  # values in the containers of a file, and containers in each other


def tuple_of(value, length):
    """The tuple.   Raises CheckpointError for what is none of this length"""
    if type(value) is not tuple or len(value) != length:
        raise CheckpointError(f"it must hold tuples of {length}; got a value of type {type(value).__name__}")
    return value


class Storages:
    """What the pickle says of storages: found, {key: (dtype, numel)}; and their bytes, once they are read."""

    def __init__(self):
        self.found, self.raw = {}, {}

    def of_zip(self, name):
        """The storage that a persistent id means: ("storage", type, key, device, numel)."""
        if type(name) is not tuple or len(name) != 5 or name[0] != "storage":
            raise CheckpointError("its pickle refers to something that is no storage")
        _, kind, key, _, numel = name
        return self.add(storage_dtype(kind), key, natural(numel, "the size of a storage"))

    def of_stream(self, name):
        """The same with a sixth entry: None, or (key, offset, length) of a part."""
        if type(name) is not tuple or len(name) != 6:
            raise CheckpointError("its pickle refers to something that is no storage: save a state dict, not a model")
        storage = self.of_zip(name[:5])
        if name[5] is None:
            return storage
        _, offset, length = tuple_of(name[5], 3)
        return self.view(storage, natural(offset, "an offset"), natural(length, "a length"))

    def add(self, dtype, key, numel):
        if type(key) is not str or self.found.setdefault(key, (dtype, numel)) != (dtype, numel):
            raise CheckpointError(f"the storage {key!r:.40} has two types or two sizes, or no name")
        return Storage(dtype, key, numel, 0, numel)

    def view(self, storage, offset, length):
        if storage is None or offset + length > storage.length:
            raise CheckpointError("a view of a storage reaches beyond it")
        return Storage(storage.dtype, storage.key, storage.numel, storage.start + offset, length)

    def read(self, window, key, order):
        """The count and the numbers of a storage, at this place of a stream."""
        head = window.read(8)
        if len(head) < 8 or struct.unpack(f"{order}q", head)[0] != self.found[key][1]:
            raise CheckpointError(
                f"the storage {key!r:.40} must have {self.found[key][1]:,} numbers: the file is cut short"
            )
        self.read_numbers(window, key, order)

    def read_numbers(self, window, key, order):
        dtype, numel = self.found[key]
        size = numel * ITEMSIZE.get(dtype, 1)
        if size > window.left():
            raise CheckpointError(f"the storage {key!r:.40} must have {size:,} bytes; {window.left():,} are left")
        self.raw[key] = bytearray(window.read(size))

    def arrays(self, tensors, order):
        """An array for each tensor; those of one storage share their memory."""
        typed = {}

        def numbers(tensor):
            at = tensor.storage.key, tensor.dtype
            if at not in typed:
                typed[at] = _numbers(self.raw[at[0]], tensor.dtype, order)
            array = typed[at][tensor.storage.start + tensor.offset :]
            last = sum((n - 1) * step for n, step in zip(tensor.size, tensor.stride, strict=True))
            if last >= len(array):  # it was checked when it was described; nothing may ever be read beyond
                raise CheckpointError("a tensor does not lie in its storage")
            strides = [step * array.itemsize for step in tensor.stride]
            return np.lib.stride_tricks.as_strided(array, tensor.size, strides)

        return {name: _empty(tensor) if 0 in tensor.size else numbers(tensor) for name, tensor in tensors.items()}


def _numbers(raw, dtype, order):
    """All numbers of a storage (numel,), in this machine's byte order; bfloat16 becomes float32."""
    if dtype == "bfloat16":
        return (np.frombuffer(raw, f"{order}u2").astype(np.uint32) << 16).view(np.float32)
    if dtype == "bool":
        return np.frombuffer(raw, np.uint8) != 0
    there = np.dtype(dtype).newbyteorder(order)
    return np.frombuffer(raw, there).astype(there.newbyteorder("="), copy=False)


def _empty(tensor):
    try:
        return np.empty(tensor.size, "float32" if tensor.dtype == "bfloat16" else tensor.dtype)
    except ValueError as error:
        raise CheckpointError(f"NumPy has no array of size {tensor.size}") from error


def flatten(tree, size):
    """{names joined by dots: Tensor}; numbers, text and None between them are left out.

    Raises CheckpointError where two tensors get one name, where a container holds itself, and for a file that repeats
    its tensors until they are larger than it can honestly say.
    """
    tensors, total = {}, 0
    for name, tensor in _walk(tree, (), (), itertools.count()):
        if name in tensors:
            raise CheckpointError(f"two of its tensors would be called {name!r:.80}")
        tensors[name] = tensor
        total += math.prod(tensor.size) * max(4, ITEMSIZE[tensor.dtype])
        if total > files.most_bytes(size):
            raise CheckpointError(f"its tensors would take {total:,} bytes or more; the file has {size:,}")
    if not tensors:
        raise CheckpointError("it holds no tensors")
    return tensors


def _walk(value, path, around, steps):
    if next(steps) > MOST or len(path) > DEEPEST or id(value) in around:
        raise CheckpointError("its containers hold each other too often")
    if isinstance(value, Tensor):
        yield ".".join(path) or "tensor", value
    elif isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _walk(item, (*path, str(key)), (*around, id(value)), steps)
