# %% [markdown]
# # 3. Softmax and cross entropy: from scores to one number, the loss
#
# *Medium · 40 minutes*
#
# **Why.** The network ends in scores, called logits: any numbers, one for each class. Softmax turns them into
# probabilities, and cross entropy asks how much probability the right class got. Here every gradient of the network
# begins. It is also where exp and log can ruin everything, so this lesson is about numbers that overflow as well.
#
# **Shapes.** All is done over axis 1: `x`, `logits`, `y`, `dy`, `dx` and `dlogits` are (N, C), N samples with C
# classes, and rows do not know of each other. `labels` (N,) are integers from 0 to C-1, constants without a gradient.
# The loss is one number, and so is the `dy` of its backward: 1.0 where the loss is the end.
#
# **By hand.** Two samples, two classes. log is the natural logarithm, and exp(log 3) = 3.
#
# | logits     | p = softmax | log p                 | label | -log p[label] |
# |------------|-------------|-----------------------|-------|---------------|
# | 0, log 3   | 1/4, 3/4    | -log 4, log 3 - log 4 | 0     | log 4         |
# | 1000, 1000 | 1/2, 1/2    | -log 2, -log 2        | 1     | log 2         |
#
# The loss is the mean, (log 4 + log 2) / 2 = 1.5·log 2, about 1.04. Its gradient, for dy = 1, is each p, with 1 taken
# off at the label, and all of it divided by N = 2:
#
# | dlogits   |
# |-----------|
# | -3/8, 3/8 |
# | 1/4, -1/4 |
#
# Softmax and log softmax alone, for the first row and the upstream gradient dy = (1, 0):
#
# | softmax_backward | log_softmax_backward |
# |------------------|----------------------|
# | 3/16, -3/16      | 3/4, -3/4            |
#
# With this dy only y[0] matters. Let the first logit grow by 0.001, and y[0] grows from 0.25 to about 0.2501875: the
# slope is 0.1875, or 3/16. Let the second one grow instead, and y[0] shrinks by as much.
#
# **Large logits.** The second row is easy with a pencil and hard for a computer: exp(1000) is beyond float64, so the
# formula as it stands gives inf / inf, which is NaN. But exp(1000) / (exp(1000) + exp(1000)) = exp(0) / (exp(0) +
# exp(0)): the same amount may be taken off all logits of a row. Take off the largest, and exp is never asked for more
# than exp(0) = 1.
#
# **Probabilities that are 0.** With logits (1000, 0) softmax gives (1, 0) to the last digit that float64 has. If the
# label is 1, the loss is 1000, but log(softmax(x)) says log(0), minus infinity. So log softmax needs a formula of its
# own, one that takes no logarithm of a probability.

# %%
import numpy as np

# %% [markdown]
# ## Softmax, forward


# %%
def softmax(x):
    """y[n, c] = exp(x[n, c]) / sum over k of exp(x[n, k]).   x (N, C) -> y (N, C), cache"""
    # TODO: y, without ever taking exp of a large number, and what the backward will have to know
    ### BEGIN SOLUTION
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y, y
    ### END SOLUTION


# %% [markdown]
# ## Softmax, backward


# %%
def softmax_backward(dy, cache):
    """Every x of a row moves every y of that row.   dy (N, C) -> dx (N, C)"""
    # TODO: dx
    ### BEGIN SOLUTION
    y = cache
    return y * (dy - (dy * y).sum(axis=1, keepdims=True))
    ### END SOLUTION


# %% [markdown] derivation
# In one row, y[k] = e[k] / total, with e[k] = exp(x[k]) and total the sum of all e. The slope of e[c] in x[c] is e[c]
# again. So x[c] moves y[k] in two ways:
#
# - through the numerator, if k is c: slope e[c] / total = y[c];
# - through total, for every k: slope -e[k] / total² · e[c] = -y[k] · y[c].
#
# Each y[k] sends back its dy[k] times that: dx[c] = dy[c] · y[c] - (sum over k of dy[k] · y[k]) · y[c], or
# dx = y * (dy - sum of dy * y). The idea: softmax does not notice when all x of a row grow alike, so each row of dx
# has to add up to 0. What is taken off dy is its mean, weighted with y, and that makes it so. The largest x, which
# forward takes off, needs no gradient of its own: y does not depend on how much is taken off.

# %% [markdown]
# ## Log softmax, forward
#
# Write the logarithm of the fraction as a difference, and log(exp(...)) vanishes.


# %%
def log_softmax(x):
    """y[n, c] = x[n, c] - log(sum over k of exp(x[n, k])).   x (N, C) -> y (N, C), cache"""
    # TODO: y, finite for logits of 1000 and more, however far apart, and what the backward will have to know
    ### BEGIN SOLUTION
    shifted = x - x.max(axis=1, keepdims=True)
    y = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return y, y
    ### END SOLUTION


# %% [markdown]
# ## Log softmax, backward


# %%
def log_softmax_backward(dy, cache):
    """As with softmax, every x of a row moves every y of that row.   dy (N, C) -> dx (N, C)"""
    # TODO: dx
    ### BEGIN SOLUTION
    y = cache
    return dy - np.exp(y) * dy.sum(axis=1, keepdims=True)
    ### END SOLUTION


# %% [markdown] derivation
# In one row, y[c] = x[c] - log(total). The first term has slope 1 in its own x. The second has the slope
# e[k] / total = p[k] in x[k], where p is the softmax of the row, and it is taken off every y. So x[k] receives dy[k]
# from the first term, and -p[k] · dy[c] from each c through the second: dx = dy - p * (sum of dy). No division is
# left, and p is exp(y), since y = log(p). For y, no probability is needed: after the largest x is taken off, the sum
# of exp is at least exp(0) = 1, so its logarithm is always finite.

# %% [markdown]
# ## Cross entropy: the targets
#
# Two options make the loss more than a mean of -log p[label]. *Class weights*, one for each class, let rare classes
# count more; the mean becomes a weighted one. *Label smoothing* s leaves 1 - s for the label and shares s equally among
# all C classes, so that the network is never asked to be perfectly sure.
#
# This is bookkeeping, and it is done for you: row n of `targets` holds how much each class counts in sample n, already
# divided by N (or, with class weights, by the sum of the weights of all labels). What is left is one line of
# mathematics:
#
# loss = -sum over n, c of target[n, c] * log_softmax(logits)[n, c]
#
# In the example by hand there are no options, and the targets are (1/2, 0) and (0, 1/2). A row of targets need not add
# up to 1, and neither need all of them together. The targets do not depend on the values of the logits: they are
# constants.


# %%
def targets(logits, labels, class_weight=None, label_smoothing=0.0):
    """logits (N, C), labels (N,), class_weight (C,) or None -> (N, C), of the dtype of logits"""
    N, C = logits.shape
    weight = np.ones(C) if class_weight is None else class_weight
    target = np.full((N, C), label_smoothing / C)  # every class has its share of the smoothing,
    target[np.arange(N), labels] += 1 - label_smoothing  # and the label has the rest
    target *= weight / weight[labels].sum()  # the weighted mean; without weights, divided by N
    return target.astype(logits.dtype)


# %% [markdown]
# ## Cross entropy, forward


# %%
def cross_entropy(logits, labels, *, class_weight=None, label_smoothing=0.0):
    """loss = -sum over n, c of target[n, c] * log_softmax(logits)[n, c].

    logits (N, C), labels (N,) integers, class_weight (C,) or None -> loss, a scalar, cache
    """
    target = targets(logits, labels, class_weight, label_smoothing)  # (N, C)
    # TODO: the loss, from target and what you have already, and what the backward will have to know
    ### BEGIN SOLUTION
    log_p, log_softmax_cache = log_softmax(logits)
    return -(target * log_p).sum(), (target, log_softmax_cache)
    ### END SOLUTION


# %% [markdown]
# ## Cross entropy, backward


# %%
def cross_entropy_backward(dy, cache):
    """Forward upside down: from the loss to log p, and from log p to the logits.   dy a number -> dlogits (N, C)"""
    # TODO: dlogits
    ### BEGIN SOLUTION
    target, log_softmax_cache = cache
    dlog_p = -dy * target  # (N, C)
    return log_softmax_backward(dlog_p, log_softmax_cache)
    ### END SOLUTION


# %% [markdown] derivation
# Forward takes two steps: log_p = log_softmax(logits), loss = -sum of target * log_p. Backward takes them in reverse.
# The loss has slope -target[n, c] in log_p[n, c], so dlog_p = -dy * target. The second step is there already:
#
# dlogits = dlog_p - p * (sum of dlog_p) = dy * (p * (sum of target) - target), with sums over the row.
#
# Without options a row of targets is 1/N at the label and adds up to 1/N, which leaves dy * (p - onehot) / N: the
# prediction minus the truth. That is why softmax and cross entropy belong together. Going through softmax_backward
# instead would divide by p, to multiply by p again one line later, and p may be 0.

# %% [markdown] hints
# 1. In a row, every y depends on every x, because all of them are in the sum. So each x has two ways to y[c]: its own
#    term (only if it is x[c]), and the sum (always). Cross entropy adds nothing new: write its forward as two steps,
#    and its backward as the same two in reverse.
# 2. Softmax: the slope of y[k] in x[c] is y[k] * ([k is c] - y[c]). Log softmax: it is [k is c] - p[c]. Multiply with
#    dy[k], and sum over k. The loss has slope -target in log p.
# 3. Maxima and sums over a row want `axis=1, keepdims=True`: (N, 1), which broadcasts against (N, C). All that the
#    first two backwards need is in y (N, C), since p = exp(log p). dlog_p is (N, C) as well: a number times target.

# %%
if __name__ == "__main__":  # the example by hand: run this file
    logits, labels = np.array([[0.0, np.log(3)], [1000.0, 1000.0]]), np.array([0, 1])
    dy = np.array([[1.0, 0.0], [0.0, 0.0]])
    p, cache = softmax(logits)
    np.testing.assert_allclose(p, [[1 / 4, 3 / 4], [1 / 2, 1 / 2]])
    np.testing.assert_allclose(softmax_backward(dy, cache), [[3 / 16, -3 / 16], [0, 0]])
    log_p, cache = log_softmax(logits)
    np.testing.assert_allclose(log_p, np.log([[1 / 4, 3 / 4], [1 / 2, 1 / 2]]))
    np.testing.assert_allclose(log_softmax_backward(dy, cache), [[3 / 4, -3 / 4], [0, 0]])
    loss, cache = cross_entropy(logits, labels)
    np.testing.assert_allclose(loss, 1.5 * np.log(2))
    np.testing.assert_allclose(cross_entropy_backward(1.0, cache), [[-3 / 8, 3 / 8], [1 / 4, -1 / 4]])

    loss, cache = cross_entropy(np.array([[1000.0, 0.0]]), np.array([1]))  # a probability that is 0
    np.testing.assert_allclose(loss, 1000)
    np.testing.assert_allclose(cross_entropy_backward(1.0, cache), [[1, -1]])
    print("the example by hand agrees")
