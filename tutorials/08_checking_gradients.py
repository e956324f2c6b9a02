# %% [markdown]
# # 8. Checking gradients
#
# **Question:** a wrong gradient does not crash. The network trains, only worse, and nobody notices for weeks. How does
# one know that a backward is right?
#
# The answer is old: move the input a little and look. This chapter is about everything that can go wrong with that.

# %%
import json
from pathlib import Path

import numpy as np

import numpy_resnet
from numpy_resnet import gradcheck, ops, plots

rng = np.random.default_rng(0)

# %% [markdown]
# ## A slope from two values
#
# The slope of f at x is what (f(x + h) - f(x)) / h goes to for a small h. How far is it off? Taylor's formula says
#
# $$ f(x \pm h) = f(x) \pm h f'(x) + \frac{h^2}{2} f''(x) \pm \frac{h^3}{6} f'''(x) + \ldots $$
#
# so the *forward difference* is off by about $\frac{h}{2} f''(x)$. Take f(x + h) - f(x - h) instead, and the term with
# $h^2$ cancels:
#
# $$ \frac{f(x + h) - f(x - h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + \ldots $$
#
# This *central difference* costs two evaluations and is off by $h^2$ instead of h. By hand: f(x) = x³ at 1 has the
# slope 3. With h = 0.1 the forward difference is (1.331 - 1) / 0.1 = 3.31, the central one (1.331 - 0.729) / 0.2 =
# 3.01.

# %%
for h in (0.1, 0.01):
    forward, central = ((1 + h) ** 3 - 1) / h, ((1 + h) ** 3 - (1 - h) ** 3) / (2 * h)
    print(f"h {h:<5} forward {forward:.4f}, off by {forward - 3:.4f}   central {central:.6f}, off by {central - 3:.6f}")

# %% [markdown]
# ## How small is small? The V
#
# A smaller h is better only for a while. A computer keeps about 16 digits in float64 and 7 in float32. f(x + h) and f(x
# - h) agree in all but the last few of them; their difference is what is left, and dividing by h enlarges its error: to
# about eps · |f| / h, with eps = 2e-16 or 1e-7. One error falls with h, the other rises. Here for exp at 1:


# %%
def errors(steps, dtype):
    """Relative errors of forward and central differences of exp at 1."""
    x, steps = np.asarray(1, dtype), steps.astype(dtype)
    forward = (np.exp(x + steps) - np.exp(x)) / steps
    central = (np.exp(x + steps) - np.exp(x - steps)) / (2 * steps)
    return [np.abs(slope.astype(float) / np.e - 1) + 1e-17 for slope in (forward, central)]


steps = np.logspace(-13, 0, 131)
figure = plots.page(9, 4.6)
axes = figure.subplots()
for dtype, style in ((np.float64, "-"), (np.float32, ":")):
    for error, color in zip(errors(steps, dtype), (plots.BLUE, plots.VERMILLION), strict=True):
        axes.loglog(steps, np.clip(error, 1e-13, 10), style, color=color, lw=2)
axes.text(1.2e-13, 3e-8, "rounding: eps / h", color=plots.QUIET, fontsize=12)
axes.text(3e-6, 1e-7, "forward: h", color=plots.BLUE, fontsize=12)
axes.text(6e-4, 1e-9, "central: h²", color=plots.VERMILLION, fontsize=12)
axes.text(1.2e-13, 0.12, "dotted: float32", color=plots.INK, fontsize=12)
axes.set_title("Error of a difference by its step: too large and too small are both wrong", loc="left", fontsize=13)
axes.set_xlabel("step h", fontsize=12)
axes.set_ylabel("relative error", fontsize=12)
axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# The bottom of the V for central differences is where h² = eps / h, at h = eps^(1/3): about 6e-6 in float64, where ten
# digits are right. In float32 it is three, and no test with so few can tell a wrong factor 1.001 from a right one. So:
# **check in float64, with central differences.** That the same code runs in float32 later is another test, and an easy
# one.

# %%
best = steps[np.argmin(errors(steps, np.float64)[1])]
print(f"the best step for exp, central, float64: {best:.0e};  eps^(1/3) = {np.finfo(float).eps ** (1 / 3):.0e}")
assert 1e-7 < best < 1e-4

# %% [markdown]
# ## From a slope to a gradient
#
# A layer has many outputs and a loss one number. So draw an upstream dy and take the loss L = sum of dy · y: what
# backward returns for this dy must be the slopes of L. That is all of `gradcheck.check_gradients`, and it is short
# enough to read: `numpy_resnet/gradcheck/finite_differences.py`. Its errors are relative to the largest entry of the
# gradient: an entry that should be zero has no relative error of its own.

# %%
x, weight = rng.standard_normal((2, 2, 5, 4)), rng.standard_normal((3, 2, 3, 3))
report = gradcheck.check_gradients(ops.conv2d, ops.conv2d_backward, x, weight)
print(report)
assert report.ok

# %% [markdown]
# A cheaper test moves *all* entries at once, along a random direction u, and compares one number: the slope of L along
# u must be the sum of dx · u. Two evaluations, whatever the size. It says that something is wrong, not where; for a
# whole network it is what one can afford, and `gradcheck.diagnose_model` begins with it.

# %%
dy, u = rng.standard_normal((2, 3, 3, 2)), rng.standard_normal(x.shape)
dx, _, _ = ops.conv2d_backward(dy, ops.conv2d(x, weight)[1])
h = 1e-5
slope = np.sum(dy * (ops.conv2d(x + h * u, weight)[0] - ops.conv2d(x - h * u, weight)[0])) / (2 * h)
print(f"slope along u {slope:.8f};   sum of dx · u {np.sum(dx * u):.8f}")
np.testing.assert_allclose(slope, np.sum(dx * u), rtol=1e-8)

# %% [markdown]
# ## Never an upstream of ones
#
# L = sum of y looks like the natural choice. It is the one dy for which many mistakes cancel. Batch norm without one of
# its paths (chapter 4) passes, and so does a backward that turns the image upside down on the way:


# %%
def upside_down(dy, cache):
    return ops.global_avgpool2d_backward(dy, cache)[::-1]  # the gradient of the last image goes to the first


def slope_by_differences(f, dy, x, h=1e-6):
    flat = np.eye(x.size).reshape(x.size, *x.shape) * h
    return np.array([np.sum(dy * (f(x + e)[0] - f(x - e)[0])) / (2 * h) for e in flat]).reshape(x.shape)


x = rng.standard_normal((3, 2, 2, 2))
y, cache = ops.global_avgpool2d(x)
for name, dy in (("ones", np.ones_like(y)), ("random", rng.standard_normal(y.shape))):
    error = np.abs(upside_down(dy, cache) - slope_by_differences(ops.global_avgpool2d, dy, x)).max()
    print(f"upstream of {name:<7} largest error {error:.1e}   {'passes' if error < 1e-6 else 'found'}")

# %% [markdown]
# ## Kinks
#
# ReLU and maximum have places without a slope. A step across one measures neither side, but something in between: for
# ReLU at x = h/2, differences say 0.75, and the right answer is 1.

# %%
h = 1e-4
x = np.array([[h / 2, 1.0]])
difference = (ops.relu(x + h)[0] - ops.relu(x - h)[0]) / (2 * h)
print("differences", difference, "  backward", ops.relu_backward(np.ones_like(x), ops.relu(x)[1]))
found = gradcheck.diagnose(ops.relu, lambda dy, cache: ops.relu_backward(dy, cache), np.array([[0.0, 1.0]]))
print(found)
assert found.verdict == "KINK"

# %% [markdown]
# So a check draws numbers that stay away from kinks. Where it cannot, it can look at both sides: on a curve the slopes
# from the left and from the right agree ever better as the step shrinks, at a kink they never do. That is how the
# doctor (`numpy_resnet/gradcheck/slopes.py`) tells them apart, and then it accepts whatever lies between the two. It
# sets no tolerance either: each slope is measured with two steps, and their difference tells how far to trust it.
#
# ## The complex step
#
# There is a difference without a difference. For a function that is made of analytic parts,
# $f(x + ih) = f(x) + ih f'(x) - \frac{h^2}{2} f''(x) - \ldots$, so
#
# $$ f'(x) \approx \frac{\mathrm{Im}\, f(x + ih)}{h} $$
#
# Nothing is subtracted, nothing cancels, and h may be 1e-200 (Squire & Trapp 1998). Here for batch norm, in three lines
# of NumPy that take complex numbers:


# %%
def batchnorm(x):
    centred = x - x.mean(axis=(0, 2, 3), keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=(0, 2, 3), keepdims=True) + 1e-5)


x = rng.standard_normal((2, 2, 3, 2))
y, cache = ops.batchnorm2d(x, np.ones(2), np.zeros(2))
np.testing.assert_allclose(batchnorm(x), y)
dy = rng.standard_normal(y.shape)
dx, _, _ = ops.batchnorm2d_backward(dy, cache)
unit = np.eye(x.size).reshape(x.size, *x.shape)
complex_step = np.array([np.sum(dy * batchnorm(x + 1e-200j * e).imag) / 1e-200 for e in unit]).reshape(x.shape)
central = slope_by_differences(lambda x: (batchnorm(x),), dy, x)
print(f"complex step: off by {np.abs(complex_step - dx).max():.0e};  central: off by {np.abs(central - dx).max():.0e}")
np.testing.assert_allclose(complex_step, dx, atol=1e-13)

# %% [markdown]
# It needs a function that takes complex numbers all the way: no maximum, no comparison, no absolute value, no kernel
# that was compiled for floats. `gradcheck.diagnose(..., complex_step=True)` uses it where it can.
#
# ## What no gradient check can see
#
# A check compares a backward with *its own forward*. So it is blind for whatever both have in common. Here the forward
# pads a max pool with zeros instead of -inf (chapter 3), and the backward is the right one for that wrong forward:


# %%
def maxpool_of_zeros(x):
    return ops.maxpool2d(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), kernel_size=3, stride=2)


def maxpool_of_zeros_backward(dy, cache):
    return ops.maxpool2d_backward(dy, cache)[:, :, 1:-1, 1:-1]


x = -1 - gradcheck.apart(rng, 1, 2, 4, 4) ** 2  # all below zero
report = gradcheck.check_gradients(maxpool_of_zeros, maxpool_of_zeros_backward, x)
print(report)
print("all of y:", np.unique(maxpool_of_zeros(x)[0]))
assert report.ok

# %% [markdown]
# "Right", and all outputs are zero. Only the definition helps (`numpy_resnet/reference.py`, and the numbers of PyTorch
# in `tests/golden`). Nor does it see what happens beside the gradient: running statistics that are updated with the
# wrong variance, a dropout that also drops in inference, float32 that overflows where float64 did not. And some
# mistakes need company. This backward writes its mask into dy, and its own gradient is right; but in a residual block
# the other branch holds the same dy:


# %%
def relu_in_place(dy, cache):
    dy *= cache.y > 0
    return dy


dy = np.array([[1.0, 2.0]])
_, cache = ops.relu(np.array([[3.0, -3.0]]))
branch, shortcut = ops.add_backward(dy, ops.add(dy, dy)[1])
relu_in_place(branch, cache)
print("what the shortcut gets now:", shortcut, "  it should be [[1. 2.]]")
found = gradcheck.diagnose_op("relu", ops.relu, relu_in_place)
print(found.findings[0].cause, "-", found.findings[0].evidence)
assert found.verdict == "WRONG"

# %% [markdown]
# ## How much do which tests find?
#
# `numpy_resnet/exercises/zoo` has wrong backwards, and some forwards with faults that no gradient shows, as students
# write them. Tests of seven kinds were asked whether something is wrong, each one a little more careful than the one
# before; the figures are those of [the page of the doctor](../docs/doctor.md):

# %%
path = Path(numpy_resnet.__file__).parents[1] / "docs" / "doctor" / "matrix.json"
matrix = json.loads(path.read_text(encoding="utf-8"))
found = np.array([bug["found"] for bug in matrix["bugs"].values()])  # (bugs, styles)
figure = plots.page(10, 3.8)
axes = figure.subplots()
for row, count in enumerate(found.sum(axis=0)):
    last = row == len(matrix["styles"]) - 1
    axes.barh(row, len(found), color="#EEEEEE")
    axes.barh(row, count, color=plots.VERMILLION if last else plots.BLUE)
    axes.text(count + 3, row, str(count), va="center", fontsize=12, color=plots.INK)
axes.set_yticks(range(len(matrix["styles"])), matrix["styles"], fontsize=12)
axes.invert_yaxis()
axes.set_title(f"How many of {len(found)} bugs each test finds", loc="left", fontsize=13)
axes.spines[["top", "right", "left"]].set_visible(False)
axes.tick_params(length=0)
figure

# %% [markdown]
# "The gradient is not zero" is what many a test asserts. The step from ones to a random upstream costs nothing.
# The step after that is *awkward cases*: a stride with remainder, padding, overlap, H and W that differ, a batch
# of one, zeros, ties. The last one are the invariants: nothing is written to, twice the dy gives twice the dx, float32
# stays float32, and the forward agrees with the definition.
#
# **Predict, then run:**
#
# 1. Central differences of f(x) = x² with any h: how large is the truncation error?
# 2. A backward returns twice the right gradient. Does an upstream of ones find it, for ReLU? For batch norm's dx?
# 3. L = sum of dy · y is checked to 1e-3, in float32. Would it notice a batch norm whose eps is 1e-3 instead of 1e-5,
#    on inputs of variance 1?
#
# <details><summary>Answers</summary>
#
# 1. Zero: the third derivative is 0. ((x + h)² - (x - h)²) / (2h) is 2x for every h.
# 2. For ReLU yes. For batch norm no: the right dx is zero for ones, and twice zero is zero.
# 3. No. y changes by a factor of about sqrt(1.00001 / 1.001), that is by 5e-4. (And where forward and backward share
#    the wrong eps, no gradient check notices it at any tolerance.)
#
# </details>

# %% [markdown]
# ## Now you
#
# ```
# numpy-resnet exercises start mine --only gradient_checker bug_hunt
# ```
#
# - `gradient_checker`: write one, and it is tried on right and wrong backwards.
# - `bug_hunt`: one of 68 layers lies. Find it with as few questions as you can.
#
# And of any backward of yours, of any op: `numpy-resnet gradcheck --file mine.py`.
#
# **Next:** [Training](09_training.py): what the gradients are for.
