"""Batches hold every image once, and are bit for bit the same whatever the threads do, and wherever one goes on."""

import threading
import time
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from numpy_resnet.data import ArrayImages, FileImages, ImageError, Loader, Skipped, batch_starts, scan
from numpy_resnet.data.transforms import CenterCrop, ColorJitter, RandomCrop, RandomRotation, Resize

RNG = np.random.default_rng(2)
N = 23
IMAGES = ArrayImages(RNG.integers(0, 256, (N, 6, 5, 3), np.uint8), np.arange(N) % 4)
SCALE = {"mean": [0.1, 0.5, 0.9], "std": [0.25, 0.5, 2]}
RANDOM = (RandomRotation(20), RandomCrop((6, 5), padding=2), ColorJitter(0.4, 0.4))


def numbered(n):
    """n images of one pixel."""
    return ArrayImages(np.zeros((n, 1, 1), np.uint8), np.arange(n) * 2)


def draw(images=IMAGES, transforms=(), *, batch_size=4, seed=0, epoch=1, first=0, **options):
    return list(
        Loader(images, transforms, **options).shuffled(batch_size=batch_size, seed=seed, epoch=epoch, first=first)
    )


def order(batches):
    return np.concatenate([batch.indices for batch in batches]).tolist()


def assert_same(batches, others):
    for batch, other in zip(batches, others, strict=True):
        for array, again in zip(batch, other, strict=True):
            np.testing.assert_array_equal(array, again, strict=True)


@pytest.fixture
def files(tmp_path):
    """IMAGES in files."""
    paths = [tmp_path / f"{i:02}.png" for i in range(N)]
    for path, pixels in zip(paths, IMAGES.pixels, strict=True):
        Image.fromarray(pixels).save(path)
    return FileImages(paths, IMAGES.labels)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not alive()


def alive():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("loader")]


# What is in a batch


@given(st.integers(2, 60), st.integers(2, 70), st.integers(1, 3))
def test_an_epoch_has_every_image_once(n, batch_size, workers):
    batches = draw(numbered(n), batch_size=batch_size, workers=workers)
    assert len(batches) == len(batch_starts(n, batch_size))
    assert sorted(order(batches)) == list(range(n))
    for batch in batches:
        np.testing.assert_array_equal(batch.labels, 2 * batch.indices)
        assert batch.x.shape == (len(batch.indices), 1, 1, 1)
    sizes = [len(batch.labels) for batch in batches]
    assert min(sizes) >= 2
    assert all(size == batch_size for size in sizes[:-1])
    assert sizes[-1] <= batch_size + 1


@pytest.mark.parametrize(("n", "sizes"), [(8, [4, 4]), (9, [4, 5]), (10, [4, 4, 2]), (5, [5]), (4, [4]), (2, [2])])
def test_a_lone_last_image_joins_the_batch_before(n, sizes):
    assert [len(batch.x) for batch in draw(numbered(n))] == sizes
    assert list(batch_starts(n, 4)) == [4 * k for k in range(len(sizes))]


def test_a_batch_by_hand():
    for batch in draw(**SCALE):
        pixels = IMAGES.pixels[batch.indices].transpose(0, 3, 1, 2).astype(np.float64) / 255
        mean, std = (np.reshape(SCALE[key], (3, 1, 1)) for key in ("mean", "std"))
        np.testing.assert_allclose(batch.x, (pixels - mean) / std, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(batch.labels, IMAGES.labels[batch.indices])
        assert (batch.x.dtype, batch.labels.dtype, batch.indices.dtype) == (np.float32, np.int64, np.int64)
        assert batch.x.transpose(0, 2, 3, 1).flags.c_contiguous  # channels-last


def test_without_mean_and_std_nothing_changes():
    x = np.concatenate([batch.x for batch in Loader(IMAGES).in_order()])
    np.testing.assert_array_equal(x, (IMAGES.pixels / np.float32(255)).transpose(0, 3, 1, 2), strict=True)


def test_grey_images_have_one_channel():
    loader = Loader(ArrayImages(IMAGES.pixels, IMAGES.labels, "L"), mean=[0.5], std=[0.5])
    x = next(loader.in_order(batch_size=N)).x
    expected = [np.asarray(Image.fromarray(pixels).convert("L")) for pixels in IMAGES.pixels]
    np.testing.assert_allclose(x[:, 0], np.array(expected) / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize(("batch_size", "sizes"), [(1, [1] * 23), (8, [8, 8, 7]), (11, [11, 11, 1]), (64, [23])])
def test_in_order(batch_size, sizes):
    batches = list(Loader(IMAGES, (CenterCrop(4),), **SCALE).in_order(batch_size=batch_size))
    assert [len(batch.x) for batch in batches] == sizes
    assert order(batches) == list(range(N))
    assert batches[0].x.shape[1:] == (3, 4, 4)
    assert np.concatenate([batch.labels for batch in batches]).tolist() == IMAGES.labels.tolist()


def test_in_order_nothing_is_random():
    with pytest.raises(TypeError, match="a random transform needs a NumPy generator; got None"):
        next(Loader(IMAGES, RANDOM).in_order())


def test_no_images_in_order():
    assert list(Loader(IMAGES.subset(np.arange(0))).in_order()) == []


# What it depends on


@pytest.mark.parametrize("workers", [2, 3, 16])
def test_the_number_of_threads_makes_no_difference(files, workers):
    for images in (IMAGES, files):
        assert_same(draw(images, RANDOM, workers=workers), draw(images, RANDOM, workers=1))
        in_order = [list(Loader(images, workers=n).in_order(batch_size=4)) for n in (1, workers)]
        assert_same(*in_order)


def test_threads_that_finish_out_of_order():
    def slow(image, rng):
        time.sleep(0.004 * rng.random())
        return image

    assert_same(draw(transforms=(slow, *RANDOM), workers=5), draw(transforms=(slow, *RANDOM), workers=1))


@pytest.mark.parametrize("workers", [1, 3])
def test_an_epoch_can_go_on_at_any_batch(workers):
    whole = draw(transforms=RANDOM, **SCALE)
    for first in range(len(whole) + 1):
        assert_same(draw(transforms=RANDOM, first=first, workers=workers, **SCALE), whole[first:])


def test_the_order_depends_on_seed_and_epoch_and_nothing_else(files):
    drawn = order(draw(seed=3, epoch=5))
    assert drawn != sorted(drawn)
    for same in (draw(seed=3, epoch=5), draw(files, RANDOM, batch_size=7, seed=3, epoch=5, workers=1)):
        assert order(same) == drawn
    others = [order(draw(seed=seed, epoch=epoch)) for seed, epoch in ((3, 6), (4, 5), (5, 3), (3 + 2**32, 5))]
    assert len({tuple(other) for other in [drawn, *others]}) == 5


class Draws(NamedTuple):
    """A transform that writes down what its generator says next."""

    seen: list

    def __call__(self, image, rng):
        self.seen.append((image.getpixel((0, 0)), tuple(rng.integers(0, 2**63, 4).tolist())))
        return image


def streams(images, **options):
    """For each image, known by its first pixel, what is drawn for it."""
    seen = []
    draw(images, (Draws(seen),), **options)
    return dict(seen)


def test_what_happens_to_an_image_depends_on_seed_epoch_and_index():
    pixels = np.arange(20, dtype=np.uint8)[:, None, None]
    images = ArrayImages(pixels, np.zeros(20))
    drawn = streams(images)
    assert len(set(drawn.values())) == 20
    for options in ({"batch_size": 7}, {"workers": 1}, {"batch_size": 20}):
        assert streams(images, **options) == drawn
    turned = streams(ArrayImages(pixels[::-1], np.ones(20)))  # image i is now at 19 - i
    assert [turned[19 - i] for i in range(20)] == [drawn[i] for i in range(20)]
    for options in ({"seed": 1}, {"epoch": 2}, {"seed": 1, "epoch": 0}):
        assert not set(streams(images, **options).values()) & set(drawn.values())


def test_no_image_has_the_stream_that_the_order_comes_from():
    """NumPy fills seeds up with zeros: [seed, epoch] and [seed, epoch, 0] are the same."""
    drawn = streams(ArrayImages(np.arange(20, dtype=np.uint8)[:, None, None], np.zeros(20)), seed=3, epoch=5)
    actual = order(draw(numbered(20), seed=3, epoch=5))
    generator = np.random.default_rng([3, 5])
    assert generator.permutation(20).tolist() == actual
    assert tuple(np.random.default_rng([3, 5]).integers(0, 2**63, 4).tolist()) not in drawn.values()


# What goes wrong


def test_images_of_different_sizes_are_refused_by_name(files):
    Image.new("RGB", (9, 7)).save(files.paths[10])
    with pytest.raises(ValueError, match=r"08\.png has 6x5, .*10\.png 7x9: resize and crop them") as caught:
        list(Loader(files).in_order(batch_size=8))
    assert str(files.paths[10]) in str(caught.value)
    for steps in ((Resize(4), CenterCrop(4)), (CenterCrop((6, 5)),)):
        assert len(list(Loader(files, steps).in_order())) == 1


def test_an_image_that_vanishes(files):
    loader = Loader(files, RANDOM)
    whole = list(loader.shuffled(batch_size=4, seed=0, epoch=1))
    lost = whole[1].indices[2]
    files.paths[lost].unlink()
    with pytest.warns(UserWarning, match="^skipped: ") as caught:
        batches = list(loader.shuffled(batch_size=4, seed=0, epoch=1))
    assert len(caught) == 1
    assert str(files.paths[lost]) in str(caught[0].message)
    assert caught[0].filename == __file__
    assert [len(batch.x) for batch in batches] == [4, 3, 4, 4, 4, 3]
    expected = [
        batch._replace(**{k: np.delete(v, 2, axis=0) for k, v in batch._asdict().items()}) for batch in whole[1:2]
    ]
    assert_same(batches, [whole[0], *expected, *whole[2:]])


@pytest.mark.parametrize("workers", [1, 3])
def test_strict_raises_for_an_image_that_vanishes(files, workers):
    files.paths[7].unlink()
    loader = Loader(files, strict=True, workers=workers)
    seen = []
    with pytest.raises(ImageError) as caught:
        seen += [batch.indices.tolist() for batch in loader.in_order(batch_size=4)]
    assert str(caught.value).startswith(str(files.paths[7]))
    assert not alive()
    stream = loader.in_order(batch_size=4)
    assert next(stream).indices.tolist() == [0, 1, 2, 3]
    with pytest.raises(ImageError):
        next(stream)


def test_a_batch_that_vanishes(files):
    for path in files.paths[4:8]:
        path.unlink()
    with pytest.warns(UserWarning, match="^skipped: ") as caught:
        batches = list(Loader(files).in_order(batch_size=4))
    assert len(caught) == 4
    assert [len(batch.x) for batch in batches] == [4, 0, 4, 4, 4, 3]
    empty = batches[1]
    assert (empty.x.shape[:2], empty.labels.shape, empty.indices.shape) == ((0, 3), (0,), (0,))
    assert (empty.x.dtype, empty.labels.dtype, empty.indices.dtype) == (np.float32, np.int64, np.int64)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_an_error_in_a_transform_reaches_the_caller(workers):
    def fail(image, rng):
        if rng.random() < 0.1:
            raise ZeroDivisionError("of the transform")
        return image

    seen = 0
    with pytest.raises(ZeroDivisionError, match="of the transform"):
        for _ in Loader(IMAGES, (fail,), workers=workers).shuffled(batch_size=2, seed=1, epoch=1):
            seen += 1
    assert 0 < seen < 11
    assert not alive()


@pytest.mark.parametrize("end", ["close", "del", "throw"])
@pytest.mark.parametrize("method", ["shuffled", "in_order"])
def test_threads_end_when_nobody_wants_the_rest(end, method):
    options = {"seed": 0, "epoch": 1} if method == "shuffled" else {}
    read = []

    def slow(image, rng):
        time.sleep(0.001)
        read.append(1)
        return image

    images = numbered(2000)
    stream = getattr(Loader(images, (slow,), workers=3), method)(batch_size=5, **options)
    assert not alive()  # until the first batch is asked for
    next(stream)
    assert 0 < len(alive()) <= 3
    if end == "close":
        stream.close()
    elif end == "throw":
        with pytest.raises(KeyboardInterrupt):
            stream.throw(KeyboardInterrupt())
    del stream
    assert not alive()
    assert len(read) < 100  # a few batches, not all


def test_what_no_thread_has_begun_is_not_done_any_more():
    begun, gate = [], threading.Event()

    def wait(image, rng):
        begun.append(1)
        assert len(begun) == 1 or gate.wait(10)
        return image

    stream = Loader(numbered(9), (wait,), workers=1).in_order(batch_size=1)
    next(stream)
    while len(begun) < 2:
        time.sleep(0.001)
    threading.Timer(0.05, gate.set).start()  # while close waits for the second image
    stream.close()
    assert len(begun) == 2


def test_threads_are_a_few_batches_ahead_and_no_more():
    read = []

    def count(image, rng):
        read.append(1)
        return image

    stream = Loader(numbered(1000), (count,), workers=2).in_order(batch_size=10)
    for taken in range(1, 6):
        next(stream)
        time.sleep(0.01)
        assert len(read) <= 10 * (taken + 4)
    patience = time.monotonic() + 10
    while len(read) < 90 and time.monotonic() < patience:
        time.sleep(0.001)
    assert len(read) == 90
    stream.close()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Loader(IMAGES, workers=0), ValueError, "workers must be at least 1 thread; got 0"),
        (lambda: Loader(IMAGES, workers=1.5), TypeError, "float"),
        (lambda: Loader(IMAGES, mean=[0.5]), ValueError, "mean must be 3 finite numbers"),
        (lambda: Loader(IMAGES, mean=0.5), ValueError, "mean must be 3 finite numbers"),
        (lambda: Loader(IMAGES, std=[1, 1, np.nan]), ValueError, "std must be 3 finite numbers"),
        (lambda: Loader(IMAGES, std=[1, 0, 1]), ValueError, "std must be positive in each channel"),
        (lambda: Loader(IMAGES, std=[1, -1, 1]), ValueError, "std must be positive in each channel"),
        (lambda: draw(batch_size=1), ValueError, "batch_size must be at least 2.*got 1"),
        (lambda: draw(batch_size=2.0), TypeError, "float"),
        (lambda: draw(numbered(1)), ValueError, "at least 2 images to train on; got 1"),
        (lambda: Loader(IMAGES).in_order(batch_size=0), ValueError, "batch_size must be at least 1; got 0"),
        (lambda: Loader(IMAGES).in_order(batch_size=-4), ValueError, "batch_size must be at least 1; got -4"),
        (lambda: draw(first=-1), ValueError, "first must be at least 0; got -1"),
    ],
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_batches_are_refused_at_the_call():
    for options in ({"batch_size": 1}, {"first": -1}):
        with pytest.raises(ValueError, match="must be at least"):  # not only at the first batch
            Loader(IMAGES).shuffled(**{"batch_size": 4, "seed": 0, "epoch": 1} | options)


# The first look at all images


def test_mean_and_std_are_numpys(files):
    for images in (IMAGES, files):
        kept, mean, std = scan(images)
        assert kept.tolist() == list(range(N))
        pixels = IMAGES.pixels / 255
        np.testing.assert_allclose(mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-6)
        np.testing.assert_allclose(std, pixels.std(axis=(0, 1, 2)), rtol=1e-6)
        assert (mean.dtype, std.dtype, kept.dtype) == (np.float32, np.float32, np.int64)
    grey = scan(ArrayImages(IMAGES.pixels[..., 0], IMAGES.labels))
    np.testing.assert_array_equal(grey.mean, mean[:1])


def test_every_pixel_counts_once_whatever_the_sizes(tmp_path):
    sizes, values = [(2, 3), (30, 40), (5, 5)], [10, 100, 250]
    paths = [tmp_path / f"{value}.png" for value in values]
    for path, size, value in zip(paths, sizes, values, strict=True):
        Image.new("L", size, value).save(path)
    pixels = np.repeat(values, np.prod(sizes, axis=1)) / 255
    seen = scan(FileImages(paths, [0, 1, 2], "L"))
    np.testing.assert_allclose([seen.mean[0], seen.std[0]], [pixels.mean(), pixels.std()], rtol=1e-6)


def test_transforms_come_before_the_sums():
    seen = scan(IMAGES, (CenterCrop((2, 1)),))
    np.testing.assert_allclose(seen.mean, IMAGES.pixels[:, 2:4, 2].mean(axis=(0, 1)) / 255, rtol=1e-6)


def test_normalised_with_them_images_have_mean_0_and_std_1():
    _, mean, std = scan(IMAGES)
    x = next(Loader(IMAGES, mean=mean, std=std).in_order()).x
    np.testing.assert_allclose(x.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(x.std(axis=(0, 2, 3)), 1, rtol=1e-5)


@pytest.mark.parametrize("value", range(0, 256, 15))
def test_a_constant_channel_has_std_1(value):
    pixels = np.full((7, 3, 3, 3), value, np.uint8)
    pixels[..., 1] = np.arange(9).reshape(3, 3)
    seen = scan(ArrayImages(pixels, np.zeros(7)))
    np.testing.assert_array_equal(seen.std[[0, 2]], 1)
    np.testing.assert_array_equal(seen.mean[[0, 2]], np.float32(value / 255))
    assert seen.std[1] < 0.02


def test_one_pixel_that_differs_is_not_nothing():
    pixels = np.full((50, 100, 100), 255, np.uint8)
    pixels[7, 3, 3] = 254
    np.testing.assert_allclose(scan(ArrayImages(pixels, np.zeros(50))).std, (pixels / 255).std(), rtol=1e-3)


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_the_first_look_does_not_depend_on_the_threads(workers):
    images = ArrayImages(RNG.integers(0, 256, (200, 5, 5), np.uint8), np.zeros(200))
    for one, other in zip(scan(images, workers=1), scan(images, workers=workers), strict=True):
        np.testing.assert_array_equal(one, other)


def test_broken_files_are_kept_out(files):
    for i in (3, 20):
        files.paths[i].write_bytes(b"hello")
    with pytest.warns(UserWarning, match="^skipped") as caught:
        kept, mean, _ = scan(files)
    good = [i for i in range(N) if i not in (3, 20)]
    assert kept.tolist() == good
    np.testing.assert_allclose(mean, IMAGES.pixels[good].mean(axis=(0, 1, 2)) / 255, rtol=1e-6)
    said = [str(warning.message) for warning in caught]
    assert len(said) == 3
    assert said[0].startswith(f"skipped: {files.paths[3]}")
    assert said[1].startswith(f"skipped: {files.paths[20]}")
    assert said[2] == "skipped 2 of 23 images that cannot be read"
    assert {warning.filename for warning in caught} == {__file__}
    with pytest.raises(ImageError) as error:
        scan(files, strict=True)
    assert str(error.value).startswith(str(files.paths[3]))


@pytest.mark.parametrize(("broken", "more"), [(20, ""), (21, ", the first 20 of which are named")])
def test_many_broken_files_are_not_all_named(files, broken, more):
    for path in files.paths[:broken]:
        path.unlink()
    with pytest.warns(UserWarning, match="^skipped") as caught:
        assert len(scan(files).kept) == N - broken
    said = [str(warning.message) for warning in caught]
    assert len(said) == 21
    for path, text in zip(files.paths, said[:20], strict=False):
        assert text.startswith(f"skipped: {path}")
    assert said[20] == f"skipped {broken} of 23 images that cannot be read{more}"


def test_nothing_that_can_be_read_is_refused(files):
    images = files.subset([0, 1])
    for path in images.paths:
        path.unlink()
    with pytest.warns(UserWarning, match="^skipped: "), pytest.raises(ValueError, match="got 2, none of which can"):
        scan(images)
    with pytest.raises(ValueError, match="got 0, none"):
        scan(files.subset(np.arange(0)))


def test_an_error_in_the_first_look_reaches_the_caller():
    with pytest.raises(ValueError, match="must be at least 9x9"):
        scan(IMAGES, (lambda image, rng: RandomCrop(9)(image, rng),))


def test_a_flood_of_skipped_images_is_dammed():
    class Gone(ArrayImages):
        def read(self, i):
            raise ImageError(f"image {i} is gone")

    loader = Loader(Gone(np.zeros((50, 4, 4), np.uint8), np.zeros(50)))
    with pytest.warns(Skipped) as caught:
        assert sum(len(batch.x) for batch in loader.in_order(batch_size=8)) == 0
    assert len(caught) == 21
    assert str(caught[-1].message) == "skipped 50 images, the first 20 of which are named"
