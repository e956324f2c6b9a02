# %% [markdown]
# # 13. The identity block: two convolutions, and a way around them
#
# *Medium · 25 minutes*
#
# **Why.** More layers ought to help. He et al. (2015) piled up plain ones, and from some depth on the error rose, even
# on the images the net was *trained* with: on CIFAR-10, 56 layers did worse than 20. So it is not overfitting. The deep
# net could copy the shallow one and let its other layers hand x on unchanged, but gradient descent does not find that:
# to copy x is hard work for two convolutions with a ReLU between them. With a shortcut around them it is easy. The
# block computes y = relu(main branch(x) + x), so the convolutions learn only what is to be *added* to x, and if that is
# nothing, their part is zero.
#
# **Shapes.** `x` and `y` (N, C, H, W). Both convolutions are 3x3 with stride 1, padding 1 and no bias, so H and W stay:
# `conv1_weight` and `conv2_weight` are (C, C, 3, 3). Both batch norms are in training, with the default eps; their
# parameters are (C,). The sum needs both branches in the same shape: this is why this block must not change it.
#
# ```
#        +-> conv1 -> bn1 -> relu -> conv2 -> bn2 -+
# x -----|                                         + -> relu -> y
#        +-----------------------------------------+
# ```
#
# **By hand.** Four images of one channel and one pixel. Of each kernel only the centre meets the pixel, the rest meets
# padding: the centre of conv1 is 1/2, that of conv2 is 2, so a convolution is one multiplication. bn1 has weight 9 and
# bias -1, bn2 has weight 3 and bias 1; eps is too small to be seen here. Each row has a value and the gradient of the
# loss with respect to that value. Read the values downwards, then the gradients upwards.
#
# |                    | value         | gradient                                                       |
# |--------------------|---------------|----------------------------------------------------------------|
# | x                  | -10, 2, 2, 6  | (-2.75, 7, 4, -8.25) + (0, 13, 11, -6) = -2.75, 20, 15, -14.25 |
# | conv1: times 1/2   | -5, 1, 1, 3   | -5.5, 14, 8, -16.5                                             |
# | bn1: mean 0, std 3 | -16, 2, 2, 8  | 0, 7, 5, -3                                                    |
# | relu               | 0, 2, 2, 8    | -9, 7, 5, -3                                                   |
# | conv2: times 2     | 0, 4, 4, 16   | -4.5, 3.5, 2.5, -1.5                                           |
# | bn2: mean 6, std 6 | -2, 0, 0, 6   | 0, 13, 11, -6                                                  |
# | plus x             | -12, 2, 2, 12 | 0, 13, 11, -6                                                  |
# | relu, which is y   | 0, 2, 2, 12   | 7, 13, 11, -6                                                  |
#
# One number of bn2 in full: 3/6 * (13 - 18/4 - (-1/3) * (-18)/4) = 3.5, where 18 = 0 + 13 + 11 - 6 is dbn2_bias, -18 is
# dbn2_weight, and -1/3 = (4 - 6)/6 is the normalised pixel. dbn1_bias is 9 and dbn1_weight is 1. The gradients of both
# kernels are 0: a kernel that meets one pixel only scales, and the batch norm behind it undoes every scale.

# %%
from typing import NamedTuple

import numpy as np
from ex01_relu import relu, relu_backward
from ex05_conv2d_forward import conv2d
from ex06_conv2d_backward import conv2d_backward
from ex09_batchnorm_forward import batchnorm2d
from ex10_batchnorm_backward import batchnorm2d_backward
from ex12_add import add, add_backward

# %% [markdown]
# ## Forward
#
# Every operation has a cache of its own. The cache of the block is all of them, by name: put in what the operations
# return, and do not look inside.


# %%
class IdentityBlockCache(NamedTuple):
    conv1: object
    bn1: object
    relu1: object
    conv2: object
    bn2: object
    add: object
    relu2: object


def identity_block(x, conv1_weight, bn1_weight, bn1_bias, conv2_weight, bn2_weight, bn2_bias):
    """y = relu(bn2(conv2(relu(bn1(conv1(x))))) + x).

    x (N, C, H, W), conv1_weight and conv2_weight (C, C, 3, 3), the others (C,) -> y (N, C, H, W), cache
    """
    # TODO: seven lines, one operation each, and the cache of each kept; x itself must still be there at the sum
    ### BEGIN SOLUTION
    h, conv1_cache = conv2d(x, conv1_weight, padding=1)
    h, bn1_cache = batchnorm2d(h, bn1_weight, bn1_bias)
    h, relu1_cache = relu(h)
    h, conv2_cache = conv2d(h, conv2_weight, padding=1)
    h, bn2_cache = batchnorm2d(h, bn2_weight, bn2_bias)
    h, add_cache = add(h, x)
    y, relu2_cache = relu(h)
    return y, IdentityBlockCache(conv1_cache, bn1_cache, relu1_cache, conv2_cache, bn2_cache, add_cache, relu2_cache)
    ### END SOLUTION


# %% [markdown]
# ## Backward
#
# The forward read upside down, one line for one line. Nothing has to be derived any more: each operation brings its
# backward along. What is new is that x went two ways.


# %%
def identity_block_backward(dy, cache):
    """dx = what comes back through the main branch + what comes back by the shortcut.

    dy (N, C, H, W) -> dx, dconv1_weight, dbn1_weight, dbn1_bias, dconv2_weight, dbn2_weight, dbn2_bias
    """
    # TODO: seven lines, from the last operation to the first; then bring the two ways together
    ### BEGIN SOLUTION
    dh = relu_backward(dy, cache.relu2)
    dh, dshortcut = add_backward(dh, cache.add)
    dh, dbn2_weight, dbn2_bias = batchnorm2d_backward(dh, cache.bn2)
    dh, dconv2_weight, _ = conv2d_backward(dh, cache.conv2)
    dh = relu_backward(dh, cache.relu1)
    dh, dbn1_weight, dbn1_bias = batchnorm2d_backward(dh, cache.bn1)
    dh, dconv1_weight, _ = conv2d_backward(dh, cache.conv1)
    dx = dh + dshortcut  # x went two ways: its gradients add
    return dx, dconv1_weight, dbn1_weight, dbn1_bias, dconv2_weight, dbn2_weight, dbn2_bias
    ### END SOLUTION


# %% [markdown] derivation
# Call the main branch F, so that s = F(x) + x and y = relu(s). Backward starts where forward ended: ds = dy where
# s > 0, else 0. The last ReLU comes *after* the sum, so both ways get ds, not dy. The sum gives all of ds to each of
# its two terms, not a half. If x moves a little, then F(x) moves, and x itself does: s feels both, so the effects add.
# dx = (ds through the backward of F) + ds.
#
# The second term is the share of the shortcut. Whatever the weights make of the first, this one arrives: no weight has
# touched it. From block to block only the masks of the last ReLUs stand in its way.

# %% [markdown] hints
# 1. Read your forward from the last line to the first. Each backward takes the gradient of what its forward returned,
#    and returns the gradient of what its forward took. x was used twice, so two gradients come back to it.
# 2. Let ds = relu_backward(dy, ...) be the gradient of the sum. dx = (ds through bn2, conv2, relu, bn1 and conv1, each
#    backwards) + ds. Keep ds for the end, and do not write into it: `+=` on a gradient that two ways share is a trap.
# 3. On its way back the gradient is (N, C, H, W) at every step. conv2d_backward returns three things, and the last is
#    None, since there is no bias; batchnorm2d_backward returns three, and all are needed. Seven gradients leave the
#    block, in the order of the forward's arguments, though backward finds those of bn2 first.

# %%
if __name__ == "__main__":  # the example by hand: run this file
    conv1_weight, conv2_weight = np.zeros((1, 1, 3, 3)), np.zeros((1, 1, 3, 3))
    conv1_weight[0, 0, 1, 1], conv2_weight[0, 0, 1, 1] = 1 / 2, 2
    bn1, bn2 = (np.array([9.0]), np.array([-1.0])), (np.array([3.0]), np.array([1.0]))
    x = np.array([-10.0, 2, 2, 6]).reshape(4, 1, 1, 1)
    y, cache = identity_block(x, conv1_weight, *bn1, conv2_weight, *bn2)
    np.testing.assert_allclose(y.ravel(), [0, 2, 2, 12], atol=1e-4)
    dy = np.array([7.0, 13, 11, -6]).reshape(4, 1, 1, 1)
    dx, dconv1_weight, *dbn1, dconv2_weight, dbn2_weight, dbn2_bias = identity_block_backward(dy, cache)
    np.testing.assert_allclose(dx.ravel(), [-2.75, 20, 15, -14.25], atol=1e-4)
    np.testing.assert_allclose([*dbn1, dbn2_weight, dbn2_bias], [[1], [9], [-18], [18]], atol=1e-4)
    np.testing.assert_allclose([dconv1_weight, dconv2_weight], 0, atol=1e-4)

    # and larger, where the kernels get a gradient too: all seven arguments a small step along a random direction
    rng = np.random.default_rng(0)
    shapes = (2, 3, 4, 5), (3, 3, 3, 3), (3,), (3,), (3, 3, 3, 3), (3,), (3,)
    arrays, directions = ([rng.standard_normal(shape) for shape in shapes] for _ in range(2))
    y, cache = identity_block(*arrays)
    dy = rng.standard_normal(y.shape)
    gradients = identity_block_backward(dy, cache)
    above, below = (
        identity_block(*(a + step * d for a, d in zip(arrays, directions, strict=True)))[0] for step in (1e-6, -1e-6)
    )
    predicted = sum(np.sum(gradient * d) for gradient, d in zip(gradients, directions, strict=True))
    np.testing.assert_allclose(predicted, np.sum(dy * (above - below)) / 2e-6, rtol=1e-5)
    print("the example by hand agrees")
