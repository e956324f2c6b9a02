"""Pickles of state dicts, read without Python's unpickler: nothing in them is imported, called or executed.

A pickle is a program for a small stack machine. PyTorch's need few of its instructions, and few names of functions,
which here become descriptions: a `Tensor` says which `Storage` it lies in, and where. Everything else is refused.
"""

import math
import pickletools
from dataclasses import dataclass

from numpy_resnet.checkpoint.errors import CheckpointError

DEEPEST = 100_000  # values on the stack; an honest pickle puts a thousand items there at once
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


def load(file, persistent=None):
    """The object of the pickle that starts here, up to its end.   file: with read, readline and tell

    `persistent` makes something of the names by which a pickle refers to what lies outside of it.
    Raises CheckpointError for what a state dict does not need.
    """
    machine = _Machine(persistent)
    try:
        for code, argument, _ in pickletools.genops(file):
            step = STEPS.get(code.name)
            if step is None:
                raise CheckpointError(f"a state dict does not need the pickle instruction {code.name}")
            step(machine, argument)
            if len(machine.stack) > DEEPEST:
                raise CheckpointError(f"its pickle puts more than {DEEPEST:,} values on the stack")
    except CheckpointError:
        raise
    except (ValueError, IndexError, OverflowError) as error:
        raise CheckpointError(f"its pickle is broken: {error}") from error
    if machine.stack or machine.marks:
        raise CheckpointError("its pickle is broken: something is left over at its end")
    return machine.result


class _Machine:
    def __init__(self, persistent):
        self.persistent, self.stack, self.marks, self.memo, self.result = persistent, [], [], {}, None

    def push(self, value):
        self.stack.append(value)

    def pop(self):
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise CheckpointError("its pickle is broken: it takes from an empty stack")
        return self.stack.pop()

    def pop_marked(self):
        """All values above the last mark."""
        if not self.marks:
            raise CheckpointError("its pickle is broken: it has no mark")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def top(self, kind, what):
        """What is filled, which must be of this kind."""
        value = self.pop()
        if not isinstance(value, kind):
            raise CheckpointError(f"its pickle would {what} {_told(value)}")
        self.push(value)
        return value

    def protocol(self, number):
        if number > 5:
            raise CheckpointError(f"its pickle has protocol {number}; 5 is the highest known")

    def mark(self, _):
        self.marks.append(len(self.stack))

    def stop(self, _):
        self.result = self.pop()

    def make_tuple(self, count):
        values = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def put(self, index):
        index = len(self.memo) if index is None else index
        value = self.pop()
        self.push(value)
        self.memo[index] = value

    def get(self, index):
        if index not in self.memo:
            raise CheckpointError(f"its pickle is broken: it recalls {index}, which it never kept")
        self.push(self.memo[index])

    def append(self, values):
        self.top(list, "append to").extend(values)

    def set_items(self, values):
        if len(values) % 2:
            raise CheckpointError("its pickle is broken: a key has no value")
        target = self.top(dict, "set items of")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[_checked_key(key)] = value

    def find(self, module, name):
        if type(module) is not str or type(name) is not str:
            raise CheckpointError("its pickle is broken: a name is no text")
        if (module, name) not in GLOBALS:
            raise CheckpointError(
                f"it asks for {_short(f'{module}.{name}')}, which no state dict needs, so it was not read and nothing "
                "was run: save model.state_dict(), rather than a whole model or other objects"
            )
        self.push(Global(module, name))

    def reduce(self, _):
        arguments, function = self.pop(), self.pop()
        make = GLOBALS[function.module, function.name] if type(function) is Global else None
        if not callable(make) or type(arguments) is not tuple:
            raise CheckpointError(f"its pickle would call {_told(function)} with {_told(arguments)}")
        self.push(make(*_counted(function, make, arguments)))

    def build(self, _):
        state = self.pop()
        self.top(OrderedDict, "set the state of")
        if type(state) not in (dict, OrderedDict):
            raise CheckpointError(f"its pickle would set the state of a dict to {_told(state)}")

    def refer(self, _):
        if self.persistent is None:
            raise CheckpointError("its pickle refers to something outside of it")
        self.push(self.persistent(self.pop()))


def _counted(function, make, arguments):
    """The arguments, as many as this function takes."""
    least, most = make.takes
    if not least <= len(arguments) <= most:
        raise CheckpointError(f"its pickle is broken: {function} does not take {len(arguments)} arguments")
    return arguments[:most]


def _checked_key(key):
    if type(key) not in (str, int):
        raise CheckpointError(f"keys must be text or integers; got {_told(key)}")
    return key


def _told(value):
    return str(value) if isinstance(value, Global) else f"a value of type {type(value).__name__}"


def _short(text):
    return text if len(text) <= 80 else f"{text[:80]}..."


def natural(value, what):
    """A whole number of 63 bits.   Raises CheckpointError for anything else, bools too"""
    if type(value) is not int or not 0 <= value < 2**63:
        raise CheckpointError(f"{what} must be a whole number; got {_told(value) if type(value) is not int else value}")
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
    return OrderedDict((_checked_key(key), value) for key, value in items)


@_takes(1, 1)
def _size(sizes):
    if type(sizes) is not tuple:
        raise CheckpointError(f"a size must be a tuple; got {_told(sizes)}")
    return sizes


@_takes(4, 4)
def tensor(storage, offset, size, stride):
    if type(storage) is not Storage or storage.dtype == "bytes":
        raise CheckpointError(f"a tensor must lie in a storage; got {_told(storage)}")
    return _checked_tensor(storage, storage.dtype, offset, size, stride)


@_takes(6, 7)
def _tensor_v2(storage, offset, size, stride, requires_grad, hooks, metadata=None):
    return tensor(storage, offset, size, stride)


@_takes(7, 8)
def _tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, metadata=None):
    if type(storage) is not Storage or type(dtype) is not Global or dtype.name not in ITEMSIZE:
        raise CheckpointError(f"a tensor must lie in a storage and have a dtype; got {_told(storage)}, {_told(dtype)}")
    return _checked_tensor(storage, dtype.name, offset, size, stride)


@_takes(3, 3)
def _parameter(data, requires_grad, hooks):
    if type(data) is not Tensor:
        raise CheckpointError(f"a parameter must be made of a tensor; got {_told(data)}")
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
        raise CheckpointError(f"a storage must have a type; got {_told(value)}")
    return dtype


def _constant(value):
    return lambda machine, _: machine.push(value)


STEPS = {
    "PROTO": _Machine.protocol,
    "FRAME": lambda machine, _: None,
    "STOP": _Machine.stop,
    "MARK": _Machine.mark,
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINSTRING",
         "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES"), _Machine.push),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_TUPLE": _constant(()),
    "TUPLE1": lambda machine, _: machine.make_tuple(1),
    "TUPLE2": lambda machine, _: machine.make_tuple(2),
    "TUPLE3": lambda machine, _: machine.make_tuple(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_marked())),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.pop_marked()),
    "SETITEM": lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_marked()),
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.put,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": lambda machine, names: machine.find(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.find(*[machine.pop(), machine.pop()][::-1]),
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.refer,
}  # fmt: skip
