"""How good a model is, on images that it was not trained on."""

from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from numpy_resnet import metrics, ops


class Evaluation(NamedTuple):
    """How a model does on labelled images."""

    loss: float  # mean cross entropy, weighted by class if evaluate was given weights
    accuracy: float  # share of images whose largest probability is the label's
    probabilities: np.ndarray  # (N, num_classes)
    labels: np.ndarray  # (N,)
    indices: np.ndarray  # (N,) of the images that could be read
    confusion: np.ndarray  # (num_classes, num_classes) counts, true class by predicted class


class Verdict(NamedTuple):
    """Of two classes, how well the positive one is told from the other."""

    auc: float
    threshold: float  # from this probability on, an image is called positive
    accuracy: float  # at the threshold, as all that follows
    sensitivity: float  # share of the positive images that are called so
    specificity: float  # share of the others that are not
    confusion: np.ndarray


def infer(model, loader, *, batch_size=64, title="images"):
    """Logits in evaluation mode, batch by batch -> (N, num_classes), labels (N,), indices (N,)"""
    logits, labels, indices = [], [], []
    with tqdm(total=len(loader.images), desc=title, unit="image", leave=False, disable=None) as bar:
        for batch in loader.in_order(batch_size=batch_size):
            if len(batch.x):
                logits.append(model.infer(batch.x))
                labels.append(batch.labels)
                indices.append(batch.indices)
            bar.update(len(batch.x))
    if not logits:
        raise ValueError("there must be images that can be read; got none")
    return tuple(np.concatenate(arrays) for arrays in (logits, labels, indices))


def evaluate(model, loader, *, class_weight=None, batch_size=64, title="evaluation"):
    """Loss, accuracy and confusion matrix in evaluation mode -> Evaluation; images that cannot be read are left out.

    Raises ValueError where there is nothing to evaluate.
    """
    logits, labels, indices = infer(model, loader, batch_size=batch_size, title=title)
    loss, _ = ops.cross_entropy(logits, labels, class_weight=class_weight)
    probabilities, _ = ops.softmax(logits)
    predicted = probabilities.argmax(axis=1)
    confusion = metrics.confusion_matrix(labels, predicted, logits.shape[1])
    return Evaluation(float(loss), float((predicted == labels).mean()), probabilities, labels, indices, confusion)


def judge(evaluation, positive, threshold):
    """The Verdict on an evaluation of two classes, `positive` being the index of one."""
    scores, truth = evaluation.probabilities[:, positive], evaluation.labels == positive
    called = np.where(scores >= threshold, positive, 1 - positive)
    return Verdict(
        metrics.auc(scores, truth),
        threshold,
        float((called == evaluation.labels).mean()),
        *metrics.sensitivity_specificity(scores, truth, threshold),
        metrics.confusion_matrix(evaluation.labels, called, 2),
    )
