"""Labelled images that are read when they are asked for: from memory, or from files."""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from numpy_resnet.data.decode import read_image


class Skipped(UserWarning):
    """Something was left out because it could not be read."""


class Images:
    """What ArrayImages and FileImages share: len(images), images.labels (N,) int64, images.mode, images.channels.

    Each of them has read(i) -> a Pillow image of `mode`, "L" (grey) or "RGB", 8 bits each; name(i) -> text;
    subset(indices) -> these of the images, in this order; joined(other) -> these, then those of the same kind.
    """

    def __init__(self, labels, mode):
        if mode not in ("L", "RGB"):
            raise ValueError(f'mode must be "L" or "RGB"; got {mode!r}')
        self.labels, self.mode = np.asarray(labels, np.int64), mode

    def __len__(self):
        return len(self.labels)

    @property
    def channels(self):
        return len(self.mode)  # "L" or "RGB"

    def fingerprint(self):
        """A short text that other images, labels or another order would change; of files, other names or sizes."""
        digest = hashlib.blake2b(self.labels.tobytes() + self.mode.encode(), digest_size=16)
        self._add_to(digest)
        return digest.hexdigest()


class ArrayImages(Images):
    """Images in memory.   pixels (N, H, W) for grey or (N, H, W, 3) for colour, uint8; labels (N,)

    Raises TypeError for other numbers, ValueError for other shapes.
    """

    def __init__(self, pixels, labels, mode=None):
        own = "L" if pixels.ndim == 3 else "RGB"
        super().__init__(labels, mode or own)
        if pixels.dtype != np.uint8:
            raise TypeError(f"pixels must be uint8, 0 to 255; got {pixels.dtype}")
        if pixels.ndim not in (3, 4) or pixels.shape[3:] not in ((), (3,)) or 0 in pixels.shape[1:]:
            raise ValueError(f"pixels must be (N, H, W) or (N, H, W, 3), not empty; got shape {pixels.shape}")
        if self.labels.shape != pixels.shape[:1]:
            raise ValueError(f"labels must be ({len(pixels)},), one for each image; got shape {self.labels.shape}")
        self.pixels = pixels

    def subset(self, indices):
        return ArrayImages(self.pixels[indices], self.labels[indices], self.mode)

    def joined(self, other):
        if self.pixels.shape[1:] != other.pixels.shape[1:]:
            came = f"got {self.pixels.shape[1:]} and {other.pixels.shape[1:]}"
            raise ValueError(f"images that are joined must have one shape; {came}")
        pixels = np.concatenate([self.pixels, other.pixels])
        return ArrayImages(pixels, np.concatenate([self.labels, other.labels]), self.mode)

    def read(self, i):
        return Image.fromarray(self.pixels[i]).convert(self.mode)

    def name(self, i):
        return f"image {i}"

    def _add_to(self, digest):
        digest.update(repr(self.pixels.shape).encode())
        digest.update(np.ascontiguousarray(self.pixels))


class FileImages(Images):
    """Images in files, decoded anew each time; read raises ImageError for a file that cannot be."""

    def __init__(self, paths, labels, mode="RGB"):
        super().__init__(labels, mode)
        self.paths = [Path(path) for path in paths]
        if self.labels.shape != (len(self.paths),):
            raise ValueError(f"labels must be ({len(self.paths)},), one for each path; got {self.labels.shape}")

    def subset(self, indices):
        return FileImages([self.paths[i] for i in np.arange(len(self))[indices]], self.labels[indices], self.mode)

    def joined(self, other):
        return FileImages(self.paths + other.paths, np.concatenate([self.labels, other.labels]), self.mode)

    def read(self, i):
        return read_image(self.paths[i], self.mode)

    def name(self, i):
        return str(self.paths[i])

    def _add_to(self, digest):
        for path in self.paths:  # the folder may have moved; the file, its class and its size are the same
            size = path.stat().st_size if path.exists() else -1
            digest.update(f"{path.parent.name}/{path.name} {size}\n".encode("utf-8", "surrogateescape"))
