# %% [markdown]
# # 20. Vanishing gradients, measured and explained
#
# *Medium · 40 minutes*
#
# **Why.** The residual block was invented because deep stacks of plain layers could not be trained well. This lesson
# looks at one reason that can be measured in a minute: what happens to the size of the gradient on its way down through
# many blocks. First measure, then explain in words, then find the formula. In this order: a formula that comes after a
# measurement has something to answer to.
#
# **The stack.** `depth` blocks, one above the other, all of one width. Block k has a weight of its own, and
#
# - h = relu(x @ weight.T)
# - y = h in a *plain* stack, y = x + h in a *residual* one
#
# The y of a block is the x of the next. There are no biases and no convolutions, to keep the bookkeeping small. There
# is no batch norm either, and that makes a difference: under batch norm the gradient of a plain stack does not vanish,
# it explodes, as `tutorials/05_residual_block.py` shows. The principle, a factor per block, is the same.
#
# **Shapes.** `weights` a list of `depth` arrays (width, width). `x` (N, width) goes in at the bottom, `dy` (N, width)
# comes in at the top. `norms` (depth + 1,): norms[k] is the Euclidean norm of the gradient at the input of block k,
# which is the root of the sum of all its squares; norms[depth] is that of dy itself.
#
# **By hand.** Width 2, depth 2, N = 1. Both blocks have the weight [[-1, -1], [4, 3]]. Up, from x = (1, 1):
#
# |          | block 0: x | x @ weight.T | h      | block 1: x | x @ weight.T | h       |
# |----------|------------|--------------|--------|------------|--------------|---------|
# | plain    | (1, 1)     | (-2, 7)      | (0, 7) | (0, 7)     | (-7, 21)     | (0, 21) |
# | residual | (1, 1)     | (-2, 7)      | (0, 7) | (1, 8)     | (-9, 28)     | (0, 28) |
#
# In all four the first number is cut off by the ReLU, and the second passes. Down, from dy = (4, 3), whose norm is 5:
#
# |          | dy     | behind the ReLU | dh @ weight | dx of block 1 | behind the ReLU | dh @ weight | dx of block 0 |
# |----------|--------|-----------------|-------------|---------------|-----------------|-------------|---------------|
# | plain    | (4, 3) | (0, 3)          | (12, 9)     | (12, 9)       | (0, 9)          | (36, 27)    | (36, 27)      |
# | residual | (4, 3) | (0, 3)          | (12, 9)     | (16, 12)      | (0, 12)         | (48, 36)    | (64, 48)      |
#
# The norms, from the bottom to the top, are 45, 15, 5 and 80, 20, 5. So per block the gradient grows by a factor of 3
# in the plain stack and of 4 in the residual one. The 4 is 1 + 3, because here what comes through the branch has
# exactly the direction of what comes on the shortcut, so that their lengths add up. Between two random vectors with
# many numbers that hardly ever happens.

# %%
import numpy as np

# %% [markdown]
# ## Measure
#
# Up through all blocks, then down again. What does the way down need to know from the way up?


# %%
def gradient_norms(weights, x, dy, *, residual):
    """The norm of the gradient at the input of each block, and above the last one.

    weights: `depth` arrays (width, width), x and dy (N, width) -> norms (depth + 1,), the top one last
    """
    # TODO: forward through all blocks, then backward from the last to the first, with the norm of dy at each station
    ### BEGIN SOLUTION
    masks = []
    for weight in weights:
        h = np.maximum(x @ weight.T, 0)  # (N, width)
        masks.append(h > 0)
        x = x + h if residual else h
    norms = [np.linalg.norm(dy)]
    for weight, mask in zip(reversed(weights), reversed(masks), strict=True):
        dbranch = (dy * mask) @ weight  # (N, width)
        dy = dy + dbranch if residual else dbranch
        norms.append(np.linalg.norm(dy))
    return np.array(norms[::-1])
    ### END SOLUTION


def growth(norms):
    """The factor by which the gradient changes per block on its way down, a geometric mean.   (depth + 1,) -> float"""
    # TODO: from the top to the bottom it changes by norms[0] / norms[-1], in `depth` equal steps; what is one step?
    ### BEGIN SOLUTION
    depth = len(norms) - 1
    return float((norms[0] / norms[-1]) ** (1 / depth))
    ### END SOLUTION


# %% [markdown]
# The experiment is given. The weights are random with mean 0 and standard deviation gain / sqrt(width). The gain is the
# one thing that whoever starts a training has to choose. Call `experiment()` and look at the table before going on. In
# which column can the gradient vanish? Is there a gain where it neither vanishes nor explodes?


# %%
def new_weights(depth, width, gain, rng):
    """`depth` arrays (width, width), drawn from the normal distribution N(0, gain**2 / width)"""
    return [gain / np.sqrt(width) * rng.standard_normal((width, width)) for _ in range(depth)]


def measured_growth(gain, *, residual, depth=10, width=256, N=64, seed=0):
    """The growth in one random stack, for random x and dy.   -> float"""
    rng = np.random.default_rng(seed)
    weights = new_weights(depth, width, gain, rng)
    x, dy = rng.standard_normal((2, N, width))
    return growth(gradient_norms(weights, x, dy, residual=residual))


GAINS = 0.5, 1.0, 2**0.5, 2.0


def experiment(**options):
    """Print the growth per block for each of GAINS.   options: those of measured_growth"""
    print("  gain     plain  residual")
    for gain in GAINS:
        plain, residual = (measured_growth(gain, residual=r, **options) for r in (False, True))
        print(f"{gain:6.3f}  {plain:8.4f}  {residual:8.4f}")


# %% [markdown]
# ## Explain
#
# Answer in words, as if to somebody who has done the lessons so far but not this one:
#
# - Why is a deep plain net hard to train? What becomes of a factor per block over 50 blocks?
# - What does the shortcut change?
# - Which gain is the right one in a plain stack, and why? He et al. 2015, "Delving Deep into Rectifiers", section 2.2,
#   give the argument; try first to find it in the table.


# %%
def explanation() -> str:
    """The three answers, in at least 40 words of one's own."""
    # TODO: return a text; a string in three quotation marks may have several lines
    ### BEGIN SOLUTION
    return """
        In a plain stack each block multiplies the size of the gradient by nearly the same factor, so over many blocks
        it changes exponentially. With a factor of 0.7, fifty blocks leave two hundred-millionths of it, and the weights
        at the bottom hear next to nothing from the loss. With 1.4 it explodes, and the first step ruins the weights.
        The shortcut hands the gradient on undiminished, and what comes through the branch is added to it. So the factor
        per block stays above one on average, however small the weights are, and the gradient does not vanish.
        In a plain stack the right gain is the root of 2. ReLU lets only half of the numbers pass, which halves the
        square of the norm on average, and weights with a variance of 2 / width make up for it: the factor is 1.
    """
    ### END SOLUTION


# %% [markdown]
# ## Predict
#
# Now the formula, for a large width. Think of squares of norms, on average over the weights. By what is the square
# multiplied in the ReLU, and by what in the product with the weight? And in the residual block, what is the square of
# the length of a sum of two vectors that have nothing to do with each other? Compare with the table: within 10 % is
# good enough. The formula is for stacks that are much wider than deep, like the experiment's 10 blocks of width 256.


# %%
def predicted_growth(gain, *, residual):
    """What `growth` should be for weights from N(0, gain**2 / width) and a wide stack, not too deep.   gain -> float"""
    # TODO: one formula for the plain stack, one for the residual stack
    ### BEGIN SOLUTION
    branch = gain**2 / 2  # what the square of the norm is multiplied with on the way through ReLU and weight
    return float(np.sqrt(1 + branch if residual else branch))
    ### END SOLUTION


# %% [markdown] derivation
# **Backward.** Each block is a ReLU on a linear layer: dh = dy * (h > 0), and dbranch = dh @ weight. In the residual
# block x is at a fork, so dx = dy + dbranch. The way down needs nothing from the way up but the masks.
#
# **Plain.** Take one sample. Number j of dbranch is the sum over i of dh_i * weight_ij. The weights are independent,
# with mean 0 and variance `gain**2 / width`, so the square of that sum is on average `gain**2 / width` times the
# squared norm of dh. There are `width` such numbers, and together they give `gain**2` times the squared norm of dh. And
# dh is dy with about half of its numbers set to 0: with random weights the number in front of a ReLU is as often
# positive as negative. This halves the squared norm. Together: `gain**2 / 2` per block for the square, gain / sqrt(2)
# for the norm. It is 1 for gain = sqrt(2), the gain of He et al. With gain 1 it is 0.707, and 50 blocks leave
# `2**-25`, which is 3 hundred-millionths.
#
# **Residual.** |dy + dbranch|² = |dy|² + |dbranch|² + 2 dy · dbranch. On average the last term is next to nothing, as
# the branch's direction is random, and in a wide space random directions are nearly perpendicular. What is left is
# Pythagoras: `1 + gain**2 / 2` for the square, and its root for the norm. That is above 1 for every gain. With a small
# gain it is near 1, and the gradient arrives as it left. With a large one it explodes, in a residual stack as well. So
# its weights should be *small*: one often starts the last scale in each branch at 0, as Goyal et al. 2017 do (section
# 5.1), and then each block begins as the identity.
#
# **What it has to do with training.** The gradient of a weight is made of the dh from above and the x from below, and
# in a plain stack x changes by the same factor on its way up as the gradient on its way down. With gain 1 and many
# blocks, what comes out at the top is next to nothing, and so are the gradients of all weights. With gain 2 both are
# enormous. And the factor belongs to the start only: in training the weights move, and a power of 50 magnifies it.
#
# **Where the formula ends.** Call `experiment(depth=50)`. The plain column stays, but the residual one does not: for
# gain 1 it shows about 1.4 in place of the predicted 1.22. Of two vectors in a wide space it was said that they are
# nearly perpendicular, and nearly is not enough for 50 blocks. With its mask held fast a block is a matrix: y = J x and
# dx = Jᵀ dy. Hence dx · x = dy · y, exactly, sample by sample. So the part of the gradient that lies along x grows,
# going down, by the factor by which x grew, going up. In a residual stack x grows faster than Pythagoras says: no h has
# a negative number, so none takes away what another one added. Of the square of a random dy only about one part in
# `width` lies along x. But that part grows faster than the rest, and after some twenty blocks it sets the pace. A wider
# stack keeps to the formula for longer, because this part is smaller at first.
#
# **And in a real ResNet?** There batch norm stands in each branch, and it rescales whatever the weights do, so the gain
# of a convolution does not matter. The factors are then other ones, but the principle is the same. In a plain stack
# they multiply, and an exponential comes of it; with a shortcut, 1 is what everything else is added to. And a healthy
# size is not all. He et al. 2016, "Deep Residual Learning", section 4.1, found that their plain nets with batch
# norm did not have vanishing gradients, and still got worse with more layers.

# %% [markdown] hints
# 1. Backward needs to know, for each block, which numbers the ReLU let pass, and nothing else. For the formula, follow
#    the *square* of the norm through one block: half of it passes the ReLU, and the weight multiplies it on average by
#    a number that depends on the gain alone.
# 2. dbranch = (dy * (h > 0)) @ weight; dx = dbranch, or dy + dbranch with the shortcut. The growth is
#    `(norms[0] / norms[-1]) ** (1 / depth)`. The square grows by `gain**2 / 2` per block in a plain stack and by
#    `1 + gain**2 / 2` in a residual one; what is asked for is the root.
# 3. x, h, masks and dy are (N, width). `dh @ weight` has no `.T`, since x @ weight.T had one. `np.linalg.norm` of an
#    array (N, width) is one number, over all of it. The norms come out from the top to the bottom, and have to be
#    turned round.

# %%
if __name__ == "__main__":  # the example by hand: run this file
    weights = [np.array([[-1.0, -1.0], [4.0, 3.0]])] * 2
    x, dy = np.array([[1.0, 1.0]]), np.array([[4.0, 3.0]])
    for residual, norms, factor in ((False, [45, 15, 5], 3), (True, [80, 20, 5], 4)):
        np.testing.assert_allclose(gradient_norms(weights, x, dy, residual=residual), norms)
        np.testing.assert_allclose(growth(np.array(norms)), factor)
    np.testing.assert_allclose([x, dy], [[[1, 1]], [[4, 3]]])  # as they were
    print("the example by hand agrees; the growth per block in a random stack:")
    experiment()

    for gain in GAINS:
        for residual in (False, True):
            measured, predicted = measured_growth(gain, residual=residual), predicted_growth(gain, residual=residual)
            np.testing.assert_allclose(predicted, measured, rtol=0.1)
    print("the formula agrees with the measurements, within 10 %")
    assert len(explanation().split()) >= 40
