"""Files in all formats, built by hand: what torch.save and others would write, and what they never would."""

import io
import json
import pickle
import struct
import tarfile
import zipfile

import numpy as np

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": VERSION, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


def text(value):
    content = value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def value(content):
    """The instructions that leave a plain value on the stack."""
    return pickle.dumps(content, protocol=2)[2:-1]


def storage(key="0", numel=4, kind="FloatStorage", *, module="torch", view=()):
    """The instructions that leave a storage on the stack; `view` is what a stream has more."""
    return b"(" + text("storage") + f"c{module}\n{kind}\n".encode() + value(key) + text("cpu") + value(numel) + (
        b"".join(map(value, view)) + b"tQ"
    )  # fmt: skip


def tensor(at=None, offset=0, size=(2, 2), stride=(2, 1), function="torch._utils\n_rebuild_tensor_v2"):
    """The instructions that leave a tensor on the stack."""
    more = b"\x89ccollections\nOrderedDict\n)R" if function.endswith("_v2") else b""
    at = storage() if at is None else at
    return f"c{function}\n(".encode() + at + value(offset) + value(size) + value(stride) + more + b"tR"


def state(**items):
    """A pickle of a dict of what these instructions leave."""
    return b"\x80\x02}(" + b"".join(text(name) + item for name, item in items.items()) + b"u."


def zip_file(pickled, storages=None, *, folder="archive/", compression=zipfile.ZIP_STORED, **more):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr(zipfile.ZipInfo(f"{folder}data.pkl"), pickled, compression)
        for name, content in more.items():
            archive.writestr(zipfile.ZipInfo(f"{folder}{name}"), content, compression)
        for key, content in ({"0": bytes(16)} if storages is None else storages).items():
            archive.writestr(zipfile.ZipInfo(f"{folder}data/{key}"), content, compression)
    return buffer.getvalue()


def stream_file(pickled, storages=None, *, system=SYSTEM, keys=None):
    """storages: {key: (numel, bytes)}"""
    storages = {"0": (4, bytes(16))} if storages is None else storages
    order = "<" if system["little_endian"] else ">"
    heads = (pickle.dumps(head, protocol=2) for head in (MAGIC, VERSION, system))
    tail = pickle.dumps(list(storages) if keys is None else keys, protocol=2)
    numbers = (struct.pack(f"{order}q", numel) + content for numel, content in storages.values())
    return b"".join([*heads, pickled, tail, *numbers])


def tar_file(numbers, size, stride, offset=0, *, views=(), storage_id=7, tensor_id=9, **members):
    """One storage of float32 and one tensor in it, called "x", as PyTorch 0.1 wrote."""
    kinds = {name: f"ctorch\n{name}\n".encode() for name in ("FloatStorage", "FloatTensor")}
    storages = value_file(1) + b"\x80\x02" + value(storage_id) + text("cpu") + kinds["FloatStorage"] + b"\x87."
    storages += struct.pack("<q", len(numbers)) + struct.pack(f"<{len(numbers)}f", *numbers) + value_file(list(views))
    at = 8 if views else storage_id
    tensors = value_file(1) + b"\x80\x02" + value(tensor_id) + value(at) + kinds["FloatTensor"] + b"\x87."
    tensors += struct.pack("<ixxxx", len(size)) + struct.pack(f"<{2 * len(size) + 1}q", *size, *stride, offset)
    pickled = state(x=value(str(tensor_id)) + b"Q")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        content = {"sys_info": value_file({}), "pickle": pickled, "tensors": tensors, "storages": storages}
        for name, member in (content | members).items():
            info = tarfile.TarInfo(name)
            info.size = len(member)
            archive.addfile(info, io.BytesIO(member))
    return buffer.getvalue()


def value_file(content):
    return pickle.dumps(content, protocol=2)


def npz_file(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def safetensors_file(header, content=bytes(16), length=None):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + content


ENTRY = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
SEEDS = {  # a small honest file of each format
    "zip": zip_file(state(x=tensor())),
    "stream": stream_file(state(x=tensor(storage(view=[None])))),
    "tar": tar_file(range(6), (3, 2), (1, 3)),
    "safetensors": safetensors_file({"x": ENTRY, "__metadata__": {"format": "pt"}}),
    "npz": npz_file(x=np.arange(6.0, dtype="f4"), n=np.array(7)),
}
