# %% [markdown]
# # 8. Global average pool: every map becomes one number
#
# *Easy · 10 minutes*
#
# **Why.** After its last block a ResNet-18 has 512 maps of 7x7, and then a linear layer that wants 512 numbers. The
# mean of each map is that number. Because a mean does not mind how many pixels it is taken over, the same network takes
# images of any size.
#
# **Shapes.** `x` and `dx` (N, C, H, W). `y` and `dy` (N, C): two axes fewer.
#
# **By hand.** One image, two channels of 2x2:
#
# | channel | x          | y | dy | dx             |
# |---------|------------|---|----|----------------|
# | 0       | 1, 2, 3, 6 | 3 | 8  | 2, 2, 2, 2     |
# | 1       | 0, 0, 4, 0 | 1 | -4 | -1, -1, -1, -1 |
#
# Each dx is a quarter of its dy, whatever x was.

# %%
import numpy as np

# %% [markdown]
# ## Forward


# %%
def global_avgpool2d(x):
    """y[n, c] = the mean of x[n, c, h, w] over h and w.   x (N, C, H, W) -> y (N, C), cache"""
    # TODO: y, and what the backward will have to know; it is little
    ### BEGIN SOLUTION
    return x.mean(axis=(2, 3)), x.shape
    ### END SOLUTION


# %% [markdown]
# ## Backward


# %%
def global_avgpool2d_backward(dy, cache):
    """dx[n, c, h, w] = dy[n, c] / (H*W).   dy (N, C) -> dx (N, C, H, W)"""
    # TODO: dx, in the dtype of dy
    ### BEGIN SOLUTION
    N, C, H, W = cache
    share = dy[:, :, None, None] / (H * W)  # (N, C, 1, 1)
    return np.full((N, C, H, W), share)
    ### END SOLUTION


# %% [markdown] derivation
# y is a sum over the pixels of its map, each with the weight 1 / (H * W). When one pixel grows by 1, y grows by that
# weight, so the pixel gets dy / (H * W), and so does every other one. The forward takes a sum and the backward
# *spreads*: each is the other one turned round, and the two come back as a couple in batch norm. The values of x do
# not occur. The operation is linear, and its slope is the same everywhere, so the cache needs a shape and nothing else.
#
# A check that costs nothing: the dx of one map add up to its dy, since the mean grows by 1 when all pixels do.

# %% [markdown] hints
# 1. A mean is a sum with equal weights. Which weight does one pixel have in it? That weight is the slope.
# 2. dx[n, c, h, w] = dy[n, c] / (H * W), for every h and w alike.
# 3. dy is (N, C) and dx is (N, C, H, W). dy[:, :, None, None] is (N, C, 1, 1), and that broadcasts to (N, C, H, W), for
#    instance in `np.full`. H and W cannot be seen in dy: the cache has to bring them.

# %%
if __name__ == "__main__":  # the example by hand: run this file
    x = np.array([1.0, 2.0, 3.0, 6.0, 0.0, 0.0, 4.0, 0.0]).reshape(1, 2, 2, 2)
    y, cache = global_avgpool2d(x)
    np.testing.assert_allclose(y, [[3, 1]])
    dy = np.array([[8.0, -4.0]])
    dx = global_avgpool2d_backward(dy, cache)
    assert dx.shape == x.shape
    np.testing.assert_allclose(dx[0, 0], 2)
    np.testing.assert_allclose(dx[0, 1], -1)
    np.testing.assert_allclose(dx.sum(axis=(2, 3)), dy)  # nothing is lost
    print("the example by hand agrees")
