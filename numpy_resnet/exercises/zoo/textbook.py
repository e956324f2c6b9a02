"""What several enclosures share: windows of an image, by loops over the kernel's offsets."""

import numpy as np


def pair(size):
    return (size, size) if np.ndim(size) == 0 else tuple(size)


def pad(x, padding, value=0.0):
    PH, PW = pair(padding)
    return np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)), constant_values=value)


def crop(dx, padding):
    """What pad put around is taken off again."""
    PH, PW = pair(padding)
    return dx[:, :, PH : dx.shape[2] - PH, PW : dx.shape[3] - PW]


def output_size(size, kernel_size, stride, padding):
    sides = zip(size, pair(kernel_size), pair(stride), pair(padding), strict=True)
    return tuple((length + 2 * P - K) // S + 1 for length, K, S, P in sides)


def offsets(kernel_size, stride, out_size):
    """Each kh, kw with the rows and columns of the padded image that it meets as the kernel moves."""
    (KH, KW), (SH, SW), (OH, OW) = pair(kernel_size), pair(stride), out_size
    for kh, kw in np.ndindex(KH, KW):
        yield kh, kw, slice(kh, kh + SH * OH, SH), slice(kw, kw + SW * OW, SW)


def im2col(x, kernel_size, stride=1, padding=0):
    """(N, C, H, W) -> (N, C*KH*KW, OH*OW)."""
    out_size, xp = output_size(x.shape[2:], kernel_size, stride, padding), pad(x, padding)
    windows = [xp[:, :, rows, columns] for _, _, rows, columns in offsets(kernel_size, stride, out_size)]
    return np.stack(windows, axis=2).reshape(len(x), -1, out_size[0] * out_size[1])


def col2im(cols, size, kernel_size, stride=1, padding=0):
    """(N, C*KH*KW, OH*OW) -> (N, C, H, W); where windows overlap, they add."""
    (H, W), (KH, KW), (PH, PW) = size, pair(kernel_size), pair(padding)
    out_size = output_size(size, kernel_size, stride, padding)
    cols = cols.reshape(len(cols), -1, KH, KW, *out_size)
    xp = np.zeros((len(cols), cols.shape[1], H + 2 * PH, W + 2 * PW), cols.dtype)
    for kh, kw, rows, columns in offsets(kernel_size, stride, out_size):
        xp[:, :, rows, columns] += cols[:, :, kh, kw]
    return crop(xp, padding)
