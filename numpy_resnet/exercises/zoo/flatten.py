"""Wrong flattenings."""

import numpy as np

from numpy_resnet.exercises.zoo.enclosure import Enclosure


def flatten(x):
    return x.reshape(len(x), -1), x.shape


def flatten_backward(dy, shape):
    return dy.reshape(shape)


zoo = Enclosure("flatten", flatten, flatten_backward)


@zoo.wrong_backward("wrong_shape")
def left_flat(dy, shape):
    """dx is (N, C*H*W).

    "Nothing was computed, so there is nothing to undo."
    """
    return dy


@zoo.wrong_backward("transposed")
def column_by_column(dy, shape):
    """dx has the right shape and the wrong order.

    `order="F"` from a port of Matlab code, where arrays are laid out like that.
    """
    return np.stack([row.reshape(shape[1:], order="F") for row in dy])


@zoo.wrong_backward("transposed")
def channels_taken_as_last(dy, shape):
    """The gradient of one pixel goes to several channels of another.

    The network was ported from TensorFlow, where images are (N, H, W, C); the reshape was not.
    """
    N, C, H, W = shape
    return dy.reshape(N, H, W, C).transpose(0, 3, 1, 2)


@zoo.wrong_backward("transposed")
def batch_taken_as_last(dy, shape):
    """The samples are mixed up; a batch of one is right.

    The textbook has samples in columns, so a transpose came in between.
    """
    return np.ascontiguousarray(dy.T).reshape(shape)


def channels_last_backward(dy, shape):
    N, C, H, W = shape
    return dy.reshape(N, H, W, C).transpose(0, 3, 1, 2)


@zoo.wrong_forward("forward_wrong", f_backward=channels_last_backward)
def flattened_with_channels_last(x):
    """The gradients fit, but weights trained elsewhere give nonsense behind it.

    The pixels come first and the channels last, as in another framework.
    """
    return x.transpose(0, 2, 3, 1).reshape(len(x), -1), x.shape
