"""Data sets from the arrays of an .npz file, under the names that are usual."""

from pathlib import Path

import numpy as np

from numpy_resnet import files
from numpy_resnet.data.dataset import Dataset
from numpy_resnet.data.images import ArrayImages

LAYOUTS = (  # part: its images and its labels
    {"train": ("images", "labels")},
    {part: (f"{part}_images", f"{part}_labels") for part in ("train", "val", "test")},  # MedMNIST
    {part: (f"x_{part}", f"y_{part}") for part in ("train", "val", "test")},  # Keras
)
MAX_CLASSES = 100_000


def npz_dataset(path, name=None):
    """A data set from an .npz file: images and labels; or train_images, train_labels, val_..., test_...; or x_train ...

    images (N, H, W), (N, H, W, 1 or 3) or (N, 1 or 3, H, W); labels (N,) or (N, 1); classes (K,), text, may be missing
    Images are integers from 0 to 255, or floats from 0 to 1, which are rounded to the nearest 255th.
    Raises ValueError for whatever else there is, OSError if the file cannot be opened.
    """
    arrays = files.read_npz(path)
    try:
        layout = _layout(arrays)
        parts = {part: ArrayImages(*_part(arrays, *keys)) for part, keys in layout.items()}
        if len({images.mode for images in parts.values()}) > 1:
            raise ValueError("its parts must be all grey or all colour; they differ")
        labels = np.concatenate([images.labels for images in parts.values()])
        classes = class_names(labels, arrays.get("classes"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return Dataset(name or Path(path).stem, classes, **parts)


def class_names(labels, names=None):
    """The names of the classes as text, a tuple; "0", "1" ... up to the largest label where none are given.

    Raises ValueError if they are too few, not text or numbers, or not different.
    """
    largest = int(labels.max(initial=-1))
    if names is None:
        if largest >= MAX_CLASSES:
            raise ValueError(f"labels must count the classes from 0; the largest is {largest:,}: number them anew")
        return tuple(str(label) for label in range(largest + 1))
    names = np.asarray(names)
    if names.ndim != 1 or names.dtype.kind not in "USiu":
        raise ValueError(f"classes must be a list of names; got {names.dtype} of shape {names.shape}")
    names = tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names.tolist())
    if len(names) <= largest:
        raise ValueError(f"classes must name label 0 to {largest}, {largest + 1} in all; there are {len(names)} names")
    if len(set(names)) < len(names):
        raise ValueError(f"classes must differ; got {', '.join(names)}")
    return names


def _layout(arrays):
    """The parts that are there, and the keys of each."""
    known = "; or ".join(", ".join(key for keys in layout.values() for key in keys) for layout in LAYOUTS)
    found = [layout for layout in LAYOUTS if layout["train"][0] in arrays or layout["train"][1] in arrays]
    if len(found) != 1:
        came = ", ".join(sorted(arrays)) or "nothing"
        raise ValueError(f"expected the arrays of one of these: {known} (classes, val and test may miss); got {came}")
    layout = {part: keys for part, keys in found[0].items() if part == "train" or any(key in arrays for key in keys)}
    missing = [key for keys in layout.values() for key in keys if key not in arrays]
    if missing:
        raise ValueError(f"{missing[0]} is missing; it has {', '.join(sorted(arrays))}")
    return layout


def _part(arrays, images_key, labels_key):
    try:
        pixels = _channels_last(_to_uint8(arrays[images_key]))
    except ValueError as error:
        raise ValueError(f"{images_key} {error}") from error
    labels = arrays[labels_key]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(
            f"{labels_key} must be (N,) or (N, 1), one class for each image; got shape {labels.shape}: "
            "of one-hot rows take the argmax; several classes at once cannot be learnt here"
        )
    if labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        came = f"down to {labels.min()}" if labels.dtype.kind == "i" else f"of {labels.dtype}"
        raise ValueError(f"{labels_key} must be whole numbers from 0; got numbers {came}")
    if len(pixels) != len(labels):
        raise ValueError(f"{images_key} and {labels_key} must be equally many; got {len(pixels)} and {len(labels)}")
    if labels.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{labels_key} must count the classes from 0; the largest is {labels.max()}")
    return pixels, labels


def _to_uint8(images):
    if images.dtype.kind not in "iuf":
        raise ValueError(f"must be integers from 0 to 255 or floats from 0 to 1; got {images.dtype}")
    if images.size == 0:
        raise ValueError(f"must not be empty; got shape {images.shape}")
    if images.dtype == np.uint8:
        return images
    low, high, limit = images.min(), images.max(), 1 if images.dtype.kind == "f" else 255
    if not (low >= 0 and high <= limit):  # NaN is neither
        raise ValueError(f"must be from 0 to {limit}, since they are {images.dtype}; got {low:g} to {high:g}")
    return np.rint(images * 255).astype(np.uint8) if limit == 1 else images.astype(np.uint8)


def _channels_last(images):
    """(N, H, W) or (N, H, W, 3), of whatever layout can be told from the shape."""
    last, first = images.ndim == 4 and images.shape[3] in (1, 3), images.ndim == 4 and images.shape[1] in (1, 3)
    if last and first:
        raise ValueError(f"may have their channels first or last, by the shape {images.shape}; give them as (N, H, W)")
    if first:
        images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    if not (last or first or images.ndim == 3):
        raise ValueError(f"must be (N, H, W), (N, H, W, 1 or 3) or (N, 1 or 3, H, W); got shape {images.shape}")
    return images[..., 0] if images.shape[3:] == (1,) else images
