"""The training loop: fit, evaluate, predict, and the folder that a run leaves behind."""

import csv
import io
import json
import time
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from numpy_resnet import files, ops, plots
from numpy_resnet.data import batches


class Evaluation(NamedTuple):
    """How a model does on labelled images."""

    loss: float  # mean cross entropy
    accuracy: float  # share of images whose largest probability is the label's
    probabilities: np.ndarray  # (N, num_classes)
    confusion: np.ndarray  # (num_classes, num_classes) counts, true class by predicted class


def train_step(model, optimizer, x, labels):
    """One step of gradient descent.   x (N, C, H, W), labels (N,) -> loss, logits (N, num_classes)"""
    logits = model.forward(x)
    loss, cache = ops.cross_entropy(logits, labels)
    dlogits = ops.cross_entropy_backward(1.0, cache)
    model.backward(dlogits)
    optimizer.step()
    return float(loss), logits


def fit(model, dataset, optimizer, schedule, *, epochs, batch_size=64, seed=0, augment=None, after_epoch=None):
    """Train for some epochs, and look at the test images after each.   Returns the history, a list of dicts

    dataset: Dataset of normalised images; schedule: step -> learning rate; augment: (x, rng) -> x or None.
    `after_epoch(history)` is called with the history so far; a bar shows images/s and the time left.
    Everything random derives from (seed, epoch). Raises FloatingPointError when the loss is not finite.
    """
    history, step = [], 0
    for epoch in range(1, epochs + 1):
        model.train()
        losses, right, start = 0.0, 0, time.perf_counter()
        bar = tqdm(total=len(dataset.x_train), unit="image", desc=f"epoch {epoch}/{epochs}", leave=False, disable=None)
        for x, labels in batches(
            dataset.x_train, dataset.y_train, batch_size=batch_size, seed=seed, epoch=epoch, augment=augment
        ):
            optimizer.lr = schedule(step)
            loss, logits = train_step(model, optimizer, x, labels)
            if not np.isfinite(loss):
                raise FloatingPointError(
                    f"the loss became {loss} in epoch {epoch}, step {step}, at a learning rate of {optimizer.lr:g}: "
                    "try a smaller learning rate or a longer warm-up"
                )
            losses, right, step = losses + loss * len(x), right + (logits.argmax(axis=1) == labels).sum(), step + 1
            bar.update(len(x))
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        bar.close()
        seconds, images = time.perf_counter() - start, len(dataset.x_train)
        test = evaluate(model, dataset.x_test, dataset.y_test)
        history.append(
            {
                "epoch": epoch,
                "learning_rate": optimizer.lr,
                "train_loss": losses / images,
                "train_accuracy": float(right / images),
                "test_loss": test.loss,
                "test_accuracy": test.accuracy,
                "seconds": seconds,
                "images_per_second": images / seconds,
            }
        )
        if after_epoch:
            after_epoch(history)
    return history


def predict(model, x, *, batch_size=256):
    """Class probabilities in evaluation mode.   x (N, C, H, W) -> (N, num_classes)"""
    logits = [model.infer(x[i : i + batch_size]) for i in range(0, max(1, len(x)), batch_size)]
    return ops.softmax(np.concatenate(logits))[0]


def evaluate(model, x, labels, *, batch_size=256):
    """Loss, accuracy and confusion matrix in evaluation mode.   x (N, C, H, W), labels (N,) -> Evaluation

    Raises ValueError where there is nothing to evaluate.
    """
    if not len(x):
        raise ValueError("there are no images to evaluate; got an empty batch")
    logits = np.concatenate([model.infer(x[i : i + batch_size]) for i in range(0, len(x), batch_size)])
    loss, _ = ops.cross_entropy(logits, labels)
    probabilities, _ = ops.softmax(logits)
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((logits.shape[1],) * 2, np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    return Evaluation(float(loss), float((predicted == labels).mean()), probabilities, confusion)


def save_history(path, history):
    """history.csv, a row for each epoch; written anew each time, and renamed into place."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in history)
    files.write_text(path, text.getvalue())


def save_config(path, config):
    """config.json: what the run was asked for, and with what it ran."""
    files.write_text(path, json.dumps(config, indent=2) + "\n")


def save_pictures(folder, history, model, images, labels, evaluation, classes):
    """The four pictures of a run, as PNG files in its folder; returns their paths.

    images are shown as they are, (N, C, H, W) in [0, 1]: every wrong one that there is room for, then right ones.
    """
    predicted = evaluation.probabilities.argmax(axis=1)
    right = predicted == labels
    shown = np.argsort(right, kind="stable")[:40]
    title = (
        f"{(~right).sum():,} of {len(right):,} wrong; here {(~right[shown]).sum()} wrong, {right[shown].sum()} right"
    )
    figures = {
        "learning_curves.png": plots.learning_curves(history),
        "confusion_matrix.png": plots.confusion_matrix(evaluation.confusion, classes),
        "predictions.png": plots.predictions(
            images[shown], labels[shown], predicted[shown], evaluation.probabilities[shown], classes, title=title
        ),
        "filters.png": plots.filters(model.conv1.params["weight"]),
    }
    for name, figure in figures.items():
        with files.atomic_write(folder / name) as file:
            figure.savefig(file, format="png", dpi=120)
    return [folder / name for name in figures]
