"""A model made ready for inference: batch norm folded into the convolutions, everything prepared that does not change.

In evaluation batch norm is a multiplication and an addition for each channel, so a convolution can do both:

    norm(conv(x)) = conv(x) * scale + shift,   scale = weight / sqrt(var + eps), shift = bias - mean * scale

with filters times scale, and shift as its bias. ReLU and the residual add follow while the output is in the cache.
"""

import copy
from functools import partial

import numpy as np

from numpy_resnet import ops as numpy_resnet_ops
from numpy_resnet.layers import BatchNorm2d, Composite, Conv2d, MaxPool2d, ReLU, Sequential
from numpy_resnet.models.blocks import BasicBlock, Bottleneck, PlainBlock
from numpy_resnet.ops.conv.fixed import FixedConv2d
from numpy_resnet.ops.maxpool import maxpool2d_inference


class CompiledModel:
    """The logits of a model in evaluation, faster.   It is a snapshot: the model may go on training. For one thread."""

    def __init__(self, model):
        others = {type(layer).__name__ for _, layer in model.named_layers() if layer.ops is not numpy_resnet_ops}
        if others:
            raise ValueError(
                f"compile_inference runs numpy_resnet's own ops; this model has others in {', '.join(sorted(others))}: "
                "use infer, or build it without ops="
            )
        self.name, self.steps = model.name, _steps(child for _, child in model.children())

    def forward(self, x):
        """x (N, in_channels, H, W) -> logits (N, num_classes)"""
        return _run(self.steps, x)


class _Residual:
    """relu(main(x) + shortcut(x))"""

    def __init__(self, main, shortcut):
        *self.main, self.last = main
        self.shortcut = shortcut

    def __call__(self, x):
        return self.last(_run(self.main, x), _run(self.shortcut, x), relu=True)


def _run(steps, x):
    for step in steps:
        x = step(x)
    return x


def _steps(layers):
    """Functions of x that do, one after the other, what these layers do."""
    layers, steps = list(layers), []
    while layers:
        layer = layers.pop(0)
        if isinstance(layer, BasicBlock | Bottleneck):
            children = [child for _, child in layer.children()]
            main = children[: children.index(layer.downsample)]
            steps.append(_Residual(_steps(main), _steps([layer.downsample])))
        elif type(layer) in (Sequential, PlainBlock):
            layers[:0] = [child for _, child in layer.children()]
        elif isinstance(layer, Composite):
            raise TypeError(f"compile_inference does not know what a {type(layer).__name__} does: use infer")
        elif isinstance(layer, Conv2d):
            norm = layers.pop(0) if layers and isinstance(layers[0], BatchNorm2d) else None
            relu = bool(layers) and isinstance(layers[0], ReLU) and layers.pop(0) is not None
            steps.append(_convolution(layer, norm, relu))
        elif isinstance(layer, MaxPool2d):
            steps.append(partial(maxpool2d_inference, **layer.options))
        else:
            steps.append(_snapshot(layer).infer)
    return steps


def _snapshot(layer):
    """The layer with arrays of its own."""
    other = copy.copy(layer)
    for name in ("params", "buffers"):
        setattr(other, name, {key: array.copy() for key, array in getattr(layer, name).items()})
    return other


def fold_norm(layer, norm):
    """weight and bias of the convolution that does what this one and its batch norm (or None) do in evaluation."""
    weight, bias = layer.params["weight"], layer.params.get("bias")
    if norm is None:
        return weight, bias
    scale = norm.params["weight"] / np.sqrt(norm.buffers["running_var"] + weight.dtype.type(norm.eps))
    shift = norm.params["bias"] - norm.buffers["running_mean"] * scale
    return weight * scale[:, None, None, None], shift if bias is None else shift + bias * scale


def _convolution(layer, norm, relu):
    weight, bias = fold_norm(layer, norm)
    fixed = FixedConv2d(weight.copy(order="K"), None if bias is None else bias.copy(), **layer.options)
    return lambda x, shortcut=None, relu=relu: fixed.forward(x, shortcut, relu=relu)
