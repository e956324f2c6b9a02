"""Files that lie, break or attack: each is refused with a CheckpointError, or read as what it honestly is.

Nothing is executed, and no more memory is asked for than the size of the file warrants.
"""

import io
import json
import os
import pickle
import struct
import sys
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest
from checkpoint.torch_files import (
    ENTRY,
    SEEDS,
    safetensors_file,
    state,
    storage,
    stream_file,
    tar_file,
    tensor,
    text,
    value,
    value_file,
    zip_file,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_resnet import files
from numpy_resnet.checkpoint import CheckpointError, load_arrays


def read(folder, content):
    """What load_arrays makes of these bytes; the memory it asks for is looked at."""
    path = folder / "hostile.pth"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        return load_arrays(path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3 * files.most_bytes(len(content))


def assert_refused(folder, content, match=None):
    with pytest.raises(CheckpointError, match=match) as caught:
        read(folder, content)
    assert len(str(caught.value)) < 1000
    assert os.listdir(folder) == ["hostile.pth"]


GLOBALS = [
    ("os", "system"), ("posix", "system"), ("nt", "system"), ("builtins", "eval"), ("builtins", "exec"),
    ("builtins", "getattr"), ("__builtin__", "eval"), ("subprocess", "Popen"), ("runpy", "run_path"),
    ("copyreg", "_reconstructor"), ("copy_reg", "_reconstructor"), ("functools", "partial"), ("operator", "attrgetter"),
    ("torch", "load"), ("torch.hub", "load"), ("torch._utils", "os.system"), ("torch._utils", "_rebuild_tensor_v2.x"),
    ("torch.serialization", "load"), ("torch", "FloatStorage.x"), ("collections", "OrderedDict.__init__"),
    ("collections", "defaultdict"), ("numpy.core.multiarray", "_reconstruct"), ("numpy_resnet.files", "write_text"),
    ("numpy", "load"), ("torch_", "Size"), ("Torch", "Size"), ("", ""), ("__main__", "x"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name"), GLOBALS)
def test_names_that_no_state_dict_needs(tmp_path, module, name):
    trap = value((f"touch {tmp_path}/executed",))
    by_line = b"\x80\x02c" + f"{module}\n{name}\n".encode() + trap + b"R."
    from_stack = b"\x80\x04" + text(module) + text(name) + b"\x93" + trap + b"R."
    for pickled in (by_line, from_stack, state(x=by_line[2:-1]), state(x=from_stack[2:-1], y=tensor())):
        assert_refused(tmp_path, zip_file(pickled), "asks for|broken")
        assert_refused(tmp_path, stream_file(pickled), "asks for|broken")
    inst = b"\x80\x02(" + trap + f"i{module}\n{name}\n".encode() + b"."
    assert_refused(tmp_path, zip_file(inst), "does not need the pickle instruction INST")


def test_what_python_itself_would_execute(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    for protocol in range(6):
        pickled = pickle.dumps({"x": Trap()}, protocol)
        for content in (zip_file(pickled), stream_file(pickled), pickled):
            assert_refused(tmp_path, content)


ORDERED, SIZE = b"ccollections\nOrderedDict\n", b"ctorch\nSize\n"
BROKEN = {
    "append to a tensor": tensor() + value(1) + b"a",
    "extend a tensor": tensor() + b"(" + value(1) + b"e",
    "append to a dict": b"}" + value(1) + b"a",
    "set an item of a list": b"]" + value(0) + value(1) + b"s",
    "set an item of a tensor": tensor() + text("a") + value(1) + b"s",
    "set an item of a tuple": b")" + text("a") + value(1) + b"s",
    "state of a tensor": tensor() + b"}" + text("size") + value((9,)) + b"sb",
    "state of a storage": storage() + b"}b",
    "state of a plain dict": b"}}b",
    "state of a name": SIZE + b"}b",
    "state that is no dict": ORDERED + b")R" + value((1, 2)) + b"b",
    "a key without value": b"}(" + text("a") + b"u",
    "a key that is a list": b"}(]" + value(1) + b"u",
    "a key that is a tensor": b"}" + tensor() + value(1) + b"s",
    "call a size with a list": SIZE + b"]R",
    "call a size with two": SIZE + value(((1,), 2)) + b"R",
    "a size of a number": SIZE + value((1,)) + b"R",
    "call a storage type": b"ctorch\nFloatStorage\n" + value((4,)) + b"R",
    "call a dtype": b"ctorch\nfloat32\n)R",
    "call a tensor": tensor() + b")R",
    "call a number": value(1) + b")R",
    "ordered of no pairs": ORDERED + value(([(1, 2, 3)],)) + b"R",
    "ordered of text": ORDERED + value(("ab",)) + b"R",
    "parameter of a number": b"ctorch._utils\n_rebuild_parameter\n" + value((1, True, None)) + b"R",
    "tensor of too few": b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage() + b"tR",
    "tensor of no storage": tensor(value(1)),
    "tensor of a tensor": tensor(tensor()),
    "beyond the storage": tensor(offset=1),
    "far beyond": tensor(offset=2**62),
    "a stride beyond": tensor(stride=(3, 1)),
    "sizes that overflow": tensor(size=(2**32, 2**32)),
    "sizes that wrap to few": tensor(size=(2**63 - 1, 2**63 - 1)),
    "negative offset": tensor(offset=-1),
    "negative size": tensor(size=(-2, -2)),
    "negative stride": tensor(stride=(-2, 1)),
    "size of a boolean": tensor(size=(True, True)),
    "size of a number": tensor(size=4, stride=1),
    "size of text": tensor(size=("2", "2")),
    "size of a huge integer": tensor(size=(2**200, 1)),
    "size and stride differ": tensor(size=(2, 2), stride=(1,)),
    "too many axes": tensor(size=(1,) * 65, stride=(1,) * 65),
    "an empty array that is too large": tensor(size=(0, 2**62, 2**62), stride=(1, 1, 1)),
    "one storage of two types": b"]" + tensor() + b"a" + tensor(storage(kind="IntStorage")) + b"a",
    "one storage of two sizes": b"]" + tensor() + b"a" + tensor(storage(numel=5)) + b"a",
    "a storage that is missing": tensor(storage("1")),
    "a storage elsewhere": tensor(storage("../data.pkl")),
    "a key that is no text": tensor(storage(0)),
    "a storage that is longer": tensor(storage(numel=5)),
    "a storage that is shorter": tensor(storage(numel=3), size=(1,), stride=(1,)),
    "a storage of gigabytes": tensor(storage(numel=2**40)),
    "a storage of a boolean": tensor(storage(numel=True), size=(1,), stride=(1,)),
    "a storage of an unknown type": tensor(storage(kind="QInt8Storage")),
    "a storage type that is a dtype": tensor(storage(kind="float32")),
    "bytes as floats": tensor(storage(kind="UntypedStorage", module="torch.storage")),
    "a wider dtype than its storage": b"ctorch._utils\n_rebuild_tensor_v3\n(" + storage() + value(0) + value((1,)) + (
        value((1,)) + b"\x89}ctorch\nfloat64\ntR"
    ),
    "persistent text": value("storage") + b"Q",
    "persistent number": value(7) + b"Q",
    "persistent module": value(("module", "a", "b", "c", 1)) + b"Q",
    "recall what was never kept": b"h\x77",
    "an empty stack": b"a",
    "no mark": b"]e",
    "an empty list taken": b"](a",
    "left over": value(1) + value(2),
    "extension": b"\x82\x01",
    "two of one name": b"}(" + text("a.b") + tensor() + text("a") + b"}" + text("b") + tensor() + b"su",
    "integers and text of one name": b"}(" + value(1) + tensor() + text("1") + tensor() + b"u",
    "a list in itself": b"]q\x00h\x00a",
    "a dict in itself": b"}q\x00" + text("a") + b"h\x00s",
    "a thousand lists in each other": b"]" * 1000 + b"a" * 999,
    "lists that repeat": b"](" + tensor() + b"eq\x00" + b"".join(b"](" + b"h\x00" * 10 + b"eq\x00" for _ in range(9)),
    "dicts that repeat": b"".join(b"}(" + text("a") + b"h\x00" + text("b") + b"h\x00uq\x00" for _ in range(99)),
    "an argument too long": b"X\xff\xff\xff\x7f" + b"abc",
    "bytes too long": b"B\xff\xff\xff\xffabc",
    "no UTF-8": b"X\x02\x00\x00\x00\xff\xff",
    "long integer": b"\x8b\xff\xff\xff\x7f",
    "an unknown instruction": b"\xff",
    "protocol 9": b"\x80\x09N",
}  # fmt: skip
BROKEN["dicts that repeat"] = b"}q\x00" + BROKEN["dicts that repeat"] + b"\x86"


@pytest.mark.parametrize("name", BROKEN)
def test_pickles_that_are_broken_or_lie(tmp_path, name):
    """Beside an honest tensor of another storage, so that nothing else is wrong with the file."""
    honest = tensor(storage("honest"))
    content = zip_file(state(y=BROKEN[name], x=honest), {"0": bytes(16), "honest": bytes(16)})
    assert_refused(tmp_path, content)


def test_the_honest_tensor_beside_them(tmp_path):
    honest = tensor(storage("honest"))
    assert read(tmp_path, zip_file(state(y=tensor(), x=honest), {"0": bytes(16), "honest": bytes(16)})).keys() == {
        "x",
        "y",
    }


def test_a_pickle_that_is_too_long(tmp_path):
    assert_refused(tmp_path, zip_file(b"\x80\x02" + b"]" * (2**23 + 1)), "must have 8,388,608 bytes at most")
    assert_refused(tmp_path, zip_file(b"\x80\x02" + b"]" * 200_000), "more than 100,000 values on the stack")


def test_tensors_that_repeat_what_is_there(tmp_path):
    wide = tensor(size=(2**40,), stride=(0,))
    assert_refused(tmp_path, zip_file(state(x=wide)), "would take 4,398,046,511,104 bytes or more")
    small = tensor(size=(3, 5), stride=(0, 1), at=storage(numel=5))
    x = read(tmp_path, zip_file(state(x=small), {"0": bytes(20)}))["x"]
    assert x.shape == (3, 5)


@pytest.mark.parametrize("name", [name for name in SEEDS if name != "tar"])
def test_cut_short_at_every_byte(tmp_path, name):
    content = SEEDS[name]
    assert read(tmp_path, content)
    for length in range(len(content)):
        assert_refused(tmp_path, content[:length])


def test_a_tar_cut_short(tmp_path):
    assert read(tmp_path, SEEDS["tar"])
    for length in range(0, SEEDS["tar"].rindex(b"x") + 1, 7):  # behind its last member there are only zeros
        try:
            x = read(tmp_path, SEEDS["tar"][:length])["x"]
        except CheckpointError:
            continue
        np.testing.assert_array_equal(x, np.arange(6).reshape(2, 3).T)


@pytest.mark.parametrize("name", [name for name in SEEDS if name != "tar"])
def test_every_bit_flipped(tmp_path, name):
    """Of a zip archive every flip that changes a number is found; a stream and safetensors have no checksums."""
    content = SEEDS[name]
    expected = read(tmp_path, content)
    path = tmp_path / "hostile.pth"
    for bit in range(8 * len(content)):
        broken = bytearray(content)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        try:
            arrays = load_arrays(path)
        except CheckpointError:
            continue
        if name in ("zip", "npz"):
            for key, array in arrays.items():
                np.testing.assert_array_equal(array, expected[key])


@settings(max_examples=150)
@given(data=st.data(), name=st.sampled_from([*SEEDS]))
def test_anything_changed_anywhere(tmp_path_factory, data, name):
    folder = tmp_path_factory.mktemp("fuzz")
    content = bytearray(SEEDS[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        cut = data.draw(st.integers(0, 8))
        content[at : at + cut] = data.draw(st.binary(max_size=8) | st.sampled_from([b"\xff" * 8, bytes(8), b"(", b"."]))
    try:
        read(folder, bytes(content))
    except CheckpointError as error:
        assert str(error)


def test_what_was_never_a_checkpoint(tmp_path):
    assert_refused(tmp_path, b"", "it is empty")
    assert_refused(tmp_path, b"  <!DOCTYPE html><html>404</html>", "it is a web page")
    assert_refused(tmp_path, b"<html>", "it is a web page")
    assert_refused(tmp_path, b"conv1.weight = 3\n", "it is text")
    assert_refused(tmp_path, b"\x89PNG\r\n\x1a\n" + bytes(100), "it is something else")
    assert_refused(tmp_path, pickle.dumps({"x": 1}, 2), "none that torch.save wrote")
    for number in (0, 1, 8, 511, 512, 513):
        assert_refused(tmp_path, bytes(number))


def zip_with(change=None, names=("archive/data.pkl", "archive/data/0"), content=None, compression=0):
    contents = dict.fromkeys(names, bytes(16)) | {"archive/data.pkl": state(x=tensor())} | (content or {})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name in names:
            entry = zipfile.ZipInfo(name)
            if change:
                change(entry)
            archive.writestr(entry, contents[name], compression)
    return bytearray(buffer.getvalue())


def test_archives_that_lie(tmp_path):
    good = ("archive/data.pkl", "archive/data/0")
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = zip_with(names=(*good, "archive/data/0"))
    assert_refused(tmp_path, twice, "'archive/data/0' twice")
    for name in ("../x", "/etc/passwd", "archive/../../x", "a\\..\\x", "./x"):
        assert_refused(tmp_path, zip_with(names=(*good, name)), "leads out of it")
    assert_refused(tmp_path, zip_with(lambda e: setattr(e, "external_attr", 0o120777 << 16)), "is a link")
    assert_refused(tmp_path, zip_with(names=(*good, "other/data.pkl")), "one NAME/data.pkl; it holds 2")
    assert_refused(tmp_path, zip_with(names=("data.pkl", "data/0"), content={"data.pkl": state(x=tensor())}))
    assert_refused(tmp_path, zip_with(names=good[:1]), "archive/data/0 is missing")
    assert_refused(tmp_path, zip_with(content={"archive/data/0": bytes(17)}), "must have 16 bytes; it has 17")
    assert_refused(tmp_path, zip_file(state(x=tensor()), byteorder="middle"), "must be little or big")
    assert_refused(tmp_path, zip_with(compression=zipfile.ZIP_BZIP2), "packed in an unusual way")
    content = zip_with()
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    assert_refused(tmp_path, content, "is encrypted")
    content = zip_with()
    content[content.index(bytes(16))] ^= 1
    assert_refused(tmp_path, content, "Bad CRC-32")


def test_bombs(tmp_path):
    zeros = bytes(2**26)
    bomb = zip_with(content={"archive/data/0": zeros}, compression=zipfile.ZIP_DEFLATED)
    assert_refused(tmp_path, bomb, "more than honest contents do")
    np.savez_compressed(tmp_path / "hostile.pth.npz", x=np.frombuffer(zeros, np.uint8))
    content = (tmp_path / "hostile.pth.npz").read_bytes()
    (tmp_path / "hostile.pth.npz").unlink()
    assert_refused(tmp_path, content, "more than honest contents do")
    content = zip_with()
    at = content.rindex(b"PK\x01\x02")
    for size in (2**31, 2**32 - 2):  # both sizes of the last entry
        content[at + 20 : at + 28] = struct.pack("<II", size, size)
        assert_refused(tmp_path, content, "would take")


def npy(header, content=b""):
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2**40,), }",
        "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (0,), }",
        "__import__('os').system('true')",
        "[" * 5000,
        " " * 60000,
        "",
    ],
)
def test_npz_headers_that_lie(tmp_path, header):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.npy", npy(header, bytes(8)))
    assert_refused(tmp_path, buffer.getvalue(), "expected an .npz file")


def test_npz_members_that_are_no_arrays(tmp_path):
    for name, content in (("x.txt", b"text"), ("x.npy", b""), ("x.npy", pickle.dumps([1]))):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(name, content)
        assert_refused(tmp_path, buffer.getvalue(), "expected an .npz file")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"x": {**ENTRY, "data_offsets": [0, 12]}}, "must have 16 bytes; got 12"),
        ({"x": {**ENTRY, "data_offsets": [4, 20]}}, "must begin at 0"),
        ({"x": {**ENTRY, "data_offsets": [16, 0]}}, "must begin at 0|must have 16 bytes"),
        ({"x": {**ENTRY, "data_offsets": [-16, 0]}}, "two data_offsets"),
        ({"x": {**ENTRY, "data_offsets": [0.0, 16.0]}}, "two data_offsets"),
        ({"x": {**ENTRY, "data_offsets": [False, 16]}}, "two data_offsets"),
        ({"x": {**ENTRY, "data_offsets": "0,16"}}, "two data_offsets"),
        ({"x": {**ENTRY, "data_offsets": [0, 16, 16]}}, "two data_offsets"),
        ({"x": {**ENTRY, "shape": [2, 2.0]}}, "shape of whole numbers"),
        ({"x": {**ENTRY, "shape": [True, 4]}}, "shape of whole numbers"),
        ({"x": {**ENTRY, "shape": [-2, -2]}}, "shape of whole numbers"),
        ({"x": {**ENTRY, "shape": [2**32, 2**32]}}, "must have"),
        ({"x": {**ENTRY, "shape": [1] * 65}}, "shape of whole numbers"),
        ({"x": {**ENTRY, "dtype": "F8_E4M3"}}, "must have a dtype"),
        ({"x": {**ENTRY, "dtype": ["F32"]}}, "must have a dtype"),
        ({"x": {**ENTRY, "more": 1}}, "must have a dtype"),
        ({"x": ENTRY, "y": ENTRY}, "must begin at 16"),
        ({"x": [1]}, "two data_offsets"),
        ({"x": {**ENTRY, "shape": [1], "data_offsets": [0, 4]}}, "4 bytes; 16 come after"),
        ({}, "0 bytes; 16 come after"),
        ({"x": ENTRY, "__metadata__": {"a": 1}}, "must hold text by name"),
        ({"x": ENTRY, "__metadata__": "a"}, "must hold text by name"),
        ({"x": ENTRY, "__metadata__": {"numpy_resnet": "["}}, "no JSON"),
        (b'{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,NaN]}}', "holds NaN"),
        (b'{"x":{"dtype":"F32","shape":[Infinity],"data_offsets":[0,16]}}', "holds Infinity"),
        (b'{"x":%s,"x":%s}' % ((json.dumps(ENTRY).encode(),) * 2), "stands twice"),
        (b'{"x":' + b"[" * 100_000, "no JSON"),
        (b'{"x":' + b"9" * 5000 + b"}", "no JSON"),
        (b'{"x":\xff}', "no JSON"),
        (b"{", "bytes"),
        (b'{"x":1}}', "no JSON"),
    ],
)
def test_safetensors_headers_that_lie(tmp_path, header, message):
    assert_refused(tmp_path, safetensors_file(header), message)


def test_safetensors_that_claim_gigabytes(tmp_path):
    for length in (0, 1, 2**24 + 1, 2**40, 2**63, 2**64 - 1):
        assert_refused(tmp_path, safetensors_file({"x": ENTRY}, length=length), "its header would have")
    large = {"x": {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}}
    assert_refused(tmp_path, safetensors_file(large), "1,099,511,627,776 bytes; 16 come after")
    empty = {"x": {"dtype": "F32", "shape": [0, 2**62, 2**62], "data_offsets": [0, 0]}}
    assert_refused(tmp_path, safetensors_file(empty, b""), "NumPy has no array")


def test_tars_that_lie(tmp_path):
    for views in ([(8, 7, 5, 2)], [(8, 6, 0, 1)], [(8, 7, -1, 2)], [(8, 7)], [8]):
        assert_refused(tmp_path, tar_file(range(6), (1,), (1,), views=views))
    for size, stride, offset in (((7,), (1,), 0), ((2,), (1,), 5), ((-1,), (1,), 0), ((1,) * 65, (1,) * 65, 0)):
        assert_refused(tmp_path, tar_file(range(6), size, stride, offset))
    many = value_file(2**40)
    for member in ("storages", "tensors"):
        assert_refused(tmp_path, tar_file(range(6), (1,), (1,), **{member: many}))
        assert_refused(tmp_path, tar_file(range(6), (1,), (1,), **{member: b""}))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        link = tarfile.TarInfo("storages")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert_refused(tmp_path, buffer.getvalue(), "is no plain file")


def test_streams_that_lie(tmp_path):
    pickled = state(x=tensor(storage(view=[None])))
    assert_refused(tmp_path, stream_file(pickled, {"0": (2**40, bytes(16))}), "must have 4 numbers")
    assert_refused(tmp_path, stream_file(pickled, {"0": (4, bytes(17))}), "1 bytes are left over")
    assert_refused(tmp_path, stream_file(pickled, keys=["0", "0"]), "is not that of its tensors")
    assert_refused(tmp_path, stream_file(pickled, keys=[]), "is not that of its tensors")
    assert_refused(tmp_path, stream_file(pickled, keys="0"), "is not that of its tensors")
    for view in ((("v", 3, 2)), ("v", -1, 2), ("v", 1), 5):
        assert_refused(tmp_path, stream_file(state(x=tensor(storage(view=[view]), 0, (1,), (1,)))))
    part = b"ctorch._utils\n_rebuild_tensor_v3\n(" + storage(view=[("v", 2, 2)]) + value(0) + value((1,)) + value((1,))
    for dtype in (b"float64", b"float16"):
        wider = part + b"\x89}ctorch\n" + dtype + b"\ntR"
        assert_refused(tmp_path, stream_file(state(x=wider)), "in a storage of its dtype")
    whole = storage(numel=16, kind="UntypedStorage", module="torch.storage", view=[("v", 8, 8)])
    part = b"ctorch._utils\n_rebuild_tensor_v3\n(" + whole + value(0) + value((1,)) + value((1,))
    wider = part + b"\x89}ctorch\nfloat64\ntR"
    assert_refused(tmp_path, stream_file(state(x=wider), {"0": (16, bytes(16))}), "in one of bytes as a whole")
    huge = state(x=tensor(storage(numel=2**40, view=[None])))
    assert_refused(tmp_path, stream_file(huge, {"0": (2**40, bytes(16))}), "are left")


def test_no_reader_leaves_a_module_behind(tmp_path):
    before = set(sys.modules)
    assert_refused(tmp_path, zip_file(b"\x80\x02cantigravity\nx\n)R."), "asks for antigravity")
    assert "antigravity" not in set(sys.modules) - before
