"""IDX, CIFAR-10 and .npz: what is written in the official layout comes back, whatever else is refused by name."""

import gzip
import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest

from numpy_resnet import files
from numpy_resnet.data import arrays, cifar, idx
from numpy_resnet.data.arrays import npz_dataset
from numpy_resnet.data.cifar import CLASSES, cifar_dataset, is_cifar
from numpy_resnet.data.idx import idx_dataset, is_idx_folder, read_idx

RNG = np.random.default_rng(0)
GREY, COLOUR = RNG.integers(0, 256, (6, 5, 4), np.uint8), RNG.integers(0, 256, (6, 32, 32, 3), np.uint8)
LABELS = np.array([0, 2, 1, 2, 0, 1], np.uint8)


def refused(call, path, reason, *args):
    with pytest.raises(ValueError, match=reason) as caught:
        call(path, *args)
    assert str(path) in str(caught.value)


def to_idx(array, code=0x08, dtype=">u1"):
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape) + array.astype(dtype).tobytes()


def write_idx(folder, spelling="{}-{}-idx{}-ubyte", zipped=False, labels=LABELS, parts=("train", "t10k")):
    for part in parts:
        for kind, array in (("images", GREY), ("labels", labels)):
            content = to_idx(array)
            path = folder / (spelling.format(part, kind, array.ndim) + ".gz" * zipped)
            path.write_bytes(gzip.compress(content) if zipped else content)


@pytest.mark.parametrize(("code", "dtype"), idx.DTYPES.items())
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_of_every_type(tmp_path, code, dtype, pack):
    array = np.arange(24).reshape(2, 3, 4).astype(np.dtype(dtype).newbyteorder("="))
    (tmp_path / "a").write_bytes(pack(to_idx(array, code, dtype)))  # no .gz in the name
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), array, strict=True)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it begins with b''"),
        (b"\x89PNG, and more", "it begins with b'.x89PNG', not with two zeros, the type"),
        (b"\0\0\x0a\1\0\0\0\0", "not with two zeros, the type"),
        (b"\0\0\x08\0", "not with two zeros, the type"),
        (b"\0\0\x08\3\0\0\0\1\0\0", "it ends within the header"),
        (to_idx(GREY)[:-1], r"of shape \(6, 5, 4\), tells of 120 bytes, but 119 follow"),
        (to_idx(GREY) + b"\0", "more follows than the 120 bytes"),
        (struct.pack(">HBBI", 0, 8, 1, 2**31) + b"abc", "tells of 2,147,483,648 bytes, but 3 follow"),
        (struct.pack(">HBB3I", 0, 8, 3, *[2**32 - 1] * 3), "and at most 2,147,483,648 are read"),
        (struct.pack(">HBB3I", 0, 8, 3, 0, *[2**32 - 1] * 2), "expected an IDX file"),
    ],
)
def test_what_is_no_idx(tmp_path, pack, content, reason):
    (tmp_path / "a.idx").write_bytes(pack(content))
    refused(read_idx, tmp_path / "a.idx", reason)


def test_a_broken_gz(tmp_path):
    whole = gzip.compress(to_idx(GREY))
    checksum = bytearray(whole)
    checksum[-7] ^= 1
    for content, reason in ((whole[:-12], "end-of-stream|but"), (bytes(checksum), "CRC"), (whole + b"x", "gzip")):
        (tmp_path / "a.gz").write_bytes(content)
        refused(read_idx, tmp_path / "a.gz", reason)


def test_a_gz_bomb_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(idx, "PIECE", 100)
    (tmp_path / "a.gz").write_bytes(gzip.compress(to_idx(LABELS) + bytes(2**24)))
    asked = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size=-1: asked.append(size) or read(self, size))
    refused(read_idx, tmp_path / "a.gz", "more follows than the 6 bytes")
    assert asked == [4, 4, 6, 1]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.idx"):
        read_idx(tmp_path / "a.idx")


@pytest.mark.parametrize("spelling", ["{}-{}-idx{}-ubyte", "{}-{}.idx{}-ubyte"])
@pytest.mark.parametrize("zipped", [False, True])
def test_mnist_in_its_spellings(tmp_path, spelling, zipped):
    assert not is_idx_folder(tmp_path)
    write_idx(tmp_path, spelling, zipped)
    assert is_idx_folder(tmp_path)
    dataset = idx_dataset(tmp_path, "mnist")
    assert (dataset.name, dataset.classes, dataset.val) == ("mnist", ("0", "1", "2"), None)
    for part in (dataset.train, dataset.test):
        np.testing.assert_array_equal(part.pixels, GREY)
        np.testing.assert_array_equal(part.labels, LABELS)
    assert idx_dataset(tmp_path, classes=("a", "b", "c", "d")).classes == ("a", "b", "c", "d")


def test_idx_without_a_test_part(tmp_path):
    write_idx(tmp_path, parts=("train",))
    dataset = idx_dataset(tmp_path)
    assert dataset.test is None and dataset.name == tmp_path.name


def test_idx_that_does_not_fit(tmp_path):
    write_idx(tmp_path)
    refused(idx_dataset, tmp_path, r"classes must name label 0 to 2, 3 in all; there are 2", None, ("a", "b"))
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    labels.unlink()
    refused(idx_dataset, tmp_path, r"t10k-labels-idx1-ubyte\(\.gz\) is missing; add it")
    labels.write_bytes(to_idx(LABELS[:-1]))
    refused(idx_dataset, tmp_path, "t10k-labels-idx1-ubyte must hold 6 labels, .*t10k-images-idx3-ubyte; got 5")
    labels.write_bytes(to_idx(GREY))
    refused(idx_dataset, tmp_path, r"t10k-labels-idx1-ubyte must hold bytes of 1 dimension.*got uint8 .*\(6, 5, 4\)")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(to_idx(GREY.astype(float), 0x0E, ">f8"))
    refused(idx_dataset, tmp_path, "train-images-idx3-ubyte must hold bytes of 3 dimensions.*got float64")


def records(pixels=COLOUR, labels=LABELS):
    planes = pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)
    return np.concatenate([labels[:, None], planes], axis=1).astype(np.uint8).tobytes()


def python_2(pixels=COLOUR, labels=LABELS, dtype=b"u1", module=b"numpy.core.multiarray"):
    """A batch, byte for byte as cPickle of Python 2 writes one with protocol 2: text and pixels are str of bytes."""

    def text(content):
        return b"U" + bytes([len(content)]) + content if len(content) < 256 else _long(content)

    def _long(content):
        return b"T" + struct.pack("<I", len(content)) + content

    def number(value):
        return b"M" + struct.pack("<H", value)

    planes = pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)
    array = b"c" + module + b"\n_reconstruct\nq\1(cnumpy\nndarray\nq\2K\0\x85U\1btRq\3(K\1"
    array += number(len(planes)) + number(planes.shape[1]) + b"\x86cnumpy\ndtype\nq\4(" + text(dtype)
    array += b"K\0K\1tRq\5(K\3U\1|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89" + text(planes.tobytes()) + b"tb"
    items = [text(b"batch_label"), text(b"training batch 1 of 5"), text(b"labels")]
    items += [b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e", text(b"data"), array]
    return b"\x80\2}q\0(" + b"".join(items) + b"u."


def python_3(protocol, pixels=COLOUR, labels=LABELS, keys=str):
    planes = pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1).copy()
    batch = {"data": planes, "labels": labels.tolist(), "filenames": ["ä.png"] * len(labels)}
    return pickle.dumps({keys(key): value for key, value in batch.items()}, protocol)


def write(folder, contents, archive=False):
    """The files in a folder of the official name, or in an archive of it."""
    if archive:
        with tarfile.open(folder / "cifar.tar.gz", "w:gz") as tar:
            for name, content in contents.items():
                member = tarfile.TarInfo(f"cifar-10-batches/{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        return folder / "cifar.tar.gz"
    (folder / "cifar").mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / "cifar" / name).write_bytes(content)
    return folder / "cifar"


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("version", ["binary", "python 2", "numpy 2", "protocol 2", "protocol 4", "bytes"])
def test_cifar_in_both_versions(tmp_path, version, archive):
    make = {
        "binary": records,
        "python 2": python_2,
        "numpy 2": lambda *batch: python_2(*batch, module=b"numpy._core.multiarray"),
        "protocol 2": lambda *batch: python_3(2, *batch),
        "protocol 4": lambda *batch: python_3(4, *batch),
        "bytes": lambda *batch: python_3(2, *batch, keys=str.encode),
    }[version]
    end, text = (".bin", ".txt") if version == "binary" else ("", "")
    batches = {"data_batch_10": LABELS[::-1], "data_batch_2": LABELS, "test_batch": 9 - LABELS}
    contents = {name + end: make(COLOUR, labels) for name, labels in batches.items()}
    path = write(tmp_path, contents | {"readme.html": b"no data"}, archive)
    assert is_cifar(path) and is_cifar(str(path))
    dataset = cifar_dataset(path)
    assert (dataset.name, dataset.classes, dataset.val) == ("CIFAR-10", CLASSES, None)
    np.testing.assert_array_equal(dataset.train.pixels, np.concatenate([COLOUR, COLOUR]))
    np.testing.assert_array_equal(dataset.train.labels, [*LABELS, *LABELS[::-1]])  # 2 before 10
    np.testing.assert_array_equal(dataset.test.pixels, COLOUR)
    np.testing.assert_array_equal(dataset.test.labels, 9 - LABELS)

    names = [f"class {i}" for i in range(10)]
    meta = {"label_names": names, "num_cases_per_batch": 10000}
    contents["batches.meta" + text] = (
        pickle.dumps(meta, 2) if version != "binary" else "\n".join(names).encode() + b"\n\n"
    )
    assert cifar_dataset(write(tmp_path, contents, archive), "mine").classes == tuple(names)


def test_cifar_without_a_test_part_and_in_two_versions(tmp_path):
    folder = write(tmp_path, {"data_batch_1": python_2(labels=LABELS + 1), "test_batch": python_2()})
    dataset = cifar_dataset(write(tmp_path, {"data_batch_1.bin": records()}))
    np.testing.assert_array_equal(dataset.train.labels, LABELS)
    assert dataset.test is None and dataset.train.mode == "RGB" and is_cifar(folder)


def test_what_is_no_cifar(tmp_path):
    assert not is_cifar(tmp_path) and not is_cifar(tmp_path / "missing")
    (tmp_path / "a.tar.gz").write_bytes(b"hello")
    assert not is_cifar(tmp_path / "a.tar.gz")
    refused(cifar_dataset, tmp_path / "a.tar.gz", r"expected a \.tar\.gz, as CIFAR-10's; Not a gzipped file")
    refused(cifar_dataset, tmp_path, "must hold data_batch_1 or another, to train on; there is none")
    assert not is_cifar(write(tmp_path, {"batches.meta.txt": b"a"}))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("data_batch_1.bin", records()[:-1], "it must hold records of 3,073 bytes; got 18,437 bytes"),
        ("data_batch_1.bin", b"", "got 0 images"),
        ("data_batch_1.bin", records(labels=LABELS + 8), "labels must be 0 to 9; got 8 to 10"),
        ("test_batch.bin", records(labels=LABELS + 8), "labels must be 0 to 9; got 8 to 10"),
        ("data_batch_1", python_2(labels=LABELS[:-1]), "got 6 images and 5 labels"),
        ("data_batch_1", python_2(COLOUR[:, :16]), r"its data must be an array of uint8, \(N, 3072\)"),
        ("data_batch_1", python_2(dtype=b"O8"), "its data must be an array of uint8"),
        ("data_batch_1", python_2(dtype=b"i1"), "its data must be an array of uint8"),
        ("data_batch_1", python_2()[:-100], "expected the pickle of a dict"),
        ("data_batch_1", b"hello", "expected the pickle of a dict"),
        ("data_batch_1", pickle.dumps([1]), "expected the pickle of a dict of numbers and text; 'list'"),
        ("data_batch_1", pickle.dumps({"data": 1}), "its data must be an array"),
        ("data_batch_1", python_2().replace(b"K\2", b"N"), "its labels must be a list of integers"),
        ("data_batch_1", b"\x80\2}r\xff\xff\xff\xff.", "it counts to 4,294,967,295 within 9 bytes"),
    ],
)
@pytest.mark.parametrize("archive", [False, True])
def test_broken_cifar_names_the_file(tmp_path, name, content, reason, archive):
    path = write(tmp_path, {name: content}, archive)
    refused(cifar_dataset, path, f"{name}: .*{reason}")


class Trap:
    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


@pytest.mark.parametrize(
    ("trap", "named"),
    [
        (Trap(os.mkdir, "executed"), r"posix\.mkdir"),
        (Trap(eval, "1"), r"(__builtin__|builtins)\.eval"),
        (Trap(np.load, "a.npy"), r"numpy\.load"),
        (np.float64(1), r"numpy\S*\.scalar"),
    ],
)
def test_a_pickle_that_asks_for_more_is_refused_and_not_executed(tmp_path, monkeypatch, trap, named):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, {"data_batch_1": pickle.dumps({"data": trap, "labels": []}, 2)})
    refused(
        cifar_dataset,
        path,
        f"data_batch_1: expected the pickle .* text; it asks for {named}, which no data need: do not trust it",
    )
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("trap", [Trap(np.dtype, "O"), Trap(np.ndarray, (10**9, 10**9)), np.array([None])])
def test_even_the_allowed_calls_are_not_made(tmp_path, trap):
    path = write(tmp_path, {"data_batch_1": pickle.dumps({"data": trap, "labels": []}, 2)})
    refused(cifar_dataset, path, "data_batch_1: its data must be an array of uint8")


def test_an_archive_is_read_within_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "MAX_BYTES", 20_000)
    large = write(tmp_path, {"data_batch_1.bin": records() * 2}, True)
    refused(cifar_dataset, large, "data_batch_1.bin: it has 36,876 bytes, and at most 20,000 are read")
    folder = write(tmp_path, {"data_batch_1.bin": records() * 2})
    refused(cifar_dataset, folder, "data_batch_1.bin: it has 36,876 bytes, and at most 20,000 are read")
    with tarfile.open(tmp_path / "pax.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("x" * 30_000))  # the name is in a header of that length
    refused(cifar_dataset, tmp_path / "pax.tar.gz", "it claims a piece of 30,.* bytes; at most 20,000 are read")


def test_an_archive_that_is_cut_short_or_holds_a_file_twice(tmp_path):
    whole = write(tmp_path, {"data_batch_1.bin": records()}, True)
    whole.write_bytes(whole.read_bytes()[:-2000])
    refused(cifar_dataset, whole, "ended before|end of data")
    twice = write(tmp_path, {"a/test_batch.bin": records(), "b/test_batch.bin": records()}, True)
    refused(cifar_dataset, twice, r"holds test_batch\.bin twice; keep one of them")


def npz(tmp_path, **content):
    files.write_npz(tmp_path / "mine.npz", content)
    return tmp_path / "mine.npz"


@pytest.mark.parametrize(
    "keys",
    [
        {"train": ("images", "labels")},
        {part: (f"{part}_images", f"{part}_labels") for part in ("train", "val", "test")},
        {part: (f"x_{part}", f"y_{part}") for part in ("train", "test")},
    ],
    ids=["plain", "MedMNIST", "Keras"],
)
@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None].astype(np.int64)])
def test_npz_in_its_layouts(tmp_path, keys, labels):
    content = {key: array for pair in keys.values() for key, array in zip(pair, (GREY, labels), strict=True)}
    dataset = npz_dataset(npz(tmp_path, **content))
    assert (dataset.name, dataset.classes) == ("mine", ("0", "1", "2"))
    for part in ("train", "val", "test"):
        images = getattr(dataset, part)
        assert (images is not None) == (part in keys)
        if images:
            np.testing.assert_array_equal(images.pixels, GREY)
            np.testing.assert_array_equal(images.labels, LABELS)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (GREY, GREY),
        (GREY[..., None], GREY),
        (GREY[:, None], GREY),
        (COLOUR, COLOUR),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR),
        (GREY.astype(np.int64), GREY),
        (GREY / 255, GREY),
        ((GREY / 255).astype(np.float32)[:, None], GREY),
        (np.full((6, 2, 2), 0.5), np.full((6, 2, 2), 128)),  # to even
    ],
)
def test_npz_images_of_every_shape_and_type(tmp_path, given, expected):
    pixels = npz_dataset(npz(tmp_path, images=given, labels=LABELS), "a").train.pixels
    np.testing.assert_array_equal(pixels, expected.astype(np.uint8), strict=True)


@pytest.mark.parametrize("classes", [["a", "b", "ü"], ["a", "b", "c", "d"], [3, 5, 7], np.array([b"a", b"b", b"c"])])
def test_npz_names_its_classes(tmp_path, classes):
    dataset = npz_dataset(npz(tmp_path, images=GREY, labels=LABELS, classes=classes))
    assert dataset.classes == tuple(x.decode() if isinstance(x, bytes) else str(x) for x in classes)


ONE = np.zeros((6, 3, 4, 3), np.uint8)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"images": np.full((6, 2, 2), np.nan)}, "images must be from 0 to 1, since they are float64; got nan to nan"),
        ({"images": GREY.astype(float)}, "images must be from 0 to 1, since they are float64; got 0"),
        ({"images": GREY.astype(int) - 1}, "images must be from 0 to 255, since they are int64; got -1"),
        ({"images": GREY.astype(int) * 2}, "images must be from 0 to 255"),
        ({"images": GREY > 9}, "images must be integers from 0 to 255 or floats from 0 to 1; got bool"),
        ({"images": GREY[:, :0]}, r"images must not be empty; got shape \(6, 0, 4\)"),
        ({"images": GREY[0]}, r"images must be \(N, H, W\), .*; got shape \(5, 4\)"),
        ({"images": COLOUR[..., :2]}, r"images must be \(N, H, W\), .*; got shape \(6, 32, 32, 2\)"),
        ({"images": ONE}, r"channels first or last, by the shape \(6, 3, 4, 3\)"),
        ({"labels": LABELS[:-1]}, "images and labels must be equally many; got 6 and 5"),
        ({"labels": np.eye(6, 3, dtype=int)}, r"labels must be \(N,\) or \(N, 1\).*got shape \(6, 3\): of one-hot"),
        ({"labels": LABELS.astype(int) - 1}, "labels must be whole numbers from 0; got numbers down to -1"),
        ({"labels": LABELS / 2}, "labels must be whole numbers from 0; got numbers of float64"),
        ({"labels": LABELS.astype(int) * 10**9}, "the largest is 2,000,000,000: number them anew"),
        ({"labels": LABELS.astype(np.uint64) * 2**62}, "labels must count the classes from 0; the largest is 9223"),
        ({"classes": ["a", "b"]}, "classes must name label 0 to 2, 3 in all; there are 2 names"),
        ({"classes": ["a", "b", "a"]}, "classes must differ; got a, b, a"),
        ({"classes": [["a", "b", "c"]]}, r"classes must be a list of names; got <U1 of shape \(1, 3\)"),
        ({"x_train": GREY}, "expected the arrays of one of these: images, labels; or .*got images, labels, x_train"),
    ],
)
def test_npz_that_cannot_be_used(tmp_path, changes, reason):
    refused(npz_dataset, npz(tmp_path, **{"images": GREY, "labels": LABELS, **changes}), reason)


def test_npz_with_missing_arrays(tmp_path):
    known = "images, labels; or train_images, train_labels, .*; or x_train, y_train, x_val, y_val, x_test, y_test"
    refused(npz_dataset, npz(tmp_path, weight=GREY), f"expected the arrays of one of these: {known}.*; got weight$")
    refused(npz_dataset, npz(tmp_path, images=GREY), "labels is missing; it has images")
    refused(
        npz_dataset, npz(tmp_path, x_train=GREY, y_train=LABELS, y_test=LABELS), "x_test is missing; it has x_train"
    )
    parts = {"x_train": GREY, "y_train": LABELS, "x_test": COLOUR, "y_test": LABELS}
    refused(npz_dataset, npz(tmp_path, **parts), "its parts must be all grey or all colour")


def test_a_class_may_have_the_largest_label(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "MAX_CLASSES", 3)
    assert npz_dataset(npz(tmp_path, images=GREY, labels=LABELS)).classes == ("0", "1", "2")
    monkeypatch.setattr(arrays, "MAX_CLASSES", 2)
    refused(npz_dataset, npz(tmp_path, images=GREY, labels=LABELS), "the largest is 2: number them anew")
