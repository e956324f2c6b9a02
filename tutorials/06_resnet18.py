# %% [markdown]
# # 6. ResNet-18
#
# **Question:** how do eight residual blocks become a network that names what is in a photo, what does it cost, and how
# do deeper ones come from the same two functions?
#
# There is nothing new to derive here but a mean. The rest is putting together, and counting.

# %%
import inspect

import numpy as np
from PIL import Image

from numpy_resnet import data, gradcheck, layers, models, ops, plots, reference
from numpy_resnet.models.blocks import residual_block

rng = np.random.default_rng(0)


def sizes(array):
    return " x ".join(str(s) for s in array.shape[1:])


# %% [markdown]
# ## Five stages
#
# He et al. 2015, table 1. An image of 224x224 pixels with three colours goes through
#
# | in the paper | here | what it is | output, H x W x C |
# |---|---|---|---|
# | conv1 | `conv1`, `bn1`, `relu` | the *stem*: one 7x7 convolution, stride 2 | 112 x 112 x 64 |
# | conv2_x | `maxpool`, `layer1` | 3x3 max pool, stride 2 (chapter 3); two identity blocks | 56 x 56 x 64 |
# | conv3_x | `layer2` | a convolution block and an identity block (chapter 5) | 28 x 28 x 128 |
# | conv4_x | `layer3` | the same | 14 x 14 x 256 |
# | conv5_x | `layer4` | the same | 7 x 7 x 512 |
# | average pool, fc | `avgpool`, `fc` | the *head*: a mean of each map, one score for each class | number of classes |
#
# From stage to stage the map gets half as high and half as wide, and has twice as many channels: less of where, more of
# what. The names on the left of the code are torchvision's, so weights can be exchanged (chapter 12). Eighteen is the
# number of layers with weights: one in the stem, 8 blocks of two convolutions, one at the end. Projections and batch
# norms do not count.

# %%
model = models.resnet18(num_classes=10, in_channels=1)  # ten digits, grey
print(model.summary((1, 224, 224)))

# %% [markdown]
# Two of these numbers by hand. conv1 of layer1 has 3·3·64·64 = 36,864 weights. It uses each of them once for each of
# its 56·56 output pixels: 36,864 · 3,136 = 115,605,504 *multiply-adds*, a multiplication whose product is added to a
# sum. layer1 has four such convolutions, and 4 · 115,605,504 = 462,422,016 is what the table says. (The paper counts
# the same way, and calls 1.8 billion multiply-adds 1.8 billion FLOPs.)
#
# And ResNet-18 for a thousand classes and colour, from the formula alone:


# %%
def block_parameters(C, OC):
    """Two 3x3 convolutions and their batch norms; a 1x1 and its batch norm where the shape changes."""
    return 9 * C * OC + 9 * OC * OC + 4 * OC + (C * OC + 2 * OC if C != OC else 0)


stem = 7 * 7 * 3 * 64 + 2 * 64
blocks = sum(
    block_parameters(C, OC) + block_parameters(OC, OC) for C, OC in ((64, 64), (64, 128), (128, 256), (256, 512))
)
by_hand = stem + blocks + 512 * 1000 + 1000
print(f"{stem:,} + {blocks:,} + {512 * 1000 + 1000:,} = {by_hand:,}")
assert by_hand == sum(p.size for _, p, _ in models.resnet18().named_parameters()) == 11_689_512

# %% [markdown]
# Where are the parameters, and where is the work? Half the pixels in each direction is a quarter of the places; twice
# the channels, in and out, is four times the weights. So every stage costs the same, and the last one has most of the
# weights.

# %%
records = layers.trace(model, np.zeros((1, 1, 224, 224), np.float32))
stages = ("conv1", "layer1", "layer2", "layer3", "layer4", "fc")
figure = plots.page(9, 3.6)
axes = figure.subplots(1, 2, sharey=True)
for panel, title, count, color in (
    (axes[0], "parameters", lambda t: sum(p.size for p in t.layer.params.values()), plots.VERMILLION),
    (axes[1], "multiply-adds", lambda t: t.layer.multiply_adds(t.output), plots.BLUE),
):
    totals = np.array([sum(count(t) for t in records if t.name.split(".")[0] == stage) for stage in stages])
    panel.barh(stages, totals / totals.sum(), color=color)
    for row, share in enumerate(totals / totals.sum()):
        panel.text(share + 0.01, row, f"{share:.0%}", va="center", fontsize=12)
    panel.set_title(f"{title}: share of each stage", loc="left", fontsize=13)
    panel.set(xlim=(0, 0.9), xticks=[])
    panel.spines[["top", "right", "bottom"]].set_visible(False)
axes[0].invert_yaxis()
figure

# %% [markdown]
# ## Built from two functions
#
# A stage is one block that changes the shape and others that keep it. `models.convolution_block` and
# `models.identity_block` (chapter 5) make them, and this is all that there is to the middle of the network:

# %%
x = rng.standard_normal((1, 64, 56, 56), dtype=np.float32)
channels = 64
middle = [models.identity_block(64, rng=0), models.identity_block(64, rng=1)]
for wider in (128, 256, 512):
    middle += [
        models.convolution_block(channels, wider, stride=2, rng=wider),
        models.identity_block(wider, rng=wider + 1),
    ]
    channels = wider
tower = layers.Sequential(*middle)
y = tower.forward(x)
print(f"{sizes(x)}  ->  {sizes(y)}")
print("back:", sizes(tower.backward(np.ones_like(y))))

# %% [markdown]
# ## A mean for each map
#
# After layer4 each channel is a map of 7x7 numbers: where its pattern was found. For "is it in the image" the place
# does not matter, so *global average pooling* takes the mean. Backward: each pixel is in the mean with the factor
# 1/(H·W), so each gets the same share.
#
# $$ y[n, c] = \frac{1}{HW} \sum_{h, w} x[n, c, h, w], \qquad dx[n, c, h, w] = \frac{dy[n, c]}{HW} $$
#
# The map 1, 2, 3, 6 has the mean 3; a dy of 8 comes back as 2, 2, 2, 2. Since there is one number for each channel,
# whatever the size of the map, the network takes images of any size.

# %%
x = np.array([1.0, 2, 3, 6]).reshape(1, 1, 2, 2)
y, cache = ops.global_avgpool2d(x)
print("y", y.ravel(), "  dx", ops.global_avgpool2d_backward(np.full((1, 1), 8.0), cache).ravel())
np.testing.assert_array_equal(y, reference.global_avgpool2d(x))
for size in (64, 97):
    print(f"{size} x {size} pixels -> {model.infer(np.zeros((1, 1, size, size), np.float32)).shape[1]} logits")

# %% [markdown]
# ## Backward is forward, read upside down
#
# This is how the network is written. Read the left from the top and the right from the bottom: line for line.

# %%
forward, backward = (
    [line.strip() for line in inspect.getsource(f).splitlines()[1:]]
    for f in (models.ResNet.forward, models.ResNet.backward)
)
for down, up in zip(forward, reversed(backward), strict=True):
    print(f"{down:<36} {up}")

# %% [markdown]
# (`norm_relu` is `bn1` and `relu` in one, and `input_gradient=False` leaves out the dx of the image, which training
# does not need: chapter 11.) `layers.trace` runs both directions and keeps what every layer saw. The image is a digit,
# enlarged; the network knows nothing yet.

# %%
digits, which = data.digits().train, 3
digit = Image.fromarray(np.asarray(digits.read(which))).resize((224, 224), Image.Resampling.BICUBIC)
x = (np.asarray(digit, np.float32)[None, None] / 255 - 0.3) / 0.4
loss, cache = ops.cross_entropy(model.infer(x), digits.labels[which : which + 1])
model.eval()  # one image is too little for the statistics of layer4 to mean anything
seen = {t.name: t for t in layers.trace(model, x, ops.cross_entropy_backward(1.0, cache))}
print(f"loss {loss:.3f}; of a guess among ten it would be {np.log(10):.3f}\n")
print(f"{'':<20}{'forward':<18}{'backward':<18}size of the gradient")
for name in (
    "conv1",
    "maxpool",
    "layer1.1.relu2",
    "layer2.1.relu2",
    "layer3.1.relu2",
    "layer4.1.relu2",
    "avgpool",
    "fc",
):
    t = seen[name]
    print(f"{name:<20}{sizes(t.output):<18}{sizes(t.upstream):<18}{np.linalg.norm(t.upstream):.2e}")
    assert t.output.shape == t.upstream.shape

# %%
names = {"stem": "maxpool", "layer1": "layer1.1.relu2", "layer2": "layer2.1.relu2", "layer3": "layer3.1.relu2"}
names["layer4"] = "layer4.0.relu2"  # behind the last block the gradient is a mean's: the same for all pixels
figure = plots.passes(
    x[0],
    [(stage, seen[name].output[0], seen[name].upstream[0]) for stage, name in names.items()],
    seen["conv1"].downstream[0],
    [f"digit {digits.labels[which]}", f"loss {loss:.2f}"],
    title="A digit through an untrained ResNet-18, and the gradient back",
    words=("y, cache = f(x)", "dx = f_backward(dy, cache)"),
)
figure

# %% [markdown]
# The table is the network, and so is a loop: each part forward, and then each part backward from the last to the first,
# which is what `model.backward` does.

# %%
net = models.resnet18(num_classes=10, in_channels=1)
batch = rng.standard_normal((2, 1, 64, 64), dtype=np.float32)
h = batch
for _, part in net.children():
    h = part.forward(h)
dy = dh = rng.standard_normal(h.shape, dtype=np.float32)
for name, part in reversed(net.children()):
    dh = part.backward(dh)
    print(f"{name:<8} {sizes(dh)}")
net.forward(batch)
np.testing.assert_allclose(net.backward(dy), dh, atol=1e-4 * np.abs(dh).max())

# %% [markdown]
# ## Is it right?
#
# Every op has been checked (chapters 2 to 5, 7). Is the whole? The same blocks, small and in float64: every parameter
# moves along a random direction, and the loss is compared with what backward says (chapter 8).

# %%
small = models.CifarResNet("small", residual_block, 1, dtype=np.float64)
images, labels = rng.standard_normal((3, 3, 8, 8)), np.array([0, 3, 9])
diagnosis = gradcheck.diagnose_model(small, images, labels)
print(diagnosis)
assert diagnosis.ok

# %% [markdown]
# ## Deeper, wider, shorter
#
# More blocks in each stage make ResNet-34. From 50 on a block has three convolutions, 1x1, 3x3, 1x1: the first makes
# the channels fewer and the last makes them many again, so that the 3x3 in the *bottleneck* is cheap. The counts are
# for images of 32x32 with the stem as it is, and a thousand classes.

# %%
image = np.zeros((1, 3, 32, 32), np.float32)
print(f"{'':<12}{'blocks':<16}{'parameters':>12}{'multiply-adds at 32x32':>26}")
for name in ("resnet18", "resnet34", "resnet50", "resnet101"):
    net = models.MODELS[name]()
    counts = [len(getattr(net, f"layer{i}").children()) for i in (1, 2, 3, 4)]
    parameters = sum(p.size for _, p, _ in net.named_parameters())
    work = sum(t.layer.multiply_adds(t.output) for t in layers.trace(net, image))
    print(f"{name:<12}{counts!s:<16}{parameters:>12,}{work:>26,}")

# %% [markdown]
# The number of classes is an argument, `resnet18(num_classes=2)`, and so are the colours, dropout before the last layer
# and the stem: `stem="cifar"` is a 3x3 convolution without stride and pool, for small images. A depth of your own is a
# list of four numbers:

# %%
# residual_block is an identity block where x keeps its shape, else a convolution block
mine = models.ResNet("resnet12", residual_block, (1, 1, 2, 1), expansion=1, num_classes=5, in_channels=1, stem="cifar")
print(mine.infer(np.zeros((2, 1, 28, 28), np.float32)).shape, f"{sum(p.size for _, p, _ in mine.named_parameters()):,}")

# %% [markdown]
# **Predict, then run:**
#
# 1. Which share of ResNet-18's parameters are those of the last layer, for 1,000 classes? For 2?
# 2. An image of 448x448: how many multiply-adds, how many parameters?
# 3. The plain net without shortcuts, `models.plain18`: more parameters, fewer, the same?
#
# <details><summary>Answers</summary>
#
# 1. 513,000 of 11,689,512, which is 4 %. For two classes 1,026.
# 2. Four times as many multiply-adds (but for the last layer), and not one parameter more.
# 3. Fewer: the three projections are missing, 64·128 + 128·256 + 256·512 weights and 2·(128 + 256 + 512) of batch norm.
#
# </details>

# %% [markdown]
# ## Now you
#
# ```
# numpy-resnet exercises start mine --only global_avgpool resnet18
# ```
#
# - `global_avgpool`: the last op, and the shortest.
# - `resnet18`: the whole network from your blocks, and its backward upside down.
#
# To go through all of it with one image, there and back, layer by layer: `numpy-resnet explore` writes a page. In the
# site it is <a href="../../docs/explorer/resnet18.html">here</a>, after `make docs`.
#
# **Next:** [Loss, fully connected, dropout](07_loss_and_dropout.py): where the first gradient comes from.
