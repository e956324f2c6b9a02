"""The digits are what they should be, and the script that made the file makes it again."""

import runpy
import zipfile
from pathlib import Path

import numpy as np
import pytest

from numpy_resnet import data, files

ROOT = Path(data.__file__).parents[2]
COUNTS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # of each digit, as UCI gives them


@pytest.fixture(scope="module")
def digits():
    return data.digits()


@pytest.fixture(scope="module")
def stored():
    return files.read_npz(ROOT / "numpy_resnet" / "data" / "digits.npz")


def test_shapes_and_dtypes(digits):
    assert digits.name == "digits"
    assert digits.classes == tuple("0123456789")
    assert digits.val is None
    for images, n in ((digits.train, 1438), (digits.test, 359)):
        assert (len(images), images.mode, images.channels) == (n, "L", 1)
        assert (images.pixels.shape, images.pixels.dtype) == ((n, 8, 8), np.uint8)
        assert (images.labels.shape, images.labels.dtype) == ((n,), np.int64)
        assert (images.pixels.min(), images.pixels.max()) == (0, 255)


def test_they_are_split_class_by_class(digits):
    train, test = np.bincount(digits.train.labels), np.bincount(digits.test.labels)
    np.testing.assert_array_equal(train + test, COUNTS)
    assert (np.abs(test - 0.2 * (train + test)) <= 0.5).all()


def test_they_are_split_by_the_mask_and_do_not_overlap(digits, stored):
    brightness = np.array([v * 255 // 16 for v in range(17)])
    images, test = stored["images"], stored["test"]
    assert (images.dtype, test.dtype) == (np.uint8, bool)
    assert images.max() == 16
    for part, mask in ((digits.train, ~test), (digits.test, test)):
        np.testing.assert_array_equal(part.pixels, brightness[images[mask]])
        np.testing.assert_array_equal(part.labels, stored["labels"][mask])
        np.testing.assert_array_equal(np.asarray(part.read(3)), part.pixels[3])
    pixels = [{image.tobytes() for image in part.pixels} for part in (digits.train, digits.test)]
    assert not pixels[0] & pixels[1]  # no image is there twice, either


def test_the_test_images_come_from_all_over_the_file(stored):
    quarters = np.array_split(stored["test"], 4)
    assert all(0.15 < quarter.mean() < 0.25 for quarter in quarters)


def test_they_name_their_source_and_licence(stored):
    notice = (ROOT / "numpy_resnet" / "data" / "digits.txt").read_text()
    for text in (str(stored["source"]) + str(stored["license"]), notice):
        for words in ("Alpaydin", "Kaynak", "1998", "10.24432/C50P49", "CC BY 4.0", "uint8"):
            assert words in text


def test_they_are_scikit_learns(stored):
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    np.testing.assert_array_equal(stored["images"], theirs.images)
    np.testing.assert_array_equal(stored["labels"], theirs.target)


def test_the_script_makes_the_file(stored, tmp_path):
    pytest.importorskip("sklearn.datasets")
    make = runpy.run_path(str(ROOT / "tools" / "make_digits.py"))["make"]
    for name in ("a.npz", "b.npz"):
        make(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:  # what makes it so on another day
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    made = files.read_npz(tmp_path / "a.npz")
    assert list(made) == list(stored)
    for name, array in stored.items():
        np.testing.assert_array_equal(made[name], array, strict=True)
