"""The names that others give to the arrays of a ResNet, and which of our models an array dict fits.

Training scripts put a state dict into another dict ("state_dict", "model"), wrappers such as DataParallel put "module."
before each name, and some code calls the last layer "linear" or the projection "shortcut".
"""

import re
from typing import NamedTuple

from numpy_resnet.checkpoint.errors import CheckpointError

LAST = ("fc", "linear", "classifier", "head")  # names of the last layer
BATCHES = "num_batches_tracked"  # batch norm's count of training steps; files before 2018 have none
SHAPES = {  # (blocks of each stage, kind of block) -> name
    ((2, 2, 2, 2), "basic"): "resnet18",
    ((3, 4, 6, 3), "basic"): "resnet34",
    ((3, 4, 6, 3), "bottleneck"): "resnet50",
    ((3, 4, 23, 3), "bottleneck"): "resnet101",
    ((3, 8, 36, 3), "bottleneck"): "resnet152",
    ((2, 2, 2, 2), "plain"): "plain18",
    ((3, 4, 6, 3), "plain"): "plain34",
    **{((n, n, n), "plain"): f"cifar_resnet{6 * n + 2}" for n in (3, 5, 7, 9, 18)},  # their shortcuts have no arrays
}


class Fit(NamedTuple):
    """A model that arrays fit: models.MODELS[name](**options)."""

    name: str
    options: dict


def recognize(arrays):
    """The Fit of arrays that have our names.   Raises CheckpointError if there is none"""
    shapes = {key: array.shape for key, array in arrays.items()}
    if not {"conv1.weight", "fc.weight"} <= shapes.keys():
        raise CheckpointError("it holds no ResNet: there is no conv1.weight, or no fc.weight")
    counts = tuple(len({key.split(".")[1] for key in shapes if key.startswith(f"layer{n}.")}) for n in (1, 2, 3, 4))
    blocks = counts if counts[3] else counts[:3]
    projects = any(key.startswith("layer2.0.downsample.") for key in shapes)
    kind = "bottleneck" if "layer1.0.conv3.weight" in shapes else "basic" if projects else "plain"
    if (blocks, kind) not in SHAPES:
        raise CheckpointError(f"no model here has {', '.join(map(str, blocks))} {kind} blocks in its stages")
    first, last, stages = shapes["conv1.weight"], shapes["fc.weight"], len(blocks)
    wide = first[0] if stages == 4 and len(first) == 4 else 16
    means = wide * 2 ** (stages - 1) * (4 if kind == "bottleneck" else 1)
    if len(first) != 4 or first[0] != wide or first[2:] not in ((7, 7), (3, 3)) or len(last) != 2 or last[1] != means:
        raise CheckpointError(f"no model here has conv1.weight and fc.weight of shapes {first} and {last}")
    options = {"num_classes": last[0], "in_channels": first[1]}
    if stages == 4:
        options |= {"stem": "cifar" if first[2] == 3 else "imagenet", "width": wide}
    return Fit(SHAPES[blocks, kind], options)


def our_names(arrays):
    """The arrays of the network among these, by our names, in their order.

    A prefix is what stands before "conv1.weight" in most of the names: the others (an optimizer's, say) are left out.
    """
    ends = (key.removesuffix("conv1.weight") for key in arrays if key.endswith("conv1.weight"))
    prefixes = [end for end in ends if not re.search(r"layer\d+\.\d+\.$", end)]
    prefix = max(prefixes, key=lambda start: sum(key.startswith(start) for key in arrays), default="")
    inside = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
    (last, *_) = [name for name in LAST if f"{name}.weight" in inside] or LAST
    return {_rename(key, last): array for key, array in inside.items()}


def _rename(key, last):
    first, dot, rest = key.partition(".")
    return f"fc{dot}{rest}" if first == last else re.sub(r"^(layer\d+\.\d+)\.shortcut\.", r"\1.downsample.", key)


def with_counts(arrays, own):
    """The arrays, with the counts of batches of `own` where the file is too old to have any."""
    if any(key.endswith(BATCHES) for key in arrays):
        return arrays
    return {**arrays, **{key: array for key, array in own.items() if key.endswith(BATCHES)}}
