# %% [markdown]
# # 2. Convolution
#
# **Question:** a convolution slides a small filter over an image. How does that become one matrix product, and what
# slides over what when the gradient comes back?
#
# Nearly all of the arithmetic of a ResNet is in its convolutions. This chapter takes one apart, forward and backward,
# on an image of 4x4 pixels, with every number printed. A pencil is enough to follow.

# %%
import inspect
from functools import partial

import numpy as np

from numpy_resnet import data, gradcheck, ops, plots, reference


def show(name, array):
    print(f"{name}  {array.shape}\n{np.array2string(np.squeeze(array), precision=3, suppress_small=True)}\n")


# %% [markdown]
# ## What a convolution is for
#
# An eye in the corner of a photo is the same thing as an eye in the middle. So instead of learning what each place may
# look like, a network learns small patterns and looks for each of them everywhere. A *filter* is such a pattern, 3x3
# numbers for instance. It is put on the image at one place, a *window*; filter and window are multiplied number by
# number, and the products are summed. The sum is large where the window looks like the filter. Then the filter moves on
# by one pixel. Nobody writes filters down by hand: their numbers, the *weights*, begin at random and are learned.
#
# A photo has three numbers for each pixel (red, green, blue): three *channels*. A filter has a 3x3 pattern for each
# channel and sums over all of them. A layer has many filters, and what one of them finds is one channel of its output,
# a map of where the pattern is. So the arrays are
#
# | array    | shape           | axes                                                                      |
# |----------|-----------------|---------------------------------------------------------------------------|
# | `x`      | (N, C, H, W)    | N images, C channels, H pixels high, W wide                               |
# | `weight` | (OC, C, KH, KW) | OC filters (output channels), each for C channels, KH high, KW wide       |
# | `bias`   | (OC,)           | one number for each filter, added to all of its output; may be left out   |
# | `y`      | (N, OC, OH, OW) | one number for each image, filter and place of the window                 |
#
# With a *stride* S the window moves by S pixels at a time, and a *padding* P puts P rows and columns of zeros round the
# image first. Both may differ in height and width (SH, SW, PH, PW). Then
#
# $$ y[n, oc, oh, ow] = bias[oc] + \sum_{c, kh, kw} weight[oc, c, kh, kw] \cdot x[n, c,\ oh\,SH - PH + kh,\ ow\,SW -
# PW + kw] $$
#
# where x is zero in the padding. Mathematicians call this a *cross-correlation*; their convolution turns the filter by
# 180 degrees first. For a filter that is learned it makes no difference, so deep learning took the shorter name. The
# turned filter will come back, though.
#
# ## Loops first
#
# This is the definition as a program, `numpy_resnet/reference.py`. `taps` lists which pixel (h, w) lies at which place
# (kh, kw) of which window (oh, ow).

# %%
print(inspect.getsource(reference.conv2d))

x = np.array([[1.0, 2, 0, 1], [0, 3, 4, 2], [2, 6, 5, 1], [1, 3, 0, 2]]).reshape(1, 1, 4, 4)
weight = np.array([[1.0, 2, 0], [0, -1, 3], [-2, 0, 1]]).reshape(1, 1, 3, 3)
y = reference.conv2d(x, weight)
show("x", x)
show("weight", weight)
show("y", y)

# %% [markdown]
# By hand, the window at the top left: 1·1 + 2·2 + 0·0, then 0·0 - 1·3 + 3·4, then -2·2 + 0·6 + 1·5. That is 5 + 9 + 1 =
# 15, and so y begins with 15. Four windows of 3x3 fit into 4x4 pixels, so y is 2x2. (With one image, one channel and
# one filter we write x[1, 1] for x[0, 0, 1, 1], and likewise for the others.)
#
# ## Every window becomes a column
#
# Python's loops are slow; matrix products are what computers are best at. *im2col* ("image to columns") copies each
# window into a column of a matrix: row (c, kh, kw), column (oh, ow). There is one such matrix for each image, so cols
# is (N, C·KH·KW, OH·OW). Pixels in several windows are copied several times.

# %%
cols = ops.im2col(x, kernel_size=3)
show("cols = im2col(x)", cols)
figure = plots.windows_as_columns(x[0, 0], cols[0], kernel_size=3)
figure

# %% [markdown]
# The four pixels in the middle are in all four windows, so each colour is in every column once, each time at another
# place of the window. The filter, written as a row, meets all windows in one product (Chellapilla, Puri & Simard 2006):
#
# $$ y = filters \cdot cols, \qquad (OC,\ C\,KH\,KW) \cdot (C\,KH\,KW,\ OH\,OW) = (OC,\ OH\,OW) $$

#
# `ops.conv2d` does the same, fast. It returns y and a *cache*, what backward will need; `[0]` is y.

# %%
filters = weight.reshape(1, 9)  # (OC, C*KH*KW)
show("filters", filters)
show("filters @ cols", filters @ cols)
np.testing.assert_array_equal((filters @ cols).reshape(y.shape), y)
np.testing.assert_array_equal(ops.conv2d(x, weight)[0], y)

# %% [markdown]
# ## How many windows? Padding and stride
#
# The padded image is H + 2P high. The first window takes K of that, and each further one needs S more:
#
# $$ OH = \left\lfloor \frac{H + 2P - K}{S} \right\rfloor + 1 $$
#
# In Python, `(H + 2*P - K) // S + 1`. K = 3 with P = 1 keeps the size at S = 1 and halves it at S = 2. If the division
# leaves a remainder, as many rows at the bottom of the padded image and columns at its right are in no window. That is
# normal: every stride of 2 in a ResNet does it on images of 224x224.

# %%
for H, K, S, P in ((4, 3, 1, 0), (4, 3, 1, 1), (4, 3, 2, 1), (6, 3, 2, 0), (224, 7, 2, 3)):
    OH, remainder = (H + 2 * P - K) // S + 1, (H + 2 * P - K) % S
    print(f"H {H:3}   K {K}   stride {S}   padding {P}   ->   OH {OH:3}, {remainder} left over")
    assert ops.conv2d(np.zeros((1, 1, H, H)), np.zeros((1, 1, K, K)), stride=S, padding=P)[0].shape == (1, 1, OH, OH)
show("y with padding 1 and stride 2", ops.conv2d(x, weight, stride=2, padding=1)[0])

# %% [markdown]
# The first of these: at the top left the window has five zeros of padding and the pixels 1, 2, 0, 3 at its lower right,
# which meet the weights -1, 3, 0, 1. -1·1 + 3·2 + 0·0 + 1·3 = 8.
#
# ## What a gradient is
#
# A network ends in one number, the *loss* L: how wrong it was (chapter 7). Training makes L smaller, so for each number
# in the network it asks: if this one moved a little, by how much would L move? The answer is the derivative of L by
# that number. All of them together are the *gradient*, an array of the same shape:
#
# $$ dx[\ldots] = \frac{\partial L}{\partial x[\ldots]}, \qquad dweight[\ldots] = \frac{\partial L}{\partial
# weight[\ldots]} $$
#
# A layer does not know L. Whatever comes after it tells it `dy`, the gradient of L by its output: the *upstream*
# gradient. The layer has to turn dy into dx, which it hands to the layer before, and dweight, which it learns from. The
# rule for that is the chain rule. A pixel reaches L in several ways, through each y whose window it is in. To first
# order the effects of small changes add, so the gradient is a **sum over every way from x to L**:
#
# $$ dx[i] = \sum_j dy[j] \, \frac{\partial y[j]}{\partial x[i]} $$
#
# For a small example any dy will do. It is the gradient of the loss L = sum of dy · y, and this L can be watched.

# %%
dy = np.array([[1.0, -1], [2, 3]]).reshape(1, 1, 2, 2)
show("dy", dy)


def loss(x, weight):
    return np.sum(dy * ops.conv2d(x, weight)[0])


moved = x.copy()
moved[0, 0, 1, 1] += 1
slope = loss(moved, weight) - loss(x, weight)  # a convolution is linear in x: a whole step is as good as a small one
print(f"L {loss(x, weight):g};   with one more in x[1, 1] {loss(moved, weight):g};   so dx[1, 1] is {slope:g}")

# %% [markdown]
# ## Backward, index by index
#
# y is a sum of products weight · x. In one product the slope by x is weight, and the slope by weight is x. So **each
# product sends weight · dy back to its x, and x · dy back to its weight**, and everybody adds up what arrives:
#
# $$ dweight[oc, c, kh, kw] = \sum_{n, oh, ow} dy[n, oc, oh, ow] \cdot x[n, c,\ oh\,SH - PH + kh,\ ow\,SW - PW + kw] $$
#
# $$ dx[n, c, h, w] = \sum_{oc} \ \sum_{\text{windows with } (h, w) \text{ at } (kh, kw)} weight[oc, c, kh, kw] \cdot
# dy[n, oc, oh, ow] $$
#
# - dweight[0, 0]: in the four windows this weight met the pixels 1, 2, 0, 3. With the dy of each window: 1·1 - 1·2 +
#   2·0 + 3·3 = 8.
# - dx[1, 1]: the pixel lies in the four windows at (1, 1), (1, 0), (0, 1) and (0, 0), where it met the weights -1, 0, 2
#   and 1: 1·(-1) - 1·0 + 2·2 + 3·1 = 6, as we saw.
# - dbias would be the sum of dy: the bias is in each y once.

# %%
dx, dweight, _ = reference.conv2d_backward(dy, x, weight)
show("dweight", dweight)
show("dx", dx)
assert dx[0, 0, 1, 1] == slope == 6

# %% [markdown]
# ## Backward, as matrix products
#
# Forward was two steps, cols = im2col(x) and y = filters · cols: y[oc, p] = sum over q of filters[oc, q] · cols[q, p],
# with p a window and q = (c, kh, kw) a place in it. Each product sends back as before: dfilters[oc, q] = sum over p of
# dy[oc, p] · cols[q, p], and dcols[q, p] = sum over oc of filters[oc, q] · dy[oc, p]. As matrices:
#
# $$ dfilters = dy \cdot cols^T, \qquad dcols = filters^T \cdot dy $$
#
# (with several images, dfilters is summed over them). What is left is the way from dcols to dx. im2col computes
# nothing: it copies pixels. So a pixel gets the sum of dcols over all of its copies. That is *col2im*: it adds every
# column back at the place it was taken from.

# %%
dy_row = dy.reshape(1, 4)  # (OC, OH*OW)
dcols = filters.T @ dy_row
show("dcols = filters.T @ dy", dcols)
np.testing.assert_array_equal((dy_row @ cols[0].T).reshape(weight.shape), dweight)
np.testing.assert_array_equal(ops.col2im(dcols[None], size=(4, 4), kernel_size=3), dx)

# %% [markdown]
# The entry at (kh, kw) = (1, 1) in the first column is weight[1, 1] · dy[0, 0] = -1·1 = -1. In the picture above follow
# the vermillion pixel, x[1, 1]: in dcols its places hold -1, 0, 4 and 3, whose sum is 6 once more.
#
# ## col2im is the transpose of im2col
#
# Write x as a vector of 16 numbers and cols as one of 36, window after window. im2col is linear, so it is a 36x16
# matrix A. Its columns are what im2col makes of images with a single 1. Backward of y = A x is dx = Aᵀ dy, for any
# matrix: that is the sum over every way again. So col2im must be Aᵀ (the transpose, or *adjoint*). Write ⟨a, b⟩ for
# the sum of all products of entries. Since (A x)ᵀ c = xᵀ (Aᵀ c), for all x and c it has to be that
#
# $$ \langle \mathrm{im2col}(x), c \rangle = \langle x, \mathrm{col2im}(c) \rangle $$

# %%
units = np.eye(16).reshape(16, 1, 4, 4)  # 16 images of one bright pixel each
A = ops.im2col(units, kernel_size=3).transpose(2, 1, 0).reshape(36, 16)
np.testing.assert_array_equal(A @ x.ravel(), cols[0].T.ravel())
np.testing.assert_array_equal(A.T @ dcols.T.ravel(), dx.ravel())

c = np.random.default_rng(0).standard_normal(cols.shape)
left, right = np.sum(cols * c), np.sum(x * ops.col2im(c, size=(4, 4), kernel_size=3))
print(f"<im2col(x), c> = {left:.12f}\n<x, col2im(c)> = {right:.12f}")
np.testing.assert_allclose(left, right)

count = ops.col2im(np.ones_like(cols), size=(4, 4), kernel_size=3)  # = im2col of ones, and back

# %%
figure = plots.page(10, 5.6)
matrix, image = figure.subplots(1, 2, width_ratios=(1, 1.1))
paint = np.where(A == 1, plots.BLUE, "#EFEFEF")
paint[A[:, 5] == 1, 5] = plots.VERMILLION  # pixel 5 is x[1, 1]
plots.cells(matrix, np.full(A.shape, np.nan), colors=paint)
matrix.hlines((8.5, 17.5, 26.5), -0.5, 15.5, color=plots.QUIET, linewidth=1)
for i, name in enumerate(("0, 0", "0, 1", "1, 0", "1, 1")):
    matrix.text(-1, 4 + 9 * i, f"window {name}", ha="right", va="center", fontsize=12)
matrix.set_title("A: cols = A x\na single 1 in each row")
matrix.set_xlabel("the 16 pixels of x", fontsize=12)
plots.cells(image, count[0, 0], title="how many windows use each pixel\ncol2im of ones: the column sums of A")
figure

# %% [markdown]
# Going there and back is *not* the identity. A corner is in one window and comes back once; a pixel in the middle is in
# four and comes back four times. Where windows overlap, col2im adds.
#
# ## Backward is two more convolutions
#
# Look at the sum for dweight again: it slides dy over x. It is a convolution of x with dy as the filter. And dx? At
# stride 1 the pixel h is at kh in the window oh = h + PH - kh. As kh grows, oh falls: dy is read backwards. Turn the
# filter by 180 degrees, and both run the same way: dx is a convolution of dy with the **turned filter**, with channels
# and filters exchanged, and KH - 1 - PH rows of padding: the windows that a pixel at the border lacks count as zeros.
#
# A stride S means that S - 1 of S windows were left out. So put zeros there: S - 1 between neighbours of dy (it is
# *dilated*), and as many at the end as the division left over. Then it is stride 1 again.


# %%
def two_convolutions(dy, x, weight, *, stride, padding):
    """dx, dweight: backward, by forward convolutions alone.   square kernels, stride and padding integers"""
    (H, W), K = x.shape[2:], len(weight[0, 0])
    dilated = np.zeros((*dy.shape[:2], H + 2 * padding - K + 1, W + 2 * padding - K + 1))
    dilated[:, :, ::stride, ::stride] = dy  # a window for each place, zero where the stride skips it
    turned = weight[:, :, ::-1, ::-1].swapaxes(0, 1)  # (C, OC, KH, KW)
    dx, _ = ops.conv2d(dilated, turned, padding=K - 1 - padding)
    # for dweight images take the place of channels, since it sums over images
    dweight, _ = ops.conv2d(x.swapaxes(0, 1), dilated.swapaxes(0, 1), padding=padding)
    return dx, dweight.swapaxes(0, 1)


rng = np.random.default_rng(1)
for (H, W), S, P in (((6, 5), 1, 0), ((6, 5), 1, 1), ((6, 6), 2, 1), ((7, 8), 3, 1)):
    some_x, some_weight = rng.standard_normal((2, 3, H, W)), rng.standard_normal((4, 3, 3, 3))
    some_y, cache = ops.conv2d(some_x, some_weight, stride=S, padding=P)
    some_dy = rng.standard_normal(some_y.shape)
    mine = two_convolutions(some_dy, some_x, some_weight, stride=S, padding=P)
    for a, b in zip(mine, ops.conv2d_backward(some_dy, cache)[:2], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    print(f"x {H}x{W}, stride {S}, padding {P}: dx and dweight agree")
show("the turned filter", weight[:, :, ::-1, ::-1])
show("dx of the 4x4 example, as a convolution", two_convolutions(dy, x, weight, stride=1, padding=0)[0])

# %% [markdown]
# ## The code of this package
#
# `numpy_resnet/ops/conv/im2col.py` has the three products. Memory is channels-last here (the channels of one pixel lie
# side by side), so windows are *rows*, and several images go at once; it is the matrix above, lying down. Forward and
# backward, with their line numbers:


# %%
def key_lines(function):
    lines, first = inspect.getsourcelines(function)
    print(function.__name__)
    for number, line in enumerate(lines, first):
        if "_rows(" in line or "matmul(" in line:
            print(f"  line {number}: {line.strip()}")


im2col = ops.conv.ALGORITHMS["im2col"]
key_lines(im2col.conv2d)
key_lines(im2col.conv2d_backward_parameters)
key_lines(im2col.conv2d_backward)
y, cache = im2col.conv2d(x, weight)
print("the cache")
for field, value in cache._asdict().items():
    print(f"  {field:<8} {value.shape if isinstance(value, np.ndarray) else value}")

# %% [markdown]
# (The first `matmul` of `conv2d_backward` is for filters of 1x1, where each pixel is its own window.) The *cache* is
# whatever the backward has to know of the forward. Here it is a NamedTuple, a tuple whose fields have names: the inputs
# and the sizes. The columns are not in it. For 3x3 and stride 1 they take nine times the memory of x, so backward lays
# them out again.
#
# Put a breakpoint on the line `dwindows = matmul(...)` in `conv2d_backward` and run this cell in a debugger:
#
# - `cache.x[0, 0]` and `cache.weight[0, 0]` are the arrays printed above;
# - `dy_rows` is (4, 1), our dy, window after window;
# - one step later `dwindows` is (4, 9), our dcols transposed;
# - step into `add_window_rows` to see it added up. With `NUMBA_DISABLE_JIT=1` the loop itself can be stepped, in
#   `numpy_resnet/kernels/columns.py`.

# %%
for got, expected in zip(im2col.conv2d_backward(dy, cache), (dx, dweight, None), strict=True):
    np.testing.assert_array_equal(got, expected)

# %% [markdown]
# `ops.conv2d` itself picks an algorithm by the shapes. Where it pays, a 3x3 convolution of stride 1 goes by Winograd's
# method, which needs fewer multiplications (chapter 11). All of them compute the same function:

# %%
some_x, some_weight = rng.standard_normal((2, 8, 8, 8)), rng.standard_normal((8, 8, 3, 3))
for name, algorithm in ops.conv.ALGORITHMS.items():
    some_y, cache = algorithm.conv2d(some_x, some_weight, padding=1)
    gradients = algorithm.conv2d_backward(np.cos(some_y), cache)
    print(f"{name:<9} y[0, 0, 0, 0] = {some_y[0, 0, 0, 0]:.9f}   dx[0, 0, 0, 0] = {gradients[0][0, 0, 0, 0]:.9f}")
    np.testing.assert_allclose(some_y, reference.conv2d(some_x, some_weight, padding=1), atol=1e-10)

# %% [markdown]
# ## Is it right?
#
# Ask differences: move every entry of x, weight and bias a little up and a little down, and see what L does (chapter
# 8).

# %%
conv = partial(ops.conv2d, stride=2, padding=1)
arrays = [rng.standard_normal(shape) for shape in ((2, 3, 5, 4), (2, 3, 3, 3), (2,))]  # x, weight, bias
report = gradcheck.check_gradients(conv, ops.conv2d_backward, *arrays)
print(report)
assert report.ok

# %% [markdown]
# And a plausible mistake, a col2im that assigns where it should add. Each window then overwrites what others sent back.
# `gradcheck.diagnose_op`, called the *doctor* from now on, tries small cases and names the likely mistake:


# %%
def overwriting_backward(dy, cache):
    _, dweight, dbias = ops.conv2d_backward(dy, cache)
    (N, C, H, W), (OC, _, KH, KW) = cache.x.shape, cache.weight.shape
    (SH, SW), (PH, PW), (OH, OW) = cache.stride, cache.padding, cache.output
    dcols = (cache.weight.reshape(OC, -1).T @ dy.reshape(N, OC, -1)).reshape(N, C, KH, KW, OH, OW)
    padded = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dy.dtype)
    for kh, kw in np.ndindex(KH, KW):
        padded[:, :, kh : kh + SH * OH : SH, kw : kw + SW * OW : SW] = dcols[:, :, kh, kw]  # = where += belongs
    return padded[:, :, PH : PH + H, PW : PW + W], dweight, dbias


found = gradcheck.diagnose_op("conv2d", ops.conv2d, overwriting_backward)
print(found)
assert not found.ok and found.findings[0].cause == "not_accumulated"

# %% [markdown]
# In the maps at the end numbers are scaled to one digit (9 stands for the largest, given above them) and a dot is zero.
# The doctor names the line of thought that failed and gives the smallest case: three pixels, two windows, and the pixel
# in the middle is in both. Without overlap (stride 2 with a 2x2 filter) the mistake is no mistake, and a test on such
# windows passes.
#
# ## A real image
#
# A handwritten digit of 8x8, and two filters that were made by hand: Sobel's, which answer to edges. One is the other,
# transposed. In each map one output is framed; a 1 sent back from there alone shows what that output depends on.

# %%
digit = np.asarray(data.digits().train.read(0), float)[None, None] / 255  # (1, 1, 8, 8)
sobel = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
edges, cache = ops.conv2d(digit, np.stack([sobel, sobel.T])[:, None], padding=1)  # OC = 2

figure = plots.page(10, 5.4)
axes = figure.subplots(2, 4)
for oc, (what, (oh, ow)) in enumerate((("right - left", (2, 1)), ("below - above", (2, 3)))):
    dy = np.zeros_like(edges)
    dy[0, oc, oh, ow] = 1
    dx, _, _ = ops.conv2d_backward(dy, cache)
    axes[oc, 0].imshow(digit[0, 0], cmap="gray")
    axes[oc, 0].set(title="x, a digit", xticks=[], yticks=[])
    plots.cells(axes[oc, 1], cache.weight[oc, 0], title=f"weight: {what}")
    axes[oc, 2].imshow(edges[0, oc], cmap=plots.DIVERGING, vmin=-4, vmax=4)
    axes[oc, 2].plot(ow, oh, "s", ms=15, mfc="none", mec=plots.INK, mew=2.5)
    axes[oc, 2].set(title="y", xticks=[], yticks=[])
    plots.cells(axes[oc, 3], dx[0, 0], title="dx of the framed y", fontsize=10)
figure

# %% [markdown]
# Vermillion is positive (in the upper row: dark on the left, bright on the right), blue is negative, and where the
# image is even there is nothing. On the right the gradient of one output is the filter itself, laid down at its window,
# not turned. The turned filter appears to a pixel that collects from all the outputs that saw it. It is the same sum,
# once ordered by outputs and once by pixels.
#
# **Predict, then run:**
#
# 1. A weight of nine ones and a dy of four ones, on the 4x4 image. What is dx? What is dweight?
# 2. A filter of 1x1. What are cols? What is left of col2im?
# 3. A 6x6 image, a 3x3 filter, stride 2, no padding. For which pixels is dx zero, whatever dy and weight are?
# 4. Two 3x3 convolutions, one after the other, and a 1 sent back from one output pixel of the second. How many pixels
#    of the input can it reach?
#
# <details><summary>Answers</summary>
#
# 1. dx is the map of counts, 1 at the corners and 4 in the middle; dweight is the sum, for each place of the window, of
#    the pixels it met: the row sums of cols, for 0, 0 it is 1 + 2 + 0 + 3 = 6.
# 2. cols is x with its pixels in a row, (N, C, H*W), and nothing overlaps: col2im is only a reshape. A 1x1 convolution
#    is a matrix product of the channels of each pixel.
# 3. (6 - 3) // 2 + 1 = 2 windows, which cover rows 0 to 4: the last row and the last column are in none.
# 4. 5x5 = 25. The first step back reaches 3x3 places, and each of these 3x3 pixels again, which overlap. This is the
#    *receptive field* of that output: it grows by 2 with every 3x3 layer.
#
# </details>

# %% [markdown]
# ## Now you
#
# ```
# numpy-resnet exercises start mine --only columns conv2d_forward conv2d_backward
# ```
#
# - `columns`: im2col and col2im in one loop over the places of the kernel, each the other's transpose.
# - `conv2d_forward`: one matrix product over all windows, with bias, padding and stride.
# - `conv2d_backward`: the two products that come back. The check tells you which of the gradients is wrong, and why.
#
# To see every window become a column, and every column added back, on the numbers of a trained network or on a toy
# image with a stride and a padding of your choice: `numpy-resnet explore` writes a page. After `make docs` it is
# <a href="../../docs/explorer/resnet18.html#at=layer1.0.conv1&amp;way=backward&amp;tab=closer">here</a>.
#
# **Next:** chapter 3, ReLU and max pooling: what stands between two convolutions, and why it must.
