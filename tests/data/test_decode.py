"""Every image file is read right or refused by name, and never with a warning."""

import gc
import io
import random
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageOps

from numpy_resnet.data import decode
from numpy_resnet.data.decode import ImageError, read_image

NOISE = np.random.default_rng(0).integers(0, 256, (9, 13, 3), np.uint8)
COLOUR = Image.fromarray(NOISE)
GREY_16 = np.array([[0, 257 * 7, 65535], [256, 300, 128 * 257]], np.uint16)
GREY_8 = [[0, 7, 255], [0, 1, 128]]


def encode(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(W, H, bits, colour, rows, *chunks):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(order, pixels, **tags):
    """A grey TIFF; tags such as t258=16 are added or changed."""
    H, W = pixels.shape
    usual = {256: W, 257: H, 258: 8 * pixels.itemsize, 259: 1, 262: 1, 273: 8, 277: 1, 278: H, 279: pixels.nbytes}
    usual |= {int(name[1:]): value for name, value in tags.items()}
    entries = [struct.pack(order + "HHI", tag, 4, 1) + struct.pack(order + "I", usual[tag]) for tag in sorted(usual)]
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", 42, 8 + pixels.nbytes)
    return head + pixels.tobytes() + struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4)


def read(tmp_path, content, mode="RGB", name="image"):
    (tmp_path / name).write_bytes(content)
    image = read_image(tmp_path / name, mode)
    assert (image.mode, type(image), image.info) == (mode, Image.Image, {})
    return np.asarray(image)


def refusal(path, mode="RGB"):
    with pytest.raises(ImageError) as caught:
        read_image(path, mode)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message[len(str(path)) + 1 :]


@pytest.mark.parametrize("form", ["PNG", "BMP", "PPM", "TIFF", "GIF", "WEBP", "JPEG"])
@pytest.mark.parametrize("shape", [(9, 13), (1, 1)])
def test_each_format_as_pillow_reads_it_whatever_the_name(tmp_path, form, shape):
    content = encode(COLOUR.crop((0, 0, *shape[::-1])), form, **({"lossless": True} if form == "WEBP" else {}))
    with Image.open(io.BytesIO(content)) as image:
        expected = image.convert("RGB")
    np.testing.assert_array_equal(read(tmp_path, content), np.asarray(expected))
    np.testing.assert_array_equal(read(tmp_path, content, "L", "of_no.kind"), np.asarray(expected.convert("L")))
    if form not in ("GIF", "JPEG"):
        np.testing.assert_array_equal(np.asarray(expected), NOISE[: shape[0], : shape[1]])


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4"])
def test_compressed_tiff(tmp_path, compression):
    content = encode(COLOUR.convert("1") if compression == "group4" else COLOUR, "TIFF", compression=compression)
    with Image.open(io.BytesIO(content)) as image:
        np.testing.assert_array_equal(read(tmp_path, content), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_turned_as_the_camera_says(tmp_path, form, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(COLOUR, form, exif=exif)
    with Image.open(io.BytesIO(content)) as image:
        np.testing.assert_array_equal(read(tmp_path, content), np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize(
    "exif", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\x05\0ab"]
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_turns_nothing(tmp_path, exif):
    assert read(tmp_path, encode(COLOUR, "JPEG", exif=exif)).shape == NOISE.shape


@pytest.mark.parametrize(
    "content",
    [
        encode(Image.fromarray(GREY_16), "PNG"),
        encode(Image.fromarray(GREY_16), "TIFF"),
        tiff("<", GREY_16.astype("<u2")),
        tiff(">", GREY_16.astype(">u2")),
        b"P5 3 2 65535\n" + GREY_16.astype(">u2").tobytes(),
    ],
    ids=["png", "tiff", "little", "big", "pgm"],
)
def test_16_bit_grey_is_divided_by_257(tmp_path, content):
    assert read(tmp_path, content, "L").tolist() == GREY_8
    assert read(tmp_path, content).tolist() == [[[value] * 3 for value in row] for row in GREY_8]


def test_16_bit_colour_and_16_bit_transparency(tmp_path):
    colour = png(2, 1, 16, 2, b"\0" + struct.pack(">6H", 0, 256, 65535, 257 * 9, 300, 1))
    assert read(tmp_path, colour).tolist() == [[[0, 1, 255], [9, 1, 0]]]
    grey = png(2, 1, 16, 0, b"\0" + struct.pack(">2H", 257 * 9, 30000), chunk(b"tRNS", struct.pack(">H", 30000)))
    assert read(tmp_path, grey, "L").tolist() == [[9, 0]]


@pytest.mark.parametrize("kind", ["uint32", "float32", "signed"])
def test_what_has_no_known_scale_is_refused(tmp_path, kind):
    pixels = tiff("<", GREY_16, t339=2) if kind == "signed" else encode(Image.fromarray(GREY_16.astype(kind)), "TIFF")
    (tmp_path / "a.tif").write_bytes(pixels)
    assert "has 32 bits, or a sign, for each pixel and no known scale; save it with 8" in refusal(tmp_path / "a.tif")


def test_transparent_is_black(tmp_path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putpixel((1, 0), 1)
    bytes_of_alpha = encode(palette, "PNG", transparency=b"\x80\xff")
    assert read(tmp_path, bytes_of_alpha).tolist() == [[[5, 10, 15], [200, 100, 50]]]
    for form in ("PNG", "GIF"):
        assert read(tmp_path, encode(palette, form, transparency=1)).tolist() == [[[10, 20, 30], [0, 0, 0]]]
        assert read(tmp_path, encode(palette, form)).tolist() == [[[10, 20, 30], [200, 100, 50]]]
    half = Image.new("RGBA", (1, 1), (200, 100, 50, 51))
    assert read(tmp_path, encode(half, "PNG")).tolist() == [[[40, 20, 10]]]
    assert read(tmp_path, encode(half.convert("LA"), "PNG"), "L").tolist() == [[25]]
    key = png(2, 1, 8, 2, b"\0\1\2\3\4\5\6", chunk(b"tRNS", struct.pack(">3H", 4, 5, 6)))
    assert read(tmp_path, key).tolist() == [[[1, 2, 3], [0, 0, 0]]]


def test_cmyk_of_a_jpeg_is_inverted_as_adobe_does_it(tmp_path):
    ink = Image.new("CMYK", (8, 8), (255, 0, 0, 0))  # cyan
    for content in (encode(ink, "JPEG", quality=100), encode(ink, "TIFF")):
        assert read(tmp_path, content)[0, 0].tolist() == [0, 255, 255]
        assert read(tmp_path, content, "L")[0, 0] == 179


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_picture_of_several(tmp_path, form):
    red, blue = (Image.new("RGB", (4, 4), name) for name in ("red", "blue"))
    content = encode(red, form, save_all=True, append_images=[blue], **({"lossless": True} if form == "WEBP" else {}))
    assert read(tmp_path, content)[2, 2].tolist() == [255, 0, 0]


def test_no_file(tmp_path):
    assert refusal(tmp_path / "a.png") == "does not exist"
    assert refusal(tmp_path) == "cannot be read: Is a directory"
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    assert refusal(tmp_path / "loop.png") == "cannot be read: Too many levels of symbolic links"
    assert refusal(str(tmp_path / "a\0.png")) == "is broken or cut short: embedded null byte"


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    assert refusal(tmp_path / "a.png") == "cannot be read: Permission denied"


@pytest.mark.parametrize("content", [b"", b"hello, you", b"RIFF    WAVE"])
def test_no_image(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    assert refusal(tmp_path / "a.png") == (
        "must be an image, one of JPEG, PNG, PPM, BMP, TIFF, WEBP, GIF; it is none of them"
    )


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP"])
def test_a_file_cut_short(tmp_path, form):
    whole = encode(Image.fromarray(np.tile(NOISE, (5, 5, 1))), form)
    (tmp_path / "a").write_bytes(whole[: len(whole) * 2 // 3])
    assert refusal(tmp_path / "a").startswith("is broken or cut short: ")


def test_bombs_are_refused_by_their_header(tmp_path):
    gif = encode(COLOUR.quantize(4), "GIF")
    side = gif.index(b",", 13 + 12) + 5  # of the first frame, beyond the colours
    bombs = {
        "has 9,460 x 9,459 pixels": png(9460, 9459, 8, 0, b""),
        "has 2,147,483,647 x 2,147,483,647 pixels": png(2**31 - 1, 2**31 - 1, 8, 0, b""),
        "has 100,000 x 1,000 pixels": b"P5 100000 1000 255\n",
        "has 65,535 x 65,535 pixels": gif[:side] + b"\xff\xff\xff\xff" + gif[side + 4 :],
        "has 20,000 x 20,000 pixels": tiff("<", NOISE[..., 0], t256=20000, t257=20000),
        "has 16,384 x 16,384 pixels": b"RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f\xff\xff\xff\x0f" + bytes(9),
        "has 16,777,216 x 100 pixels": b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\x63\0\0" + bytes(9),
        "has 16,383 x 16,383 pixels": b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(9),
    }
    for reason, content in bombs.items():
        (tmp_path / "a").write_bytes(content)
        assert refusal(tmp_path / "a") in (
            f"{reason}, and 89,478,485 are the most",
            "has too many pixels, and 89,478,485 are the most",  # so says Pillow
        )


def test_the_limit_itself_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "MAX_PIXELS", 9 * 13)
    content = encode(COLOUR, "PNG")
    assert read(tmp_path, content).shape == NOISE.shape
    monkeypatch.setattr(decode, "MAX_PIXELS", 9 * 13 - 1)
    assert "has 13 x 9 pixels, and 116 are the most" in refusal(tmp_path / "image")


def test_a_line_is_no_picture(tmp_path):
    """Its short side of one pixel, enlarged to 224, would be a row of gigabytes."""
    assert read(tmp_path, encode(Image.new("RGB", (100, 1)), "PNG")).shape == (1, 100, 3)
    (tmp_path / "a").write_bytes(encode(Image.new("RGB", (101, 1)), "PNG"))
    assert refusal(tmp_path / "a") == "has 101 x 1 pixels, which is a line and no picture"


def test_another_mode_is_refused(tmp_path):
    with pytest.raises(ValueError, match='mode must be "L" or "RGB"; got \'CMYK\''):
        read_image(tmp_path / "a.png", "CMYK")


def test_no_file_stays_open(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode(COLOUR, "JPEG")[:-100])
    refusal(tmp_path / "a.jpg")
    read(tmp_path, encode(COLOUR, "TIFF"))
    gc.collect()  # a ResourceWarning would be an error


def mutations(number):
    animation = {"save_all": True, "append_images": [COLOUR.rotate(90)]}
    palette, exif = COLOUR.quantize(8), Image.Exif()
    exif[0x0112], exif[0x011A] = 6, 72.0
    wholes = [
        *(encode(COLOUR, form, exif=exif) for form in ("PNG", "JPEG", "WEBP", "TIFF")),
        *(encode(COLOUR, form) for form in ("BMP", "PPM")),
        *(encode(COLOUR, form, **animation) for form in ("GIF", "PNG", "WEBP")),
        encode(palette, "PNG", transparency=b"\x80\xff\0"),
        encode(palette, "GIF", transparency=1),
        *(encode(COLOUR.convert("CMYK"), form) for form in ("JPEG", "TIFF")),
        encode(Image.fromarray(GREY_16), "PNG"),
        encode(COLOUR, "TIFF", compression="tiff_lzw"),
        b"P3 2 2 255\n" + b"1 2 3 " * 4,
    ]
    rng = random.Random(0)
    for i in range(number):
        content = bytearray(wholes[i % len(wholes)])
        if rng.random() < 0.25:
            del content[rng.randrange(len(content)) :]
        else:
            reach = rng.choice([len(content), min(len(content), 120)])  # headers more often
            for _ in range(rng.choice([1, 1, 2, 4, 8])):
                content[rng.randrange(reach)] = rng.choice([0, 255, rng.randrange(256)])
        yield bytes(content)


def test_whatever_is_in_a_file_it_is_an_image_or_an_image_error(tmp_path):
    read_ones = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd notes beside the pixels; errors would become an ImageError
        for i, content in enumerate(mutations(800)):
            (tmp_path / "a").write_bytes(content)
            try:
                read_ones += read_image(tmp_path / "a", ("L", "RGB")[i % 2]).width > 0
            except ImageError as error:
                assert str(error).startswith(str(tmp_path / "a")) and "\n" not in str(error)
    assert 100 < read_ones < 700


def test_threads_read_the_same(tmp_path):
    for form in ("PNG", "JPEG", "TIFF", "GIF"):
        (tmp_path / form).write_bytes(encode(COLOUR, form))
    paths = [tmp_path / form for form in ("PNG", "JPEG", "TIFF", "GIF")] * 25
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(read_image, paths))
    for path, image in zip(paths, together, strict=True):
        np.testing.assert_array_equal(np.asarray(image), np.asarray(read_image(path)))
