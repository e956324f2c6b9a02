"""The fully connected layer: one matrix product forward, two backward."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.kernels.matmul import matmul
from numpy_resnet.ops import _checks


class LinearCache(NamedTuple):
    x: np.ndarray  # (N, IN)
    weight: np.ndarray  # (OUT, IN)
    bias: np.ndarray | None  # (OUT,)


def linear(x, weight, bias=None):
    """y = x @ weight.T + bias.   x (N, IN), weight (OUT, IN), bias (OUT,) or None -> y (N, OUT)

    Raises ValueError where the shapes do not agree.
    """
    _checks.arrays(("bias",), x=x, weight=weight, bias=bias)
    _checks.rank("x", x, 2)
    _checks.rank("weight", weight, 2)
    _checks.shape("weight", weight, (len(weight), x.shape[1]), "(OUT, IN), with IN that of x")
    _checks.shape("bias", bias, weight.shape[:1], "one value for each output")
    y = matmul(x, weight.T)
    return (y if bias is None else y + bias), LinearCache(x, weight, bias)


def linear_backward(dy, cache):
    """dx = dy @ weight (N, IN);  dweight = dy.T @ x (OUT, IN);  dbias = sum of dy over n (OUT,), None without bias.

    The idea: y[n, o] holds the products x[n, i] * weight[o, i], and each factor gets the other one times dy[n, o].
    """
    x, weight, bias = cache
    _checks.upstream(dy, (len(x), len(weight)), x.dtype)
    return matmul(dy, weight), matmul(dy.T, x), None if bias is None else dy.sum(axis=0)
