"""What all convolution algorithms share: the checked arguments and the cache."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.ops import _checks


class Conv2dCache(NamedTuple):
    x: np.ndarray  # (N, C, H, W)
    weight: np.ndarray  # (OC, C, KH, KW)
    bias: np.ndarray | None  # (OC,)
    stride: tuple  # (SH, SW)
    padding: tuple  # (PH, PW)
    output: tuple  # (OH, OW)


def check(x, weight, bias, stride, padding):
    """The cache of these arguments, once they are known to fit each other."""
    _checks.arrays(("bias",), x=x, weight=weight, bias=bias)
    _checks.rank("x", x, 4)
    _checks.rank("weight", weight, 4)
    OC, C = weight.shape[:2]
    if OC == 0:
        raise ValueError(f"weight must have at least one output channel; got shape {weight.shape}")
    if x.shape[1] != C:
        raise ValueError(
            f"x must have {C} channels, as weight {weight.shape} asks; got x of shape {x.shape}: "
            "images are (N, C, H, W), weights (OC, C, KH, KW)"
        )
    _checks.shape("bias", bias, (OC,), "one value for each output channel")
    _, stride, padding, output = _checks.window(x.shape[2:], weight.shape[2:], stride, padding)
    return Conv2dCache(x, weight, bias, stride, padding, output)


def check_upstream(dy, cache):
    """Raises unless dy is (N, OC, OH, OW), as y was, and of x's dtype."""
    _checks.upstream(dy, (len(cache.x), len(cache.weight), *cache.output), cache.x.dtype)
