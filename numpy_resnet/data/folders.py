"""Folders of images: a sub-folder for each class, by the rules of torchvision's ImageFolder."""

import os
import warnings
from pathlib import Path

import numpy as np

from numpy_resnet.data.decode import EXTENSIONS
from numpy_resnet.data.images import FileImages, Skipped

PARTS = ("train", "val", "test")
PART_NAMES = {*PARTS, "training", "valid", "validation", "testing"}  # which no class should be called


def is_image_folder(folder):
    """Whether there are sub-folders in it that can be classes, or parts."""
    return bool(_subfolders(folder))


def read_folder(folder, *, mode="RGB", strict=False):
    """The parts of a folder, {"train": FileImages, ...}, and the names of the classes.

    Either folder/train/CLASS/... with val/ and test/ of the same classes beside it if they exist, or folder/CLASS/...
    which is all "train". Classes are sorted by name; images, at any depth below, by path. Names that begin
    with a dot and __MACOSX are passed over, links that lead back up and folders that cannot be read are named in a
    warning (or raise, if strict).
    Raises ValueError for less than two classes, a class without images, and parts whose classes differ.
    """
    folder = Path(folder)
    if not (folder / "train").is_dir():
        classes = _classes(folder)
        if {name.casefold() for name in classes} <= PART_NAMES:
            raise ValueError(
                f"{folder} must have a folder for each class, or train/, val/ and test/; it has {_listed(classes)}: "
                "rename them"
            )
        return {"train": _read_part(folder, classes, mode, strict)}, classes
    classes = _classes(folder / "train")
    parts = {part: folder / part for part in PARTS if (folder / part).is_dir()}
    if unused := set(_subfolders(folder)) - set(PARTS):
        warnings.warn(
            f"not used: {_listed(sorted(unused))} in {folder}, which is none of train, val, test", stacklevel=2
        )
    for path in parts.values():
        if (own := _classes(path)) != classes:
            odd = sorted(set(own) ^ set(classes))
            raise ValueError(f"{path} must have the classes of {folder / 'train'}; they differ in {', '.join(odd)}")
    return {part: _read_part(path, classes, mode, strict) for part, path in parts.items()}, classes


def find_files(folder, *, strict=False):
    """The image files at any depth below a folder, sorted; what cannot be entered is named in a warning."""
    found, problems = [], []

    def walk(path, above):
        try:
            entries, here = sorted(path.iterdir()), path.resolve()
        except (OSError, RuntimeError) as error:
            problems.append(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}")
            return
        if here in above:
            problems.append(f"{path} is a link that leads back to a folder above it")
            return
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            if os.path.isdir(entry):  # which never raises
                walk(entry, above | {here})
            elif entry.suffix.lower() in EXTENSIONS and not _is_special(entry):
                found.append(entry)

    parent = Path(os.path.abspath(folder)).parent.resolve()
    walk(Path(folder), frozenset({parent, *parent.parents}))
    if problems and strict:
        raise ValueError(problems[0])
    for problem in problems:
        warnings.warn(f"skipped: {problem}", Skipped, stacklevel=2)
    return found


def _is_special(path):
    """A pipe or a device, which may never end; what is missing or forbidden is named when it is read."""
    return os.path.exists(path) and not os.path.isfile(path)


def _classes(folder):
    classes = _subfolders(folder)
    if len(classes) < 2:
        came = f"one, {classes[0]!r}" if classes else "none"
        raise ValueError(
            f"{folder} must hold a folder of images for each class, two at least; there is {came}: "
            "make it look like train/NORMAL/a.jpeg, train/PNEUMONIA/b.jpeg"
        )
    return classes


def _subfolders(folder):
    names = [path.name for path in folder.iterdir() if path.is_dir()]
    return tuple(sorted(name for name in names if not name.startswith(".") and name != "__MACOSX"))


def _read_part(folder, classes, mode, strict):
    files = [find_files(folder / name, strict=strict) for name in classes]
    empty = [name for name, found in zip(classes, files, strict=True) if not found]
    if empty:
        raise ValueError(
            f"{folder}: every class must have an image; {_listed(empty)} has none of {' '.join(EXTENSIONS)}: "
            "add images, or remove the folder"
        )
    labels = np.repeat(np.arange(len(classes)), [len(found) for found in files])
    return FileImages([path for found in files for path in found], labels, mode)


def _listed(names):
    return ", ".join(repr(name) for name in names)
