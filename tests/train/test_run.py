"""A run: what it leaves, that it repeats bit by bit, and that it goes on after whatever stopped it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from image_folders import make_folder

from numpy_resnet import checkpoint, data, files, train
from numpy_resnet.cli import main
from numpy_resnet.cli import train as cli_train
from numpy_resnet.train import folder, recipe

OPTIONS = [
    "--model", "cifar_resnet20", "--size", "12", "--grey", "--group", r"person\d+", "--val", "0.25",
    "--zoom", "0.5", "--flip", "--rotate", "10", "--jitter", "0.3", "--dropout", "0.2", "--class-weights",
    "--epochs", "3", "--batch-size", "5", "--seed", "3",
]  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data") / "lights")


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    """The folder of a run that was never stopped."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert start(images, out) == 0
    return out


def start(images, out, *more):
    return main(["train", "--data", str(images), "--out", str(out), *OPTIONS, *map(str, more)])


def assert_same_run(a, b):
    """All but the times, and when it was saved."""
    assert (a / "best.npz").read_bytes() == (b / "best.npz").read_bytes()
    (one, about_one), (other, about_other) = (checkpoint.arrays.load_both(out / "last.npz") for out in (a, b))
    assert one.keys() == other.keys()
    for key, array in one.items():
        np.testing.assert_array_equal(array, other[key], err_msg=key, strict=True)
    for about in (about_one, about_other):
        for row in about["progress"]["history"]:
            del row["seconds"], row["images_per_second"]
    assert about_one == about_other
    assert [row.split(",")[:-2] for row in (a / "history.csv").read_text().splitlines()] == [
        row.split(",")[:-2] for row in (b / "history.csv").read_text().splitlines()
    ]


def test_what_a_run_leaves(whole, images):
    assert {path.name for path in whole.iterdir()} == {
        ".lock", "best.npz", "last.npz", "history.csv", "config.json", "learning_curves.png", "filters.png",
    }  # fmt: skip
    config = json.loads((whole / "config.json").read_text())
    assert config["settings"].keys() == recipe.SETTINGS.keys()
    assert config["settings"]["data"] == str(images)
    assert (config["settings"]["zoom"], config["settings"]["batch_size"]) == (0.5, 5)
    assert {"numpy_resnet", "python", "numpy", "numba", "pillow"} == config["versions"].keys()
    history = (whole / "history.csv").read_text().splitlines()
    assert len(history) == 4
    assert history[0].split(",")[-4:] == ["val_auc", "val_threshold", "seconds", "images_per_second"]
    trained = train.load_trained(whole)
    losses = [float(row.split(",")[4]) for row in history[1:]]
    assert trained.epoch == 1 + len(losses) - 1 - np.argmin(losses[::-1])
    assert (trained.classes, trained.mode, trained.size, trained.positive) == (("DARK", "LIGHT"), "L", (12, 12), 1)
    assert train.load_trained(whole, "last").epoch == 3


def test_what_a_network_is_given_is_what_it_was_trained_with(whole):
    """Mean and std of the training images, in the loader, in the file, and for an image to predict."""
    trained = train.load_trained(whole)
    dataset = recipe.load_data(trained.settings)
    pixels = np.stack([np.asarray(dataset.train.read(i).resize((12, 18))) for i in range(len(dataset.train))])
    pixels = pixels[:, 3:15] / 255  # the middle
    np.testing.assert_allclose(trained.mean, [pixels.mean()], rtol=1e-6)
    np.testing.assert_allclose(trained.std, [pixels.std()], rtol=1e-6)
    (batch,) = trained.loader(dataset.val).in_order()
    x = np.stack([trained.prepare(dataset.val.read(i)) for i in range(len(dataset.val))])
    np.testing.assert_allclose(x, batch.x, rtol=1e-6)
    np.testing.assert_allclose(
        x[0, 0], (np.asarray(dataset.val.read(0))[3:15] / 255 - trained.mean) / trained.std, rtol=1e-5
    )
    np.testing.assert_allclose(trained.as_seen(x)[0, 0] * 255, np.asarray(dataset.val.read(0))[3:15], atol=1e-3)


def test_the_threshold_is_chosen_on_the_validation_images(images, whole, tmp_path):
    trained = train.load_trained(whole)
    dataset = recipe.load_data(trained.settings)
    val = train.evaluate(trained.model, trained.loader(dataset.val))
    scores, truth = val.probabilities[:, 1], val.labels == 1
    assert trained.threshold == train.run.metrics.choose_threshold(scores, truth)
    assert start(images, tmp_path / "a", "--positive", "DARK", "--sensitivity", "0.6") == 0
    other = train.load_trained(tmp_path / "a")
    val = train.evaluate(other.model, other.loader(dataset.val))
    assert other.positive == 0
    assert other.threshold == train.run.metrics.choose_threshold(val.probabilities[:, 0], val.labels == 0, 0.6)
    decided = other.decide(val.probabilities)
    np.testing.assert_array_equal(decided == 0, val.probabilities[:, 0] >= other.threshold)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_same_command_gives_the_same_bits_with_any_number_of_threads(images, whole, tmp_path, workers):
    assert start(images, tmp_path / "again", "--workers", workers) == 0
    assert_same_run(tmp_path / "again", whole)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("late", [0, 1])
def test_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on(
    images, whole, tmp_path, monkeypatch, capsys, number, code, late
):
    """After the second step, and, asked just before an epoch ends, after its last."""
    steps = checkpoint.load_metadata(whole / "last.npz")["progress"]["step"] // 3
    out, step, handler = tmp_path / "stopped", late * (steps - 2) + 1, signal.getsignal(number)
    with monkeypatch.context() as patch:
        clock = lambda unit, every: lambda now: now == step and os.kill(os.getpid(), number)  # noqa: E731
        patch.setattr(cli_train, "_clock", clock)
        assert start(images, out) == code
    printed, complaint = capsys.readouterr()
    assert "stopping after this step (again: at once) ..." in complaint
    assert f"after step {step + 1}; all is saved. To go on:  numpy-resnet train --resume {out}\n" in printed
    assert signal.getsignal(number) == handler
    assert main(["train", "--resume", str(out)]) == 0
    assert f"goes on in epoch 1, after step {step + 1}" in capsys.readouterr().out
    assert_same_run(out, whole)


class Killed(BaseException):
    """As near to a SIGKILL as an exception comes."""


@pytest.mark.parametrize("write", range(1, 10))
def test_a_run_that_dies_at_any_write_goes_on(images, whole, tmp_path, monkeypatch, write):
    """config.json, then for each epoch history.csv, best.npz, last.npz: dead just before one of them."""
    out, count = tmp_path / "killed", iter(range(1, 100))
    real = os.replace

    def replace(source, target):
        if next(count) == write:
            raise Killed
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(Killed):
            start(images, out)
    if write == 1:
        assert os.listdir(out) == [".lock"]
        assert start(images, out) == 0  # nothing was begun
        assert_same_run(out, whole)
        return
    (out / ".last.npz.1234.unfinished").write_bytes(b"what a killed process leaves")
    assert main(["train", "--resume", str(out)]) == 0
    assert_same_run(out, whole)
    assert not list(out.glob(".*.unfinished"))


@pytest.mark.real_size
def test_twenty_kills_at_random_moments_lose_no_bit(tmp_path):
    """SIGKILL, between 0 and 0.3 s after the training got under way; each time it goes on from the last checkpoint."""
    options = ["--model", "cifar_resnet20", "--epochs", "8", "--batch-size", "64", "--dropout", "0.1"]
    whole, out = tmp_path / "whole", tmp_path / "killed"
    assert main(["train", *options, "--out", str(whole)]) == 0
    rng, kills, first = np.random.default_rng(0), 0, ["--out", str(out), *options]
    while kills < 20:
        command = first if not (out / "config.json").exists() else ["--resume", str(out)]
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "numpy_resnet", "train", "--save-every", "2steps", *command],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "NUMBA_NUM_THREADS": "1"},
        )  # fmt: skip
        with process, process.stdout:
            for line in process.stdout:
                if line.startswith("epoch"):
                    break
            try:
                process.wait(timeout=rng.uniform(0, 0.3))
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
            else:
                raise AssertionError(f"the training ended with {process.returncode} after {kills} kills")
        if (out / "last.npz").exists():
            checkpoint.load_model(out / "last.npz")  # whole, whenever it is looked at
    assert main(["train", "--resume", str(out)]) == 0
    assert_same_run(out, whole)


# What a resumed run refuses


@pytest.fixture
def copied(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


def refused(capsys, *argv):
    assert main([str(arg) for arg in argv]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1, err
    return err


def test_other_settings_are_named(copied, capsys, images):
    err = refused(capsys, "train", "--resume", copied, "--lr", "0.5", "--epochs", "9", "--dropout", "0.2")
    assert "was begun with other settings: --lr 0.5 (was None), --epochs 9 (was 3)" in err
    assert "--dropout" not in err
    assert "stays in its folder: leave out --out" in refused(capsys, "train", "--resume", copied, "--out", "a")


def test_what_is_no_run_is_refused(tmp_path, capsys):
    assert "is no run: it has no config.json" in refused(capsys, "train", "--resume", tmp_path)
    (tmp_path / "config.json").write_text("[]")
    assert "must hold settings, versions, fingerprints of a run" in refused(capsys, "train", "--resume", tmp_path)
    (tmp_path / "config.json").write_text("{")
    assert "must be JSON" in refused(capsys, "train", "--resume", tmp_path)


def test_the_data_may_move_but_not_change(copied, images, tmp_path, capsys):
    moved = shutil.copytree(images, tmp_path / "moved")
    assert main(["train", "--resume", str(copied), "--data", str(moved), "--workers", "1"]) == 0
    capsys.readouterr()
    next((moved / "train" / "DARK").iterdir()).unlink()
    err = refused(capsys, "train", "--resume", copied, "--data", moved)
    assert "the train images must be those that" in err


def test_other_validation_images_are_other_data(tmp_path, capsys):
    images = make_folder(tmp_path / "data", parts=("train", "val", "test"))
    assert (
        main(["train", "--data", str(images), "--out", str(tmp_path / "run"), *OPTIONS[:3], "12", "--epochs", "1"]) == 0
    )
    capsys.readouterr()
    next((images / "val" / "DARK").iterdir()).unlink()
    assert "the val images must be those that" in refused(capsys, "train", "--resume", tmp_path / "run")


def test_a_checkpoint_of_other_settings_is_refused(copied, capsys):
    """config.json was edited after the fact."""
    config = json.loads((copied / "config.json").read_text())
    config["settings"]["epochs"] = 5
    folder.write_json(copied / "config.json", config)
    err = refused(capsys, "train", "--resume", copied)
    assert "last.npz must be of this run; its settings are not those of config.json" in err


def test_settings_that_are_none_are_one_line(copied, capsys):
    """config.json was edited by hand."""
    config = json.loads((copied / "config.json").read_text())
    for key, value, message in (
        ("model", "resnet19", "model must be one of resnet18, .*; got 'resnet19'"),
        ("schedule", None, "schedule must be one of one-cycle, cosine, constant; got None"),
        ("speed", 9, "'speed' is unknown or missing"),
    ):
        folder.write_json(copied / "config.json", {**config, "settings": {**config["settings"], key: value}})
        assert re.search(message, refused(capsys, "train", "--resume", copied))


def test_other_versions_are_named(copied, capsys):
    config = json.loads((copied / "config.json").read_text())
    config["versions"]["numba"] = "0.1"
    folder.write_json(copied / "config.json", config)
    assert main(["train", "--resume", str(copied)]) == 0
    assert "this run began with another version of numba; the last bits" in capsys.readouterr().out


def test_a_damaged_checkpoint_is_named(copied, capsys):
    content = (copied / "last.npz").read_bytes()
    (copied / "last.npz").write_bytes(content[: len(content) // 2])
    assert "last.npz: the file is broken or cut short" in refused(capsys, "train", "--resume", copied)
    shutil.copy(copied / "best.npz", copied / "last.npz")
    assert "last.npz: expected the training of" in refused(capsys, "train", "--resume", copied)


def test_two_processes_do_not_write_one_run(copied, capsys):
    with folder.alone(copied):
        assert "is being written by another process" in refused(capsys, "train", "--resume", copied)


def test_a_full_disk_is_one_line_and_the_old_checkpoint_stays(copied, images, capsys, monkeypatch):
    before = (copied / "last.npz").read_bytes()
    config = json.loads((copied / "config.json").read_text())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    err, picture = refused(capsys, "train", "--resume", copied), copied / "learning_curves.png"
    assert err == f"numpy-resnet: cannot write {picture}: No space left on device; what was there is whole\n"
    assert (copied / "last.npz").read_bytes() == before
    assert json.loads((copied / "config.json").read_text()) == config


def test_weights_that_are_not_finite_do_not_replace_a_checkpoint(tmp_path):
    run = train.Run(recipe.SETTINGS | {"model": "cifar_resnet20"})
    path = tmp_path / "last.npz"
    checkpoint.save_training(path, run.model, run.optimizer)
    before = path.read_bytes()
    run.model.conv1.params["weight"][0, 0, 0, 0] = np.nan
    with pytest.raises(FloatingPointError, match=r"conv1.weight is not finite, so .*last.npz was not written"):
        checkpoint.save_training(path, run.model, run.optimizer)
    assert path.read_bytes() == before


def test_evaluation_has_the_loss_of_the_training_and_counts_what_it_skips(tmp_path, capsys):
    """Both weigh the classes, of which one has half as many images."""
    images, out = make_folder(tmp_path / "data", n=8, parts=("train", "val", "test")), tmp_path / "run"
    for path in data.find_files(images / "train" / "DARK")[:4]:
        path.unlink()
    (images / "val" / "DARK" / "broken.png").write_text("no image")
    assert (
        main(["train", "--data", str(images), "--out", str(out), *OPTIONS[:5], "--class-weights", "--epochs", "1"]) == 0
    )
    (row,) = checkpoint.load_metadata(out / "last.npz")["progress"]["history"]
    capsys.readouterr()
    assert main(["evaluate", str(out), "--part", "val"]) == 0
    assert "on 16 val images of data, without 1 that cannot be read" in capsys.readouterr().out
    metrics = json.loads((out / "val" / "metrics.json").read_text())
    assert (metrics["loss"], metrics["images"], metrics["skipped"]) == (row["val_loss"], 16, 1)
    trained = train.load_trained(out)
    np.testing.assert_allclose(trained.class_weight, [1.5, 0.75])
    with pytest.warns(data.Skipped, match="broken.png"):
        unweighted = train.evaluate(trained.model, trained.loader(recipe.load_data(trained.settings).val)).loss
    assert abs(unweighted - metrics["loss"]) > 1e-3


# Settings


def test_settings_become_transforms():
    shown = repr(recipe.train_transforms(recipe.SETTINGS, (32, 32)))
    assert shown == "(Resize(size=32), CenterCrop(size=(32, 32)), RandomCrop(size=(32, 32), padding=4))"
    varied = {"zoom": 0.5, "flip": True, "rotate": 5.0, "jitter": 0.2, "shift": 3}
    shown = repr(recipe.train_transforms(recipe.SETTINGS | varied, (32, 32)))
    assert shown == (
        "(RandomRotation(degrees=5.0), RandomResizedCrop(size=32, scale=(0.5, 1.0), ratio=(0.75, 1.3333333333333333)), "
        "RandomCrop(size=(32, 32), padding=3), RandomHorizontalFlip(p=0.5), ColorJitter(brightness=0.2, contrast=0.2))"
    )
    assert "RandomCrop" not in repr(recipe.train_transforms(recipe.SETTINGS | {"zoom": 0.5}, (32, 32)))
    assert "RandomCrop" not in repr(recipe.train_transforms(recipe.SETTINGS | {"shift": 0}, (32, 32)))
    with pytest.raises(ValueError, match="shift must be less than the 8 pixels of an image; got 8"):
        recipe.train_transforms(recipe.SETTINGS | {"shift": 8}, (8, 9))
    with pytest.raises(ValueError, match="zoom is for square images; got 8x9"):
        recipe.train_transforms(recipe.SETTINGS | {"zoom": 0.5}, (8, 9))


def test_images_in_memory_keep_their_size():
    images = data.ArrayImages(np.zeros((2, 6, 9), np.uint8), [0, 1])
    assert recipe.image_size(recipe.SETTINGS, images) == (6, 9)
    assert recipe.image_size(recipe.SETTINGS | {"size": 4}, images) == (4, 4)
    assert recipe.image_size(recipe.SETTINGS, data.FileImages([], [])) == (224, 224)
    (batch,) = data.Loader(images, recipe.eval_transforms((6, 9))).in_order()
    assert batch.x.shape == (2, 1, 6, 9)


@pytest.mark.parametrize(
    ("batch_size", "said"),
    [
        (4, "4 steps of 4"),
        (5, "3 steps of 5, the last of 6"),
        (7, "3 steps of 7, the last of 2"),
        (99, "one step of 16"),
    ],
)
def test_an_uneven_last_batch_is_said(tmp_path, capsys, batch_size, said):
    images = make_folder(tmp_path / "data", n=8, parts=("train", "val", "test"))
    settings = recipe.SETTINGS | {"data": str(images), "size": 8, "model": "cifar_resnet20", "epochs": 1}
    train.Run(settings | {"batch_size": batch_size}).run(tmp_path / "run")
    assert f"an epoch is {said}\n" in capsys.readouterr().out


def test_the_positive_class():
    assert recipe.positive_class(recipe.SETTINGS, ("a", "b")) == 1
    assert recipe.positive_class(recipe.SETTINGS | {"positive": "a"}, ("a", "b")) == 0
    assert recipe.positive_class(recipe.SETTINGS, ("a", "b", "c")) is None
    with pytest.raises(ValueError, match="positive must be one of the classes a, b; got 'c'"):
        recipe.positive_class(recipe.SETTINGS | {"positive": "c"}, ("a", "b"))
    with pytest.raises(ValueError, match="positive and sensitivity are for two classes; there are 3"):
        recipe.positive_class(recipe.SETTINGS | {"sensitivity": 0.9}, ("a", "b", "c"))


def test_a_class_without_a_readable_image_is_named(tmp_path):
    images = make_folder(tmp_path / "data", n=4)
    for path in (images / "train" / "DARK").iterdir():
        path.write_text("no image")
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(ValueError, match="'DARK' has none"):
        train.Run(recipe.SETTINGS | {"data": str(images), "size": 8})
    with pytest.raises(data.ImageError):
        train.Run(recipe.SETTINGS | {"data": str(images), "size": 8}, strict=True)


def test_a_threshold_needs_both_classes(tmp_path):
    images = make_folder(tmp_path / "data", parts=("train", "val", "test"), n=4)
    for path in (images / "val" / "LIGHT").iterdir():
        path.write_text("no image")
    with pytest.warns(data.Skipped), pytest.raises(ValueError, match="to choose the threshold on; 'LIGHT' has none"):
        train.Run(recipe.SETTINGS | {"data": str(images), "size": 8})


def test_a_stopped_run_has_no_threshold(images, tmp_path, monkeypatch, capsys):
    """It would be that of other weights; and no epoch is the best yet."""
    out = tmp_path / "stopped"
    clock = lambda unit, every: lambda now: now == 1 and os.kill(os.getpid(), signal.SIGINT)  # noqa: E731
    monkeypatch.setattr(cli_train, "_clock", clock)
    assert start(images, out) == 130
    last = train.load_trained(out, "last")
    assert (last.epoch, last.step, last.threshold) == (0, 2, None)
    with pytest.raises(ValueError, match=r"has no best.npz yet, for no epoch is complete: go on with it, or use --whi"):
        train.load_trained(out)
    capsys.readouterr()
    assert main(["evaluate", str(out), "--which", "last"]) == 0
    assert "epoch 0, step 2, on 24 test images" in capsys.readouterr().out


def test_a_run_refuses_a_folder_that_holds_something(whole, images):
    settings = folder.read_config(whole)["settings"]
    with pytest.raises(ValueError, match="exists and is not empty"):
        train.Run(settings).run(whole)


def test_folders_are_numbered_and_never_shared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(folder.new_folder(None, "runs/a")) == os.path.join("runs", "a")
    assert str(folder.new_folder(None, "runs/a")) == os.path.join("runs", "a-2")
    with pytest.raises(ValueError, match="there is no run in runs/ yet"):
        folder.newest_run()
    for name, when in (("a", 2), ("a-2", 1)):
        files.write_text(tmp_path / "runs" / name / "last.npz", "")
        os.utime(tmp_path / "runs" / name / "last.npz", (when, when))
    assert folder.newest_run().name == "a"
    with pytest.raises(ValueError, match="exists and is not empty"):
        folder.new_folder(tmp_path / "runs", "b")
    with pytest.raises(ValueError, match="exists and is not empty"):
        folder.new_folder(tmp_path / "runs" / "a" / "last.npz", "b")
