"""Convolution by its definition, seven loops deep: the oracle of the faster algorithms, and very slow."""

from numpy_resnet import reference
from numpy_resnet.ops.conv import _problem


def conv2d(x, weight, bias=None, *, stride=1, padding=0):
    """Each filter slides over x.   x (N, C, H, W), weight (OC, C, KH, KW), bias (OC,) or None -> y (N, OC, OH, OW)

    y[n, oc, oh, ow] = bias[oc] + sum over c, kh, kw of
                       weight[oc, c, kh, kw] * x[n, c, oh*SH - PH + kh, ow*SW - PW + kw], zero in the padding.
    Raises ValueError where channels differ or the kernel does not fit.
    """
    cache = _problem.check(x, weight, bias, stride, padding)
    return reference.conv2d(x, weight, bias, stride=cache.stride, padding=cache.padding), cache


def conv2d_backward(dy, cache):
    """dx (N, C, H, W), dweight (OC, C, KH, KW), dbias (OC,) or None

    The idea: each product weight * x in y sends weight * dy to dx and x * dy to dweight.
    """
    _problem.check_upstream(dy, cache)
    x, weight, bias, stride, padding, _ = cache
    return reference.conv2d_backward(dy, x, weight, bias, stride=stride, padding=padding)


def conv2d_backward_parameters(dy, cache):
    """dweight (OC, C, KH, KW), dbias (OC,) or None: conv2d_backward without dx."""
    return conv2d_backward(dy, cache)[1:]
