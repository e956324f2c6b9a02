"""Evaluation counts, and leaves the model alone."""

import numpy as np
import pytest

from numpy_resnet import data, models, ops, train

RNG = np.random.default_rng(3)
PIXELS, LABELS = RNG.integers(0, 256, (9, 8, 8), dtype=np.uint8), np.arange(9) % 3
LOADER = data.Loader(data.ArrayImages(PIXELS, LABELS), mean=[0.5], std=[0.3])
X = ((PIXELS / np.float32(255) - np.float32(0.5)) / np.float32(0.3))[:, None]


@pytest.fixture(scope="module")
def model():
    return models.cifar_resnet20(3, in_channels=1)


@pytest.mark.parametrize("batch_size", [2, 256])
@pytest.mark.parametrize("class_weight", [None, np.array([1, 2, 3], np.float32)])
def test_evaluation_counts(model, batch_size, class_weight):
    result = train.evaluate(model, LOADER, batch_size=batch_size, class_weight=class_weight)
    logits = model.infer(X)
    np.testing.assert_allclose(result.probabilities, ops.softmax(logits)[0], rtol=1e-4)
    loss = float(ops.cross_entropy(logits, LABELS, class_weight=class_weight)[0])
    assert result.loss == pytest.approx(loss, rel=1e-5)
    assert result.accuracy == np.mean(logits.argmax(axis=1) == LABELS)
    np.testing.assert_array_equal(result.labels, LABELS)
    np.testing.assert_array_equal(result.indices, np.arange(9))
    expected = np.zeros((3, 3), int)
    for truth, guess in zip(LABELS, logits.argmax(axis=1), strict=True):
        expected[truth, guess] += 1
    np.testing.assert_array_equal(result.confusion, expected)


def test_images_that_cannot_be_read_are_not_counted(model):
    class Broken(data.ArrayImages):
        def read(self, i):
            if i in (0, 5):
                raise data.ImageError(f"image {i} is broken")
            return super().read(i)

    loader = data.Loader(Broken(PIXELS, LABELS), mean=[0.5], std=[0.3])
    with pytest.warns(UserWarning, match="skipped: image [05] is broken"):
        result = train.evaluate(model, loader, batch_size=1)
    np.testing.assert_array_equal(result.indices, [1, 2, 3, 4, 6, 7, 8])
    np.testing.assert_array_equal(result.labels, LABELS[result.indices])
    whole = train.evaluate(model, LOADER)
    np.testing.assert_allclose(result.probabilities, whole.probabilities[result.indices], rtol=1e-4)


def test_nothing_to_evaluate(model):
    nothing = data.Loader(data.ArrayImages(PIXELS[:0], LABELS[:0]))
    with pytest.raises(ValueError, match="there must be images that can be read; got none"):
        train.evaluate(model, nothing)


def test_evaluation_leaves_mode_and_statistics_alone(model):
    before = model.state_dict()
    train.evaluate(model, LOADER, batch_size=4)
    assert model.training
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[key])


@pytest.mark.parametrize("positive", [0, 1])
def test_the_verdict_is_at_the_threshold(positive):
    """Four positives scored .9 .7 .3 .2, three others .8 .1 .1; from .3 on three are found, and one of the others."""
    scores = np.array([0.9, 0.7, 0.3, 0.2, 0.8, 0.1, 0.1])
    truth = np.array([True] * 4 + [False] * 3)
    labels = np.where(truth, positive, 1 - positive)
    probabilities = np.stack([1 - scores, scores] if positive else [scores, 1 - scores], axis=1)
    evaluation = train.Evaluation(0.0, 0.0, probabilities, labels, np.arange(7), np.zeros((2, 2)))
    verdict = train.judge(evaluation, positive, 0.3)
    assert verdict.accuracy == pytest.approx(5 / 7)
    assert (verdict.sensitivity, verdict.specificity) == (3 / 4, pytest.approx(2 / 3))
    assert verdict.auc == 9 / 12
    assert verdict.confusion[positive, positive] == 3
    assert verdict.confusion[1 - positive, positive] == 1
    line = train.describe(verdict, "SICK")
    assert line == (
        "AUC 0.7500; SICK from a probability of 0.300 on: accuracy 71.43%, sensitivity 75.00%, specificity 66.67%"
    )
