# %% [markdown]
# # 14. The convolution block: a shortcut that changes shape
#
# *Medium · 20 minutes*
#
# **Why.** Three blocks of a ResNet-18 halve height and width and double the channels. In these x does not fit the
# output of the main branch, and cannot be added to it. So the shortcut gets a layer of its own: a 1x1 convolution, the
# *projection*, takes the same stride and makes as many channels, and a batch norm follows it. All else is as in the
# identity block.
#
# **Shapes.** `x` (N, C, H, W), `y` (N, OC, OH, OW). With a stride of 2, OH = ceil(H/2) and OW = ceil(W/2).
# `conv1_weight` (OC, C, 3, 3), padding 1, takes the stride; `conv2_weight` (OC, OC, 3, 3), padding 1, has stride 1;
# `downsample_weight` (OC, C, 1, 1), padding 0, takes the stride. No convolution has a bias. The parameters of the three
# batch norms, which are in training, are (OC,). (The name downsample is torchvision's, for projection and batch norm.)
#
# ```
#        +-> conv1 -> bn1 -> relu -> conv2 -> bn2 -+
# x -----|   stride                                + -> relu -> y
#        +-> downsample -> downsample_bn ----------+
#            stride
# ```
#
# **By hand.** One image, one channel in and one out, one row of eight pixels, stride 2:
#
# x = 1, -4, 1, 2, 3, 4, 3, 6.
#
# The windows of conv1 lie around the 1st, 3rd, 5th and 7th pixel, and above and below there is only padding. The middle
# row of conv1 is (0, -1, 1): each pixel is taken from its right neighbour. The middle row of conv2 is (0, 2, 0). Each
# batch norm, as weight, bias: bn1 9, -1; bn2 3, 1; downsample_bn 2, 3. The projection has the weight 2. The main branch
# has the numbers of lesson 13. Each row has a value and the gradient of the loss with respect to it.
#
# | main branch              | value        | gradient             |
# |--------------------------|--------------|----------------------|
# | conv1: right minus pixel | -5, 1, 1, 3  | -5.5, 14, 8, -16.5   |
# | bn1: mean 0, std 3       | -16, 2, 2, 8 | 0, 7, 5, -3          |
# | relu                     | 0, 2, 2, 8   | -9, 7, 5, -3         |
# | conv2: times 2           | 0, 4, 4, 16  | -4.5, 3.5, 2.5, -1.5 |
# | bn2: mean 6, std 6       | -2, 0, 0, 6  | 0, 13, 11, -6        |
#
# | shortcut                     | value      | gradient             |
# |------------------------------|------------|----------------------|
# | downsample: twice 1, 1, 3, 3 | 2, 2, 6, 6 | -6.5, 6.5, 8.5, -8.5 |
# | downsample_bn: mean 4, std 2 | 1, 1, 5, 5 | 0, 13, 11, -6        |
#
# | together         | value        | gradient      |
# |------------------|--------------|---------------|
# | sum              | -1, 1, 5, 11 | 0, 13, 11, -6 |
# | relu, which is y | 0, 1, 5, 11  | 7, 13, 11, -6 |
#
# The 1st, 3rd, 5th and 7th pixel get a gradient both ways, the others through the main branch alone: the projection
# never sees them.
#
# | x           | 1    | -4   | 1   | 2  | 3  | 4 | 3    | 6     |
# |-------------|------|------|-----|----|----|---|------|-------|
# | main branch | 5.5  | -5.5 | -14 | 14 | -8 | 8 | 16.5 | -16.5 |
# | shortcut    | -13  | 0    | 13  | 0  | 17 | 0 | -17  | 0     |
# | dx          | -7.5 | -5.5 | -1  | 14 | 9  | 8 | -0.5 | -16.5 |
#
# The gradients of weight and bias: bn1 1, 9; bn2 -18, 18; downsample_bn -8, 18. That of the projection is 0, since its
# single number only scales. Those of the middle rows are -106, -17, -17 for conv1 and 2, 0, 18 for conv2.

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
# The cache has the caches of all operations, by name, as in the identity block.


# %%
class ConvolutionBlockCache(NamedTuple):
    conv1: object
    bn1: object
    relu1: object
    conv2: object
    bn2: object
    downsample: object
    downsample_bn: object
    add: object
    relu2: object


def convolution_block(
    x,
    conv1_weight,
    bn1_weight,
    bn1_bias,
    conv2_weight,
    bn2_weight,
    bn2_bias,
    downsample_weight,
    downsample_bn_weight,
    downsample_bn_bias,
    *,
    stride=2,
):
    """y = relu(bn2(conv2(relu(bn1(conv1(x))))) + downsample_bn(downsample(x))).

    x (N, C, H, W), conv1_weight (OC, C, 3, 3), conv2_weight (OC, OC, 3, 3), downsample_weight (OC, C, 1, 1), the others
    (OC,) -> y (N, OC, OH, OW), cache; conv1 and downsample take the stride
    """
    # TODO: the main branch, the shortcut, their sum, the ReLU; both branches start at x
    ### BEGIN SOLUTION
    h, conv1_cache = conv2d(x, conv1_weight, stride=stride, padding=1)
    h, bn1_cache = batchnorm2d(h, bn1_weight, bn1_bias)
    h, relu1_cache = relu(h)
    h, conv2_cache = conv2d(h, conv2_weight, padding=1)
    h, bn2_cache = batchnorm2d(h, bn2_weight, bn2_bias)
    shortcut, downsample_cache = conv2d(x, downsample_weight, stride=stride)
    shortcut, downsample_bn_cache = batchnorm2d(shortcut, downsample_bn_weight, downsample_bn_bias)
    h, add_cache = add(h, shortcut)
    y, relu2_cache = relu(h)
    return y, ConvolutionBlockCache(
        conv1_cache,
        bn1_cache,
        relu1_cache,
        conv2_cache,
        bn2_cache,
        downsample_cache,
        downsample_bn_cache,
        add_cache,
        relu2_cache,
    )
    ### END SOLUTION


# %% [markdown]
# ## Backward
#
# Upside down again. The shortcut has operations now, so it has a backward of its own.


# %%
def convolution_block_backward(dy, cache):
    """dx = what comes back through the main branch + what comes back through the projection.

    dy (N, OC, OH, OW) -> dx, dconv1_weight, dbn1_weight, dbn1_bias, dconv2_weight, dbn2_weight, dbn2_bias,
    ddownsample_weight, ddownsample_bn_weight, ddownsample_bn_bias
    """
    # TODO: nine lines, from the last operation to the first; then bring the two ways together
    ### BEGIN SOLUTION
    dh = relu_backward(dy, cache.relu2)
    dh, dshortcut = add_backward(dh, cache.add)
    dshortcut, ddownsample_bn_weight, ddownsample_bn_bias = batchnorm2d_backward(dshortcut, cache.downsample_bn)
    dshortcut, ddownsample_weight, _ = conv2d_backward(dshortcut, cache.downsample)
    dh, dbn2_weight, dbn2_bias = batchnorm2d_backward(dh, cache.bn2)
    dh, dconv2_weight, _ = conv2d_backward(dh, cache.conv2)
    dh = relu_backward(dh, cache.relu1)
    dh, dbn1_weight, dbn1_bias = batchnorm2d_backward(dh, cache.bn1)
    dh, dconv1_weight, _ = conv2d_backward(dh, cache.conv1)
    dx = dh + dshortcut  # x went two ways: its gradients add
    main = dconv1_weight, dbn1_weight, dbn1_bias, dconv2_weight, dbn2_weight, dbn2_bias
    return dx, *main, ddownsample_weight, ddownsample_bn_weight, ddownsample_bn_bias
    ### END SOLUTION


# %% [markdown] derivation
# Call the main branch F and the shortcut P, so that s = F(x) + P(x) and y = relu(s). As before, ds = dy where s > 0,
# else 0, and each of the two terms gets all of it:
#
# dx = (ds through the backward of F) + (ds through the backward of P).
#
# The identity block is the case P(x) = x, whose backward hands ds on as it is. Here ds would not even have the right
# shape: ds is (N, OC, OH, OW), dx is (N, C, H, W). The backward of conv1 and that of downsample bring it back to the
# size of x; a pixel that a convolution skipped gets 0 from it. Between the sum and x the two branches know nothing of
# each other, so it does not matter which of them goes backward first.

# %% [markdown] hints
# 1. Two chains start at x and end in a sum. Take ds, the gradient of the sum, back through each of them on its own;
#    they meet again at x. Which chain comes first is up to you, but both begin with the same ds.
# 2. Let ds = relu_backward(dy, ...). dx = (ds through bn2, conv2, relu, bn1, conv1) + (ds through downsample_bn and
#    downsample), each backwards. Backward is not told the stride: conv2d has put it into its cache.
# 3. The gradients are (N, OC, OH, OW) until conv1 and downsample turn them into (N, C, H, W); there the two are added.
#    Ten gradients leave the block, in the order of the forward's arguments: dx, six of the main branch, three of the
#    shortcut.

# %%
if __name__ == "__main__":  # the example by hand: run this file
    conv1_weight, conv2_weight = np.zeros((1, 1, 3, 3)), np.zeros((1, 1, 3, 3))
    conv1_weight[0, 0, 1], conv2_weight[0, 0, 1] = (0, -1, 1), (0, 2, 0)
    bn1, bn2, downsample_bn = ((np.array([w]), np.array([b])) for w, b in ((9.0, -1.0), (3.0, 1.0), (2.0, 3.0)))
    x = np.array([1.0, -4, 1, 2, 3, 4, 3, 6]).reshape(1, 1, 1, 8)
    y, cache = convolution_block(x, conv1_weight, *bn1, conv2_weight, *bn2, np.full((1, 1, 1, 1), 2.0), *downsample_bn)
    np.testing.assert_allclose(y.ravel(), [0, 1, 5, 11], atol=1e-4)
    dy = np.array([7.0, 13, 11, -6]).reshape(1, 1, 1, 4)
    dx, *gradients = convolution_block_backward(dy, cache)
    np.testing.assert_allclose(dx.ravel(), [-7.5, -5.5, -1, 14, 9, 8, -0.5, -16.5], atol=1e-4)
    dconv1, dconv2, *scalars = (gradients[i] for i in (0, 3, 1, 2, 4, 5, 6, 7, 8))
    np.testing.assert_allclose([a.item() for a in scalars], [1, 9, -18, 18, 0, -8, 18], atol=1e-4)
    np.testing.assert_allclose(dconv1[0, 0], [[0, 0, 0], [-106, -17, -17], [0, 0, 0]], atol=1e-3)
    np.testing.assert_allclose(dconv2[0, 0], [[0, 0, 0], [2, 0, 18], [0, 0, 0]], atol=1e-3)

    # and larger, a stride with remainder: all ten arguments a small step along a random direction
    rng = np.random.default_rng(0)
    shapes = (2, 2, 5, 4), (3, 2, 3, 3), (3,), (3,), (3, 3, 3, 3), (3,), (3,), (3, 2, 1, 1), (3,), (3,)
    arrays, directions = ([rng.standard_normal(shape) for shape in shapes] for _ in range(2))
    y, cache = convolution_block(*arrays)
    assert y.shape == (2, 3, 3, 2)
    dy = rng.standard_normal(y.shape)
    gradients = convolution_block_backward(dy, cache)
    above, below = (
        convolution_block(*(a + step * d for a, d in zip(arrays, directions, strict=True)))[0] for step in (1e-6, -1e-6)
    )
    predicted = sum(np.sum(gradient * d) for gradient, d in zip(gradients, directions, strict=True))
    np.testing.assert_allclose(predicted, np.sum(dy * (above - below)) / 2e-6, rtol=1e-5)
    print("the example by hand agrees")
