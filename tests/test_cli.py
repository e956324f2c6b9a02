"""The command line: what it prints, what it leaves behind, and how it says no."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from numpy_resnet import checkpoint, data, gradcheck, models, ops, optim
from numpy_resnet.cli import build_parser, check, main, train, use

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
    assert "resnet18, 63 gradients" in out
    assert f"{len(gradcheck.op_cases()) + 1} checks, none wrong" in out


def test_gradcheck_of_one_op_says_when_it_is_wrong(capsys, monkeypatch):
    code, out, _ = run(capsys, "gradcheck", "softmax", "--seed", "3")
    assert code == 0
    assert "1 checks, none wrong" in out
    assert "im2col, col2im  " in run(capsys, "gradcheck", "col2im")[1]
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
    "no such op": (["gradcheck", "conv3d"], "there is no check called conv3d; there are conv2d, im2col, col2im,"),
    "no run": (["evaluate", "nowhere"], "nowhere does not exist: name a folder that `numpy-resnet train` wrote"),
    "no weights": (["evaluate", "."], "last.npz does not exist"),
    "shape": (["summary", "--input", "224"], "--input must be channels x height x width, such as 3x224x224"),
    "too small": (["summary", "--input", "3x0x224"], "--input must be"),
    "no classes": (["summary", "--classes", "0"], "--classes: must be a whole number, at least 1"),
    "cifar stem": (["summary", "cifar_resnet20", "--stem", "cifar"], "--stem is for the ImageNet networks"),
    "cifar stem, train": (["train", "--model", "cifar_plain20", "--stem", "cifar"], "--stem is for the ImageNet"),
    "shift too far": (["train", "--shift", "8"], "--shift must be less than the 8 pixels of an image; got 8"),
    "superscript": (["summary", "--input", "³x8x8"], "--input must be channels x height x width"),
    "too many classes": (["summary", "--classes", "2000000000"], "too large for this machine's memory"),
    "too large an image": (["summary", "--input", "3x1000000x1000000"], "too large for this machine's memory"),
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


def test_weights_that_are_of_no_run(trained, capsys, tmp_path):
    model, about = checkpoint.load_model(trained / "last.npz")
    wrong = [{key: value for key, value in about.items() if key != used} for used in USED]
    wrong += [{**about, "classes": ["0"]}, {**about, "image_size": "8x8"}, {**about, "mean": None}]
    for i, metadata in enumerate(wrong):
        path = tmp_path / f"{i}.npz"
        checkpoint.save_model(path, model, metadata)
        for command in (["evaluate", path], ["predict", path, tmp_path / "a.png"]):
            assert f"{i}.npz: expected weights that `numpy-resnet train` wrote" in refused(capsys, *command)


USED = ("data", "epoch", "classes", "mean", "std", "image_size")


def test_either_weights_of_a_run(trained, capsys, tmp_path):
    model, about = checkpoint.load_model(trained / "last.npz")
    for epoch, name in ((7, "best"), (9, "last")):
        checkpoint.save_model(tmp_path / f"{name}.npz", model, {**about, "epoch": epoch})
    assert ", epoch 9\n" in run(capsys, "evaluate", tmp_path)[1]
    assert ", epoch 7\n" in run(capsys, "evaluate", tmp_path, "--which", "best")[1]


def test_images_of_many_kinds(tmp_path):
    """Height and width are told apart, a turned camera is turned back, 16 bits are scaled."""
    half = np.zeros((8, 40, 3), np.uint8)  # (H, W, 3): black on the left, yellow on the right
    half[:, 20:] = (255, 255, 0)
    Image.fromarray(half).save(tmp_path / "a.png")
    x = use._read_image(tmp_path / "a.png", 3, [4, 10])
    assert (x.shape, x.dtype) == ((3, 4, 10), np.float32)
    np.testing.assert_array_equal(x[:, :, :4], 0)
    np.testing.assert_array_equal(x[:2, :, 6:], 1)
    np.testing.assert_array_equal(x[2], 0)
    ink = Image.new("RGBA", (10, 4), (255, 255, 255, 0))  # white ink on nothing is white on black
    ink.paste((255, 255, 255, 255), (0, 0, 5, 4))
    ink.save(tmp_path / "ink.png")
    np.testing.assert_array_equal(use._read_image(tmp_path / "ink.png", 1, [4, 10])[0, 0], [1] * 5 + [0] * 5)
    exif = Image.Exif()
    exif[0x0112] = 3  # orientation: the camera was upside down
    Image.fromarray(half).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(use._read_image(tmp_path / "turned.png", 3, [4, 10]), x[:, ::-1, ::-1])
    Image.fromarray(np.full((8, 8), 32896, np.uint16)).save(tmp_path / "b.png")
    np.testing.assert_allclose(use._read_image(tmp_path / "b.png", 3, [8, 8]), 128 / 255, rtol=1e-6)


def test_images_that_cannot_be_read(trained, capsys, tmp_path, monkeypatch):
    Image.fromarray(np.arange(4096, dtype=np.uint16).astype(np.uint8).reshape(64, 64)).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "broken.png").write_bytes(whole[:8] + b"\xff" + whole[9:])
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "float.tif")
    for name in ("cut.png", "broken.png"):
        assert f"{name} is not an image that can be read" in refused(capsys, "predict", trained, tmp_path / name)
    assert "float.tif has 32 bits for each pixel" in refused(capsys, "predict", trained, tmp_path / "float.tif")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert "whole.png is too large" in refused(capsys, "predict", trained, tmp_path / "whole.png")


def parsed(*argv):
    return build_parser().parse_args(["train", *argv])


def test_options_reach_the_optimizer():
    model = models.cifar_resnet20(3)
    sgd, schedule = train._build_optimizer(parsed("--lr", "0.3", "--weight-decay", "0.01", "--epochs", "2"), model, 90)
    assert isinstance(sgd, optim.SGD)
    assert (sgd.lr, sgd.momentum, sgd.nesterov, sgd.weight_decay) == (0.3, 0.9, True, 0.01)
    cycle = optim.one_cycle(0.3, steps=6)  # twice 90 images in batches of 32
    assert [schedule(i) for i in range(6)] == [cycle(i) for i in range(6)]
    adamw, schedule = train._build_optimizer(
        parsed("--optimizer", "adamw", "--schedule", "cosine", "--warmup", "2", "--epochs", "1"), model, 90
    )
    assert isinstance(adamw, optim.AdamW)
    assert adamw.weight_decay == 5e-4
    cosine = optim.cosine(0.02, steps=3, warmup=2)
    assert [schedule(i) for i in range(3)] == [cosine(i) for i in range(3)]
    _, schedule = train._build_optimizer(parsed("--schedule", "constant"), model, 90)
    assert [schedule(i) for i in range(3)] == [0.02] * 3


def test_images_are_normalised_and_moved(monkeypatch, tmp_path):
    seen = {}

    def fit(model, dataset, optimizer, schedule, **options):
        seen.update(options, dataset=dataset, model=model)
        raise ValueError("enough")

    monkeypatch.setattr(train.train, "fit", fit)
    assert main([*TINY, "--out", str(tmp_path / "a"), "--shift", "2", "--dropout", "0.25", "--seed", "5"]) == 2
    raw = data.load("digits")
    mean, std = raw.x_train.mean(), raw.x_train.std()
    np.testing.assert_allclose(seen["dataset"].x_train, (raw.x_train - mean) / std, atol=1e-5)
    np.testing.assert_allclose(seen["dataset"].x_test, (raw.x_test - mean) / std, atol=1e-5)
    assert (seen["epochs"], seen["batch_size"], seen["seed"], seen["model"].dropout.p) == (1, 256, 5, 0.25)
    x = seen["dataset"].x_train[:9]
    moved = data.random_shift(x, np.random.default_rng(1), pixels=2, fill=-mean / std)
    np.testing.assert_allclose(seen["augment"](x, np.random.default_rng(1)), moved, rtol=1e-5)
    main([*TINY, "--out", str(tmp_path / "b"), "--shift", "0"])
    assert seen["augment"] is None


def test_best_is_the_epoch_with_the_best_test_accuracy(tmp_path):
    model, history = models.cifar_resnet20(3), []
    for epoch, accuracy in ((1, 0.5), (2, 0.75), (3, 0.625)):
        history.append({"epoch": epoch, "test_accuracy": accuracy})
        train._save_epoch(tmp_path, model, history, {})
        last, best = (checkpoint.load_model(tmp_path / f"{name}.npz")[1] for name in ("last", "best"))
        assert (last["epoch"], best["epoch"]) == (epoch, min(epoch, 2))


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
    assert out.rstrip().endswith(os.path.join("runs", "digits-2"))
    assert (tmp_path / "runs" / "digits-2" / "last.npz").exists()
