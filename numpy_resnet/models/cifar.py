"""ResNet for CIFAR-10: three stages of 16, 32 and 64 channels, shortcuts without parameters (He et al. 2015, 4.2)."""

from functools import partial

import numpy as np

from numpy_resnet import ops as numpy_resnet_ops
from numpy_resnet.layers import BatchNorm2d, Composite, Conv2d, Dropout, GlobalAvgPool2d, Linear, NormReLU, ReLU
from numpy_resnet.models.blocks import PlainBlock, residual_block, stage, zero_padded_block
from numpy_resnet.models.inference import CompiledModel
from numpy_resnet.models.options import check_options, takes_options_of
from numpy_resnet.models.summary import summarize


class CifarResNet(Composite):
    """x (N, in_channels, H, W) -> logits (N, num_classes)

    An image of 32x32 becomes 32x32x16 (conv1, layer1), 16x16x32 (layer2), 8x8x64 (layer3), 64 means, logits.
    """

    def __init__(
        self,
        name,
        make_block,
        blocks,
        num_classes=10,
        *,
        in_channels=3,
        dropout=0.0,
        seed=0,
        dtype=np.float32,
        ops=numpy_resnet_ops,
    ):
        super().__init__(ops)
        self.name = name
        self.options = check_options(num_classes, in_channels, dropout, dtype)
        rng = np.random.default_rng(seed)
        new = {"rng": rng, "dtype": dtype, "ops": ops}
        self.conv1 = Conv2d(in_channels, 16, 3, 1, 1, bias=False, **new)
        self.bn1 = BatchNorm2d(16, dtype=dtype, ops=ops)
        self.relu = ReLU(ops=ops)
        self.norm_relu = NormReLU(self.bn1, self.relu)
        self.layer1 = stage(make_block, blocks, 16, 16, 1, **new)
        self.layer2 = stage(make_block, blocks, 16, 32, 2, **new)
        self.layer3 = stage(make_block, blocks, 32, 64, 2, **new)
        self.avgpool = GlobalAvgPool2d(ops=ops)
        self.dropout = Dropout(dropout, rng=rng.spawn(1)[0], ops=ops)
        self.fc = Linear(64, num_classes, **new)

    def forward(self, x):
        h = self.conv1.forward(x)
        h = self.norm_relu.forward(h)
        h = self.layer1.forward(h)
        h = self.layer2.forward(h)
        h = self.layer3.forward(h)
        h = self.avgpool.forward(h)
        h = self.dropout.forward(h)
        return self.fc.forward(h)

    def backward(self, dy, *, input_gradient=True):
        dh = self.fc.backward(dy)
        dh = self.dropout.backward(dh)
        dh = self.avgpool.backward(dh)
        dh = self.layer3.backward(dh)
        dh = self.layer2.backward(dh)
        dh = self.layer1.backward(dh)
        dh = self.norm_relu.backward(dh)
        return self.conv1.backward(dh, input_gradient=input_gradient)

    def backward_parameters(self, dy):
        """backward without dx: the gradients of the parameters alone, which is what training needs."""
        self.backward(dy, input_gradient=False)

    def compile_inference(self):
        """A snapshot that computes the logits of evaluation, to 1e-5 of the largest, in about half the time."""
        return CompiledModel(self)

    def summary(self, input_shape=(3, 32, 32)):
        """A table of every stage: output shape, parameters, multiply-adds of one image (C, H, W)."""
        return summarize(self, input_shape)


option_a_block = partial(residual_block, change=zero_padded_block)


@takes_options_of(CifarResNet)
def cifar_resnet20(num_classes=10, **options):
    """20 weight layers: 3 blocks a stage."""
    return CifarResNet("cifar_resnet20", option_a_block, 3, num_classes, **options)


@takes_options_of(CifarResNet)
def cifar_resnet32(num_classes=10, **options):
    """32 weight layers: 5 blocks a stage."""
    return CifarResNet("cifar_resnet32", option_a_block, 5, num_classes, **options)


@takes_options_of(CifarResNet)
def cifar_resnet44(num_classes=10, **options):
    """44 weight layers: 7 blocks a stage."""
    return CifarResNet("cifar_resnet44", option_a_block, 7, num_classes, **options)


@takes_options_of(CifarResNet)
def cifar_resnet56(num_classes=10, **options):
    """56 weight layers: 9 blocks a stage."""
    return CifarResNet("cifar_resnet56", option_a_block, 9, num_classes, **options)


@takes_options_of(CifarResNet)
def cifar_resnet110(num_classes=10, **options):
    """110 weight layers: 18 blocks a stage."""
    return CifarResNet("cifar_resnet110", option_a_block, 18, num_classes, **options)


@takes_options_of(CifarResNet)
def cifar_plain20(num_classes=10, **options):
    """cifar_resnet20 without its shortcuts."""
    return CifarResNet("cifar_plain20", PlainBlock, 3, num_classes, **options)


@takes_options_of(CifarResNet)
def cifar_plain32(num_classes=10, **options):
    """cifar_resnet32 without its shortcuts."""
    return CifarResNet("cifar_plain32", PlainBlock, 5, num_classes, **options)


@takes_options_of(CifarResNet)
def cifar_plain44(num_classes=10, **options):
    """cifar_resnet44 without its shortcuts."""
    return CifarResNet("cifar_plain44", PlainBlock, 7, num_classes, **options)


@takes_options_of(CifarResNet)
def cifar_plain56(num_classes=10, **options):
    """cifar_resnet56 without its shortcuts."""
    return CifarResNet("cifar_plain56", PlainBlock, 9, num_classes, **options)


@takes_options_of(CifarResNet)
def cifar_plain110(num_classes=10, **options):
    """cifar_resnet110 without its shortcuts."""
    return CifarResNet("cifar_plain110", PlainBlock, 18, num_classes, **options)
