# %% [markdown]
# # 5. The residual block
#
# **Question:** two 3x3 convolutions in a row can be trained. Thirty cannot, not well. What does a shortcut change?
#
# We take the features of an image, 56x56 pixels with 64 channels, through the stage that He et al. 2015 call conv3_x
# (`layer2` here): a *convolution block*, which halves the map and doubles the channels, then an *identity block*, which
# keeps both. Then we go all the way back. Every function here is the package's own: step into it.

# %%
import inspect

import numpy as np

from numpy_resnet import gradcheck, layers, models, ops, plots

rng = np.random.default_rng(0)


def show(step, array, note=""):
    print(f"{step:<34} {' x '.join(str(s) for s in array.shape):<18} {note}")


# %% [markdown]
# ## The idea, with one number
#
# Say that a few layers are to learn a function H(x). He et al. 2015 let them learn the difference F(x) = H(x) - x, the
# *residual*, and add x again: y = F(x) + x. The way on which x comes along is the *shortcut* (or *skip connection*). If
# the best thing that these layers can do is nothing, the weights of F only have to become zero.
#
# The smallest residual block there is has one pixel, one channel and weights w1 and w2 for convolutions (no batch
# norm):
#
# $$ y = \mathrm{relu}\big( w_2 \cdot \mathrm{relu}(w_1 x) + x \big) $$
#
# For x = 2, w1 = 0.5, w2 = 0.4 it is relu(0.4 · relu(1) + 2) = relu(2.4) = 2.4. And dx for dy = 1? There are two ways
# from x to y. Through F, the slope is w1 · w2 = 0.2 (both ReLUs are open, their slope is 1). Along the shortcut it is
# 1:
#
# $$ dx = dy \cdot (w_1 w_2 + 1) = 1 \cdot (0.2 + 1) = 1.2 $$
#
# Without the shortcut dx is 0.2 of dy, and after ten such blocks 0.2 to the power of 10, a ten-millionth. With it, 1.2
# to the power of 10, about 6. (There is no batch norm here. With it the gradient does not vanish, and this is not the
# reason that plain nets learn badly: chapter 1, and the end of this one.)

# %%
x, w1, w2 = 2.0, 0.5, 0.4


def smallest_block(x):
    return max(w2 * max(w1 * x, 0) + x, 0)


step = 1e-6
print(f"y = {smallest_block(x):.1f}")
print(f"slope by differences: {(smallest_block(x + step) - smallest_block(x - step)) / (2 * step):.6f}")
print(
    f"w1 * w2 + 1 = {w1 * w2 + 1:.6f};   ten blocks: {(w1 * w2 + 1) ** 10:.3f}, without shortcuts {(w1 * w2) ** 10:.7f}"
)

# %% [markdown]
# ## Two kinds of block
#
# In a ResNet F is: 3x3 convolution, batch norm (chapter 4), ReLU (chapter 3), 3x3 convolution, batch norm. Where F
# keeps the shape, the shortcut is x itself: an *identity block*. Where F has stride 2 and doubles the channels, its
# output is 28x28x128 and x is 56x56x64: they cannot be added. Then the shortcut is a *projection*, a 1x1 convolution
# with the same stride (He et al. 2015, section 3.3, equation 2): a *convolution block*. Batch norm stands right after
# each convolution (section 3.4), so after the projection, too: else the shortcut would have a scale of its own beside a
# branch of variance 1. On the identity shortcut there is none, for reasons (chapter 4).
#
# $$ y = \mathrm{relu}\big(F(x) + x\big), \qquad y = \mathrm{relu}\big(F(x) + \mathrm{project}(x)\big) $$

# %%
branch, first = ["bn1", "relu1", "conv2\n3x3", "bn2"], ["conv1\n3x3", "conv1\n3x3, /2"]
figure = plots.residual_blocks(
    {
        "Identity block: the shortcut is x itself": ([first[0], *branch], [], "relu2"),
        "Convolution block: the shortcut is a projection; /2 is a stride of 2": (
            [first[1], *branch],
            ["1x1, /2", "bn"],
            "relu2",
        ),
    },
    fork="dx = dx_branch + dx_shortcut",
    plus="both get the same gradient",
    title="Forward in blue, backward in vermillion: at the fork the gradients add",
)
figure

# %% [markdown]
# ## The convolution block, step by step

# %%
x = rng.standard_normal((1, 64, 56, 56), dtype=np.float32)  # (N, C, H, W): an image after the stage before
block = models.convolution_block(64, 128, stride=2, rng=0)

show("x", x)
h = block.conv1.forward(x)
show("conv1, 3x3, stride 2", h, "half the size, twice the channels")
h = block.bn1.forward(h)
show("bn1", h, f"mean {h.mean():+.3f}, standard deviation {h.std():.3f}")
h = block.relu1.forward(h)
show("relu1", h, f"{(h == 0).mean():.0%} are zero")
h = block.conv2.forward(h)
show("conv2, 3x3", h)
h = block.bn2.forward(h)
show("bn2", h)
shortcut = block.downsample.forward(x)
show("shortcut, 1x1, stride 2, bn", shortcut, "now the shapes agree")
y = block.relu2.forward(block.add.forward(h, shortcut))
show("add, relu2", y)

# %% [markdown]
# A stride that leaves a remainder is normal: (56 + 2 - 3) / 2 = 27.5, so 27 + 1 = 28 windows fit, and the last column
# of padding is in none of them.
#
# A 1x1 convolution with stride 2 looks at one pixel of each 2x2 and at none of the three others. On an image of 4x4
# numbers with the weight 1:

# %%
numbers = np.arange(16.0).reshape(1, 1, 4, 4)
seen, _ = ops.conv2d(numbers, np.ones((1, 1, 1, 1)), stride=2)
print(f"{numbers[0, 0]}\n-> {seen.tolist()}")

# %% [markdown]
# So three quarters of x reach y through the branch F alone. (He et al. 2015 compare this, in section 4.1, with a
# shortcut without parameters: the same pixels, and zeros for the new channels. It is hardly worse.
# `models.zero_padded_block` is that one.)
#
# ## The identity block
#
# The shortcut is an empty `Sequential`: no layer, no parameter, no cost, and no `if` in the code.

# %%
identity = models.identity_block(128, rng=1)
z = identity.forward(y)
show("identity block", z, f"shortcut: {identity.downsample}")

# %% [markdown]
# ## Backward is forward, read upside down
#
# Any gradient may come from above. A random one hides nothing. Ones might: where they arrive unchanged at a batch norm,
# its dx is zero (chapter 4).
# Each layer has kept what it needs in its *cache*, and its backward takes it.

# %%
dz = rng.standard_normal(z.shape, dtype=np.float32)
dy = identity.backward(dz)
show("dz, from above", dz)
show("dy, below the identity block", dy)

dh = block.relu2.backward(dy)
show("relu2, backward", dh, "zero where y was")
dh, dshortcut = block.add.backward(dh)
show("add, backward", dh, f"both branches get the same array: {dh is dshortcut}")
dx_shortcut = block.downsample.backward(dshortcut)
show("shortcut, backward", dx_shortcut)
dh = block.bn2.backward(dh)
dh = block.conv2.backward(dh)
dh = block.relu1.backward(dh)
dh = block.bn1.backward(dh)
dx_branch = block.conv1.backward(dh)
show("branch, backward", dx_branch)

# %% [markdown]
# The gradient of the sum has a function of its own. It is one line, and the most important one of the network: what
# comes from above goes into both branches, unchanged.

# %%
print(inspect.getsource(ops.add_backward))

# %% [markdown]
# ## The fork: gradients add
#
# x went two ways, through the branch h = F(x) and along the shortcut, and the loss L depends on x through both. The
# chain rule has a term for each way. For one number x:
#
# $$ dx = \frac{\partial L}{\partial h} \cdot \frac{\partial h}{\partial x} +
# \frac{\partial L}{\partial\,shortcut} \cdot \frac{\partial\,shortcut}{\partial x} =
# dh \cdot \frac{\partial h}{\partial x} + dshortcut \cdot \frac{\partial\,shortcut}{\partial x} $$
#
# For an image the slopes are matrices, and backward multiplies by their transposes (chapter 2):
#
# $$ dx = \underbrace{\Big(\frac{\partial h}{\partial x}\Big)^{T} dh}_{\text{through the branch}} +
# \underbrace{\Big(\frac{\partial\,shortcut}{\partial x}\Big)^{T} dshortcut}_{\text{along the shortcut}} $$
#
# That is all that "backpropagation through a shortcut" is. In an identity block the second matrix is the identity, and
# its term is dshortcut as it came. Step by step, above, both terms were made: `dx_branch` and `dx_shortcut`.

# %%
dx = dx_branch + dx_shortcut
show("dx = branch + shortcut", dx)
print(f"one entry of it: ({dx_branch[0, 0, 10, 10]:.5f}) + ({dx_shortcut[0, 0, 10, 10]:.5f}) = {dx[0, 0, 10, 10]:.5f}")
norms = [np.linalg.norm(part) for part in (dx_branch, dx_shortcut, dx)]
print("sizes: branch {:.1f}, shortcut {:.1f}, sum {:.1f}".format(*norms))

block.forward(x)
np.testing.assert_allclose(block.backward(dy), dx, atol=1e-5)
print("block.backward(dy) gives the same")

# %% [markdown]
# The first channel, its top left corner of 12x12 pixels. The projection sends something back to one pixel of each 2x2:

# %%
corner = np.s_[0, 0, :12, :12]
limit = np.abs(dx[corner]).max()
figure = plots.page(10, 3.6)
parts = {"dx_branch": dx_branch, "+   dx_shortcut": dx_shortcut, "=   at the fork: dx": dx}
for axes, (name, values) in zip(figure.subplots(1, 3), parts.items(), strict=True):
    axes.imshow(values[corner], cmap=plots.DIVERGING, vmin=-limit, vmax=limit)
    axes.set(xticks=[], yticks=[])
    axes.set_title(name, fontsize=13, loc="left")
figure

# %% [markdown]
# ## Is it right? Ask finite differences
#
# The same block, small and in float64. The doctor moves x and every parameter along a random direction, a little there
# and a little back, and compares the slope with what backward says. Chapter 8 builds such a check.

# %%
small = models.convolution_block(3, 4, stride=2, rng=0, dtype=np.float64)
small_x = rng.standard_normal((2, 3, 6, 5))
report = gradcheck.diagnose_model(small, small_x)
print(report)
assert report.ok

# %% [markdown]
# And if the fork is forgotten, if the branch's gradient alone is returned? Networks with that bug do train, only worse.
# Every parameter of this block even has its right gradient; what is wrong is what the layers below it get. A check
# entry by entry finds it. (In training, batch norm, add and ReLU are one op here, `norm_add_relu2`: chapter 11.)


# %%
def block_forward(x):
    return small.forward(x), None


def forgetful_backward(dy, cache):
    dh, dshortcut = small.norm_add_relu2.backward(dy)
    for layer in (small.conv2, small.norm_relu1, small.conv1):
        dh = layer.backward(dh)
    small.downsample.backward(dshortcut)
    return dh  # ... and dshortcut is lost


report = gradcheck.check_gradients(block_forward, forgetful_backward, small_x)
print(report)
assert not report.ok

# %% [markdown]
# Where is it wrong? Again one channel. The difference is at the pixels that the projection sees: the pattern of a wrong
# gradient often shows what is missing. (`gradcheck.diagnose_op("convolution_block", ...)` calls this one
# `branch_missing`. It tries many small blocks for that, and takes its time.)

# %%
small_dy = rng.standard_normal(block_forward(small_x)[0].shape)
forgetful = forgetful_backward(small_dy, None)
block_forward(small_x)
right = small.backward(small_dy)
unseen = np.ones((6, 5), bool)
unseen[::2, ::2] = False
np.testing.assert_allclose(forgetful[..., unseen], right[..., unseen], atol=1e-12)
figure = plots.gradient_maps(forgetful[0, 0], right[0, 0], title="dx without the shortcut's share")
figure

# %% [markdown]
# ## What the shortcut does to the gradient
#
# Twenty identity blocks in a row, and the same without their shortcuts. How large is the gradient that reaches the
# bottom, beside the one that was sent in at the top? Two things to learn: it does *not* vanish without shortcuts, since
# batch norm keeps the scale of each layer. It grows, by a factor with each block.

# %%
x = rng.standard_normal((2, 16, 6, 6), dtype=np.float32)
dz = rng.standard_normal(x.shape, dtype=np.float32)
residual = layers.Sequential(*(models.identity_block(16, rng=seed) for seed in range(20)))
new = {"dtype": np.float32, "ops": ops}
plain = layers.Sequential(*(models.PlainBlock(16, 16, 1, rng=np.random.default_rng(seed), **new) for seed in range(20)))

figure = plots.page(9, 3.8)
axes = figure.subplots()
for name, stack, color in (("with shortcuts", residual, plots.BLUE), ("without", plain, plots.VERMILLION)):
    stack.forward(x)
    gradient, norms = dz, [1.0]
    for _, layer in reversed(stack.children()):
        gradient = layer.backward(gradient)
        norms.append(np.linalg.norm(gradient) / np.linalg.norm(dz))
    print(f"{name:<16} after 1 block {norms[1]:8.2f}   5 {norms[5]:8.2f}   10 {norms[10]:8.2f}   20 {norms[20]:8.2f}")
    axes.semilogy(norms, color=color, lw=2.5)
    axes.text(20.3, norms[-1], name, color=color, fontsize=12, va="center")
axes.set(xlim=(0, 25), xticks=(0, 5, 10, 15, 20))
axes.set_xlabel("blocks that the gradient has come back through", fontsize=12)
axes.set_title("Size of the gradient, beside what was sent in at the top", loc="left", fontsize=13)
axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# With shortcuts a part of the gradient comes through unchanged. It grows as well, but far less, and most of it in the
# last blocks on the way back, the first of the network: there the branch is not yet small beside x. At the bottom of a
# deep plain stack the size of the gradient says more about depth than about the loss. Chapter 1 has the same in a
# network that learns. (Yang et al. 2019 compute the factor for plain nets with batch norm; De & Smith 2020 show that
# batch norm in a residual block makes the branch small beside the shortcut, and so a deep net nearly the identity when
# training begins.)
#
# ## A block that begins as the identity
#
# The weight of a batch norm (chapter 4) is 1 in the beginning, its bias 0. If the weight of the *last* one of the
# branch begins as 0, the branch adds nothing, whatever its convolutions are, and the block is the identity (behind a
# ReLU no x is negative). Goyal et al. 2017 (section 5.1) begin like that in every block: the signal first goes along
# the shortcuts, and the branches join in as they learn.

# %%
silent = models.identity_block(16, rng=0, dtype=np.float64)
silent.bn2.params["weight"][...] = 0
x = np.abs(rng.standard_normal((2, 16, 6, 6)))  # behind a ReLU nothing is negative
y = silent.forward(x)
dy = rng.standard_normal(y.shape)
np.testing.assert_array_equal(y, x)
np.testing.assert_array_equal(silent.backward(dy), dy)
print("y is x, and dx is dy")

# %% [markdown]
# **Predict, then run:**
#
# 1. In the block that begins as the identity, which parameters have a gradient that is not zero? Look at
#    `{key: np.abs(grad).max() for key, _, grad in silent.named_parameters()}`. Is the block stuck?
# 2. What if `add_backward` returned two copies? What if a ReLU wrote its mask into `dy` instead of a new array?
# 3. How many parameters has the projection? Count first, then `sum(p.size for _, p, _ in
#    block.downsample.named_parameters())`.
#
# <details><summary>Answers</summary>
#
# 1. The weight and the bias of bn2 alone. What comes back to conv2 through bn2 has its weight as a factor, and that is
#    zero, so all below gets nothing. It is not stuck: after one step the weight of bn2 is no longer zero, and then
#    all of them learn.
# 2. Nothing but time: they are read, never written. If somebody wrote into `dy`, the other branch would see it, since
#    both hold the same array. So no op of this package writes into an argument.
# 3. 64 · 128 weights, and 2 · 128 for the batch norm: 8,448.
#
# </details>

# %% [markdown]
# ## Now you
#
# ```
# numpy-resnet exercises start mine --only add identity_block convolution_block
# ```
#
# - `add`: two lines, and one way to get them wrong.
# - `identity_block`: forward, and then its mirror image. The fork is where the points are.
# - `convolution_block`: the same with a projection, which has gradients of its own.
#
# To see two gradients meet at each fork of a trained network, and how large they are: `numpy-resnet explore` writes a
# page. After `make docs` it is
# <a href="../../docs/explorer/resnet18.html#at=layer3.0&amp;way=backward&amp;tab=closer">here</a>.
#
# **Next:** [ResNet-18](06_resnet18.py): eight of these, a stem and a head.
