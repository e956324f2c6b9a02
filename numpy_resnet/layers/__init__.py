"""Layers: an op pair, its parameters, and one cache that forward leaves and backward takes."""

from numpy_resnet.layers.base import Composite, Layer, Sequential
from numpy_resnet.layers.fused import NormAddReLU, NormReLU
from numpy_resnet.layers.trace import Trace, trace
from numpy_resnet.layers.with_parameters import BatchNorm2d, Conv2d, Linear
from numpy_resnet.layers.without_parameters import (
    Add,
    AvgPool2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    MaxPool2d,
    ReLU,
    ZeroPadChannels,
)

__all__ = [
    "Add",
    "AvgPool2d",
    "BatchNorm2d",
    "Composite",
    "Conv2d",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2d",
    "Layer",
    "Linear",
    "MaxPool2d",
    "NormAddReLU",
    "NormReLU",
    "ReLU",
    "Sequential",
    "Trace",
    "ZeroPadChannels",
    "trace",
]
