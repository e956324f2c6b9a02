# %% [markdown]
# # 1. Why depth stops helping
#
# **Question:** a network with 56 layers can compute all that one with 20 can. It is trained on the same images, in the
# same way, and makes more mistakes: even on the very images that it was trained on. Why?
#
# He et al. 2015 asked this, and their answer, the residual network, is what this course is about. No knowledge of
# neural networks is needed: what one is, and how it learns, comes first.

# %%
import json
from pathlib import Path

import numpy as np

import numpy_resnet
from numpy_resnet import data, layers, ops, optim, plots, train
from numpy_resnet.models.blocks import PlainBlock, residual_block, stage

numpy_resnet.set_num_threads(1)  # the images of this chapter are so small that a second thread would only cost time

# %% [markdown]
# ## What a network is
#
# A function, made of many small ones: the output of one is the input of the next. The small functions are *layers*, and
# how many of them come one after the other is the *depth*. Most layers have numbers in them that can be chosen, their
# *parameters* or *weights*. A layer multiplies its input by its weights; behind it stands something that is not linear,
# here always ReLU, max(0, x): otherwise all layers together would be no more than one matrix.
#
# The smallest network of depth two has one number in each layer: h = relu(w1 · x), y = w2 · h. Say that for x = 2 we
# want y = 3. How wrong it is, is said by one number, the *loss*; here it is the square of the difference, (y - 3)².
#
# *Training* means: move the weights so that the loss becomes smaller. The *gradient* says in which direction. We write
# `dw1` for the slope of the loss by w1, and likewise for every other name. With w1 = w2 = 0.5: h = 1, y = 0.5, the loss
# is 6.25. Then go back, from the loss to the weights, by the chain rule:
#
# $$ dy = 2\,(y - 3) = -5, \quad dw_2 = dy \cdot h = -5, \quad dh = dy \cdot w_2 = -2.5, \quad dw_1 = dh \cdot x = -5 $$
#
# (Between dh and dw1 stands the ReLU. Its slope is 1 where w1 · x is positive, as here, else 0: `h > 0` in the code.)
# Going back like this is *backpropagation*, and to write it for every layer of a ResNet is what the chapters teach. A
# step of training then moves each weight against its slope, by a share of it that is called the *learning rate*:


# %%
def loss_and_slopes(w1, w2, x=2.0, wanted=3.0):
    h = max(0.0, w1 * x)  # forward
    y = w2 * h
    dy = 2 * (y - wanted)  # backward
    dw2, dh = dy * h, dy * w2
    dw1 = dh * x * (h > 0)
    return (y - wanted) ** 2, dw1, dw2


w1, w2, rate = 0.5, 0.5, 0.05
_, dw1, dw2 = loss_and_slopes(w1, w2)
by_difference = (loss_and_slopes(w1 + 1e-6, w2)[0] - loss_and_slopes(w1 - 1e-6, w2)[0]) / 2e-6
print(f"dw1 = {dw1}, by a small difference {by_difference:.6f};   dw2 = {dw2}")
np.testing.assert_allclose(dw1, by_difference, rtol=1e-6)
for step in range(6):
    loss, dw1, dw2 = loss_and_slopes(w1, w2)
    print(f"step {step}:  w1 {w1:.3f}  w2 {w2:.3f}  loss {loss:.4f}")
    w1, w2 = w1 - rate * dw1, w2 - rate * dw2

# %% [markdown]
# ## Images in, classes out
#
# *Image classification*: the input is an image, the answer one of a few classes. The package has 1,797 handwritten
# digits of 8x8 pixels (Alpaydin & Kaynak 1998). 1,295 are for training. The 359 *test* images no training ever sees.
# The other 143 are for *validation*: looked at while one chooses rates and the like (chapter 9); not used here.

# %%
digits = data.load("digits")
scan = data.scan(digits.train)  # mean and standard deviation of the pixels: they become 0 and 1
loader, test_loader = (data.Loader(part, mean=scan.mean, std=scan.std) for part in (digits.train, digits.test))
figure = plots.page(9, 1.5)
for axes, image, label in zip(figure.subplots(1, 10), digits.train.pixels, digits.train.labels, strict=False):
    axes.imshow(image, cmap="gray_r")
    axes.set(xticks=[], yticks=[])
    axes.set_title(f"{label}", fontsize=13)
print(f"{len(digits.train):,} images to train on, {len(digits.test)} to test on")
figure

# %% [markdown]
# The network returns ten numbers, the *logits*, one for each digit; the largest is its answer. The loss is the *cross
# entropy* (chapter 7): small if the logit of the right digit lies far above the others. What we want to know in the end
# is the *error*, the share of wrong answers:
#
# - the *training error*, on the images that the weights were fitted to;
# - the *test error*, on the others. If it is much larger, the network has learnt its images by heart: *overfitting*.
#
# ## Networks that differ in depth alone
#
# Here a layer is a 3x3 *convolution*: weighted sums of small windows of the image (chapter 2), 16 different ones, so
# that its output is 16 images, the *channels*. *Batch norm* (chapter 4) behind it pulls each channel to mean 0 and
# variance 1, and ReLU follows. One such layer makes 4x4 pixels of 8x8. Then come blocks of two layers each, as many as
# we like. At the end each channel is replaced by its mean, and a last layer makes ten logits of 16 means.
#
# `PlainBlock` is two layers and no more. `residual_block` adds its input to what its two layers have made, before the
# last ReLU: y = relu(F(x) + x). The way around the layers is called a *shortcut* or *skip connection*.


# %%
def network(depth, make_block, seed=0):
    """A first convolution, (depth - 2) / 2 blocks of two convolutions, and a last layer with ten outputs."""
    new = {"rng": np.random.default_rng(seed), "dtype": np.float32, "ops": ops}
    first = layers.Conv2d(1, 16, 3, stride=2, padding=1, bias=False, **new)
    blocks = stage(make_block, (depth - 2) // 2, 16, 16, 1, **new)
    last = layers.Linear(16, 10, **new)
    return layers.Sequential(first, layers.BatchNorm2d(16), layers.ReLU(), blocks, layers.GlobalAvgPool2d(), last)


for depth in (8, 20, 32):
    plain, residual = (list(network(depth, block).named_parameters()) for block in (PlainBlock, residual_block))
    assert all(np.array_equal(a, b) for (_, a, _), (_, b, _) in zip(plain, residual, strict=True))
    print(f"{depth} layers with weights: {sum(param.size for _, param, _ in plain):,} numbers to choose")

# %% [markdown]
# The `assert` says that the plain and the residual network of one depth begin with the same numbers. They have the same
# parameters; a shortcut has none.
#
# ## Train all six
#
# Five *epochs*: five times through all images, 64 at a time. Each 64 make a step: forward, backward, and each weight
# moves a little against its gradient (with momentum, chapter 9). `train.fit` does that. Same images, same order, same
# rates.

# %%
runs, trained = [], {}
for make_block in (PlainBlock, residual_block):
    for depth in (8, 20, 32):
        model = network(depth, make_block)
        optimizer = optim.SGD(model, 0.1, momentum=0.9, weight_decay=1e-4)
        rates = optim.cosine(0.1, steps=5 * len(data.batch_starts(len(digits.train), 64)))
        history = train.fit(model, optimizer, rates, loader, test_loader, epochs=5, batch_size=64)
        runs.append({"depth": depth, "shortcuts": make_block is residual_block, "history": history})
        trained[make_block, depth] = model
        train_error, test_error = (1 - history[-1][key] for key in ("train_accuracy", "val_accuracy"))
        kind = "residual" if make_block is residual_block else "plain"
        print(f"{kind:<8} {depth:>2} layers: training error {train_error:6.1%}, test error {test_error:6.1%}")

# %%
figure = plots.depths(runs, title="Digits: more layers make a plain network worse, and a residual one not")
figure

# %% [markdown]
# Without shortcuts the deep network learns far less in the same time: 65 % errors, where guessing has 90 %. He et al.
# call it *degradation*. Three things to see:
#
# - It is *not* overfitting. An overfitted network is good on its training images. This one is bad on them.
# - It is not the number of weights. The residual network has exactly the same.
# - It is a small experiment: tiny images, a hundred steps. Given more steps the deep plain network will learn more.
#   With the seeds 1 and 2 it stays as far behind. The long run is at the end of the chapter.
#
# ## The deep network could do as well
#
# There is a deep plain network that is as good as the shallow one: take the shallow one, as trained, and put layers
# behind its blocks that do nothing, whose output is their input. So a solution *exists*; training does not find it (He
# et al. 2015, section 1). We build it. A 3x3 window with 1 in the middle and 0 around it copies the image; a fresh
# batch norm in evaluation subtracts 0 and divides by 1; and ReLU changes nothing that is positive already.

# %%
shallow, deep = trained[PlainBlock, 8], network(32, PlainBlock)
state = deep.state_dict()
for array in state.values():
    if array.ndim == 4:
        array[...] = 0
        array[range(len(array)), range(array.shape[1]) if array.shape[1] > 1 else 0, 1, 1] = 1
deep.load_state_dict(state | shallow.state_dict())  # the first blocks and the last layer, from the shallow network

x = next(test_loader.in_order(batch_size=200)).x
difference = np.abs(deep.infer(x) - shallow.infer(x)).max()
print(f"the logits of 32 and of 8 layers differ by {difference:.4f} at most, of {np.abs(shallow.infer(x)).max():.1f}")
np.testing.assert_allclose(deep.infer(x), shallow.infer(x), atol=0.02)

# %% [markdown]
# ## Residuals
#
# So "do nothing" is hard to learn for layers that begin with random weights. He et al. turn the task round. Say that
# two layers should compute H(x). With a shortcut they have to learn only the difference, the *residual*
#
# $$ F(x) = H(x) - x, \qquad y = F(x) + x $$
#
# To do nothing, F must be 0, and one vector of zeros is enough for that: the weight of the last batch norm in the
# block.

# %%
shallow, deep = trained[residual_block, 8], network(32, residual_block)
state = deep.state_dict()
for key, array in state.items():
    if key.endswith("bn2.weight"):
        array[...] = 0
deep.load_state_dict(state | shallow.state_dict())
np.testing.assert_allclose(deep.infer(x), shallow.infer(x), atol=1e-4)
print("24 more layers, twelve vectors of zeros, and the same logits")

# %% [markdown]
# ## Do gradients vanish?
#
# Nearly every article says so: in a deep network the gradient becomes smaller with every layer on its way back, until
# the first layers learn nothing. The reason given is the chain rule. With $x_{k+1} = f_k(x_k)$, the gradient is a
# product, and with shortcuts, $x_{k+1} = x_k + F_k(x_k)$, a product with the identity I in each factor (the last
# ReLU left out):
#
# $$ dx_0 = \frac{\partial f_0}{\partial x_0}^T \frac{\partial f_1}{\partial x_1}^T \cdots\, dy, \qquad
# dx_0 = \Big(I + \frac{\partial F_0}{\partial x_0}^T\Big)
# \Big(I + \frac{\partial F_1}{\partial x_1}^T\Big) \cdots\, dy $$
#
# A product of thirty factors can vanish. Does it, here? `layers.trace` shows the gradient at every layer, so measure
# it: its size (the root of the sum of squares) where it leaves each block, before training and after.


# %%
def gradient_sizes(model, x, labels):
    """The size of the gradient at the output of the first layer and of each block."""
    _, cache = ops.cross_entropy(model.train().forward(x), labels)
    seen = layers.trace(model, x, ops.cross_entropy_backward(1.0, cache))
    return np.array([np.linalg.norm(t.upstream) for t in seen if t.name == "2" or t.name.endswith("relu2")])


x, labels, _ = next(loader.in_order(batch_size=256))
figure = plots.page(10, 4)
for axes, when in zip(figure.subplots(1, 2, sharey=True), ("before training", "after training"), strict=True):
    for block, name, color in ((PlainBlock, "plain", plots.VERMILLION), (residual_block, "residual", plots.BLUE)):
        model = network(32, block) if when == "before training" else trained[block, 32]
        sizes = gradient_sizes(model, x, labels)
        print(f"{when:<16} {name:<9} first {sizes[0]:.4f}, last {sizes[-1]:.4f}: {sizes[0] / sizes[-1]:.1f} times")
        axes.semilogy(2 * np.arange(len(sizes)) + 1, sizes, color=color, lw=2.5)
        axes.text(9, sizes[4] * (1.35 if block is PlainBlock else 0.45), name, color=color, fontsize=13)
    axes.set_title(f"Size of the gradient, {when}", loc="left", fontsize=13)
    axes.set_xticks((1, 11, 21, 31))
    axes.set_xlabel("layer (backward goes from right to left)", fontsize=12)
    axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# It does not vanish. Before training it *grows* in the plain network, by nearly the same factor with each layer on the
# way back. After training it has a healthy size in all layers; and yet the plain network has learnt little. He et al.
# found the same in theirs (section 4.1): with batch norm neither the signal nor the gradient vanishes, so vanishing is
# unlikely to be the cause. They suppose that deep plain networks converge, only exponentially slowly, and leave the
# reason open.
#
# The growth has a name and a formula. Yang et al. 2019 show that batch norm itself causes it, in networks without
# shortcuts: for wide layers with ReLU the square of the gradient grows by $\pi / (\pi - 1)$, its size by 1.21 with each
# layer. (Ours are narrow convolutions: less.) De & Smith 2020 show what happens with shortcuts: batch norm makes F
# small beside x, the more so the deeper the block lies, and the factor approaches 1. (Without batch norm a gradient may
# well vanish. That is another experiment, and the exercise of this chapter.)
#
# ## A gradient that says nothing about the next image
#
# There is more to a gradient than its size. A step of training helps if the gradient here resembles the gradient a
# little further on. Balduzzi et al. 2017 looked at just that, moving the image and not the weights, since a line of
# images is easy to draw. Turn one digit into another in 128 small steps, all in one batch, and take the slope of the
# sum of their first logits by each pixel. Each curve is the slope by one pixel, less its mean. "Alike" is the cosine
# between the gradients of neighbouring steps: 1 is the same direction, 0 is nothing in common.


# %%
def slopes_on_the_way(model, steps=128):
    """The gradient of the first logit by the image, (steps, pixels), while one image becomes another."""
    share = np.linspace(0, 1, steps, dtype=np.float32).reshape(-1, 1, 1, 1)
    logits = model.train().forward((1 - share) * x[:1] + share * x[1:2])
    dy = np.zeros_like(logits)
    dy[:, 0] = 1
    return model.backward(dy).reshape(steps, -1)


figure = plots.page(10, 2.9)
cases = {"plain, 8 layers": (8, PlainBlock), "plain, 32": (32, PlainBlock), "residual, 32": (32, residual_block)}
for axes, (name, (depth, block)) in zip(figure.subplots(1, 3), cases.items(), strict=True):
    slopes = slopes_on_the_way(network(depth, block))
    slopes -= slopes.mean(axis=0)
    unit = slopes / np.linalg.norm(slopes, axis=1, keepdims=True)
    alike = np.mean(np.sum(unit[1:] * unit[:-1], axis=1))  # the cosine of the angle between neighbours
    axes.plot(
        slopes[:, 36] / slopes[:, 36].std(), color=plots.BLUE if block is residual_block else plots.VERMILLION, lw=1.5
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_title(f"{name}\nneighbours are alike by {alike:.2f}", fontsize=13)
figure

# %% [markdown]
# In the deep plain network, before training, the slope is white noise: at the next image it points somewhere else.
# Balduzzi et al. call such gradients *shattered*. With shortcuts the network of the same depth is as smooth as a
# shallow one. If the same holds for the weights, its first steps are nearly random. It is one explanation among
# several, and not the end of it: the question has kept people busy since 2015.
#
# ## The long run
#
# He et al. trained for 64,000 steps on CIFAR-10, 50,000 colour photographs of 32x32 pixels. `benchmarks/depth.py` does
# the same in an hour, smaller: 18,000 photographs to train on, halved to 16x16, and 1,692 steps. `plain` or `resnet`
# says whether there are shortcuts, 20 or 56 the depth; the blocks come in three groups, called *stages*.

# %%
places = (Path(numpy_resnet.__file__).parents[1], Path.cwd(), *Path.cwd().parents)
path = next(file for place in places if (file := place / "benchmarks" / "results" / "depth.json").exists())
long_run = json.loads(path.read_text())
for run in long_run["runs"]:
    end = run["history"][-1]
    print(
        f"{run['model']:<15} training error {1 - end['train_accuracy']:.1%}, validation {1 - end['val_accuracy']:.1%}"
    )
figure = plots.depths(long_run["runs"], title="CIFAR-10, halved: figure 6 of He et al. 2015, smaller")
figure

# %% [markdown]
# Without shortcuts 56 layers are far behind 20, on the images that they are trained on. With shortcuts they are close,
# 32.4 % and 30.7 %.
# In the paper the deeper one then wins; here it does not, in so short a run.
#
# **Predict, then run:**
#
# 1. 80 layers with shortcuts: does the gradient at the first layer grow as fast as in the plain network of 32?
#    `sizes = gradient_sizes(network(80, residual_block), x, labels)`, then `sizes[0] / sizes[-1]`.
# 2. Are gradients still shattered after training? Put `trained[block, depth]` in place of `network(depth, block)`.
# 3. Twice the learning rate, 0.2, for all six. Do shortcuts save the deep network from every trouble?
#
# <details><summary>Answers</summary>
#
# 1. No: some 23 times, against 44 in the plain network of 32. Each block multiplies by a factor nearer to 1.
# 2. No: neighbours are alike by more than 0.9 in all of them, the deep plain one too. Shattering, like the growth,
#    belongs to the start; after a hundred steps both are over, and the deep plain network is still far behind.
# 3. No: with 0.2 the deep residual network does no better than the deep plain one, some 60 % of the images wrong. A
#    shortcut is no licence for any rate.
#
# </details>

# %% [markdown]
# ## Now you
#
# ```
# numpy-resnet exercises start mine --only add vanishing_gradients
# ```
#
# - `vanishing_gradients`: the factor per layer, with shortcuts and without, when there is no batch norm. It is among
#   the last of the exercises, and you may want to come back for it after chapter 5.
# - `add`: the gradient of a sum, two lines. It is all that a shortcut needs.
#
# **Next:** [convolution](02_convolution.py): the layer that nearly all the work is done in.
