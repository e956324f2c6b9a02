"""The reward: a network of the student's functions trains as ours does."""

import numpy as np
import pytest

from numpy_resnet.exercises import EXERCISES, training
from numpy_resnet.exercises.dev import solved
from numpy_resnet.exercises.folder import Folder
from numpy_resnet.exercises.sandbox.local import Local
from numpy_resnet.files import write_text
from numpy_resnet.train import recipe

SETTINGS = recipe.SETTINGS | {"model": "cifar_resnet20", "epochs": 2, "batch_size": 16, "shift": 0}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Images of 8x8 pixels that are bright on top, at the bottom, or on the left."""
    rng, arrays = np.random.default_rng(0), {}
    for part, count in (("train", 48), ("val", 24), ("test", 24)):
        images, labels = rng.integers(0, 60, (count, 8, 8), np.uint8), np.arange(count) % 3
        for image, label in zip(images, labels, strict=True):
            image[(slice(4), slice(4, 8), (slice(None), slice(4)))[label]] += 150
        arrays |= {f"{part}_images": images, f"{part}_labels": labels}
    path = tmp_path_factory.mktemp("data") / "stripes.npz"
    np.savez(path, **arrays)
    return str(path)


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    """Those of somebody who has done all."""
    folder, _ = Folder.start(tmp_path_factory.mktemp("solved"), "Ada", list(EXERCISES.values()))
    for name, text in solved().items():
        write_text(folder.path / name, text)
    for exercise in EXERCISES.values():
        if exercise.plugs:
            assert folder.check(exercise, student=Local)[0].passed
    yours, ours = training.split(folder)
    assert ours == []
    with training.load_functions(folder, yours) as functions:
        yield functions


def test_what_has_not_passed_is_ours_and_so_is_a_backward_without_its_forward(tmp_path):
    folder, _ = Folder.start(tmp_path, "Ada", list(EXERCISES.values()))
    for name in ("relu", "columns", "conv2d_backward"):
        write_text(folder.path / f"{EXERCISES[name].file}.py", EXERCISES[name].lesson.solved_source())
        assert folder.check(EXERCISES[name], student=Local)[0].passed
    yours, ours = training.split(folder)
    assert list(yours) == ["relu", "relu_backward"]
    assert {"conv2d", "conv2d_backward", "sgd", "batchnorm2d"} <= set(ours)


def test_the_students_network_learns_what_ours_does(functions, data, tmp_path):
    settings = SETTINGS | {"data": data}
    own = training.run_training(settings, tmp_path / "own", functions)
    ours = training.run_training(settings, tmp_path / "ours")
    assert own.history[0]["train_loss"] == pytest.approx(ours.history[0]["train_loss"], rel=0.05)
    assert own.accuracy == pytest.approx(ours.accuracy, abs=0.15)
    assert own.wrong == round((1 - own.accuracy) * own.images)
    assert own.seconds > 0
    training.save_curves(tmp_path / "curves.png", {"yours": own, "ours": ours}, "Both")
    assert (tmp_path / "curves.png").stat().st_size > 10_000


def test_both_steps_are_timed(functions):
    own, ours = training.time_steps(SETTINGS | {"batch_size": 8}, functions)
    assert own > 0 < ours
