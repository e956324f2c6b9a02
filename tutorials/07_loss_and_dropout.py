# %% [markdown]
# # 7. Loss, fully connected, dropout
#
# **Question:** the network has turned an image into 512 numbers. How do they become an answer, how wrong is the answer,
# and what is the gradient with which every backward begins?
#
# Three short operations at the end of the network. The last of them has the simplest gradient of all: prediction minus
# truth.

# %%
import inspect

import numpy as np

from numpy_resnet import gradcheck, layers, models, ops, plots, reference

rng = np.random.default_rng(0)
np.set_printoptions(precision=4, suppress=True)


def show(name, array):
    print(f"{name:<22} {np.array2string(np.asarray(array), separator=' ')}".replace("\n", "\n" + " " * 23))


# %% [markdown]
# ## Fully connected
#
# A *fully connected* (or *linear*) layer gives each class a score. The score is a sum of all inputs, each times a
# weight that says how much this input speaks for that class, plus a bias:
#
# $$ y[n, o] = \sum_i x[n, i] \cdot weight[o, i] + bias[o], \qquad y = x \cdot weight^T + bias $$
#
# x is (N, IN), weight (OUT, IN), bias (OUT,) and y (N, OUT). Two images, three inputs, two classes:

# %%
x = np.array([[1.0, 2, 0], [0, 1, 3]])
weight = np.array([[1.0, 0, -1], [2, 1, 0]])
bias = np.array([0.5, 0])
y, cache = ops.linear(x, weight, bias)
show("y", y)
np.testing.assert_array_equal(y, reference.linear(x, weight, bias))

# %% [markdown]
# y[0, 1] = 1·2 + 2·1 + 0·0 + 0 = 4. Backward, index by index. Which y does weight[1, 2] move? Class 1 of every image:
# y[0, 1] with the slope x[0, 2], and y[1, 1] with the slope x[1, 2]. Each sends back its dy times its slope, and they
# add up (chapter 2): dweight[1, 2] = dy[0, 1] · x[0, 2] + dy[1, 1] · x[1, 2]. And x[0, 2] moves all classes of its own
# image, y[0, 0] with the slope weight[0, 2] and y[0, 1] with weight[1, 2]. For any n, i and o:
#
# $$ dx[n, i] = \sum_o dy[n, o] \cdot weight[o, i], \qquad dweight[o, i] = \sum_n dy[n, o] \cdot x[n, i], \qquad
# dbias[o] = \sum_n dy[n, o] $$
#
# or, as matrix products, $dx = dy \cdot weight$ and $dweight = dy^T \cdot x$. Who forgets which way round can ask the
# shapes: dweight must be (OUT, IN), and of (N, OUT) and (N, IN) only $dy^T \cdot x$ gives that. But only where the
# sizes differ. Here N and OUT are both 2, so $dy \cdot x$ has the right shape as well, and the wrong numbers.

# %%
dy = np.array([[1.0, -1], [0, 2]])
dx, dweight, dbias = ops.linear_backward(dy, cache)
show("dx", dx)
show("dweight", dweight)
show("dbias", dbias)
show("dy @ x: it fits", dy @ x)
assert (dy @ x).shape == dweight.shape
assert not np.allclose(dy @ x, dweight)
assert gradcheck.check_gradients(ops.linear, ops.linear_backward, x, weight, bias).ok
print()
print(inspect.getsource(ops.linear_backward))

# %% [markdown]
# dx[0, 0] = 1·1 + (-1)·2 = -1, and dweight[1, 2] = -1·0 + 2·3 = 6.
#
# ## From scores to probabilities
#
# The scores are called *logits*: any numbers, positive or negative. *Softmax* makes positive numbers of them whose sum
# is 1:
#
# $$ p[n, c] = \frac{\exp(logits[n, c])}{\sum_k \exp(logits[n, k])} $$
#
# Only differences count: 2 more in all logits of an image multiplies numerator and denominator by the same exp(2). The
# loss asks how much probability the right class got. *Cross entropy* is its negative logarithm, averaged over the
# batch:
#
# $$ loss = -\frac{1}{N} \sum_n \log p[n, label[n]] $$
#
# Being sure and right costs nothing, log 1 = 0. A guess among ten classes costs log 10 = 2.30, which is what an
# untrained network for digits should begin with. Being sure and wrong costs without limit. Two images, three classes:

# %%
logits = np.log([[1.0, 2, 5], [4, 4, 2]])  # so that exp(logits) are these numbers
labels = np.array([2, 0])
p, _ = ops.softmax(logits)
loss, cache = ops.cross_entropy(logits, labels)
show("exp(logits)", np.exp(logits))
show("their sums", np.exp(logits).sum(axis=1))
show("p", p)
show("-log p", -np.log(p))
print(f"loss                   {loss:.4f} = (-log {p[0, 2]:.3f} - log {p[1, 0]:.3f}) / 2")
np.testing.assert_allclose(loss, -(np.log(0.625) + np.log(0.4)) / 2)

# %% [markdown]
# The first row sums to 8, so p[0] is 1/8, 2/8, 5/8; the second sums to 10.
#
# ## The gradient of both together
#
# Write the loss of one image with the logarithm of the fraction taken apart, and z for its logits:
#
# $$ -\log p[label] = -\log \frac{\exp(z[label])}{\sum_k \exp(z[k])} = -z[label] + \log \sum_k \exp(z[k]) $$
#
# The first term has the slope -1 in z[label] and 0 in all others. In the second, the slope of log S is 1/S, and of the
# sum S only one term moves with z[c], with the slope exp(z[c]). By the chain rule
#
# $$ \frac{1}{\sum_k \exp(z[k])} \cdot \exp(z[c]) = p[c] $$
#
# Together that is p[c], less 1 if c is the label. With the mean over the batch, and *onehot* for a 1 at the label and 0
# elsewhere:
#
# $$ dlogits = \frac{p - onehot}{N} $$
#
# Prediction minus truth. Every row sums to 0: what one class gains, others lose.

# %%
dlogits = ops.cross_entropy_backward(1.0, cache)
show("p - onehot", p - np.eye(3)[labels])
show("dlogits", dlogits)
np.testing.assert_allclose(dlogits, (p - np.eye(3)[labels]) / 2)

report = gradcheck.diagnose_op("cross_entropy", ops.cross_entropy, ops.cross_entropy_backward)
print(report)
assert report.ok

# %% [markdown]
# This is where every backward of a network begins, with dy = 1, since the slope of the loss by the loss is 1. And it
# does not fade when the network is wrong. Below, two classes, as a function of how far the right logit is ahead of the
# other. Beside it the squared error (1 - p)², p that of the right class. Its slope by the right logit is, by the chain
# rule, -2 (1 - p) · p (1 - p), and the factor p is nearly 0 just where the answer is most wrong.

# %%
margin = np.linspace(-8, 8, 161)
both = np.stack([margin, np.zeros_like(margin)], axis=1)  # (161, 2), class 0 is right
losses = -ops.log_softmax(both)[0][:, 0]
slopes = ops.softmax(both)[0][:, 0] - 1
squares = -2 * slopes**2 * (slopes + 1)  # of (1 - p)^2
figure = plots.page(10, 3.6)
left, right = figure.subplots(1, 2)
left.plot(margin, losses, color=plots.BLUE, lw=2.5)
left.set_title("loss: a straight line where it is wrong", loc="left", fontsize=13)
right.plot(margin, slopes, color=plots.BLUE, lw=2.5)
right.plot(margin, squares, color=plots.VERMILLION, lw=2.5)
right.text(1.0, -0.6, "cross entropy: p - 1", color=plots.BLUE, fontsize=12)
right.text(-7.9, -0.36, "squared error:\nhopeless cases\nlearn nothing", color=plots.VERMILLION, fontsize=12)
right.set_title("its slope by the right logit", loc="left", fontsize=13)
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("right logit - other logit", fontsize=12)
    axes.tick_params(labelsize=11)
figure

# %% [markdown]
# ## Why softmax and logarithm are one operation here
#
# On paper it does not matter whether they are two steps. In a computer it does, for two reasons. The first: exp(1000)
# is more than float64 can hold, and exp(89) more than float32. Both become infinite, and inf / inf is not a number
# (nan). `ops.softmax` takes the largest logit of each row off first. That changes nothing, since only differences
# count, and exp is never asked for more than exp(0).

# %%
large = np.array([[1000.0, 1000.0]])
with np.errstate(all="ignore"):
    e = np.exp(large)
    show("as on paper", e / e.sum(axis=1, keepdims=True))
show("ops.softmax", ops.softmax(large)[0])

# %% [markdown]
# The second: a careful softmax is not enough. A probability that rounds to 0 has no logarithm, and it rounds to 0 where
# the network is wrong and sure of it, which is where the gradient matters most. Backward in two steps begins with -1/p
# at the label and goes on through `ops.softmax_backward`. In float32:


# %%
def two_steps(logits, labels):
    rows = np.arange(len(labels))
    p, cache = ops.softmax(logits)
    dp = np.zeros_like(p)
    dp[rows, labels] = -1 / p[rows, labels] / len(rows)
    return -np.log(p[rows, labels]).mean(), ops.softmax_backward(dp, cache)


np.testing.assert_allclose(two_steps(logits, labels)[1], dlogits)  # on paper it does not matter
for z in ([2, 0], [200, 0], [1e4, -1e4]):
    row, label = np.array([z], np.float32), np.array([1])
    with np.errstate(all="ignore"):
        naive, naive_gradient = two_steps(row, label)
    one, cache = ops.cross_entropy(row, label)
    gradient = ops.cross_entropy_backward(1.0, cache)
    print(f"logits {z}, label 1")
    print(f"   two steps  loss {naive:9.2f}   dlogits {naive_gradient[0]}")
    print(f"   one op     loss {one:9.2f}   dlogits {gradient[0]}")
    assert np.isfinite(one) and np.isfinite(gradient).all()

# %% [markdown]
# With p = 0 the loss is -log 0, and backward multiplies 1/0 by 0. In one op neither a logarithm of a probability nor a
# division by one is left. It takes the largest logit off, as softmax does, and then the logarithm of the sum, which is
# at least exp(0) = 1. This is called *log-sum-exp*:
#
# $$ \log p[c] = (z[c] - max) - \log \sum_k \exp(z[k] - max) $$
#
# ## Two options
#
# *Label smoothing* s leaves 1 - s for the label and gives s/C to each of the C classes, so that the network is never
# asked to be perfectly sure (Szegedy et al. 2016, section 7). *Class weights* let rare classes count more (chapter 10);
# the mean becomes a weighted one. Both only change what stands in the place of onehot / N. Below, with s = 0.3, the
# label gets 0.7 + 0.1 and the others 0.1. With weights 3, 1, 1 the second image, of class 0, has 3/4 of the say, the
# first 1/4.

# %%
for options in ({"label_smoothing": 0.3}, {"class_weight": np.array([3.0, 1, 1])}):
    loss, cache = ops.cross_entropy(logits, labels, **options)
    show(next(iter(options)), cache.target)
    np.testing.assert_allclose(loss, reference.cross_entropy(logits, labels, **options))
    defined = reference.cross_entropy_backward(1.0, logits, labels, **options)
    np.testing.assert_allclose(ops.cross_entropy_backward(1.0, cache), defined)

# %% [markdown]
# ## Dropout
#
# A network with millions of parameters can learn its images by heart. *Dropout* (Srivastava et al. 2014) makes that
# harder: in training each input is dropped, set to zero, with probability p, so that no later layer can rely on a
# single one of them. What is kept is scaled by 1/(1 - p): then on average nothing changes, and in inference there is
# nothing to do. (This is called *inverted* dropout. p is the probability of being dropped; the p of softmax is
# another.)
#
# $$ y = \frac{x \cdot keep}{1 - p}, \qquad dx = \frac{dy \cdot keep}{1 - p} $$
#
# y is linear in x, and backward is the same map again, with the same mask `keep`. The mask is an argument of the op
# (the layer draws it), so that forward and backward are plain functions, and can be checked.

# %%
x = np.array([[3.0, 1, 4, 1, 5]])
keep = np.array([[True, False, True, True, False]])
y, cache = ops.dropout(x, keep, p=0.4)
show("x", x)
show("y", y)
show("dx of ones", ops.dropout_backward(np.ones_like(y), cache))

# %% [markdown]
# 3 / (1 - 0.4) = 5. On average over all masks, y is 0 with probability p and x / (1 - p) with probability 1 - p:
#
# $$ E[y] = p \cdot 0 + (1 - p) \cdot \frac{x}{1 - p} = x $$
#
# Over many masks the mean of y goes to x, here for the last of the five numbers:

# %%
draws, _ = ops.dropout(np.full(20_000, 5.0), rng.random(20_000) >= 0.4, p=0.4)
figure = plots.page(8, 3.2)
axes = figure.subplots()
axes.semilogx(np.arange(1, 20_001), np.cumsum(draws) / np.arange(1, 20_001), color=plots.BLUE, lw=2.5)
axes.axhline(5, color=plots.QUIET, ls=":")
axes.set_title(f"The mean of y: each draw is 0 or {5 / 0.6:.2f}, and on average it is x = 5", loc="left", fontsize=13)
axes.set_xlabel("draws", fontsize=12)
axes.tick_params(labelsize=11)
axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# The layer draws a new mask for each forward in training, keeps it for backward, and in evaluation gives x back:

# %%
layer, x = layers.Dropout(0.4, rng=np.random.default_rng(0)), np.ones((1, 8))
show("training, y", layer.forward(x))
show("training, dx of ones", layer.backward(np.ones_like(x)))
layer.eval()
show("evaluation, y", layer.forward(x))
np.testing.assert_array_equal(layer.forward(x), x)

# %% [markdown]
# ## Dropout in a ResNet?
#
# He et al. 2015 use none (section 3.4, following Ioffe & Szegedy 2015): batch norm makes some noise already, since each
# image is normalised with the others of its batch. Where dropout is wanted, it stands once, between average pool and
# the last layer, where no batch norm follows: `resnet18(dropout=0.3)`.

# %%
model = models.resnet18(num_classes=10, dropout=0.3)
print("the end of the network:", ", ".join(name for name, _ in list(model.named_layers())[-3:]))

# %% [markdown]
# Before a batch norm it does harm. It keeps the mean but not the variance: what is kept is larger. E[y²] is
# (1 - p) · E[x²] / (1 - p)², and the variance of anything is the mean of its squares less the square of its mean, so
#
# $$ var(y) = \frac{E[x^2]}{1 - p} - mean(x)^2 = \frac{var(x) + mean(x)^2}{1 - p} - mean(x)^2 $$
#
# For mean 1, variance 1 and p = 0.5 that is 2/0.5 - 1 = 3. So batch norm learns a running variance in training that is
# wrong in inference, where nothing is dropped (Li et al. 2019, "Understanding the disharmony between dropout and batch
# normalization by variance shift"):

# %%
x = rng.standard_normal((64, 1, 16, 16)) + 1
dropped, _ = ops.dropout(x, rng.random(x.shape) >= 0.5, p=0.5)
print(f"mean     {x.mean():.2f}, with dropout {dropped.mean():.2f}")
print(f"variance {x.var():.2f}, with dropout {dropped.var():.2f}: what the running variance becomes")
normalised, _ = ops.batchnorm2d_inference(
    x, np.ones(1), np.zeros(1), np.array([dropped.mean()]), np.array([dropped.var()])
)
print(f"so in inference the output has a standard deviation of {normalised.std():.2f} instead of 1")
np.testing.assert_allclose(dropped.var(), (x.var() + x.mean() ** 2) / 0.5 - x.mean() ** 2, rtol=0.05)

# %% [markdown]
# ## The doctor
#
# Two mistakes that train all the same: a loss whose gradient is not divided by N (the learning rate is N times too
# large, and depends on the batch), and a dropout that does not scale on the way back.


# %%
def forgets_the_mean(dy, cache):
    return ops.cross_entropy_backward(dy, cache) * len(cache.log_p)


def forgets_to_scale(dy, cache):
    return dy * cache.keep


for op, f, wrong in (
    ("cross_entropy", ops.cross_entropy, forgets_the_mean),
    ("dropout", ops.dropout, forgets_to_scale),
):
    found = gradcheck.diagnose_op(op, f, wrong)
    first = found.findings[0]
    print(f"{op}: {found.verdict}, {first.cause}\n  {first.evidence}\n  {first.advice}\n")
    assert found.verdict == "WRONG"

# %% [markdown]
# **Predict, then run:**
#
# 1. All logits of an image grow by 3. What happens to p, to the loss, to dlogits?
# 2. A batch holds the same image twice. How does the loss of the batch differ from that of one, and how does dlogits?
# 3. Dropout with p = 0.5 twice in a row, with masks of their own. Which p is that together, and which scale?
#
# <details><summary>Answers</summary>
#
# 1. Nothing at all: only differences count.
# 2. The loss is the same, a mean of two equal numbers. Each of the two rows of dlogits is half as large.
# 3. A number survives both with probability 1/4, so it is p = 0.75, and the scale is 2 · 2 = 4 = 1/(1 - 0.75).
#
# </details>

# %% [markdown]
# ## Now you
#
# ```
# numpy-resnet exercises start mine --only linear cross_entropy dropout
# ```
#
# - `linear`: one product forward, two backward.
# - `cross_entropy`: softmax, log softmax and the loss, with logits of 1e4 among the questions.
# - `dropout`: the mask goes both ways, and so does the scale.
#
# **Next:** [Checking gradients](08_checking_gradients.py): how do we know that any of this is right?
