# %% [markdown]
# # 10. Batch norm, backward: three paths, one formula
#
# *Hard · 60 minutes*
#
# **Why.** This is the one derivation of a ResNet that is hard to guess. Every pixel of a channel takes part in its mean
# and in its variance, and so every x moves *every* y of its channel. First it is done step by step, each line of the
# forward reversed: long, but each line is simple. Then it is done on paper, and of all the lines for dx one is left.
# Ioffe & Szegedy 2015, section 3, give the gradients of the steps.
#
# **Shapes.** `x`, `dy` and `dx` (N, C, H, W). `weight`, `dweight` and `dbias` (C,), as are `mean`, `var` and `std`.
# Write M for `N*H*W`, the number of values in a channel.
#
# **By hand.** The channel of lesson 9: mean 8, std 5, weight 10, eps 0. Upstream, only the first y matters:
#
# | x     | 1    | 7     | 9     | 15   |
# |-------|------|-------|-------|------|
# | x_hat | -1.4 | -0.2  | 0.2   | 1.4  |
# | dy    | 1    | 0     | 0     | 0    |
# | dx    | 0.52 | -0.64 | -0.36 | 0.48 |
#
# dbias = sum(dy) = 1, and dweight = sum(dy · x_hat) = -1.4. For dx, mean(dy) = 0.25 and mean(dy · x_hat) = -0.35, and
# weight / std = 2. The first dx is 2 · (1 - 0.25 - (-1.4) · (-0.35)) = 2 · 0.26 = 0.52. The three others have a dy of 0
# and get a gradient nevertheless. Two checks: the dx add up to 0, and so do the products dx · x_hat.
#
# In inference mean and std are constants, and nothing is left to share: with the running statistics 5 and 4 of lesson
# 9, dx is 10 / 2 · dy = 5, 0, 0, 0, dweight = -2 and dbias = 1.

# %%
import numpy as np
from ex09_batchnorm_forward import BatchnormCache, batchnorm2d, batchnorm2d_inference

# %% [markdown]
# ## Step by step
#
# Two helpers go between images and channels. Each is the other one's backward: what was *spread* to all pixels of a
# channel gets the *total* of their gradients, and what went into a *total* gets the gradient of that total, spread.


# %%
def total(images):
    """Sum over everything but the channels.   (N, C, H, W) -> (C,)"""
    return images.sum(axis=(0, 2, 3))


def spread(vector):
    """One value for every pixel of a channel.   (C,) -> (C, 1, 1), which broadcasts to (N, C, H, W)"""
    return vector[:, None, None]


# %% [markdown]
# The forward has eight steps, so small that each has a plain reverse. What the reverse will need is computed again from
# the cache; the other steps stand there as comments. The task is to write them upside down: from step 8 to step 1, a
# line or two for each. A step with two inputs has two gradients, so it takes two lines. And what was used twice, as
# `centred` and `x` were, gets two gradients, which add up: the second line does not replace the first.


# %%
def batchnorm2d_backward_in_steps(dy, cache: BatchnormCache):
    """Each step of the forward reversed, the last one first.   dy (N, C, H, W) -> dx as dy, dweight (C,), dbias (C,)"""
    x, weight, mean, var, eps = cache
    M = x.size // len(weight)  # N*H*W
    # 1. mean = total(x) / M
    centred = x - spread(mean)  # 2.
    # 3. square = centred**2
    # 4. var = total(square) / M
    std = np.sqrt(var + eps)  # 5.
    x_hat = centred / spread(std)  # 6.
    # 7. scaled = spread(weight) * x_hat
    # 8. y = scaled + spread(bias)

    # TODO: 8 to 1: dbias, dscaled; dweight, dx_hat; dstd, dcentred; dvar; dsquare; more dcentred; dmean, dx; more dx
    ### BEGIN SOLUTION
    # 8. y = scaled + spread(bias)
    dbias = total(dy)
    dscaled = dy
    # 7. scaled = spread(weight) * x_hat
    dweight = total(dscaled * x_hat)
    dx_hat = dscaled * spread(weight)
    # 6. x_hat = centred / spread(std)
    dstd = -total(dx_hat * centred) / std**2
    dcentred = dx_hat / spread(std)
    # 5. std = np.sqrt(var + eps)
    dvar = dstd / (2 * std)
    # 4. var = total(square) / M
    dsquare = spread(dvar / M)
    # 3. square = centred**2
    dcentred = dcentred + dsquare * 2 * centred
    # 2. centred = x - spread(mean)
    dmean = -total(dcentred)
    dx = dcentred
    # 1. mean = total(x) / M
    dx = dx + spread(dmean / M)
    ### END SOLUTION
    return dx, dweight, dbias


# %% [markdown]
# ## In one formula
#
# Put the steps into each other on paper, and nearly everything cancels. What is left needs x_hat, std and two means
# over the channel, and nothing else:
#
# `dx = weight / std * (dy - mean(dy) - x_hat * mean(dy * x_hat))`
#
# It is worth trying to get there before typing it. It is less work than it seems: the total of `centred` is 0.


# %%
def batchnorm2d_backward(dy, cache: BatchnormCache):
    """dx = weight / std * (dy - mean(dy) - x_hat * mean(dy * x_hat)).

    dy (N, C, H, W) -> dx as dy, dweight (C,), dbias (C,)
    """
    # TODO: dbias, dweight and dx; the two means are cheap once you have these
    ### BEGIN SOLUTION
    x, weight, mean, var, eps = cache
    M = x.size // len(weight)
    std = np.sqrt(var + eps)
    x_hat = (x - spread(mean)) / spread(std)
    dbias, dweight = total(dy), total(dy * x_hat)
    dx = spread(weight / std) * (dy - spread(dbias / M) - x_hat * spread(dweight / M))
    return dx, dweight, dbias
    ### END SOLUTION


# %% [markdown]
# ## In inference


# %%
def batchnorm2d_inference_backward(dy, cache: BatchnormCache):
    """The same where mean and var are constants.   dy (N, C, H, W) -> dx as dy, dweight (C,), dbias (C,)"""
    # TODO: dx, dweight and dbias; x moves neither mean nor var now
    ### BEGIN SOLUTION
    x, weight, mean, var, eps = cache
    std = np.sqrt(var + eps)
    x_hat = (x - spread(mean)) / spread(std)
    return spread(weight / std) * dy, total(dy * x_hat), total(dy)
    ### END SOLUTION


# %% [markdown] derivation
# **Parameters.** weight and bias are spread over the channel, so each gets a total: dbias = total(dy) and dweight =
# total(dy * x_hat). This is the argument of the linear layer once more.
#
# **dx.** Let g = weight * dy, the gradient of x_hat = (x - mean) / std. From x to x_hat there are three paths.
#
# 1. *Directly*, with mean and std held fast: g / std.
# 2. *Through the mean.* When one x grows by 1, the mean grows by 1 / M, and every x_hat of the channel falls by
#    1 / (M * std). What comes back from all of them is -total(g) / (M * std), which is -mean(g) / std.
# 3. *Through the variance.* Per unit of std an x_hat changes by -centred / `std**2`, which is -x_hat / std. So dstd =
#    -total(g * x_hat) / std. Per unit of x the var changes by 2 * centred / M, and per unit of var the std changes by
#    1 / (2 * std); together that is x_hat / M. The product of both is -x_hat * mean(g * x_hat) / std.
#
# In path 3 the mean moves as well, and var is taken around the mean. But that makes no difference: the sum of squares
# around a point is smallest at the mean, so there it is flat. (In the steps: the part of dmean that comes from dsquare
# is a multiple of total(centred), which is 0.) The three paths add up to (g - mean(g) - x_hat * mean(g * x_hat)) / std,
# and weight, which is the same for the whole channel, can go in front.
#
# **What it says.** Path 2 takes out of dy what all pixels have in common, path 3 what goes along with x_hat. It has to
# be like this. Shifting all x of a channel, or stretching them, does not move y, so dx has nothing in these two
# directions. (Because of eps, stretching moves y by a trace, and that trace is in dx.)
#
# **Why an upstream of ones will not do as a test.** The total of y is M * bias, whatever x is. So with dy = 1 the right
# dx is 0, and the formula agrees: dy - mean(dy) is 0, and so is mean(x_hat). But then a backward without path 3 gives 0
# too. So does one with a wrong factor in front, or with a wrong std, or one that returns zeros. None of these mistakes
# can be seen. A random dy has no such symmetry, which is why a gradient check draws one.
#
# **Inference.** mean and var do not depend on x, and path 1 is all there is: dx = weight / std * dy. The parameters are
# reached as before, with the x_hat of the running statistics.

# %% [markdown] hints
# 1. x reaches y on three paths: directly, through the mean and through the variance. Mean and variance belong to all
#    pixels of the channel, so what comes back to them is a total over the channel, and from there it is spread again.
# 2. The steps 6 to 1: `dstd = -total(dx_hat * centred) / std**2`, `dcentred = dx_hat / spread(std)`,
#    `dvar = dstd / (2 * std)`, `dsquare = spread(dvar / M)`, to dcentred comes `dsquare * 2 * centred`,
#    `dmean = -total(dcentred)`, and to dx, which is dcentred so far, comes `spread(dmean / M)`. In the formula,
#    mean(dy) is dbias / M and mean(dy * x_hat) is dweight / M. In inference, dx = weight / std * dy.
# 3. dbias, dweight, dstd, dvar and dmean are (C,), as is what they belong to. dscaled, dx_hat, dcentred and dx are
#    (N, C, H, W). dsquare is the same for every pixel of a channel, so (C, 1, 1) will do. A vector meets an image
#    through `spread`; an image becomes a vector through `total`.

# %%
if __name__ == "__main__":  # the example by hand: run this file
    x = np.array([1.0, 7.0, 9.0, 15.0]).reshape(2, 1, 1, 2)
    dy = np.array([1.0, 0.0, 0.0, 0.0]).reshape(2, 1, 1, 2)
    weight, bias = np.array([10.0]), np.array([3.0])
    _, cache = batchnorm2d(x, weight, bias, eps=0.0)
    for backward in (batchnorm2d_backward_in_steps, batchnorm2d_backward):
        dx, dweight, dbias = backward(dy, cache)
        np.testing.assert_allclose(dx.ravel(), [0.52, -0.64, -0.36, 0.48])
        np.testing.assert_allclose([dweight, dbias], [[-1.4], [1]])
        np.testing.assert_allclose(backward(np.ones_like(dy), cache)[0], 0, atol=1e-12)  # whatever x is

    _, cache = batchnorm2d_inference(x, weight, bias, np.array([5.0]), np.array([4.0]), eps=0.0)
    dx, dweight, dbias = batchnorm2d_inference_backward(dy, cache)
    np.testing.assert_allclose(dx.ravel(), [5, 0, 0, 0])
    np.testing.assert_allclose([dweight, dbias], [[-2], [1]])
    print("the example by hand agrees")
