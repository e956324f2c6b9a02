"""Wrong im2cols and col2ims: each is the backward of the other."""

import numpy as np

from numpy_resnet.exercises.zoo import textbook
from numpy_resnet.exercises.zoo.enclosure import Enclosure
from numpy_resnet.exercises.zoo.textbook import crop, offsets, output_size, pad, pair


def im2col(x, *, kernel_size, stride=1, padding=0):
    kernel_size, stride, padding = pair(kernel_size), pair(stride), pair(padding)
    return textbook.im2col(x, kernel_size, stride, padding), (x.shape[2:], kernel_size, stride, padding)


def im2col_backward(dcols, cache):
    return textbook.col2im(dcols, *cache)


def col2im(cols, *, size, kernel_size, stride=1, padding=0):
    cache = tuple(size), pair(kernel_size), pair(stride), pair(padding)
    return textbook.col2im(cols, *cache), cache


def col2im_backward(dx, cache):
    _, kernel_size, stride, padding = cache
    return textbook.im2col(dx, kernel_size, stride, padding)


def windows_and_image(dcols, cache):
    """dcols as (N, C, KH, KW, OH, OW), and the zeros they go to, with padding."""
    size, kernel_size, stride, padding = cache
    windows = dcols.reshape(len(dcols), -1, *kernel_size, *output_size(size, kernel_size, stride, padding))
    return windows, pad(np.zeros((*windows.shape[:2], *size), dcols.dtype), padding)


zoo = Enclosure("im2col", im2col, im2col_backward)


@zoo.wrong_backward("not_accumulated")
def overlaps_overwritten(dcols, cache):
    """A pixel that is in several windows has the gradient of one only.

    Backward puts the windows back with `=`, just as forward took them out.
    """
    _, kernel_size, stride, padding = cache
    windows, dxp = windows_and_image(dcols, cache)
    for kh, kw, rows, columns in offsets(kernel_size, stride, windows.shape[4:]):
        dxp[:, :, rows, columns] = windows[:, :, kh, kw]
    return crop(dxp, padding)


@zoo.wrong_backward("not_accumulated")
def added_by_index_arrays(dcols, cache):
    """A pixel that is in several windows has the gradient of the last one only, though the code says `+=`.

    `dx[index] += dcols` with an index array adds once for each place, not once for each entry; np.add.at adds all.
    """
    _, (KH, KW), (SH, SW), padding = cache
    windows, dxp = windows_and_image(dcols, cache)
    kh, kw, oh, ow = np.indices((KH, KW, *windows.shape[4:]))
    dxp[:, :, oh * SH + kh, ow * SW + kw] += windows
    return crop(dxp, padding)


@zoo.wrong_backward("shifted")
def padding_taken_off_at_the_wrong_side(dcols, cache):
    """dx is moved down and to the right by the padding.

    The first H rows and W columns of the padded image are kept.
    """
    (H, W), kernel_size, stride, (PH, PW) = cache
    return textbook.col2im(dcols, (H + 2 * PH, W + 2 * PW), kernel_size, stride)[:, :, :H, :W]


@zoo.wrong_backward("wrong_shape")
def padding_left_on(dcols, cache):
    """dx is larger than x by the padding.

    im2col pads at its beginning, and col2im has no end that takes it off.
    """
    (H, W), kernel_size, stride, (PH, PW) = cache
    return textbook.col2im(dcols, (H + 2 * PH, W + 2 * PW), kernel_size, stride)


@zoo.wrong_backward("shifted")
def stride_forgotten(dcols, cache):
    """With a stride above 1 all of dx crowds into its upper left corner.

    The windows are put back one pixel apart.
    """
    _, kernel_size, _, padding = cache
    windows, dxp = windows_and_image(dcols, cache)
    for kh, kw, rows, columns in offsets(kernel_size, 1, windows.shape[4:]):
        dxp[:, :, rows, columns] += windows[:, :, kh, kw]
    return crop(dxp, padding)


@zoo.wrong_backward("unknown")
def overlaps_averaged(dcols, cache):
    """dx is too small where windows overlap, by the number of windows, and right at the corners.

    To put an image together from patches one averages; a gradient is summed.
    """
    dx, once = im2col_backward(dcols, cache), im2col_backward(np.ones_like(dcols), cache)
    return dx / np.maximum(once, 1)


@zoo.wrong_backward("transposed")
def channels_last_in_a_column(dcols, cache):
    """The gradient goes to wrong channels and wrong pixels, unless there is one channel or a 1x1 kernel.

    The rows of cols run over (c, kh, kw) in forward, and backward takes them apart as (kh, kw, c).
    """
    N, rows, count = dcols.shape
    KH, KW = cache[1]
    dcols = dcols.reshape(N, KH * KW, rows // (KH * KW), count).swapaxes(1, 2)
    return im2col_backward(dcols.reshape(N, rows, count), cache)


@zoo.wrong_backward("transposed")
def output_taken_column_by_column(dcols, cache):
    """The gradient goes to wrong windows, unless they all lie in one row or one column.

    The last axis was taken apart as (OW, OH), width before height.
    """
    OH, OW = output_size(*cache)
    windows = dcols.reshape(*dcols.shape[:2], OW, OH).swapaxes(2, 3)
    return im2col_backward(windows.reshape(dcols.shape), cache)


col2im_zoo = Enclosure("col2im", col2im, col2im_backward)


@col2im_zoo.wrong_backward("shifted")
def padded_on_one_side(dx, cache):
    """With padding dcols is taken from windows that lie too far down and to the right.

    np.pad with (0, 2*P) gives the right size as well.
    """
    _, kernel_size, stride, (PH, PW) = cache
    dxp = np.pad(dx, ((0, 0), (0, 0), (0, 2 * PH), (0, 2 * PW)))
    return textbook.im2col(dxp, kernel_size, stride)


@col2im_zoo.wrong_backward("wrong_shape", "raises")
def padding_forgotten(dx, cache):
    """With padding dcols has too few columns, or none.

    The crop at the end of forward looked like housekeeping, which needs no backward.
    """
    _, kernel_size, stride, _ = cache
    return textbook.im2col(dx, kernel_size, stride)


@col2im_zoo.wrong_backward("unknown")
def divided_by_the_overlaps(dx, cache):
    """dcols is too small for pixels that are in several windows.

    col2im was thought to undo im2col, so that a pixel is the mean of its copies; here it is their sum.
    """
    once = np.ones_like(dx)
    once = im2col_backward(col2im_backward(once, cache), cache)
    return col2im_backward(dx / np.maximum(once, 1), cache)


@col2im_zoo.wrong_backward("partly_missing")
def middle_of_the_window_only(dx, cache):
    """Of each column only one row is not 0.

    "A window lies around its pixel": the pixel in the middle got the gradient, and the others nothing.
    """
    _, (KH, KW), _, _ = cache
    dcols = col2im_backward(dx, cache).reshape(len(dx), -1, KH * KW, output_count(cache))
    middle = np.zeros_like(dcols)
    middle[:, :, KH * KW // 2] = dcols[:, :, KH * KW // 2]
    return middle.reshape(len(dx), -1, output_count(cache))


def output_count(cache):
    OH, OW = output_size(*cache)
    return OH * OW


@col2im_zoo.wrong_backward("transposed")
def kernel_read_column_by_column(dx, cache):
    """The rows of dcols that belong to one channel are in the wrong order.

    The loop over kw is the outer one, that over kh the inner one.
    """
    _, (KH, KW), _, _ = cache
    dcols = col2im_backward(dx, cache)
    return dcols.reshape(len(dx), -1, KH, KW, dcols.shape[2]).swapaxes(2, 3).reshape(dcols.shape)


@col2im_zoo.wrong_backward("transposed", "wrong_shape")
def one_matrix_for_the_whole_batch(dx, cache):
    """dcols is (C*KH*KW, N*OH*OW), a matrix without an axis for the batch.

    Another course lays the columns out like this, and its im2col was borrowed.
    """
    dcols = col2im_backward(dx, cache)
    return dcols.transpose(1, 0, 2).reshape(dcols.shape[1], -1)


@col2im_zoo.wrong_backward("one_sample_only")
def first_sample_for_all(dx, cache):
    """All samples have the dcols of the first.

    im2col was written for one image, and the batch was added by broadcasting.
    """
    return np.repeat(col2im_backward(dx[:1], cache), len(dx), axis=0)


def last_window(cols, cache):
    """For each entry of cols whether it is the last one put to its pixel."""
    order = np.arange(1, cols[0].size + 1).reshape(1, *cols.shape[1:])
    _, kernel_size, stride, _ = cache
    windows, owner = windows_and_image(order, cache)
    for kh, kw, rows, columns in offsets(kernel_size, stride, windows.shape[4:]):
        owner[:, :, rows, columns] = windows[:, :, kh, kw]
    return textbook.im2col(owner, kernel_size, stride) == order


def last_window_backward(dx, cache):
    last, cache = cache
    return last * col2im_backward(dx, cache)


@col2im_zoo.wrong_forward("forward_wrong", f_backward=last_window_backward)
def forward_overwrites(cols, *, size, kernel_size, stride=1, padding=0):
    """The gradients fit, but where windows overlap x holds the value of one only.

    `=` in the loop that should add, and a backward made with care for just that.
    """
    cache = tuple(size), pair(kernel_size), pair(stride), pair(padding)
    last = last_window(cols, cache)
    return textbook.col2im(cols * last, *cache), (last, cache)
