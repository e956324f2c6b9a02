# %% [markdown]
# # 9. Training
#
# **Question:** all gradients are right. How does a network learn from them, and how does one see whether it did?
#
# First the rules by which a gradient becomes a step, on a function of two numbers. Then a network for handwritten
# digits, from the first step to the last mistake.

# %%
import inspect

import numpy as np

from numpy_resnet import data, models, optim, plots, train
from numpy_resnet.data import transforms
from numpy_resnet.models.cifar import option_a_block

# %% [markdown]
# ## A step
#
# The gradient g of the loss by a weight says how the loss changes if the weight grows. So go the other way:
#
# $$ w \leftarrow w - lr \cdot g $$
#
# This is *gradient descent*. It is *stochastic* (SGD) when g comes from a batch drawn at random instead of all images:
# a noisy gradient, at a fraction of the cost. The *learning rate* lr is the one number that everything depends on. Take
# the loss L = (x² + 20 y²) / 2, a valley that is long in x and steep in y. Its gradient is (x, 20 y). From (4, 1) with
# lr = 0.09, by hand: x = 4 - 0.09 · 4 = 3.64, and y = 1 - 0.09 · 20 = -0.8. y has overshot its goal, x has hardly
# moved.
#
# An optimizer here works on anything that has `named_parameters()`: keys, weights and gradients.


# %%
class Valley:
    """A loss of two numbers, with what an optimizer asks for."""

    def __init__(self):
        self.weight, self.gradient, self.path = np.array([4.0, 1.0]), np.zeros(2), []

    def named_parameters(self):
        yield "weight", self.weight, self.gradient

    def descend(self, optimizer, steps):
        for _ in range(steps):
            self.path.append(self.weight.copy())
            self.gradient[:] = self.weight * (1, 20)
            optimizer.step()
        return np.array(self.path)


valley = Valley()
print(valley.descend(optim.SGD(valley, lr=0.09), 3))

# %% [markdown]
# ## Momentum
#
# In y the gradients of two steps point in opposite ways, in x always in the same. So remember them: let a *velocity* v
# collect gradients and forget them slowly, and step along v. Opposite ones cancel, equal ones add up.
#
# $$ v \leftarrow m \cdot v + g, \qquad w \leftarrow w - lr \cdot v $$
#
# v starts as the first g. With m = 0.9 a gradient counts ten times in all (1 + 0.9 + 0.81 + ... = 10). *Nesterov's*
# version steps along g + m·v with the new v: it looks one step ahead. (Where the rate stands and what v starts with
# differs between libraries: [conventions](../docs/conventions.md).)

# %%
figure = plots.page(10, 4)
rules = {"plain": {}, "momentum 0.9": {"momentum": 0.9}, "Nesterov 0.9": {"momentum": 0.9, "nesterov": True}}
x, y = np.meshgrid(np.linspace(-2.5, 4.5, 200), np.linspace(-1.3, 1.3, 200))
for axes, (name, options) in zip(figure.subplots(1, 3, sharey=True), rules.items(), strict=True):
    valley = Valley()
    path = valley.descend(optim.SGD(valley, lr=0.03, **options), 25)
    axes.contour(
        x, y, (x**2 + 20 * y**2) / 2, levels=np.array([0.1, 0.5, 1, 2, 4, 8, 12]), colors=plots.QUIET, linewidths=0.7
    )
    axes.plot(*path.T, "o-", color=plots.BLUE, ms=4, lw=1.5)
    axes.plot(0, 0, "*", color=plots.VERMILLION, ms=14)
    axes.set_title(f"{name}, loss {np.sum(path[-1] ** 2 * (1, 20)) / 2:.2f}", fontsize=12, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# ## Weight decay
#
# Add $\frac{\lambda}{2} w^2$ to the loss for every weight, and λ·w is added to its gradient: each step pulls every
# weight towards zero, by a share of its size. Networks with smaller weights learn by heart less easily. In SGD that is
# the same as shrinking the weights a little in each step. For optimizers that divide the gradient by its size, such as
# Adam, it is not, and AdamW (Loshchilov & Hutter 2019) does the second: `optim.AdamW`.
#
# ## Schedules
#
# Large steps at first, small ones at the end: far from the goal one wants to move, near it not to bounce. A *schedule*
# is the learning rate as a function of the step. *Warm-up* begins small, while the statistics of batch norm are not
# worth much yet.

# %%
steps = np.arange(1000)
schedules = {
    "constant": optim.constant(0.1),
    "multistep": optim.multistep(0.1, milestones=[500, 750]),
    "cosine": optim.cosine(0.1, steps=1000),
    "one_cycle": optim.one_cycle(0.1, steps=1000),
    "with warmup": optim.cosine(0.1, steps=1000, warmup=100),
}
figure = plots.page(10, 2.6)
for axes, (name, schedule) in zip(figure.subplots(1, 5, sharey=True), schedules.items(), strict=True):
    axes.plot(steps, [schedule(step) for step in steps], color=plots.BLUE, lw=2.5)
    axes.set_title(name, fontsize=12, loc="left")
    axes.set(xticks=(0, 500, 1000), yticks=(0, 0.1))
    axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# ## The data
#
# 1,797 handwritten digits of 8x8 pixels come with the package (Alpaydin & Kaynak 1998). They are in three parts. From
# the *training* images the network learns. With the *validation* images one chooses: when to stop, which rate. The
# *test* images are looked at once, at the end; whoever chooses by them has learned from them. One pass through the
# training images is an *epoch*; their order is new each time.
#
# The pixels are *normalised* with the mean and standard deviation of the training images. And they are *augmented*:
# each image is shifted by up to a pixel, differently in every epoch, so that the network cannot know it by heart.

# %%
digits = data.load("digits")
about = data.scan(digits.train)
loading = {"mean": about.mean, "std": about.std, "workers": 1}
loader = data.Loader(digits.train, (transforms.RandomCrop((8, 8), padding=1),), **loading)
val_loader, test_loader = data.Loader(digits.val, **loading), data.Loader(digits.test, **loading)
print(f"{len(digits.train):,} images to train, {len(digits.val)} to validate, {len(digits.test)} to test")


def new_model():
    return models.CifarResNet("resnet8", option_a_block, 1, num_classes=10, in_channels=1, seed=0)


# %% [markdown]
# ## One step, opened
#
# Forward, loss, backward, step. There is no more to it, and this is all of it in the package:

# %%
print(inspect.getsource(train.train_step))

model = new_model()
optimizer = optim.SGD(model, lr=0.05, momentum=0.9)
images, labels, _ = next(iter(loader.shuffled(batch_size=32, seed=0, epoch=1)))
for step in range(6):
    loss, logits = train.train_step(model, optimizer, images, labels)
    print(f"step {step}: loss {loss:.3f}, {np.mean(logits.argmax(axis=1) == labels):4.0%} right")

# %% [markdown]
# The same 32 images six times, and most are right: it can learn them by heart, which is the first thing to try with any
# new network. A loss that begins near log 10 = 2.3 is a good sign, too (chapter 7).
#
# ## Which learning rate?
#
# Two epochs with each. Too small: nothing happens. Too large: the loss jumps about. Far too large: the weights leave
# all bounds, and the package stops and says where.

# %%
for lr in (0.0005, 0.05, 2.0, 1e30):
    model = new_model()
    optimizer, losses = optim.SGD(model, lr=lr, momentum=0.9), []
    try:
        with np.errstate(all="ignore"):  # numbers that overflow are what we want to see
            for epoch in (1, 2):
                for images, labels, _ in loader.shuffled(batch_size=32, seed=0, epoch=epoch):
                    losses.append(train.train_step(model, optimizer, images, labels)[0])
        print(f"lr {lr:<8g} loss of the last ten steps {np.mean(losses[-10:]):.3f}")
    except FloatingPointError as error:
        print(f"lr {lr:<8g} after {len(losses)} steps: {error}")

# %% [markdown]
# ## From start to finish
#
# Eight epochs. `train.fit` is the loop: an epoch of steps, then a look at the validation images. (`numpy-resnet train`
# does this with a folder for the run that survives Ctrl-C and power cuts, and the full ResNet-18.)

# %%
model, epochs = new_model(), 8
steps = epochs * len(data.batch_starts(len(digits.train), 32))
optimizer = optim.SGD(model, lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
schedule = optim.one_cycle(0.05, steps=steps)
history = train.fit(model, optimizer, schedule, loader, val_loader, epochs=epochs, batch_size=32, seed=0)
figure = plots.learning_curves(history)
figure

# %% [markdown]
# How to read it: if both losses are high, it has not learned enough (train longer, larger rate, larger network). If the
# training loss goes on falling and the validation loss rises, it learns by heart: *overfitting* (more images, more
# augmentation, weight decay). Validation above training, as here, comes from augmentation: training sees the harder
# images, and its figure is a mean over the epoch.
#
# Now the test images, once:

# %%
result = train.evaluate(model, test_loader)
wrong = result.confusion.sum() - np.trace(result.confusion)
print(f"test accuracy {result.accuracy:.1%}, {wrong} of {len(result.labels)} wrong")
assert result.accuracy > 0.95
figure = plots.confusion_matrix(result.confusion, digits.classes)
figure

# %% [markdown]
# 359 images are few: one more mistake is 0.3 %, and another seed gives another figure. A difference of one per cent
# between two ideas means nothing here.
#
# ## What it got wrong, and what it looks for

# %%
predicted = result.probabilities.argmax(axis=1)
order = np.argsort(result.probabilities[np.arange(len(result.labels)), result.labels])[
    :8
]  # the least sure of the truth
worst = np.stack([np.asarray(digits.test.read(result.indices[i]), float)[None] for i in order])
figure = plots.predictions(worst, result.labels[order], predicted[order], result.probabilities[order], digits.classes)
figure

# %%
figure = plots.filters(model.conv1.params["weight"])
figure

# %% [markdown]
# The sixteen filters of the first layer were noise when training began. Some have become edges, as Sobel's were by
# design in chapter 2: nobody told them to.
#
# **Predict, then run:**
#
# 1. Plain SGD with lr on L = 20 y² / 2: for which lr does y neither grow nor shrink in size? What happens beyond?
# 2. Momentum 0.9 and the learning rate 0.1, or no momentum and the learning rate 1: which steps are the same in the
#    long run?
# 3. `fit` with a batch of 64 instead of 32: how many steps is an epoch, and what would you do with the learning rate?
#
# <details><summary>Answers</summary>
#
# 1. y becomes (1 - 20 lr) · y. At lr = 0.1 the factor is -1: it jumps from one side to the other. Beyond, it diverges.
# 2. If the gradient stays the same, v goes to 10 g, and both step by 0.1 · 10 g = 1 · g.
# 3. Half as many. The gradient of 64 images is less noisy, so a larger step can be trusted: twice the rate is the usual
#    first guess (Goyal et al. 2017, section 2.1).
#
# </details>

# %% [markdown]
# ## Now you
#
# ```
# numpy-resnet exercises start mine --only sgd
# ```
#
# - `sgd`: momentum, Nesterov and weight decay, in a dozen lines.
#
# And when the exercises of the chapters before are done: `numpy-resnet exercises train`, a network that learns with
# your own functions.
#
# **Next:** [Pneumonia](10_pneumonia.py): the same, where mistakes are not alike.
