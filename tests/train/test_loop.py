"""The training loop: what it reports is what happened, and after a stop it goes on as if there had been none."""

import copy

import numpy as np
import pytest

from numpy_resnet import checkpoint, data, models, ops, optim, train
from numpy_resnet.data.transforms import RandomCrop, RandomHorizontalFlip

RNG = np.random.default_rng(8)
PIXELS = RNG.integers(0, 256, (30, 8, 8), dtype=np.uint8)
LABELS = np.arange(30) % 3
TRAIN, VAL = data.ArrayImages(PIXELS[:21], LABELS[:21]), data.ArrayImages(PIXELS[21:], LABELS[21:])
SCALE = {"mean": [0.5], "std": [0.25]}


def loaders(transforms=(), train_images=TRAIN):
    return data.Loader(train_images, transforms, **SCALE), data.Loader(VAL, **SCALE)


def build(lr=0.0, seed=0, dropout=0.0, make=optim.SGD):
    model = models.cifar_resnet20(3, in_channels=1, seed=seed, dropout=dropout)
    return model, make(model, lr, momentum=0.9) if make is optim.SGD else make(model, lr)


def fit(model, optimizer, schedule=None, transforms=(), **options):
    options = {"epochs": 1, "batch_size": 8} | options
    return train.fit(model, optimizer, schedule or optim.constant(0.0), *loaders(transforms), **options)


def without_times(history):
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in history]


def assert_same_weights(a, b):
    for (key, one), other in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=key)


def test_the_history_says_what_happened():
    """At a learning rate of 0 the weights stay, so every loss can be computed again."""
    model, optimizer = build()
    seen = []
    measure = lambda val: {"most": float(val.probabilities.max())}  # noqa: E731
    save = lambda progress: seen.append((len(progress.history), progress.epoch, progress.batch))  # noqa: E731
    history = fit(model, optimizer, epochs=2, seed=3, save=save, measure=measure)
    assert seen == [(1, 2, 0), (2, 3, 0)]
    assert [row["epoch"] for row in history] == [1, 2]
    for row in history:
        losses, right = [], 0
        for x, y, _ in loaders()[0].shuffled(batch_size=8, seed=3, epoch=row["epoch"]):
            logits = build()[0].forward(x)
            losses += [float(ops.cross_entropy(logits, y)[0])] * len(y)
            right += (logits.argmax(axis=1) == y).sum()
        np.testing.assert_allclose(row["train_loss"], np.mean(losses), rtol=1e-5)
        assert row["train_accuracy"] == right / 21
        assert row["learning_rate"] == 0
        assert row["images_per_second"] * row["seconds"] == pytest.approx(21)
    val = train.evaluate(model, loaders()[1])
    assert history[-1]["val_loss"] == pytest.approx(val.loss, rel=1e-6)
    assert history[-1]["val_accuracy"] == val.accuracy
    assert history[-1]["most"] == val.probabilities.max()


def test_the_rate_follows_the_schedule_and_the_mode_is_training():
    """Twenty-one images in batches of 8 are three steps an epoch; a loaded model comes in evaluation mode."""
    rates, modes = [], []

    class Recorder(optim.SGD):
        def step(self):
            rates.append(self.lr)
            modes.append(self.model.bn1.training)

    model, _ = build()
    schedule = optim.cosine(0.3, steps=6)
    fit(model.eval(), Recorder(model, 1.0), schedule, epochs=2)
    assert rates == [schedule(step) for step in range(6)]
    assert all(modes)


@pytest.mark.parametrize("class_weight", [None, np.array([1, 2, 3], np.float32)])
def test_training_takes_the_step_that_the_gradient_says(class_weight):
    """One batch, one step of plain SGD: w - lr * gradient."""
    (model, _), (twin, _) = build(), build()
    loader = data.Loader(TRAIN.subset(range(8)), **SCALE)
    ((x, y, _),) = loader.shuffled(batch_size=8, seed=0, epoch=1)
    _, cache = ops.cross_entropy(twin.forward(x), y, class_weight=class_weight)
    twin.backward(ops.cross_entropy_backward(1.0, cache))
    sgd, options = optim.SGD(model, 9.0), {"epochs": 1, "batch_size": 8, "class_weight": class_weight}
    (row,) = train.fit(model, sgd, optim.constant(0.25), loader, loaders()[1], **options)
    for (key, param, _), (_, before, grad) in zip(model.named_parameters(), twin.named_parameters(), strict=True):
        np.testing.assert_array_equal(param, before - 0.25 * grad, err_msg=key)
    val = train.evaluate(model, loaders()[1], class_weight=class_weight)
    assert row["val_loss"] == val.loss


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    def weights(seed):
        model, optimizer = build(dropout=0.5)
        fit(model, optimizer, optim.constant(0.1), epochs=2, seed=seed)
        return model.fc.params["weight"]

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


def test_it_learns_even_noise_by_heart():
    model, optimizer = build()
    history = fit(model, optimizer, optim.constant(0.05), epochs=20, batch_size=21)
    assert history[-1]["train_accuracy"] == 1
    assert history[-1]["train_loss"] < 0.1 < history[0]["train_loss"]


def test_batches_that_lost_their_images_are_no_step():
    """Where files vanish until one image of a batch is left, batch norm cannot train on it."""

    class Vanishing(data.ArrayImages):
        def read(self, i):
            if i:
                raise data.ImageError(f"image {i} does not exist")
            return super().read(i)

    model, optimizer = build(lr=0.1)
    twin, _ = build()
    loader, rates = data.Loader(Vanishing(PIXELS[:4], LABELS[:4]), **SCALE), []
    schedule = lambda step: rates.append(step) or 0.1  # noqa: E731
    with (
        pytest.warns(data.Skipped, match="skipped: image"),
        pytest.raises(ValueError, match=r"in epoch 1 only 0 of 4 images could be read: is the disk still there\?"),
    ):
        train.fit(model, optimizer, schedule, loader, loaders()[1], epochs=1, batch_size=2)
    assert rates == [0, 1, 1]  # the schedule goes on
    for (key, one, _), (_, other, _) in zip(model.named_parameters(), twin.named_parameters(), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=key)


# Stop, and go on


@pytest.mark.parametrize("make", [optim.SGD, optim.AdamW])
@pytest.mark.parametrize("steps", [1, 3, 4, 8])
def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path, make, steps):
    """After any step, of a third of an epoch or a whole one: the same weights, momentum and history."""
    options = {"epochs": 3, "batch_size": 8, "seed": 5, "transforms": (RandomCrop(8, 2), RandomHorizontalFlip())}
    schedule = optim.one_cycle(0.05, steps=9)
    whole, optimizer = build(dropout=0.5, make=make)
    history = fit(whole, optimizer, schedule, **options)

    path, saved = tmp_path / "last.npz", []

    def save(progress):
        saved.append(copy.deepcopy(vars(progress)))
        checkpoint.save_training(path, model, first, {"progress": saved[-1]})

    model, first = build(dropout=0.5, make=make)
    begun = train.Progress()
    with pytest.raises(train.Stopped, match=f"stopped in epoch {(steps + 2) // 3} of 3, after step {steps}"):
        fit(model, first, schedule, progress=begun, save=save, should_stop=lambda: begun.step == steps, **options)
    assert saved[-1]["step"] == steps

    again, second = build(seed=9, dropout=0.5, make=make)  # another seed: all must come from the file
    progress = train.Progress(**checkpoint.load_training(path, again, second)["progress"])
    assert without_times(fit(again, second, schedule, progress=progress, **options)) == without_times(history)
    assert_same_weights(again, whole)
    for (key, one), other in zip(second.state_dict().items(), optimizer.state_dict().values(), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=key)


def test_a_stop_that_is_asked_for_in_the_validation_waits_for_no_step():
    model, optimizer = build()
    progress, saved = train.Progress(), []
    options = {"progress": progress, "save": lambda progress: saved.append(progress.step)}
    with pytest.raises(train.Stopped, match="stopped after epoch 1 of 2"):
        fit(model, optimizer, should_stop=lambda: bool(progress.history), epochs=2, **options)
    assert saved == [3]
    model, optimizer = build()
    progress = train.Progress()
    assert len(fit(model, optimizer, should_stop=lambda: bool(progress.history), progress=progress)) == 1  # all is done


def test_it_is_saved_when_it_is_time_and_after_each_epoch():
    model, optimizer = build()
    saved = []
    options = {"save": lambda progress: saved.append((progress.step, progress.batch)), "epochs": 2}
    fit(model, optimizer, is_time_to_save=lambda step: step % 2 == 0, **options)
    assert saved == [(2, 2), (3, 0), (4, 1), (6, 0)]  # not after step 6 and then again after its epoch


def test_a_finished_training_has_nothing_to_do():
    model, optimizer = build()
    progress = train.Progress(epoch=3, step=6, history=[{"epoch": 1}, {"epoch": 2}])
    assert fit(model, optimizer, progress=progress, epochs=2) == [{"epoch": 1}, {"epoch": 2}]
    assert_same_weights(model, build()[0])


# Where it goes wrong


def test_a_loss_that_is_not_finite_names_the_first_layer_that_broke():
    model, optimizer = build()
    model.layer2.children()[0][1].conv1.params["weight"][0, 0, 0, 0] = np.inf
    expected = (
        r"the loss became nan in epoch 1, step 0, at a learning rate of 0\.5; the first output that is not finite is "
        r"that of layer2\.0\.conv1, whose parameters the step before made not finite: try a smaller learning rate"
    )
    saved = []
    with pytest.raises(FloatingPointError, match=expected):
        fit(model, optimizer, optim.constant(0.5), save=saved.append)
    assert not saved


def test_a_learning_rate_that_is_too_large_is_told():
    model, optimizer = build()
    with pytest.raises(FloatingPointError, match=r"the loss became (nan|inf) in epoch \d, step \d+, .* of 1e\+18; the"):
        fit(model, optimizer, optim.constant(1e18), epochs=9)


def test_images_that_are_not_finite_are_told_apart():
    model, optimizer = build()
    loader = data.Loader(TRAIN, **SCALE)
    loader.mean = np.array([np.nan], np.float32)
    with pytest.raises(FloatingPointError, match="the images themselves are not finite: look at the mean and std"):
        train.fit(model, optimizer, optim.constant(0.1), loader, loaders()[1], epochs=1)


def test_a_validation_loss_that_is_not_finite_stops_too():
    model, optimizer = build()
    model.bn1.buffers["running_mean"][0] = np.nan  # training normalises with the batch
    with pytest.raises(
        FloatingPointError, match=r"validation loss became nan in epoch 1, step 3, at .* is bn1\.running_mean"
    ):
        fit(model, optimizer)


# What helps


def test_balanced_weights_make_every_class_weigh_the_same():
    labels = np.array([0, 0, 0, 1, 2, 2])
    weights = train.balanced_weights(labels, 3)
    np.testing.assert_allclose(weights, [6 / 9, 2, 1])
    assert weights.dtype == np.float32
    np.testing.assert_allclose(np.bincount(labels, weights[labels]), 2)
    with pytest.raises(ValueError, match="every class must have an image; class 1 has none"):
        train.balanced_weights(np.array([0, 2]), 3)


def test_best_is_the_lowest_validation_loss_and_the_later_of_equals():
    history = [{"val_loss": loss} for loss in (0.5, 0.25, 0.5, 0.25)]
    assert [train.is_best(history[: n + 1]) for n in range(4)] == [True, True, False, True]
