"""Convolution as a matrix product: windows become rows, filters become columns.

The windows of all images would fill KH*KW times the memory of x. So the work goes in blocks of images whose windows
stay in the cache, and backward lays the windows out again instead of keeping them.
"""

import numpy as np

from numpy_resnet.kernels.matmul import matmul
from numpy_resnet.kernels.memory import empty
from numpy_resnet.layout import channels_first, channels_last
from numpy_resnet.ops.columns import add_window_rows, window_rows, windows_are_pixels
from numpy_resnet.ops.conv import _problem

BLOCK = 2**20  # elements of a block of windows: 4 MB in float32


def conv2d(x, weight, bias=None, *, stride=1, padding=0):
    """Each filter slides over x.   x (N, C, H, W), weight (OC, C, KH, KW), bias (OC,) or None -> y (N, OC, OH, OW)

    y[n, oc, oh, ow] = bias[oc] + sum over c, kh, kw of
                       weight[oc, c, kh, kw] * x[n, c, oh*SH - PH + kh, ow*SW - PW + kw], zero in the padding.
    As a product: y = windows @ filters.T + bias. The output is (H + 2*PH - KH) // SH + 1 high, and alike wide.
    Raises ValueError where channels differ or the kernel does not fit.   Chellapilla, Puri & Simard 2006.
    """
    cache = _problem.check(x, weight, bias, stride, padding)
    x, filters, kernel_size = channels_last(x), channels_last(weight), weight.shape[2:]
    OC, (OH, OW) = len(weight), cache.output
    filters = filters.reshape(OC, -1).T  # (KH*KW*C, OC)
    y = empty((len(x), OH, OW, OC), x.dtype)
    for block in blocks(cache):
        windows = window_rows(x[block], kernel_size, cache.stride, cache.padding)  # (n*OH*OW, KH*KW*C)
        matmul(windows, filters, out=y[block].reshape(-1, OC))
    if bias is not None:
        y += bias
    return channels_first(y), cache


def conv2d_backward(dy, cache):
    """dx (N, C, H, W), dweight (OC, C, KH, KW), dbias (OC,) or None

    dfilters = dy.T @ windows;  dwindows = dy @ filters;  dx = col2im(dwindows);  dbias = sum of dy over n, oh, ow.
    The idea: a matrix product goes back by two products, and the transpose of laying windows out is adding them back.
    """
    dweight, dbias = conv2d_backward_parameters(dy, cache)
    filters, kernel_size = channels_last(cache.weight), cache.weight.shape[2:]
    OC, dy = len(filters), channels_last(dy)
    filters = filters.reshape(OC, -1)  # (OC, KH*KW*C)
    dx = empty(channels_last(cache.x).shape, dy.dtype)
    for block in blocks(cache):
        dy_rows = dy[block].reshape(-1, OC)  # (n*OH*OW, OC)
        if windows_are_pixels(kernel_size, cache.stride, cache.padding):
            matmul(dy_rows, filters, out=dx[block].reshape(-1, dx.shape[3]))
        else:
            dwindows = matmul(dy_rows, filters)  # (n*OH*OW, KH*KW*C)
            add_window_rows(dwindows, dx[block], kernel_size, cache.stride, cache.padding)
    return channels_first(dx), dweight, dbias


def conv2d_backward_parameters(dy, cache):
    """dweight (OC, C, KH, KW), dbias (OC,) or None: conv2d_backward without dx, which the first layer does not need."""
    _problem.check_upstream(dy, cache)
    x, filters, kernel_size = channels_last(cache.x), channels_last(cache.weight), cache.weight.shape[2:]
    OC, dy = len(filters), channels_last(dy)
    dfilters = np.zeros_like(filters.reshape(OC, -1))  # (OC, KH*KW*C)
    for block in blocks(cache):
        windows = window_rows(x[block], kernel_size, cache.stride, cache.padding)  # (n*OH*OW, KH*KW*C)
        matmul(dy[block].reshape(-1, OC).T, windows, out=dfilters, accumulate=True)
    dweight = channels_first(dfilters.reshape(filters.shape))
    return dweight, None if cache.bias is None else dy.sum(axis=(0, 1, 2))


def blocks(cache):
    """Slices of the batch, of as many images as fill a block with their windows, at least one."""
    (OH, OW), taps = cache.output, cache.weight[0].size
    if windows_are_pixels(cache.weight.shape[2:], cache.stride, cache.padding):
        return [slice(None)]
    images = max(1, BLOCK // (OH * OW * taps))
    return [slice(n, n + images) for n in range(0, len(cache.x), images)]
