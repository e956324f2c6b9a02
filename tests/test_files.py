"""Files are whole or untouched, and come back as they were written."""

import os
import pickle
import stat
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from numpy_resnet import files

ARRAYS = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.array(7)}


class Executed:
    """Unpickling it makes a folder, which a test would see."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_good_block_makes_the_file(tmp_path):
    path = tmp_path / "a.bin"
    with files.atomic_write(path) as file:
        file.write(b"new")
        assert not path.exists()  # not before the end
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_a_good_block_replaces_the_old_file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"a long old file")
    with files.atomic_write(str(path)) as file:
        file.write(b"new")
        assert path.read_bytes() == b"a long old file"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_bad_block_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), files.atomic_write(path) as file:
        file.write(b"half of the n")
        raise error
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    def fail(*_):
        raise OSError("disk full")

    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="disk full"), files.atomic_write(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_the_bytes_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    steps = []

    def watch(step, real):
        monkeypatch.setattr(os, step, lambda *args: (steps.append(step), real(*args)))

    watch("fsync", os.fsync)
    watch("replace", os.replace)
    files.write_text(tmp_path / "a.txt", "text")
    assert steps == ["fsync", "replace", "fsync"]  # the last of the folder


def test_two_writers_do_not_meet(tmp_path):
    path = tmp_path / "a.bin"
    with files.atomic_write(path) as one, files.atomic_write(path) as other:
        one.write(b"one")
        other.write(b"other")
    assert path.read_bytes() == b"one"  # the outer block ends last
    assert os.listdir(tmp_path) == ["a.bin"]


def test_the_file_is_as_readable_as_any_other(tmp_path):
    files.write_text(tmp_path / "ours", "")
    (tmp_path / "theirs").touch()
    ours, theirs = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "theirs"))
    assert ours == theirs


def test_a_missing_folder_is_named(tmp_path):
    expected = r"cannot write .*a\.txt: there is no folder .*missing; create it"
    with pytest.raises(FileNotFoundError, match=expected):
        files.write_text(tmp_path / "missing" / "a.txt", "text")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        files.write_text(tmp_path, "text")


def test_text_is_utf8_with_its_own_line_ends(tmp_path):
    files.write_text(tmp_path / "a.txt", "Größe\r\n1 µm\n")
    assert (tmp_path / "a.txt").read_bytes() == "Größe\r\n1 µm\n".encode()


@given(
    npst.arrays(
        dtype=npst.floating_dtypes() | npst.integer_dtypes() | npst.boolean_dtypes(),
        shape=npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
)
def test_any_array_under_any_name_comes_back(tmp_path_factory, array, name):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    files.write_npz(path, {name: array.T, "one more " + name: ARRAYS["weight"]})
    back = files.read_npz(path)[name]
    assert back.dtype == array.dtype
    assert back.shape == array.T.shape
    assert back.tobytes() == array.T.tobytes()  # NaN and the sign of zero, too


def test_numpy_reads_what_is_written_and_the_other_way_round(tmp_path):
    files.write_npz(tmp_path / "ours.npz", ARRAYS)
    np.savez_compressed(tmp_path / "theirs.npz", **ARRAYS)
    with np.load(tmp_path / "ours.npz") as archive:
        ours = dict(archive)
    for back in (ours, files.read_npz(tmp_path / "theirs.npz")):
        assert list(back) == list(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(back[name], array, strict=True)


def test_equal_arrays_give_equal_bytes_and_every_other_element_is_fine(tmp_path):
    array = np.arange(24.0).reshape(4, 6)
    files.write_npz(tmp_path / "a.npz", {"x": array[::2, ::-3]})
    files.write_npz(tmp_path / "b.npz", {"x": array[::2, ::-3].copy()})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_names_that_savez_would_trip_over(tmp_path):
    arrays = dict.fromkeys(["file", "allow_pickle", "a/b.c", "x.npy", ""], ARRAYS["weight"])
    files.write_npz(tmp_path / "a.npz", arrays)
    assert list(files.read_npz(tmp_path / "a.npz")) == list(arrays)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"note": np.array([None])}, "note must hold numbers or text; got Python objects"),
        ({"note": np.zeros(1, [("a", object)])}, "note must hold numbers"),
        ({1: np.zeros(1)}, "names of arrays must be strings.*got 1"),
        ({"a\0b": np.zeros(1)}, "names of arrays must be strings"),
    ],
)
def test_what_npz_cannot_hold_is_refused_before_anything_is_written(tmp_path, arrays, message):
    with pytest.raises(TypeError, match=message):
        files.write_npz(tmp_path / "a.npz", arrays)
    assert not os.listdir(tmp_path)


def test_pickles_are_refused_and_not_executed(tmp_path):
    trap = Executed(tmp_path / "executed")
    np.savez(tmp_path / "array.npz", x=np.array([trap], dtype=object))
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(trap))
    for name in ("array.npz", "bare.npz"):
        with pytest.raises(ValueError, match=rf"{name}: expected an \.npz file, whole and free of pickles"):
            files.read_npz(tmp_path / name)
    assert not trap.folder.exists()
    np.load(tmp_path / "array.npz", allow_pickle=True)["x"]
    assert trap.folder.exists()  # the trap was a real one


def test_every_shorter_file_is_broken(tmp_path):
    files.write_npz(tmp_path / "a.npz", ARRAYS)
    whole = (tmp_path / "a.npz").read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "b.npz").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"b\.npz: expected an \.npz file"):
            files.read_npz(tmp_path / "b.npz")


def test_a_changed_byte_of_an_array_is_found(tmp_path):
    files.write_npz(tmp_path / "a.npz", ARRAYS)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    place = bytes(content).index(ARRAYS["weight"].tobytes())
    content[place + 5] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match="CRC"):
        files.read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("place", [4, 6, 8, 26, 30, -10, -6, -4])
def test_a_broken_header_is_a_value_error(tmp_path, place):
    files.write_npz(tmp_path / "a.npz", ARRAYS)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[place] ^= 0xFF
    (tmp_path / "a.npz").write_bytes(content)
    try:
        back = files.read_npz(tmp_path / "a.npz")
    except ValueError as error:
        assert "expected an .npz file" in str(error)
    else:  # a byte that nobody reads
        assert all(np.array_equal(back[name], array) for name, array in ARRAYS.items())


def test_another_zip_is_no_npz(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("data.pkl", b"")
    with pytest.raises(ValueError, match=r"it holds 'data\.pkl', which is no \.npy array"):
        files.read_npz(tmp_path / "a.npz")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.npz"):
        files.read_npz(tmp_path / "a.npz")
