# %% [markdown]
# # A residual block, forward and backward
#
# **Question:** two 3x3 convolutions in a row can be trained. Thirty cannot, not well. What does a shortcut change?
#
# We walk an image's features, 56x56x64, through the stage that He et al. call conv3_x (`layer2` here): a *convolution
# block*, which halves the map and doubles the channels, then an *identity block*, which keeps both. Then we walk all
# the way back. Every function here is the package's own: step into it.

# %%
import numpy as np

from numpy_resnet import gradcheck, layers, models, ops

rng = np.random.default_rng(0)
x = rng.standard_normal((2, 64, 56, 56), dtype=np.float32)  # (N, C, H, W): two images after stage 2


def show(step, array, note=""):
    print(f"{step:<34} {' x '.join(str(s) for s in array.shape):<18} {note}")


# %% [markdown]
# ## The convolution block, step by step
#
# The branch: 3x3 with stride 2, batch norm, ReLU, 3x3, batch norm. Its output is 28x28x128, and x is 56x56x64: they
# cannot be added. So the shortcut is a *projection*, a 1x1 convolution with the same stride, and a batch norm:
#
# $$ y = \mathrm{relu}\big(\mathrm{branch}(x) + \mathrm{project}(x)\big) $$
#
# A stride that leaves a remainder is normal: (56 + 2 - 3) / 2 = 27.5, so 27 + 1 = 28 windows fit, and the last column
# of padding is in none of them.

# %%
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
# ## The identity block
#
# Shapes agree, so the shortcut is x itself: an empty `Sequential`, which has no parameter and costs nothing.

# %%
identity = models.identity_block(128, rng=1)
z = identity.forward(y)
show("identity block", z, f"shortcut: {identity.downsample}")

# %% [markdown]
# ## Backward is forward, read upside down
#
# Any gradient may come from above. A random one hides nothing; one of ones would: it makes the dx of batch norm zero.

# %%
dz = rng.standard_normal(z.shape, dtype=np.float32)
dy = identity.backward(dz)
show("dz, from above", dz)
show("dy, below the identity block", dy)

dh = block.relu2.backward(dy)
show("relu2, backward", dh, "zero where y was")
dh, dshortcut = block.add.backward(dh)
show("add, backward", dh, f"both branches get the same array: {dh is dshortcut}")
dshortcut = block.downsample.backward(dshortcut)
show("shortcut, backward", dshortcut)
dh = block.bn2.backward(dh)
dh = block.conv2.backward(dh)
dh = block.relu1.backward(dh)
dh = block.bn1.backward(dh)
dh = block.conv1.backward(dh)
show("branch, backward", dh)

# %% [markdown]
# ## The fork: gradients add
#
# x went two ways, so a change of x changes y twice, once on each way. To first order the two changes add, and so do the
# gradients. That is all that "backpropagation through a shortcut" is.

# %%
dx = dh + dshortcut
show("dx = branch + shortcut", dx)
print(f"  one entry of it: {dh[0, 0, 10, 10]:+.5f} + {dshortcut[0, 0, 10, 10]:+.5f} = {dx[0, 0, 10, 10]:+.5f}")

block.forward(x)
np.testing.assert_allclose(block.backward(dy), dx, atol=1e-5)
print("  block.backward(dy) gives the same")

# %% [markdown]
# ## Is it right? Ask finite differences
#
# The same block, small and in float64, as a function of x alone. Each entry of x moves a little up and a little down.

# %%
small = models.convolution_block(3, 4, stride=2, rng=0, dtype=np.float64)


def block_forward(x):
    return small.forward(x), None


def block_backward(dy, cache):
    return small.backward(dy)


report = gradcheck.check_gradients(block_forward, block_backward, rng.standard_normal((2, 3, 6, 5)))
print(report)
assert report.ok


# %% [markdown]
# And if the fork is forgotten, if the branch's gradient alone is returned? Networks with that bug do train, only worse.
# The check is not so kind:


# %%
def forgetful_backward(dy, cache):
    dh, dshortcut = small.norm_add_relu2.backward(dy)  # batch norm, add and ReLU: in training they are one op
    for layer in (small.conv2, small.norm_relu1, small.conv1):
        dh = layer.backward(dh)
    small.downsample.backward(dshortcut)
    return dh  # ... and dshortcut is lost


report = gradcheck.check_gradients(block_forward, forgetful_backward, rng.standard_normal((2, 3, 6, 5)))
print(report)
assert not report.ok

# %% [markdown]
# ## What the shortcut does to the gradient
#
# Twenty identity blocks in a row, and the same without their shortcuts. How large is the gradient that reaches the
# bottom, beside the one that was sent in at the top?

# %%
x = rng.standard_normal((4, 16, 8, 8), dtype=np.float32)
dz = rng.standard_normal(x.shape, dtype=np.float32)
seeds = range(20)
residual = layers.Sequential(*(models.identity_block(16, rng=seed) for seed in seeds))
new = {"dtype": np.float32, "ops": ops}
plain = layers.Sequential(*(models.PlainBlock(16, 16, 1, rng=np.random.default_rng(seed), **new) for seed in seeds))
for name, stack in (("with shortcuts", residual), ("without", plain)):
    stack.forward(x)
    gradient, norms = dz, []
    for _, layer in reversed(stack.children()):
        gradient = layer.backward(gradient)
        norms.append(np.linalg.norm(gradient))
    print(f"{name:<16} after 1 block {norms[0]:8.2f}   5 {norms[4]:8.2f}   10 {norms[9]:8.2f}   20 {norms[19]:8.2f}")

# %% [markdown]
# Under batch norm the gradient of a plain stack does not vanish: it explodes, by a factor with every block. With
# shortcuts a part of it comes through unchanged, and the growth is tame. So at the bottom of a deep plain stack the
# size of the gradient says more about depth than about the loss.
#
# **Predict, then run:**
#
# 1. Set the weight of an identity block's last batch norm to zero. What is y, for a positive x? And dx?
# 2. What if `add_backward` returned two copies? What if a ReLU wrote its mask into `dy` instead of a new array?
# 3. How many parameters has the projection? Count first, then `sum(p.size for _, p, _ in
#    block.downsample.named_parameters())`.
#
# <details><summary>Answers</summary>
#
# 1. The branch adds nothing: y = x, and dx = dy. A block can become the identity by
#    one weight vector: another block does not have to hurt.
# 2. Nothing but time: they are read, never written. If somebody wrote into `dy`, the other branch would see it, since
#    both hold the same array. So no op of this package writes into an argument.
# 3. 64 * 128 weights, and 2 * 128 for the batch norm: 8,448.
#
# </details>
