# %% [markdown]
# # 4. Batch normalisation
#
# **Question:** batch norm pulls every channel of a layer to mean 0 and variance 1. Then every pixel depends on every
# other pixel of the batch. What is the gradient of *that*?
#
# It is the one backward of a ResNet that is hard to guess, and where a path is easily forgotten. It has three of them,
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
# A layer multiplies. If its weights are a little too large, its output is larger than its input, and after twenty
# layers that is a factor to the power of twenty. Nobody can choose the weights at the beginning so well that they stay
# right while all of them change. Below, twenty 3x3 convolutions with ReLU (chapter 3). An output is a sum of C·9
# products, and ReLU takes half of the mean square away, so weights of standard deviation sqrt(2 / (C·9)) keep the scale
# (He et al. 2015, "Delving deep into rectifiers", section 2.2). We take 1.5 times that, once with batch norm between
# convolution and ReLU and once without. We look *behind the ReLU*: of numbers of mean 0 and variance 1 it makes a mean
# of 0.40 and a deviation of 0.58. (Without batch norm the factor is a little below 1.5: the zeros of the padding.)

# %%
x, C = rng.standard_normal((4, 16, 8, 8)), 16
outputs = {"without": [], "with batch norm": []}
for name, seen in outputs.items():
    h = x
    for depth in range(20):
        weight = np.random.default_rng(depth).normal(0, 1.5 * np.sqrt(2 / (C * 9)), (C, C, 3, 3))
        h, _ = ops.conv2d(h, weight, padding=1)
        if name == "with batch norm":
            h, _ = ops.batchnorm2d(h, np.ones(C), np.zeros(C))
        h, _ = ops.relu(h)
        seen.append((h.mean(), h.std()))
    print(name)
    for depth in (1, 5, 10, 20):
        print(f"   layer {depth:<2}  mean {seen[depth - 1][0]:7.2f}  standard deviation {seen[depth - 1][1]:7.2f}")

# %%
figure = plots.page(8, 3.6)
axes = figure.subplots()
for (name, seen), color in zip(outputs.items(), (plots.VERMILLION, plots.BLUE), strict=True):
    stds = [std for _, std in seen]
    axes.semilogy(range(1, 21), stds, color=color, lw=2.5)
    axes.text(20.4, stds[-1], name, color=color, fontsize=12, va="center")
axes.set_title("Weights 1.5 times too large: each layer has another scale", loc="left", fontsize=13)
axes.set_xlabel("layer", fontsize=12)
axes.set_ylabel("standard deviation", fontsize=12)
axes.set(xlim=(0, 27), xticks=(1, 5, 10, 15, 20))
axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# That is what batch norm does. *Why it helps* training as much as it does is another question. Ioffe & Szegedy 2015,
# who invented it, said that it keeps the distribution of each layer's input from shifting ("internal covariate shift").
# Santurkar et al. 2018 added such a shift on purpose, behind batch norm, and training was nearly as good; they find
# that the loss becomes smoother. Take the first story as history, not as an explanation.
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
# add up. At x_hat arrives dx_hat, for which we write g:
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
show("dweight, dbias", (dweight[0], dbias[0]))
np.testing.assert_allclose(dx, direct + through_mean + through_var, atol=1e-12)

# %% [markdown]
# By hand, for the first pixel. Directly: 10·1/5 = 2. Through the mean: mean(g) = 10/4 = 2.5, so -2.5/5 = -0.5. Through
# the variance: mean(g · x_hat) = 10 · (-1.4)/4 = -3.5, so -(-1.4) · (-3.5)/5 = -0.98. And 2 - 0.5 - 0.98 = 0.52. The
# three other pixels have a dy of zero and get a gradient nevertheless: they share mean and variance with the first.
#
# Is each path right by itself? `batchnorm2d_inference` takes mean and variance as arguments. So x can be handed over in
# three copies, of which only one moves: the pixels, what the mean is taken of, or what the variance is taken of.


# %%
def slopes_of_one_path(moving):
    """The slopes of sum(dy * y) by each x, by central differences; only the copy `moving` of x moves."""
    found = np.zeros(x.size)
    for i in range(x.size):
        for step in (1e-5, -1e-5):
            pixels, for_mean, for_var = (x.copy() for _ in range(3))
            (pixels, for_mean, for_var)[moving].flat[i] += step
            statistics = np.array([for_mean.mean()]), np.array([for_var.var()])
            y, _ = ops.batchnorm2d_inference(pixels, weight, bias, *statistics, eps=0.0)
            found[i] += np.sum(dy * y) / (2 * step)
    return found


for moving, path in enumerate((direct, through_mean, through_var)):
    show(f"path {moving + 1}, by differences", slopes_of_one_path(moving))
    np.testing.assert_allclose(slopes_of_one_path(moving), path.ravel(), atol=1e-6)

# %% [markdown]
# ## What the formula says
#
# Add 1 to all x: mean takes it off again, and y does not move. Stretch all x away from their mean: std takes it off.
# The slope of the loss along a direction v is the sum of dx · v. Along these two it is 0, so sum(dx) = 0 and sum(dx ·
# x_hat) = 0. The formula is what is left of dy when both directions are taken out, the part along (1, 1, ..., 1) and
# the part along x_hat. It is a *projection*: once it is done, doing it again changes nothing but the factor weight /
# std in front, which is 10/5 = 2 here.

# %%
show("sum of dx", dx.sum())
show("sum of dx · x_hat", np.sum(dx * x_hat))
show("once more, / dx", ops.batchnorm2d_backward(dx, cache)[0] / dx)

# %% [markdown]
# With an eps above 0 the second sum is not quite zero. Stretching does move y by a trace then, since var / (var + eps)
# is a little below 1, and the gradient is right to say so. The sum of x_hat is 0, that of x_hat² is M · var / (var +
# eps). So sum(dx · x_hat) = weight / std · dweight · (1 - var / (var + eps)), which is
# $\frac{weight}{std} \cdot dweight \cdot \frac{eps}{var + eps}$.

# %%
_, with_eps = ops.batchnorm2d(x, weight, bias, eps=1e-5)
eps, std_eps = with_eps.eps, np.sqrt(with_eps.var + with_eps.eps)
dx_eps, dweight_eps, _ = ops.batchnorm2d_backward(dy, with_eps)
found, predicted = np.sum(dx_eps * (x - 8) / std_eps), (weight / std_eps * dweight_eps * eps / std_eps**2)[0]
print(f"eps = {eps:g}: sum of dx {dx_eps.sum():.1e}, sum of dx · x_hat {found:.3e}, predicted {predicted:.3e}")
np.testing.assert_allclose(found, predicted, rtol=1e-3)

# %% [markdown]
# In pictures, for a channel of 4x4 pixels and a random dy: what comes, what each path takes back, and what is left.

# %%
big_x, big_dy = rng.standard_normal((2, 1, 1, 4, 4))
_, big_cache = ops.batchnorm2d(big_x, np.ones(1), np.zeros(1))
big_hat = (big_x - big_cache.mean) / np.sqrt(big_cache.var + big_cache.eps)
parts = {
    "dy": big_dy,
    "- mean(dy)": np.full_like(big_dy, -big_dy.mean()),
    "- x_hat · mean(dy · x_hat)": -big_hat * np.mean(big_dy * big_hat),
    "sum = dx · std": ops.batchnorm2d_backward(big_dy, big_cache)[0] * np.sqrt(big_cache.var + big_cache.eps),
}
figure = plots.page(10, 3.1)
for axes, (name, values) in zip(figure.subplots(1, 4), parts.items(), strict=True):
    plots.cells(axes, np.round(values[0, 0], 2), title=name, limit=np.abs(big_dy).max(), fontsize=11)
figure

# %% [markdown]
# ## The code of this package
#
# Above it was the formula on paper; this is the op. Two sums for each channel in one pass over the data, then one pass
# that writes dx. The docstring is the derivation's last line. Step into `through_statistics` to see the formula, and
# into `numpy_resnet/kernels/batchnorm.py` for the loops.

# %%
print(inspect.getsource(ops.batchnorm2d_backward))
arguments = rng.standard_normal((2, 3, 4, 4)), rng.standard_normal(3), rng.standard_normal(3)
some_y, some_cache = ops.batchnorm2d(*arguments)
some_dy = rng.standard_normal(some_y.shape)
for mine, defined in zip(
    ops.batchnorm2d_backward(some_dy, some_cache), reference.batchnorm2d_backward(some_dy, *arguments), strict=True
):
    np.testing.assert_allclose(mine, defined, atol=1e-12)

# %% [markdown]
# ## A test that sees nothing
#
# It is tempting to check a backward with an upstream of ones, that is, with the loss L = sum of y. For batch norm this
# is the worst choice there is. The sum of y is M · bias, whatever x is! So the right dx is zero, and so is that of a
# backward that forgets path 3, or has a wrong factor in front, or returns zeros.


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


for name, upstream in (("ones", np.ones_like(some_y)), ("random", some_dy)):
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
# and in inference these take the place of mean and var. The 0.1 is called the *momentum* (not that of chapter 9). Three
# conventions hide here, and two right implementations can differ in each:
#
# - y is normalised with the variance that divides by M (*biased*). The running variance is fed with the one that
#   divides by M - 1 (*unbiased*), since it stands for the population: a batch lies closer to its own mean than to the
#   true one.
# - For some libraries, Keras for one, momentum is the share of the old. What is 0.1 here and in PyTorch is 0.9 there.
# - running_mean begins at 0 and running_var at 1. After k batches 0.9 to the power of k of that is left.
#   `num_batches_tracked` counts the k; here nothing is computed from it.

# %%
draws = rng.normal(3, 2, (10_000, 4))  # ten thousand batches of four values; the true variance is 4
print(f"on average, biased {draws.var(axis=1).mean():.2f}, unbiased {draws.var(axis=1, ddof=1).mean():.2f}")

# %% [markdown]
# A layer at work: 60 batches of 32 values, from a normal distribution of mean 3 and variance 4.

# %%
layer = layers.BatchNorm2d(1, dtype=np.float64)
seen = []
for _ in range(60):
    layer.forward(rng.normal(3, 2, (2, 1, 4, 4)))
    seen.append([layer.buffers[key][0] for key in ("running_mean", "running_var")])
for key, value in layer.buffers.items():
    show(key, value)

figure = plots.page(8, 3.6)
axes = figure.subplots()
for values, truth, color, name in zip(
    np.transpose(seen), (3, 4), (plots.BLUE, plots.VERMILLION), ("mean", "var"), strict=True
):
    axes.plot(range(1, 61), values, color=color, lw=2)
    axes.plot([0, 60], [truth, truth], color=color, lw=1.5, ls=":")
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
# After every convolution, and before the ReLU or the sum that follows. The projection of a convolution block (chapter
# 5) is a convolution, too, and has a batch norm of its own. On an identity shortcut there is none. That is on purpose:
# He et al. 2016 ("Identity mappings in deep residual networks", section 3) tried scaling, gates, 1x1 convolutions and
# dropout there, and the error of a network of 110 layers rose with each; so it did with a batch norm behind the sum
# (section 4.1). Whatever stands on the shortcut stands in the way of the gradient.
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
