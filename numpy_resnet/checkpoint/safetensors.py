"""safetensors: the length of a header (8 bytes), the header (JSON), and all numbers, little-endian, without gaps."""

import json
import math
import struct

import numpy as np

from numpy_resnet.checkpoint.errors import CheckpointError

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "u1",
}  # fmt: skip
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items() if name not in ("BF16", "BOOL")} | {
    np.dtype("?"): "BOOL"
}
LONGEST = 2**24  # bytes of a header
NOTE, METADATA = "__metadata__", "numpy_resnet"  # where text may stand, and where our metadata stand in it


def read(window):
    """(arrays by name, metadata); bfloat16 becomes float32."""
    head = window.read(8)
    length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
    if not 2 <= length <= min(LONGEST, window.left()):
        raise CheckpointError(f"its header would have {length:,} bytes; 2 to {min(LONGEST, window.left()):,} can be")
    header = _parse(window.read(length))
    note = header.pop(NOTE, {})
    if not isinstance(note, dict) or not all(isinstance(value, str) for value in note.values()):
        raise CheckpointError(f"{NOTE} must hold text by name")
    entries, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: _place(*item)):
        dtype, shape, first, last = _checked(name, entry)
        if first != end:
            raise CheckpointError(f"{name!r:.80} must begin at {end:,}, where the last ended; it begins at {first:,}")
        entries[name], end = (dtype, shape, last - first), last
    if end != window.left():
        raise CheckpointError(f"its numbers must have {end:,} bytes; {window.left():,} come after the header")
    arrays = {name: _array(dtype, shape, window.read(size)) for name, (dtype, shape, size) in entries.items()}
    return {name: arrays[name] for name in header}, _metadata(note)


def _parse(text):
    """The header; each name once, no NaN, nothing but an object."""
    try:
        header = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except CheckpointError:
        raise
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"its header is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"its header must be an object; got {type(header).__name__}")
    return header


def _unique(pairs):
    result = dict(pairs)
    if len(result) != len(pairs):
        raise CheckpointError("a name stands twice in its header")
    return result


def _refuse_constant(name):
    raise CheckpointError(f"its header holds {name}")


def _place(name, entry):
    """Where an entry's numbers stand; for sorting, before it is checked."""
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(n) is int and n >= 0 for n in offsets):
        raise CheckpointError(f"{name!r:.80} must have two data_offsets, whole numbers")
    return offsets


def _checked(name, entry):
    """dtype, shape and the two offsets, which fit each other."""
    dtype, shape, (first, last) = entry.get("dtype"), entry.get("shape"), entry["data_offsets"]
    if entry.keys() != {"dtype", "shape", "data_offsets"} or not isinstance(dtype, str) or dtype not in DTYPES:
        raise CheckpointError(f"{name!r:.80} must have a dtype of {', '.join(DTYPES)}; got {dtype!r:.40}")
    if not isinstance(shape, list) or len(shape) > 64 or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        raise CheckpointError(f"{name!r:.80} must have a shape of whole numbers; got {shape!r:.80}")
    size = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
    if last - first != size:
        raise CheckpointError(f"{name!r:.80} of shape {shape!r:.80} must have {size:,} bytes; got {last - first:,}")
    return dtype, shape, first, last


def _array(dtype, shape, content):
    numbers = np.frombuffer(bytearray(content), DTYPES[dtype])
    if dtype == "BF16":
        numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
    if dtype == "BOOL":
        numbers = numbers != 0
    try:
        return numbers.astype(numbers.dtype.newbyteorder("="), copy=False).reshape(shape)
    except ValueError as error:
        raise CheckpointError(f"NumPy has no array of shape {shape!r:.80}") from error


def _metadata(note):
    """Ours as they were written; others' text as it is."""
    if METADATA not in note:
        return note
    ours = _parse(note[METADATA].encode())
    return {**{name: text for name, text in note.items() if name != METADATA}, **ours}


def write(file, arrays, metadata=None):
    """The arrays, those with the longest numbers first, so that each begins at a multiple of its numbers' length.

    Raises CheckpointError for a dtype that the format does not have.
    """
    header, end = {}, 0
    if metadata is not None:
        header[NOTE] = {METADATA: json.dumps(metadata)}
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in arrays.items():
        if array.dtype.newbyteorder("<") not in NAMES:
            raise CheckpointError(
                f"{name} must be of a dtype that safetensors have, {', '.join(DTYPES)}; got {array.dtype}"
            )
    ordered = sorted(arrays.items(), key=lambda item: -item[1].itemsize)
    header.update(dict.fromkeys(arrays))  # in the order that they came in
    for name, array in ordered:
        dtype, end = NAMES[array.dtype.newbyteorder("<")], end + array.nbytes
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [end - array.nbytes, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    for _, array in ordered:
        file.write(np.asarray(array, array.dtype.newbyteorder("<"), order="C").reshape(-1).view(np.uint8).data)
