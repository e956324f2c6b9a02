"""How good a classifier is, beyond its accuracy: recall by class, the ROC curve, the area under it, a threshold."""

from typing import NamedTuple

import numpy as np


class Roc(NamedTuple):
    """One point for each distinct score, from (0, 0) to (1, 1); `score >= threshold` says positive."""

    false_positive_rate: np.ndarray  # (D + 1,) 1 - specificity, rising
    true_positive_rate: np.ndarray  # (D + 1,) sensitivity, rising
    thresholds: np.ndarray  # (D + 1,) infinity and then the D distinct scores, falling


def confusion_matrix(labels, predicted, num_classes):
    """How many images of each true class (rows) were given each class (columns).   -> counts (K, K) int64

    labels and predicted (N,) integers.   Raises ValueError for other shapes, or a class outside of 0..K-1.
    """
    labels, predicted, K = np.asarray(labels), np.asarray(predicted), num_classes
    if labels.ndim != 1 or labels.shape != predicted.shape:
        raise ValueError(f"labels and predicted must both be (N,); got shapes {labels.shape} and {predicted.shape}")
    for name, classes in (("labels", labels), ("predicted", predicted)):
        if classes.dtype.kind not in "iu" or ((classes < 0) | (classes >= K)).any():
            came = f"{classes.min()}..{classes.max()}" if classes.size else "nothing"
            raise ValueError(f"{name} must be integers in 0..{K - 1}; got {classes.dtype}, {came}")
    cells = labels.astype(np.int64) * K + predicted.astype(np.int64)
    return np.bincount(cells, minlength=K * K).reshape(K, K).astype(np.int64, copy=False)


def recall(confusion):
    """The share of each class's images that were found, NaN for a class without images.   (K, K) -> (K,)

    recall[k] = confusion[k, k] / sum over j of confusion[k, j].   Raises ValueError unless confusion is (K, K).
    """
    confusion = np.asarray(confusion)
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        raise ValueError(f"confusion must be (K, K), true class by predicted class; got shape {confusion.shape}")
    images = confusion.sum(axis=1)
    return np.divide(np.diagonal(confusion), images, out=np.full(len(images), np.nan), where=images > 0)


def roc_curve(scores, positive):
    """Sensitivity against 1 - specificity, threshold by threshold.   scores (N,), positive (N,) bool -> Roc

    Equal scores are one step; the points are scikit-learn's without drop_intermediate.   Fawcett 2006, algorithm 1
    Raises ValueError for other shapes, scores that are not finite, no positives or no negatives.
    """
    scores, positive = _checked(scores, positive)
    thresholds, true_positives, false_positives = _counts(scores, positive)
    return Roc(
        np.append(0, false_positives) / false_positives[-1],
        np.append(0, true_positives) / true_positives[-1],
        np.append(np.inf, thresholds),
    )


def auc(scores, positive):
    """The probability that a positive scores above a negative, ties count half.   (N,), (N,) bool -> float

    auc = (sum of the positives' ranks - P * (P + 1) / 2) / (P * Q) for P positives and Q negatives; equal scores share
    their mean rank. It is the area under the ROC curve.   Mann & Whitney 1947; Hanley & McNeil 1982
    Raises ValueError as `roc_curve` does.
    """
    scores, positive = _checked(scores, positive)
    _, which, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2  # of each distinct score: the mean of those it takes up
    P, Q = int(positive.sum()), int((~positive).sum())
    return float((rank[which][positive].sum() - P * (P + 1) / 2) / (P * Q))


def choose_threshold(scores, positive, sensitivity=None):
    """Where to begin to say positive, for probabilities.   scores (N,) in [0, 1], positive (N,) bool -> float

    Without `sensitivity`: where Youden's J = sensitivity + specificity - 1 is largest (Youden 1950), of several such
    places the one with the highest sensitivity. With it: the highest threshold that is at least so sensitive.
    The threshold lies half way from the lowest score that is still positive to the next one below it, or to 0, so
    that images never seen fall to the nearer side.
    Raises ValueError as `roc_curve` does, for a score outside of [0, 1] and a sensitivity outside of (0, 1].
    """
    scores, positive = _checked(scores, positive)
    if scores.min() < 0 or scores.max() > 1:
        raise ValueError(f"scores must be probabilities in [0, 1]; got {scores.min():g}..{scores.max():g}")
    if sensitivity is not None and not 0 < sensitivity <= 1:
        raise ValueError(f"sensitivity must be in (0, 1]; got {sensitivity!r}")
    distinct, true_positives, false_positives = _counts(scores, positive)
    P, Q = true_positives[-1], false_positives[-1]
    if sensitivity is None:
        J = true_positives * Q - false_positives * P  # times P * Q: integers know when they are equal
        chosen = len(J) - 1 - np.argmax(J[::-1])
    else:
        chosen = np.argmax(true_positives / P >= sensitivity)
    above, below = np.append(distinct, 0)[chosen : chosen + 2].astype(scores.dtype)
    middle = (above + below) / 2
    return float(middle if middle > below else above)  # no number lies between neighbours


def sensitivity_specificity(scores, positive, threshold):
    """The shares of positives at or above the threshold, and of negatives below it.   -> (float, float)

    scores (N,), positive (N,) bool.   Raises ValueError as `roc_curve` does, and for a threshold that is NaN.
    """
    scores, positive = _checked(scores, positive)
    if np.isnan(threshold):
        raise ValueError("threshold must be a number; got NaN")
    said = scores >= threshold
    return float(said[positive].mean()), float((~said[~positive]).mean())


def _counts(scores, positive):
    """Each distinct score, falling, with how many positives and negatives score as high or higher.   (D,) each"""
    distinct, which = np.unique(scores, return_inverse=True)
    steps = (np.bincount(which[group], minlength=len(distinct)) for group in (positive, ~positive))
    return distinct[::-1], *(np.cumsum(step[::-1]) for step in steps)


def _checked(scores, positive):
    scores, positive = np.asarray(scores), np.asarray(positive)
    if scores.ndim != 1 or scores.shape != positive.shape or positive.dtype != bool:
        raise ValueError(
            "scores must be (N,) numbers and positive (N,) booleans, as `labels == 1` is; "
            f"got {scores.dtype} of shape {scores.shape} and {positive.dtype} of shape {positive.shape}"
        )
    if scores.dtype.kind not in "biuf" or not np.isfinite(scores).all():
        raise ValueError(f"scores must be finite numbers; got {scores.dtype}, with NaN or infinity or no numbers")
    if positive.all() or not positive.any():
        raise ValueError(
            f"there must be positives and negatives; got {positive.sum()} positives among {len(positive)} images"
        )
    return scores if scores.dtype.kind == "f" else scores.astype(np.float64), positive
