# %% [markdown]
# # 5. Convolution, forward: one matrix product over all windows
#
# *Medium · 25 minutes*
#
# **Why.** Twenty of the layers of a ResNet-18 are convolutions, and nearly all of its arithmetic is in them. A filter
# is a small pattern of weights that looks for one thing everywhere in the image. Written as Python loops this is very
# slow. With the windows laid out as columns, by your im2col of lesson 4, it is a matrix product.
#
# **Shapes.** `x` (N, C, H, W); `weight` (OC, C, KH, KW), one filter for each output channel, which sees all C channels;
# `bias` (OC,), or None; stride and padding as in lesson 4. `y` is (N, OC, OH, OW).
#
# y[n, oc, oh, ow] = bias[oc] + sum over c, kh, kw of weight[oc, c, kh, kw] * x[n, c, oh*SH - PH + kh, ow*SW - PW + kw]
#
# where x is zero in the padding. The filter is not turned round; strictly, mathematicians call this a correlation.
#
# **By hand.** One image with one channel, one filter of 2x2, bias 1:
#
# | x       | weight | y    |
# |---------|--------|------|
# | 1, 2, 3 | 1, 2   | 1, 3 |
# | 4, 5, 6 | 0, -1  | 7, 9 |
# | 7, 8, 9 |        |      |
#
# The first window is 1, 2, 4, 5, so y begins with 1·1 + 2·2 + 4·0 - 5·1 + 1 = 1. As a product, with the columns of
# lesson 4:
#
# | filters     | cols       | filters @ cols | plus bias  |
# |-------------|------------|----------------|------------|
# | 1, 2, 0, -1 | 1, 2, 4, 5 | 0, 2, 6, 8     | 1, 3, 7, 9 |
# |             | 2, 3, 5, 6 |                |            |
# |             | 4, 5, 7, 8 |                |            |
# |             | 5, 6, 8, 9 |                |            |
#
# With stride 2 and padding 1 the four windows are those at the corners of the padded image. The one at the top left has
# a single pixel in it, 1, at its lower right place: 1·(-1) + 1 = 0. All of y is then 0, -2 and 2, 9.
#
# The backward of this is a lesson of its own, the next.

# %%
from typing import NamedTuple

import numpy as np
from ex04_columns import im2col, output_size

# %% [markdown]
# ## The cache
#
# The cache of a convolution is given, so that the next lesson knows what it gets. A NamedTuple is a tuple whose fields
# have names: make one with `Conv2dCache(x, weight, bias, stride, padding)`, and read `cache.x` or
# `x, weight, bias, stride, padding = cache`.
#
# The columns are not in it. Each pixel is in up to KH·KW windows. For a 3x3 kernel with stride 1, cols is nine times
# as large as x, and every layer of the network would hold on to its own until its backward has come. x is in memory
# anyway, and laying it out once more is a small part of the work of the backward.


# %%
class Conv2dCache(NamedTuple):
    x: np.ndarray  # (N, C, H, W)
    weight: np.ndarray  # (OC, C, KH, KW)
    bias: np.ndarray | None  # (OC,); for the backward only whether there was one matters
    stride: int | tuple  # as it was given: an integer or (SH, SW)
    padding: int | tuple  # the same: an integer or (PH, PW)


# %% [markdown]
# ## Forward


# %%
def conv2d(x, weight, bias=None, *, stride=1, padding=0):
    """y = filters @ cols + bias, image by image: each filter meets each window.

    x (N, C, H, W), weight (OC, C, KH, KW), bias (OC,) or None -> y (N, OC, OH, OW), Conv2dCache
    """
    (N, C, H, W), (OC, _, KH, KW) = x.shape, weight.shape
    OH, OW = output_size((H, W), (KH, KW), stride, padding)
    # TODO: y by way of the columns, the bias if there is one, and the cache
    ### BEGIN SOLUTION
    cols = im2col(x, kernel_size=(KH, KW), stride=stride, padding=padding)  # (N, C*KH*KW, OH*OW)
    filters = weight.reshape(OC, C * KH * KW)
    y = filters @ cols  # (OC, C*KH*KW) @ (N, C*KH*KW, OH*OW) = (N, OC, OH*OW)
    if bias is not None:
        y += bias[:, None]  # (OC, 1): the same for all windows
    return y.reshape(N, OC, OH, OW), Conv2dCache(x, weight, bias, stride, padding)
    ### END SOLUTION


# %% [markdown] derivation
# In the definition, c, kh and kw are summed, and they appear only together. Call them one index, k = (c, kh, kw). The
# window's place (oh, ow) appears only as a whole too: call it p. Then the definition reads
#
# y[n, oc, p] = bias[oc] + sum over k of filters[oc, k] * cols[n, k, p]
#
# with filters[oc, k] = weight[oc, c, kh, kw], a mere reshape, and cols[n, k, p] just what im2col makes. For each n that
# is a matrix product. The idea: a convolution is a linear layer (lesson 2) that is applied to every window, with the
# same weight. Both reshapes rely on the same order (c, kh, kw), and so does im2col.
#
# `y +=` writes into an array that was made a line before and that nobody else has seen, so this is allowed.

# %% [markdown] hints
# 1. For one window a filter is a linear layer with C*KH*KW inputs: multiply place by place, and sum. All filters are
#    the rows of one matrix, all windows the columns of another.
# 2. y = filters @ cols + bias, where filters is weight with its last three axes made one, and cols comes from im2col
#    with the same stride and padding.
# 3. filters (OC, C*KH*KW) @ cols (N, C*KH*KW, OH*OW) = (N, OC, OH*OW): `@` takes the last two axes for the matrices and
#    repeats the product for each n. The bias has to stand along the second axis, as (OC, 1). At the end, reshape to
#    (N, OC, OH, OW).

# %%
if __name__ == "__main__":  # the example by hand: run this file
    x = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    weight, bias = np.array([[[[1.0, 2.0], [0.0, -1.0]]]]), np.array([1.0])
    y, cache = conv2d(x, weight, bias)
    np.testing.assert_allclose(y, [[[[1, 3], [7, 9]]]])
    assert cache.x is x and cache.weight is weight
    y, cache = conv2d(x, weight, bias, stride=2, padding=1)
    np.testing.assert_allclose(y, [[[[0, -2], [2, 9]]]])
    y, cache = conv2d(x, weight)  # and without a bias
    np.testing.assert_allclose(y, [[[[0, 2], [6, 8]]]])
    print("the example by hand agrees")
