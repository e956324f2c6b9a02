# %% [markdown]
# # 4. Batch normalisation
#
# **Question:** batch norm pulls every channel of a layer to mean 0 and variance 1. Then every pixel depends on every
# other pixel of the batch. What is the gradient of *that*?
#
# It is the one backward of a ResNet that is hard to guess, and the one that most people get wrong. It has three paths
# and ends in one short line.

# %%
import inspect

import numpy as np

from numpy_resnet import gradcheck, layers, ops, plots, reference

rng = np.random.default_rng(0)


def show(name, values):
    print(f"{name:<22}", "  ".join(f"{value:7.3f}" for value in np.ravel(values)))


# %% [markdown]
# ## Why anybody wants it
#
# A layer multiplies. If its weights are a little too large, its output is larger than its input; after twenty layers
# that is a factor to the power of twenty. Nobody can choose the weights at the beginning so well that they stay right
# while all of them change. Below, twenty 3x3 convolutions with ReLU (chapter 3), whose weights are 1.5 times too large:
# with batch norm between convolution and ReLU, and without. The standard deviation of the output, layer by layer:

# %%
x = rng.standard_normal((4, 8, 8, 8))
spread = {"without": [], "with batch norm": []}
for name, stds in spread.items():
    h = x
    for depth in range(20):
        weight = np.random.default_rng(depth).standard_normal((8, 8, 3, 3)) * 1.5 * np.sqrt(2 / (8 * 9))
        h, _ = ops.conv2d(h, weight, padding=1)
        if name == "with batch norm":
            h, _ = ops.batchnorm2d(h, np.ones(8), np.zeros(8))
        h, _ = ops.relu(h)
        stds.append(h.std())

figure = plots.page(8, 3.6)
axes = figure.subplots()
for (name, stds), color in zip(spread.items(), (plots.VERMILLION, plots.BLUE), strict=True):
    axes.semilogy(range(1, 21), stds, color=color, lw=2.5)
    axes.text(20.4, stds[-1], name, color=color, fontsize=12, va="center")
axes.set_title("Weights 1.5 times too large: the output grows with every layer", loc="left", fontsize=13)
axes.set_xlabel("layer", fontsize=12)
axes.set_ylabel("standard deviation", fontsize=12)
axes.set(xlim=(0, 27), xticks=(1, 5, 10, 15, 20))
axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# That is what batch norm does. *Why it helps* training as much as it does is another question. Ioffe & Szegedy 2015,
# who invented it, said that it keeps the distribution of each layer's input from shifting ("internal covariate shift").
# Santurkar et al. 2018 added such a shift on purpose, after batch norm, and training was still as good; they find that
# the loss becomes smoother. Take the first story as history, not as an explanation.
#
# ## By hand
#
# For each channel there are M = N·H·W values: all pixels of all images in the batch. From these come mean and variance,
#
# $$ mean = \frac{1}{M} \sum x, \qquad var = \frac{1}{M} \sum (x - mean)^2, \qquad std = \sqrt{var + eps} $$
#
# and then, with two parameters for each channel, weight and bias,
#
# $$ \hat{x} = \frac{x - mean}{std}, \qquad y = weight \cdot \hat{x} + bias $$
#
# eps is tiny (1e-5) and only there in case var is zero; for the example it is 0. weight and bias give back to the
# network what was taken away: with weight = std and bias = mean, y is x again. One channel, one image of 2x2 pixels:

# %%
x = np.array([1.0, 7, 9, 15]).reshape(1, 1, 2, 2)
weight, bias = np.array([10.0]), np.array([2.0])
y, cache = ops.batchnorm2d(x, weight, bias, eps=0.0)
x_hat = (x - 8) / 5
show("x", x)
show("mean, std", (cache.mean[0], np.sqrt(cache.var[0])))
show("x_hat", x_hat)
show("y", y)
np.testing.assert_allclose(y, reference.batchnorm2d(x, weight, bias, eps=0.0))

# %% [markdown]
# The mean is (1 + 7 + 9 + 15) / 4 = 8, the variance (49 + 1 + 1 + 49) / 4 = 25, so std = 5. The first x_hat is (1 - 8)
# / 5 = -1.4, and the first y is 10 · (-1.4) + 2 = -12.
#
# ## The easy two: dweight and dbias
#
# dy is the gradient of the loss by y (chapter 2). weight and bias are used by every pixel of the channel, so what comes
# back from all pixels adds up:
#
# $$ dbias = \sum dy, \qquad dweight = \sum dy \cdot \hat{x} $$
#
# ## dx: three paths
#
# Move one x a little. Its own x_hat moves. But the mean moves as well, and the variance, and they move *all* x_hat of
# the channel. The picture has a factor on each arrow: by how much the end moves for each unit of the beginning.

# %%
figure = plots.diagram(
    {"x": (0.8, 2), "mean": (3.4, 3.4), "var": (3.4, 0.6), "x_hat": (6.3, 2, "x_hat\n(x - mean) / std"), "y": (9.2, 2)},
    [
        ("x", "x_hat", "1 / std", plots.BLUE),
        ("x", "mean", "1 / M", plots.VERMILLION, -0.15),
        ("mean", "x_hat", "-1 / std", plots.VERMILLION, -0.15),
        ("x", "var", "2 (x - mean) / M", plots.GREEN, 0.15),
        ("var", "x_hat", "-x_hat / (2 std²)", plots.GREEN, 0.15),
        ("x_hat", "y", "weight", plots.INK),
    ],
    title="Three paths from x to y",
)
figure

# %% [markdown]
# Backward goes against the arrows and multiplies by the same factors. Where one value was used by many, their gradients
# add up. At x_hat arrives
#
# $$ g = weight \cdot dy $$
#
# **1. Directly.** mean and std held fast, a single factor: $g / std$.
#
# **2. Through the mean.** The mean is in all M values x_hat, each time with the factor -1/std, so $dmean =
# -\frac{1}{std} \sum g$. Each x is in the mean with the factor 1/M. Together, and $\frac{1}{M} \sum g$ is mean(g):
#
# $$ -\frac{mean(g)}{std} $$
#
# **3. Through the variance.** In $\hat{x} = (x - mean) \cdot (var + eps)^{-1/2}$ the slope by var is
# $-\frac{1}{2} (x - mean)\, (var + eps)^{-3/2} = -\frac{1}{2} \hat{x} / std^2$. So
# $dvar = -\frac{1}{2\,std^2} \sum g\, \hat{x}$. Each x is in the variance with the factor $2 (x - mean) / M =
# 2\, \hat{x}\, std / M$. Together:
#
# $$ -\frac{1}{2\,std^2} \sum g\,\hat{x} \ \cdot\ \frac{2\,\hat{x}\,std}{M} = -\frac{\hat{x} \cdot
# mean(g\,\hat{x})}{std} $$
#
# (There is a fourth way, from x through the mean into the variance. Its factor is the slope of var by mean,
# $-\frac{2}{M} \sum (x - mean)$, and that is 0: the sum of what lies above the mean is the sum of what lies below.)
#
# The sum of the three, with weight, which is the same for the whole channel, in front:
#
# $$ dx = \frac{weight}{std} \big( dy - mean(dy) - \hat{x} \cdot mean(dy \cdot \hat{x}) \big) $$

# %%
dy = np.array([1.0, 0, 0, 0]).reshape(x.shape)
g, std = weight * dy, 5.0
direct = g / std
through_mean = np.full_like(g, -g.mean() / std)
through_var = -x_hat * np.mean(g * x_hat) / std
show("dy", dy)
show("1. directly", direct)
show("2. through the mean", through_mean)
show("3. through the variance", through_var)
show("the sum", direct + through_mean + through_var)
dx, dweight, dbias = ops.batchnorm2d_backward(dy, cache)
show("batchnorm2d_backward", dx)
np.testing.assert_allclose(dx, direct + through_mean + through_var, atol=1e-12)

# %% [markdown]
# By hand, for the first pixel: 10·1/5 = 2 directly; mean(g) = 2.5, so -0.5 through the mean; mean(g · x_hat) = 10 ·
# (-1.4) / 4 = -3.5, so -(-1.4) · (-3.5) / 5 = -0.98 through the variance. 2 - 0.5 - 0.98 = 0.52. The three other pixels
# have a dy of zero and get a gradient nevertheless: they share mean and variance with the first.
#
# ## What the formula says
#
# Add 1 to all x: mean takes it off again, and y does not move. Stretch all x away from their mean: std takes it off. So
# dx must have nothing in these two directions, and the formula is what is left of dy when both are taken out, the part
# along (1, 1, ..., 1) and the part along x_hat:

# %%
show("sum of dx", dx.sum())
show("sum of dx · x_hat", np.sum(dx * x_hat))

# %% [markdown]
# (With an eps above 0, stretching does move y by a trace, and the second sum is nearly zero.) In pictures, for a
# channel of 5x5 pixels and a random dy: what comes, what each path takes back, and what is left.

# %%
big_x, big_dy = rng.standard_normal((2, 1, 1, 5, 5))
_, big_cache = ops.batchnorm2d(big_x, np.ones(1), np.zeros(1))
big_hat = (big_x - big_cache.mean) / np.sqrt(big_cache.var + big_cache.eps)
parts = {
    "dy": big_dy,
    "- mean(dy)": np.full_like(big_dy, -big_dy.mean()),
    "- x_hat · mean(dy · x_hat)": -big_hat * np.mean(big_dy * big_hat),
    "sum = dx · std": ops.batchnorm2d_backward(big_dy, big_cache)[0] * np.sqrt(big_cache.var + big_cache.eps),
}
figure = plots.page(10, 3)
for axes, (name, values) in zip(figure.subplots(1, 4), parts.items(), strict=True):
    plots.cells(axes, values[0, 0], title=name, limit=np.abs(big_dy).max(), fontsize=9)
figure

# %% [markdown]
# ## The code of this package
#
# Two sums for each channel in one pass over the data, then one pass that writes dx. The docstring is the derivation's
# last line. Step into `through_statistics` to see the formula, and into `numpy_resnet/kernels/batchnorm.py` for the
# loops.

# %%
print(inspect.getsource(ops.batchnorm2d_backward))

# %% [markdown]
# ## A test that sees nothing
#
# It is tempting to check a backward with an upstream of ones, that is, with the loss L = sum of y. For batch norm this
# is the worst choice there is. The sum of y is M · bias, whatever x is! So the right dx is zero, and so is that of a
# backward that forgets a path, or has a wrong factor, or returns zeros.


# %%
def forgets_the_mean(dy, cache):
    """Path 2 is missing."""
    dx, dweight, dbias = ops.batchnorm2d_backward(dy, cache)
    M = dy[:, 0].size
    return dx + (cache.weight / np.sqrt(cache.var + cache.eps) * dbias / M)[:, None, None], dweight, dbias


def forgets_the_variance(dy, cache):
    """Path 3 is missing."""
    dx, dweight, dbias = ops.batchnorm2d_backward(dy, cache)
    std, M = np.sqrt(cache.var + cache.eps)[:, None, None], dy[:, 0].size
    x_hat = (cache.x - cache.mean[:, None, None]) / std
    return dx + cache.weight[:, None, None] / std * x_hat * (dweight / M)[:, None, None], dweight, dbias


some_x = rng.standard_normal((2, 3, 4, 4))
some_y, some_cache = ops.batchnorm2d(some_x, np.ones(3), np.zeros(3))
for name, upstream in (("ones", np.ones_like(some_y)), ("random", rng.standard_normal(some_y.shape))):
    right = ops.batchnorm2d_backward(upstream, some_cache)[0]
    wrong = forgets_the_variance(upstream, some_cache)[0]
    print(f"upstream of {name:<7} largest dx {np.abs(right).max():.3f}, without path 3 {np.abs(wrong).max():.3f}")

# %% [markdown]
# With ones both are zero, so they are equal, and a test passes. (A backward without path 2 is found even with ones, but
# only because its dx is not zero.) The doctor asks with random upstreams, and knows these mistakes by their name:

# %%
for backward, cause in ((forgets_the_mean, "mean"), (forgets_the_variance, "variance")):
    found = gradcheck.diagnose_op("batchnorm2d", ops.batchnorm2d, backward)
    print(str(found).split("Smallest")[0])
    assert not found.ok and cause in found.findings[0].cause

report = gradcheck.diagnose_op("batchnorm2d", ops.batchnorm2d, ops.batchnorm2d_backward)
print(report)
assert report.ok

# %% [markdown]
# ## Training and inference
#
# When a network is used, there may be no batch: one image comes, and its answer must not depend on whatever else is
# asked at the same time. So in training a layer keeps *running statistics*, which follow those of the batches,
#
# $$ running \leftarrow 0.9 \cdot running + 0.1 \cdot batch $$
#
# and in inference these take the place of mean and var. The 0.1 is called the *momentum* (not that of chapter 9). Two
# conventions hide here. y is normalised with the variance that divides by M; the running variance is fed with the one
# that divides by M - 1, which on average is that of the population (*unbiased*). And other libraries write 0.9 where
# this one and PyTorch write 0.1. The values of the batches come from a normal distribution, mean 3, variance 4:

# %%
layer = layers.BatchNorm2d(1, dtype=np.float64)
seen = []
for _ in range(60):
    layer.forward(rng.normal(3, 2, (2, 1, 4, 4)))
    seen.append([layer.buffers[key][0] for key in ("running_mean", "running_var")])
print({key: round(float(np.squeeze(value)), 3) for key, value in layer.buffers.items()})

figure = plots.page(8, 3.6)
axes = figure.subplots()
for values, truth, color, name in zip(
    np.transpose(seen), (3, 4), (plots.BLUE, plots.VERMILLION), ("mean", "var"), strict=True
):
    axes.plot(range(1, 61), values, color=color, lw=2)
    axes.axhline(truth, color=color, lw=1, ls=":")
    axes.text(61, values[-1], f"running_{name}", color=color, fontsize=12, va="center")
axes.set_title("Running statistics find the true ones (dotted), and never rest", loc="left", fontsize=13)
axes.set_xlabel("batches", fontsize=12)
axes.set(xlim=(0, 76), xticks=(0, 20, 40, 60))
axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# In inference mean and std are constants. Two of the three paths are gone, and dx = weight / std · dy. What is left is
# one factor and one number to add for each channel, which can be folded into the convolution before it: that is what
# `model.compile_inference()` does (chapter 11).
#
# In training a channel with a single value has no variance, and this library says so instead of dividing by zero:

# %%
layer.eval()
fixed = layer.forward(np.full((1, 1, 1, 1), 3.0))  # one value, no batch: no matter
show("inference of a single 3", fixed)
try:
    layer.train().forward(np.full((1, 1, 1, 1), 3.0))
except ValueError as error:
    print("training:", error)
else:
    raise AssertionError("a single value has no variance")

# %% [markdown]
# ## Where batch norm stands in a ResNet
#
# After every convolution and before the ReLU, also on the projection shortcut of a convolution block, whose 1x1
# convolution is one like any other (chapter 5). On an identity shortcut there is none. That is on purpose: He et al.
# 2016 ("Identity mappings in deep residual networks", section 3) tried scaling, gates, 1x1 convolutions and dropout
# there, and the error rose with each. Whatever stands on the shortcut stands in the way of the gradient.
#
# A convolution before batch norm needs no bias: the mean takes it off again.
#
# **Predict, then run:**
#
# 1. x becomes 3·x + 100. What happens to y (eps = 0)? To dx, for the same dy?
# 2. What is dx for a dy that is x_hat itself, with eps = 0?
# 3. N = 1 and 1x1 pixels cannot be trained. N = 2 and 1x1 can. What are the two x_hat, whatever x is? And dx?
#
# <details><summary>Answers</summary>
#
# 1. y stays the same. dx is a third: std is three times as large, and x_hat is the same.
# 2. Zero. mean(x_hat) = 0 and mean(x_hat · x_hat) = 1, so the formula is x_hat - 0 - x_hat · 1.
# 3. With eps = 0: -1 and 1, by which of the two is larger. Nothing but that is left of x, so dx is zero. (Try it with
#    `np.array([2.0, 7.0]).reshape(2, 1, 1, 1)`.) A batch should be large.
#
# </details>

# %% [markdown]
# ## Now you
#
# ```
# numpy-resnet exercises start mine --only batchnorm_forward batchnorm_backward
# ```
#
# - `batchnorm_forward`: both modes, and the running statistics with their two variances.
# - `batchnorm_backward`: first each step of the forward reversed, then the one line. An hour, and worth it.
#
# **Next:** [The residual block](05_residual_block.py): all of this twice, and a way around it.
