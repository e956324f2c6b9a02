"""Wrong linear layers."""

import numpy as np

from numpy_resnet.exercises.zoo.enclosure import Enclosure


def linear(x, weight, bias=None):
    y = x @ weight.T
    return (y if bias is None else y + bias), (x, weight, bias)


def linear_backward(dy, cache):
    x, weight, bias = cache
    return dy @ weight, dy.T @ x, None if bias is None else dy.sum(axis=0)


zoo = Enclosure("linear", linear, linear_backward)


@zoo.wrong_backward("constant_factor")
def bias_averaged(dy, cache):
    """The gradient of the bias is too small by N.

    Each sample wants another bias, so their mean is taken; but the loss is already a mean, or should be.
    """
    dx, dweight, dbias = linear_backward(dy, cache)
    return dx, dweight, None if dbias is None else dy.mean(axis=0)


@zoo.wrong_backward("summed_too_far", "wrong_shape")
def bias_summed_over_everything(dy, cache):
    """The gradient of the bias is one number.

    np.sum(dy) without its axis; in `bias -= lr * dbias` broadcasting hides it.
    """
    dx, dweight, dbias = linear_backward(dy, cache)
    return dx, dweight, None if dbias is None else np.sum(dy)


@zoo.wrong_backward("not_summed", "wrong_shape")
def bias_not_summed(dy, cache):
    """The gradient of the bias has one row for each sample.

    "y = xw + b, so db = dy": true for a single sample, which is how the formula was derived.
    """
    dx, dweight, dbias = linear_backward(dy, cache)
    return dx, dweight, None if dbias is None else dy.copy()


@zoo.wrong_backward("wrong_shape")
def bias_with_the_axis_of_the_batch(dy, cache):
    """The gradient of the bias is (1, OUT) instead of (OUT,).

    `keepdims=True`, to be on the safe side of broadcasting.
    """
    dx, dweight, dbias = linear_backward(dy, cache)
    return dx, dweight, None if dbias is None else dy.sum(axis=0, keepdims=True)


@zoo.wrong_backward("transposed", "wrong_shape")
def weight_gradient_transposed(dy, cache):
    """The gradient of the weight is (IN, OUT), which nobody notices in a square layer.

    The formula is from a book where y = xW; here it is y = xW'.
    """
    dx, dweight, dbias = linear_backward(dy, cache)
    return dx, dweight.T, dbias


@zoo.wrong_backward("transposed", "raises")
def weight_transposed_in_dx(dy, cache):
    """dx raises, or, in a square layer, is wrong without a word.

    A matrix product backwards has a transpose in it: this one would be the second, and cancels the first.
    """
    _, dweight, dbias = linear_backward(dy, cache)
    return dy @ cache[1].T, dweight, dbias


@zoo.wrong_backward("constant_factor")
def weight_averaged(dy, cache):
    """The gradient of the weight is too small by N.

    1/N is in the formula of the loss and was put in here as well.
    """
    dx, dweight, dbias = linear_backward(dy, cache)
    return dx, dweight / len(dy), dbias


@zoo.wrong_backward("one_sample_only")
def weight_of_the_last_sample(dy, cache):
    """The gradient of the weight is that of the last sample.

    The outer products are computed in a loop and assigned instead of added.
    """
    dx, dweight, dbias = linear_backward(dy, cache)
    for row, upstream in zip(cache[0], dy, strict=True):
        dweight = np.outer(upstream, row)
    return dx, dweight, dbias


@zoo.wrong_backward("summed_too_far")
def samples_multiplied_with_each_other(dy, cache):
    """The gradient of the weight has rank one: every dy meets every x, also those of other samples.

    einsum with the letter n in one operand and m in the other, or sums taken before the product.
    """
    dx, _, dbias = linear_backward(dy, cache)
    return dx, np.einsum("no,mi->oi", dy, cache[0]), dbias


@zoo.wrong_backward("unknown")
def batch_reversed(dy, cache):
    """The gradient of the weight is wrong as soon as there are two samples; its shape and size look right.

    The inputs are kept in a list, one sample after the other, and popped from its end.
    """
    dx, _, dbias = linear_backward(dy, cache)
    return dx, dy.T @ cache[0][::-1], dbias


@zoo.wrong_backward("upstream_ignored")
def dx_without_upstream(dy, cache):
    """All rows of dx are the same, whatever dy is.

    "The derivative of Wx is W", summed over the outputs to make the shape fit.
    """
    (x, weight, _), (_, dweight, dbias) = cache, linear_backward(dy, cache)
    return np.zeros_like(x) + weight.sum(axis=0), dweight, dbias


@zoo.wrong_backward("writes_upstream", "constant_factor")
def upstream_divided_in_place(dy, cache):
    """All gradients are too small by N, and the caller's dy too.

    `dy /= N` for the mean of the loss, in the layer and in place.
    """
    dy /= len(dy)
    return linear_backward(dy, cache)


@zoo.wrong_backward("writes_upstream")
def upstream_clipped_in_place(dy, cache):
    """The gradients are right, but the caller's dy is not what it was: it is cut at -0.1 and 0.1.

    A first try at gradient clipping, at the end of backward, on the wrong array.
    """
    gradients = linear_backward(dy, cache)
    np.clip(dy, -0.1, 0.1, out=dy)
    return gradients


@zoo.wrong_backward("writes_input")
def weight_updated_in_backward(dy, cache):
    """The gradients are right, but the weight has changed when backward returns.

    The first network of the author had no optimizer: backward made the step itself.
    """
    dx, dweight, dbias = linear_backward(dy, cache)
    weight = cache[1]
    weight -= 0.01 * dweight
    return dx, dweight, dbias


first = {}


@zoo.wrong_backward("stale_state")
def x_of_the_first_call(dy, cache):
    """The first gradient of the weight is right; all later ones use the x of the first.

    `if self.x is None: self.x = x`, so that the array is allocated only once.
    """
    dx, _, dbias = linear_backward(dy, cache)
    x = first.setdefault(cache[0].shape, cache[0].copy())
    return dx, dy.T @ x, dbias


@zoo.wrong_backward("not_returned")
def dx_left_out(dy, cache):
    """dx is None.

    "The first layer needs no dx": and the second layer was copied from it.
    """
    _, dweight, dbias = linear_backward(dy, cache)
    return None, dweight, dbias


@zoo.wrong_backward("wrong_order")
def parameters_before_x(dy, cache):
    """All gradients are right, but dx comes last.

    The optimizer wants those of the parameters, so they are returned first.
    """
    dx, dweight, dbias = linear_backward(dy, cache)
    return dweight, dbias, dx
