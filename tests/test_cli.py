"""The command line: what it prints, what it leaves behind, and how it says no."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from image_folders import make_folder

from numpy_resnet import checkpoint, data, gradcheck, models, ops, optim, train
from numpy_resnet.cli import check, main
from numpy_resnet.train import recipe

TINY = ["train", "--model", "cifar_resnet20", "--epochs", "1", "--batch-size", "256"]


def run(capsys, *argv):
    """(exit code, stdout, stderr)"""
    try:
        code = main([str(arg) for arg in argv])
    except SystemExit as stop:  # argparse's way
        code = stop.code
    return code, *capsys.readouterr()


def refused(capsys, *argv):
    """The one line on stderr."""
    code, out, err = run(capsys, *argv)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1, err
    return err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a short training run on the digits."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert main([*TINY, "--out", str(folder), "--seed", "4"]) == 0
    return folder


@pytest.fixture(scope="module")
def lights(tmp_path_factory):
    """A folder of images of two classes, and the folder of a run on it."""
    folder = tmp_path_factory.mktemp("lights")
    images, out = make_folder(folder / "images"), folder / "run"
    assert main(["train", "--data", str(images), "--out", str(out), *TINY[1:], "--size", "12"]) == 0
    return images, out


# explore


def test_explore(lights, capsys, tmp_path, monkeypatch):
    """A page in a new file: of the digits, of an untrained network, of a run; the folder's name is the class."""
    images, out = lights
    monkeypatch.chdir(tmp_path)
    for name in ("explorer.html", "explorer-2.html"):
        code, printed, err = run(capsys, "explore")
        assert (code, err) == (0, "")
        assert printed == f"{name}: 0.7 MB; open it in a browser, offline as well\n"
    told = contents_of("explorer.html")
    assert (told["model"]["about"], told["label"]) == ("trained on digits for 11 epochs", 3)
    assert told["image"]["name"] == "test image 173 of the digits"
    assert "explorer.html exists" in refused(capsys, "explore", "-o", "explorer.html")

    code, _, _ = run(capsys, "explore", "--model", "cifar_plain20", "-o", "new.html", "--class", "7")
    told = contents_of("new.html")
    assert (code, told["model"]["about"], told["model"]["training"], told["label"]) == (0, "not trained", True, 7)

    first = sorted((images / "train" / "LIGHT").iterdir())[0]
    assert run(capsys, "explore", first, "--weights", out, "-o", "light.html")[0] == 0
    assert contents_of("light.html")["label"] == 1
    assert str(tmp_path) not in (tmp_path / "light.html").read_text(encoding="utf-8")
    shutil.copy(first, tmp_path / "somewhere.png")
    assert run(capsys, "explore", "somewhere.png", "--weights", out, "--training", "-o", "b.html")[0] == 0
    told = contents_of("b.html")
    assert told["predicted"] == told["label"]
    assert told["model"]["training"]
    assert run(capsys, "explore", "somewhere.png", "--weights", out, "-o", "c.html")[0] == 0
    said = json.loads(run(capsys, "predict", "somewhere.png", "--weights", out, "--json")[1])[0]["class"]
    told = contents_of("c.html")
    assert told["classes"][told["label"]] == told["classes"][told["predicted"]] == said

    assert "an image must be given" in refused(capsys, "explore", "--weights", out)
    assert "holds cifar_resnet20, not resnet18" in refused(
        capsys, "explore", first, "--weights", out, "--model", "resnet18"
    )


def contents_of(path):
    """What a page of the explorer is made from."""
    with open(path, encoding="utf-8") as file:
        return json.loads(re.search(r'id="data">(.*?)</script>', file.read(), re.DOTALL)[1])


# evaluate


def test_evaluation_of_the_run(trained, capsys, tmp_path):
    copy = shutil.copytree(trained, tmp_path / "copy")
    code, out, _ = run(capsys, "evaluate", copy)
    assert code == 0
    weights, digits = train.load_trained(copy), data.load("digits")
    result = train.evaluate(weights.model, weights.loader(digits.test))
    assert (
        f"\naccuracy {result.accuracy:.2%} ({359 - np.trace(result.confusion)} of 359 wrong), loss {result.loss:.4f}\n"
        in out
    )
    rows = [line.split() for line in out.splitlines()[4:14]]
    assert [row[0] for row in rows] == list("0123456789")
    counts = np.array([[int(cell.replace(".", "0")) for cell in row[1:11]] for row in rows])
    np.testing.assert_array_equal(counts, result.confusion)
    for row, recall in zip(rows, counts.diagonal() / counts.sum(axis=1), strict=True):
        assert row[11] == f"{recall:.1%}"

    files = {"confusion_matrix.png", "grad_cam.png", "metrics.json", "mistakes.png", "predictions.csv"}
    assert {path.name for path in (copy / "test").iterdir()} == files
    metrics = json.loads((copy / "test" / "metrics.json").read_text())
    assert metrics["confusion"] == counts.tolist()
    assert (metrics["accuracy"], metrics["part"], metrics["images"]) == (result.accuracy, "test", 359)
    with open(copy / "test" / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == [str(label) for label in digits.test.labels]
    assert [row["predicted"] for row in rows] == [str(k) for k in result.probabilities.argmax(axis=1)]
    assert float(rows[7]["p(3)"]) == pytest.approx(result.probabilities[7, 3], rel=1e-4)


def test_evaluating_again_makes_another_folder(trained, capsys, tmp_path):
    copy = shutil.copytree(trained, tmp_path / "copy")
    for part, folder in (("val", "val"), ("val", "val-2"), ("train", "train")):
        code, out, _ = run(capsys, "evaluate", copy, "--part", part)
        assert code == 0
        assert out.endswith(f"figures, probabilities and pictures in {copy / folder}\n")
        assert (copy / folder / "metrics.json").exists()


def test_two_classes_are_judged_at_the_threshold(lights, capsys, tmp_path):
    images, out = lights
    weights = train.load_trained(shutil.copytree(out, tmp_path / "run"))
    code, printed, _ = run(capsys, "evaluate", tmp_path / "run")
    assert code == 0
    result = train.evaluate(weights.model, weights.loader(data.load(images).test))
    verdict = train.judge(result, 1, weights.threshold)
    assert train.describe(verdict, "LIGHT") in printed
    at = json.loads((tmp_path / "run" / "test" / "metrics.json").read_text())["at_threshold"]
    assert (at["positive"], at["auc"], at["threshold"]) == ("LIGHT", verdict.auc, weights.threshold)
    assert at["confusion"] == verdict.confusion.tolist()
    assert (tmp_path / "run" / "test" / "roc.png").read_bytes().startswith(b"\x89PNG")


def test_the_newest_run_is_meant_and_the_data_may_have_moved(lights, capsys, tmp_path, monkeypatch):
    images, out = lights
    monkeypatch.chdir(tmp_path)
    assert "there is no run in runs/ yet" in refused(capsys, "evaluate")
    shutil.copytree(out, tmp_path / "runs" / "lights")
    moved = shutil.copytree(images, tmp_path / "elsewhere")
    code, printed, _ = run(capsys, "evaluate", "--data", moved)
    assert code == 0
    assert "24 test images of elsewhere" in printed
    shutil.move(moved / "test" / "DARK", moved / "test" / "GREY")
    shutil.move(moved / "train" / "DARK", moved / "train" / "GREY")
    assert "must have the classes of" in refused(capsys, "evaluate", "--data", moved)


def test_images_that_may_have_been_trained_on_are_no_test(lights, capsys, tmp_path):
    """What is split off is another part when an image is added."""
    images = shutil.copytree(lights[0] / "train", tmp_path / "images")
    assert run(capsys, *TINY, "--data", images, "--size", "8", "--out", tmp_path / "run")[0] == 0
    assert run(capsys, "evaluate", tmp_path / "run")[0] == 0
    shutil.copy(data.find_files(lights[0] / "test")[0], images / "DARK" / "another.png")
    assert "the test images must be those that were set aside" in refused(capsys, "evaluate", tmp_path / "run")
    code, out, _ = run(capsys, "evaluate", tmp_path / "run", "--data", lights[0])
    assert code == 0
    assert out.startswith("note: these are not the test images that were set aside when it was trained\n")


# predict and explain


def test_prediction_of_a_file_is_that_of_the_array(trained, capsys, tmp_path):
    """A digit of the test part, as a PNG, gets the class and the probability that the network gives its pixels."""
    digits, weights = data.load("digits"), train.load_trained(trained)
    digits.test.read(0).save(tmp_path / "a.png")
    p = train.evaluate(weights.model, weights.loader(digits.test)).probabilities[0]
    first, second, third = np.argsort(p)[::-1][:3]
    code, out, err = run(capsys, "predict", tmp_path / "a.png", "--weights", trained)
    assert (code, err) == (0, "")
    assert out == (f"{tmp_path / 'a.png'}: {first} {p[first]:.1%}, {second} {p[second]:.1%}, {third} {p[third]:.1%}\n")


def test_prediction_of_a_folder_with_a_broken_file(lights, capsys, tmp_path):
    images, out = lights
    folder = shutil.copytree(images / "test", tmp_path / "new")
    (folder / "DARK" / "broken.png").write_text("no image")
    weights = train.load_trained(out)
    paths = data.find_files(folder)
    p = train.evaluate(weights.model, weights.loader(data.load(images).test)).probabilities
    classes = [("DARK", "LIGHT")[k] for k in weights.decide(p)]

    code, printed, err = run(capsys, "predict", folder, "--weights", out, "--json")
    assert code == 1
    assert err.count("\n") == 1
    assert "broken.png must be an image" in err
    rows = json.loads(printed)
    assert [row["file"] for row in rows] == [str(path) for path in paths]
    (broken,) = (row for row in rows if "error" in row)
    assert broken["file"].endswith("broken.png")
    rows.remove(broken)
    assert [row["class"] for row in rows] == classes
    for row, (dark, light) in zip(rows, p, strict=True):
        assert row["probabilities"] == pytest.approx({"DARK": dark, "LIGHT": light}, rel=1e-4)
        assert row["probability"] == row["probabilities"][row["class"]]

    code, printed, _ = run(capsys, "predict", folder, "--weights", out, "--csv")
    assert code == 1
    table = list(csv.DictReader(io.StringIO(printed)))
    assert [row["class"] for row in table if not row["error"]] == classes
    assert sum(bool(row["error"]) for row in table) == 1
    assert float(next(row for row in table if not row["error"])["p(LIGHT)"]) == pytest.approx(p[0, 1], abs=1e-5)

    code, printed, _ = run(capsys, "predict", folder, "--weights", out)
    assert code == 1
    assert [line.split(": ")[1].split()[0] for line in printed.splitlines()] == classes


def test_explanation(lights, capsys, tmp_path, monkeypatch):
    images, out = lights
    monkeypatch.chdir(tmp_path)
    first, second = data.find_files(images / "test")[:2]
    (tmp_path / "broken.png").write_text("no image")
    code, printed, err = run(capsys, "explain", first, "broken.png", second, "--weights", out)
    assert code == 1
    assert "broken.png must be an image" in err
    code, said, _ = run(capsys, "predict", first, second, "--weights", out)
    assert [line.split(",")[0] for line in said.splitlines()] == printed.splitlines()[:2]
    assert printed.splitlines()[2] == "picture: explanation.png"
    assert (tmp_path / "explanation.png").read_bytes().startswith(b"\x89PNG")
    code, printed, _ = run(capsys, "explain", first, "--weights", out, "--class", "DARK", "--layer", "layer1")
    assert code == 0
    assert f"{first}: DARK " in printed
    assert "picture: explanation-2.png" in printed
    code, printed, _ = run(capsys, "explain", first, "--weights", out, "--out", "a.png")
    assert code == 0
    explain = ["explain", first, "--weights", out]
    assert "a.png exists" in refused(capsys, *explain, "--out", "a.png")
    assert "--class must be one of DARK, LIGHT; got 'GREY'" in refused(capsys, *explain, "--class", "GREY")
    assert "layer must be a stage (layer1, layer2, layer3)" in refused(capsys, *explain, "--layer", "layer9")
    code, printed, err = run(capsys, "explain", "broken.png", "--weights", out)
    assert code == 2
    assert "there must be an image that can be read; there is none" in err
    (tmp_path / "empty").mkdir()
    assert "empty must hold images" in refused(capsys, "predict", "empty", "--weights", out)


# The others


@pytest.mark.parametrize(
    ("argv", "rows"),
    [
        ([], ["64 x 112 x 112", "64 x 56 x 56", "128 x 28 x 28", "256 x 14 x 14", "512 x 7 x 7", "11,689,512"]),
        (["resnet50"], ["2048 x 7 x 7", "25,557,032"]),
        (["cifar_resnet20"], ["64 x 8 x 8", "269,722", "1 zero-padded block, 2 identity blocks"]),
        (["plain18", "--classes", "10"], ["2 plain blocks"]),
        (["resnet18", "--stem", "cifar", "--input", "1x8x8", "--classes", "10"], ["512 x 1 x 1", "11,172,810"]),
    ],
)
def test_summary(capsys, argv, rows):
    code, out, _ = run(capsys, "summary", *argv)
    assert code == 0
    for row in rows:
        assert row in out


@pytest.mark.real_size
def test_gradcheck_passes_for_every_op_and_the_whole_network(capsys):
    code, out, _ = run(capsys, "gradcheck")
    assert code == 0
    assert "WRONG" not in out
    assert "resnet18                 PASS  63 gradients along random directions" in out
    assert "winograd                 PASS  1 case" in out
    assert "21 examined, none wrong" in out


def test_gradcheck_of_one_op_says_when_it_is_wrong_and_why(capsys, monkeypatch):
    code, out, _ = run(capsys, "gradcheck", "softmax", "col2im", "--seed", "3")
    assert code == 0
    assert out.startswith("softmax                  PASS  5 cases\ncol2im                   PASS  11 cases\n")
    assert "2 examined, none wrong" in out
    right = ops.softmax_backward
    monkeypatch.setattr(ops, "softmax_backward", lambda dy, cache: -right(dy, cache))
    code, out, _ = run(capsys, "gradcheck", "softmax")
    assert code == 1
    for part in (
        "softmax: WRONG",
        "1. dx is wrong",
        "constant_factor",
        "every entry is -1 times",
        "1 examined, 1 wrong",
    ):
        assert part in out


OWN = """
import numpy as np

def relu(x):
    return np.maximum(x, 0), x

def relu_backward(dy, x):
    return dy * (x < 0)

def im2col(x, *, kernel_size, stride=1, padding=0):
    raise NotImplementedError

def col2im(cols, *, size, kernel_size, stride=1, padding=0):
    raise NotImplementedError
"""


def test_gradcheck_of_ones_own_file(capsys, tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    mine, picture = tmp_path / "mine.py", tmp_path / "wrong.png"
    code, out, _ = run(capsys, "gradcheck", "--file", mine, "--picture", picture)
    assert code == 1
    for part in ("relu: WRONG", "mask_inverted", "im2col: WRONG", "raised NotImplementedError", "3 examined, 3 wrong"):
        assert part in out
    assert picture.read_bytes()[1:4] == b"PNG"
    code, out, _ = run(capsys, "gradcheck", "relu", "--file", mine, "--json")
    (told,) = json.loads(out)
    assert (code, told["verdict"], told["findings"][0]["cause"]) == (1, "WRONG", "mask_inverted")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "broken.py").write_text("relu = (")
    for name, words in (
        ("nowhere.py", "--file must be a Python file that exists"),
        ("empty.py", "expected functions such as relu and relu_backward"),
        ("broken.py", "cannot be run: SyntaxError"),
    ):
        code, out, err = run(capsys, "gradcheck", "--file", tmp_path / name)
        assert (code, err.count("\n")) == (2, 1)
        assert words in err


def test_gradcheck_tests_itself_on_the_zoo(capsys, monkeypatch):
    code, out, _ = run(capsys, "gradcheck", "--self-test", "relu", "add")
    assert code == 0
    assert "wrong backwards found        24 of 24" in out
    assert "right ones called wrong      0 of 2" in out
    code, _, err = run(capsys, "gradcheck", "--self-test", "conv3d")
    assert code == 2
    assert "the zoo has no bugs of conv3d" in err
    monkeypatch.setattr(check.gradcheck, "diagnose_op", lambda *_, **__: gradcheck.Diagnosis("relu", "PASS", ()))
    code, out, _ = run(capsys, "gradcheck", "--self-test", "relu")
    assert code == 1
    assert "relu/mask_forgotten" in out


@pytest.mark.real_size
def test_warmup_compiles(capsys):
    assert run(capsys, "warmup")[:2] == (0, "all kernels are compiled\n")


def test_python_m_is_the_command(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "numpy_resnet", "--version"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert result.stdout.startswith("numpy-resnet ")


def test_help_names_every_command(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for command in ("train", "evaluate", "predict", "explain", "explore", "summary", "gradcheck", "warmup"):
        assert f"\n    {command}" in out
        assert run(capsys, command, "--help")[0] == 0


REFUSED = {
    "no command": ([], "required: COMMAND"),
    "unknown command": (["fly"], "invalid choice: 'fly'"),
    "unknown model": (["summary", "resnet19"], "invalid choice: 'resnet19'"),
    "unknown data": (["train", "--data", "letters"], "no data set is called 'letters', and there is no such path"),
    "no epochs": (["train", "--epochs", "0"], "--epochs: must be a whole number, at least 1; got '0'"),
    "no batch": (["train", "--batch-size", "1"], "--batch-size: must be a whole number, at least 2"),
    "learning rate": (["train", "--lr", "-1"], "lr must be in"),
    "dropout": (["train", "--dropout", "1"], r"must be in \[0, 1\)"),
    "shift": (["train", "--shift", "-1"], "--shift: must be a whole number, at least 0"),
    "not a number": (["train", "--epochs", "many"], "must be a whole number, at least 1; got 'many'"),
    "no such op": (["gradcheck", "conv3d"], "there is no check called conv3d; there are relu, add, linear,"),
    "no run": (["evaluate", "nowhere"], "nowhere does not exist: name a folder that `numpy-resnet train` wrote"),
    "no weights": (["evaluate", "."], "best.npz does not exist"),
    "shape": (["summary", "--input", "224"], "--input must be channels x height x width, such as 3x224x224"),
    "too small": (["summary", "--input", "3x0x224"], "--input must be"),
    "no classes": (["summary", "--classes", "0"], "--classes: must be a whole number, at least 1"),
    "cifar stem": (["summary", "cifar_resnet20", "--stem", "cifar"], "a stem is for the ImageNet networks"),
    "cifar stem, train": (["train", "--model", "cifar_plain20", "--stem", "cifar"], "a stem is for the ImageNet"),
    "shift too far": (["train", "--shift", "8"], "shift must be less than the 8 pixels of an image; got 8"),
    "share": (["train", "--val", "1"], "--val: must be a number between 0 and 1; got '1'"),
    "no share": (["train", "--zoom", "x"], "--zoom: must be a number between 0 and 1; got 'x'"),
    "interval": (["train", "--save-every", "5"], "must be minutes or steps, such as 10min or 500steps; got '5'"),
    "half a step": (["train", "--save-every", "0.5steps"], "must be minutes or steps"),
    "no minutes": (["train", "--save-every", "0min"], "must be minutes or steps"),
    "numbers": (["train", "--mean", "0.5,x"], "--mean: must be numbers with commas between them; got '0.5,x'"),
    "channels": (["train", "--mean", "0.5,0.5,0.5"], "mean must be 1 finite numbers, one for each channel"),
    "workers": (["train", "--workers", "0"], "--workers: must be a whole number, at least 1"),
    "positive": (["train", "--positive", "3"], "positive and sensitivity are for two classes; there are 10"),
    "group": (["train", "--group", "a"], "a group pattern is for file names, and these images have none"),
    "test": (["train", "--test", "0.5"], "digits has a test part of its own: leave out the share for testing, 0.5"),
    "missing data": (["train", "--data", "mnist"], "mnist is not on this machine: get it from"),
    "resume nothing": (["train", "--resume", "nowhere"], "nowhere is no run: it has no config.json"),
    "json and csv": (["predict", "a.png", "--json", "--csv"], "not allowed with argument --json"),
    "cifar width": (["summary", "cifar_resnet20", "--width", "8"], "a width is for the ImageNet networks"),
    "explore a class": (["explore", "--class", "ten"], "--class must be one of 0, 1, 2, 3, 4,"),
    "explore no file": (["explore", "nowhere.png"], "nowhere.png"),
    "explore no weights": (["explore", "--weights", "nowhere"], "nowhere does not exist"),
    "explore no model": (["explore", "--model", "resnet19"], "invalid choice: 'resnet19'"),
    "superscript": (["summary", "--input", "³x8x8"], "--input must be channels x height x width"),
    "too many classes": (["summary", "--classes", "2000000000"], "too large for this machine's memory"),
    "too large an image": (["summary", "--input", "3x1000000x1000000"], "too large for this machine's memory"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NUMPY_RESNET_DATA", str(tmp_path))
    argv, message = REFUSED[name]
    err = refused(capsys, *argv)
    assert err.startswith("numpy-resnet")
    assert message.replace("\\", "") in err
    assert not os.listdir(tmp_path)


def test_files_that_are_not_what_is_asked_for(capsys, tmp_path):
    (tmp_path / "weights.npz").write_bytes(b"no archive")
    assert "weights.npz: expected weights" in refused(capsys, "evaluate", tmp_path / "weights.npz")
    checkpoint.save_arrays(tmp_path / "arrays.npz", {"x": np.zeros(3)})
    assert "it holds no ResNet" in refused(capsys, "evaluate", tmp_path / "arrays.npz")


USED = ("settings", "epoch", "step", "classes", "mode", "mean", "std", "image_size", "class_weight", "fingerprints")


def test_weights_that_are_of_no_run(trained, capsys, tmp_path):
    model, about = checkpoint.load_model(trained / "best.npz")
    wrong = [{key: value for key, value in about.items() if key != used} for used in USED]
    wrong += [{**about, "classes": ["0"]}, {**about, "image_size": "8x8"}, {**about, "mean": None}]
    wrong += [{**about, "mode": "RGB"}, {**about, "threshold": 0.5}]
    for i, metadata in enumerate(wrong):
        path = tmp_path / f"{i}.npz"
        checkpoint.save_model(path, model, metadata)
        for command in (["evaluate", path], ["predict", tmp_path / "a.png", "--weights", path]):
            assert f"{i}.npz: expected weights that `numpy-resnet train` wrote" in refused(capsys, *command)


def test_either_weights_of_a_run(trained, capsys, tmp_path):
    model, about = checkpoint.load_model(trained / "last.npz")
    for epoch, name in ((7, "best"), (9, "last")):
        checkpoint.save_model(tmp_path / f"{name}.npz", model, {**about, "epoch": epoch})
    assert ", epoch 7, step" in run(capsys, "evaluate", tmp_path)[1]
    assert ", epoch 9, step" in run(capsys, "evaluate", tmp_path, "--which", "last")[1]


def test_settings_reach_the_network_and_the_optimizer():
    settings = recipe.SETTINGS | {"model": "cifar_resnet20", "seed": 5, "dropout": 0.25}
    model = recipe.build_model(settings, 1, (8, 8), 3)
    assert model.dropout.p == 0.25
    twin = models.cifar_resnet20(3, in_channels=1, seed=5)
    np.testing.assert_array_equal(model.conv1.params["weight"], twin.conv1.params["weight"])
    for size, stem in ((63, 3), (64, 7)):
        assert recipe.build_model(recipe.SETTINGS, 1, (size, 99), 2).conv1.params["weight"].shape[2] == stem
    assert recipe.build_model(recipe.SETTINGS | {"width": 4}, 1, (8, 8), 2).fc.params["weight"].shape == (2, 32)
    assert recipe.build_model(recipe.SETTINGS | {"stem": "imagenet"}, 1, (8, 8), 2).conv1.params["weight"].shape[2] == 7

    changed = settings | {"lr": 0.3, "weight_decay": 0.01, "epochs": 2}
    sgd, schedule = recipe.build_optimizer(changed, model, 3)
    assert isinstance(sgd, optim.SGD)
    assert (sgd.lr, sgd.momentum, sgd.nesterov, sgd.weight_decay) == (0.3, 0.9, True, 0.01)
    cycle = optim.one_cycle(0.3, steps=6)
    assert [schedule(i) for i in range(6)] == [cycle(i) for i in range(6)]
    changed = settings | {"optimizer": "adamw", "schedule": "cosine", "warmup": 2, "epochs": 1}
    adamw, schedule = recipe.build_optimizer(changed, model, 3)
    assert isinstance(adamw, optim.AdamW)
    assert adamw.weight_decay == 5e-4
    cosine = optim.cosine(1e-3, steps=3, warmup=2)
    assert [schedule(i) for i in range(3)] == [cosine(i) for i in range(3)]
    _, schedule = recipe.build_optimizer(settings | {"schedule": "constant"}, model, 3)
    assert [schedule(i) for i in range(3)] == [0.02] * 3


def test_an_image_that_cannot_be_read_is_named_and_counted_or_stops(lights, capsys, tmp_path):
    images = shutil.copytree(lights[0], tmp_path / "images")
    (images / "train" / "DARK" / "broken.png").write_text("no image")
    command = [*TINY, "--data", images, "--size", "8"]
    code, _, err = run(capsys, *command, "--out", tmp_path / "a")
    assert code == 0
    lines = err.splitlines()
    assert "skipped:" in lines[0]
    assert "broken.png must be an image" in lines[0]
    assert lines[1].startswith("numpy-resnet: skipped 1 of 2")
    assert len(lines) == 2
    assert "broken.png" in refused(capsys, *command, "--out", tmp_path / "b", "--strict")
    assert not (tmp_path / "b").exists()


@pytest.mark.real_size
def test_the_first_compilation_is_announced_and_the_second_run_has_none(tmp_path):
    for expected in ("compiling kernels, once (the next run finds them) ...\n", ""):
        result = subprocess.run(
            [sys.executable, "-m", "numpy_resnet", "gradcheck", "relu"],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert result.stderr == expected


def test_warmup_takes_both_dtypes(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(check, "_run_case", lambda *case: seen.append((case[0], case[-1])))
    assert run(capsys, "warmup")[0] == 0
    assert {dtype for _, dtype in seen} == {np.float32, np.float64}
    assert len(seen) == 2 * len(gradcheck.op_cases())


def test_a_reader_that_has_enough_is_no_error():
    code = "import sys; from numpy_resnet.cli import run; sys.argv[1:] = ['summary', 'cifar_resnet110']; run()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 0
    process.stderr.close()


def test_a_run_never_overwrites_another(trained, capsys):
    before = {path.name: path.stat().st_mtime_ns for path in trained.iterdir()}
    assert "exists and is not empty" in refused(capsys, *TINY, "--out", trained)
    assert {path.name: path.stat().st_mtime_ns for path in trained.iterdir()} == before


def test_runs_without_a_name_are_numbered(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "digits").mkdir(parents=True)
    code, out, _ = run(capsys, *TINY)
    assert code == 0
    assert out.rstrip().endswith("\n  numpy-resnet evaluate " + os.path.join("runs", "digits-2"))
    assert (tmp_path / "runs" / "digits-2" / "last.npz").exists()


def test_a_folder_named_like_a_data_set_is_a_path_with_a_dot_before_it(lights, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(lights[0], tmp_path / "digits")
    for name, classes in (("digits", "digits, 10 classes"), ("./digits", "digits, 2 classes")):
        code, out, _ = run(capsys, *TINY, "--data", name, "--size", "8")
        assert code == 0
        assert classes in out


def test_names_that_are_no_utf_8_come_through(lights, tmp_path):
    images, out = lights
    folder = os.fsencode(shutil.copytree(images, tmp_path / "data"))
    name = b"\xff\xfe.png"
    shutil.copy(data.find_files(images / "test" / "DARK")[0], os.fsdecode(folder + b"/test/DARK/" + name))
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    for command in (["predict", os.fsdecode(folder + b"/test"), "--csv"], ["predict", os.fsdecode(folder + b"/test")]):
        result = subprocess.run(
            [sys.executable, "-m", "numpy_resnet", *command, "--weights", out], capture_output=True, env=environment
        )
        assert result.returncode == 0, result.stderr
        assert name in result.stdout


def test_bench_times_ourselves(capsys, tmp_path):
    path = tmp_path / "figures.json"
    options = ["--model", "cifar_resnet20", "--batch-size", "2", "--size", "8", "--rounds", "2", "--json", path]
    code, out, err = run(capsys, "bench", *options)
    assert (code, err) == (0, "")
    title, _, header, inference, training = out.splitlines()
    assert title.startswith("cifar_resnet20, 2x3x8x8, float32; ")
    assert header.split() == ["images/s", "median", "quartiles"]
    assert [inference.split()[0], training.split()[0]] == ["inference", "training"]
    figures = json.loads(path.read_text())
    assert {name: len(seconds) for name, seconds in figures["seconds"].items()} == {"inference": 2, "training": 2}
    only = run(capsys, "bench", *options[:8], "--only", "inference")[1]
    assert "training" not in only
    assert "must be a whole number, at least 1" in refused(capsys, "bench", "--threads", "0")
    assert "the number of threads must be from 1 to" in refused(capsys, "bench", "--threads", "100000")
