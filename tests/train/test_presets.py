"""Weights of others: to predict with, to evaluate, and to begin a training with."""

import numpy as np
import pytest
from PIL import Image

from numpy_resnet import checkpoint, layers, models, ops, optim, train
from numpy_resnet.cli import main
from numpy_resnet.data import transforms
from numpy_resnet.train import presets, recipe


@pytest.fixture(scope="module")
def cifar_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet20.pth"
    checkpoint.save_arrays(path, models.cifar_resnet20(10, seed=1).state_dict())
    return path


def test_imagenet_classes_are_a_thousand():
    names = presets.imagenet_classes()
    assert len(names) == len(set(names)) == 1000
    assert (names[0], names[281], names[999]) == ("tench", "tabby", "toilet tissue")


def test_images_for_torchvisions_weights():
    """Short side to 256, bilinear with antialiasing, the middle 224x224, ImageNet's mean and standard deviation."""
    preset = presets.preset_of(models.resnet18())
    mean, std = (np.array(values, np.float32) for values in (preset.mean, preset.std))
    trained = train.Trained(None, None, preset.classes, "RGB", preset.size, mean, std, None, None, None, 0, 0, {}, {},
                            preset.resize)  # fmt: skip
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8))
    x = trained.prepare(image)
    middle = image.resize((341, 256), Image.Resampling.BILINEAR).crop((58, 16, 282, 240))
    expected = (np.asarray(middle, np.float32) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(x, expected.transpose(2, 0, 1), atol=1e-6)
    np.testing.assert_allclose(trained.as_seen(x[None])[0], transforms.to_array(middle), atol=1e-6)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (lambda: models.cifar_resnet20(10), "CIFAR-10"),
        (lambda: models.cifar_resnet20(9), None),
        (lambda: models.cifar_resnet20(10, in_channels=1), None),
        (lambda: models.resnet18(10), None),
        (lambda: models.resnet18(1000, stem="cifar"), None),
    ],
)
def test_which_networks_have_a_preset(model, name):
    preset = presets.preset_of(model())
    assert (preset and preset.name) == name


@pytest.mark.real_size
def test_predict_and_evaluate(cifar_file, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60, 32, 32, 3), np.uint8), np.arange(60) % 10
    np.savez(tmp_path / "data.npz", images=images, labels=labels, classes=np.array(presets.cifar.CLASSES))
    Image.fromarray(images[0]).save(tmp_path / "a.png")
    assert main(["predict", "--weights", str(cifar_file), "a.png"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("a.png: ")
    assert said.split()[1] in presets.cifar.CLASSES
    assert main(["evaluate", str(cifar_file)]) == 2
    assert "--data must say on which images" in capsys.readouterr().err
    assert main(["evaluate", "runs", "--weights", str(cifar_file)]) == 2
    assert "name one network" in capsys.readouterr().err
    assert main(["evaluate", "--weights", str(cifar_file), "--data", "data.npz"]) == 0
    out = capsys.readouterr().out
    assert "cifar_resnet20" in out
    assert "epoch" not in out
    assert (tmp_path / "runs/resnet20/test/confusion_matrix.png").exists()


def test_a_file_that_does_not_tell_enough(tmp_path, capsys):
    checkpoint.save_arrays(tmp_path / "a.pth", models.cifar_resnet20(3).state_dict())
    assert main(["predict", "--weights", str(tmp_path / "a.pth"), str(tmp_path)]) == 2
    assert "expected weights that `numpy-resnet train` wrote" in capsys.readouterr().err


def settings_of(out):
    return train.folder.read_config(out)["settings"]


@pytest.mark.real_size
def test_training_begins_with_weights_and_freezes(cifar_file, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for part in ("train", "val", "test"):
        for name in ("dark", "light"):
            (tmp_path / "images" / part / name).mkdir(parents=True)
            for i in range(6):
                pixels = rng.integers(0, 128, (32, 32, 3)) + 127 * (name == "light")
                Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "images" / part / name / f"{i}.png")
    out = tmp_path / "run"
    arguments = [
        "--data",
        str(tmp_path / "images"),
        "--size",
        "32",
        "--epochs",
        "1",
        "--batch-size",
        "4",
        "--workers",
        "1",
    ]
    begin = ["--model", "cifar_resnet20", "--weights", str(cifar_file), "--freeze", "layer2"]
    assert main(["train", *arguments, *begin, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"weights: {cifar_file}; the last layer is new, for 2 classes" in said
    assert "of them learn" in said
    before, after = checkpoint.load_arrays(cifar_file), checkpoint.load_model(out / "last.npz")[0].state_dict()
    changed = {key.split(".")[0] for key in before if not np.array_equal(before[key], after[key])}
    assert changed == {"layer3", "fc"}  # and no statistic of the others
    assert settings_of(out)["mean"] == pytest.approx(presets.MEAN)
    (out / "last.npz").rename(tmp_path / "first.npz")  # as if it had been stopped before its first save
    assert main(["train", "--resume", str(out)]) == 0
    assert f"weights: {cifar_file}; the last layer" in capsys.readouterr().out
    again, first = (checkpoint.load_arrays(path) for path in (out / "last.npz", tmp_path / "first.npz"))
    assert all(np.array_equal(again[key], first[key]) for key in first)
    assert main(["train", *arguments, "--model", "resnet18", *begin[2:], "--out", str(tmp_path / "other")]) == 2
    assert "the file fits cifar_resnet20, not resnet18" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_what_is_frozen_stays_as_it_is():
    """Beside a model whose optimizer is asked to leave them: the others move as they would."""
    model = models.cifar_resnet20(4, in_channels=1, seed=1)
    recipe.freeze(model, "layer1")
    x = np.random.default_rng(0).standard_normal((4, 1, 12, 12), dtype=np.float32)
    before, optimizer = model.state_dict(), optim.SGD(model, 0.1, momentum=0.9)
    for _ in range(2):
        _, cache = ops.cross_entropy(model.train().forward(x), np.arange(4))
        model.backward_parameters(ops.cross_entropy_backward(1.0, cache))
        optimizer.step()
    after = model.state_dict()
    changed = {key.split(".")[0] for key in before if not np.array_equal(before[key], after[key])}
    assert changed == {"layer2", "layer3", "fc"}
    assert {key.split(".")[1] for key in optimizer.state_dict()} == {"layer2", "layer3", "fc"}
    assert not any(layer.training for name, layer in model.named_layers() if name.startswith(("bn1", "layer1")))
    norms = [layer for _, layer in model.layer2.named_layers() if isinstance(layer, layers.BatchNorm2d)]
    assert all(layer.training for layer in norms)


@pytest.mark.parametrize("last", ["stem", "layer1", "layer2", "layer3", "layer4"])
def test_stages_to_freeze(last):
    model = models.resnet18(2, in_channels=1, stem="cifar")
    recipe.freeze(model, last)
    learn = {key.split(".")[0] for key, _, _ in model.named_parameters()}
    frozen = 0 if last == "stem" else int(last[-1])
    assert learn == {"fc", *(f"layer{n}" for n in range(frozen + 1, 5))}
    with pytest.raises(ValueError, match="cifar_resnet20; it has no layer4"):
        recipe.freeze(models.cifar_resnet20(), "layer4")
