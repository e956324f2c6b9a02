"""Networks that others trained: what their files do not tell, classes, image size and normalisation.

ImageNet's is the evaluation of torchvision's weights IMAGENET1K_V1; CIFAR-10's that of the ResNets of Y. Idelbayev.
"""

from pathlib import Path
from typing import NamedTuple

from numpy_resnet import checkpoint
from numpy_resnet.data import cifar

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, for red, green and blue


class Preset(NamedTuple):
    """How a network wants its images, all of them in colour."""

    name: str
    classes: tuple[str, ...]
    resize: int  # pixels of the shorter side ...
    size: tuple[int, int]  # ... of which the middle is cut out
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD


def preset_of(model):
    """The Preset of a network with the classes of ImageNet or CIFAR-10, else None."""
    colours, classes = model.options["in_channels"], model.options["num_classes"]
    if colours == 3 and classes == 1000 and model.options.get("stem") == "imagenet":
        return Preset("ImageNet", imagenet_classes(), 256, (224, 224))
    if colours == 3 and classes == 10 and model.name.startswith("cifar_"):
        return Preset("CIFAR-10", cifar.CLASSES, 32, (32, 32))
    return None


def imagenet_classes():
    """The names of the 1,000 classes, in the order of torchvision's weights."""
    lines = Path(__file__).with_name("imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if not line.startswith("#"))


def normalisation(path):
    """mean and std of the images that a file's network was trained on, or None where nobody tells."""
    model, about = checkpoint.load_model(path)
    told, preset = [about.get("mean"), about.get("std")], preset_of(model)
    if all(isinstance(values, list) for values in told):
        return told
    return None if preset is None else [list(preset.mean), list(preset.std)]
