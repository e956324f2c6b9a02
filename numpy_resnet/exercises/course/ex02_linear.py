# %% [markdown]
# # 2. Linear: one matrix product forward, two backward
#
# *Easy · 20 minutes*
#
# **Why.** The last layer of a ResNet-18 is linear: it turns 512 features of an image into one score for each class. It
# is also the smallest operation with parameters, and the one on which a convolution will be built.
#
# **Shapes.** `x` (N, IN): a batch of N samples with IN features each. `weight` (OUT, IN): one row for each output.
# `bias` (OUT,), or None for a layer without one. `y` and `dy` are (N, OUT). Each gradient has the shape of what it
# belongs to: `dx` (N, IN), `dweight` (OUT, IN), `dbias` (OUT,).
#
# **What a gradient asks.** `dy[n, o]` says by how much the loss changes when `y[n, o]` grows by a little, per unit of
# that growth. So take one number of x, weight or bias, let it grow, and find every y that it moves. Each of them sends
# back its dy, times the slope by which it moved. What comes back on several ways is added up.
#
# **By hand.** Two samples, three features, two outputs. A row of x, y and dy is a sample, a row of weight an output:
#
# | x        | weight  | bias   | y      | dy    |
# |----------|---------|--------|--------|-------|
# | 1, 0, 2  | 1, 2, 3 | 10, 20 | 17, 36 | 1, 0  |
# | 0, 1, -1 | 4, 5, 6 |        | 9, 19  | 2, -1 |
#
# The first output of the first sample is 1·1 + 0·2 + 2·3 + 10 = 17. Backward:
#
# | dx        | dweight  | dbias |
# |-----------|----------|-------|
# | 1, 2, 3   | 1, 2, 0  | 3, -1 |
# | -2, -1, 0 | 0, -1, 1 |       |
#
# The first number of the second row of dx: `x[1, 0]` went into the first output with weight 1 and into the second with
# weight 4. Back come 2·1 and -1·4, together -2.

# %%
import numpy as np

# %% [markdown]
# ## Forward


# %%
def linear(x, weight, bias=None):
    """y[n, o] = bias[o] + sum over i of weight[o, i] * x[n, i].

    x (N, IN), weight (OUT, IN), bias (OUT,) or None -> y (N, OUT), cache
    """
    # TODO: y as one matrix product, the bias if there is one, and what the backward will have to know
    ### BEGIN SOLUTION
    y = x @ weight.T  # (N, OUT)
    if bias is not None:
        y = y + bias
    return y, (x, weight, bias)
    ### END SOLUTION


# %% [markdown]
# ## Backward


# %%
def linear_backward(dy, cache):
    """Each factor of a product gets the other factor times dy.

    dy (N, OUT) -> dx (N, IN), dweight (OUT, IN), dbias (OUT,), or None where forward had no bias
    """
    # TODO: the three gradients, in this order; two of them are matrix products
    ### BEGIN SOLUTION
    x, weight, bias = cache
    dx = dy @ weight  # (N, OUT) @ (OUT, IN) = (N, IN)
    dweight = dy.T @ x  # (OUT, N) @ (N, IN) = (OUT, IN)
    dbias = None if bias is None else dy.sum(axis=0)  # (OUT,)
    return dx, dweight, dbias
    ### END SOLUTION


# %% [markdown] derivation
# y[n, o] is a sum of products weight[o, i] * x[n, i], and bias[o]. Look at a single product. When x[n, i] grows by 1,
# the product grows by weight[o, i], and so does y[n, o]. So this product sends weight[o, i] * dy[n, o] back to x[n, i],
# and by the same argument x[n, i] * dy[n, o] to weight[o, i]. Now add up what each number receives:
#
# - x[n, i] is in one product for each output o: dx[n, i] = sum over o of dy[n, o] * weight[o, i], which is dy @ weight.
# - weight[o, i] is in one product for each sample n: dweight[o, i] = sum over n of dy[n, o] * x[n, i], which is
#   dy.T @ x. All samples use the same weight, hence the sum over the batch.
# - bias[o] went once, with slope 1, into y[n, o] of each sample: dbias[o] = sum over n of dy[n, o]. A sum, no mean: if
#   the loss is a mean over the batch, its 1/N is already in dy.
#
# The index that is summed is always the one that the receiver does not have.

# %% [markdown] hints
# 1. y is a sum of products. In a product a * b, a moves the result with slope b, and b with slope a. A number that is
#    in many products gets a gradient from each, and they add up.
# 2. dx[n, i] = sum over o of dy[n, o] * weight[o, i]; dweight[o, i] = sum over n of dy[n, o] * x[n, i]; dbias[o] = sum
#    over n of dy[n, o].
# 3. Let the shapes find the transposes. dx is (N, IN), made of dy (N, OUT) and weight (OUT, IN). dweight is (OUT, IN),
#    made of dy (N, OUT) and x (N, IN): N has to vanish, so it stands in the middle. The cache needs x and weight, and
#    whether there was a bias.

# %%
if __name__ == "__main__":  # the example by hand: run this file
    x = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]])
    weight = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    y, cache = linear(x, weight, np.array([10.0, 20.0]))
    np.testing.assert_allclose(y, [[17, 36], [9, 19]])
    dy = np.array([[1.0, 0.0], [2.0, -1.0]])
    dx, dweight, dbias = linear_backward(dy, cache)
    np.testing.assert_allclose(dx, [[1, 2, 3], [-2, -1, 0]])
    np.testing.assert_allclose(dweight, [[1, 2, 0], [0, -1, 1]])
    np.testing.assert_allclose(dbias, [3, -1])

    y, cache = linear(x, weight)  # and without a bias
    np.testing.assert_allclose(y, [[7, 16], [-1, -1]])
    assert linear_backward(dy, cache)[2] is None
    print("the example by hand agrees")
