"""A trained network with all that it takes to use it: classes, image size, normalisation, threshold."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from numpy_resnet import checkpoint, data
from numpy_resnet.data import transforms
from numpy_resnet.layers import Layer
from numpy_resnet.train import recipe
from numpy_resnet.train.presets import preset_of


class Trained(NamedTuple):
    """What a weights file of a run holds."""

    path: Path
    model: Layer
    classes: tuple[str, ...]
    mode: str  # "L" or "RGB"
    size: tuple[int, int]
    mean: np.ndarray  # (C,)
    std: np.ndarray
    positive: int | None  # of two classes, the one that is looked for ...
    threshold: float | None  # ... and the probability from which on it is found
    class_weight: np.ndarray | None  # (K,) of the loss in training
    epoch: int  # how many are complete
    step: int
    settings: dict
    fingerprints: dict  # of the parts of the data; none of a network that others trained
    resize: int | None = None  # pixels of the shorter side, before the middle is cut out

    def loader(self, images, *, workers=2, strict=False):
        """These images as the network wants them."""
        fixed = recipe.eval_transforms(self.size, self.resize)
        return data.Loader(images, fixed, mean=self.mean, std=self.std, workers=workers, strict=strict)

    def prepare(self, image):
        """A Pillow image as the network wants it -> (C, H, W)"""
        x = transforms.to_array(transforms.apply(recipe.eval_transforms(self.size, self.resize), image))
        return (x - self.mean[:, None, None]) / self.std[:, None, None]

    def as_seen(self, x):
        """Normalised images as they were, to look at.   (N, C, H, W) in [0, 1]"""
        return np.clip(x * self.std[:, None, None] + self.mean[:, None, None], 0, 1)

    def decide(self, probabilities):
        """The class of each row: by the threshold if there is one, else the likeliest.   (N, K) -> (N,)"""
        if self.threshold is None:
            return probabilities.argmax(axis=1)
        return np.where(probabilities[:, self.positive] >= self.threshold, self.positive, 1 - self.positive)


def load_trained(path, which="best"):
    """The network of a run's folder, of a weights file in it, or of a file that others trained -> Trained.

    Raises CheckpointError for a file that does not tell what to use it takes, ValueError where there is none.
    """
    path = Path(path)
    run, path = path, path / f"{which}.npz" if path.is_dir() else path
    if not path.exists() and (run / "last.npz").exists():
        raise ValueError(f"{run} has no {path.name} yet, for no epoch is complete: go on with it, or use --which last")
    if not path.exists():
        raise ValueError(
            f"{path} does not exist: name a folder that `numpy-resnet train` wrote, or a weights file in it"
        )
    model, about = checkpoint.load_model(path)
    if "settings" not in about and (preset := preset_of(model)):
        return _of_others(path, model, preset)
    if not _describes_a_run(about, model.options["in_channels"], model.options["num_classes"]):
        raise checkpoint.CheckpointError(
            f"{path}: expected weights that `numpy-resnet train` wrote, which tell settings, classes, mode, mean, std, "
            "image_size, positive, threshold and epoch"
        )
    mean, std = (np.array(about[key], np.float32) for key in ("mean", "std"))
    size, classes = tuple(about["image_size"]), tuple(about["classes"])
    others = {key: about[key] for key in ("mode", "positive", "threshold", "epoch", "step", "fingerprints")}
    weight = about["class_weight"] and np.array(about["class_weight"], np.float32)
    settings = recipe.SETTINGS | about["settings"]
    return Trained(
        path, model, classes, size=size, mean=mean, std=std, class_weight=weight, settings=settings, **others
    )


def _of_others(path, model, preset):
    mean, std = (np.array(values, np.float32) for values in (preset.mean, preset.std))
    return Trained(
        path, model, preset.classes, "RGB", preset.size, mean, std, positive=None, threshold=None, class_weight=None,
        epoch=0, step=0, settings=dict(recipe.SETTINGS), fingerprints={}, resize=preset.resize,
    )  # fmt: skip


def _describes_a_run(about, channels, classes):
    def is_list(key, length, kinds):
        values = about.get(key)
        return isinstance(values, list) and len(values) == length and all(type(value) in kinds for value in values)

    positive, threshold = about.get("positive"), about.get("threshold")
    return (
        isinstance(about.get("settings"), dict)
        and isinstance(about.get("fingerprints"), dict)
        and isinstance(about.get("epoch"), int)
        and isinstance(about.get("step"), int)
        and (about.get("class_weight", 0) is None or is_list("class_weight", classes, (int, float)))
        and about.get("mode") == {1: "L", 3: "RGB"}.get(channels)
        and is_list("classes", classes, (str,))
        and is_list("mean", channels, (int, float))
        and is_list("std", channels, (int, float))
        and is_list("image_size", 2, (int,))
        and (threshold is None or (isinstance(threshold, float) and classes == 2 and positive in (0, 1)))
    )
