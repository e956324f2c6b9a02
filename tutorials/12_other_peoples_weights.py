# %% [markdown]
# # 12. Other people's weights
#
# **Question:** somebody trained a network for days and put a file on the web. How do its numbers come into our network,
# and how do we know that they are right there?
#
# Three things can go wrong: the file does more than hold numbers, the numbers land in the wrong places, or they are fed
# with other numbers than those they learned from. All three happen, and only the second one is told by an error.

# %%
import contextlib
import io
import os
import pickle
import pickletools
import tempfile
import zipfile
from pathlib import Path

import numpy as np

import numpy_resnet
from numpy_resnet import checkpoint, cli, data, models, optim, plots, train

scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)

# %% [markdown]
# ## A pickle is a program
#
# PyTorch keeps weights in files that end in .pth, .pt or .th. All three are the same, and at the heart of each is a
# *pickle*, Python's own way to turn objects into bytes. A pickle does not describe an object. It is a list of
# instructions for building it, for a small machine with a stack. Here is that of a dict with one number:

# %%
for code, argument, _ in pickletools.genops(pickle.dumps({"bias": 0.5}, protocol=2)):
    print(f"{code.name:<12} {'' if argument is None else argument!r}")

# %% [markdown]
# An empty dict; a text and a number on the stack; put the number into the dict under the text; stop. (BINPUT keeps a
# value for later.) Harmless. But a pickle can hold any object, so there is an instruction that finds a function by its
# name, and REDUCE, which calls it. Any class can say by `__reduce__` what is to be called when it is loaded:


# %%
class Hostile:
    def __reduce__(self):
        return print, ("    (this line was printed by the file; it could have been any command)",)


content = pickle.dumps({"conv1.weight": Hostile()}, protocol=2)
print("instructions:", *[code.name for code, _, _ in pickletools.genops(content)])
print("pickle.loads:")
pickle.loads(content)

# %% [markdown]
# To *load* it was enough; nobody used what came out. With `os.system` in the place of `print`, whoever wrote the file
# would have had your account. This is why PyTorch's `torch.load` reads only a few kinds of objects by default since its
# version 2.6.
#
# This package never calls Python's unpickler. `numpy_resnet/checkpoint/pickles.py` reads the instructions one by one
# and obeys those that a dict of tensors needs. A function name is only looked up in a short list, `GLOBALS` in
# `tensors.py`, and what stands there makes *descriptions* of tensors. Everything else is refused, by name:

# %%
(folder / "hostile.pth").write_bytes(content)
try:
    checkpoint.load_arrays(folder / "hostile.pth")
except checkpoint.CheckpointError as error:
    print(str(error).replace(scratch.name, "..."))
    assert "print" in str(error)
else:
    raise AssertionError("a file that runs code was read")

# %% [markdown]
# ## A tensor in a file
#
# Since 2020 a .pth file is a zip archive: a pickle `data.pkl`, and beside it the bare bytes of the numbers. We write a
# 2x3 matrix and look inside:

# %%
matrix = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
checkpoint.save_arrays(folder / "matrix.pth", {"matrix": matrix})
with zipfile.ZipFile(folder / "matrix.pth") as archive:
    for entry in archive.infolist():
        print(f"{entry.filename:<20} {entry.file_size:4} bytes")
    raw = archive.read("archive/data/0")
    program = archive.read("archive/data.pkl")
numbers = np.frombuffer(raw, np.float32)
print("numbers:", numbers)
print("the pickle names:", [argument for code, argument, _ in pickletools.genops(program) if code.name == "GLOBAL"])

# %% [markdown]
# The numbers are a *storage*, one long row. The pickle says how a tensor lies in it, by offset, size and strides:
#
# $$ tensor[i, j] = storage[offset + i \cdot stride_0 + j \cdot stride_1] $$
#
# With size (2, 3) and strides (3, 1), [1, 2] is at 1·3 + 2·1 = 5, the last number. With size (3, 2) and strides (1, 3)
# the same six numbers are the transposed matrix, and nothing was copied. Two tensors may share a storage.
#
# Before 2020 there was no archive: five pickles one after the other, then the storages. Such files are still around.
# The repository has small files that PyTorch wrote in both formats, and beside them what PyTorch said is in them:

# %%
transposed = np.lib.stride_tricks.as_strided(numbers, (3, 2), (1 * 4, 3 * 4))  # NumPy counts bytes, 4 for each number
np.testing.assert_array_equal(transposed, matrix.T)

golden = Path(numpy_resnet.__file__).parents[1] / "tests" / "golden"
with np.load(golden / "checkpoints.npz") as archive:
    expected = dict(archive)
for form in ("zip", "stream"):
    file = golden / f"checkpoint_tensors_{form}.pth"
    arrays = checkpoint.load_arrays(file)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected[f"tensors/{name}"], strict=True)
    shared = np.shares_memory(arrays["base"], arrays["turned"])
    start = file.read_bytes()[:2]
    print(f"{form:<7} begins with {start!r:<12} {len(arrays)} tensors as PyTorch has them; storage shared: {shared}")

# %% [markdown]
# ## A network in a file
#
# Now a real one. If the environment variable NUMPY_RESNET_DATA names a folder with CIFAR-10 (60,000 photos of 32x32
# pixels in ten classes, Krizhevsky 2009), and beside that folder is one called `weights` with `resnet20-12fca82f.th`,
# that file is read. Y. Idelbayev trained it ("Proper ResNet Implementation for CIFAR10/CIFAR100 in PyTorch"); it is the
# 20-layer net of He et al. 2015, section 4.2. Otherwise a stand-in is made: the same net, trained here for a few
# seconds on the digits of the package, with the names that such files have.


# %%
def learn(model, images, *, mean, std, steps, batch_size=32, lr=0.03, seed=0):
    """Train for some steps on random batches: chapter 9, in short."""
    x, labels, _ = next(data.Loader(images, mean=mean, std=std).in_order(batch_size=len(images)))
    optimizer, schedule = optim.SGD(model, lr, momentum=0.9), optim.one_cycle(lr, steps=steps)
    rng = np.random.default_rng(seed)
    model.train()
    for step in range(steps):
        batch = rng.permutation(len(x))[:batch_size]
        optimizer.lr = schedule(step)
        train.train_step(model, optimizer, x[batch], labels[batch])
    return model


def digits_of(images, classes, per_class=None, seed=0, groups=None):
    """Only some digits, labelled 0, 1, ... or by their group; of each, a few drawn at random, or all."""
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(images.labels == c))[:per_class] for c in classes]
    pixels = images.pixels[np.concatenate(chosen)]
    labels = np.arange(len(classes)) if groups is None else groups
    return data.ArrayImages(pixels, np.repeat(labels, [len(c) for c in chosen]))


# %%
digits = data.digits()
home = Path(os.environ.get("NUMPY_RESNET_DATA", "nowhere"))
file = home.parent / "weights" / "resnet20-12fca82f.th"
real = file.exists() and (home / "cifar-10-batches-bin").exists()
if real:
    dataset = data.load("cifar10")
    test = dataset.test.subset(np.arange(1000))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of red, green and blue, as its training script has them
else:
    dataset, test, mean, std = digits, digits.test, (0.305,), (0.376,)
    numpy_resnet.set_num_threads(1)  # on 8x8 pixels two threads would mostly wait for each other
    trained = learn(models.cifar_resnet20(10, in_channels=1), digits.train, mean=mean, std=std, steps=90)
    foreign = {f"state_dict.module.{key.replace('fc.', 'linear.')}": a for key, a in trained.state_dict().items()}
    file = folder / "stand_in.pth"
    checkpoint.save_arrays(file, {key: a for key, a in foreign.items() if "num_batches" not in key})
print(
    f"{file.name}: {'somebody else trained it' if real else 'the stand-in'}; {len(test)} test images of {dataset.name}"
)

# %% [markdown]
# ## Names and shapes
#
# A file of weights holds no network, only arrays with names. What they are called depends on who wrote the program:

# %%
arrays = checkpoint.load_arrays(file)
for name in [*list(arrays)[:6], "...", *list(arrays)[-3:]]:
    print(f"{name:<50} {arrays[name].shape if name in arrays else ''}")

# %% [markdown]
# Three things differ from our names. The training script put the weights into a dict of its own, under `state_dict`.
# The model was wrapped in `DataParallel`, which spreads a batch over several devices; that put `module.` before each
# name. And the last layer is called `linear`, where torchvision and we say `fc`. `our_names` sees through all of it.
# Then `recognize` asks which model has such names and shapes: the number of blocks in each stage, the channels of
# `conv1`, the rows of `fc.weight`.

# %%
ours = checkpoint.our_names(arrays)
fit = checkpoint.recognize(ours)
print(fit)
model = models.MODELS[fit.name](**fit.options)
own = model.state_dict()
print("in the file, not in the model:", sorted(ours.keys() - own.keys()))
print("in the model, not in the file:", sorted({key.rsplit(".")[-1] for key in own.keys() - ours.keys()}))
print("all shapes agree:", all(ours[key].shape == own[key].shape for key in ours))

# %% [markdown]
# `num_batches_tracked` counts training steps and changes no output; files from before 2018 lack it. Everything else
# must be there, or nothing is loaded. A half-loaded network would run, give plausible nonsense, and say nothing. So the
# functions for every day, `load_model(file)` for a new model and `load_weights(file, model)` for one that is there,
# list what does not fit:

# %%
model, _ = checkpoint.load_model(file)
broken = {key: array for key, array in ours.items() if key != "bn1.weight"}
broken["conv1.weight"] = broken["conv1.weight"][:, :, :2]
checkpoint.save_arrays(folder / "broken.npz", broken)
try:
    checkpoint.load_weights(folder / "broken.npz", models.cifar_resnet20(10, in_channels=fit.options["in_channels"]))
except checkpoint.CheckpointError as error:
    print(str(error).replace(scratch.name, "..."))
else:
    raise AssertionError("a file that does not fit was loaded")

# %% [markdown]
# ## Is it right?
#
# The best check is the one that the author did: the error on images that nobody trained on. For the real file the
# author publishes 8.27 % on all 10,000 test images of CIFAR-10. On 1,000 of them, an error of 8.27 % comes with a
# standard deviation of $\sqrt{0.0827 \cdot 0.9173 / 1000}$ = 0.9 %, so we can expect something from 6.5 to 10 %.


# %%
def test_of(model, mean, std):
    return train.evaluate(model, data.Loader(test, mean=mean, std=std), batch_size=200)


result = test_of(model, mean, std)
N = len(result.labels)
error = 1 - result.accuracy
print(f"{round(error * N)} of {N} wrong: {error:.2%}, give or take {np.sqrt(error * (1 - error) / N):.2%}")
assert error < 0.15

predicted = result.probabilities.argmax(axis=1)
wrong = np.flatnonzero(predicted != result.labels)
surest = wrong[np.argsort(-result.probabilities[wrong].max(axis=1))][:12]
images = next(data.Loader(test.subset(surest)).in_order()).x  # not normalised, to be looked at
figure = plots.predictions(
    images,
    result.labels[surest],
    predicted[surest],
    result.probabilities[surest],
    dataset.classes,
    title="The mistakes that it is surest of",
    columns=6,
)
figure

# %% [markdown]
# Look at them, always. Some of these a person would get wrong, too. And the percentages are what softmax says (chapter
# 7), not how often it is right: a network that was trained until its training images are all right tends to be far too
# sure (Guo et al. 2017, "On Calibration of Modern Neural Networks").
#
# ## The silent mistake: another normalisation
#
# Before an image goes in, it is *normalised*: pixels of 0 to 255 become 0 to 1, less a mean, divided by a standard
# deviation, for each colour. Which numbers these are does not stand in the file. One has to read the author's program.
# If they are forgotten, all shapes still fit and no error comes:

# %%
ways = {
    "as in training": (mean, std),
    "without the mean": (np.zeros_like(mean), std),
    "0 to 1, and nothing else": (np.zeros_like(mean), np.ones_like(std)),
    "0 to 255, as the file has them": (np.zeros_like(mean), np.full_like(std, 1 / 255)),
}
errors = {name: 1 - test_of(model, *numbers).accuracy for name, numbers in ways.items() if name != "as in training"}
errors = {"as in training": error, **errors}
assert errors["as in training"] < errors["0 to 255, as the file has them"]

figure = plots.page(9, 2.8)
axes = figure.subplots()
for row, value in enumerate(errors.values()):
    axes.barh(row, 100 * value, color=plots.VERMILLION if row else plots.BLUE, height=0.6)
    axes.text(100 * value + 1, row, f"{value:.1%}", va="center", fontsize=12)
axes.set_yticks(range(len(errors)), errors, fontsize=12)
axes.set_title("Test error of the same weights, fed with other numbers", loc="left", fontsize=13)
axes.set(xlim=(0, 100), xticks=(), ylim=(len(errors) - 0.5, -0.5))
axes.spines[["top", "right", "bottom"]].set_visible(False)
axes.tick_params(left=False)
figure

# %% [markdown]
# Why does batch norm (chapter 4) not repair it? In inference it uses its *running statistics*, mean and variance as
# they were in training. They are as much a part of the weights as the filters. Let batch norm measure once more, on the
# badly fed images, without touching a single weight:

# %%
again, _ = checkpoint.load_model(file)
again.train()
some = data.Loader(test.subset(np.arange(300)), mean=np.zeros_like(mean), std=np.full_like(std, 1 / 255))
for _ in range(4):
    for batch in some.in_order(batch_size=60):
        again.forward(batch.x)  # in training mode, which moves the statistics; no backward, so no weight changes
repaired = 1 - test_of(again.eval(), *ways["0 to 255, as the file has them"]).accuracy
print(f"0 to 255: {errors['0 to 255, as the file has them']:.1%}; with new running statistics {repaired:.1%}")
assert repaired < errors["0 to 255, as the file has them"]

# %% [markdown]
# So most of the damage was in the statistics. This is no way to use a network, though: feed it what it was trained on.
# Who publishes weights should write mean and std beside them.
#
# ## Transfer learning
#
# The other use of somebody's weights: as a beginning. The *body* of a network, all but its last layer, turns an image
# into 64 numbers, its *features*. If they tell six classes apart, they may help with another task of which there are
# few images.
#
# Here the body learns the digits 0 to 5, from all their training images. There are two new tasks, one near and one far.
# Near: is a digit of 0 to 5 odd or even, with a single image of each digit? Far: which digit of 6 to 9 is it, with two
# images of each? With `new_classes=True`, `load_weights` copies all arrays and leaves the new last layer as it is, if
# its number of classes is another one. (Had the new task six classes, the old last layer would fit, and be loaded.)

# %%
numpy_resnet.set_num_threads(1)
grey = {"mean": (0.305,), "std": (0.376,)}
old_test, new_test = digits_of(digits.test, range(6)), digits_of(digits.test, range(6, 10))
old = learn(models.cifar_resnet20(6, in_channels=1), digits_of(digits.train, range(6)), **grey, steps=70)
checkpoint.save_model(folder / "old.pth", old)


def error_of(model, images):
    return 1 - train.evaluate(model, data.Loader(images, **grey), batch_size=len(images)).accuracy


def begin(seed, classes=4):
    """A network for a new task whose body knows 0 to 5, and whose last layer knows nothing."""
    model = models.cifar_resnet20(classes, in_channels=1, seed=seed)
    assert checkpoint.load_weights(folder / "old.pth", model, new_classes=True)
    return model


print(
    f"error on 0 to 5: {error_of(old, old_test):.1%};  a new last layer on 6 to 9: {error_of(begin(0), new_test):.1%}"
)

# %% [markdown]
# Three ways to learn a new task:
#
# - *from scratch*: random weights, everything learns;
# - *fine-tuning*: the old body, everything learns;
# - *frozen*: the old body stays as it is, only the last layer learns.
#
# `layer.freeze()` does two things, and the second is easily forgotten: its parameters are no longer the optimizer's,
# and its batch norm stays in inference. For running statistics are no parameters. They follow every batch in training
# mode, also at a learning rate of zero:

# %%
x_new, _, _ = next(data.Loader(new_test, **grey).in_order(batch_size=len(new_test)))
before = error_of(old, old_test)
unfrozen, _ = checkpoint.load_model(folder / "old.pth")
unfrozen.train()
for _ in range(20):
    unfrozen.forward(x_new)  # nothing learns
print(f"error on 0 to 5, before: {before:.1%};  after 20 batches of 6 to 9: {error_of(unfrozen, old_test):.1%}")
moved = np.abs(unfrozen.infer(x_new) - old.infer(x_new)).mean()
print(f"logits: {np.abs(old.infer(x_new)).mean():.2f} on average, and moved by {moved:.2f}")
drift = {key: np.abs(a - old.state_dict()[key]).max() for key, a in unfrozen.state_dict().items()}
print("changed:", sorted({key.rsplit(".")[-1] for key, change in drift.items() if change}))

# %% [markdown]
# Nothing learned, and the network is another one. Whether its error on the old digits rises or, by luck, falls: what
# was saved as its weights is no longer what it does. A frozen layer's statistics stay.
#
# A frozen body computes the same features for the same image, at every step. So one may compute them once, and train
# the last layer alone, for nearly nothing. It is the same training:


# %%
def freeze_body(model):
    for name, layer in model.children():
        if name != "fc":
            layer.freeze()
    return model


def features(model, images):
    """What the last layer sees (N, 64), and the labels (N,)."""
    h, labels, _ = next(data.Loader(images, **grey).in_order(batch_size=len(images)))
    for _, layer in model.children()[:-1]:
        h = layer.infer(h)
    return h, labels


few = digits_of(digits.train, range(6, 10), per_class=3)
x, labels, _ = next(data.Loader(few, **grey).in_order())
whole, head = freeze_body(begin(0)), begin(0).fc
h, _ = features(whole, few)
whole_sgd, head_sgd = optim.SGD(whole, 0.1, momentum=0.9), optim.SGD(head, 0.1, momentum=0.9)
for _ in range(3):
    train.train_step(whole, whole_sgd, x, labels)
    train.train_step(head, head_sgd, h, labels)
print("the optimizer of the frozen network has:", [key for key, _, _ in whole.named_parameters()])
np.testing.assert_allclose(whole.fc.params["weight"], head.params["weight"], atol=1e-5)
np.testing.assert_array_equal(whole.conv1.params["weight"], old.conv1.params["weight"])

# %%
STEPS, DRAWS = 14, (4, 10)  # draws of images, for each task
tasks = {
    "near: odd or even, of 0 to 5": {"classes": range(6), "groups": (0, 1, 0, 1, 0, 1), "per_class": 1},
    "far: which of 6 to 9": {"classes": range(6, 10), "groups": (0, 1, 2, 3), "per_class": 2},
}


def from_scratch(images, classes, seed):
    new = models.cifar_resnet20(classes, in_channels=1, seed=seed)
    return learn(new, images, **grey, steps=STEPS, lr=0.03, seed=seed)


def fine_tuned(images, classes, seed):
    return learn(begin(seed, classes), images, **grey, steps=STEPS, seed=seed)


def frozen(images, classes, seed):
    model = freeze_body(begin(seed, classes))
    h, labels = features(model, images)
    optimizer = optim.SGD(model.fc, 0.05, momentum=0.9)
    for _ in range(5 * STEPS):
        train.train_step(model.fc, optimizer, h, labels)
    return model


# %% [markdown]
# Which images are drawn matters as much as the method. So each method gets the same draws, and what counts is the
# difference within a draw: the *lead* over the network from scratch.

# %%
methods = {"from scratch": from_scratch, "fine-tuning": fine_tuned, "frozen": frozen}
errors = {}
for draws, (task, options) in zip(DRAWS, tasks.items(), strict=True):
    groups = options["groups"]
    exam = digits_of(digits.test, options["classes"], groups=groups)
    samples = [digits_of(digits.train, **options, seed=seed) for seed in range(draws)]
    for name, method in methods.items():
        learned = (method(images, len(set(groups)), seed) for seed, images in enumerate(samples))
        errors[task, name] = found = np.array([error_of(model, exam) for model in learned])
        lead = errors[task, "from scratch"] - found
        print(f"{task:<29} {name:<13} {found.mean():5.1%}", end="")
        print(f"   lead {lead.mean():6.1%}, of the first three draws {lead[:3].mean():6.1%}" * (name != "from scratch"))
near, far = tasks
assert errors[near, "frozen"].mean() < errors[near, "from scratch"].mean()

# %%
figure = plots.page(9, 3.8)
for axes, task in zip(figure.subplots(1, 2, sharey=True), tasks, strict=True):
    found = 100 * np.array([errors[task, name] for name in methods])  # (methods, draws)
    axes.plot(range(3), found, "-", color=plots.QUIET, lw=1, alpha=0.4)
    for place, color in enumerate((plots.BLUE, plots.VERMILLION, plots.VERMILLION)):
        axes.plot(np.full(found.shape[1], place), found[place], "o", color=color, ms=7, alpha=0.6)
        axes.hlines(found[place].mean(), place - 0.25, place + 0.25, color=color, lw=3)
    axes.set_xticks(range(3), methods, fontsize=12)
    axes.set(xlim=(-0.5, 2.5), ylim=(0, 60))
    axes.set_title(task, loc="left", fontsize=13)
    axes.spines[["top", "right"]].set_visible(False)
figure.axes[0].set_ylabel("test error, %", fontsize=12)
figure

# %% [markdown]
# A thin line is one draw of images, a bar the mean. On the left both ways that use the old body are far ahead, in every
# draw. The body has learned to tell these very digits apart, from many more images; a new last layer only has to group
# what it tells. Nothing else needs to learn.
#
# On the right the digits are new to the body. Some draws gain, some lose, and the mean lead is small beside the
# differences between draws. Fine-tuning may be a little ahead; ten draws do not settle it. With the first three alone
# it seems settled: there, both ways that use the old body win each time. So doubt a table with three runs of each
# method.
#
# What transfers depends on how near the tasks are. Yosinski et al. 2014 ("How transferable are features in deep
# neural networks?") found that with photos and larger networks, too. And where images are many and training is long,
# random weights catch up (He, Girshick & Dollár 2019, "Rethinking ImageNet Pre-training").
#
# ## Out again
#
# The other way round is a single line. A .pth for `torch.load`; a .safetensors, a format that has no program in it at
# all: eight bytes with a length, names, shapes and places as JSON, then the numbers; an .npz for `np.load`:

# %%
for ending in (".pth", ".safetensors", ".npz"):
    checkpoint.save_model(folder / f"out{ending}", model)
    back, note = checkpoint.load_model(folder / f"out{ending}")
    for key, array in back.state_dict().items():
        np.testing.assert_array_equal(array, model.state_dict()[key], strict=True)
    print(f"out{ending:<13} {(folder / f'out{ending}').stat().st_size:9,} bytes   {note['model']}")
print((folder / "out.safetensors").read_bytes()[8:].split(b"}}")[0][-200:].decode())

# %% [markdown]
# All of these hold arrays, and whoever reads them must have the network. *ONNX* is a format for the network itself: a
# graph whose nodes are operations, with the arrays beside them. Programs such as ONNX Runtime run it without Python, in
# a browser or on a telephone. (`pip install "numpy_resnet[onnx]"`; without it, the next cell says so and goes on.)

# %%
sample = next(data.Loader(test, mean=mean, std=std).in_order(batch_size=16)).x
logits = model.infer(sample)
try:
    checkpoint.export_onnx(folder / "out.onnx", model, sample.shape[2:])
    import onnx

    graph = onnx.load(folder / "out.onnx")
    onnx.checker.check_model(graph, full_check=True)
    kinds = [node.op_type for node in graph.graph.node]
    print("nodes:", {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)})
except ImportError:
    print("The package onnx is not installed: nothing was exported.")
try:
    import onnxruntime
except ImportError:
    print("ONNX Runtime is not installed: nothing to compare with.")
else:
    if (folder / "out.onnx").exists():
        session = onnxruntime.InferenceSession(folder / "out.onnx", providers=["CPUExecutionProvider"])
        (theirs,) = session.run(None, {"images": np.ascontiguousarray(sample)})
        print(
            f"ONNX Runtime's logits differ by {np.abs(theirs - logits).max() / np.abs(logits).max():.1e} of the largest"
        )
        np.testing.assert_allclose(theirs, logits, atol=1e-3 * np.abs(logits).max())

# %% [markdown]
# ## On the command line
#
# `inspect` says what is in a file, and `convert` writes it in another format. Neither runs what is in it.


# %%
def command(*arguments):
    """numpy-resnet with these arguments, here; what it printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert cli.main([str(argument) for argument in arguments]) == 0
    return out.getvalue().replace(scratch.name, "...")


print("$ numpy-resnet inspect", file.name)
lines = command("inspect", file).splitlines()
print("\n".join([*lines[:4], "...", *lines[-3:]]))
print("$ numpy-resnet convert", file.name, "converted.safetensors")
print(command("convert", file, folder / "converted.safetensors"))
converted = checkpoint.load_arrays(folder / "converted.safetensors")
assert all(np.array_equal(converted[name], array) for name, array in arrays.items())

# %% [markdown]
# **Predict, then run:**
#
# 1. A file has the right names, but somebody exchanged the arrays of `layer1.0.conv1` and `layer1.0.conv2`. What is
#    said?
# 2. Colour images come in the order blue, green, red, as some programs read them. Does a check of shapes notice?
# 3. The last layer of `begin(0)` has random weights. What error do you expect on four classes, and why is it not always
#    75 %?
# 4. Let `from_scratch` learn with `lr=0.1`, and leave the two other ways as they are. What would a paper say about
#    transfer learning, from near to far?
#
# <details><summary>Answers</summary>
#
# 1. Nothing: both are (16, 16, 3, 3), and so they fit. Only the error on test images can tell.
# 2. No, the shapes are the same. The error rises, of the real file from 8.5 to 15 %.
# 3. About 75 %, for guessing. But such a layer guesses by the features, which differ between the digits, so it may be
#    right or wrong for nearly a whole class.
# 4. That it is a triumph on the far task as well: there, a network from scratch is then wrong more often than right,
#    on average. The rate is too high for so few steps, that is all. A comparison is worth as much as the care for the
#    side that one wants to lose.
#
# </details>

# %% [markdown]
# ## Now you
#
# No exercise belongs to this chapter; two tasks on the command line do. Both need a network once, for a download.
#
# ```
# numpy-resnet download resnet18
# numpy-resnet predict --weights imagenet cat.jpg
# numpy-resnet train --data photos --weights imagenet --freeze layer3
# ```
#
# - Fetch torchvision's ResNet-18, trained on a million photos in a thousand classes (`download` says where it lies and
#   under which licence; `inspect` it), and let it tell what is on a photo of yours.
# - Take two kinds of things that you have fifty photos each of, a folder for each kind. Train with these weights and
#   without, and compare with `numpy-resnet evaluate`. `--freeze layer3` is none of the three ways of this chapter: what
#   learns, and what does not?
#
# **Next:** this was the last chapter. From here on: your own images (`numpy-resnet train --data FOLDER`); a ResNet-18
# of your own functions (`numpy-resnet exercises train`, once the exercises pass); and `benchmarks/README.md`, how fast
# all of this is beside the frameworks that everybody uses.
