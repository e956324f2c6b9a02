# %% [markdown]
# # 15. ResNet-18, assembled: the whole network, there and back
#
# *Medium · 30 minutes*
#
# **Why.** All parts are there. This lesson adds no mathematics: it puts them in a row and reads the row backwards. What
# remains to be done well is the bookkeeping. Sixty-two arrays of parameters go in, and every one of them must get its
# gradient, under the right name.
#
# **The network.** A stem, eight blocks in four stages, a head. The 18 are the layers with weights on the longest way
# through: conv1, two convolutions in each of eight blocks, fc. For an image of 3 x 224 x 224:
#
# | part         | what it is                                                | its output     | parameters |
# |--------------|-----------------------------------------------------------|----------------|------------|
# | conv1        | 7x7, stride 2, padding 3, no bias                         | 64 x 112 x 112 | 9,408      |
# | bn1, relu    | batch norm in training                                    | 64 x 112 x 112 | 128        |
# | maxpool      | 3x3, stride 2, padding 1                                  | 64 x 56 x 56   | 0          |
# | layer1       | 2 identity blocks                                         | 64 x 56 x 56   | 147,968    |
# | layer2       | a convolution block with stride 2, then an identity block | 128 x 28 x 28  | 525,568    |
# | layer3       | the same                                                  | 256 x 14 x 14  | 2,099,712  |
# | layer4       | the same                                                  | 512 x 7 x 7    | 8,393,728  |
# | avgpool      | global average pool                                       | 512            | 0          |
# | fc           | linear, to 1,000 classes                                  | 1,000          | 513,000    |
# | all together |                                                           |                | 11,689,512 |
#
# **Shapes.** `x` (N, C, H, W) -> `logits` (N, classes). `params` is a dict from names to arrays; the names are those of
# torchvision: "conv1.weight", "bn1.weight", "bn1.bias", then for each block, such as "layer2.0",
#
# ```
# layer2.0.conv1.weight          layer2.0.bn1.weight            layer2.0.bn1.bias
# layer2.0.conv2.weight          layer2.0.bn2.weight            layer2.0.bn2.bias
# layer2.0.downsample.0.weight   layer2.0.downsample.1.weight   layer2.0.downsample.1.bias
# ```
#
# and at last "fc.weight", "fc.bias". "layer2.0" is the first block of the second stage. The last of the three lines is
# there if the block is a convolution block, and this is how to tell. `blocks` says how many blocks each stage has. How
# wide the layers are is not said anywhere: the parameters know. So a narrow network with a few blocks, quickly checked,
# runs through the same lines as the real one.
#
# **By hand.** *Parameters.* The convolution block layer2.0 leads from 64 to 128 channels: conv1 has 64 * 128 * 9 =
# 73,728, conv2 has 128 * 128 * 9 = 147,456, the projection 64 * 128 = 8,192, and three batch norms with 2 * 128 each
# make 768. Together 230,144. The identity block layer2.1 has two convolutions of 147,456 and two batch norms, 512:
# 295,424. The sum is the 525,568 of the table.
#
# *A shape.* H goes to (H + 2 * padding - kernel) // stride + 1. An image of height 40:
#
# | part    | kernel, stride, padding | height                     |
# |---------|-------------------------|----------------------------|
# | conv1   | 7, 2, 3                 | (40 + 6 - 7) // 2 + 1 = 20 |
# | maxpool | 3, 2, 1                 | (20 + 2 - 3) // 2 + 1 = 10 |
# | layer1  | 3, 1, 1                 | (10 + 2 - 3) // 1 + 1 = 10 |
# | layer2  | 3, 2, 1                 | (10 + 2 - 3) // 2 + 1 = 5  |
# | layer3  | 3, 2, 1                 | (5 + 2 - 3) // 2 + 1 = 3   |
# | layer4  | 3, 2, 1                 | (3 + 2 - 3) // 2 + 1 = 2   |
#
# The projections agree: (10 + 0 - 1) // 2 + 1 = 5, and so on.
#
# *A gradient.* There is one that needs no network: the bias of fc is added to each row of logits. If dy has the rows
# (1, -2, 0) and (3, 1, -1), its gradient is their sum, (4, -1, -1).

# %%
from typing import NamedTuple

import numpy as np
from ex01_relu import relu, relu_backward
from ex02_linear import linear, linear_backward
from ex05_conv2d_forward import conv2d
from ex06_conv2d_backward import conv2d_backward
from ex07_maxpool import maxpool2d, maxpool2d_backward
from ex08_global_avgpool import global_avgpool2d, global_avgpool2d_backward
from ex09_batchnorm_forward import batchnorm2d
from ex10_batchnorm_backward import batchnorm2d_backward
from ex13_identity_block import identity_block, identity_block_backward
from ex14_convolution_block import convolution_block, convolution_block_backward

# %% [markdown]
# ## Two helpers
#
# `block_keys` lists the parameters of one block in the order in which the functions of the blocks take them, and return
# their gradients. `random_params` makes parameters to try things with.


# %%
def block_keys(name, params):
    """The keys of one block: name "layer2.0" -> nine of a convolution block, six of an identity block."""
    layers = "conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight", "bn2.weight", "bn2.bias"
    downsample = "downsample.0.weight", "downsample.1.weight", "downsample.1.bias"
    keys = [f"{name}.{layer}" for layer in layers + downsample]
    return [key for key in keys if key in params]


def random_params(rng, *, channels=3, widths=(64, 128, 256, 512), classes=1000, blocks=(2, 2, 2, 2)):
    """{key: array}: random weights of a size that suits the layer, batch norms that are not just 1 and 0."""
    shapes = {"conv1": (widths[0], channels, 7, 7), "bn1": (widths[0],)}
    C = widths[0]
    for stage, (OC, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        for name in (f"layer{stage}.{i}" for i in range(count)):
            shapes |= {f"{name}.conv1": (OC, C, 3, 3), f"{name}.bn1": (OC,)}
            shapes |= {f"{name}.conv2": (OC, OC, 3, 3), f"{name}.bn2": (OC,)}
            if C != OC:
                shapes |= {f"{name}.downsample.0": (OC, C, 1, 1), f"{name}.downsample.1": (OC,)}
            C = OC
    shapes["fc"] = classes, C
    params = {}
    for layer, shape in shapes.items():
        if len(shape) == 1:
            params[f"{layer}.weight"] = rng.uniform(0.5, 1.5, shape)
        else:
            params[f"{layer}.weight"] = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        if len(shape) < 4:
            params[f"{layer}.bias"] = rng.uniform(-0.5, 0.5, shape[0])
    return params


# %% [markdown]
# ## Forward
#
# The cache holds the cache of every part. For the blocks it is a list, in the order in which they ran: next to the
# cache of each block its keys, since backward has to know whose gradients it gets.


# %%
class ResNetCache(NamedTuple):
    conv1: object
    bn1: object
    relu: object
    maxpool: object
    blocks: list  # of (keys, cache), a pair for each block
    avgpool: object
    fc: object


def resnet18(x, params, *, blocks=(2, 2, 2, 2)):
    """logits = fc(avgpool(layer4(layer3(layer2(layer1(maxpool(relu(bn1(conv1(x))))))))))

    x (N, C, H, W), params {key: array} -> logits (N, classes), cache; blocks: how many in each stage
    """
    # TODO: the stem, four lines; h is what leaves it
    ### BEGIN SOLUTION
    h, conv1_cache = conv2d(x, params["conv1.weight"], stride=2, padding=3)
    h, bn1_cache = batchnorm2d(h, params["bn1.weight"], params["bn1.bias"])
    h, relu_cache = relu(h)
    h, maxpool_cache = maxpool2d(h, kernel_size=3, stride=2, padding=1)
    ### END SOLUTION
    block_caches = []
    for stage, count in enumerate(blocks, start=1):
        for i in range(count):
            keys = block_keys(f"layer{stage}.{i}", params)
            # TODO: run the block, of the right kind, on h and the arrays of these keys; append (keys, its cache)
            ### BEGIN SOLUTION
            block = convolution_block if len(keys) == 9 else identity_block
            h, block_cache = block(h, *(params[key] for key in keys))
            block_caches.append((keys, block_cache))
            ### END SOLUTION
    # TODO: the head, two lines; then return logits and a ResNetCache
    ### BEGIN SOLUTION
    h, avgpool_cache = global_avgpool2d(h)
    logits, fc_cache = linear(h, params["fc.weight"], params["fc.bias"])
    cache = ResNetCache(conv1_cache, bn1_cache, relu_cache, maxpool_cache, block_caches, avgpool_cache, fc_cache)
    return logits, cache
    ### END SOLUTION


# %% [markdown]
# ## Backward
#
# The same once more, upside down: the head, the blocks from the last to the first, the stem. In each line one gradient
# travels on, and the others are stored in `dparams` under the names of their parameters.


# %%
def resnet18_backward(dy, cache):
    """dx and dparams, a dict with the keys of params.   dy (N, classes) -> dx (N, C, H, W), {key: gradient}"""
    dparams = {}
    # TODO: the head, backwards
    ### BEGIN SOLUTION
    dh, dparams["fc.weight"], dparams["fc.bias"] = linear_backward(dy, cache.fc)
    dh = global_avgpool2d_backward(dh, cache.avgpool)
    ### END SOLUTION
    # TODO: the blocks, the last one first; each returns the gradient of its input and then one for each of its keys
    ### BEGIN SOLUTION
    for keys, block_cache in reversed(cache.blocks):
        block_backward = convolution_block_backward if len(keys) == 9 else identity_block_backward
        dh, *gradients = block_backward(dh, block_cache)
        dparams |= zip(keys, gradients, strict=True)
    ### END SOLUTION
    # TODO: the stem, backwards; then return dx and dparams
    ### BEGIN SOLUTION
    dh = maxpool2d_backward(dh, cache.maxpool)
    dh = relu_backward(dh, cache.relu)
    dh, dparams["bn1.weight"], dparams["bn1.bias"] = batchnorm2d_backward(dh, cache.bn1)
    dx, dparams["conv1.weight"], _ = conv2d_backward(dh, cache.conv1)
    return dx, dparams
    ### END SOLUTION


# %% [markdown] derivation
# The network is a chain of functions: logits = f_n(... f_2(f_1(x))). By the chain rule the gradient goes through the
# same chain from the end: each f_i gets the gradient of its output and returns that of its input, which is the output
# of the function before it. So dh is handed on from line to line, and that is all. A parameter hangs at one place of
# the chain. Its gradient is a by-product of the backward there, and no other line needs it.
#
# No step asks how deep the network is, or how wide. Within a block the chain forks and joins again, but that is the
# block's own business: seen from here it is one function with one input.
#
# Everything an operation will need waits in a cache from its forward to its backward. The first cache to be made is the
# last to be used, and this is why training takes so much more memory than prediction: when forward ends, all are full.

# %% [markdown] hints
# 1. A chain: what one part returns is what the next one takes, and likewise for the gradients, in the other direction.
#    Write the forward first and run it; then take its lines from the last to the first.
# 2. `block(h, *(params[key] for key in keys))` calls a block with its parameters in order. In backward,
#    `dh, *gradients = ...` takes its answer apart, and `zip(keys, gradients)` puts names to it.
#    `reversed(cache.blocks)` begins with the last block. A convolution block has nine keys, an identity block six.
# 3. In the real network, with images of 224x224, h is (N, 64, 56, 56) after the stem, (N, 512, 7, 7) after the blocks,
#    (N, 512) after the average pool and (N, 1000) at the end; dh has these shapes in reverse. Each dparams[key] has the
#    shape of params[key]. conv1 has no bias, so conv2d_backward returns a None with nowhere to go.

# %%
if __name__ == "__main__":  # the example by hand: run this file
    rng = np.random.default_rng(0)
    sizes = {key: array.size for key, array in random_params(rng).items()}
    assert sum(sizes.values()) == 11_689_512
    assert sum(size for key, size in sizes.items() if key.startswith("layer2.")) == 525_568

    # a tiny network, with one block more in its second stage; a height of 40 ends as 2
    narrow = {"widths": (2, 3, 4, 5), "classes": 3, "blocks": (1, 2, 1, 1)}
    params, x = random_params(rng, **narrow), rng.standard_normal((2, 3, 40, 36))
    logits, cache = resnet18(x, params, blocks=narrow["blocks"])
    assert logits.shape == (2, 3)
    dy = np.array([[1.0, -2, 0], [3, 1, -1]])
    dx, dparams = resnet18_backward(dy, cache)
    np.testing.assert_allclose(dparams["fc.bias"], [4, -1, -1])
    assert {key: a.shape for key, a in dparams.items()} == {key: a.shape for key, a in params.items()}

    # x and all parameters a small step along a random direction: does the loss change as the gradients say?
    direction = {key: rng.standard_normal(a.shape) for key, a in {"x": x, **params}.items()}

    def loss(step):
        moved = {key: a + step * direction[key] for key, a in params.items()}
        return np.sum(dy * resnet18(x + step * direction["x"], moved, blocks=narrow["blocks"])[0])

    predicted = sum(np.sum(gradient * direction[key]) for key, gradient in {"x": dx, **dparams}.items())
    np.testing.assert_allclose(predicted, (loss(1e-7) - loss(-1e-7)) / 2e-7, rtol=1e-4)
    print("the example by hand agrees")
