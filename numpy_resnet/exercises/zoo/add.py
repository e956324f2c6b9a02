"""Wrong additions."""

import numpy as np

from numpy_resnet.exercises.zoo.enclosure import Enclosure


def add(a, b):
    return a + b, (a, b)


def add_backward(dy, cache):
    return dy, dy


zoo = Enclosure("add", add, add_backward)


@zoo.wrong_backward("branch_missing")
def shortcut_gets_nothing(dy, cache):
    """db is 0.

    The gradient is sent where it came from, along the main branch; the shortcut was thought of as a constant.
    """
    return dy, np.zeros_like(dy)


@zoo.wrong_backward("branch_doubled")
def both_added_to_one(dy, cache):
    """da is twice what it should be, db is right.

    `da += dy` stands in a loop over the two inputs and hits the first of them twice.
    """
    return dy + dy, dy


@zoo.wrong_backward("branch_halved")
def shared_out(dy, cache):
    """Both gradients are half of what they should be.

    "Two inputs share the gradient": but each of them moves y by as much as it moves itself.
    """
    return dy / 2, dy / 2


@zoo.wrong_backward("constant_factor")
def second_one_negative(dy, cache):
    """db has the wrong sign.

    The operator class was copied from the one for subtraction.
    """
    return dy, -dy


@zoo.wrong_backward("wrong_argument")
def product_rule(dy, cache):
    """da depends on b and db on a, though a sum's slope is 1.

    "The gradient swaps the inputs": that is the multiplication gate of the lecture, not the addition gate.
    """
    a, b = cache
    return dy * b, dy * a


@zoo.wrong_backward("summed_too_far", "wrong_shape")
def second_one_taken_for_a_bias(dy, cache):
    """db has lost the axis of the batch.

    y = a + b looks like the line of a linear layer that adds the bias.
    """
    return dy, dy.sum(axis=0)


@zoo.wrong_backward("partly_missing", "mask_missing")
def masked_by_the_relu_behind(dy, cache):
    """Both gradients are 0 where y is negative, though an addition cuts nothing.

    The ReLU that follows in the block was built into the addition's backward, and not into its forward.
    """
    a, b = cache
    return dy * (a + b > 0), dy * (a + b > 0)


@zoo.wrong_backward("not_returned")
def one_for_both(dy, cache):
    """One gradient comes back where two are due.

    They are equal, so one seemed enough.
    """
    return dy


@zoo.wrong_forward("writes_input")
def summed_in_place(a, b):
    """y is right, but a has become y.

    `a += b` saves an array, which the block may still need.
    """
    before = a.copy()
    a += b
    return a.copy(), (before, b)


@zoo.wrong_backward("writes_upstream")
def upstream_used_as_accumulator(dy, cache):
    """The gradients are right, but dy comes back doubled.

    dy is the sum of what came in so far, and the code that joins branches adds to it in place.
    """
    da, db = dy.copy(), dy.copy()
    dy += db
    return da, db
