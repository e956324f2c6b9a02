"""The training loop: what it reports is what happened."""

import csv
import json

import numpy as np
import pytest

from numpy_resnet import data, models, ops, optim, plots, train

RNG = np.random.default_rng(8)
CLASSES = ("left", "right", "both")


@pytest.fixture
def dataset():
    """Twenty-one images of noise to train on, nine to test on."""
    x, y = RNG.standard_normal((30, 1, 8, 8), dtype=np.float32), np.arange(30) % 3
    return data.Dataset("noise", x[:21], y[:21], x[21:], y[21:], CLASSES)


def build(lr=0.0, seed=0, dropout=0.0):
    model = models.cifar_resnet20(3, in_channels=1, seed=seed, dropout=dropout)
    return model, optim.SGD(model, lr, momentum=0.9)


def test_the_history_says_what_happened(dataset):
    """At a learning rate of 0 the weights stay, so every loss can be computed again."""
    model, optimizer = build()
    seen = []
    options = {"batch_size": 8, "seed": 3, "after_epoch": lambda history: seen.append(len(history))}
    history = train.fit(model, dataset, optimizer, optim.constant(0.0), epochs=2, **options)
    assert seen == [1, 2]
    assert [row["epoch"] for row in history] == [1, 2]
    for row in history:
        losses, right = [], 0
        for x, y in data.batches(dataset.x_train, dataset.y_train, batch_size=8, seed=3, epoch=row["epoch"]):
            logits = build()[0].forward(x)
            losses += [float(ops.cross_entropy(logits, y)[0])] * len(y)
            right += (logits.argmax(axis=1) == y).sum()
        np.testing.assert_allclose(row["train_loss"], np.mean(losses), rtol=1e-5)
        assert row["train_accuracy"] == right / 21
        assert row["learning_rate"] == 0
        assert row["images_per_second"] * row["seconds"] == pytest.approx(21)
    test = train.evaluate(model, dataset.x_test, dataset.y_test)
    assert history[-1]["test_loss"] == pytest.approx(test.loss, rel=1e-6)
    assert history[-1]["test_accuracy"] == test.accuracy


def test_the_rate_follows_the_schedule_and_the_mode_is_training(dataset):
    """Twenty-one images in batches of 8 are three steps an epoch; a loaded model comes in evaluation mode."""
    rates, modes = [], []

    class Recorder(optim.SGD):
        def step(self):
            rates.append(self.lr)
            modes.append(self.model.bn1.training)

    model, _ = build()
    schedule = optim.cosine(0.3, steps=6)
    train.fit(model.eval(), dataset, Recorder(model, 1.0), schedule, epochs=2, batch_size=8)
    assert rates == [schedule(step) for step in range(6)]
    assert all(modes)


def test_training_takes_the_step_that_the_gradient_says(dataset):
    """One batch, one step of plain SGD: w - lr * gradient."""
    model, _ = build()
    whole = dataset._replace(x_train=dataset.x_train[:8], y_train=dataset.y_train[:8])
    ((x, y),) = data.batches(whole.x_train, whole.y_train, batch_size=8, seed=0, epoch=1)
    twin, _ = build()
    twin.backward(ops.cross_entropy_backward(1.0, ops.cross_entropy(twin.forward(x), y)[1]))
    train.fit(model, whole, optim.SGD(model, 9.0), optim.constant(0.25), epochs=1, batch_size=8)
    for (key, param, _), (_, before, grad) in zip(model.named_parameters(), twin.named_parameters(), strict=True):
        np.testing.assert_array_equal(param, before - 0.25 * grad, err_msg=key)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(dataset):
    def weights(seed):
        model, optimizer = build(dropout=0.5)
        train.fit(model, dataset, optimizer, optim.constant(0.1), epochs=2, batch_size=8, seed=seed)
        return model.fc.params["weight"]

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


def test_it_learns_even_noise_by_heart(dataset):
    model, optimizer = build()
    history = train.fit(model, dataset, optimizer, optim.constant(0.05), epochs=20, batch_size=21)
    assert history[-1]["train_accuracy"] == 1
    assert history[-1]["train_loss"] < 0.1 < history[0]["train_loss"]


def test_images_pass_the_augmentation_each_epoch(dataset):
    model, optimizer = build()
    shapes, numbers = [], []

    def augment(x, rng):
        shapes.append(x.shape)
        numbers.append(rng.random())
        return x

    train.fit(model, dataset, optimizer, optim.constant(0.0), epochs=2, batch_size=10, augment=augment)
    assert shapes == 2 * [(10, 1, 8, 8), (11, 1, 8, 8)]  # a batch of one could not be normalised
    assert len(set(numbers)) == 4


def test_a_loss_that_is_not_a_number_stops_the_training(dataset):
    model, optimizer = build()
    dataset.x_train[0, 0, 0, 0] = np.nan
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(FloatingPointError, match=r"the loss became nan in epoch 1, step \d.*smaller"),
    ):
        train.fit(model, dataset, optimizer, optim.constant(0.1), epochs=1, batch_size=21)


def test_evaluation_counts(dataset):
    model, _ = build()
    for batch_size in (2, 256):
        result = train.evaluate(model, dataset.x_test, dataset.y_test, batch_size=batch_size)
        logits = model.infer(dataset.x_test)
        np.testing.assert_allclose(result.probabilities, ops.softmax(logits)[0], rtol=1e-4)
        assert result.loss == pytest.approx(float(ops.cross_entropy(logits, dataset.y_test)[0]), rel=1e-5)
        assert result.accuracy == np.mean(logits.argmax(axis=1) == dataset.y_test)
        expected = np.zeros((3, 3), int)
        for truth, guess in zip(dataset.y_test, logits.argmax(axis=1), strict=True):
            expected[truth, guess] += 1
        np.testing.assert_array_equal(result.confusion, expected)


def test_nothing_to_evaluate_or_to_predict(dataset):
    model, _ = build()
    with pytest.raises(ValueError, match="no images to evaluate"):
        train.evaluate(model, dataset.x_test[:0], dataset.y_test[:0])
    assert train.predict(model, dataset.x_test[:0]).shape == (0, 3)


def test_prediction_leaves_mode_and_statistics_alone(dataset):
    model, _ = build()
    before = model.state_dict()
    p = train.predict(model, dataset.x_test, batch_size=4)
    assert p.shape == (9, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert model.training
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[key])


def recorded(called, name, function):
    def record(*arguments, **options):
        called[name] = arguments, options
        return function(*arguments, **options)

    return record


def test_the_folder_of_a_run(dataset, tmp_path, monkeypatch):
    model, optimizer = build(lr=0.1)
    history = train.fit(model, dataset, optimizer, optim.constant(0.1), epochs=2)
    train.save_history(tmp_path / "history.csv", history)
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    for row, expected in zip(rows, history, strict=True):
        assert {key: float(value) for key, value in row.items()} == pytest.approx(expected, rel=1e-5)
    train.save_config(tmp_path / "config.json", {"lr": 0.1, "classes": ["ä"]})
    assert json.loads((tmp_path / "config.json").read_text()) == {"lr": 0.1, "classes": ["ä"]}
    result = train.evaluate(model, dataset.x_test, dataset.y_test)
    called = {}
    for name in ("predictions", "confusion_matrix"):
        monkeypatch.setattr(train.plots, name, recorded(called, name, getattr(plots, name)))
    pictures = train.save_pictures(tmp_path, history, model, dataset.x_test, dataset.y_test, result, CLASSES)
    assert [path.name for path in pictures] == [
        "learning_curves.png",
        "confusion_matrix.png",
        "predictions.png",
        "filters.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    np.testing.assert_array_equal(called["confusion_matrix"][0][0], result.confusion)
    (_, labels, predicted, _, _), options = called["predictions"]
    right = labels == predicted
    assert 0 < right.sum() < 9
    assert list(right) == sorted(right)  # the wrong ones come first
    assert options["title"] == f"{(~right).sum()} of 9 wrong; here {(~right).sum()} wrong, {right.sum()} right"
