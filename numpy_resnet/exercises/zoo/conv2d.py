"""Wrong convolutions."""

from typing import NamedTuple

import numpy as np

from numpy_resnet.exercises.zoo.enclosure import Enclosure
from numpy_resnet.exercises.zoo.textbook import col2im, crop, im2col, offsets, output_size, pad, pair


class Cache(NamedTuple):
    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None
    stride: tuple
    padding: tuple


def conv2d(x, weight, bias=None, *, stride=1, padding=0):
    cache = Cache(x, weight, bias, pair(stride), pair(padding))
    out_size = output_size(x.shape[2:], weight.shape[2:], stride, padding)
    xp, y = pad(x, padding), np.zeros((len(x), len(weight), *out_size), x.dtype)
    for kh, kw, rows, columns in offsets(weight.shape[2:], stride, out_size):
        y += np.einsum("nchw,oc->nohw", xp[:, :, rows, columns], weight[:, :, kh, kw])
    if bias is not None:
        y += bias[:, None, None]
    return y, cache


def grad_x(dy, cache):
    dxp = np.zeros_like(pad(cache.x, cache.padding))
    for kh, kw, rows, columns in offsets(cache.weight.shape[2:], cache.stride, dy.shape[2:]):
        dxp[:, :, rows, columns] += np.einsum("nohw,oc->nchw", dy, cache.weight[:, :, kh, kw])
    return crop(dxp, cache.padding)


def grad_weight(dy, cache):
    xp, dweight = pad(cache.x, cache.padding), np.zeros_like(cache.weight)
    for kh, kw, rows, columns in offsets(dweight.shape[2:], cache.stride, dy.shape[2:]):
        dweight[:, :, kh, kw] = np.einsum("nohw,nchw->oc", dy, xp[:, :, rows, columns])
    return dweight


def grad_bias(dy, cache):
    return None if cache.bias is None else dy.sum(axis=(0, 2, 3))


def conv2d_backward(dy, cache):
    return grad_x(dy, cache), grad_weight(dy, cache), grad_bias(dy, cache)


zoo = Enclosure("conv2d", conv2d, conv2d_backward)


# The bias


@zoo.wrong_backward("constant_factor")
def bias_averaged(dy, cache):
    """The gradient of the bias is too small by N*OH*OW.

    A bias is the same for all pixels, so its gradient "must be the mean" of theirs: but each pixel adds to the loss.
    """
    dbias = None if cache.bias is None else dy.mean(axis=(0, 2, 3))
    return grad_x(dy, cache), grad_weight(dy, cache), dbias


@zoo.wrong_backward("summed_too_far")
def bias_summed_over_filters(dy, cache):
    """All filters get the same gradient for their bias, the sum of the right ones.

    `db[:] = dy.sum()`: the axes were left out, and broadcasting hides that one number came out.
    """
    dbias = None if cache.bias is None else np.full_like(cache.bias, dy.sum())
    return grad_x(dy, cache), grad_weight(dy, cache), dbias


@zoo.wrong_backward("not_summed", "wrong_shape")
def bias_summed_over_the_batch_only(dy, cache):
    """The gradient of the bias still has a height and a width.

    `dy.sum(axis=0)` was copied from the linear layer, where it is right.
    """
    dbias = None if cache.bias is None else dy.sum(axis=0)
    return grad_x(dy, cache), grad_weight(dy, cache), dbias


@zoo.wrong_backward("not_returned")
def bias_not_returned(dy, cache):
    """Two gradients come back where three are due.

    The layer was first written without a bias, and only the forward learned of it.
    """
    return grad_x(dy, cache), grad_weight(dy, cache)


# The weight


@zoo.wrong_backward("transposed", "unknown")
def channel_axis_not_moved(dy, cache):
    """The gradient of the weight is wrong as soon as the batch has two samples, and right with one.

    (N, OC, OH, OW) was reshaped to (OC, N*OH*OW) without moving OC to the front: the sizes fit, the numbers do not.
    """
    (_, C, _, _), (OC, _, KH, KW) = cache.x.shape, cache.weight.shape
    cols = im2col(cache.x, (KH, KW), cache.stride, cache.padding)  # (N, C*KH*KW, OH*OW)
    cols = cols.transpose(1, 0, 2).reshape(C * KH * KW, -1)
    dweight = (dy.reshape(OC, -1) @ cols.T).reshape(OC, C, KH, KW)
    return grad_x(dy, cache), dweight, grad_bias(dy, cache)


@zoo.wrong_backward("constant_factor")
def weight_averaged_over_the_batch(dy, cache):
    """The gradient of the weight is too small by N, and the others are right.

    The loss is a mean, so the sum over the batch is divided by N here, once more.
    """
    return grad_x(dy, cache), grad_weight(dy, cache) / len(dy), grad_bias(dy, cache)


@zoo.wrong_backward("rotated_180")
def correlation_arguments_swapped(dy, cache):
    """The gradient of the weight comes out turned by 180 degrees.

    It is a correlation of x with dy, and a correlation with its arguments swapped gives the mirrored result.
    """
    return grad_x(dy, cache), grad_weight(dy, cache)[:, :, ::-1, ::-1], grad_bias(dy, cache)


buffers = {}


@zoo.wrong_backward("stale_state")
def weight_buffer_not_zeroed(dy, cache):
    """The first gradient of the weight is right; the second is the sum of both.

    The buffer is made once, for speed, and `+=` needs it to be zero each time.
    """
    dweight = buffers.setdefault(cache.weight.shape, np.zeros_like(cache.weight))
    dweight += grad_weight(dy, cache)
    return grad_x(dy, cache), dweight.copy(), grad_bias(dy, cache)


@zoo.wrong_backward("one_sample_only")
def weight_of_the_last_sample(dy, cache):
    """The gradient of the weight knows the last sample of the batch only.

    Inside of the loop over the samples stands `=` for `+=`.
    """
    for n in range(len(dy)):
        dweight = grad_weight(dy[n : n + 1], cache._replace(x=cache.x[n : n + 1]))
    return grad_x(dy, cache), dweight, grad_bias(dy, cache)


@zoo.wrong_backward("upstream_ignored")
def weight_without_upstream(dy, cache):
    """The gradient of the weight does not change with dy, and all filters have the same.

    "The derivative of w*x with respect to w is x": so it is, but the chain rule multiplies it by dy.
    """
    return grad_x(dy, cache), grad_weight(np.ones_like(dy), cache), grad_bias(dy, cache)


@zoo.wrong_backward("summed_too_far")
def weight_summed_over_input_channels(dy, cache):
    """All input channels of a filter have the same gradient.

    The x of a window was summed over its channels as well, since y is such a sum.
    """
    gray = np.broadcast_to(cache.x.sum(axis=1, keepdims=True), cache.x.shape)
    return grad_x(dy, cache), grad_weight(dy, cache._replace(x=gray)), grad_bias(dy, cache)


@zoo.wrong_backward("shifted")
def weight_from_x_padded_at_one_side(dy, cache):
    """With padding the gradient of the weight is wrong, without it is right.

    Backward pads x anew, to make the sizes fit, and puts all the zeros below and to the right.
    """
    PH, PW = cache.padding
    xp = np.pad(cache.x, ((0, 0), (0, 0), (0, 2 * PH), (0, 2 * PW)))
    return grad_x(dy, cache), grad_weight(dy, cache._replace(x=xp, padding=(0, 0))), grad_bias(dy, cache)


@zoo.wrong_backward("partly_missing")
def last_row_of_the_kernel_left_out(dy, cache):
    """The last row and the last column of each kernel have no gradient.

    `range(KH - 1)`: the author thought that range includes its end.
    """
    dweight = np.zeros_like(cache.weight)
    dweight[:, :, :-1, :-1] = grad_weight(dy, cache)[:, :, :-1, :-1]
    return grad_x(dy, cache), dweight, grad_bias(dy, cache)


# The input


@zoo.wrong_backward("transposed", "raises")
def kernel_transposed_in_dx(dy, cache):
    """dx is wrong unless the kernels are symmetrical; where KH and KW differ, it raises.

    `weight.T` in the matrix form became `swapaxes(2, 3)` in the four-dimensional one.
    """
    KH, KW = cache.weight.shape[2:]
    flipped, dxp = cache.weight.swapaxes(2, 3), np.zeros_like(pad(cache.x, cache.padding))
    for kh, kw, rows, columns in offsets((KH, KW), cache.stride, dy.shape[2:]):
        dxp[:, :, rows, columns] += np.einsum("nohw,oc->nchw", dy, flipped[:, :, kh, kw])
    return crop(dxp, cache.padding), grad_weight(dy, cache), grad_bias(dy, cache)


@zoo.wrong_backward("rotated_180")
def kernel_not_turned_by_180_degrees(dy, cache):
    """dx is that of kernels turned by 180 degrees.

    "Backward is a convolution too", with the kernel turned round; the author used forward's correlation as it was.
    """
    dx = grad_x(dy, cache._replace(weight=cache.weight[:, :, ::-1, ::-1]))
    return dx, grad_weight(dy, cache), grad_bias(dy, cache)


@zoo.wrong_backward("shifted")
def scattered_without_stride(dy, cache):
    """With a stride of 2 all of dx crowds into its upper left quarter.

    Backward writes at oh where it should write at oh*stride.
    """
    dxp, (OH, OW) = np.zeros_like(pad(cache.x, cache.padding)), dy.shape[2:]
    for kh, kw in np.ndindex(cache.weight.shape[2:]):
        dxp[:, :, kh : kh + OH, kw : kw + OW] += np.einsum("nohw,oc->nchw", dy, cache.weight[:, :, kh, kw])
    return crop(dxp, cache.padding), grad_weight(dy, cache), grad_bias(dy, cache)


@zoo.wrong_backward("shifted")
def padding_taken_off_at_the_wrong_side(dy, cache):
    """dx is moved down and to the right by the padding.

    `dxp[:, :, :H, :W]` has the right shape, but keeps the padding above and drops pixels below.
    """
    (H, W), (PH, PW) = cache.x.shape[2:], cache.padding
    dxp = grad_x(dy, cache._replace(x=pad(cache.x, (PH, PW)), padding=(0, 0)))
    return dxp[:, :, :H, :W], grad_weight(dy, cache), grad_bias(dy, cache)


@zoo.wrong_backward("shifted", "wrong_shape")
def padding_of_height_and_width_swapped(dy, cache):
    """dx is right while the padding is the same both ways, and else moved or of the wrong size.

    The author had only ever tried square kernels, where PH is PW.
    """
    (PH, PW), (H, W) = cache.padding, cache.x.shape[2:]
    dxp = grad_x(dy, cache._replace(x=pad(cache.x, (PH, PW)), padding=(0, 0)))
    return dxp[:, :, PW : PW + H, PH : PH + W], grad_weight(dy, cache), grad_bias(dy, cache)


@zoo.wrong_backward("wrong_shape")
def padding_left_on(dy, cache):
    """dx is larger than x, by the padding on all sides.

    Forward kept the padded x only, and backward takes that for the input.
    """
    dxp = grad_x(dy, cache._replace(x=pad(cache.x, cache.padding), padding=(0, 0)))
    return dxp, grad_weight(dy, cache), grad_bias(dy, cache)


@zoo.wrong_backward("wrong_shape")
def cropped_up_to_minus_zero(dy, cache):
    """With padding all is well; without, dx is empty.

    `dxp[:, :, P:-P, P:-P]` with P = 0 is `0:0`.
    """
    PH, PW = cache.padding
    dxp = grad_x(dy, cache._replace(x=pad(cache.x, (PH, PW)), padding=(0, 0)))
    return dxp[:, :, PH:-PH, PW:-PW], grad_weight(dy, cache), grad_bias(dy, cache)


@zoo.wrong_backward("not_accumulated", "partly_missing")
def last_filter_only(dy, cache):
    """dx knows the last filter only.

    The sum over the filters was forgotten: in the loop over OC stands `dx = ...` for `dx += ...`.
    """
    for oc in range(len(cache.weight)):
        dx = grad_x(dy[:, oc : oc + 1], cache._replace(weight=cache.weight[oc : oc + 1]))
    return dx, grad_weight(dy, cache), grad_bias(dy, cache)


@zoo.wrong_backward("not_accumulated")
def overlaps_overwritten(dy, cache):
    """Where windows overlap, a pixel has the gradient of the last one only; a 1x1 kernel is right.

    `=` for `+=`, when the windows of dy * weight are put back into the image.
    """
    dxp = np.zeros_like(pad(cache.x, cache.padding))
    for kh, kw, rows, columns in offsets(cache.weight.shape[2:], cache.stride, dy.shape[2:]):
        dxp[:, :, rows, columns] = np.einsum("nohw,oc->nchw", dy, cache.weight[:, :, kh, kw])
    return crop(dxp, cache.padding), grad_weight(dy, cache), grad_bias(dy, cache)


@zoo.wrong_backward("transposed", "raises")
def filters_and_channels_swapped(dy, cache):
    """dx raises, or, with as many filters as channels, has them mixed up.

    The weight is indexed as in some other framework, [c, oc, kh, kw].
    """
    KH, KW = cache.weight.shape[2:]
    weight, dxp = cache.weight.transpose(1, 0, 2, 3), np.zeros_like(pad(cache.x, cache.padding))
    for kh, kw, rows, columns in offsets((KH, KW), cache.stride, dy.shape[2:]):
        dxp[:, :, rows, columns] += np.einsum("nohw,oc->nchw", dy, weight[:, :, kh, kw])
    return crop(dxp, cache.padding), grad_weight(dy, cache), grad_bias(dy, cache)


@zoo.wrong_backward("raises")
def stride_of_height_and_width_swapped(dy, cache):
    """Backward raises where the stride is not the same both ways.

    `SW, SH = stride`: a pair (width, height), as image libraries have it.
    """
    SH, SW = cache.stride
    return grad_x(dy, cache._replace(stride=(SW, SH))), grad_weight(dy, cache), grad_bias(dy, cache)


@zoo.wrong_backward("transposed")
def windows_put_back_row_by_column(dy, cache):
    """dx is wrong unless the output has a single row or column.

    Columns for col2im were made with OW before OH and reshaped as if it were the other way round.
    """
    OC, _, KH, KW = cache.weight.shape
    dcols = cache.weight.reshape(OC, -1).T @ dy.swapaxes(2, 3).reshape(len(dy), OC, -1)
    dx = col2im(dcols, cache.x.shape[2:], (KH, KW), cache.stride, cache.padding)
    return dx, grad_weight(dy, cache), grad_bias(dy, cache)


# All of them


@zoo.wrong_backward("wrong_order")
def weight_before_x(dy, cache):
    """All gradients are right, but the first is that of the weight.

    A course returns `dw, db, dx`, another `dx, dw, db`, and layer and caller were taken from one each.
    """
    dx, dweight, dbias = conv2d_backward(dy, cache)
    return dweight, dx, dbias


@zoo.wrong_backward("writes_input")
def weight_turned_in_place(dy, cache):
    """The gradients are right, but after backward the kernels are turned by 180 degrees.

    dx is a convolution with the turned kernel, and turning it in place saved a copy.
    """
    gradients = conv2d_backward(dy, cache)
    cache.weight[:] = cache.weight[:, :, ::-1, ::-1].copy()
    return gradients


def true_convolution_backward(dy, cache):
    dx, dweight, dbias = conv2d_backward(dy, cache)
    return dx, dweight[:, :, ::-1, ::-1], dbias


@zoo.wrong_forward("forward_wrong", f_backward=true_convolution_backward)
def true_convolution(x, weight, bias=None, *, stride=1, padding=0):
    """The gradients fit, but y is not that of PyTorch for the same weights.

    The mathematician's convolution turns the kernel; that of neural networks does not.
    """
    return conv2d(x, weight[:, :, ::-1, ::-1], bias, stride=stride, padding=padding)
