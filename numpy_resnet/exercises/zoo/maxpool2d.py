"""Wrong max pools."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.exercises.zoo.enclosure import Enclosure
from numpy_resnet.exercises.zoo.textbook import crop, offsets, output_size, pad, pair


class Cache(NamedTuple):
    x: np.ndarray
    y: np.ndarray
    winner: np.ndarray  # kh*KW + kw, (N, C, OH, OW)
    kernel_size: tuple
    stride: tuple
    padding: tuple


def windows_of(xp, kernel_size, stride, out_size):
    """(KH*KW, N, C, OH, OW)."""
    return np.stack([xp[:, :, rows, columns] for _, _, rows, columns in offsets(kernel_size, stride, out_size)])


def maxpool2d(x, *, kernel_size, stride=None, padding=0):
    kernel_size, padding = pair(kernel_size), pair(padding)
    stride = kernel_size if stride is None else pair(stride)
    out_size = output_size(x.shape[2:], kernel_size, stride, padding)
    windows = windows_of(pad(x, padding, -np.inf), kernel_size, stride, out_size)
    y = windows.max(axis=0)
    return y, Cache(x, y, windows.argmax(axis=0), kernel_size, stride, padding)


def scatter(dy, cache):
    """dx with its padding."""
    dxp, KW = np.zeros_like(pad(cache.x, cache.padding)), cache.kernel_size[1]
    for kh, kw, rows, columns in offsets(cache.kernel_size, cache.stride, dy.shape[2:]):
        dxp[:, :, rows, columns] += dy * (cache.winner == kh * KW + kw)
    return dxp


def maxpool2d_backward(dy, cache):
    return crop(scatter(dy, cache), cache.padding)


zoo = Enclosure("maxpool2d", maxpool2d, maxpool2d_backward)


# Who wins


@zoo.wrong_backward("shifted", "mask_wrong_source")
def winner_sought_in_the_unpadded_x(dy, cache):
    """With padding some gradient goes to the wrong pixel and most to none; without, all is right.

    Forward padded a copy, and backward looks for the maximum in x itself, at the places of the padded windows.
    """
    dx, (KH, KW), (SH, SW) = np.zeros_like(cache.x), cache.kernel_size, cache.stride
    for oh, ow in np.ndindex(dy.shape[2:]):
        here = np.s_[:, :, oh * SH : oh * SH + KH, ow * SW : ow * SW + KW]
        dx[here] += (cache.x[here] == cache.y[:, :, oh, ow, None, None]) * dy[:, :, oh, ow, None, None]
    return dx


@zoo.wrong_backward("mask_missing", "mask_wrong_source")
def spread_evenly(dy, cache):
    """Every pixel of a window gets the same small share.

    The backward of average pooling was copied.
    """
    dxp, (KH, KW) = np.zeros_like(pad(cache.x, cache.padding)), cache.kernel_size
    for _, _, rows, columns in offsets((KH, KW), cache.stride, dy.shape[2:]):
        dxp[:, :, rows, columns] += dy / (KH * KW)
    return crop(dxp, cache.padding)


@zoo.wrong_backward("mask_missing")
def all_pixels_get_everything(dy, cache):
    """Every pixel of a window gets all of dy.

    "Pooling backwards is upsampling": the gradient was repeated over the window, and the mask was to follow.
    """
    dxp = np.zeros_like(pad(cache.x, cache.padding))
    for _, _, rows, columns in offsets(cache.kernel_size, cache.stride, dy.shape[2:]):
        dxp[:, :, rows, columns] += dy
    return crop(dxp, cache.padding)


@zoo.wrong_backward("transposed", "mask_wrong_source")
def row_and_column_of_the_winner_swapped(dy, cache):
    """The gradient goes to the pixel mirrored at the diagonal of the window.

    argmax counts through the window row by row; it was taken apart column by column.
    """
    dxp, (KH, KW), (SH, SW) = np.zeros_like(pad(cache.x, cache.padding)), cache.kernel_size, cache.stride
    kw, kh = np.divmod(cache.winner, KW)  # should be kh, kw
    n, c, oh, ow = np.indices(dy.shape)
    np.add.at(dxp, (n, c, oh * SH + np.minimum(kh, KH - 1), ow * SW + np.minimum(kw, KW - 1)), dy)
    return crop(dxp, cache.padding)


@zoo.wrong_backward("mask_wrong_source")
def all_equals_win(dy, cache):
    """Right for random numbers; where a window is constant, as after a ReLU, dx is too large.

    `x == y` for the mask is short, but can be true more than once in a window.
    """
    xp, dxp = pad(cache.x, cache.padding, -np.inf), np.zeros_like(pad(cache.x, cache.padding))
    for _, _, rows, columns in offsets(cache.kernel_size, cache.stride, dy.shape[2:]):
        dxp[:, :, rows, columns] += dy * (xp[:, :, rows, columns] == cache.y)
    return crop(dxp, cache.padding)


@zoo.wrong_backward("mask_wrong_source")
def one_winner_for_all_channels(dy, cache):
    """The first channel is right, and all others have their gradient where the first has it.

    The position of the maximum was sought once per window, not once per window and channel.
    """
    winner = np.broadcast_to(cache.winner[:, :1], cache.winner.shape)
    return maxpool2d_backward(dy, cache._replace(winner=winner))


@zoo.wrong_backward("mask_inverted", "mask_wrong_source")
def losers_get_the_gradient(dy, cache):
    """The gradient is 0 at the winner, and dy at all others of its window.

    The mask says who is below the maximum (`x < y`), and was used as if it said who is the maximum.
    """
    dxp = np.zeros_like(pad(cache.x, cache.padding))
    for k, (_, _, rows, columns) in enumerate(offsets(cache.kernel_size, cache.stride, dy.shape[2:])):
        dxp[:, :, rows, columns] += dy * (cache.winner != k)
    return crop(dxp, cache.padding)


@zoo.wrong_backward("mask_wrong_source")
def winner_of_the_magnitudes(dy, cache):
    """The gradient goes to the pixel farthest from 0, which is wrong where that is negative.

    Behind a ReLU it made no difference, so abs was left in from a first trial.
    """
    xp = pad(np.abs(cache.x), cache.padding, -np.inf)
    winner = windows_of(xp, cache.kernel_size, cache.stride, dy.shape[2:]).argmax(axis=0)
    return maxpool2d_backward(dy, cache._replace(winner=winner))


# Where the gradient is put


@zoo.wrong_backward("shifted")
def padding_taken_off_at_the_wrong_side(dy, cache):
    """dx is moved down and to the right by the padding.

    `dxp[:, :, :H, :W]` has the right shape.
    """
    H, W = cache.x.shape[2:]
    return scatter(dy, cache)[:, :, :H, :W]


@zoo.wrong_backward("wrong_shape")
def padding_left_on(dy, cache):
    """dx is larger than x by the padding.

    The winners' positions are those in the padded image, and so is dx.
    """
    return scatter(dy, cache)


@zoo.wrong_backward("wrong_shape")
def remainder_left_off(dy, cache):
    """dx ends with the last window: too small where the stride leaves rows or columns over.

    np.repeat and friends blow dy up to OH*SH rows; in the test H was a multiple of that.
    """
    (OH, OW), (KH, KW), (SH, SW), (PH, PW) = dy.shape[2:], cache.kernel_size, cache.stride, cache.padding
    dxp = scatter(dy, cache)[:, :, : (OH - 1) * SH + KH, : (OW - 1) * SW + KW]
    (H, W) = cache.x.shape[2:]
    return dxp[:, :, PH : PH + H, PW : PW + W]


@zoo.wrong_backward("not_accumulated")
def overlaps_overwritten(dy, cache):
    """A pixel that wins in two windows has the gradient of the last one only.

    `dx[n, c, h, w] = dy`: with a stride as large as the kernel it makes no difference.
    """
    dxp, KW, (SH, SW) = np.zeros_like(pad(cache.x, cache.padding)), cache.kernel_size[1], cache.stride
    for n, c, oh, ow in np.ndindex(dy.shape):
        kh, kw = divmod(cache.winner[n, c, oh, ow], KW)
        dxp[n, c, oh * SH + kh, ow * SW + kw] = dy[n, c, oh, ow]
    return crop(dxp, cache.padding)


@zoo.wrong_backward("shifted")
def kernel_size_for_stride(dy, cache):
    """Right while the stride is that of the kernel; otherwise the windows lie elsewhere, or beyond the border.

    Pooling was first written without a stride, and backward was not brought up to date.
    """
    dxp, (KH, KW) = np.zeros_like(pad(cache.x, cache.padding)), cache.kernel_size
    for n, c, oh, ow in np.ndindex(dy.shape):
        kh, kw = divmod(cache.winner[n, c, oh, ow], KW)
        h, w = oh * KH + kh, ow * KW + kw
        if h < dxp.shape[2] and w < dxp.shape[3]:
            dxp[n, c, h, w] += dy[n, c, oh, ow]
    return crop(dxp, cache.padding)


# Everything else


@zoo.wrong_backward("upstream_ignored")
def mask_returned(dy, cache):
    """dx counts the windows in which a pixel wins, whatever dy is.

    "The derivative of max is 1 for the winner": and then times dy.
    """
    return maxpool2d_backward(np.ones_like(dy), cache)


@zoo.wrong_backward("raises")
def whole_numbers_for_the_gradient(dy, cache):
    """Backward raises: a float cannot be added to an array of integers.

    The array was made for the mask, as integers, and then used for dx.
    """
    dxp = np.zeros(pad(cache.x, cache.padding).shape, dtype=int)
    for k, (_, _, rows, columns) in enumerate(offsets(cache.kernel_size, cache.stride, dy.shape[2:])):
        dxp[:, :, rows, columns] += dy * (cache.winner == k)
    return crop(dxp, cache.padding)


@zoo.wrong_forward("forward_wrong")
def padded_with_zeros(x, *, kernel_size, stride=None, padding=0):
    """The gradients fit, but where the border is negative y is 0.

    np.pad fills with 0; for a maximum nothing is -inf, not 0.
    """
    y, cache = maxpool2d(pad(x, padding), kernel_size=kernel_size, stride=stride)
    return y, cache._replace(x=x, padding=pair(padding))
