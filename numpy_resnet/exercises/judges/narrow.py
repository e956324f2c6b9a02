"""A ResNet of a few channels, in float64: as deep as the real one, and a thousand times as fast."""

import numpy as np

from numpy_resnet import ops as numpy_resnet_ops
from numpy_resnet.layers import BatchNorm2d, Conv2d, GlobalAvgPool2d, Linear, MaxPool2d, ReLU, Sequential
from numpy_resnet.models.blocks import residual_block, stage

PLACES = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc")


def narrow_resnet(rng, widths, classes, blocks=(2, 2, 2, 2)):
    """A Sequential, with batch norm's parameters as training leaves them; `full_name` has torchvision's names."""
    new = {"rng": rng, "dtype": np.float64, "ops": numpy_resnet_ops}
    into = [widths[0], *widths]
    layers = [Conv2d(3, widths[0], 7, 2, 3, bias=False, **new), BatchNorm2d(widths[0], dtype=np.float64)]
    layers += [ReLU(), MaxPool2d(3, 2, 1)]
    layers += [stage(residual_block, blocks[i], into[i], widths[i], 2 if i else 1, **new) for i in range(4)]
    model = Sequential(*layers, GlobalAvgPool2d(), Linear(widths[3], classes, **new))
    for key, array, _ in model.named_parameters():
        if array.ndim == 1 and not full_name(key).startswith("fc."):
            array[...] = rng.uniform(0.5, 1.5, len(array)) if key.endswith("weight") else rng.normal(0, 0.3, len(array))
    return model


def full_name(key):
    """ "4.0.conv1.weight" -> "layer1.0.conv1.weight" """
    first, *rest = key.split(".")
    return ".".join([PLACES[int(first)], *rest])
