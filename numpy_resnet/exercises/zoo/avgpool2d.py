"""Wrong average pools."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.exercises.zoo.enclosure import Enclosure
from numpy_resnet.exercises.zoo.textbook import crop, offsets, output_size, pad, pair


class Cache(NamedTuple):
    x: np.ndarray
    kernel_size: tuple
    stride: tuple
    padding: tuple


def gather(xp, kernel_size, stride, out_size):
    """The sum of each window."""
    return sum(xp[:, :, rows, columns] for _, _, rows, columns in offsets(kernel_size, stride, out_size))


def scatter(dwindow, cache):
    """Each value added to all pixels of its window; dx with its padding."""
    dxp = np.zeros_like(pad(cache.x, cache.padding))
    for _, _, rows, columns in offsets(cache.kernel_size, cache.stride, dwindow.shape[2:]):
        dxp[:, :, rows, columns] += dwindow
    return dxp


def avgpool2d(x, *, kernel_size, stride=None, padding=0):
    (KH, KW), padding = pair(kernel_size), pair(padding)
    stride = (KH, KW) if stride is None else pair(stride)
    out_size = output_size(x.shape[2:], (KH, KW), stride, padding)
    return gather(pad(x, padding), (KH, KW), stride, out_size) / (KH * KW), Cache(x, (KH, KW), stride, padding)


def avgpool2d_backward(dy, cache):
    KH, KW = cache.kernel_size
    return crop(scatter(dy / (KH * KW), cache), cache.padding)


zoo = Enclosure("avgpool2d", avgpool2d, avgpool2d_backward)


@zoo.wrong_backward("constant_factor")
def share_forgotten(dy, cache):
    """dx is too large by KH*KW.

    The gradient is repeated over the window, and nobody divides it.
    """
    return crop(scatter(dy, cache), cache.padding)


@zoo.wrong_backward("constant_factor")
def divided_by_the_height_only(dy, cache):
    """dx is too large by KW: 0.5 for a 2x2 window, where 0.25 is right.

    The kernel size was one number in the code, and one number was divided by.
    """
    return crop(scatter(dy / cache.kernel_size[0], cache), cache.padding)


@zoo.wrong_backward("constant_factor")
def divided_by_the_output(dy, cache):
    """dx is off by KH*KW / (OH*OW).

    "The mean over H and W" is that of global pooling; here the window is meant, and the wrong H and W were at hand.
    """
    OH, OW = dy.shape[2:]
    return crop(scatter(dy / (OH * OW), cache), cache.padding)


@zoo.wrong_backward("partly_missing")
def one_cell_of_the_window(dy, cache):
    """Only the upper left pixel of each window has a gradient.

    `dx[:, :, ::SH, ::SW] = dy / (KH*KW)`: the loop over the window is missing.
    """
    (KH, KW), (SH, SW), (OH, OW) = cache.kernel_size, cache.stride, dy.shape[2:]
    dxp = np.zeros_like(pad(cache.x, cache.padding))
    dxp[:, :, : OH * SH : SH, : OW * SW : SW] += dy / (KH * KW)
    return crop(dxp, cache.padding)


@zoo.wrong_backward("not_accumulated")
def overlaps_overwritten(dy, cache):
    """Where windows overlap, a pixel has the share of one only.

    `dx[window] = dy / (KH*KW)`; with the default stride it makes no difference.
    """
    (KH, KW), (SH, SW) = cache.kernel_size, cache.stride
    dxp = np.zeros_like(pad(cache.x, cache.padding))
    for oh, ow in np.ndindex(dy.shape[2:]):
        dxp[:, :, oh * SH : oh * SH + KH, ow * SW : ow * SW + KW] = dy[:, :, oh, ow, None, None] / (KH * KW)
    return crop(dxp, cache.padding)


@zoo.wrong_backward("shifted")
def padding_taken_off_at_the_wrong_side(dy, cache):
    """dx is moved down and to the right by the padding.

    The first H rows and W columns are kept, with the padding among them.
    """
    (H, W), (KH, KW) = cache.x.shape[2:], cache.kernel_size
    return scatter(dy / (KH * KW), cache)[:, :, :H, :W]


@zoo.wrong_backward("shifted")
def stride_forgotten(dy, cache):
    """With a stride above 1 all of dx crowds into its upper left corner.

    The windows are put back one pixel apart.
    """
    KH, KW = cache.kernel_size
    return crop(scatter(dy / (KH * KW), cache._replace(stride=(1, 1))), cache.padding)


@zoo.wrong_backward("wrong_shape")
def blown_up(dy, cache):
    """dx has OH*KH rows and OW*KW columns: the size of x only if the windows tile it.

    np.kron with a block of ones is the shortest backward there is, for windows side by side.
    """
    KH, KW = cache.kernel_size
    return np.kron(dy, np.ones((1, 1, KH, KW), dy.dtype)) / (KH * KW)


@zoo.wrong_backward("mask_wrong_source")
def largest_gets_it(dy, cache):
    """All of dy goes to the largest pixel of each window.

    The class was derived from max pooling, and backward was not overridden.
    """
    xp, (KH, KW), (SH, SW) = pad(cache.x, cache.padding, -np.inf), cache.kernel_size, cache.stride
    dxp = np.zeros_like(xp)
    for n, c, oh, ow in np.ndindex(dy.shape):
        kh, kw = divmod(xp[n, c, oh * SH : oh * SH + KH, ow * SW : ow * SW + KW].argmax(), KW)
        dxp[n, c, oh * SH + kh, ow * SW + kw] += dy[n, c, oh, ow]
    return crop(dxp, cache.padding)


@zoo.wrong_backward("summed_too_far")
def summed_over_channels(dy, cache):
    """All channels have the same gradient, the sum of theirs.

    A convolution sums over channels, and the average was written as one, with a kernel of ones.
    """
    return avgpool2d_backward(np.zeros_like(dy) + dy.sum(axis=1, keepdims=True), cache)


@zoo.wrong_backward("upstream_ignored")
def share_returned(dy, cache):
    """dx is the same whatever dy is: 1/(KH*KW) for each window of a pixel.

    The derivative of the mean is returned, without the chain rule.
    """
    return avgpool2d_backward(np.ones_like(dy), cache)


@zoo.wrong_backward("not_returned")
def end_without_return(dy, cache):
    """dx is None.

    The last line computes dx, and no line returns it.
    """
    dx = avgpool2d_backward(dy, cache)
    dx = dx.astype(cache.x.dtype)


def counted(cache):
    (KH, KW), size = cache.kernel_size, cache.x.shape[2:]
    out_size = output_size(size, (KH, KW), cache.stride, cache.padding)
    return gather(pad(np.ones((1, 1, *size), cache.x.dtype), cache.padding), (KH, KW), cache.stride, out_size)


def counted_backward(dy, cache):
    return crop(scatter(dy / counted(cache), cache), cache.padding)


@zoo.wrong_forward("forward_wrong", f_backward=counted_backward)
def padding_not_counted(x, *, kernel_size, stride=None, padding=0):
    """The gradients fit, but with padding y is larger at the border than PyTorch's.

    Each window is divided by the number of its pixels within the image: TensorFlow's way.
    """
    y, cache = avgpool2d(x, kernel_size=kernel_size, stride=stride, padding=padding)
    KH, KW = cache.kernel_size
    return y * (KH * KW) / counted(cache), cache
