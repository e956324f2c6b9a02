"""The networks: ResNet for ImageNet and for CIFAR-10, and the same without shortcuts."""

from numpy_resnet.models.blocks import BasicBlock, Bottleneck, PlainBlock, convolution_block, identity_block
from numpy_resnet.models.cifar import (
    CifarResNet,
    cifar_plain20,
    cifar_plain32,
    cifar_plain44,
    cifar_plain56,
    cifar_plain110,
    cifar_resnet20,
    cifar_resnet32,
    cifar_resnet44,
    cifar_resnet56,
    cifar_resnet110,
)
from numpy_resnet.models.resnet import ResNet, plain18, plain34, resnet18, resnet34, resnet50, resnet101, resnet152

MODELS = {
    model.__name__: model
    for model in (
        resnet18,
        resnet34,
        resnet50,
        resnet101,
        resnet152,
        plain18,
        plain34,
        cifar_resnet20,
        cifar_resnet32,
        cifar_resnet44,
        cifar_resnet56,
        cifar_resnet110,
        cifar_plain20,
        cifar_plain32,
        cifar_plain44,
        cifar_plain56,
        cifar_plain110,
    )
}

__all__ = [
    "MODELS",
    "BasicBlock",
    "Bottleneck",
    "CifarResNet",
    "PlainBlock",
    "ResNet",
    "convolution_block",
    "identity_block",
    *MODELS,
]
