# %% [markdown]
# # 1. Why depth stops helping
#
# **Question:** a network with more layers can do everything that one with fewer can. So why does it learn less?
#
# This is where ResNet begins, and where most explanations go wrong. We train six small networks, look at what happens,
# and only then ask why.

# %%
import json
from pathlib import Path

import numpy as np

import numpy_resnet
from numpy_resnet import data, layers, models, ops, optim, plots, train
from numpy_resnet.models.blocks import PlainBlock
from numpy_resnet.models.cifar import option_a_block

# %% [markdown]
# ## What a network is, in a page
#
# A network is a function made of many small ones, its *layers*, one after the other. An image goes in, an array of
# numbers; out come ten numbers for ten classes, and the largest of them is the answer. The layers hold *parameters*,
# numbers that decide what they compute, at first drawn at random.
#
# *Training* changes them. Show it some images whose class is known (a *batch*), and put a number on how wrong the
# answers are, the *loss*. Ask for each parameter: if it were a little larger, by how much would the loss change? These
# slopes, for all parameters, are the *gradient*. Move each parameter a small step against its slope, and take the next
# batch:
#
# $$ weight \leftarrow weight - lr \cdot \frac{\partial loss}{\partial weight} $$
#
# lr is the *learning rate*. One step by hand, for a network of one parameter, loss = (3·weight - 6)²: at weight = 1 the
# loss is 9, its slope 2·(3 - 6)·3 = -18, and with lr = 0.05 the weight becomes 1 + 0.9 = 1.9. The loss there is 0.09.
#
# The slopes are computed from the last layer back to the first, each layer handing down what arrives at its input. That
# is *backpropagation*, and how each layer does it is what this course is about. The *depth* is the number of layers
# with parameters.

# %%
weight, lr = 1.0, 0.05
for step in range(3):
    print(f"step {step}: weight {weight:.3f}, loss {(3 * weight - 6) ** 2:.4f}")
    weight -= lr * 2 * (3 * weight - 6) * 3

# %% [markdown]
# ## Six networks
#
# The images are 1,438 handwritten digits of 8x8 pixels, which come with this package. The *plain* networks are stacks
# of 3x3 convolutions (chapter 2), each followed by batch norm (chapter 4) and ReLU (chapter 3): 8, 20 and 44 layers.
# The *residual* networks have the same layers, and around every two of them a *shortcut*: the input of the two is added
# to their output. A shortcut has no parameters. Take nothing else as different: the same start, the same batches, the
# same steps.

# %%
digits = data.digits().train
pixels = np.stack([np.asarray(digits.read(i), np.float32) for i in range(len(digits))])[:, None]
images, labels = (pixels - pixels.mean()) / pixels.std(), digits.labels
KINDS = {"plain": PlainBlock, "residual": option_a_block}


def learn(kind, depth, lr=0.03, steps=80):
    """Train a network of this depth for some steps.   -> the training error of each step, as a share of its batch"""
    model = models.CifarResNet(kind, KINDS[kind], (depth - 2) // 6, in_channels=1, seed=1)
    optimizer, rng, errors = optim.SGD(model, lr, momentum=0.9), np.random.default_rng(1), []
    for _ in range(steps):
        batch = rng.choice(len(images), 32, replace=False)
        _, logits = train.train_step(model, optimizer, images[batch], labels[batch])
        errors.append(np.mean(logits.argmax(axis=1) != labels[batch]))
    return np.array(errors)


DEPTHS = {8: plots.BLUE, 20: plots.GREEN, 44: plots.VERMILLION}
curves = {(kind, depth): learn(kind, depth) for kind in KINDS for depth in DEPTHS}
for (kind, depth), errors in curves.items():
    print(f"{kind:<9} {depth:>3} layers   training error of the last 20 steps {errors[-20:].mean():6.1%}")


# %%
def panels(curves, colors, *, smooth, xlabel, title):
    """Error curves by (kind, depth), plain on the left and residual on the right."""
    figure = plots.page(10, 4)
    figure.suptitle(title, x=0.02, ha="left", fontsize=14)
    for axes, kind in zip(figure.subplots(1, 2, sharey=True), KINDS, strict=True):
        for row, (depth, color) in enumerate(colors.items()):
            errors = 100 * np.convolve(curves[kind, depth], np.ones(smooth) / smooth, "valid")
            axes.plot(np.arange(len(errors)) + smooth, errors, color=color, lw=2.5)
            end = len(errors) + smooth, errors[-1]
            axes.annotate(
                f"{depth} layers", end, (4, 11 * row - 4), textcoords="offset points", color=color, fontsize=12
            )
        axes.set_title(kind, loc="left", fontsize=13)
        axes.set(xlim=(0, 1.22 * (len(errors) + smooth)), ylim=(0, 95))
        axes.set_xlabel(xlabel, fontsize=12)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("training error in %", fontsize=12)
    return figure


figure = panels(curves, DEPTHS, smooth=8, xlabel="step", title="Deeper is worse; with shortcuts, hardly")
figure

# %% [markdown]
# The plain network of 44 layers has hardly begun when that of 8 is done. This is **not** *overfitting*, where a large
# network learns its images by heart and fails on others: here it fails on the images it is trained on. He et al. 2015
# call it *degradation*. These are small nets and eighty steps.
# With 200 steps the deep plain one still gets more than half of its images wrong, the residual one a few in a hundred
# (try `learn(kind, 44, steps=200)`); a longer run is below, and the real thing is in the paper.
#
# ## It could do better
#
# The deep network *could* be as good as the shallow one: take the shallow one, and let every further block do nothing.
# For a residual block that takes one vector of zeros, the weight of its last batch norm (whose bias is zero anyway);
# what is left is the shortcut. Here the 8 layers become 20, and not one answer changes:

# %%
shallow = models.CifarResNet("shallow", option_a_block, 1, in_channels=1, seed=1)
deep = models.CifarResNet("deep", option_a_block, 3, in_channels=1, seed=2)
state = deep.state_dict()
state.update(shallow.state_dict())  # the first block of each stage, stem, head
for key in state:
    if key.endswith("bn2.weight") and key not in shallow.state_dict():
        state[key][:] = 0  # the branch of a new block adds nothing
deep.load_state_dict(state)
difference = np.abs(deep.infer(images[:100]) - shallow.infer(images[:100])).max()
print(f"{len(deep.state_dict())} arrays instead of {len(shallow.state_dict())}; answers differ by {difference}")
assert difference == 0

# %% [markdown]
# So the better solution is there, and training does not find it. The trouble is with *optimisation*: from where it
# starts, in the steps it takes.
#
# ## Is it the vanishing gradient?
#
# That is what most articles say: on its way back through many layers the gradient is multiplied by many small numbers,
# until nothing is left for the first layers. It was true of networks before 2015. He et al. 2015 (section 4.1) say that
# it is *not* the reason here: with batch norm, signals neither die on the way forward nor gradients on the way back.
# Measure it: the size of the gradient that arrives at each convolution, in the networks of 44 layers, before the first
# step.


# %%
def gradient_sizes(kind, depth):
    """The norm of the gradient at the output of each 3x3 convolution, from the first to the last."""
    model = models.CifarResNet(kind, KINDS[kind], (depth - 2) // 6, in_channels=1, seed=1)
    _, cache = ops.cross_entropy(model.forward(images[:128]), labels[:128])
    seen = layers.trace(model, images[:128], ops.cross_entropy_backward(1.0, cache))
    return np.array([np.linalg.norm(t.upstream) for t in seen if isinstance(t.layer, layers.Conv2d)])


def by_layer(sizes, title):
    """The size of the gradient, layer by layer, by (text, colour, style) of each curve."""
    figure = plots.page(10, 4)
    axes = figure.subplots()
    for (text, color, style), values in sizes.items():
        axes.semilogy(np.arange(1, len(values) + 1), values, style, color=color, lw=2.5, label=text)
    axes.set_title(title, loc="left", fontsize=13)
    axes.set_xlabel("layer, from the image to the loss", fontsize=12)
    axes.set_ylabel("size of the gradient", fontsize=12)
    axes.legend(frameon=False, fontsize=12)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


start = {kind: gradient_sizes(kind, 44) for kind in KINDS}
for kind, sizes in start.items():
    print(f"{kind:<9} at the last layer {sizes[-1]:.4f}, at the first {sizes[0]:.4f}: {sizes[0] / sizes[-1]:.0f} times")
colors = {"plain": plots.VERMILLION, "residual": plots.BLUE}
figure = by_layer(
    {(kind, colors[kind], "-"): sizes for kind, sizes in start.items()},
    "Before training: it does not vanish, it explodes",
)
figure

# %% [markdown]
# Nothing vanishes. On its way back the gradient of the plain network *grows*, by a factor with each layer, until it is
# hundreds of times as large. Yang et al. 2019 ("A mean field theory of batch normalization") show that batch norm
# itself does this in a plain stack. So no step size fits: one that is right for the last layers throws the first ones
# about. With shortcuts the sum passes the gradient on as it is, and what the branch adds is small beside it (De & Smith
# 2020). Balduzzi et al. 2017 ("The shattered gradients problem") add that in a deep plain net the gradients of two
# similar images are as different as noise: a step that helps one does nothing for the other.
#
# These are partial answers to an open question. What you may say without being wrong: the deep plain net is harder to
# optimise; its gradients are there, but they say little; shortcuts mend both.
#
# ## The long run
#
# `benchmarks/depth.py` trained networks of 20 and 56 layers on 18,000 photos of CIFAR-10, halved to 16x16 pixels, for
# 12 epochs (an *epoch* is every image once). Figure 6 of the paper, smaller; its curves are in
# `benchmarks/results/depth.json`:

# %%
path = Path(numpy_resnet.__file__).parents[1] / "benchmarks" / "results" / "depth.json"
runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
long_run = {
    ("residual" if run["shortcuts"] else "plain", run["depth"]): np.array(
        [1 - e["train_accuracy"] for e in run["history"]]
    )
    for run in runs
}
for (kind, depth), errors in long_run.items():
    print(f"{kind:<9} {depth} layers   training error of the last epoch {errors[-1]:.1%}")
assert long_run["plain", 56][-1] > long_run["plain", 20][-1]
figure = panels(
    long_run, {20: plots.BLUE, 56: plots.VERMILLION}, smooth=1, xlabel="epoch", title="CIFAR-10 at 16x16, measured here"
)
figure

# %% [markdown]
# The plain net of 56 layers is far behind that of 20, as in the paper. With shortcuts the two are level: to see the
# deeper one win, as it does in the paper, takes more than 12 epochs of small images. And the gradients of the two deep
# nets, before the first step (line) and after the last (dots):

# %%
kinds = {run["model"]: "residual" if run["shortcuts"] else "plain" for run in runs if run["depth"] == 56}
sizes = {
    (f"{kinds[run['model']]}, {when}", colors[kinds[run["model"]]], style): np.array(run["gradient_norms"][key])
    for run in runs
    if run["depth"] == 56
    for key, when, style in (("start", "before", "-"), ("end", "after", ":"))
}
figure = by_layer(sizes, "56 layers: before training and after")
figure

# %% [markdown]
# After training the gradients of the plain net are as large as those of the residual one, at every layer. If they had
# vanished, this is where one would see it. It has learned least of all, with gradients that look healthy.
#
# ## What a shortcut is
#
# Two layers are to learn some function H(x) of their input. Let them learn F(x) = H(x) - x instead, the *residual*, and
# add x:
#
# $$ y = F(x) + x $$
#
# Nothing is lost, H can be whatever it was. But "change nothing" is now the easiest thing to learn instead of one of
# the hardest, and every layer has a way to the loss that no other layer bends. Chapter 5 takes this sum apart.
#
# **Predict, then run:**
#
# 1. A plain net whose 44 layers begin at the solution of the 8: would it stay there?
# 2. In `learn`, make the learning rate three times larger. Is the residual net of 44 layers still far ahead?
# 3. If gradients vanished, which layers would learn, and which not? How would the second picture look?
#
# <details><summary>Answers</summary>
#
# 1. Nobody knows how to begin there: a plain block with ReLU and batch norm is not the identity for any simple choice
#    of its weights. For a residual block it is one vector of zeros.
# 2. No. It gets most digits wrong as well: try `learn("residual", 44, lr=0.1)`. Its gradient also grows towards the
#    first layers, only less. A shortcut is no licence for any learning rate.
# 3. The last ones would learn and the first would not. The curve would fall towards the left; here it rises.
#
# </details>

# %% [markdown]
# ## Now you
#
# ```
# numpy-resnet exercises start mine --only add vanishing_gradients
# ```
#
# - `add`: the shortcut's sum, forward and backward, in ten minutes.
# - `vanishing_gradients`: this chapter as an experiment of your own, with an explanation in your own words. It is one
#   of the harder ones; keep it for the end of the course.
#
# **Next:** [Convolution](02_convolution.py), the layer that does nearly all of the work.
