"""ResNet for ImageNet: a stem, four stages of blocks, a head (He et al. 2015, table 1). Keys are torchvision's."""

from functools import partial

import numpy as np

from numpy_resnet import ops as numpy_resnet_ops
from numpy_resnet.layers import (
    BatchNorm2d,
    Composite,
    Conv2d,
    Dropout,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    NormReLU,
    ReLU,
    Sequential,
)
from numpy_resnet.models.blocks import Bottleneck, PlainBlock, residual_block, stage
from numpy_resnet.models.inference import CompiledModel
from numpy_resnet.models.options import check_options, check_stem, check_width, takes_options_of
from numpy_resnet.models.summary import summarize


class ResNet(Composite):
    """x (N, in_channels, H, W) -> logits (N, num_classes)

    An image of 224x224 becomes 112x112x64 (conv1), 56x56x64 (maxpool, layer1), 28x28x128, 14x14x256, 7x7x512
    (layer2 to layer4), 512 means (avgpool), and one logit for each class (fc). `stem="cifar"` is 3x3 without pooling,
    for images of 32x32 or less. `width` is what conv1 makes, 64 channels; all others are multiples of it. `blocks`
    counts the blocks of each stage; `make_block` is residual_block or its like.
    """

    def __init__(
        self,
        name,
        make_block,
        blocks,
        expansion,
        num_classes=1000,
        *,
        in_channels=3,
        stem="imagenet",
        width=64,
        dropout=0.0,
        seed=0,
        dtype=np.float32,
        ops=numpy_resnet_ops,
    ):
        super().__init__(ops)
        self.name = name
        self.options = {**check_options(num_classes, in_channels, dropout, dtype), "stem": check_stem(stem)}
        if width != 64:  # files of the usual width do not tell it
            self.options["width"] = check_width(width)
        rng = np.random.default_rng(seed)
        new = {"rng": rng, "dtype": dtype, "ops": ops}
        wide = {"expansion": expansion, **new}
        if stem == "imagenet":
            self.conv1 = Conv2d(in_channels, width, 7, 2, 3, bias=False, **new)
        else:
            self.conv1 = Conv2d(in_channels, width, 3, 1, 1, bias=False, **new)
        self.bn1 = BatchNorm2d(width, dtype=dtype, ops=ops)
        self.relu = ReLU(ops=ops)
        self.norm_relu = NormReLU(self.bn1, self.relu)
        self.maxpool = MaxPool2d(3, 2, 1, ops=ops) if stem == "imagenet" else Sequential()
        self.layer1 = stage(make_block, blocks[0], width, width, 1, **wide)
        self.layer2 = stage(make_block, blocks[1], width * expansion, 2 * width, 2, **wide)
        self.layer3 = stage(make_block, blocks[2], 2 * width * expansion, 4 * width, 2, **wide)
        self.layer4 = stage(make_block, blocks[3], 4 * width * expansion, 8 * width, 2, **wide)
        self.avgpool = GlobalAvgPool2d(ops=ops)
        self.dropout = Dropout(dropout, rng=rng.spawn(1)[0], ops=ops)
        self.fc = Linear(8 * width * expansion, num_classes, **new)

    def forward(self, x):
        h = self.conv1.forward(x)
        h = self.norm_relu.forward(h)
        h = self.maxpool.forward(h)
        h = self.layer1.forward(h)
        h = self.layer2.forward(h)
        h = self.layer3.forward(h)
        h = self.layer4.forward(h)
        h = self.avgpool.forward(h)
        h = self.dropout.forward(h)
        return self.fc.forward(h)

    def backward(self, dy, *, input_gradient=True):
        dh = self.fc.backward(dy)
        dh = self.dropout.backward(dh)
        dh = self.avgpool.backward(dh)
        dh = self.layer4.backward(dh)
        dh = self.layer3.backward(dh)
        dh = self.layer2.backward(dh)
        dh = self.layer1.backward(dh)
        dh = self.maxpool.backward(dh)
        dh = self.norm_relu.backward(dh)
        return self.conv1.backward(dh, input_gradient=input_gradient)

    def backward_parameters(self, dy):
        """backward without dx: the gradients of the parameters alone, which is what training needs."""
        self.backward(dy, input_gradient=False)

    def compile_inference(self):
        """A snapshot that computes the logits of evaluation, to 1e-5 of the largest, in about half the time."""
        return CompiledModel(self)

    def summary(self, input_shape=(3, 224, 224)):
        """A table of every stage: output shape, parameters, multiply-adds of one image (C, H, W)."""
        return summarize(self, input_shape)


bottleneck_block = partial(residual_block, block=Bottleneck)


@takes_options_of(ResNet)
def resnet18(num_classes=1000, **options):
    """18 weight layers, 11,689,512 parameters for 1,000 classes."""
    return ResNet("resnet18", residual_block, (2, 2, 2, 2), 1, num_classes, **options)


@takes_options_of(ResNet)
def resnet34(num_classes=1000, **options):
    """34 weight layers, 21,797,672 parameters for 1,000 classes."""
    return ResNet("resnet34", residual_block, (3, 4, 6, 3), 1, num_classes, **options)


@takes_options_of(ResNet)
def resnet50(num_classes=1000, **options):
    """50 weight layers in bottleneck blocks, 25,557,032 parameters for 1,000 classes."""
    return ResNet("resnet50", bottleneck_block, (3, 4, 6, 3), 4, num_classes, **options)


@takes_options_of(ResNet)
def resnet101(num_classes=1000, **options):
    """101 weight layers in bottleneck blocks, 44,549,160 parameters for 1,000 classes."""
    return ResNet("resnet101", bottleneck_block, (3, 4, 23, 3), 4, num_classes, **options)


@takes_options_of(ResNet)
def resnet152(num_classes=1000, **options):
    """152 weight layers in bottleneck blocks, 60,192,808 parameters for 1,000 classes."""
    return ResNet("resnet152", bottleneck_block, (3, 8, 36, 3), 4, num_classes, **options)


@takes_options_of(ResNet)
def plain18(num_classes=1000, **options):
    """resnet18 without its shortcuts: the net that He et al. compare with."""
    return ResNet("plain18", PlainBlock, (2, 2, 2, 2), 1, num_classes, **options)


@takes_options_of(ResNet)
def plain34(num_classes=1000, **options):
    """resnet34 without its shortcuts: the net that He et al. compare with."""
    return ResNet("plain34", PlainBlock, (3, 4, 6, 3), 1, num_classes, **options)
