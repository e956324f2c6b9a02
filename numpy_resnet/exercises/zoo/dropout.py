"""Wrong dropouts."""

import numpy as np

from numpy_resnet.exercises.zoo.enclosure import Enclosure


def dropout(x, keep, *, p):
    return x * keep / (1 - p), (x, keep, p)


def dropout_backward(dy, cache):
    _, keep, p = cache
    return dy * keep / (1 - p)


zoo = Enclosure("dropout", dropout, dropout_backward)


@zoo.wrong_backward("mask_missing")
def mask_forgotten(dy, cache):
    """What was dropped has a gradient too.

    Dropout is thought of as noise, which has no derivative; only the factor was kept.
    """
    _, _, p = cache
    return dy / (1 - p)


@zoo.wrong_backward("mask_wrong_source")
def mask_drawn_again(dy, cache):
    """The gradient is dropped too, but elsewhere.

    The line that draws the mask was copied from forward to backward.
    """
    _, _, p = cache
    keep = np.random.default_rng(1).random(dy.shape) >= p
    return dy * keep / (1 - p)


@zoo.wrong_backward("mask_inverted")
def dropped_for_kept(dy, cache):
    """The gradient passes where x was dropped.

    In some code the mask says what is dropped, and in this what is kept.
    """
    _, keep, p = cache
    return dy * ~keep / (1 - p)


@zoo.wrong_backward("constant_factor")
def factor_forgotten(dy, cache):
    """dx is too small by 1 - p.

    The mask is remembered, and the factor of inverted dropout is not part of it.
    """
    _, keep, _ = cache
    return dy * keep


@zoo.wrong_backward("constant_factor")
def multiplied_for_divided(dy, cache):
    """dx is too small by (1 - p) squared.

    "Backward undoes forward": the division became a multiplication.
    """
    _, keep, p = cache
    return dy * keep * (1 - p)


@zoo.wrong_backward("constant_factor", "not_finite")
def divided_by_the_rate(dy, cache):
    """Right for p = 0.5, off by (1 - p)/p for any other, and NaN or infinite for 0.

    p is the probability to keep in one paper, and to drop in the other.
    """
    _, keep, p = cache
    with np.errstate(divide="ignore", invalid="ignore"):
        return dy * keep / np.float64(p)


@zoo.wrong_backward("constant_factor")
def divided_by_what_was_kept(dy, cache):
    """dx is off by a factor near 1, another one for each mask.

    `keep.mean()` is 1 - p, but only on average.
    """
    _, keep, _ = cache
    return dy * keep / max(keep.mean(), 1e-9)


@zoo.wrong_backward("mask_wrong_source", "partly_missing")
def mask_read_off_y(dy, cache):
    """Right for random numbers; where x was 0, as behind a ReLU, the gradient is missing.

    To save the mask, backward looks where y is 0.
    """
    x, keep, p = cache
    return dy * (x * keep != 0) / (1 - p)


@zoo.wrong_backward("mask_wrong_source")
def mask_of_the_first_sample(dy, cache):
    """The first sample is right, and all others are cut where the first one was.

    The mask was drawn for one sample in an old version, and backward still broadcasts it.
    """
    _, keep, p = cache
    return dy * keep[0] / (1 - p)


@zoo.wrong_backward("writes_upstream")
def upstream_masked_in_place(dy, cache):
    """dx is right, but the caller's dy is dropped and scaled as well.

    `dy *= keep / (1 - p)` saves a copy.
    """
    _, keep, p = cache
    dy *= keep / (1 - p)
    return dy


@zoo.wrong_backward("not_returned")
def gradient_of_the_mask_too(dy, cache):
    """Two gradients come back where one is due.

    x * keep is a product, so the author derived both factors.
    """
    x, _, p = cache
    return dropout_backward(dy, cache), dy * x / (1 - p)


def not_scaled_backward(dy, cache):
    _, keep, _ = cache
    return dy * keep


@zoo.wrong_forward("forward_wrong", f_backward=not_scaled_backward)
def not_scaled(x, keep, *, p):
    """The gradients fit, but y is smaller than x on average, and larger in evaluation than in training.

    Dropout as in the first paper, where evaluation multiplies by 1 - p; here nobody does.
    """
    return x * keep, (x, keep, p)


@zoo.wrong_forward("forward_wrong")
def dropped_in_evaluation(x, keep, *, p):
    """The gradients fit, but values are dropped even if keep is True everywhere.

    Forward draws a mask of its own, and does not ask whether this is training.
    """
    own = np.random.default_rng(0).random(x.shape) >= p
    return dropout(x, own, p=p)
