"""Image files: grey or colour, 8 bits, the right way up; or one line that says why not."""

import contextlib

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# torchvision's IMG_EXTENSIONS, and GIF
EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif")
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF")
MAX_PIXELS = 89_478_485  # Pillow's own limit: 256 MiB of colour
MAX_ASPECT = 100  # a longer line, with its short side enlarged to that of a network's image, would fill the memory


class ImageError(ValueError):
    """A file that is no image that can be used."""


def read_image(path, mode="RGB"):
    """An image file as a Pillow image of `mode`, "L" (grey) or "RGB", turned as its camera says.

    The content says the format, not the name. Of several pictures the first is taken; 16 bits become 8; what is
    transparent lies over black. Threads may read at once.
    Raises ImageError, which begins with the path, for what is missing, broken, cut short, too large or no image.
    """
    if mode not in ("L", "RGB"):
        raise ValueError(f'mode must be "L" or "RGB"; got {mode!r}')
    try:
        with open(path, "rb") as file, Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:  # so says the header; nothing is decoded yet
                raise ImageError(f"has {image.width:,} x {image.height:,} pixels, and {MAX_PIXELS:,} are the most")
            if max(image.size) > MAX_ASPECT * min(image.size):
                raise ImageError(f"has {image.width:,} x {image.height:,} pixels, which is a line and no picture")
            image.load()
            return _converted(image, mode)
    except Exception as error:  # Pillow's parsers each have their own ways to fail
        raise ImageError(f"{path} {_reason(error)}") from error


def _reason(error):
    match error:
        case ImageError():
            return str(error)
        case FileNotFoundError():
            return "does not exist"
        case UnidentifiedImageError():
            return f"must be an image, one of {', '.join(FORMATS)}; it is none of them"
        case Image.DecompressionBombError() | Image.DecompressionBombWarning():
            return f"has too many pixels, and {MAX_PIXELS:,} are the most"
        case MemoryError():
            return "is too large for this machine's memory"
        case OSError() if error.errno:
            return f"cannot be read: {error.strerror}"
    return f"is broken or cut short: {' '.join(str(error).split()) or type(error).__name__}"


def _converted(image, mode):
    image = _eight_bits(image)
    with contextlib.suppress(Exception):  # where the camera's note is broken, the image is as it is
        image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
    image = image.convert(mode)
    image.info = {}
    return image


def _eight_bits(image):
    """16 bits of grey as 8; convert would clip them."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        grey, transparent = np.asarray(image), image.info.get("transparency", -1)
        small = Image.fromarray((np.where(grey == transparent, 0, grey) // 257).astype(np.uint8))
        small.info = {"exif": image.info["exif"]} if "exif" in image.info else {}
        return small
    if image.mode in ("I", "F"):
        raise ImageError("has 32 bits, or a sign, for each pixel and no known scale; save it with 8 or 16 bits")
    return image
