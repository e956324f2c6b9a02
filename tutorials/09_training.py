# %% [markdown]
# # 9. Training
#
# **Question:** all gradients are right. How does a network learn from them, and how does one see whether it did?
#
# First the rules by which a gradient becomes a step, on a function of two numbers. Then a network for handwritten
# digits from start to finish: one step line by line, the learning rate, the curves, the test images, the mistakes.

# %%
import inspect

import numpy as np

from numpy_resnet import data, models, ops, optim, plots, train
from numpy_resnet.data import transforms
from numpy_resnet.models.cifar import option_a_block

# %% [markdown]
# ## A step
#
# The *gradient* g of the loss by a weight w says how fast the loss grows when w grows (chapter 2). So go the other way:
#
# $$ w \leftarrow w - lr \cdot g $$
#
# This is *gradient descent*, and lr is the *learning rate*. The gradient of a real network would take a pass over all
# images for one step. *Stochastic* gradient descent (SGD) takes it from a few images drawn at random, a *batch*: it is
# noisy, but right on average, and there can be many steps for the price of one.
#
# Take a loss of two numbers, L = (x² + 20 y²) / 2, a valley that is flat along x and steep across. Its gradient is (x,
# 20 y). From (4, 1) with lr = 0.09, by hand: x = 4 - 0.09 · 4 = 3.64 and y = 1 - 0.09 · 20 = -0.8. y has overshot the
# bottom of the valley, x has hardly moved.
#
# An optimizer of this package takes any object with `named_parameters()`: keys, weights and their gradients.


# %%
class Valley:
    """A loss of two numbers, with what an optimizer asks for."""

    def __init__(self):
        self.weight, self.gradient = np.array([4.0, 1.0]), np.zeros(2)

    def named_parameters(self):
        yield "weight", self.weight, self.gradient

    def descend(self, optimizer, steps):
        path = [self.weight.copy()]
        for _ in range(steps):
            self.gradient[:] = self.weight * (1, 20)
            optimizer.step()
            path.append(self.weight.copy())
        return np.array(path)  # (steps + 1, 2)


def valley_path(steps, **options):
    valley = Valley()
    return valley.descend(optim.SGD(valley, **options), steps)


for step, (x, y) in enumerate(valley_path(3, lr=0.09)):
    print(f"after {step} steps  x {x:.4f}   y {y:7.4f}   loss {(x**2 + 20 * y**2) / 2:7.4f}")
np.testing.assert_allclose(valley_path(1, lr=0.09)[1], (3.64, -0.8))

# %% [markdown]
# Why not a larger lr? In a direction with the slope h · w (here h is 1 along and 20 across) a step is
#
# $$ w \leftarrow w - lr \cdot h \cdot w = (1 - lr \cdot h)\, w $$
#
# The factor must be between -1 and 1, so lr must be below 2/h. The *steepest* direction sets the limit, 2/20 = 0.1. But
# then the flat one shrinks to no less than 1 - 0.1 · 1 = 0.9 of itself. The more the steepnesses differ, the slower it
# goes.
#
# ## Momentum
#
# Across the valley two gradients in a row point in opposite ways; along it they agree. So remember them: a *velocity* v
# collects gradients and forgets them slowly, and the weights move with it.
#
# $$ v \leftarrow m \cdot v + g, \qquad w \leftarrow w - lr \cdot v, \qquad \text{at first } v = g $$
#
# Put the first formula into itself: v is the sum of all gradients so far, each one weighted with m once for every step
# since. If all are g, v grows to
#
# $$ g \cdot (1 + m + m^2 + \ldots) = \frac{g}{1 - m} $$
#
# which is 10 g for m = 0.9. If they change sign in every step, it is g/(1 + m), about half of g. Equal ones add up,
# opposite ones cancel. *Nesterov's* variant steps along g + m · v, with the v just made: where v would be in the next
# step if the gradient stayed the same (Sutskever et al. 2013 tell both).
#
# By hand, with lr = 0.03: at first g = v = (4, 20), so w = (3.88, 0.4). Then g = (3.88, 8), v = 0.9 · (4, 20) + (3.88,
# 8) = (7.48, 26), w = (3.88, 0.4) - 0.03 · v = (3.6556, -0.38).

# %%
valley = Valley()
optimizer = optim.SGD(valley, lr=0.03, momentum=0.9)
gradients = []
for step in range(4):
    path = valley.descend(optimizer, 1)
    gradients.append(valley.gradient.copy())
    v = optimizer.velocity["weight"]
    print(f"step {step}   g {gradients[-1]}   v {v}   w {path[-1]}")
faded = sum(0.9 ** (3 - t) * g for t, g in enumerate(gradients))  # the sum of all gradients, older ones weigh less
np.testing.assert_allclose(v, faded)

# %%
figure = plots.page(10, 4.7)
grid_x, grid_y = np.meshgrid(np.linspace(-2.4, 4.4, 200), np.linspace(-1.25, 1.25, 100))
runs = {
    "plain, lr 0.03": {"lr": 0.03},
    "plain, lr 0.09": {"lr": 0.09},
    "momentum 0.9, lr 0.03": {"lr": 0.03, "momentum": 0.9},
    "Nesterov 0.9, lr 0.03": {"lr": 0.03, "momentum": 0.9, "nesterov": True},
}
for axes, (name, options) in zip(figure.subplots(2, 2, sharex=True, sharey=True).flat, runs.items(), strict=True):
    path = valley_path(25, **options)
    levels = np.array([0.1, 0.5, 1, 2, 4, 7, 11, 16])
    axes.contour(grid_x, grid_y, (grid_x**2 + 20 * grid_y**2) / 2, levels=levels, colors="#C4C4C4", linewidths=0.8)
    axes.plot(*path.T, "o-", color=plots.BLUE, ms=4, lw=1.3)
    axes.plot(0, 0, "*", color=plots.VERMILLION, ms=15)
    axes.set_title(f"{name}: loss {np.sum(path[-1] ** 2 * (1, 20)) / 2:.2f}", fontsize=13, loc="left")
    axes.set(aspect="equal", xticks=(-2, 0, 2, 4), yticks=(-1, 0, 1))
    axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# 25 steps each, from the right to the star. At the small rate the plain steps reach the floor of the valley and then
# creep. At the large one they jump from wall to wall, and get further along. Momentum gathers speed at the small rate,
# rolls past the goal and comes back; Nesterov's swings less, since it looks a step ahead.
#
# But plain steps at 0.09 end nearer than both. Momentum 0.9 is too heavy for this valley, which is only $\kappa = 20$
# times steeper across than along. With the best lr and m, the distance to the goal shrinks per step, in the
# long run, by (Polyak 1964)
#
# $$ \frac{\kappa - 1}{\kappa + 1} \text{ without momentum}, \qquad m = \Big( \frac{\sqrt\kappa - 1}{\sqrt\kappa + 1}
# \Big)^2, \quad \frac{\sqrt\kappa - 1}{\sqrt\kappa + 1} \text{ with} $$
#
# For $\kappa = 20$ that is 0.90 without, and 0.63 with m = 0.40. The root is what momentum buys: for $\kappa = 1000$ it
# is 0.998 and 0.94, with m = 0.88. Nobody knows $\kappa$ of a network; it is large, and 0.9 is the usual choice.

# %%
kappa, root = 20, np.sqrt(20)
best = {"plain": {"lr": 2 / (kappa + 1)}, "momentum": {"lr": (2 / (root + 1)) ** 2}}
best["momentum"]["momentum"] = ((root - 1) / (root + 1)) ** 2
end = {name: np.sum(valley_path(25, **options)[-1] ** 2 * (1, 20)) / 2 for name, options in best.items()}
for name, options in best.items():
    chosen = ", ".join(f"{key} {value:.3f}" for key, value in options.items())
    print(f"best {name:<9} {chosen:<26} loss after 25 steps {end[name]:.6f}")
assert end["momentum"] < end["plain"] / 1000

# %% [markdown]
# Libraries differ in where lr stands and in what v begins with. These formulas are PyTorch's;
# [the conventions](../docs/conventions.md) list the others.
#
# ## Weight decay
#
# Small weights make an answer that changes little from one image to a similar one. So add $\frac{\lambda}{2} w^2$ to
# the loss for every weight. The gradient of that is λ · w, and the step becomes
#
# $$ w \leftarrow w - lr \cdot (g + \lambda w) = (1 - lr \cdot \lambda)\, w - lr \cdot g $$
#
# Each step pulls a weight towards 0 by a share of itself: *weight decay*. For plain SGD, the term in the loss and the
# shrinking are the same thing. (For a convolution before batch norm, whose size is divided out anyway, decay acts
# through the learning rate: smaller weights turn faster. Van Laarhoven 2017.) For Adam they are not. Adam divides each
# weight's gradient by the size it usually has, so that all weights take similar steps. If λ · w is part of that
# gradient, it is divided too, and weights with large gradients hardly decay. AdamW therefore shrinks the weights in a
# line of its own, beside the gradient (Loshchilov & Hutter 2019): `optim.AdamW`.

# %%
decaying = valley_path(1, lr=0.03, weight_decay=0.5)[1]
by_hand = (1 - 0.03 * 0.5) * np.array([4.0, 1.0]) - 0.03 * np.array([4.0, 20.0])
print(f"one step with weight decay {decaying};  by hand {by_hand}")
np.testing.assert_allclose(decaying, by_hand)

# %% [markdown]
# ## Schedules
#
# Far from the goal one wants large steps. Near it the noise of the batches makes them jump about, and smaller ones come
# closer. A *schedule* says what lr is in each step: `optimizer.lr = schedule(step)`. A *warm-up* begins with tiny
# steps, since the first gradients, of weights that are still random, are large and of little use (Goyal et al. 2017,
# section 2.2).

# %%
steps = np.arange(1000)
schedules = {
    "constant": optim.constant(0.1),
    "multistep": optim.multistep(0.1, milestones=[500, 750]),
    "cosine": optim.cosine(0.1, steps=1000),
    "one_cycle": optim.one_cycle(0.1, steps=1000),
    "and with warm-up": optim.cosine(0.1, steps=1000, warmup=150),
}
figure = plots.page(10, 2.5)
for axes, (name, schedule) in zip(figure.subplots(1, 5, sharey=True), schedules.items(), strict=True):
    axes.plot(steps, [schedule(step) for step in steps], color=plots.BLUE, lw=2.5)
    axes.set_title(name, fontsize=12, loc="left")
    axes.set_xlabel("step", fontsize=11)
    axes.set(xticks=(0, 1000), yticks=(0, 0.05, 0.1), ylim=(-0.003, 0.106))
    axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# `multistep` is that of He et al. 2015, `one_cycle` (Smith & Topin 2018) is what this chapter trains with.
#
# ## Three kinds of images
#
# 1,797 handwritten digits of 8x8 pixels come with the package (Alpaydin & Kaynak 1998). They are in three parts:
#
# - from the *training* images the network learns;
# - with the *validation* images one chooses: when to stop, which rate, which network;
# - the *test* images say how good it is, once, at the end. Whoever chooses by them has learned from them.
#
# The training images are gone through in a new random order each time, in batches; one pass is an *epoch*. If they came
# sorted, all zeros and then all ones, each batch would pull the network to its own digit. The last batch of an epoch is
# smaller. A larger batch gives a less noisy gradient, but noise only falls with the root of its size: four times the
# work for half the noise.

# %%
digits = data.load("digits")
about = data.scan(digits.train)
print(f"{len(digits.train):,} images to train, {len(digits.val)} to validate, {len(digits.test)} to test")
print(f"pixels of the training images: mean {about.mean[0]:.3f}, standard deviation {about.std[0]:.3f}")
starts = data.batch_starts(len(digits.train), 32)
print(f"batches of 32: {len(starts)} steps are an epoch, the last of {len(digits.train) - starts[-1]} images")

shift = transforms.RandomCrop((8, 8), padding=1)
loading = {"mean": about.mean, "std": about.std, "workers": 1}
loader = data.Loader(digits.train, (shift,), **loading)
val_loader, test_loader = data.Loader(digits.val, **loading), data.Loader(digits.test, **loading)
for epoch in (1, 2):
    images, labels, _ = next(iter(loader.shuffled(batch_size=32, seed=0, epoch=epoch)))
    print(f"epoch {epoch} begins with the digits {labels[:12]}, pixels {images.shape}")

# %% [markdown]
# The pixels are *normalised*: minus the mean, divided by the standard deviation, both of the training images. And the
# images are *augmented*: shifted by up to one pixel, anew in each epoch. A shifted three is a three, so the network
# gets more images than there are, and cannot learn by heart which pixel was black.

# %%
figure = plots.page(10, 1.9)
shifting = np.random.default_rng(4)
for epoch, axes in enumerate(figure.subplots(1, 7)):
    image = digits.train.read(3)
    axes.imshow(transforms.apply((shift,), image, shifting) if epoch else image, cmap="gray")
    axes.set(xticks=[], yticks=[])
    axes.set_title(f"epoch {epoch}" if epoch else "the image", fontsize=12)
figure

# %% [markdown]
# ## One step, line by line
#
# The network is a small ResNet for small images (chapter 6 has the large one): a convolution, three residual blocks, a
# linear layer, 8 layers with weights. Forward, loss, backward, step: there is no more to it.


# %%
def new_model():
    return models.CifarResNet("resnet8", option_a_block, 1, num_classes=10, in_channels=1, seed=0)


model = new_model()
print(f"{sum(weight.size for _, weight, _ in model.named_parameters()):,} parameters")
optimizer = optim.SGD(model, lr=0.001)

logits = model.forward(images)  # (32, 10): a number for each image and digit
loss, cache = ops.cross_entropy(logits, labels)  # the mean of -log p(right digit), chapter 7
dlogits = ops.cross_entropy_backward(1.0, cache)  # (p - one-hot) / 32
model.backward_parameters(dlogits)  # fills in the gradient of every parameter
squares = sum(np.sum(g.astype(float) ** 2) for _, _, g in model.named_parameters())
optimizer.step()
print(f"loss {loss:.3f} (always guessing at random: log 10 = {np.log(10):.3f})")

# %% [markdown]
# A step along the gradient changes each weight by -lr · g. To first order the loss changes by g times that, summed over
# all weights: by -lr · Σ g². Is that what happened?

# %%
after, _ = ops.cross_entropy(model.forward(images), labels)
print(f"the loss fell by {loss - after:.5f}; lr * sum of g**2 = {optimizer.lr * squares:.5f}")
np.testing.assert_allclose(loss - after, optimizer.lr * squares, rtol=0.02)

# %% [markdown]
# Nearly: the gradient is right, for 75,000 weights at once. The rest is curvature, which a short step hardly feels. In
# the package these lines are `train_step`. (`model.ops` are the operations that the model is built of; with the
# exercises done they are your own.) The same 32 images, ten times:

# %%
print(inspect.getsource(train.train_step))
model = new_model()
optimizer = optim.SGD(model, lr=0.05, momentum=0.9)
for step in range(10):
    loss, logits = train.train_step(model, optimizer, images, labels)
    if step % 3 == 0:
        print(f"step {step}: loss {loss:.3f}, {np.mean(logits.argmax(axis=1) == labels):4.0%} right")

# %% [markdown]
# It learns them by heart. That is the first thing to try with any new network: one that cannot do this has a bug, and
# more images will not mend it.
#
# ## Which learning rate?
#
# One epoch with each of three.

# %%
curves = {}
for lr in (0.0005, 0.05, 2.0):
    model = new_model()
    optimizer, curves[lr] = optim.SGD(model, lr=lr, momentum=0.9), []
    for x, y, _ in loader.shuffled(batch_size=32, seed=0, epoch=1):
        curves[lr].append(train.train_step(model, optimizer, x, y)[0])

# %%
figure = plots.page(10, 4.2)
axes = figure.subplots()
words = {0.0005: "too small: it creeps", 0.05: "right", 2.0: "too large: it learns nothing"}
for (lr, losses), color in zip(curves.items(), (plots.QUIET, plots.BLUE, plots.VERMILLION), strict=True):
    axes.plot(losses, color=color, lw=2.5)
    level = {0.0005: 2.05, 0.05: losses[-1], 2.0: 3.0}[lr]
    axes.text(41.3, level, f"{lr:g}\n{words[lr]}", color=color, fontsize=13, va="center")
axes.axhline(np.log(10), color=plots.INK, lw=1, ls=":")
axes.text(0.4, 1.75, "dotted: guessing", fontsize=12, va="top")
axes.set(xlim=(0, 41), ylim=(0, 6))
axes.set_xlabel("step", fontsize=13)
axes.set_title("Loss of each batch, by learning rate", fontsize=14, loc="left")
axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# The large rate is the dangerous one: nothing crashes, the loss stays at that of guessing. Batch norm (chapter 4) hides
# it, for it divides out how large the weights of a convolution are. A rate must be absurd until numbers overflow. Then
# `train.fit`, the loop around `train_step`, stops and tells where:

# %%
model = new_model()
try:
    train.fit(model, optim.SGD(model, lr=1e20), optim.constant(1e20), loader, val_loader, epochs=1, batch_size=32)
except FloatingPointError as error:
    message = str(error)
print(message.replace("; ", ";\n").replace(": ", ":\n"))
assert "smaller learning rate" in message

# %% [markdown]
# How to find the right one: try steps of a factor of three, a short run each; take the largest that still learns well,
# or a bit less.
#
# ## From start to finish
#
# Eight epochs, and after each a look at the validation images. (`numpy-resnet train` does this with the full ResNet-18,
# and leaves a folder from which it can go on after Ctrl-C or a power cut.)

# %%
model, epochs = new_model(), 8
optimizer = optim.SGD(model, lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
schedule = optim.one_cycle(0.05, steps=epochs * len(starts))
history = train.fit(model, optimizer, schedule, loader, val_loader, epochs=epochs, batch_size=32, seed=0)
figure = plots.learning_curves(history)
figure

# %% [markdown]
# How to read such curves:
#
# - both losses stay high: it has not learned enough. Train longer, with a better rate, or a larger network;
# - the training loss falls on and the validation loss rises again: it learns by heart, *overfitting*. More images, more
#   augmentation or weight decay help;
# - validation better than training is no miracle: training sees shifted images, and its figure is a mean over
#   an epoch during which the network was still improving.
#
# Now the test images, once:

# %%
result = train.evaluate(model, test_loader)
N, wrong = len(result.labels), np.sum(result.probabilities.argmax(axis=1) != result.labels)
noise = np.sqrt(result.accuracy * (1 - result.accuracy) / N)
print(f"{wrong} of {N} wrong: accuracy {result.accuracy:.1%}, give or take {noise:.1%}")
assert result.accuracy > 0.97 and np.trace(result.confusion) == N - wrong
figure = plots.confusion_matrix(result.confusion, digits.classes)
figure

# %% [markdown]
# Row by row the true digit, column by column what it was taken for. "Give or take" is the standard deviation of a share
# among so few images, $\sqrt{p (1 - p) / N}$. Another seed moves the figure as much; a difference of half a per cent
# between two ideas means nothing here.
#
# ## What it is least sure of, and what it looks for

# %%
p_right = result.probabilities[np.arange(N), result.labels]
hardest = np.argsort(p_right)[:8]  # the images whose own digit got the least
x = np.stack([transforms.to_array(digits.test.read(i)) for i in result.indices[hardest]])
answers = result.probabilities[hardest]
figure = plots.predictions(x, result.labels[hardest], answers.argmax(axis=1), answers, digits.classes)
figure

# %%
figure = plots.filters(model.conv1.params["weight"])
figure

# %% [markdown]
# In the frames, the mistakes; a human would hesitate at some of them. Below, the sixteen filters of the first layer:
# noise when training began. Several have one vermillion side and one blue: they answer to edges, as Sobel's did in
# chapter 2, and nobody told them to.
#
# **Predict, then run:**
#
# 1. Plain SGD in the valley with lr = 0.1, and with 0.11. What does y do?
# 2. Momentum 0.9 with lr 0.01, and no momentum with lr 0.1. Where the gradient always stays the same, how do their
#    steps compare after a while?
# 3. A weight has no gradient at all (a feature that never occurs). What does weight decay 5e-4 make of it in 1,000
#    plain steps at lr 0.1?
# 4. The batch becomes 64 instead of 32. How many steps is an epoch, and what would you do with the rate?
#
# <details><summary>Answers</summary>
#
# 1. At 0.1 the factor is 1 - 0.1 · 20 = -1: y jumps between 1 and -1 for ever. At 0.11 it is -1.2, and y grows without
#    end: `valley_path(20, lr=0.11)`.
# 2. They are equal: v goes to 10 g, and 0.01 · 10 g = 0.1 · g.
# 3. Each step multiplies it by 1 - 0.1 · 5e-4 = 0.99995. After 1,000 steps 95 % are left, $e^{-0.05}$.
# 4. 21 instead of 41. A less noisy gradient can be trusted further: twice the rate is the usual first guess (Goyal et
#    al. 2017, section 2.1).
#
# </details>

# %% [markdown]
# ## Now you
#
# ```
# numpy-resnet exercises start mine --only sgd
# ```
#
# - `sgd`: momentum, Nesterov's variant and weight decay, in half a dozen lines.
#
# And when the exercises of the chapters before are done, `numpy-resnet exercises train`: a ResNet-18 that learns these
# digits with your own functions.
#
# **Next:** [Pneumonia](10_pneumonia.py): the same, where one mistake is not like another.
