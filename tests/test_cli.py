"""The command line: what it prints, what it leaves behind, and how it says no."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from numpy_resnet import checkpoint, data, gradcheck, ops
from numpy_resnet.cli import check, main

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
    """The folder of a short training run."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert main([*TINY, "--out", str(folder), "--seed", "4"]) == 0
    return folder


def test_training_leaves_weights_history_and_pictures(trained):
    assert {path.name for path in trained.iterdir()} == {
        "best.npz", "last.npz", "history.csv", "config.json",
        "learning_curves.png", "confusion_matrix.png", "predictions.png", "filters.png",
    }  # fmt: skip
    config = json.loads((trained / "config.json").read_text())
    assert (config["model"], config["epochs"], config["seed"]) == ("cifar_resnet20", 1, 4)
    assert len((trained / "history.csv").read_text().splitlines()) == 2
    model, about = checkpoint.load_model(trained / "last.npz")
    assert (model.name, about["data"], about["epoch"], about["image_size"]) == ("cifar_resnet20", "digits", 1, [8, 8])


def test_evaluation_of_the_run(trained, capsys):
    code, out, _ = run(capsys, "evaluate", trained)
    assert code == 0
    accuracy = checkpoint.load_model(trained / "last.npz")[1]["test_accuracy"]
    assert f"accuracy {accuracy:.2%}" in out
    rows = [line.split() for line in out.splitlines()[-10:]]
    assert [row[0] for row in rows] == list("0123456789")
    counts = np.array([[int(cell.replace(".", "0")) for cell in row[1:11]] for row in rows])
    assert counts.sum() == 359
    assert np.trace(counts) / 359 == pytest.approx(accuracy)


def test_prediction_of_a_file_is_that_of_the_array(trained, capsys, tmp_path):
    """A digit of the test part, as a PNG, gets the class and the probability that the network gives its pixels."""
    digits = data.load("digits")
    model, about = checkpoint.load_model(trained / "last.npz")
    pixels = np.round(digits.x_test[0, 0] * 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    x = data.normalize((pixels / np.float32(255))[None, None], about["mean"], about["std"])
    p = ops.softmax(model.infer(x))[0][0]
    code, out, _ = run(capsys, "predict", trained, tmp_path / "a.png")
    assert code == 0
    assert f"a.png: {p.argmax()} {p.max():.1%}, " in out


@pytest.mark.parametrize(
    ("argv", "rows"),
    [
        ([], ["64 x 112 x 112", "64 x 56 x 56", "128 x 28 x 28", "256 x 14 x 14", "512 x 7 x 7", "11,689,512"]),
        (["resnet50"], ["2048 x 7 x 7", "25,557,032"]),
        (["cifar_resnet20"], ["64 x 8 x 8", "269,722"]),
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
    assert "resnet18, 63 gradients" in out
    assert f"{len(gradcheck.op_cases()) + 1} checks, none wrong" in out


def test_gradcheck_of_one_op_says_when_it_is_wrong(capsys, monkeypatch):
    code, out, _ = run(capsys, "gradcheck", "softmax", "--seed", "3")
    assert code == 0
    assert "1 checks, none wrong" in out
    cases = gradcheck.op_cases()
    name, f, f_backward, arrays = cases[-3]
    cases[-3] = (name, f, lambda dy, cache: -f_backward(dy, cache), arrays)
    monkeypatch.setattr(check.gradcheck, "op_cases", lambda seed: cases)
    code, out, _ = run(capsys, "gradcheck", "softmax")
    assert code == 1
    assert "softmax                           WRONG" in out
    assert "dx        WRONG" in out
    assert "1 checks, 1 wrong" in out


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
    for command in ("train", "evaluate", "predict", "summary", "gradcheck", "warmup"):
        assert f"\n    {command}" in out
        assert run(capsys, command, "--help")[0] == 0


REFUSED = {
    "no command": ([], "required: COMMAND"),
    "unknown command": (["fly"], "invalid choice: 'fly'"),
    "unknown model": (["summary", "resnet19"], "invalid choice: 'resnet19'"),
    "unknown data": (["train", "--data", "letters"], "no data set is called 'letters'; there is digits"),
    "no epochs": (["train", "--epochs", "0"], "--epochs: must be a whole number, at least 1; got '0'"),
    "no batch": (["train", "--batch-size", "1"], "--batch-size: must be a whole number, at least 2"),
    "learning rate": (["train", "--lr", "-1"], "lr must be in"),
    "dropout": (["train", "--dropout", "1"], r"must be in \[0, 1\)"),
    "shift": (["train", "--shift", "-1"], "--shift: must be a whole number, at least 0"),
    "not a number": (["train", "--epochs", "many"], "must be a whole number, at least 1; got 'many'"),
    "no such op": (["gradcheck", "conv3d"], "there is no check called conv3d; there are conv2d, im2col, batchnorm2d"),
    "no run": (["evaluate", "nowhere"], "nowhere does not exist: name a folder that `numpy-resnet train` wrote"),
    "no weights": (["evaluate", "."], "last.npz does not exist"),
    "shape": (["summary", "--input", "224"], "--input must be channels x height x width, such as 3x224x224"),
    "too small": (["summary", "--input", "3x0x224"], "--input must be"),
    "no classes": (["summary", "--classes", "0"], "--classes: must be a whole number, at least 1"),
    "cifar stem": (["summary", "cifar_resnet20", "--stem", "cifar"], "--stem is for the ImageNet networks"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv, message = REFUSED[name]
    err = refused(capsys, *argv)
    assert err.startswith("numpy-resnet")
    assert message.replace("\\", "") in err
    assert not os.listdir(tmp_path)


def test_files_that_are_not_what_is_asked_for(trained, capsys, tmp_path):
    (tmp_path / "a.png").write_text("no image")
    assert "a.png is not an image" in refused(capsys, "predict", trained, tmp_path / "a.png")
    assert "b.png" in refused(capsys, "predict", trained, tmp_path / "b.png")
    (tmp_path / "weights.npz").write_bytes(b"no archive")
    assert "weights.npz: expected an .npz file" in refused(capsys, "evaluate", tmp_path / "weights.npz")
    checkpoint.save_arrays(tmp_path / "arrays.npz", {"x": np.zeros(3)})
    assert "it names no model" in refused(capsys, "evaluate", tmp_path / "arrays.npz")


def test_a_run_never_overwrites_another(trained, capsys):
    before = {path.name: path.stat().st_mtime_ns for path in trained.iterdir()}
    assert "exists and is not empty" in refused(capsys, *TINY, "--out", trained)
    assert {path.name: path.stat().st_mtime_ns for path in trained.iterdir()} == before


def test_runs_without_a_name_are_numbered(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "digits").mkdir(parents=True)
    code, out, _ = run(capsys, *TINY)
    assert code == 0
    assert out.rstrip().endswith(os.path.join("runs", "digits-2"))
    assert (tmp_path / "runs" / "digits-2" / "last.npz").exists()
