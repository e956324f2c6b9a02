# %% [markdown]
# # 12. The residual add: two branches meet
#
# *Easy · 10 minutes*
#
# **Why.** It is the smallest operation of all, and the one that ResNets are named after. A block takes x, sends it on
# two ways, through its convolutions and past them on the *shortcut*, and adds up what arrives. ResNet-18 has eight of
# these sums. The add deserves a name and a backward of its own because three things happen here that are easy to get
# wrong when it is only a `+` somewhere in the code.
#
# **The join.** Where two branches are added, each gets *all* of dy. Nothing is shared out: half for each would be the
# gradient of a mean. Going backward, this is where the way parts.
#
# **The fork.** Where x was sent on two ways, its gradient is the *sum* of what comes back on both. Going backward, this
# is where the ways meet. A fork has no function of its own, so it is easily forgotten.
#
# **The undiminished gradient.** On the shortcut dy arrives exactly as it left: no weight, no mask, no factor. However
# small the gradient gets in the convolutions of a block, the shortcut takes it past them whole.
#
# **Shapes.** `a`, `b`, `y`, `dy`, `da` and `db` all have one shape, most often (N, C, H, W). Nothing is broadcast.
#
# **By hand.**
#
# | a  | 1  | -2 | 3  |
# |----|----|----|----|
# | b  | 10 | 20 | 30 |
# | y  | 11 | 18 | 33 |
# | dy | 5  | 7  | -9 |
# | da | 5  | 7  | -9 |
# | db | 5  | 7  | -9 |
#
# Now a whole block with a fork, whose branch is 3 * x: `y, cache = add(3 * x, x)`. For x = 2, y is 8. With dy = 5 there
# come 3 · 5 = 15 through the branch and 5 on the shortcut: dx = 20. And indeed y is 4 * x.

# %%
import numpy as np

# %% [markdown]
# ## Forward


# %%
def add(a, b):
    """y = a + b.   a and b of one shape -> y of that shape, cache"""
    # TODO: y in an array of its own; what does the backward have to know?
    ### BEGIN SOLUTION
    return a + b, None
    ### END SOLUTION


# %% [markdown]
# ## Backward
#
# Here the rule that nobody writes into an array that he was given earns its keep. The backward may return one and the
# same array twice. Then both branches hold it, and so does whoever handed in dy. If the ReLU of one branch set its part
# to zero *in place*, it would do so on the shortcut too, without a word.


# %%
def add_backward(dy, cache):
    """da = dy, db = dy.   dy of the shape of y -> da, db of that shape"""
    # TODO: both gradients
    ### BEGIN SOLUTION
    return dy, dy
    ### END SOLUTION


# %% [markdown] derivation
# When a grows by a little, y grows by as much, and the same holds for b. Both slopes are 1, so da = dy and db = dy.
# The values of a and b do not matter, so the cache may be empty.
#
# For a block y = F(x) + x, x is at the fork, and both ways add up: dx = (what F_backward makes of dy) + dy. A chain of
# layers *multiplies* slopes, and a long product of numbers below 1 is next to nothing. Each block has 1 + F' where a
# plain layer has F'. Multiply such a chain out, and one of the terms is a lone 1: from the loss to the first block
# there is a way that no layer touches. He et al. 2016, "Identity Mappings in Deep Residual Networks", eq. 5, write it
# down. (In a ResNet-18 a ReLU follows each sum, and three of the shortcuts have a 1x1 convolution, so the way is
# not quite as free as that.)
#
# At the fork it is tempting to write `dx = dshortcut` and then `dx += dbranch`. As dshortcut *is* dy, this writes into
# dy, and into everything that shares it. `dx = dshortcut + dbranch` makes a new array.

# %% [markdown] hints
# 1. Let a grow by 1 and leave b alone. By how much does y grow? Does the answer depend on a or on b?
# 2. da = dy and db = dy; not halved, and not multiplied with anything.
# 3. All shapes are that of dy, which may itself be returned, twice. Nothing is needed from the forward: the cache can
#    be None.

# %%
if __name__ == "__main__":  # the example by hand: run this file
    y, cache = add(np.array([1.0, -2.0, 3.0]), np.array([10.0, 20.0, 30.0]))
    np.testing.assert_allclose(y, [11, 18, 33])
    da, db = add_backward(np.array([5.0, 7.0, -9.0]), cache)
    np.testing.assert_allclose([da, db], [[5, 7, -9], [5, 7, -9]])

    x, dy = np.array([2.0]), np.array([5.0])  # the block: a fork, the branch 3 * x, the join
    y, cache = add(3 * x, x)
    np.testing.assert_allclose(y, 8)
    dbranch, dshortcut = add_backward(dy, cache)
    dx = 3 * dbranch + dshortcut
    np.testing.assert_allclose(dx, 20)
    np.testing.assert_allclose(dy, 5)  # dy is as it was
    print("the example by hand agrees")
