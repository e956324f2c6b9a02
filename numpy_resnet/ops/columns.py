"""im2col lays every window of an image out as a column; col2im adds the columns back, and is its transpose."""

import numpy as np

from numpy_resnet.kernels import columns
from numpy_resnet.kernels.memory import empty
from numpy_resnet.layout import channels_first, channels_last
from numpy_resnet.ops import _checks


def im2col(x, *, kernel_size, stride=1, padding=0):
    """All windows of x, one a column.   x (N, C, H, W) -> cols (N, C*KH*KW, OH*OW)

    cols[n, (c, kh, kw), (oh, ow)] = x[n, c, oh*SH - PH + kh, ow*SW - PW + kw], zero in the padding.
    The layout is that of PyTorch's unfold. Raises ValueError where the kernel does not fit the padded input.
    """
    _checks.arrays(x=x)
    _checks.rank("x", x, 4)
    (N, C, H, W) = x.shape
    (KH, KW), stride, padding, (OH, OW) = _checks.window((H, W), kernel_size, stride, padding)
    rows = window_rows(channels_last(x), (KH, KW), stride, padding)
    cols = rows.reshape(N, OH * OW, KH * KW, C).transpose(0, 3, 2, 1)  # (N, C, KH*KW, OH*OW)
    return np.array(cols, order="C").reshape(N, C * KH * KW, OH * OW)


def col2im(cols, *, size, kernel_size, stride=1, padding=0):
    """Every column added back where im2col took it from.   cols (N, C*KH*KW, OH*OW) -> x (N, C, H, W), size = (H, W)

    x[n, c, oh*SH - PH + kh, ow*SW - PW + kw] += cols[n, (c, kh, kw), (oh, ow)]: where windows overlap, they add.
    The layout is that of PyTorch's fold. Raises ValueError where cols is not what im2col makes of such an image.
    """
    _checks.arrays(cols=cols)
    H, W = _checks.pair("size", size, 1)
    (KH, KW), stride, padding, (OH, OW) = _checks.window((H, W), kernel_size, stride, padding)
    if cols.ndim != 3 or cols.shape[1] % (KH * KW) or not cols.shape[1] or cols.shape[2] != OH * OW:
        raise ValueError(f"cols must be (N, C*{KH * KW}, {OH * OW}) for an image of {H}x{W}; got shape {cols.shape}")
    N, C = cols.shape[0], cols.shape[1] // (KH * KW)
    rows = cols.reshape(N, C, KH * KW, OH * OW).transpose(0, 3, 2, 1)  # (N, OH*OW, KH*KW, C)
    rows = np.array(rows, order="C").reshape(N * OH * OW, KH * KW * C)
    x = empty((N, H, W, C), cols.dtype)
    add_window_rows(rows, x, (KH, KW), stride, padding)
    return channels_first(x)


def windows_are_pixels(kernel_size, stride, padding):
    """Whether each pixel is its own window: nothing has to be laid out, and nothing added back."""
    return (*kernel_size, *stride, *padding) == (1, 1, 1, 1, 0, 0)


def window_rows(x, kernel_size, stride, padding):
    """The windows of a channels-last x (N, H, W, C) as the rows of a matrix (N*OH*OW, KH*KW*C)."""
    (N, H, W, C), (KH, KW), (SH, SW), (PH, PW) = x.shape, kernel_size, stride, padding
    OH, OW = (H + 2 * PH - KH) // SH + 1, (W + 2 * PW - KW) // SW + 1
    if windows_are_pixels(kernel_size, stride, padding):
        return x.reshape(N * H * W, C)
    cols = empty((N, OH, OW, KH, KW * C), x.dtype)
    columns.im2col(x.reshape(N, H, W * C), cols, C, SH, SW, PH, PW)
    return cols.reshape(N * OH * OW, KH * KW * C)


def add_window_rows(rows, x, kernel_size, stride, padding):
    """The transpose of window_rows: each row (N*OH*OW, KH*KW*C) added back into x (N, H, W, C), from zero."""
    (N, H, W, C), (KH, KW), (SH, SW), (PH, PW) = x.shape, kernel_size, stride, padding
    OH, OW = (H + 2 * PH - KH) // SH + 1, (W + 2 * PW - KW) // SW + 1
    columns.col2im(rows.reshape(N, OH, OW, KH, KW * C), x.reshape(N, H, W * C), C, SH, SW, PH, PW)
