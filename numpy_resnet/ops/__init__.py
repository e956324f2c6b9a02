"""Every operation of a ResNet, forward and backward: one file each.

An op is a pair of pure functions: `y, cache = f(x, ...)` and `dx, ... = f_backward(dy, cache)`, the gradients of its
leading arguments in their order. Arrays are float32 or float64, images are (N, C, H, W). No argument is written to.
"""

import sys
import types

from numpy_resnet.ops import conv
from numpy_resnet.ops.add import add, add_backward
from numpy_resnet.ops.avgpool import avgpool2d, avgpool2d_backward, global_avgpool2d, global_avgpool2d_backward
from numpy_resnet.ops.batchnorm import (
    batchnorm2d,
    batchnorm2d_backward,
    batchnorm2d_inference,
    batchnorm2d_inference_backward,
)
from numpy_resnet.ops.columns import col2im, im2col
from numpy_resnet.ops.conv import conv2d, conv2d_backward, conv2d_backward_parameters
from numpy_resnet.ops.cross_entropy import (
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    log_softmax_backward,
    softmax,
    softmax_backward,
)
from numpy_resnet.ops.dropout import dropout, dropout_backward
from numpy_resnet.ops.flatten import flatten, flatten_backward
from numpy_resnet.ops.fused import (
    batchnorm2d_add_relu,
    batchnorm2d_add_relu_backward,
    batchnorm2d_relu,
    batchnorm2d_relu_backward,
    composed,
)
from numpy_resnet.ops.linear import linear, linear_backward
from numpy_resnet.ops.maxpool import maxpool2d, maxpool2d_backward
from numpy_resnet.ops.relu import relu, relu_backward
from numpy_resnet.ops.zero_pad_channels import zero_pad_channels, zero_pad_channels_backward

__all__ = [
    "add",
    "add_backward",
    "avgpool2d",
    "avgpool2d_backward",
    "batchnorm2d",
    "batchnorm2d_add_relu",
    "batchnorm2d_add_relu_backward",
    "batchnorm2d_backward",
    "batchnorm2d_inference",
    "batchnorm2d_inference_backward",
    "batchnorm2d_relu",
    "batchnorm2d_relu_backward",
    "col2im",
    "conv",
    "conv2d",
    "conv2d_backward",
    "conv2d_backward_parameters",
    "cross_entropy",
    "cross_entropy_backward",
    "dropout",
    "dropout_backward",
    "flatten",
    "flatten_backward",
    "global_avgpool2d",
    "global_avgpool2d_backward",
    "im2col",
    "linear",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "maxpool2d",
    "maxpool2d_backward",
    "relu",
    "relu_backward",
    "replaced",
    "softmax",
    "softmax_backward",
    "zero_pad_channels",
    "zero_pad_channels_backward",
]


def replaced(**functions):
    """All ops, with some of them exchanged: `resnet18(ops=replaced(relu=mine, relu_backward=my_backward))`.

    The functions take what the ops of those names take, of any shape, and return what they return. A forward comes
    with its backward, which gets its cache; a backward may come alone. The layer reads `mean` and `var` of the cache
    of batchnorm2d. Where a part of a fused op is exchanged (batchnorm2d, relu, add), so is the fused op: by its parts.
    Raises TypeError for a name that is no op, for what is no function, and for a forward without its backward.
    """
    own = {name: getattr(sys.modules[__name__], name) for name in __all__ if name not in ("conv", "replaced")}
    for name, function in functions.items():
        if name not in own:
            raise TypeError(f"no op is called {name}; the ops are {', '.join(own)}")
        if not callable(function):
            raise TypeError(f"{name} must be a function; got {function!r}")
        if (backward := f"{name}_backward") in own and backward not in functions:
            raise TypeError(f"{name} must come with {backward}, which gets its cache; pass both")
    namespace = types.SimpleNamespace(**{**own, **functions})
    if "conv2d_backward" in functions:
        namespace.conv2d_backward_parameters = lambda dy, cache: namespace.conv2d_backward(dy, cache)[1:]
    if any(name.removesuffix("_backward") in ("batchnorm2d", "relu", "add") for name in functions):
        vars(namespace).update({**composed(namespace), **functions})
    return namespace
