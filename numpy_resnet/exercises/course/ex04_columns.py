# %% [markdown]
# # 4. im2col and col2im: every window a column, and back
#
# *Medium · 35 minutes*
#
# **Why.** A convolution moves a small window over an image and computes the same sum of products in each place. If
# every window is laid out as one column of a matrix, all these sums become a single matrix product, and that is what
# computers are best at. im2col lays the windows out. col2im takes gradients of the columns back to the image.
#
# **Shapes.** `x` (N, C, H, W). The kernel is KH high and KW wide, the window moves by `stride` (SH, SW), and the image
# gets `padding` rows PH and columns PW of zeros on each side first. That makes OH windows one above the other and OW
# side by side; pixels below and to the right that do not fill a window any more are left out. `cols` is
# (N, C*KH*KW, OH*OW): a column for each window, in reading order (oh, ow), and in a column the pixels of the window in
# the order (c, kh, kw).
#
# cols[n, (c, kh, kw), (oh, ow)] = x[n, c, oh*SH - PH + kh, ow*SW - PW + kw], or zero where that is padding
#
# kernel_size, stride and padding are an integer or a pair (height, width); `pair` and `output_size` are there for you.
# Nothing else has to be remembered, so both functions return a bare array, without a cache: col2im is the backward of
# im2col, and im2col that of col2im.
#
# **By hand.** One image with one channel, 3x3, and a kernel of 2x2: four windows of four pixels.
#
# | x |   |   |
# |---|---|---|
# | 1 | 2 | 3 |
# | 4 | 5 | 6 |
# | 7 | 8 | 9 |
#
# | cols          | window 0, 0 | window 0, 1 | window 1, 0 | window 1, 1 |
# |---------------|-------------|-------------|-------------|-------------|
# | kh, kw = 0, 0 | 1           | 2           | 4           | 5           |
# | kh, kw = 0, 1 | 2           | 3           | 5           | 6           |
# | kh, kw = 1, 0 | 4           | 5           | 7           | 8           |
# | kh, kw = 1, 1 | 5           | 6           | 8           | 9           |
#
# Now read the table backwards. Each entry of cols is a copy of one pixel. If dcols is the gradient of cols, a pixel
# receives the sum of dcols over all its copies. The pixel in the middle, 5, has four: you find them on a diagonal. With
# a dcols of nothing but ones, dx counts the copies:
#
# | col2im of ones |   |   |
# |----------------|---|---|
# | 1              | 2 | 1 |
# | 2              | 4 | 2 |
# | 1              | 2 | 1 |
#
# So col2im does not undo im2col: where windows overlap, it adds.

# %%
import numpy as np


def pair(size):
    """An integer, or (height, width) -> (height, width)"""
    return (size, size) if np.ndim(size) == 0 else tuple(size)


def output_size(size, kernel_size, stride, padding):
    """How many windows there are: (H, W) -> (OH, OW)"""
    (H, W), (KH, KW), (SH, SW), (PH, PW) = pair(size), pair(kernel_size), pair(stride), pair(padding)
    return (H + 2 * PH - KH) // SH + 1, (W + 2 * PW - KW) // SW + 1


# %% [markdown]
# ## im2col
#
# Do not loop over the windows: there are thousands. Loop over the KH·KW places in the kernel, nine for 3x3. Look at a
# row of cols in the example: the place (kh, kw) meets the pixels of a smaller image cut out of x.


# %%
def im2col(x, *, kernel_size, stride=1, padding=0):
    """All windows of x, one a column.   x (N, C, H, W) -> cols (N, C*KH*KW, OH*OW)"""
    (N, C, H, W), (KH, KW), (SH, SW), (PH, PW) = x.shape, pair(kernel_size), pair(stride), pair(padding)
    OH, OW = output_size((H, W), kernel_size, stride, padding)
    # TODO: the columns, place by place in the kernel; their dtype is that of x
    ### BEGIN SOLUTION
    padded = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)))  # (N, C, H + 2*PH, W + 2*PW)
    cols = np.empty((N, C, KH, KW, OH, OW), x.dtype)
    for kh, kw in np.ndindex(KH, KW):
        cols[:, :, kh, kw] = padded[:, :, kh : kh + SH * OH : SH, kw : kw + SW * OW : SW]  # (N, C, OH, OW)
    return cols.reshape(N, C * KH * KW, OH * OW)
    ### END SOLUTION


# %% [markdown]
# ## col2im
#
# The same loop, read from right to left. The size (H, W) of the image has to be told: several sizes may give the same
# number of windows.


# %%
def col2im(cols, *, size, kernel_size, stride=1, padding=0):
    """Every column added back where im2col took it from.   cols (N, C*KH*KW, OH*OW), size (H, W) -> x (N, C, H, W)"""
    (H, W), (KH, KW), (SH, SW), (PH, PW) = pair(size), pair(kernel_size), pair(stride), pair(padding)
    OH, OW = output_size(size, kernel_size, stride, padding)
    N, C = len(cols), cols.shape[1] // (KH * KW)
    # TODO: the image, place by place in the kernel; its dtype is that of cols, and what falls on the padding is lost
    ### BEGIN SOLUTION
    cols = cols.reshape(N, C, KH, KW, OH, OW)
    padded = np.zeros((N, C, H + 2 * PH, W + 2 * PW), cols.dtype)
    for kh, kw in np.ndindex(KH, KW):
        padded[:, :, kh : kh + SH * OH : SH, kw : kw + SW * OW : SW] += cols[:, :, kh, kw]  # (N, C, OH, OW)
    return padded[:, :, PH : PH + H, PW : PW + W]
    ### END SOLUTION


# %% [markdown] derivation
# im2col computes nothing. Each entry of cols is a copy of one pixel, with slope 1 in that pixel and 0 in all others, or
# a constant zero from the padding. So dx of a pixel is the sum of dcols over all its copies. What goes back to the
# padding is cut off: it was a constant. Forward reads `cols = padded` at each place; backward is `padded += cols` at
# the same place. At one place of the kernel no two windows meet the same pixel, so the `+=` of a slice is safe. At
# different places they may, so `=` would lose all but the last.
#
# In the language of matrices: write x and cols as long vectors, then im2col is cols = A x with a matrix A of zeros and
# ones, a single one in each row (none for padding). The backward of a linear map is its transpose, and col2im is A
# transposed. The transpose of the transpose is A again: so the backward of col2im is im2col. A test for any such pair:
# the sum of im2col(x) * c is the sum of x * col2im(c), for all x and c.

# %% [markdown] hints
# 1. Fix one place (kh, kw) in the kernel and let the window move over the image: the pixels at that place, taken
#    together, are a regular part of the padded image, a NumPy slice with a step. Backward: a pixel gets the sum over
#    all its copies, and a copy in the padding has no pixel.
# 2. In the padded image the window (oh, ow) has its place (kh, kw) at row kh + oh*SH and column kw + ow*SW. For all oh
#    together that is the slice kh : kh + SH*OH : SH. im2col reads it with `=`, col2im writes to it with `+=`.
# 3. Work on (N, C, KH, KW, OH, OW), and each place is `[:, :, kh, kw]`, (N, C, OH, OW). A reshape leads from there to
#    (N, C*KH*KW, OH*OW) and back. The padded image is (N, C, H + 2*PH, W + 2*PW); the image within begins at PH, PW
#    and is H high and W wide, which is right without padding too.

# %%
if __name__ == "__main__":  # the example by hand: run this file
    x = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    cols = im2col(x, kernel_size=2)
    np.testing.assert_allclose(cols, [[[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]]])
    counts = col2im(np.ones((1, 4, 4)), size=(3, 3), kernel_size=2)
    np.testing.assert_allclose(counts, [[[[1, 2, 1], [2, 4, 2], [1, 2, 1]]]])

    window = {"kernel_size": (3, 2), "stride": 2, "padding": (1, 0)}  # each is the other's transpose
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 5))
    cols = im2col(x, **window)
    c = np.random.default_rng(1).standard_normal(cols.shape)
    np.testing.assert_allclose(np.sum(cols * c), np.sum(x * col2im(c, size=(6, 5), **window)))
    print("the example by hand agrees")
