"""Wrong global average pools."""

import numpy as np

from numpy_resnet.exercises.zoo.enclosure import Enclosure


def global_avgpool2d(x):
    return x.mean(axis=(2, 3)), x.shape


def global_avgpool2d_backward(dy, shape):
    _, _, H, W = shape
    return np.zeros(shape, dy.dtype) + dy[:, :, None, None] / (H * W)


zoo = Enclosure("global_avgpool2d", global_avgpool2d, global_avgpool2d_backward)


@zoo.wrong_backward("constant_factor")
def share_forgotten(dy, shape):
    """dx is too large by H*W.

    The gradient is broadcast over the map, and not divided.
    """
    return np.zeros(shape, dy.dtype) + dy[:, :, None, None]


@zoo.wrong_backward("constant_factor")
def divided_by_the_height_only(dy, shape):
    """dx is too large by W.

    `x.shape[2]` was taken for the number of pixels, as after a reshape to (N, C, H*W) it would be.
    """
    return np.zeros(shape, dy.dtype) + dy[:, :, None, None] / shape[2]


@zoo.wrong_backward("constant_factor")
def divided_by_the_channels_too(dy, shape):
    """dx is too small by C.

    `x[0].size` counts the values of a sample, where those of one map are meant.
    """
    return np.zeros(shape, dy.dtype) + dy[:, :, None, None] / np.prod(shape[1:])


@zoo.wrong_backward("partly_missing")
def one_pixel_only(dy, shape):
    """Only the upper left pixel of each map has a gradient.

    `dx[:, :, 0, 0] = dy / (H*W)`: the shapes fit, so it was taken for right.
    """
    dx = np.zeros(shape, dy.dtype)
    dx[:, :, 0, 0] = dy / (shape[2] * shape[3])
    return dx


@zoo.wrong_backward("wrong_shape")
def left_to_broadcasting(dy, shape):
    """dx is (N, C, 1, 1).

    The next backward would have broadcast it, had that one not been a convolution.
    """
    return dy[:, :, None, None] / (shape[2] * shape[3])


@zoo.wrong_backward("transposed")
def tiled_in_the_wrong_order(dy, shape):
    """Every map of dx is a mixture of the channels' gradients.

    np.tile repeats the whole row of channels, np.repeat each of them; the reshape takes either.
    """
    _, _, H, W = shape
    return np.tile(dy / (H * W), H * W).reshape(shape)


@zoo.wrong_backward("upstream_ignored")
def share_returned(dy, shape):
    """All of dx is 1/(H*W).

    The derivative of the mean, without the chain rule.
    """
    return np.full(shape, 1 / (shape[2] * shape[3]), dy.dtype)


@zoo.wrong_backward("summed_too_far")
def summed_over_channels(dy, shape):
    """All channels of a sample have the same gradient, the sum of theirs.

    The author reduced dy until it could be broadcast, and took off one axis too many.
    """
    return np.zeros(shape, dy.dtype) + dy.sum(axis=1)[:, None, None, None] / (shape[2] * shape[3])


@zoo.wrong_backward("writes_upstream")
def upstream_divided_in_place(dy, shape):
    """dx is right, but the caller's dy is smaller than before by H*W.

    `dy /= H * W` is shorter than a new name.
    """
    dy /= shape[2] * shape[3]
    return np.zeros(shape, dy.dtype) + dy[:, :, None, None]
