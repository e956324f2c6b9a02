"""Wrong shortcuts of option A: every stride-th pixel, and channels of zeros before and behind."""

import numpy as np

from numpy_resnet.exercises.zoo.enclosure import Enclosure
from numpy_resnet.exercises.zoo.textbook import pair


def zero_pad_channels(x, *, channels, stride):
    (N, C, _, _), (SH, SW), before = x.shape, pair(stride), (channels - x.shape[1]) // 2
    pixels = x[:, :, ::SH, ::SW]
    y = np.zeros((N, channels, *pixels.shape[2:]), x.dtype)
    y[:, before : before + C] = pixels
    return y, (x.shape, before, (SH, SW))


def zero_pad_channels_backward(dy, cache):
    (N, C, H, W), before, (SH, SW) = cache
    dx = np.zeros((N, C, H, W), dy.dtype)
    dx[:, :, ::SH, ::SW] = dy[:, before : before + C]
    return dx


zoo = Enclosure("zero_pad_channels", zero_pad_channels, zero_pad_channels_backward)


@zoo.wrong_backward("shifted")
def first_channels_taken(dy, cache):
    """The gradient of each channel is that of an earlier one, or of the zeros.

    `dy[:, :C]`: right if all zeros are behind, but half of them are before.
    """
    shape, _, stride = cache
    return zero_pad_channels_backward(dy, (shape, 0, stride))


@zoo.wrong_backward("mask_missing")
def skipped_pixels_get_it_too(dy, cache):
    """Each pixel has a gradient, also those that the stride skips.

    "Backward of a subsampling is an upsampling", done with np.repeat.
    """
    (_, C, H, W), before, (SH, SW) = cache
    return dy[:, before : before + C].repeat(SH, axis=2).repeat(SW, axis=3)[:, :, :H, :W]


@zoo.wrong_backward("wrong_shape")
def stride_forgotten(dy, cache):
    """dx has the size of dy, not that of x.

    The channels are cut out, and the skipped pixels forgotten.
    """
    (_, C, _, _), before, _ = cache
    return dy[:, before : before + C].copy()


@zoo.wrong_backward("shifted")
def crowded_into_the_corner(dy, cache):
    """With a stride of 2 all of dx lies in its upper left quarter.

    `dx[:, :, :OH, :OW]`: the stride is missing in the slice, and the shapes still fit.
    """
    (N, C, H, W), before, _ = cache
    dx = np.zeros((N, C, H, W), dy.dtype)
    dx[:, :, : dy.shape[2], : dy.shape[3]] = dy[:, before : before + C]
    return dx


def all_behind_backward(dy, cache):
    shape, _, stride = cache
    return zero_pad_channels_backward(dy, (shape, 0, stride))


@zoo.wrong_forward("forward_wrong", f_backward=all_behind_backward)
def all_zeros_behind(x, *, channels, stride):
    """The gradients fit, but the channels meet others in the addition than in the paper's code.

    All new channels are put behind the old ones, none before.
    """
    (_, C, _, _), (y, cache) = x.shape, zero_pad_channels(x, channels=channels, stride=stride)
    return np.roll(y, -((channels - C) // 2), axis=1), cache
