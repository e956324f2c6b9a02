"""Messages between parent and child: JSON and the bytes of arrays. Never pickle: a message cannot run anything.

A message is the length of its head, the head as JSON, and the arrays' bytes one after the other. Numbers, text, None,
tuples, lists, dicts and arrays of numbers travel; of anything else only a handle does.
"""

import json
import struct

import numpy as np

LARGEST, LONGEST = 2**29, 2**24  # bytes in one message, and of its head
NUMBERS = {np.dtype(code).str for code in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")}


class BrokenMessageError(Exception):
    """What came is no message."""


class Packing:
    """Turns values into JSON and a list of arrays.

    handle(value) -> what to say of a thing that cannot travel, a dict; name(array) -> its number, if it shall have one.
    """

    def __init__(self, handle, name=lambda array: None):
        self.handle, self.name, self.arrays = handle, name, []

    def pack(self, value):
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, np.ndarray | np.generic) and value.dtype.newbyteorder("<").str in NUMBERS:
            self.arrays.append(np.array(value, value.dtype.newbyteorder("<"), order="C", subok=False))
            scalar = isinstance(value, np.generic)
            return {"array": len(self.arrays) - 1, "scalar": scalar, "name": None if scalar else self.name(value)}
        if isinstance(value, tuple):
            return {"tuple": [self.pack(v) for v in value]}
        if isinstance(value, list):
            return [self.pack(v) for v in value]
        if isinstance(value, dict):
            return {"dict": [[self.pack(k), self.pack(v)] for k, v in value.items()]}
        return self.handle(value)


def unpack(value, arrays, handled, named=lambda number, array: None):
    """The value again; `handled(message)` makes something of a handle, `named(number, array)` hears of each array."""

    def again(value):
        if isinstance(value, list):
            return [again(v) for v in value]
        if not isinstance(value, dict):
            return value
        if "array" in value:
            array = arrays[value["array"]]
            if value["name"] is not None:
                named(value["name"], array)
            return array[()] if value["scalar"] else array
        if "tuple" in value:
            return tuple(again(v) for v in value["tuple"])
        if "dict" in value:
            return {again(k): again(v) for k, v in value["dict"]}
        return handled(value)

    return again(value)


def send(file, body, arrays=()):
    """One message, at once."""
    about = [[array.dtype.str, array.shape] for array in arrays]
    head = json.dumps({"body": body, "arrays": about}).encode()
    file.write(b"".join([struct.pack("<I", len(head)), head, *(array.tobytes() for array in arrays)]))
    file.flush()


def receive(file):
    """(body, arrays that can be written to).   Raises EOFError at the end, BrokenMessageError for nonsense."""
    try:
        (size,) = struct.unpack("<I", _exactly(file, 4))
        if size > LONGEST:
            raise BrokenMessageError(f"a head of {size:,} bytes")
        head = json.loads(_exactly(file, size))
        dtypes = [np.dtype(code) for code, _ in head["arrays"]]
        shapes = [tuple(int(n) for n in shape) for _, shape in head["arrays"]]
        sizes = [d.itemsize * int(np.prod(s, dtype=object)) for d, s in zip(dtypes, shapes, strict=True)]
        if any(d.str not in NUMBERS for d in dtypes) or min(sizes, default=0) < 0 or sum(sizes) > LARGEST:
            raise BrokenMessageError("arrays that are none, or too large")
        arrays = [
            np.frombuffer(_exactly(file, n), d).reshape(s).copy()  # it owns its numbers: its views keep it alive
            for d, s, n in zip(dtypes, shapes, sizes, strict=True)
        ]
        return head["body"], arrays
    except (ValueError, KeyError, TypeError, RecursionError, struct.error) as error:
        raise BrokenMessageError(f"{type(error).__name__}: {error}") from None


def _exactly(file, count):
    data = file.read(count)
    if len(data) < count:
        raise EOFError
    return data
