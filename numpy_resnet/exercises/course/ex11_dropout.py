# %% [markdown]
# # 11. Dropout: some numbers are left out
#
# *Easy · 10 minutes*
#
# **Why.** In training, each number is dropped, set to 0, with probability p. The layers that follow cannot rely on any
# single one, which works against learning the training images by heart (Srivastava et al. 2014). A ResNet has batch
# norm and mostly does without; in front of the last layer, and with few images, dropout can help.
#
# **Shapes.** `x` of any shape. `keep` is a boolean array of that shape: True for what stays. `y`, `dy` and `dx` have
# the shape of x as well. `p` is a number, at least 0 and less than 1.
#
# **Inverted.** Of four numbers with p = 1/4, three are left on average, so the layers behind would see less in training
# than in inference, where nothing is dropped. Therefore what is kept is divided by 1 - p. Then y is x on average, and
# in inference there is nothing to do at all.
#
# **Why the mask is an argument.** A forward that rolls dice of its own gives another y each time. The difference
# between two such calls says nothing about a slope, so no finite difference could check the backward. With the mask as
# an argument, dropout is an ordinary function. Who trains draws it: `keep = rng.random(x.shape) >= p`. No gradient goes
# back to keep; it is a constant.
#
# **By hand.** With p = 1/4 what is kept is divided by 3/4:
#
# | x    | 3    | 6     | -9   | 12   |
# |------|------|-------|------|------|
# | keep | True | False | True | True |
# | y    | 4    | 0     | -12  | 16   |
# | dy   | 6    | 3     | 9    | -3   |
# | dx   | 8    | 0     | 12   | -4   |

# %%
import numpy as np

# %% [markdown]
# ## Forward


# %%
def dropout(x, keep, *, p):
    """y = x / (1 - p) where keep, else 0.   x and keep (booleans) of one shape -> y of that shape, cache"""
    # TODO: y, and what the backward will have to know
    ### BEGIN SOLUTION
    return x * keep / (1 - p), (keep, p)
    ### END SOLUTION


# %% [markdown]
# ## Backward


# %%
def dropout_backward(dy, cache):
    """dx = dy / (1 - p) where keep, else 0.   dy of the shape of y -> dx of that shape"""
    # TODO: dx
    ### BEGIN SOLUTION
    keep, p = cache
    return dy * keep / (1 - p)
    ### END SOLUTION


# %% [markdown] derivation
# Once the mask is drawn, each y is its x times a constant: 1 / (1 - p) where it is kept, 0 where it is dropped. The
# slope of such a line is the constant itself, so dx is dy times the same constant. The backward is the forward, applied
# to dy. It must be the *same* mask, so the cache brings it. A look at y would not do instead: where x is 0, y is 0
# too, kept or not.
#
# On average over masks a number is kept with probability 1 - p, so the mean of y is (1 - p) * x / (1 - p) = x. The
# factor belongs to the backward as much as to the forward; without it all gradients are too small by 1 - p.

# %% [markdown] hints
# 1. With the mask given, nothing is random any more: each number is multiplied by a constant. What is the slope of
#    y = constant * x?
# 2. dx = dy * keep / (1 - p). NumPy multiplies numbers with booleans.
# 3. x, keep, y, dy and dx all have one shape. The backward needs keep and p from the cache, and x not at all.

# %%
if __name__ == "__main__":  # the example by hand: run this file
    x, keep = np.array([3.0, 6.0, -9.0, 12.0]), np.array([True, False, True, True])
    y, cache = dropout(x, keep, p=1 / 4)
    np.testing.assert_allclose(y, [4, 0, -12, 16])
    dx = dropout_backward(np.array([6.0, 3.0, 9.0, -3.0]), cache)
    np.testing.assert_allclose(dx, [8, 0, 12, -4])

    masks = ~np.eye(4, dtype=bool)  # each of the four dropped once: the mean of y is x
    np.testing.assert_allclose(np.mean([dropout(x, keep, p=1 / 4)[0] for keep in masks], axis=0), x)
    print("the example by hand agrees")
