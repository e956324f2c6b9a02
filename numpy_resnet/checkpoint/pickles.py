"""Pickles of state dicts, read without Python's unpickler: nothing in them is imported, called or executed.

A pickle is a program for a small stack machine. PyTorch's need few of its instructions, and few names of functions,
which tensors.py knows. Everything else is refused.
"""

import pickletools

from numpy_resnet.checkpoint.errors import CheckpointError
from numpy_resnet.checkpoint.tensors import GLOBALS, Global, OrderedDict, checked_key, told

DEEPEST = 100_000  # values on the stack; an honest pickle puts a thousand items there at once


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
            raise CheckpointError(f"its pickle would {what} {told(value)}")
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
            target[checked_key(key)] = value

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
            raise CheckpointError(f"its pickle would call {told(function)} with {told(arguments)}")
        self.push(make(*_counted(function, make, arguments)))

    def build(self, _):
        state = self.pop()
        self.top(OrderedDict, "set the state of")
        if type(state) not in (dict, OrderedDict):
            raise CheckpointError(f"its pickle would set the state of a dict to {told(state)}")

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


def _short(text):
    return text if len(text) <= 80 else f"{text[:80]}..."


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
