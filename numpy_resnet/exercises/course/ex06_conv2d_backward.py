# %% [markdown]
# # 6. Convolution, backward: two more matrix products
#
# *Hard · 45 minutes*
#
# **Why.** About two thirds of the arithmetic of training a ResNet-18 is in this one function. It looks worse than it
# is: there is nothing in a convolution but products and sums, and you know the backward of both.
#
# **Shapes.** `dy` (N, OC, OH, OW), as y. The cache is the Conv2dCache of lesson 5: x, weight, bias, stride, padding.
# The gradients are `dx` (N, C, H, W), `dweight` (OC, C, KH, KW) and `dbias` (OC,), or None where bias was None.
#
# **By hand.** The example of lesson 5, and an upstream gradient:
#
# | x       | weight | dy   |
# |---------|--------|------|
# | 1, 2, 3 | 1, 2   | 1, 0 |
# | 4, 5, 6 | 0, -1  | 0, 2 |
# | 7, 8, 9 |        |      |
#
# Two windows have a gradient: the first (1, 2, 4, 5) has 1, the last (5, 6, 8, 9) has 2. The filter met each of them
# with all four weights. So dweight is 1 times the first window plus 2 times the last: 1 + 2·5 = 11, 2 + 2·6 = 14, and
# so on. For dx the filter itself is put down at each window, times dy: once at the top left, and twice at the bottom
# right. In the middle they overlap and add: -1 + 2 = 1. The bias is in each y once.
#
# | dx       | dweight | dbias |
# |----------|---------|-------|
# | 1, 2, 0  | 11, 14  | 3     |
# | 0, 1, 4  | 20, 23  |       |
# | 0, 0, -2 |         |       |

# %%
import numpy as np
from ex04_columns import col2im, im2col
from ex05_conv2d_forward import conv2d

# %% [markdown]
# ## Backward
#
# Forward took three steps: cols = im2col(x), y = filters @ cols, y = y + bias. Take them in the reverse order. Each has
# a backward that you have written before: the linear layer in lesson 2, and im2col in lesson 4.


# %%
def conv2d_backward(dy, cache):
    """Each product weight * x that is in a y sends weight * dy to dx and x * dy to dweight.

    dy (N, OC, OH, OW), Conv2dCache -> dx (N, C, H, W), dweight (OC, C, KH, KW), dbias (OC,) or None
    """
    x, weight, bias, stride, padding = cache
    (N, C, H, W), (OC, _, KH, KW), (_, _, OH, OW) = x.shape, weight.shape, dy.shape
    # TODO: dx, dweight and dbias; lay the columns of x out once more, and treat dy as a matrix for each image
    ### BEGIN SOLUTION
    window = {"kernel_size": (KH, KW), "stride": stride, "padding": padding}
    cols = im2col(x, **window)  # (N, C*KH*KW, OH*OW)
    filters = weight.reshape(OC, C * KH * KW)
    dy = dy.reshape(N, OC, OH * OW)

    dbias = None if bias is None else dy.sum(axis=(0, 2))  # (OC,)
    dfilters = np.tensordot(dy, cols, axes=((0, 2), (0, 2)))  # summed over images and windows: (OC, C*KH*KW)
    dcols = filters.T @ dy  # (C*KH*KW, OC) @ (N, OC, OH*OW) = (N, C*KH*KW, OH*OW)
    dx = col2im(dcols, size=(H, W), **window)
    return dx, dfilters.reshape(OC, C, KH, KW), dbias
    ### END SOLUTION


# %% [markdown] derivation
# **Product by product.** y[n, oc, oh, ow] is a sum of products weight[oc, c, kh, kw] * x[n, c, h, w]. As in a linear
# layer, each product sends weight * dy back to its x and x * dy back to its weight, dy being that of the y it is in.
# Now add up what each number receives:
#
# - A weight is used once in each window of each image: dweight is a sum over n, oh and ow.
# - A pixel is used by each filter, in each window that it is in: dx is a sum over oc and over those windows.
# - bias[oc] is used once in each y of its channel: dbias is a sum over n, oh and ow.
#
# **As matrices.** With k = (c, kh, kw) and p = (oh, ow) forward is y[n, oc, p] = sum over k of filters[oc, k] *
# cols[n, k, p]. Forward and backward are then
# three matrix products:
#
# | product                                    | index by index                                   | shapes            |
# |--------------------------------------------|--------------------------------------------------|-------------------|
# | y[n] = filters @ cols[n]                   | sum over k of filters[oc, k] * cols[n, k, p]     | (OC, K) @ (K, P)  |
# | dfilters = sum over n of dy[n] @ cols[n].T | sum over n and p of dy[n, oc, p] * cols[n, k, p] | (OC, P) @ (P, K)  |
# | dcols[n] = filters.T @ dy[n]               | sum over oc of filters[oc, k] * dy[n, oc, p]     | (K, OC) @ (OC, P) |
#
# with K = C*KH*KW and P = OH*OW. There are three indices oc, k and p and three matrices, each with two of them. Each
# product takes two of the matrices and sums over the index that the third does not have. The batch index n is summed in
# dfilters only, because all images share the filters.
#
# dweight is dfilters in another shape. From dcols to dx there is one step left: cols = im2col(x), whose backward is
# col2im. That is where the windows that share a pixel are added.
#
# `np.tensordot(dy, cols, axes=((0, 2), (0, 2)))` sums over the axes 0 and 2 of both, here n and p, in one large matrix
# product. `(dy @ cols.transpose(0, 2, 1)).sum(axis=0)` gives the same, but makes a dfilters for each image first.

# %% [markdown] hints
# 1. Each product weight * x sends weight * dy to x and x * dy to weight. In matrices: forward is a linear layer on the
#    columns, so its backward is two products, one with cols for the weight and one with the filters for the columns.
#    The way from the columns to the image you wrote in lesson 4.
# 2. dfilters = sum over n of dy[n] @ cols[n].T; dcols[n] = filters.T @ dy[n]; dx = col2im(dcols); dbias = sum of dy
#    over n, oh, ow.
# 3. Make dy (N, OC, OH*OW), filters (OC, C*KH*KW) and cols (N, C*KH*KW, OH*OW). dfilters is (OC, C*KH*KW): N and OH*OW
#    vanish, and a reshape gives dweight. dcols is (N, C*KH*KW, OH*OW): OC vanishes. col2im wants to know the size
#    (H, W), and the same kernel_size, stride and padding as im2col.

# %%
if __name__ == "__main__":  # the example by hand: run this file
    x = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    weight, bias = np.array([[[[1.0, 2.0], [0.0, -1.0]]]]), np.array([1.0])
    y, cache = conv2d(x, weight, bias)
    dx, dweight, dbias = conv2d_backward(np.array([[[[1.0, 0.0], [0.0, 2.0]]]]), cache)
    np.testing.assert_allclose(dx, [[[[1, 2, 0], [0, 1, 4], [0, 0, -2]]]])
    np.testing.assert_allclose(dweight, [[[[11, 14], [20, 23]]]])
    np.testing.assert_allclose(dbias, [3])

    # y is linear in x: the sum of dx * x is that of dy * y without the bias; so it is with the weight
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 3, 6, 5)), rng.standard_normal((4, 3, 3, 2))
    y, cache = conv2d(x, weight, stride=2, padding=(1, 0))
    dy = rng.standard_normal(y.shape)
    dx, dweight, dbias = conv2d_backward(dy, cache)
    np.testing.assert_allclose([np.sum(dx * x), np.sum(dweight * weight)], np.sum(dy * y))
    assert dbias is None
    print("the example by hand agrees")
