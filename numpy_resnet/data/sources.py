"""From a name or a path to a data set: finds out what is there, or says where to get it."""

import os
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from numpy_resnet import files
from numpy_resnet.data.arrays import npz_dataset
from numpy_resnet.data.cifar import cifar_dataset, is_cifar
from numpy_resnet.data.dataset import Dataset
from numpy_resnet.data.folders import is_image_folder, read_folder
from numpy_resnet.data.idx import idx_dataset, is_idx_folder
from numpy_resnet.data.images import ArrayImages, FileImages
from numpy_resnet.data.split import groups_of, split

GARMENTS = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"


class Source(NamedTuple):
    """A data set that is known by name."""

    places: tuple[str, ...]  # below the data folder, or absolute
    origin: str  # where to get it
    classes: tuple[str, ...] | None = None
    group: str | None = None  # what file names say of patients


SOURCES = {
    "mnist": Source(("mnist", "MNIST/raw"), "`numpy-resnet download mnist`: four *-ubyte.gz files"),
    "fashion-mnist": Source(
        ("fashion-mnist", "FashionMNIST/raw", "/usr/share/datasets/fashion-mnist"),
        "`numpy-resnet download fashion-mnist`, or `apt-get install dataset-fashion-mnist` on Debian",
        tuple(GARMENTS.split(",")),
    ),
    "cifar10": Source(
        (
            "cifar-10-batches-bin",
            "cifar-10-batches-py",
            "cifar-10-binary.tar.gz",
            "cifar-10-python.tar.gz",
        ),
        "`numpy-resnet download cifar10`, or the binary or Python version of https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    "pneumonia-mnist": Source(
        ("pneumoniamnist.npz",), "`numpy-resnet download pneumonia-mnist`, 28x28 X-rays", ("normal", "pneumonia")
    ),
    "chest-xray": Source(
        ("chest_xray_224", "chest_xray", "chest-xray-pneumonia/chest_xray"),
        "doi:10.17632/rscbjbr9sj.3 (Kermany et al. 2018), or Kaggle's chest-xray-pneumonia",
        group=r"person\d+|IM-\d+",
    ),
}


def load(data, *, val=None, test=None, group=None, split_seed=0, grey=False, strict=False):
    """The data set of a known name, or of a path: a folder of images, IDX files, CIFAR-10, or an .npz file.

    val, test: the shares of images to hold out, by class and by group; `group` is a regular expression for file
    names, such as r"person(\\d+)|IM-(\\d+)". By default the data's own parts are used, and what is missing is split
    off the training images: 0.2 of them for test, then 0.1 of the others for val. A val that is given replaces the
    data's own val, which joins the training images. The split depends on split_seed alone.   grey: one channel.
    Raises ValueError for a name or a path that is not known or not there, and for shares that cannot be held out.
    """
    name, classes, parts = _find(str(data), "L" if grey else None, strict)
    if len(classes) < 2:
        raise ValueError(f"{data} must have two classes at least; it has one, {classes[0]!r}")
    if group is None and str(data) in SOURCES:
        group = SOURCES[str(data)].group
    if group and not isinstance(parts["train"], FileImages):
        raise ValueError(f"a group pattern is for file names, and these images have none: leave out {group!r}")
    if "test" not in parts:
        parts["train"], parts["test"] = _hold_out(parts["train"], 0.2 if test is None else test, group, split_seed)
    elif test is not None:
        raise ValueError(f"{data} has a test part of its own: leave out the share for testing, {test}")
    if val is not None and "val" in parts:
        parts["train"] = parts["train"].joined(parts.pop("val"))
    if "val" not in parts:
        parts["train"], parts["val"] = _hold_out(parts["train"], 0.1 if val is None else val, group, split_seed)
    if group:
        _compare_groups(parts, group)
    return Dataset(name, tuple(classes), **parts)


def known_names():
    """What load takes beside paths."""
    return ("digits", *SOURCES)


def _find(data, mode, strict):
    """Name, classes and parts of the data set that this name or path means."""
    if data == "digits":
        return _opened(digits(), mode)
    if data not in SOURCES:
        path = Path(data).expanduser()
        if not path.exists():
            raise ValueError(
                f"no data set is called {data!r}, and there is no such path: give a folder, a file, or one of "
                f"{', '.join(known_names())}"
            )
        return _open(path, path.resolve().name, mode, strict)
    source, folders = SOURCES[data], data_folders()
    for place in (folder / place for folder in folders for place in source.places):
        if place.exists():
            name, classes, parts = _open(place, data, mode, strict)
            return name, source.classes or classes, parts
    raise ValueError(
        f"{data} is not on this machine: get it from {source.origin}, and put it into "
        f"{' or '.join(str(folder / source.places[0]) for folder in folders)}"
        f"{'' if 'NUMPY_RESNET_DATA' in os.environ else ' (NUMPY_RESNET_DATA can name another folder)'}"
    )


def data_folders():
    """Where data sets of a known name are looked for: $NUMPY_RESNET_DATA if it is set, then the user's cache."""
    own = os.environ.get("NUMPY_RESNET_DATA")
    return [*([Path(own).expanduser()] if own else []), files.cache_folder()]


def _open(path, name, mode, strict):
    """Name, classes and parts of what is at a path: the content says what it is."""
    if path.suffix.lower() == ".npz":
        return _opened(npz_dataset(path, name), mode)
    if is_cifar(path):
        return _opened(cifar_dataset(path, name), mode)
    if path.is_dir():
        if is_idx_folder(path):
            return _opened(idx_dataset(path, name), mode)
        if is_image_folder(path):
            parts, classes = read_folder(path, mode=mode or "RGB", strict=strict)
            return name, classes, parts
    raise ValueError(
        f"{path} is no data set that can be read here: expected a folder with a sub-folder of images for each class "
        "(or train/ and test/ with such sub-folders), IDX files as MNIST's, CIFAR-10's archive, or an .npz file with "
        "images and labels"
    )


def _opened(dataset, mode):
    parts = {"train": dataset.train, "val": dataset.val, "test": dataset.test}
    parts = {key: images for key, images in parts.items() if images is not None}
    if mode:
        parts = {key: ArrayImages(images.pixels, images.labels, mode) for key, images in parts.items()}
    return dataset.name, dataset.classes, parts


def _hold_out(images, share, group, seed):
    """Two parts of the images, the second with this share of them."""
    groups = groups_of([path.name for path in images.paths], group) if group else None
    kept, held = split(images.labels, share, seed=seed, groups=groups)
    return images.subset(kept), images.subset(held)


def _compare_groups(parts, group):
    """Says how many groups are on both sides of a split that came with the data."""
    names = {part: [path.name for path in parts[part].paths] for part in ("train", "val", "test")}
    every = [name for part in names.values() for name in part]
    groups = dict(zip(every, groups_of(every, group), strict=True))
    own = {part: {groups[name] for name in names[part]} - set(names[part]) for part in names}  # found, not names
    for part, others in (("test", own["train"] | own["val"]), ("val", own["train"])):
        if both := own[part] & others:
            example = next(name for name in names[part] if groups[name] in both)
            warnings.warn(
                f"{len(both)} of the {len(own[part])} groups of the {part} images are found in training images too "
                f"(such as that of {example}): the same patients, unless each part counts anew",
                stacklevel=3,
            )


def digits():
    """Handwritten digits: 1,797 grey images of 8x8, 1,438 to train on and 359 to test on.

    The test part is a fifth of each class, 35 or 36 images, drawn once with a fixed seed by
    `tools/make_digits.py` and stored with the images as a mask. The same 13 people wrote both parts: the test
    asks for new digits, not for new hands.
    E. Alpaydin and C. Kaynak 1998, UCI, doi:10.24432/C50P49, CC BY 4.0: see digits.txt.
    """
    arrays = files.read_npz(Path(__file__).with_name("digits.npz"))
    pixels = (arrays["images"].astype(np.uint16) * 255 // 16).astype(np.uint8)  # 0 to 16 becomes 0 to 255
    images, test = ArrayImages(pixels, arrays["labels"]), arrays["test"]
    return Dataset("digits", tuple("0123456789"), images.subset(~test), None, images.subset(test))
