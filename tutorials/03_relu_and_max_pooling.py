# %% [markdown]
# # 3. ReLU and max pooling
#
# **Question:** between two convolutions stands something that throws numbers away. Why must it, and how does a gradient
# find its way back through what was thrown away?
#
# Both operations of this chapter choose: ReLU between x and 0, max pooling among the pixels of a window. There is
# nothing to learn in them. All that their backward needs is who was chosen.

# %%
import inspect
from functools import partial

import numpy as np

from numpy_resnet import data, gradcheck, ops, plots, reference

rng = np.random.default_rng(0)

# %% [markdown]
# ## Two convolutions are one
#
# A convolution (chapter 2) is linear in x. Two matrices one after the other are one matrix, B(Ax) = (BA)x, and so a
# stack of convolutions, however deep, is a single one with a larger filter. Here are two filters of 3x3 that give 2
# channels, then 1. Which single filter are they? The gradient of one output pixel shows it: sent back through both, it
# lays the filter down on the image.

# %%
x = rng.standard_normal((1, 1, 9, 9))
weight1, weight2 = rng.standard_normal((2, 1, 3, 3)), rng.standard_normal((1, 2, 3, 3))
h, cache1 = ops.conv2d(x, weight1)
y, cache2 = ops.conv2d(h, weight2)  # (1, 1, 5, 5)

dy = np.zeros_like(y)
dy[0, 0, 2, 2] = 1
dh, _, _ = ops.conv2d_backward(dy, cache2)
dx, _, _ = ops.conv2d_backward(dh, cache1)
both = dx[:, :, 2:7, 2:7]  # the window of this output; all else is zero
np.testing.assert_allclose(ops.conv2d(x, both)[0], y)
print("two convolutions with 36 weights are one with 25:\n", np.round(both[0, 0], 2))

# %% [markdown]
# So something between them has to bend. ReLU, the *rectified linear unit*, is the least that does: y = x where x is
# positive, else 0. A linear map of -x gives -y, so f(x) + f(-x) is zero. With a ReLU in the middle it is not, and no
# single filter can do what the two do now.


# %%
def stack(x, bend):
    return ops.conv2d(bend(ops.conv2d(x, weight1)[0]), weight2)[0]


for name, bend in (("nothing", lambda h: h), ("a ReLU", lambda h: ops.relu(h)[0])):
    print(f"{name:<8} between: the largest |f(x) + f(-x)| is {np.abs(stack(x, bend) + stack(-x, bend)).max():.2f}")

# %% [markdown]
# ## ReLU: a mask
#
# Where y is x, dy/dx = 1 and the gradient passes. Where y is the constant 0, x moves nothing and gets nothing:
#
# $$ y = \max(x, 0), \qquad dx = dy \cdot [x > 0] $$
#
# The bracket is 1 where it is true and 0 where not: a *mask*. It is made of x, never of dy; a negative gradient is as
# good as a positive one. By hand, the second entry: x is -2, so dx is 0, although 7 came from above.

# %%
x = np.array([1.0, -2, 3, 0])
dy = np.array([5.0, 7, -9, 11])
y, cache = ops.relu(x)
for name, array in (("x", x), ("y", y), ("dy", dy), ("dx", ops.relu_backward(dy, cache))):
    print(f"{name:<3}", "".join(f"{value:6g}" for value in array))
print()
print(inspect.getsource(ops.relu_backward))

# %% [markdown]
# The cache holds y, not x: y > 0 exactly where x > 0, and the next operation keeps y anyway. The loop itself is three
# lines in `numpy_resnet/kernels/elementwise.py`. A slope of 1 has a merit: however many ReLUs a gradient passes, none
# of them makes it smaller. The sigmoid, which was usual before, has a slope of at most 1/4 (Glorot, Bordes & Bengio
# 2011).
#
# ## The kink
#
# At x = 0 there is no slope: to the right it is 1, to the left 0. Each number from 0 to 1 is a *subgradient*, the slope
# of a line that touches the curve there and stays below it. A convention has to choose. PyTorch takes 0, and so does
# this package (Bertoin et al. 2021 compared other values: 0 trained best). A central difference knows no conventions.

# %%
step = 0.5
points = np.linspace(-1.5, 1.5, 301)
difference = (ops.relu(points + step)[0] - ops.relu(points - step)[0]) / (2 * step)
mask = ops.relu_backward(np.ones_like(points), ops.relu(points)[1])
figure = plots.page(9, 3.2)
curve, slope = figure.subplots(1, 2)
curve.plot(points, ops.relu(points)[0], color=plots.INK, lw=3)
curve.set_title("y = max(x, 0)")
slope.plot(points, np.where(np.abs(points) < 0.005, np.nan, mask), color=plots.BLUE, lw=3)
slope.plot(0, 0, "o", color=plots.BLUE, ms=9)
slope.plot(points, difference, color=plots.VERMILLION, lw=2)
slope.set_title("its slope: the mask, and a difference of ±0.5")
slope.text(0.1, 0.03, "at 0: 0", color=plots.BLUE, fontsize=12)
slope.text(0.1, 0.5, "a difference: ½", color=plots.VERMILLION, fontsize=12)
for axes in (curve, slope):
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("x", fontsize=12)
    axes.tick_params(labelsize=11)
figure

# %% [markdown]
# With a tiny step the ramp is as narrow, but an x of exactly 0 is still in the middle of it. So a plain check calls the
# right gradient wrong there. The doctor looks to both sides, finds two slopes and says KINK: nothing to hold against
# anybody.

# %%
x = np.array([[0.0, 1.0, -1.0]])
report = gradcheck.check_gradients(ops.relu, ops.relu_backward, x)
print(report, end="\n\n")
found = gradcheck.diagnose(ops.relu, ops.relu_backward, x)
print(found)
assert not report.ok and found.verdict == "KINK"

# %% [markdown]
# ## The doctor on wrong masks
#
# Three mistakes. The first takes the mask from dy. The second asks y >= 0, which is always true. The third lets the
# gradient pass at 0, which no random number shows; the doctor tries zeros as well, for the convention's sake.


# %%
def relu_with_x(x):
    return ops.relu(x)[0], x


for what, f, wrong in (
    ("dy > 0", ops.relu, lambda dy, cache: dy * (dy > 0)),
    ("y >= 0", ops.relu, lambda dy, cache: dy * (cache.y >= 0)),
    ("x >= 0", relu_with_x, lambda dy, x: dy * (x >= 0)),
):
    found = gradcheck.diagnose_op("relu", f, wrong)
    first = found.findings[0]
    print(f"{what}: {found.verdict}, {first.cause}, where: {first.location}\n        {first.evidence}\n")
    assert found.verdict == "WRONG"

# %% [markdown]
# ## Max pooling: winners
#
# A pattern was found at this pixel, or at the one beside it: for most questions that is the same. *Max pooling* keeps
# the largest number of each window and makes the map smaller. (Average pooling gives each pixel an equal share instead;
# chapter 6 ends with one.) Windows are counted as those of a convolution, (H + 2P - K) // S + 1. Within a window y is a
# copy of the winner, so the slope is 1 for the winner and 0 for all others:
#
# $$ y[n, c, oh, ow] = \max_{kh, kw} x[n, c,\ oh\,SH - PH + kh,\ ow\,SW - PW + kw], \qquad dx[winner] \mathrel{+}= dy $$
#
# It is ReLU with more contestants: relu(x) is the maximum of x and 0. With 3x3 windows and a stride of 2, neighbours
# share a row or a column, and one pixel can win twice.

# %%
x = np.array([[1.0, 4, 2, 0, 3], [-2, 0, 7, 5, 1], [3, 1, -3, 2, 2], [0, 6, 4, -1, 8], [2, 6, 1, 0, 3]])
dy = np.array([[1.0, 2], [3, -4]])
y, cache = ops.maxpool2d(x[None, None], kernel_size=3, stride=2)
dx = ops.maxpool2d_backward(dy[None, None], cache)
for name, array in (("x", x), ("y", y), ("winner, in the cache", cache.winner), ("dy", dy), ("dx", dx)):
    print(f"{name}\n{np.squeeze(array)}\n")
assert dx[0, 0, 1, 2] == 1 + 2
assert np.count_nonzero(dx) == 3

# %% [markdown]
# - The cache has no values, only for each window the place of its winner, counted in reading order: `kh*KW + kw`. The 7
#   is at place 5 of the window 0, 0 (5 = 1·3 + 2, so kh = 1, kw = 2) and at place 3 of its neighbour 0, 1.
# - So it gets the dy of both, 1 + 2 = 3. That is the sum over every way to the loss again.
# - The window 1, 0 has a *tie*, two sixes. The first in reading order wins all of the 3, as in PyTorch (its answers are
#   in `tests/golden`).
# - dy sums to 2 and so does dx: a max pool moves gradient and neither makes nor loses any.
#
# `numpy_resnet/ops/maxpool.py` has both directions, `kernels/pooling.py` the loops: `maxpool` asks each window for its
# winner; `maxpool_backward` goes through the rows of dx and asks which windows they won, so that no two threads write
# to one pixel. A good breakpoint is the return of `maxpool2d`; look at `winner[0, :, :, 0]`.
#
# ## The padding is -inf
#
# A padding of zeros is harmless in a sum. In a maximum it is a contestant, and it beats every negative pixel:

# %%
x = np.array([[[[-1.0, -2], [-3, -4]]]])
zeros_around = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
for name, (y, cache), cut in (
    ("-inf", ops.maxpool2d(x, kernel_size=3, stride=2, padding=1), np.s_[:, :]),
    ("zeros", ops.maxpool2d(zeros_around, kernel_size=3, stride=2), np.s_[1:-1, 1:-1]),
):
    dx = ops.maxpool2d_backward(np.ones_like(y), cache)[0, 0][cut]
    print(f"padding of {name:<6} y = {y.ravel()}   winner = {cache.winner.ravel()}   dx = {dx.ravel()}")

# %% [markdown]
# With zeros y is a number that is nowhere in x. The winner is place 0, in the padding, and the whole gradient goes
# there and is cut off. With -inf the winner is place 4, the -1.
#
# ## Ties
#
# Ties sound rare. They are not: after a ReLU whole windows are zero. At a tie there is a kink: raising any of the two
# raises y, lowering one alone does nothing. Differences take half the sum of both slopes for *each* of them:

# %%
x = np.array([[[[5.0, 5], [1, 2]]]])
y, cache = ops.maxpool2d(x, kernel_size=2)
numeric = [
    (ops.maxpool2d(x + e, kernel_size=2)[0] - ops.maxpool2d(x - e, kernel_size=2)[0]).item() / 2e-5
    for e in 1e-5 * np.eye(4).reshape(4, 1, 1, 2, 2)
]
print("differences", np.round(numeric, 6), "  backward", ops.maxpool2d_backward(np.ones_like(y), cache).ravel())
found = gradcheck.diagnose(partial(ops.maxpool2d, kernel_size=2), ops.maxpool2d_backward, x)
print(found)
assert found.verdict == "KINK"

# %% [markdown]
# Away from ties there is nothing to agree on, and all must agree: the definition, the differences and the op. `apart`
# draws numbers that keep a distance from each other, so that no step of a difference changes a winner.

# %%
stem = {"kernel_size": 3, "stride": 2, "padding": 1}
x = gradcheck.apart(rng, 2, 3, 6, 5)
y, cache = ops.maxpool2d(x, **stem)
np.testing.assert_array_equal(y, reference.maxpool2d(x, **stem))
dy = rng.standard_normal(y.shape)
np.testing.assert_allclose(ops.maxpool2d_backward(dy, cache), reference.maxpool2d_backward(dy, x, **stem), atol=1e-15)
report = gradcheck.check_gradients(partial(ops.maxpool2d, **stem), ops.maxpool2d_backward, x)
print(report)
assert report.ok

# %% [markdown]
# ## The doctor on wrong winners
#
# Who finds the winners again by `x == y` meets the ties. Giving dy to all of them would send back more than came in.
# Sharing it among them is a subgradient as well, but not the convention, and two networks that should agree bit for bit
# would not. And who assigns where gradients should add loses all but the last window of a pixel.


# %%
def pool_with_x(x, **options):
    y, cache = ops.maxpool2d(x, **options)
    return y, (x, y, cache)


def wrong_backward(dy, cache, mistake):
    x, y, (_, _, _, (KH, KW), (SH, SW), (PH, PW)) = cache
    padded = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)), constant_values=-np.inf)
    dpadded = np.zeros_like(padded)
    for n, c, oh, ow in np.ndindex(dy.shape):
        window = np.s_[n, c, oh * SH : oh * SH + KH, ow * SW : ow * SW + KW]
        best = padded[window] == y[n, c, oh, ow]
        if mistake == "overwrites":
            dpadded[window][best] = dy[n, c, oh, ow]  # = where += belongs
        else:
            dpadded[window] += dy[n, c, oh, ow] * best / (best.sum() if mistake == "shares" else 1)
    return dpadded[:, :, PH : PH + x.shape[2], PW : PW + x.shape[3]]


for mistake in ("gives to all", "shares", "overwrites"):
    found = gradcheck.diagnose_op("maxpool2d", pool_with_x, partial(wrong_backward, mistake=mistake))
    first = found.findings[0]
    print(f"{mistake}: {found.verdict}, {first.cause}, where: {first.location}\n    {first.evidence}\n")
    assert found.verdict == "WRONG"
print(found)

# %% [markdown]
# ## The stem of ResNet-18
#
# An image of 224x224 becomes 112x112 in the first convolution, and 56x56 here, by windows of 3x3 with stride 2 and
# padding 1: (112 + 2 - 3) // 2 + 1 = 55 + 1. A 3x3 convolution costs a sixteenth there of what it would at full size.

# %%
x = rng.standard_normal((1, 1, 112, 112))
y, cache = ops.maxpool2d(x, **stem)
dx = ops.maxpool2d_backward(np.ones_like(y), cache)
assert y.shape[2:] == (56, 56)
wins = np.bincount(dx.astype(int).ravel(), minlength=5)
print(f"{x.shape[2:]} -> {y.shape[2:]}")
for k, count in enumerate(wins):
    print(f"{count / x.size:6.1%} of the pixels win {k} windows")

# %% [markdown]
# Noise has its winners everywhere. In a digit (chapter 2), the same pool:

# %%
x = np.round(np.asarray(data.digits().train.read(0), float)[None, None] * 16 / 255)  # ink from 0 to 16
y, cache = ops.maxpool2d(x, **stem)
dy = np.random.default_rng(0).choice([-3.0, -2, -1, 1, 2, 3], y.shape)
dx = ops.maxpool2d_backward(dy, cache)
kh, kw = np.divmod(cache.winner[0, 0], 3)
oh, ow = np.indices(kh.shape)
rows, columns = 2 * oh - 1 + kh, 2 * ow - 1 + kw  # oh*SH - PH + kh: where in x the winner is

figure = plots.page(9, 8.6)
(image, pooled), (back, upstream) = figure.subplots(2, 2)
for axes, values, title in ((image, x[0, 0], "x, its winners framed"), (pooled, y[0, 0], "y")):
    plots.cells(axes, values, colors=(values / 16).round(2).astype(str), title=title)
plots.cells(upstream, dy[0, 0], title="dy", limit=6)
plots.cells(back, dx[0, 0], title="dx: each dy at its winner", limit=6)
image.plot(columns, rows, "s", color=plots.VERMILLION, markersize=28, fillstyle="none", markeredgewidth=3.5)
figure

# %% [markdown]
# Forward goes from left to right above, backward from right to left below. Each frame in x is a place in dx; where the
# sum of several dy arrived, that pixel won several windows. The top left window is nothing but background, a tie of
# zeros: its first pixel wins, and gets a gradient like any other.
#
# **Predict, then run:**
#
# 1. In a ResNet the pool follows a ReLU. Would a padding of zeros change its y? Would it change the gradient *before*
#    the ReLU?
# 2. relu(relu(x)): what is y, and what is dx?
# 3. Max pool first and then ReLU, or ReLU first and then max pool: is y the same? Which is cheaper?
#
# <details><summary>Answers</summary>
#
# 1. Neither. After a ReLU nothing is negative, so no maximum changes. Only a window of zeros could have its winner in
#    the padding; but a zero behind a ReLU gets no gradient through it anyway.
# 2. The same as with one: y is not negative, so the second changes nothing, and both masks are equal.
# 3. The same: ReLU never changes who is larger, it only makes all negative numbers equal. Pooling first would leave a
#    quarter of the numbers for the ReLU. The ResNet of He et al. has ReLU first.
#
# </details>

# %% [markdown]
# ## Now you
#
# ```
# numpy-resnet exercises start mine --only relu maxpool
# ```
#
# - `relu`: ten minutes, and the protocol of all that follow: forward, cache, backward.
# - `maxpool`: a tournament over the places of a window, with -inf, ties and overlaps.
#
# **Next:** chapter 4, batch normalisation: what happens when every number of a batch depends on all others.
