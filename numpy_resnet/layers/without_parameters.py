"""Layers that only pass on: activation, pooling, shortcut, dropout."""

import numpy as np

from numpy_resnet import ops as numpy_resnet_ops
from numpy_resnet.layers.base import Layer
from numpy_resnet.ops import _checks


class Plain(Layer):
    """A layer without parameters: the op of this name, with these options."""

    def __init__(self, *, ops=numpy_resnet_ops, **options):
        super().__init__(ops)
        self.options = options

    def _forward(self, *inputs):
        return getattr(self.ops, self.op)(*inputs, **self.options)

    def _backward(self, dy, cache):
        return getattr(self.ops, f"{self.op}_backward")(dy, cache)

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in self.options.items() if v is not None)})"


class ReLU(Plain):
    op = "relu"


class Add(Plain):
    """forward(a, b) -> a + b; backward(dy) -> da, db."""

    op = "add"


class Flatten(Plain):
    op = "flatten"


class GlobalAvgPool2d(Plain):
    op = "global_avgpool2d"


class Pool2d(Plain):
    """What a window of pixels becomes; the stride is that of the kernel unless it is given."""

    def __init__(self, kernel_size, stride=None, padding=0, *, ops=numpy_resnet_ops):
        super().__init__(kernel_size=kernel_size, stride=stride, padding=padding, ops=ops)


class MaxPool2d(Pool2d):
    op = "maxpool2d"


class AvgPool2d(Pool2d):
    op = "avgpool2d"


class ZeroPadChannels(Plain):
    op = "zero_pad_channels"

    def __init__(self, channels, stride, *, ops=numpy_resnet_ops):
        super().__init__(channels=channels, stride=stride, ops=ops)


class Dropout(Layer):
    """Each value is dropped with probability p in training; the mask comes from a generator of its own."""

    def __init__(self, p=0.5, *, rng=None, ops=numpy_resnet_ops):
        super().__init__(ops)
        self.p, self.rng = _checks.number("p", p, 0, 1), np.random.default_rng(rng)

    def _forward(self, x):
        if not self.training or self.p == 0:
            return x, None
        return self.ops.dropout(x, self.rng.random(x.shape) >= self.p, p=self.p)

    def _backward(self, dy, cache):
        return dy if cache is None else self.ops.dropout_backward(dy, cache)

    def __repr__(self):
        return f"Dropout({self.p})"
