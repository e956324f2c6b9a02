"""Metrics beside their definitions: every pair, every threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_resnet import metrics

probability = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))  # with ties, often


@st.composite
def scored(draw, dtype=np.float64):
    """Scores, and which of them are positives: at least one, and not all."""
    pairs = draw(st.lists(st.tuples(probability, st.booleans()), max_size=20))
    pairs += [(draw(probability), True), (draw(probability), False)]
    scores, positive = zip(*draw(st.permutations(pairs)), strict=True)
    return np.array(scores, dtype), np.array(positive)


def rates(scores, positive, threshold):
    """Sensitivity and specificity, one image at a time."""
    found = sum(score >= threshold for score, p in zip(scores, positive, strict=True) if p)
    spared = sum(score < threshold for score, p in zip(scores, positive, strict=True) if not p)
    return found / positive.sum(), spared / (~positive).sum()


# Confusion matrix and recall


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3))))
def test_counts_are_counted(pairs):
    labels, predicted = (np.array([pair[i] for pair in pairs], np.int8) for i in (0, 1))
    matrix = metrics.confusion_matrix(labels, predicted, 4)
    assert matrix.dtype == np.int64
    assert matrix.tolist() == [[pairs.count((i, j)) for j in range(4)] for i in range(4)]


def test_the_rows_are_the_truth():
    matrix = metrics.confusion_matrix([0, 0, 0, 1], [0, 1, 1, 1], 3)
    assert matrix.tolist() == [[1, 2, 0], [0, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(metrics.recall(matrix), [1 / 3, 1, np.nan])


def test_many_classes_fit_into_small_integers():
    classes = np.arange(200, dtype=np.uint8)
    np.testing.assert_array_equal(metrics.confusion_matrix(classes, classes, 200), np.eye(200))


@pytest.mark.parametrize(
    ("labels", "predicted", "said"),
    [
        ([0, 1], [0], r"labels and predicted must both be \(N,\); got shapes \(2,\) and \(1,\)"),
        ([[0]], [[0]], r"both be \(N,\)"),
        ([0, 3], [0, 0], r"labels must be integers in 0..2; got int64, 0..3"),
        ([0, 1], [0, -1], r"predicted must be integers in 0..2; got int64, -1..0"),
        ([0, 1], [0.2, 0.8], r"predicted must be integers in 0..2; got float64"),
    ],
)
def test_what_are_no_classes_is_refused(labels, predicted, said):
    with pytest.raises(ValueError, match=said):
        metrics.confusion_matrix(np.array(labels), np.array(predicted), 3)


@pytest.mark.parametrize("confusion", [[1, 2], [[1, 2]]])
def test_recall_of_what_is_no_confusion_matrix_is_refused(confusion):
    with pytest.raises(ValueError, match=r"confusion must be \(K, K\)"):
        metrics.recall(confusion)


# ROC curve and the area under it

SCORES = np.array([0.1, 0.4, 0.35, 0.8, 0.4])
POSITIVE = np.array([False, False, True, True, True])


def test_a_curve_by_hand():
    curve = metrics.roc_curve(SCORES, POSITIVE)
    np.testing.assert_allclose(curve.thresholds, [np.inf, 0.8, 0.4, 0.35, 0.1])
    np.testing.assert_allclose(curve.true_positive_rate, [0, 1 / 3, 2 / 3, 1, 1])
    np.testing.assert_allclose(curve.false_positive_rate, [0, 0, 1 / 2, 1 / 2, 1])
    assert metrics.auc(SCORES, POSITIVE) == pytest.approx((3 + 1 + 0.5) / 6)  # pairs won, and one tie


@given(scored())
def test_each_point_is_what_its_threshold_does(data):
    scores, positive = data
    curve = metrics.roc_curve(scores, positive)
    assert list(curve.thresholds) == [np.inf, *sorted(set(scores), reverse=True)]
    for x, y, threshold in zip(*curve, strict=True):
        sensitivity, specificity = rates(scores, positive, threshold)
        np.testing.assert_allclose([y, 1 - x], [sensitivity, specificity], atol=1e-12)
    assert (curve.false_positive_rate[-1], curve.true_positive_rate[-1]) == (1, 1)


@given(scored())
def test_auc_is_the_share_of_pairs_won_and_the_area(data):
    scores, positive = data
    pairs = [(p > n) + (p == n) / 2 for p in scores[positive] for n in scores[~positive]]
    area = metrics.auc(scores, positive)
    assert area == pytest.approx(np.mean(pairs))
    curve = metrics.roc_curve(scores, positive)
    assert area == pytest.approx(np.trapezoid(curve.true_positive_rate, curve.false_positive_rate))


@given(scored())
def test_only_the_order_of_the_scores_matters(data):
    scores, positive = data
    others = np.unique(scores, return_inverse=True)[1] ** 3.0 - 7
    assert metrics.auc(others, positive) == metrics.auc(scores, positive)
    for one, other in zip(metrics.roc_curve(others, positive)[:2], metrics.roc_curve(scores, positive), strict=False):
        np.testing.assert_array_equal(one, other)
    assert metrics.auc(-others, positive) == pytest.approx(1 - metrics.auc(scores, positive))


@pytest.mark.parametrize(("scores", "expected"), [([0, 0, 1, 1], 1), ([1, 1, 0, 0], 0), ([0.3] * 4, 0.5)])
def test_perfect_upside_down_and_guessing(scores, expected):
    assert metrics.auc(scores, [False, False, True, True]) == expected


# Threshold


@given(scored())
def test_youdens_threshold_is_the_best_of_all(data):
    scores, positive = data
    tried = [rates(scores, positive, threshold) for threshold in set(scores)]
    best = max(sum(pair) for pair in tried)
    sensitivity, specificity = rates(scores, positive, metrics.choose_threshold(scores, positive))
    assert sensitivity + specificity == pytest.approx(best)
    assert sensitivity >= max(pair[0] for pair in tried if sum(pair) > best - 1e-9)


@given(scored(np.float32), st.floats(0, 1, exclude_min=True))
def test_a_threshold_is_as_sensitive_as_asked_and_no_lower_than_need_be(data, wanted):
    scores, positive = data
    threshold = metrics.choose_threshold(scores, positive, wanted)
    assert rates(scores, positive, threshold)[0] >= wanted
    above = scores[scores > threshold]
    lowest = scores[scores >= threshold].min()
    assert rates(scores, positive, np.append(above[above > lowest], np.inf).min())[0] < wanted


def test_thresholds_by_hand():
    assert metrics.choose_threshold(SCORES, POSITIVE) == pytest.approx((0.35 + 0.1) / 2)  # J 0.5: 1 + 0.5 - 1
    assert metrics.choose_threshold(SCORES, POSITIVE, 0.6) == pytest.approx((0.4 + 0.35) / 2)
    assert metrics.choose_threshold(SCORES, POSITIVE, 1 / 3) == pytest.approx((0.8 + 0.4) / 2)
    tied = np.array([0.2, 0.4, 0.6, 0.8]), np.array([False, True, False, True])  # J 0.5 at 0.8 and at 0.4
    assert metrics.choose_threshold(*tied) == pytest.approx(0.3)
    assert metrics.choose_threshold([0.5, 0.5], [True, False]) == 0.25  # nothing below: half way to 0


def test_a_threshold_between_neighbours_still_parts_them():
    below = np.float32(0.5)
    above = np.nextafter(below, np.float32(1))
    threshold = metrics.choose_threshold(np.array([below, above]), np.array([False, True]))
    assert metrics.sensitivity_specificity(np.array([below, above]), np.array([False, True]), threshold) == (1, 1)


@given(scored(), st.floats(-1, 2))
def test_sensitivity_and_specificity_are_shares(data, threshold):
    assert metrics.sensitivity_specificity(*data, threshold) == pytest.approx(rates(*data, threshold))


# What is refused


@pytest.mark.parametrize("function", [metrics.roc_curve, metrics.auc, metrics.choose_threshold])
@pytest.mark.parametrize(
    ("scores", "positive", "said"),
    [
        ([0.1, 0.2], [True, True], "there must be positives and negatives; got 2 positives among 2 images"),
        ([0.1, 0.2], [False, False], "got 0 positives among 2 images"),
        ([], np.zeros(0, bool), "got 0 positives among 0 images"),
        ([0.1, np.nan], [True, False], "scores must be finite numbers"),
        ([0.1, np.inf], [True, False], "scores must be finite numbers"),
        ([0.1, 0.2, 0.3], [True, False], r"got float64 of shape \(3,\) and bool of shape \(2,\)"),
        ([[0.1, 0.2]], [[True, False]], r"scores must be \(N,\) numbers"),
        ([0.1, 0.2], [1, 0], "positive .* booleans, as `labels == 1` is"),
    ],
)
def test_what_cannot_be_ranked_is_refused(function, scores, positive, said):
    with pytest.raises(ValueError, match=said):
        function(scores, positive)


@pytest.mark.parametrize("sensitivity", [0, -0.1, 1.01, np.nan])
def test_a_sensitivity_that_means_nothing_is_refused(sensitivity):
    with pytest.raises(ValueError, match=r"sensitivity must be in \(0, 1\]; got"):
        metrics.choose_threshold(SCORES, POSITIVE, sensitivity)


def test_a_threshold_needs_probabilities_and_is_a_number():
    with pytest.raises(ValueError, match=r"scores must be probabilities in \[0, 1\]; got -3..2"):
        metrics.choose_threshold([-3, 2], [False, True])
    with pytest.raises(ValueError, match="threshold must be a number; got NaN"):
        metrics.sensitivity_specificity(SCORES, POSITIVE, np.nan)
