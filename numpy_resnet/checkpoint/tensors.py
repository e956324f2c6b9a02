"""What a PyTorch file speaks of: storages, tensors that lie in them, and the few functions that state dicts name.

Here the functions make descriptions. A `Tensor` says which `Storage` it lies in, and where; bounds are checked, nothing
is allocated.
"""

import math
from dataclasses import dataclass

from numpy_resnet.checkpoint.errors import CheckpointError

ITEMSIZE = {
    "float32": 4, "float64": 8, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1,
    "uint8": 1, "bool": 1, "uint16": 2, "uint32": 4, "uint64": 8,
}  # fmt: skip
STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip


class OrderedDict(dict):
    """The only object that may be given a state, which is ignored."""


@dataclass(frozen=True, slots=True)
class Global:
    """A name of a module that the file speaks of."""

    module: str
    name: str

    def __str__(self):
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True)
class Storage:
    """Numbers of one dtype under a key: `numel` in the file, of which `length` from `start` on are meant."""

    dtype: str
    key: str
    numel: int
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """offset, size and strides count numbers of `dtype`; none lies outside of the storage."""

    storage: Storage
    dtype: str
    offset: int
    size: tuple
    stride: tuple


def checked_key(key):
    if type(key) not in (str, int):
        raise CheckpointError(f"keys must be text or integers; got {told(key)}")
    return key


def told(value):
    return str(value) if isinstance(value, Global) else f"a value of type {type(value).__name__}"


def natural(value, what):
    """A whole number of 63 bits.   Raises CheckpointError for anything else, bools too"""
    if type(value) is not int or not 0 <= value < 2**63:
        raise CheckpointError(f"{what} must be a whole number; got {told(value) if type(value) is not int else value}")
    return value


def _takes(least, most):
    def mark(function):
        function.takes = least, most
        return function

    return mark


@_takes(0, 1)
def _ordered_dict(items=()):
    if type(items) not in (list, tuple) or not all(type(item) in (list, tuple) and len(item) == 2 for item in items):
        raise CheckpointError("its pickle is broken: an OrderedDict must be made of pairs")
    return OrderedDict((checked_key(key), value) for key, value in items)


@_takes(1, 1)
def _size(sizes):
    if type(sizes) is not tuple:
        raise CheckpointError(f"a size must be a tuple; got {told(sizes)}")
    return sizes


@_takes(4, 4)
def tensor(storage, offset, size, stride):
    if type(storage) is not Storage or storage.dtype == "bytes":
        raise CheckpointError(f"a tensor must lie in a storage; got {told(storage)}")
    return _checked_tensor(storage, storage.dtype, offset, size, stride)


@_takes(6, 7)
def _tensor_v2(storage, offset, size, stride, requires_grad, hooks, metadata=None):
    return tensor(storage, offset, size, stride)


@_takes(7, 8)
def _tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, metadata=None):
    if type(storage) is not Storage or type(dtype) is not Global or dtype.name not in ITEMSIZE:
        raise CheckpointError(f"a tensor must lie in a storage and have a dtype; got {told(storage)}, {told(dtype)}")
    if storage.dtype != dtype.name and (storage.dtype != "bytes" or storage.start):
        raise CheckpointError(
            f"a tensor of {dtype.name} must lie in a storage of its dtype, or in one of bytes as a whole"
        )
    return _checked_tensor(storage, dtype.name, offset, size, stride)


@_takes(3, 3)
def _parameter(data, requires_grad, hooks):
    if type(data) is not Tensor:
        raise CheckpointError(f"a parameter must be made of a tensor; got {told(data)}")
    return data


def _checked_tensor(storage, dtype, offset, size, stride):
    """The tensor, once all of its numbers are found in the storage."""
    if type(size) is not tuple or type(stride) is not tuple or not len(size) == len(stride) <= 64:
        raise CheckpointError("size and stride of a tensor must be tuples of one length, 64 at most")
    for number in (offset, *size, *stride):
        natural(number, "offset, size and stride")
    room = storage.length * ITEMSIZE.get(storage.dtype, 1) // ITEMSIZE[dtype]
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) and last >= room:
        raise CheckpointError(
            f"a tensor of size {size}, strides {stride} and offset {offset} does not lie in its storage {storage.key}, "
            f"which has {room} numbers"
        )
    return Tensor(storage, dtype, offset, size, stride)


GLOBALS = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch", "Size"): _size,
    ("torch._utils", "_rebuild_tensor"): tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor_v2,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_v3,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch.storage", "UntypedStorage"): "bytes",
    **{("torch", name): dtype for name, dtype in STORAGES.items()},
    **{("torch", name.replace("Storage", "Tensor")): None for name in STORAGES},
    **{("torch", dtype): None for dtype in ITEMSIZE},
}


def storage_dtype(value):
    """The dtype that a global such as torch.FloatStorage stands for."""
    dtype = GLOBALS[value.module, value.name] if type(value) is Global else None
    if not isinstance(dtype, str):
        raise CheckpointError(f"a storage must have a type; got {told(value)}")
    return dtype
