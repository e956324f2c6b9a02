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
from numpy_resnet.gradcheck.report import relative_error

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
    axes.axvline(np.finfo(dtype).eps ** (1 / 3), color=plots.QUIET, ls=style, lw=1)
for x, y, text, color in (
    (1.2e-13, 2e-9, "rounding: eps / h\nslope -1", plots.QUIET),
    (6e-9, 2e-6, "forward: h\nslope 1", plots.BLUE),
    (1.2e-2, 1e-8, "central: h²\nslope 2", plots.VERMILLION),
    (1.2e-13, 0.12, "dotted: float32", plots.INK),
):
    axes.text(x, y, text, color=color, fontsize=12)
axes.set_title("Error of a difference by its step: too large and too small are both wrong", loc="left", fontsize=13)
axes.set_xlabel("step h", fontsize=12)
axes.set_ylabel("relative error", fontsize=12)
axes.tick_params(labelsize=11)
axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# The two thin lines stand at eps^(1/3), for float64 and float32: there h² = eps / h, the bottom of the V for central
# differences. (For forward differences it is where h = eps / h, at the root of eps.) On such paper a power of h is a
# straight line, and its slope is the exponent:

# %%
forward, central = errors(steps, np.float64)
for name, error, low, high, exponent in (
    ("rounding", forward, 1e-13, 1e-9, -1),
    ("forward", forward, 1e-6, 1e-2, 1),
    ("central", central, 1e-4, 1e-1, 2),
):
    part = (steps >= low) & (steps <= high)
    slope = np.polyfit(np.log(steps[part]), np.log(error[part]), 1)[0]
    print(f"{name:<9} slope {slope:5.2f}")
    assert abs(slope - exponent) < 0.1
for dtype in (np.float64, np.float32):
    h = np.finfo(dtype).eps ** (1 / 3)
    typical = np.median(errors(steps, dtype)[1][(steps > h / 3) & (steps < 3 * h)])
    print(f"{dtype.__name__}: near h = {h:.0e} central differences are off by {typical:.0e}")

# %% [markdown]
# Some eleven digits are right in float64. In float32 it is five, for a single exp, and in a layer the rounding of many
# sums is added to that. A wrong factor of 1.00001 would be lost there. So: **check in float64, with central
# differences.** That the same code runs in float32 later is another test, and an easy one.

# %% [markdown]
# ## From a slope to a gradient
#
# A layer has many outputs and a loss one number. So draw an upstream dy and take the loss L = sum of dy · y: what
# backward returns for this dy must be the slopes of L, one for each entry of x. That is a gradient check. The package's
# own, `gradcheck.check_gradients`, does it for all arrays of an op, and is short enough to read:
# `numpy_resnet/gradcheck/finite_differences.py`.


# %%
def slope_by_differences(f, dy, x, h=1e-6):
    flat = np.eye(x.size).reshape(x.size, *x.shape) * h  # one entry moves, all others stay
    return np.array([np.sum(dy * (f(x + e)[0] - f(x - e)[0])) / (2 * h) for e in flat]).reshape(x.shape)


x, weight = rng.standard_normal((2, 2, 5, 4)), rng.standard_normal((3, 2, 3, 3))
y, cache = ops.conv2d(x, weight)
dy = rng.standard_normal(y.shape)
dx, _, _ = ops.conv2d_backward(dy, cache)
np.testing.assert_allclose(slope_by_differences(lambda x: ops.conv2d(x, weight), dy, x), dx, atol=1e-7)
report = gradcheck.check_gradients(ops.conv2d, ops.conv2d_backward, x, weight)
print(report)
assert report.ok

# %% [markdown]
# ## What is "equal"?
#
# Two gradients never agree to the last digit, so a test needs a measure and a tolerance. Each usual measure has a case
# that it gets wrong. Here 40,000 entries and a tolerance of 1e-4: a right gradient, with one entry of zero and a noise
# of 1e-10 as differences have it; one of size 1e-6, half too large; and one in which a single small entry is lost.

# %%
right, one_small = rng.standard_normal((2, 40_000))
right[0], one_small[0] = 0, 0.01
lost = one_small.copy()
lost[0] = 0
cases = {
    "right, with noise": (right + 1e-10 * rng.standard_normal(40_000), right),
    "WRONG, 1.5 times": (1.5e-6 * right, 1e-6 * right),
    "WRONG, one entry lost": (lost, one_small),
}
measures = {
    "absolute": lambda a, b: np.abs(a - b).max(),
    "entry by entry": lambda a, b: (np.abs(a - b) / np.maximum(np.abs(a), np.abs(b)).clip(1e-300)).max(),
    "of the norms": lambda a, b: np.linalg.norm(a - b) / np.linalg.norm(b),
    "this package's": lambda a, b: relative_error(a, b).max(),
}
for case, (mine, numeric) in cases.items():
    print(case)
    for name, measure in measures.items():
        error = measure(mine, numeric)
        print(f"   {name:<15} {error:.0e}   {'passes' if error < 1e-4 else 'is refused'}")
    assert (error < 1e-4) == case.startswith("right")  # of the last measure

# %% [markdown]
# *Absolute* errors know no scale: a gradient of small numbers passes whatever it is. *Entry by entry*, relative errors
# refuse what is right, since an entry that should be zero has no relative error. One number *of the norms* drowns a
# lost entry among 40,000 others. The package divides each error by the larger of both entries, but never by less than a
# hundredth of the largest entry of all (`relative_error` in `numpy_resnet/gradcheck/report.py`). And it says where the
# worst one is: a place tells more than a number.
#
# ## One direction
#
# A cheaper test moves *all* entries at once, along a random direction u, and compares one number: the slope of L along
# u must be the sum of dx · u. Two evaluations, whatever the size. It says that something is wrong, not where; for a
# whole network it is what one can afford, and `gradcheck.diagnose_model` begins with it.

# %%
u, h = rng.standard_normal(x.shape), 1e-5
slope = np.sum(dy * (ops.conv2d(x + h * u, weight)[0] - ops.conv2d(x - h * u, weight)[0])) / (2 * h)
print(f"slope along u {slope:.8f};   sum of dx · u {np.sum(dx * u):.8f}")
np.testing.assert_allclose(slope, np.sum(dx * u), rtol=1e-8)

# %% [markdown]
# ## Never an upstream of ones
#
# L = sum of y looks like the natural choice. It is the one dy for which many mistakes cancel. The outputs of a batch
# norm sum to M · bias, whatever x is (chapter 4), so all slopes of that L are zero, and so is what the path through the
# variance adds. Forget that path, and the check still passes. So does an average pool that hands the gradient of the
# last image to the first: ones look alike from both ends.


# %%
def batchnorm(x):
    return ops.batchnorm2d(x, np.ones(x.shape[1]), np.zeros(x.shape[1]))


def forgets_the_variance(dy, cache):
    std = np.sqrt(cache.var + cache.eps)[:, None, None]
    return (dy - dy.mean(axis=(0, 2, 3), keepdims=True)) / std


def upside_down(dy, cache):
    return ops.global_avgpool2d_backward(dy, cache)[::-1]


x = rng.standard_normal((3, 2, 2, 2))
for f, wrong in ((batchnorm, forgets_the_variance), (ops.global_avgpool2d, upside_down)):
    y, cache = f(x)
    found = []
    for name, dy in (("ones", np.ones_like(y)), ("random", rng.standard_normal(y.shape))):
        found.append(np.abs(wrong(dy, cache) - slope_by_differences(f, dy, x)).max() > 1e-6)
        print(f"{wrong.__name__:<21} upstream of {name:<7} {'is found' if found[-1] else 'passes'}")
    assert found == [False, True]

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
found = gradcheck.diagnose(ops.relu, ops.relu_backward, np.array([[0.0, 1.0]]))
print(found)
assert found.verdict == "KINK"

# %% [markdown]
# So a check draws numbers that stay away from kinks (`gradcheck.apart`). Where it cannot, it can look at both sides.
# The slope to the right is (f(x + h) - f(x)) / h, the slope to the left (f(x) - f(x - h)) / h. How far are they apart,
# for steps that shrink?


# %%
def jump(f, x, h):
    return np.abs((f(x + h) - f(x)) / h - (f(x) - f(x - h)) / h)


def relu(x):
    return ops.relu(x)[0]


figure = plots.page(10, 3.9)
left, right = figure.subplots(1, 2)
points, ends, shrinking = np.linspace(-1.6, 1.6, 201), np.array([-0.5, 1.5]), np.logspace(-5, 0, 501)
left.plot(points, relu(points), color=plots.INK, lw=3)
left.plot(ends, relu(ends), "o-", color=plots.VERMILLION, lw=2.5, ms=8)
left.plot(0.5, 0.5, "o", color=plots.BLUE, ms=9)
left.text(-1.5, 1.05, "from x - h to x + h:\nslope 0.75", color=plots.VERMILLION, fontsize=12)
left.text(0.6, 0.3, "at x: slope 1", color=plots.BLUE, fontsize=12)
left.set_title("ReLU: a step of h = 1 across the kink", loc="left", fontsize=13)
for f, x, y, name, color in (
    (np.exp, 0.0, 5e-5, "a curve:\nfalls with h", plots.BLUE),
    (relu, 0.0, 1.8, "a kink at x: stays", plots.VERMILLION),
    (relu, 1e-3, 5e-3, "a kink beside x:\ngone, once h\nis smaller", plots.INK),
):
    right.loglog(shrinking, jump(f, np.full_like(shrinking, x), shrinking).clip(1e-6), color=color, lw=2.5)
    right.text(6e-3 if f is np.exp else 1.2e-5, y, name, color=color, fontsize=12)
right.set_title("How far the slopes of both sides are apart", loc="left", fontsize=13)
right.set(ylim=(1e-6, 10))
right.set_xlabel("step h", fontsize=12)
for axes in (left, right):
    axes.tick_params(labelsize=11)
    axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# Three cases, told apart without knowing the function. `numpy_resnet/gradcheck/slopes.py` is built on it: on
# three scales, each 64 times smaller, the doctor compares both sides. At a kink it accepts whatever lies between the
# two. Beside one it takes a smaller step. And for all else each slope comes with a tolerance of its own, from the
# rounding that its step causes and, in doubt, from what half the step would change: slopes that say how far they can be
# trusted.
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
def batchnorm_by_hand(x):
    centred = x - x.mean(axis=(0, 2, 3), keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=(0, 2, 3), keepdims=True) + 1e-5)


x = rng.standard_normal((2, 2, 3, 2))
y, cache = batchnorm(x)
np.testing.assert_allclose(batchnorm_by_hand(x), y)
dy = rng.standard_normal(y.shape)
dx, _, _ = ops.batchnorm2d_backward(dy, cache)
unit = np.eye(x.size).reshape(x.size, *x.shape)
complex_step = np.array([np.sum(dy * batchnorm_by_hand(x + 1e-200j * e).imag) / 1e-200 for e in unit]).reshape(x.shape)
central = slope_by_differences(lambda x: (batchnorm_by_hand(x),), dy, x)
print(f"complex step: off by {np.abs(complex_step - dx).max():.0e};  central: off by {np.abs(central - dx).max():.0e}")
np.testing.assert_allclose(complex_step, dx, atol=1e-13)

# %% [markdown]
# It needs a function that is analytic all the way, in code that takes complex numbers. Where that does not hold it may
# fail silently. The absolute value of a complex number is its distance from 0, so |x| has no imaginary part and seems
# to have no slope. A maximum must compare, and complex numbers have no order: NumPy asks the real parts, then the
# imaginary ones, so at the kink of a ReLU it says 1. And a kernel that was compiled for floats takes no complex number
# at all.

# %%
print("|x| at -1, slope -1; complex step:", np.abs(-1 + 1e-200j).imag / 1e-200)
print("max(x, 0) at 0, a kink; complex step:", np.maximum(1e-200j, 0).imag / 1e-200)
try:
    ops.relu(np.array([1 + 1e-200j]))
except TypeError as error:
    print("ops.relu:", error)
else:
    raise AssertionError("complex numbers should be refused")

# %% [markdown]
# `gradcheck.diagnose(..., complex_step=True)` takes complex steps, for functions of your own that allow it.
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
y, right = maxpool_of_zeros(x)[0], ops.maxpool2d(x, kernel_size=3, stride=2, padding=1)[0]
print(f"y, first channel: {y[0, 0].ravel()}   with -inf: {right[0, 0].ravel().round(2)}")
assert report.ok
assert np.mean(y != right) == 0.75

# %% [markdown]
# "Right", and wherever a window reaches into the padding, y is a zero that is nowhere in x. Only the definition helps
# (`numpy_resnet/reference.py`, and the numbers of PyTorch in `tests/golden`). Nor does it see what happens beside the
# gradient: running statistics that are updated with the wrong variance, a dropout that also drops in inference, float32
# that overflows where float64 did not. And some mistakes need company. This backward writes its mask into dy, and its
# own gradient is right; but in a residual block the other branch holds the same dy:


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
# ## The doctor on a subtle bug
#
# Batch norm divides by sqrt(var + eps). In this backward the eps stands outside of the root. For a variance of 1 the
# two differ by half an eps, 5e-6, and the tolerance of `check_gradients` is 1e-5: it passes.


# %%
def eps_outside(dy, cache):
    dx, dweight, dbias = ops.batchnorm2d_backward(dy, cache)
    return dx * (np.sqrt(cache.var + cache.eps) / (np.sqrt(cache.var) + cache.eps))[:, None, None], dweight, dbias


report = gradcheck.check_gradients(ops.batchnorm2d, eps_outside, rng.standard_normal((4, 2, 5, 5)), *np.ones((2, 2)))
print(report, end="\n\n")
found = gradcheck.diagnose_op("batchnorm2d", ops.batchnorm2d, eps_outside)
print(str(found).split("Smallest")[0])
assert report.ok
assert found.verdict == "WRONG"

# %% [markdown]
# `diagnose_op` knows the op, and brings inputs that are awkward for it: an eps of 0.5, channels that hardly vary, one
# that is all zeros. There eps is most of what one divides by, and the factor is large. The doctor has no name for this
# cause and says "possible", with what it saw: a factor for each channel, which is most of the way. For a function of
# one's own there is `gradcheck.diagnose(f, f_backward, *arrays)`, and the awkward arrays are up to you.
#
# ## How much do which tests find?
#
# `numpy_resnet/exercises/zoo` has wrong backwards, and some forwards with faults that no gradient shows, as students
# write them. Tests of seven kinds were asked whether something is wrong, from careless to careful; the figures are
# those of [the page of the doctor](../docs/doctor.md):

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
axes.set_xlim(0, 1.06 * len(found))
axes.set_title(f"How many of {len(found)} bugs each test finds", loc="left", fontsize=13)
axes.spines[["top", "right", "left"]].set_visible(False)
axes.tick_params(axis="x", labelsize=11)
axes.tick_params(length=0)
figure

# %% [markdown]
# "The gradient is not zero" is what many a test asserts. One entry can be right while others are wrong, so it finds
# less than all entries do. The step from ones to a random upstream costs nothing. The step after that is *awkward
# cases*: a stride with remainder, padding, overlap, H and W that differ, a batch of one, zeros, ties. The last one are
# the invariants: nothing is written to, twice the dy gives twice the dx, float32 stays float32, and the forward agrees
# with the definition.
#
# **Predict, then run:**
#
# 1. Central differences of f(x) = x² with any h: how large is the truncation error?
# 2. A backward returns twice the right gradient. Does an upstream of ones find it, for ReLU? For batch norm's dx?
# 3. On inputs of variance 1, a backward of batch norm has an eps of 1e-3 where its forward has 1e-5. Does a check see
#    it that allows errors of 1e-3 of the largest entry? And if the forward has the same 1e-3?
#
# <details><summary>Answers</summary>
#
# 1. Zero: the third derivative is 0. ((x + h)² - (x - h)²) / (2h) is 2x for every h.
# 2. For ReLU yes. For batch norm no: the right dx is zero for ones, and twice zero is zero.
# 3. No: 1 / std changes by a factor of about sqrt(1.00001 / 1.001), and dx is off by some 5e-4 of its largest entry. If
#    forward and backward share the wrong eps, no gradient check notices it, at any tolerance.
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
