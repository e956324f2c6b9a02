# %% [markdown]
# # 9. Batch norm, forward: every channel to mean 0 and variance 1
#
# *Medium · 25 minutes*
#
# **Why.** A deep stack of convolutions lets its numbers drift: too large here, too small there, and another way after
# every step of training. Batch norm (Ioffe & Szegedy 2015, algorithm 1) takes each channel back to mean 0 and variance
# 1, and then lets the network pick a scale and a shift of its own. A ResNet-18 does it twenty times, once after every
# convolution.
#
# **Shapes.** `x` and `y` (N, C, H, W). Everything else is one number per channel, (C,): `weight`, `bias`, `mean`,
# `var`, `running_mean`, `running_var`. The statistics of a channel are taken over the batch and all pixels, which is
# `N*H*W` values, and never over channels.
#
# **The equation.** `x_hat = (x - mean) / sqrt(var + eps)`, then `y = weight * x_hat + bias`. The eps keeps a channel
# that is constant from being divided by zero.
#
# **Two modes, two functions.** In *training* mean and var are those of this very batch. In *inference* they are given,
# the running ones: what an image gets must not depend on who happens to be in the same batch.
#
# **Two variances.** The sum of the squared deviations divided by `M = N*H*W` is the *biased* variance; divided by
# M - 1 it is the *unbiased* one, an estimate for all images from a sample of them. PyTorch normalises with the biased
# one, and keeps the unbiased one as running variance. So does this course.
#
# **By hand.** One channel with four values, weight 10, bias 3, and eps 0, so that a pencil will do. The mean is 8, the
# squared deviations are 49, 1, 1, 49, so the biased var is 100/4 = 25 and its root is 5:
#
# | x     | 1    | 7    | 9   | 15  |
# |-------|------|------|-----|-----|
# | x_hat | -1.4 | -0.2 | 0.2 | 1.4 |
# | y     | -11  | 1    | 5   | 17  |
#
# The same values in inference, with a running mean of 5 and a running variance of 4, whose root is 2:
#
# | x     | 1   | 7  | 9  | 15 |
# |-------|-----|----|----|----|
# | x_hat | -2  | 1  | 2  | 5  |
# | y     | -17 | 13 | 23 | 53 |
#
# And the running statistics, from 0 and 1, with a momentum of 0.3: the mean becomes 0.7·0 + 0.3·8 = 2.4. The unbiased
# variance is 100/3, so the variance becomes 0.7·1 + 0.3·100/3 = 10.7.

# %%
from typing import NamedTuple

import numpy as np

# %% [markdown]
# ## Training
#
# Both forwards return a `BatchnormCache`, filled as its comments say; the next lesson lives on it.


# %%
class BatchnormCache(NamedTuple):
    x: np.ndarray  # (N, C, H, W)
    weight: np.ndarray  # (C,)
    mean: np.ndarray  # (C,), what was subtracted: the mean of the batch; in inference the running one
    var: np.ndarray  # (C,), as it was before eps: the BIASED variance of the batch; in inference the running one
    eps: float


def batchnorm2d(x, weight, bias, *, eps=1e-5):
    """y = weight * (x - mean) / sqrt(var + eps) + bias, mean and biased var over N, H and W.

    x (N, C, H, W), weight and bias (C,) -> y (N, C, H, W), cache
    """
    # TODO: mean and var of each channel, then y
    ### BEGIN SOLUTION
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))  # (C,); np.var is biased unless it is told otherwise
    x_hat = (x - mean[:, None, None]) / np.sqrt(var + eps)[:, None, None]  # (N, C, H, W)
    y = weight[:, None, None] * x_hat + bias[:, None, None]
    return y, BatchnormCache(x, weight, mean, var, eps)
    ### END SOLUTION


# %% [markdown]
# ## Inference


# %%
def batchnorm2d_inference(x, weight, bias, running_mean, running_var, *, eps=1e-5):
    """y = weight * (x - running_mean) / sqrt(running_var + eps) + bias.

    x (N, C, H, W), the others (C,) -> y (N, C, H, W), cache
    """
    # TODO: the same with statistics that are given
    ### BEGIN SOLUTION
    x_hat = (x - running_mean[:, None, None]) / np.sqrt(running_var + eps)[:, None, None]  # (N, C, H, W)
    y = weight[:, None, None] * x_hat + bias[:, None, None]
    return y, BatchnormCache(x, weight, running_mean, running_var, eps)
    ### END SOLUTION


# %% [markdown]
# ## Running statistics
#
# After every step of training, the layer blends the statistics of the batch into its running ones: a tenth of the new,
# nine tenths of the old. Mind that `var` comes in biased, as it stands in the cache.


# %%
def running_statistics(running_mean, running_var, mean, var, count, *, momentum=0.1):
    """new = (1 - momentum) * old + momentum * batch, the variance of the batch made unbiased.

    Four vectors (C,) and count = N*H*W, at least 2 -> running_mean, running_var, two new vectors (C,). A count of 1
    cannot happen: a channel of one value has no variance, so training refuses it before it comes to this.
    """
    # TODO: both, as new arrays
    ### BEGIN SOLUTION
    unbiased = var * count / (count - 1)
    return (1 - momentum) * running_mean + momentum * mean, (1 - momentum) * running_var + momentum * unbiased
    ### END SOLUTION


# %% [markdown] derivation
# There is no backward yet, but there is something to understand. Subtracting the mean makes the mean of x_hat 0.
# Dividing by the root of the variance makes its variance var / (var + eps), which is 1 but for eps. So y has mean
# `bias` and variance `weight**2`, *whatever the convolution before it does*. In particular x and x + 7 give the same y,
# and so do x and 7 x, but for eps. This is worth remembering: if moving x in some direction cannot move y, then dx has
# nothing in that direction, and the formula of the backward will say just that.
#
# The unbiased variance. Deviations are taken from the mean of the sample, and the sample lies closer to its own mean
# than to the true one. On average the sum of their squares is M - 1 times the true variance, and not M times. Dividing
# by M - 1 makes up for it: unbiased = biased * M / (M - 1).

# %% [markdown] hints
# 1. Each channel is a heap of `N*H*W` numbers of its own. Find its mean and its variance, shift and divide, then scale
#    and shift again. Inference is the same without the finding.
# 2. x_hat = (x - mean) / sqrt(var + eps); y = weight * x_hat + bias; unbiased = var * count / (count - 1).
# 3. x.mean(axis=(0, 2, 3)) is (C,). To meet x, (N, C, H, W), it has to be (C, 1, 1): mean[:, None, None]. Without that
#    NumPy would line C up with W. Into the cache go mean and var as (C,), and var without eps.

# %%
if __name__ == "__main__":  # the example by hand: run this file
    x = np.array([1.0, 7.0, 9.0, 15.0]).reshape(2, 1, 1, 2)
    weight, bias = np.array([10.0]), np.array([3.0])
    y, cache = batchnorm2d(x, weight, bias, eps=0.0)
    np.testing.assert_allclose(y.ravel(), [-11, 1, 5, 17])
    np.testing.assert_allclose([cache.mean, cache.var], [[8], [25]])

    y, cache = batchnorm2d_inference(x, weight, bias, np.array([5.0]), np.array([4.0]), eps=0.0)
    np.testing.assert_allclose(y.ravel(), [-17, 13, 23, 53])
    np.testing.assert_allclose([cache.mean, cache.var], [[5], [4]])

    before = np.array([0.0]), np.array([1.0])
    after = running_statistics(*before, np.array([8.0]), np.array([25.0]), 4, momentum=0.3)
    np.testing.assert_allclose(after, [[2.4], [10.7]])
    np.testing.assert_allclose(before, [[0], [1]])  # the old ones are as they were
    print("the example by hand agrees")
