"""The digits are what they should be, batches hold every image once, and everything random repeats."""

import runpy
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_resnet import data, files

RNG = np.random.default_rng(1)
X = RNG.standard_normal((7, 3, 5, 6), dtype=np.float32)
ROOT = Path(data.__file__).parents[2]
COUNTS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # of each digit, as UCI gives them


# The digits


@pytest.fixture(scope="module")
def digits():
    return data.digits()


@pytest.fixture(scope="module")
def stored():
    return files.read_npz(ROOT / "numpy_resnet" / "data" / "digits.npz")


def test_digits_shapes_and_dtypes(digits):
    assert digits.name == "digits"
    assert digits.classes == tuple("0123456789")
    for x, y, n in ((digits.x_train, digits.y_train, 1438), (digits.x_test, digits.y_test, 359)):
        assert (x.shape, x.dtype) == ((n, 1, 8, 8), np.float32)
        assert (y.shape, y.dtype) == ((n,), np.int64)
        assert (x.min(), x.max()) == (0, 1)
        np.testing.assert_array_equal(x * 16, np.round(x * 16))


def test_digits_are_split_class_by_class(digits):
    train, test = np.bincount(digits.y_train), np.bincount(digits.y_test)
    np.testing.assert_array_equal(train + test, COUNTS)
    assert (np.abs(test - 0.2 * (train + test)) <= 0.5).all()


def test_digits_are_split_by_the_mask_and_do_not_overlap(digits, stored):
    images, test = stored["images"], stored["test"]
    assert test.dtype == bool
    for x, y, part in ((digits.x_train, digits.y_train, ~test), (digits.x_test, digits.y_test, test)):
        np.testing.assert_array_equal(x[:, 0], images[part] / 16)
        np.testing.assert_array_equal(y, stored["labels"][part])
    pixels = [{image.tobytes() for image in x} for x in (digits.x_train, digits.x_test)]
    assert not pixels[0] & pixels[1]  # no image is there twice, either


def test_the_test_images_come_from_all_over_the_file(stored):
    quarters = np.array_split(stored["test"], 4)
    assert all(0.15 < quarter.mean() < 0.25 for quarter in quarters)


def test_digits_name_their_source_and_licence(stored):
    notice = (ROOT / "numpy_resnet" / "data" / "digits.txt").read_text()
    for text in (str(stored["source"]) + str(stored["license"]), notice):
        for words in ("Alpaydin", "Kaynak", "1998", "10.24432/C50P49", "CC BY 4.0", "uint8"):
            assert words in text


def test_digits_are_scikit_learns(stored):
    sklearn = pytest.importorskip("sklearn.datasets")
    theirs = sklearn.load_digits()
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


def test_load_knows_the_digits_and_says_so(digits):
    np.testing.assert_array_equal(data.load("digits").x_test, digits.x_test)
    with pytest.raises(ValueError, match=r"no data set is called 'mnits'; there is digits"):
        data.load("mnits")


# Normalising


def test_normalized_channels_have_mean_0_and_std_1():
    x = X * np.array([1, 5, 0.1], np.float32)[:, None, None] + np.array([0, 3, -2], np.float32)[:, None, None]
    before = x.copy()
    mean, std = data.normalization(x)
    assert (mean.shape, mean.dtype, std.shape, std.dtype) == ((3,), np.float32, (3,), np.float32)
    np.testing.assert_allclose(mean, [x[:, c].mean() for c in range(3)], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(std, [x[:, c].std() for c in range(3)], rtol=1e-5)
    y = data.normalize(x, mean, std)
    assert (y.shape, y.dtype) == (x.shape, np.float32)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), 1, rtol=1e-5)
    np.testing.assert_array_equal(x, before)


def test_normalize_by_hand():
    x = np.array([3.0, 8.0], np.float32).reshape(1, 2, 1, 1)
    np.testing.assert_array_equal(data.normalize(x, [1.0, 2.0], [4.0, 3.0]).ravel(), [0.5, 2])


def test_a_constant_channel_becomes_zero():
    x = np.full((4, 1, 3, 3), 0.7, np.float32)
    mean, std = data.normalization(x)
    np.testing.assert_array_equal(std, [1])
    np.testing.assert_allclose(data.normalize(x, mean, std), 0, atol=1e-6)


def test_many_bright_pixels_keep_their_mean():
    x = np.full((4, 1, 1024, 1024), 0.1, np.float32)  # a float32 sum along each axis would drift
    assert data.normalization(x)[0][0] == np.float32(0.1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: data.normalization(X[:0]), ValueError, r"not empty; got shape \(0, 3, 5, 6\)"),
        (lambda: data.normalization(X[0]), ValueError, r"x must be \(N, C, H, W\)"),
        (lambda: data.normalization(np.full((1, 1, 2, 2), np.nan)), ValueError, "x must be finite"),
        (lambda: data.normalize(X, np.zeros(1), np.ones(1)), ValueError, r"got shapes .*\(1,\)"),
        (lambda: data.normalize(X, np.zeros(3), np.array([1, 0, 1])), ValueError, "std must be positive"),
        (lambda: data.normalize(np.ones((1, 3, 2, 2), int), [0] * 3, [1] * 3), TypeError, "got int64: conv"),
        (lambda: data.random_shift(X, RNG, -1), ValueError, "pixels must be at least 0; got -1"),
        (lambda: data.random_shift(X, RNG, 0.5), TypeError, "integer"),
    ],
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


# Moving


def moved(image, down, right, fill):
    """By definition: y[c, i, j] = x[c, i - down, j - right], or fill where that is outside."""
    C, H, W = image.shape
    y = np.empty_like(image)
    for c, i, j in np.ndindex(C, H, W):
        inside = 0 <= i - down < H and 0 <= j - right < W
        y[c, i, j] = image[c, i - down, j - right] if inside else fill[c]
    return y


@pytest.mark.parametrize("pixels", [0, 1, 2, 7])
def test_each_image_is_moved_as_a_whole(pixels):
    fill = np.array([-1, -2, -3], np.float32)
    before = X.copy()
    y = data.random_shift(X, np.random.default_rng(0), pixels, fill=fill)
    assert (y.shape, y.dtype) == (X.shape, X.dtype)
    np.testing.assert_array_equal(X, before)
    steps = range(-pixels, pixels + 1)
    for image, shifted in zip(X, y, strict=True):
        candidates = [moved(image, down, right, fill) for down in steps for right in steps]
        assert any(np.array_equal(shifted, candidate) for candidate in candidates)


def test_every_shift_comes_up_and_all_about_as_often():
    x = np.zeros((9000, 1, 3, 3), np.float32)
    x[:, :, 1, 1] = 1
    places = data.random_shift(x, np.random.default_rng(0)).mean(axis=0)[0]  # (3, 3)
    np.testing.assert_allclose(places, 1 / 9, rtol=0.15)


def test_an_image_moves_out_into_nothing():
    y = data.random_shift(np.ones((50, 1, 2, 2), np.float32), np.random.default_rng(0), 2)
    assert {image.sum() for image in y} == {0, 1, 2, 4}  # edges come in as 0


# Batches


def draw(n, batch_size, **options):
    options = {"seed": 0, "epoch": 1, **options}
    x = np.arange(n, dtype=np.float32).reshape(n, 1, 1, 1)
    return list(data.batches(x, np.arange(n), batch_size=batch_size, **options))


@given(st.integers(2, 60), st.integers(2, 70))
def test_batches_hold_every_image_once(n, batch_size):
    drawn = draw(n, batch_size)
    assert len(drawn) == data.num_batches(n, batch_size)
    assert sorted(np.concatenate([y for _, y in drawn])) == list(range(n))
    for x, y in drawn:
        np.testing.assert_array_equal(x.ravel(), y)  # labels stay with their images
    sizes = [len(y) for _, y in drawn]
    assert min(sizes) >= 2
    assert all(size == batch_size for size in sizes[:-1])
    assert sizes[-1] <= batch_size + 1


@pytest.mark.parametrize(("n", "sizes"), [(8, [4, 4]), (9, [4, 5]), (10, [4, 4, 2]), (5, [5]), (3, [3])])
def test_a_lone_last_image_joins_the_batch_before(n, sizes):
    assert [len(y) for _, y in draw(n, 4)] == sizes


def order(**options):
    return np.concatenate([y for _, y in draw(100, 32, **options)]).tolist()


def test_the_order_depends_on_seed_and_epoch_and_nothing_else():
    first = order(seed=3, epoch=5)
    assert first == np.random.default_rng([3, 5]).permutation(100).tolist()
    assert order(seed=3, epoch=5) == first
    others = [order(seed=3, epoch=6), order(seed=4, epoch=5), order(seed=5, epoch=3)]
    assert all(other != first for other in others)


def test_augment_gets_each_batch_and_repeats_too():
    def noise(x, rng):
        return x + rng.uniform(100, 200, x.shape).astype(np.float32)

    once, again = (draw(20, 8, augment=noise) for _ in range(2))
    for (x, y), (x_again, y_again) in zip(once, again, strict=True):
        np.testing.assert_array_equal(x, x_again)
        np.testing.assert_array_equal(y, y_again)
        assert ((x.ravel() - y >= 100) & (x.ravel() - y < 201)).all()
    assert len({float(x.ravel()[0] - y[0]) for x, y in once}) == len(once)


@pytest.mark.parametrize(
    ("n", "labels", "batch_size", "message"),
    [
        (5, 5, 1, "batch_size must be at least 2.*got 1"),
        (5, 5, 0, "batch_size must be at least 2"),
        (1, 1, 4, "at least 2 images to train on; got 1"),
        (5, 4, 2, "got 5 images and 4 labels"),
    ],
)
def test_batches_are_refused_at_the_call(n, labels, batch_size, message):
    with pytest.raises(ValueError, match=message):  # not only at the first batch
        data.batches(np.zeros((n, 1, 2, 2)), np.zeros(labels), batch_size=batch_size, seed=0, epoch=1)
