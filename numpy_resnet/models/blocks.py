"""The blocks of a residual network: two branches go out from one x and meet again in a sum.

The shortcut is a layer too: empty where shapes agree (the identity block), a 1x1 convolution with batch norm where
they do not (the convolution block). So neither forward nor backward has an `if`.
"""

import numpy as np

from numpy_resnet import ops as numpy_resnet_ops
from numpy_resnet.layers import (
    Add,
    BatchNorm2d,
    Composite,
    Conv2d,
    NormAddReLU,
    NormReLU,
    ReLU,
    Sequential,
    ZeroPadChannels,
)


class BasicBlock(Composite):
    """y = relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)).   He et al. 2015, figure 5 left

    x (N, C, H, W) -> y (N, channels, ceil(H/stride), ceil(W/stride)); both convolutions 3x3.
    """

    expansion = 1

    def __init__(self, in_channels, channels, stride, downsample, *, rng, dtype, ops):
        super().__init__(ops)
        new = {"dtype": dtype, "ops": ops}
        self.conv1 = Conv2d(in_channels, channels, 3, stride, 1, bias=False, rng=rng, **new)
        self.bn1 = BatchNorm2d(channels, **new)
        self.relu1 = ReLU(ops=ops)
        self.conv2 = Conv2d(channels, channels, 3, 1, 1, bias=False, rng=rng, **new)
        self.bn2 = BatchNorm2d(channels, **new)
        self.downsample = downsample
        self.add = Add(ops=ops)
        self.relu2 = ReLU(ops=ops)
        self.norm_relu1 = NormReLU(self.bn1, self.relu1)
        self.norm_add_relu2 = NormAddReLU(self.bn2, self.add, self.relu2)

    def forward(self, x):
        h = self.conv1.forward(x)
        h = self.norm_relu1.forward(h)
        h = self.conv2.forward(h)
        shortcut = self.downsample.forward(x)
        return self.norm_add_relu2.forward(h, shortcut)

    def backward(self, dy):
        dh, dshortcut = self.norm_add_relu2.backward(dy)
        dshortcut = self.downsample.backward(dshortcut)
        dh = self.conv2.backward(dh)
        dh = self.norm_relu1.backward(dh)
        dh = self.conv1.backward(dh)
        dx, _ = self.ops.add(dh, dshortcut)  # x went two ways: its gradients add
        return dx


class Bottleneck(Composite):
    """y = relu(bn3(conv3(relu(bn2(conv2(relu(bn1(conv1(x)))))))) + shortcut(x)).   He et al. 2015, figure 5 right

    x (N, C, H, W) -> y (N, 4*channels, ceil(H/stride), ceil(W/stride)); convolutions 1x1, 3x3, 1x1.
    The stride sits in the 3x3 convolution, as in torchvision ("ResNet V1.5").
    """

    expansion = 4

    def __init__(self, in_channels, channels, stride, downsample, *, rng, dtype, ops):
        super().__init__(ops)
        new = {"dtype": dtype, "ops": ops}
        self.conv1 = Conv2d(in_channels, channels, 1, bias=False, rng=rng, **new)
        self.bn1 = BatchNorm2d(channels, **new)
        self.relu1 = ReLU(ops=ops)
        self.conv2 = Conv2d(channels, channels, 3, stride, 1, bias=False, rng=rng, **new)
        self.bn2 = BatchNorm2d(channels, **new)
        self.relu2 = ReLU(ops=ops)
        self.conv3 = Conv2d(channels, 4 * channels, 1, bias=False, rng=rng, **new)
        self.bn3 = BatchNorm2d(4 * channels, **new)
        self.downsample = downsample
        self.add = Add(ops=ops)
        self.relu3 = ReLU(ops=ops)
        self.norm_relu1 = NormReLU(self.bn1, self.relu1)
        self.norm_relu2 = NormReLU(self.bn2, self.relu2)
        self.norm_add_relu3 = NormAddReLU(self.bn3, self.add, self.relu3)

    def forward(self, x):
        h = self.conv1.forward(x)
        h = self.norm_relu1.forward(h)
        h = self.conv2.forward(h)
        h = self.norm_relu2.forward(h)
        h = self.conv3.forward(h)
        shortcut = self.downsample.forward(x)
        return self.norm_add_relu3.forward(h, shortcut)

    def backward(self, dy):
        dh, dshortcut = self.norm_add_relu3.backward(dy)
        dshortcut = self.downsample.backward(dshortcut)
        dh = self.conv3.backward(dh)
        dh = self.norm_relu2.backward(dh)
        dh = self.conv2.backward(dh)
        dh = self.norm_relu1.backward(dh)
        dh = self.conv1.backward(dh)
        dx, _ = self.ops.add(dh, dshortcut)  # x went two ways: its gradients add
        return dx


class PlainBlock(Sequential):
    """A basic block without its shortcut, for the experiment: y = relu(bn2(conv2(relu(bn1(conv1(x))))))."""

    expansion = 1

    def __init__(self, in_channels, channels, stride, *, rng, dtype, ops):
        super().__init__()
        new = {"dtype": dtype, "ops": ops}
        self.conv1 = Conv2d(in_channels, channels, 3, stride, 1, bias=False, rng=rng, **new)
        self.bn1 = BatchNorm2d(channels, **new)
        self.relu1 = ReLU(ops=ops)
        self.conv2 = Conv2d(channels, channels, 3, 1, 1, bias=False, rng=rng, **new)
        self.bn2 = BatchNorm2d(channels, **new)
        self.relu2 = ReLU(ops=ops)


def convolution_block(
    in_channels, channels, *, stride=2, block=BasicBlock, rng=None, dtype=np.float32, ops=numpy_resnet_ops
):
    """A block that changes shape; its shortcut is a projection: a 1x1 convolution with the stride, then batch norm.

    x (N, in_channels, H, W) -> y (N, channels * block.expansion, ceil(H/stride), ceil(W/stride))
    """
    new = {"rng": np.random.default_rng(rng), "dtype": dtype, "ops": ops}
    out_channels = channels * block.expansion
    conv = Conv2d(in_channels, out_channels, 1, stride, bias=False, **new)
    projection = Sequential(conv, BatchNorm2d(out_channels, dtype=dtype, ops=ops))
    return block(in_channels, channels, stride, projection, **new)


def identity_block(channels, *, block=BasicBlock, rng=None, dtype=np.float32, ops=numpy_resnet_ops):
    """A block that keeps shape; its shortcut is x itself.

    x (N, channels * block.expansion, H, W) -> y, the same shape
    """
    new = {"rng": np.random.default_rng(rng), "dtype": dtype, "ops": ops}
    return block(channels * block.expansion, channels, 1, Sequential(), **new)


def zero_padded_block(
    in_channels, channels, *, stride=2, block=BasicBlock, rng=None, dtype=np.float32, ops=numpy_resnet_ops
):
    """A block that changes shape without parameters; its shortcut is option A of He et al. 2015, section 3.3.

    x (N, in_channels, H, W) -> y (N, channels * block.expansion, ceil(H/stride), ceil(W/stride))
    """
    new = {"rng": np.random.default_rng(rng), "dtype": dtype, "ops": ops}
    shortcut = ZeroPadChannels(channels * block.expansion, stride, ops=ops)
    return block(in_channels, channels, stride, shortcut, **new)


def residual_block(in_channels, channels, stride, *, block=BasicBlock, change=convolution_block, **new):
    """An identity block if x keeps its shape, else the block that `change` makes."""
    if stride == 1 and in_channels == channels * block.expansion:
        return identity_block(channels, block=block, **new)
    return change(in_channels, channels, stride=stride, block=block, **new)


def stage(make_block, blocks, in_channels, channels, stride, *, expansion=1, **new):
    """Several blocks of one width; the first of them takes the stride.

    x (N, in_channels, H, W) -> y (N, channels * expansion, ceil(H/stride), ceil(W/stride))
    """
    first = make_block(in_channels, channels, stride, **new)
    others = [make_block(channels * expansion, channels, 1, **new) for _ in range(blocks - 1)]
    return Sequential(first, *others)
