"""Pillow images on their way to arrays: each transform is a small object, a pipeline a tuple that prints itself.

    apply((Resize(256), RandomCrop(224), RandomHorizontalFlip()), image, rng)

Names and conventions are torchvision's. Images are grey ("L") or colour ("RGB"), 8 bits a channel; what comes in from
outside of one is black. None is changed: a transform returns a new image, or the one that came. How many numbers it
draws from rng never depends on the image. Options are checked when a transform is made: ValueError, TypeError.
"""

import math
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from PIL import Image, ImageEnhance

BILINEAR = Image.Resampling.BILINEAR


@dataclass(frozen=True)
class Resize:
    """Make the shorter side `size`, and the longer one floor(size * longer / shorter).   Bilinear, with antialiasing"""

    size: int

    def __post_init__(self):
        _store(self, size=_number("size", self.size, int, least=1))

    def __call__(self, image, rng=None):
        H, W = _size(image)
        shorter = min(H, W)
        size = (self.size * W // shorter, self.size * H // shorter)
        return image if size == image.size else image.resize(size, BILINEAR)


@dataclass(frozen=True)
class CenterCrop:
    """Cut the middle out; where the image is too small, black surrounds it.   size: a number, or (H, W)"""

    size: int | tuple[int, int]

    def __post_init__(self):
        _store(self, size=_pair("size", self.size))

    def __call__(self, image, rng=None):
        top, left = map(_middle, _size(image), self.size)
        return image.crop((left, top, left + self.size[1], top + self.size[0]))


@dataclass(frozen=True)
class RandomCrop:
    """Put `padding` black pixels on all four sides, then cut out a window anywhere.   size: a number, or (H, W)

    Raises ValueError for an image that, padded, is smaller than the window.
    """

    size: int | tuple[int, int]
    padding: int = 0

    def __post_init__(self):
        _store(self, size=_pair("size", self.size), padding=_number("padding", self.padding, int))

    def __call__(self, image, rng):
        (H, W), (h, w), padding = _size(image), self.size, self.padding
        if H + 2 * padding < h or W + 2 * padding < w:
            raise ValueError(
                f"an image must be at least {h}x{w} with its padding; got {H}x{W} and padding {padding}: "
                "resize it first, or pad more"
            )
        top, left = _uniform(rng, 0, (H + 2 * padding - h + 1, W + 2 * padding - w + 1)).astype(int) - padding
        return image.crop((left, top, left + w, top + h))


@dataclass(frozen=True)
class RandomResizedCrop:
    """Cut out a window of a random area and shape, and make it (size, size).   Szegedy et al. 2014, section 6

    The area is a share of the image's, uniform in `scale`; width / height is log-uniform in `ratio`. If none of ten
    such windows fits into the image, the largest one in its middle with a width / height in `ratio` is taken.
    """

    size: int
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self):
        scale, ratio = _range("scale", self.scale, most=1), _range("ratio", self.ratio)
        _store(self, size=_number("size", self.size, int, least=1), scale=scale, ratio=ratio)

    def __call__(self, image, rng):
        top, left, h, w = self._draw(*_size(image), rng)
        return image.crop((left, top, left + w, top + h)).resize((self.size, self.size), BILINEAR)

    def _draw(self, H, W, rng):
        """The top, left, height and width of a window."""
        areas = H * W * _uniform(rng, *self.scale, 10)
        ratios = np.exp(_uniform(rng, *np.log(self.ratio), 10))
        down, right = _uniform(rng, 0, 1, 2)
        for area, ratio in zip(areas, ratios, strict=True):
            h, w = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
            if 0 < h <= H and 0 < w <= W:
                return int(down * (H - h + 1)), int(right * (W - w + 1)), h, w
        narrowest, widest = self.ratio
        h, w = max(1, min(H, round(W / narrowest))), max(1, min(W, round(H * widest)))
        return (H - h) // 2, (W - w) // 2, h, w


@dataclass(frozen=True)
class RandomHorizontalFlip:
    """Swap left and right, with probability p."""

    p: float = 0.5

    def __post_init__(self):
        _store(self, p=_number("p", self.p, most=1))

    def __call__(self, image, rng):
        _size(image)
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if _uniform(rng, 0, 1) < self.p else image


@dataclass(frozen=True)
class RandomRotation:
    """Turn about the middle by an angle in [-degrees, degrees]; the size stays, black comes in at the corners."""

    degrees: float

    def __post_init__(self):
        _store(self, degrees=_number("degrees", self.degrees, most=360))

    def __call__(self, image, rng):
        _size(image)
        return image.rotate(_uniform(rng, -self.degrees, self.degrees), BILINEAR)


@dataclass(frozen=True)
class ColorJitter:
    """Change the brightness, then the contrast, each by a factor in [max(0, 1 - option), 1 + option].

    Brightness: factor * pixel. Contrast: grey + factor * (pixel - grey), grey the image's mean, rounded.
    """

    brightness: float = 0.0
    contrast: float = 0.0

    def __post_init__(self):
        brightness, contrast = _number("brightness", self.brightness), _number("contrast", self.contrast)
        _store(self, brightness=brightness, contrast=contrast)

    def __call__(self, image, rng):
        _size(image)
        for enhance, most in ((ImageEnhance.Brightness, self.brightness), (ImageEnhance.Contrast, self.contrast)):
            image = enhance(image).enhance(_uniform(rng, max(0, 1 - most), 1 + most))
        return image


def apply(transforms, image, rng=None):
    """The image after each of the transforms in turn.   rng: np.random.Generator, if any of them is random"""
    for transform in transforms:
        image = transform(image, rng)
    return image


def to_array(image):
    """The image as numbers, in channels-last memory.   -> (C, H, W) float32 in [0, 1], C 1 for grey, 3 for colour"""
    H, W = _size(image)
    return (np.asarray(image, np.float32) / 255).reshape(H, W, -1).transpose(2, 0, 1)  # (C, H, W)


def _size(image):
    """Height and width.   Raises TypeError or ValueError for what is no grey or colour image, or empty."""
    if not isinstance(image, Image.Image):
        raise TypeError(f"image must be a Pillow image; got {type(image).__name__}: Image.fromarray makes one")
    if image.mode not in ("L", "RGB"):
        raise ValueError(f'image must have mode L or RGB; got {image.mode}: convert it with image.convert("RGB")')
    if 0 in image.size:
        raise ValueError(f"image must not be empty; got {image.height}x{image.width}")
    return image.height, image.width


def _middle(full, part):
    """Where a part in the middle of the whole starts; below 0 if it is longer.   torchvision's rounding, and padding"""
    return -((part - full) // 2) if part > full else round((full - part) / 2)


def _uniform(rng, low, high, size=None):
    """Random numbers in [low, high): what every transform draws, since rng.integers may ask once or twice or not."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"a random transform needs a NumPy generator; got {rng!r}: pass np.random.default_rng(seed)")
    return rng.uniform(low, high, size)


def _store(transform, **options):
    """Set the checked options, which a frozen dataclass allows in no other way."""
    for name, value in options.items():
        object.__setattr__(transform, name, value)


def _number(name, value, kind=float, *, least=0, most=math.inf):
    """The option as a finite int or float in [least, most]; NumPy's numbers are welcome, bools are not."""
    if isinstance(value, bool) or not isinstance(value, Integral if kind is int else Real):
        raise TypeError(f"{name} must be {'an integer' if kind is int else 'a number'}; got {value!r}")
    if not least <= value <= most or value == math.inf:
        raise ValueError(f"{name} must be finite and in [{least}, {most}]; got {value!r}")
    return kind(value)


def _pair(name, value):
    """A height and a width."""
    pair = value if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"{name} must be an integer or (H, W); got {value!r}")
    return tuple(_number(name, side, int, least=1) for side in pair)


def _range(name, value, **bounds):
    """A low and a high number, both above 0."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(f"{name} must be (low, high); got {value!r}")
    low, high = (_number(name, end, **bounds) for end in value)
    if not 0 < low <= high:
        raise ValueError(f"{name} must be (low, high) with 0 < low <= high; got {value!r}")
    return low, high
