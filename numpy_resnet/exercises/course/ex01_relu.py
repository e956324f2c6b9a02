# %% [markdown]
# # 1. ReLU: what is positive passes
#
# *Easy · 10 minutes*
#
# **Why.** Without something between them two convolutions are one. ReLU is the something: it costs nothing, and its
# gradient does not fade however many of them come one after the other. A ResNet-18 has seventeen.
#
# **Shapes.** `x` of any shape, most often (N, C, H, W): images, channels, height, width. `y`, `dy` and `dx` have the
# shape of `x`.
#
# **The protocol of this course.** Every operation is a pair. The forward returns `y` and a *cache*: whatever its
# backward will want to know. The backward gets `dy`, the gradient of the loss with respect to `y`, and that cache, and
# returns `dx`, the gradient with respect to `x`. Three rules: nobody writes into an array that was handed over, for
# others still need it; nothing is kept anywhere but in the cache; and float32 in is float32 out, as float64 is float64
# (training runs in float32, checks in float64).
#
# **By hand.**
#
# | x  | 1 | -2 | 3  | 0  |
# |----|---|----|----|----|
# | y  | 1 |  0 | 3  | 0  |
# | dy | 5 |  7 | -9 | 11 |
# | dx | 5 |  0 | -9 | 0  |
#
# At 0 there is a kink, and any slope from 0 to 1 would do. Everybody takes 0.

# %%
import numpy as np

# %% [markdown]
# ## Forward


# %%
def relu(x):
    """y = max(x, 0), element by element.   x of any shape -> y of that shape, cache"""
    # TODO: y, and what the backward will have to know
    ### BEGIN SOLUTION
    return np.maximum(x, 0), x
    ### END SOLUTION


# %% [markdown]
# ## Backward


# %%
def relu_backward(dy, cache):
    """dx = dy where x was positive, else 0.   dy of the shape of y -> dx of that shape"""
    # TODO: dx; leave dy as it is
    ### BEGIN SOLUTION
    x = cache
    return dy * (x > 0)
    ### END SOLUTION


# %% [markdown] derivation
# y is x where x is positive, so there dy/dx = 1 and dx = dy. Elsewhere y is 0 whatever x does, so dx = 0. One line for
# both: dx = dy * (x > 0). The comparison is strict, so the gradient at 0 is 0. The mask comes from *x* (y would do as
# well, since y > 0 exactly where x > 0), never from dy: a negative gradient is as good as a positive one.

# %% [markdown] hints
# 1. Look at one number alone. If x moves a little, by how much does y move? There are two answers, and which one holds
#    depends on x, not on dy.
# 2. dx = dy * slope, and the slope is 1 where x > 0 and 0 elsewhere. NumPy multiplies numbers with booleans.
# 3. `x > 0` is an array of the shape of x, and so is dx. The backward sees only dy and the cache: so x, or y, or the
#    mask, has to be in the cache.

# %%
if __name__ == "__main__":  # the example by hand: run this file
    y, cache = relu(np.array([1.0, -2.0, 3.0, 0.0]))
    np.testing.assert_allclose(y, [1, 0, 3, 0])
    dx = relu_backward(np.array([5.0, 7.0, -9.0, 11.0]), cache)
    np.testing.assert_allclose(dx, [5, 0, -9, 0])
    print("the example by hand agrees")
