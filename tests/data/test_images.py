"""Images from memory and from files are read alike, and a fingerprint tells whether they are still the same."""

import shutil

import numpy as np
import pytest
from PIL import Image

from numpy_resnet.data import ArrayImages, FileImages, ImageError

RNG = np.random.default_rng(5)
GREY, COLOUR = RNG.integers(0, 256, (6, 4, 3), np.uint8), RNG.integers(0, 256, (6, 4, 3, 3), np.uint8)
LABELS = [0, 1, 2, 0, 1, 2]


@pytest.fixture
def folder(tmp_path):
    """The images of COLOUR in two folders."""
    for i, pixels in enumerate(COLOUR):
        path = tmp_path / "data" / "AB"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tmp_path / "data"


def file_images(folder, **options):
    return FileImages(sorted(folder.glob("*/*.png"), key=lambda path: path.name), LABELS, **options)


def kinds(folder):
    return {"arrays": ArrayImages(COLOUR, LABELS), "files": file_images(folder)}


def check_images(images, pixels, labels):
    assert len(images) == len(pixels)
    assert images.labels.dtype == np.int64
    np.testing.assert_array_equal(images.labels, labels)
    for i, expected in enumerate(pixels):
        np.testing.assert_array_equal(np.asarray(images.read(i)), expected)


@pytest.mark.parametrize("kind", ["arrays", "files"])
def test_reading(folder, kind):
    images = kinds(folder)[kind]
    assert (images.mode, images.channels) == ("RGB", 3)
    check_images(images, COLOUR, LABELS)
    assert images.name(2) == ("image 2" if kind == "arrays" else str(folder / "A" / "2.png"))


@pytest.mark.parametrize("kind", ["arrays", "files"])
@pytest.mark.parametrize("indices", [[4, 0, 4], np.array([5, 1]), [-1], [], np.arange(6) % 3 == 0, slice(1, 3)])
def test_subset(folder, kind, indices):
    images = kinds(folder)[kind]
    indices = np.array(indices, int) if isinstance(indices, list) else indices
    part = images.subset(indices)
    check_images(part, COLOUR[indices], np.array(LABELS)[indices])
    assert part.mode == images.mode


@pytest.mark.parametrize("kind", ["arrays", "files"])
def test_joined(folder, kind):
    images = kinds(folder)[kind]
    joined = images.subset([4, 1]).joined(images.subset([0]))
    check_images(joined, COLOUR[[4, 1, 0]], [1, 1, 0])
    check_images(images, COLOUR, LABELS)


def test_the_mode_stays(folder):
    for images in (ArrayImages(COLOUR, LABELS, "L"), file_images(folder, mode="L")):
        for part in (images, images.subset([0, 3]), images.joined(images)):
            assert (part.mode, part.channels, part.read(1).mode) == ("L", 1, "L")
        np.testing.assert_array_equal(images.read(3), Image.fromarray(COLOUR[3]).convert("L"))
    colour = ArrayImages(GREY, LABELS, "RGB")
    assert (colour.channels, colour.read(0).mode) == (3, "RGB")
    np.testing.assert_array_equal(np.asarray(colour.read(2)), GREY[2][..., None].repeat(3, axis=2))
    assert ArrayImages(GREY, LABELS).mode == "L"


def test_a_picture_is_not_a_window_into_the_array():
    images = ArrayImages(GREY.copy(), LABELS)
    picture = images.read(0)
    picture.putpixel((0, 0), int(GREY[0, 0, 0]) ^ 255)
    np.testing.assert_array_equal(images.pixels, GREY)
    view = ArrayImages(COLOUR[:, ::-1, ::2], LABELS)  # nothing that lies in one piece
    np.testing.assert_array_equal(np.asarray(view.read(1)), COLOUR[1, ::-1, ::2])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ArrayImages(GREY.astype(np.float32), LABELS), TypeError, "must be uint8, 0 to 255; got float32"),
        (lambda: ArrayImages(GREY[0], LABELS), ValueError, r"not empty; got shape \(4, 3\)"),
        (lambda: ArrayImages(COLOUR[..., :2], LABELS), ValueError, r"got shape \(6, 4, 3, 2\)"),
        (lambda: ArrayImages(COLOUR[..., :1], LABELS), ValueError, r"got shape \(6, 4, 3, 1\)"),
        (lambda: ArrayImages(COLOUR[..., None], LABELS), ValueError, r"got shape \(6, 4, 3, 3, 1\)"),
        (lambda: ArrayImages(GREY[:, :0], LABELS), ValueError, r"not empty; got shape \(6, 0, 3\)"),
        (lambda: ArrayImages(GREY, LABELS[:5]), ValueError, r"labels must be \(6,\), one for each image; got .*\(5,\)"),
        (lambda: ArrayImages(GREY, [LABELS]), ValueError, r"got shape \(1, 6\)"),
        (lambda: ArrayImages(GREY, LABELS, "RGBA"), ValueError, 'mode must be "L" or "RGB"; got \'RGBA\''),
        (lambda: FileImages(["a"], [0], "1"), ValueError, "mode must be"),
        (lambda: FileImages(["a", "b"], [0]), ValueError, r"labels must be \(2,\), one for each path; got \(1,\)"),
        (
            lambda: ArrayImages(GREY, LABELS).joined(ArrayImages(COLOUR, LABELS)),
            ValueError,
            r"must have one shape; got \(4, 3\) and \(4, 3, 3\)",
        ),
        (lambda: ArrayImages(GREY, LABELS).joined(ArrayImages(GREY[:, 1:], LABELS)), ValueError, r"and \(3, 3\)"),
    ],
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_paths_may_be_text(folder):
    images = FileImages([str(folder / "A" / "0.png")], [0])
    assert images.fingerprint() == FileImages([folder / "A" / "0.png"], [0]).fingerprint()
    check_images(images, COLOUR[:1], [0])


def test_files_that_cannot_be_read(folder):
    (folder / "A" / "2.png").write_bytes(b"hello")
    with pytest.raises(ImageError) as caught:
        file_images(folder).read(2)
    assert str(caught.value).startswith(str(folder / "A" / "2.png"))


def changed(pixels, index, value):
    pixels = pixels.copy()
    pixels[index] = value
    return pixels


def test_the_fingerprint_of_arrays():
    same = [ArrayImages(COLOUR, LABELS), ArrayImages(COLOUR.copy(), np.array(LABELS, np.uint8))]
    same += [
        ArrayImages(np.asfortranarray(COLOUR), LABELS),
        same[0].subset(np.arange(6)),
        ArrayImages(COLOUR, LABELS, "RGB"),
    ]
    order = [1, 0, 2, 3, 4, 5]
    others = [
        ArrayImages(changed(COLOUR, (5, 3, 2, 2), COLOUR[5, 3, 2, 2] ^ 1), LABELS),
        ArrayImages(COLOUR, [0, 1, 2, 0, 1, 1]),
        ArrayImages(COLOUR, LABELS, "L"),
        same[0].subset(order),
        ArrayImages(COLOUR[order], LABELS),
        same[0].subset(slice(0, 5)),
        same[0].joined(same[0]),
        ArrayImages(COLOUR.reshape(6, 3, 4, 3), LABELS),  # the same bytes
        ArrayImages(COLOUR.reshape(6, 4, 9), LABELS, "RGB"),
    ]
    assert len({images.fingerprint() for images in same}) == 1
    assert len({images.fingerprint() for images in [same[0], *others]}) == 1 + len(others)


def test_the_fingerprint_of_files(folder, tmp_path):
    images = file_images(folder)
    before = images.fingerprint()
    others = [
        FileImages(images.paths, [0, 1, 2, 0, 1, 1]),
        FileImages(images.paths, LABELS, "L"),
        FileImages(images.paths[::-1], LABELS),
        images.subset([0, 1, 2]),
        images.joined(images),
    ]
    assert len({before, *(other.fingerprint() for other in others)}) == 1 + len(others)
    assert file_images(folder).fingerprint() == before
    shutil.move(folder, tmp_path / "moved")  # to another folder
    assert file_images(tmp_path / "moved").fingerprint() == before
    assert images.fingerprint() != before  # for these are gone


@pytest.mark.parametrize("change", ["size", "name", "class", "gone"])
def test_the_fingerprint_sees_what_happened_to_a_file(folder, change):
    images = file_images(folder)
    before, path = images.fingerprint(), images.paths[2]
    if change == "size":
        path.write_bytes(path.read_bytes() + b"\0")
    elif change == "name":
        images.paths[2] = path.rename(path.with_name("22.png"))
    elif change == "class":
        images.paths[2] = path.rename(path.parent.with_name("B") / path.name)
    else:
        path.unlink()
    assert images.fingerprint() != before


def test_a_name_that_is_no_text_has_a_fingerprint_too():
    images = FileImages([b"/data/A/\xff.png".decode("utf-8", "surrogateescape")], [0])
    assert len(images.fingerprint()) == 32
