"""Wrong ReLUs."""

import numpy as np

from numpy_resnet.exercises.zoo.enclosure import Enclosure


def relu(x):
    return np.maximum(x, 0), x


def relu_backward(dy, x):
    return dy * (x > 0)


zoo = Enclosure("relu", relu, relu_backward)


@zoo.wrong_backward("mask_missing")
def mask_forgotten(dy, x):
    """All of the upstream passes, also where x was negative.

    "The slope of ReLU is 1": true, but only on one side.
    """
    return dy.copy()


@zoo.wrong_backward("mask_wrong_source")
def mask_of_upstream(dy, x):
    """The gradient is cut where dy is negative instead of where x is.

    Backward sees dy first, so the mask is taken from it: guided backpropagation by accident.
    """
    return dy * (dy > 0)


@zoo.wrong_backward("writes_upstream")
def upstream_masked_in_place(dy, x):
    """dx is right, but dy is changed, and the shortcut that shares it gets a masked gradient.

    `dy[x <= 0] = 0` saves a copy.
    """
    dy[x <= 0] = 0
    return dy


@zoo.wrong_forward("writes_input")
def input_clipped_in_place(x):
    """y is right, but x is changed, and the shortcut adds the clipped x.

    `np.maximum(x, 0, out=x)` saves memory.
    """
    mask = x > 0
    np.maximum(x, 0, out=x)
    return x.copy(), mask


@zoo.wrong_backward("mask_inverted")
def mask_the_wrong_way_round(dy, x):
    """The gradient passes where x was negative and is cut where it was positive.

    `dx[x > 0] = 0`: the line says what to set to 0, and the author thought of what to keep.
    """
    dx = dy.copy()
    dx[x > 0] = 0
    return dx


@zoo.wrong_backward("mask_wrong_source")
def kink_lets_through(dy, x):
    """Right for random numbers; where x is exactly 0, as behind another ReLU, the gradient passes.

    `x >= 0`: at the kink any slope from 0 to 1 is a fair choice, but the frameworks chose 0.
    """
    return dy * (x >= 0)


@zoo.wrong_backward("mask_wrong_source")
def sign_for_step(dy, x):
    """Where x was negative the gradient passes with its sign turned.

    np.sign is 0 or 1, the author thought, and forgot that it is -1 too.
    """
    return dy * np.sign(x)


@zoo.wrong_backward("upstream_ignored")
def slope_returned(dy, x):
    """dx is all zeros and ones.

    The derivative of ReLU is returned, without the chain rule.
    """
    return (x > 0).astype(x.dtype)


@zoo.wrong_backward("unknown")
def value_for_slope(dy, x):
    """The gradient is multiplied by y, and so grows with x.

    The layer keeps y, and y was used as the mask, as if it were 0 or 1.
    """
    return dy * np.maximum(x, 0)


@zoo.wrong_backward("mask_wrong_source")
def mask_of_the_first_sample(dy, x):
    """The first sample is right, and all others are cut where the first one is.

    The mask was tried out on x[0], and the index stayed.
    """
    return dy * (x[0] > 0)


@zoo.wrong_backward("not_finite")
def slope_from_a_quotient(dy, x):
    """Right for random numbers, NaN where x is 0.

    The slope of a line through the origin is y / x.
    """
    with np.errstate(invalid="ignore"):
        return dy * (np.maximum(x, 0) / x)


layer = {}


def relu_with_one_mask(x):
    layer["mask"] = x > 0
    return np.maximum(x, 0), None


@zoo.wrong_backward("stale_state", f=relu_with_one_mask)
def mask_of_the_last_call(dy, cache):
    """Right if backward follows its forward; after two forwards both get the mask of the second.

    A ReLU has no weights, so one object serves the whole network, and it keeps its mask in itself.
    """
    return dy * layer["mask"]


def leaky_backward(dy, x):
    return np.where(x > 0, dy, 0.01 * dy)


@zoo.wrong_forward("forward_wrong", f_backward=leaky_backward)
def leaky(x):
    """The gradients fit, but y is not 0 where x is negative.

    A leaky ReLU from another project, under the same name.
    """
    return np.where(x > 0, x, 0.01 * x), x


def clipped_backward(dy, x):
    return dy * ((x > 0) & (x < 1))


@zoo.wrong_forward("forward_wrong", f_backward=clipped_backward)
def clipped_at_one(x):
    """The gradients fit, but y stops at 1.

    np.clip(x, 0, 1): the pictures were in that range, and so "must" be the maps.
    """
    return np.clip(x, 0, 1), x
