"""Convolution by Winograd's minimal filtering, for 3x3 filters of stride 1: a quarter of the multiplications.

A tile of 4x4 output pixels and the filter become 6x6 values each; among the values, convolution is a product point by
point, and the sum over the channels makes it a matrix product. The maps stand in kernels/winograd.py.
"""

from numpy_resnet.kernels import winograd
from numpy_resnet.layout import channels_first, channels_last
from numpy_resnet.ops.conv import _problem


def conv2d(x, weight, bias=None, *, stride=1, padding=0):
    """Each filter slides over x.   x (N, C, H, W), weight (OC, C, 3, 3), bias (OC,) or None -> y (N, OC, OH, OW)

    y = AT [(G weight G') * (BT x B)] A + bias, tile by tile, the product summed over c.
    Raises ValueError where channels differ, the kernel does not fit, or it is not 3x3 with stride 1.
    Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks", eq. 10-12.
    """
    cache = _problem.check(x, weight, bias, stride, padding)
    _check_filter(cache)
    u = winograd.filters(channels_last(weight))
    y = winograd.convolve(channels_last(x), u, cache.padding, (*cache.output, len(weight)))
    if bias is not None:
        y += bias
    return channels_first(y), cache


def conv2d_backward(dy, cache):
    """dx (N, C, H, W), dweight (OC, C, 3, 3), dbias (OC,) or None

    dx = dy convolved with the turned filters, padding 2 - padding;  dweight = GT [(BT x B) * (A dy A')] G, the product
    summed over all tiles;  dbias = sum of dy over n, oh, ow.
    The idea: each step is linear, so backward takes the transposes in the reverse order.
    """
    dweight, dbias = conv2d_backward_parameters(dy, cache)
    PH, PW = cache.padding
    turned = winograd.filters(channels_last(cache.weight), turned=True)
    dx = winograd.convolve(channels_last(dy), turned, (2 - PH, 2 - PW), channels_last(cache.x).shape[1:])
    return channels_first(dx), dweight, dbias


def conv2d_backward_parameters(dy, cache):
    """dweight (OC, C, 3, 3), dbias (OC,) or None: conv2d_backward without dx, which the first layer does not need."""
    _problem.check_upstream(dy, cache)
    dy = channels_last(dy)
    dweight = winograd.correlate(channels_last(cache.x), dy, cache.padding)
    return channels_first(dweight), None if cache.bias is None else dy.sum(axis=(0, 1, 2))


def fits(cache):
    """Whether the filter is 3x3 with stride 1."""
    return (*cache.weight.shape[2:], *cache.stride) == (3, 3, 1, 1)


def _check_filter(cache):
    if not fits(cache):
        KH, KW = cache.weight.shape[2:]
        raise ValueError(
            f"weight must be (OC, C, 3, 3) and stride 1; got {KH}x{KW} and stride {cache.stride}: "
            "use ops.conv2d, which picks an algorithm that fits"
        )
