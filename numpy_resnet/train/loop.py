"""The training loop: it can be stopped after any step and go on from there as if nothing had happened."""

import contextlib
import dataclasses
import time

import numpy as np
from tqdm import tqdm

from numpy_resnet.data import batch_starts
from numpy_resnet.layers import trace
from numpy_resnet.train.evaluation import evaluate

ADVICE = "try a smaller learning rate or a longer warm-up"


@dataclasses.dataclass
class Progress:
    """How far a training has come: with the model, the optimizer and the generators, all that the next step needs."""

    epoch: int = 1  # the one that is under way
    batch: int = 0  # of it, the next one
    step: int = 0  # of the whole training, the next one
    loss: float = 0.0  # sums over the images of this epoch so far
    right: int = 0
    images: int = 0
    seconds: float = 0.0
    history: list = dataclasses.field(default_factory=list)  # a dict for each epoch that is done


class Stopped(Exception):
    """Training was asked to stop, and has saved what it did."""


def train_step(model, optimizer, x, labels, *, class_weight=None):
    """One step of gradient descent on the model's own cross entropy.   x (N, C, H, W), labels (N,) -> loss, logits

    Raises FloatingPointError for a loss that is not finite, before the step.
    """
    logits = model.forward(x)
    loss, cache = model.ops.cross_entropy(logits, labels, class_weight=class_weight)
    if not np.isfinite(loss):
        raise FloatingPointError(f"the loss became {loss}")
    dlogits = model.ops.cross_entropy_backward(1.0, cache)
    model.backward_parameters(dlogits)
    optimizer.step()
    return float(loss), logits


def fit(
    model,
    optimizer,
    schedule,
    loader,
    val_loader,
    *,
    epochs,
    batch_size=64,
    seed=0,
    class_weight=None,
    measure=None,
    progress=None,
    save=None,
    is_time_to_save=None,
    should_stop=None,
):
    """Train for some epochs, and look at the validation images after each.   Returns the history, a list of dicts

    loader, val_loader: data.Loader; schedule: step -> learning rate; class_weight (num_classes,) or None;
    measure: Evaluation -> dict of further figures for the history.
    progress: where to go on, as the loop left it. `save(progress)` is called after each epoch, and in between
    where `is_time_to_save(step)` says so; `should_stop()` is asked after each step. Everything random derives from
    (seed, epoch, index of the image), and from the generators of the dropout layers.
    Raises FloatingPointError when the loss is not finite, Stopped after saving when it should stop.
    """
    progress, save = progress or Progress(), save or (lambda progress: None)
    steps = len(batch_starts(len(loader.images), batch_size))
    while progress.epoch <= epochs:
        model.train()
        start = time.perf_counter()
        with contextlib.closing(_batches(loader, progress, epochs, batch_size=batch_size, seed=seed)) as batches:
            for x, labels in batches:
                optimizer.lr = schedule(progress.step)
                _count(progress, *_step(model, optimizer, x, labels, class_weight, progress), labels)
                progress.seconds, start = progress.seconds + time.perf_counter() - start, time.perf_counter()
                stop = should_stop is not None and should_stop()
                if stop or (progress.batch < steps and is_time_to_save and is_time_to_save(progress.step)):
                    save(progress)
                    start = time.perf_counter()
                if stop:
                    raise Stopped(f"stopped in epoch {progress.epoch} of {epochs}, after step {progress.step:,}")
        val = evaluate(model, val_loader, class_weight=class_weight, title=f"epoch {progress.epoch}, validation")
        if not np.isfinite(val.loss):
            raise FloatingPointError(
                f"the validation loss became {val.loss} {_where(progress, optimizer.lr)}; {_broken(model)}"
            )
        _end_epoch(progress, schedule(progress.step - 1), val, measure, len(loader.images))
        save(progress)
        if progress.epoch <= epochs and should_stop is not None and should_stop():
            raise Stopped(f"stopped after epoch {progress.epoch - 1} of {epochs}")
    return progress.history


def _batches(loader, progress, epochs, **options):
    """What is left of an epoch, (x, labels) by batch, and a bar that shows it."""
    stream = loader.shuffled(**options, epoch=progress.epoch, first=progress.batch)
    total, title = len(loader.images), f"epoch {progress.epoch}/{epochs}"
    bar = tqdm(total=total, initial=progress.images, desc=title, unit="image", leave=False, disable=None)
    with bar, contextlib.closing(stream):
        for x, labels, _ in stream:
            yield x, labels
            bar.update(len(x))
            bar.set_postfix(loss=f"{progress.loss / max(1, progress.images):.3f}", refresh=False)


def _step(model, optimizer, x, labels, class_weight, progress):
    """train_step, which explains why it failed; none at all for a batch of one image, whose other files vanished."""
    if len(x) < 2:  # batch norm cannot train on it
        return 0.0, np.zeros((0, 1))
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what diverges is told anyway
            return train_step(model, optimizer, x, labels, class_weight=class_weight)
    except FloatingPointError as error:
        raise FloatingPointError(f"{error} {_diverged(model, x, progress, optimizer.lr)}") from None


def _count(progress, loss, logits, labels):
    """One more batch, and the images that were trained on."""
    images = len(logits)
    progress.loss += loss * images
    progress.right += int((logits.argmax(axis=1) == labels[:images]).sum())
    progress.images += images
    progress.batch, progress.step = progress.batch + 1, progress.step + 1


def _end_epoch(progress, lr, val, measure, images):
    """Write the epoch into the history, and begin the next.   Raises ValueError if most images were not there"""
    if 2 * progress.images < images:
        raise ValueError(
            f"in epoch {progress.epoch} only {progress.images:,} of {images:,} images could be read: "
            "is the disk still there?"
        )
    row = {
        "epoch": progress.epoch,
        "learning_rate": lr,
        "train_loss": progress.loss / progress.images,
        "train_accuracy": progress.right / progress.images,
        "val_loss": val.loss,
        "val_accuracy": val.accuracy,
        **(measure(val) if measure else {}),
        "seconds": progress.seconds,
        "images_per_second": progress.images / progress.seconds,
    }
    done = Progress(progress.epoch + 1, step=progress.step, history=[*progress.history, row])
    vars(progress).update(vars(done))


def is_best(history):
    """Whether no epoch before the last had a lower validation loss."""
    return history[-1]["val_loss"] <= min(row["val_loss"] for row in history)


def balanced_weights(labels, num_classes, dtype=np.float32):
    """N / (K * n[c]): each class weighs the same, whatever its number of images n[c].   labels (N,) -> (K,)"""
    counts = np.bincount(labels, minlength=num_classes)
    if not counts.all():
        raise ValueError(f"every class must have an image; class {counts.argmin()} has none")
    return (len(labels) / (num_classes * counts)).astype(dtype)


def _where(progress, lr):
    return f"in epoch {progress.epoch}, step {progress.step}, at a learning rate of {lr:g}"


def _diverged(model, x, progress, lr):
    """What to tell about a loss that is not finite: where it was, and which layer broke first."""
    where = _where(progress, lr)
    if not np.isfinite(x).all():
        return f"{where}; the images themselves are not finite: look at the mean and std that they are normalised with"
    with np.errstate(all="ignore"):
        seen = trace(model, x, np.zeros((len(x), model.options["num_classes"]), x.dtype))
    for record in seen:
        if not np.isfinite(record.output).all():
            broken = any(not np.isfinite(param).all() for param in record.layer.params.values())
            why = ", whose parameters the step before made not finite" if broken else ""
            return f"{where}; the first output that is not finite is that of {record.name}{why}: {ADVICE}"
    return f"{where}; the output of every layer is finite in a second run: {ADVICE}"


def _broken(model):
    """The first parameter or statistic that is not finite."""
    keys = [key for key, array in model.state_dict().items() if not np.isfinite(array).all()]
    return f"the first array that is not finite is {keys[0]}: {ADVICE}" if keys else f"all arrays are finite: {ADVICE}"
