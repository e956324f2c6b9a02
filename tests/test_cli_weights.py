"""numpy-resnet convert and inspect."""

import itertools
import sys

import numpy as np
import pytest

from numpy_resnet import checkpoint, models
from numpy_resnet.cli import main


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.pth"
    checkpoint.save_arrays(path, models.cifar_resnet20(4, seed=1).state_dict(), {"epoch": 3})
    return path


def test_there_and_back(weights, tmp_path, capsys):
    places = [weights, tmp_path / "a.safetensors", tmp_path / "a.npz", tmp_path / "b.pth"]
    for source, target in itertools.pairwise(places):
        assert main(["convert", str(source), str(target)]) == 0
        assert f"{target}: 116 arrays, " in capsys.readouterr().out
    expected, back = (checkpoint.load_arrays(path) for path in (places[0], places[-1]))
    assert list(back) == list(expected)
    assert all(np.array_equal(back[name], expected[name]) for name in expected)
    assert checkpoint.load_metadata(places[-1]) == {"epoch": 3}


def test_to_onnx(weights, tmp_path, capsys):
    onnx = pytest.importorskip("onnx", reason="needs the package onnx")
    assert main(["convert", str(weights), str(tmp_path / "a.onnx"), "--batch", "2", "--size", "24", "--fold"]) == 0
    assert "a.onnx: cifar_resnet20, images of 24x24" in capsys.readouterr().out
    (images,) = onnx.load(tmp_path / "a.onnx").graph.input
    assert [d.dim_value for d in images.type.tensor_type.shape.dim] == [2, 3, 24, 24]


def test_to_onnx_without_the_package(weights, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["convert", str(weights), str(tmp_path / "a.onnx")]) == 2
    assert 'numpy-resnet: to write ONNX files, pip install "numpy_resnet[onnx]"' in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == [weights]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{weights}", "{weights}"], "weights.pth exists: name a new file"),
        (["{weights}", "{folder}/a.foo"], "the extension must be one of .npz, .safetensors, .pth, .pt, .th"),
        (["{folder}/none.pth", "{folder}/a.npz"], "none.pth: No such file"),
        (["{weights}", "{folder}/a.npz", "--fold"], "are for .onnx files"),
    ],
)
def test_what_cannot_be_converted(weights, tmp_path, capsys, arguments, message):
    before = weights.read_bytes()
    assert main(["convert", *(part.format(weights=weights, folder=tmp_path) for part in arguments)]) == 2
    assert message in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == [weights]
    assert weights.read_bytes() == before


def test_inspect(weights, capsys):
    assert main(["inspect", str(weights)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["conv1.weight", "16x3x3x3", "float32", "1,728"]
    assert [line.split()[1] for line in lines if line.startswith("bn1.num_batches")] == ["-"]
    assert lines[-1] == "fits cifar_resnet20(num_classes=4, in_channels=3)"
    assert "epoch: 3" in lines
    assert any(line.startswith("116 arrays, 27") for line in lines)


def test_inspect_what_fits_no_model(tmp_path, capsys):
    checkpoint.save_arrays(tmp_path / "a.npz", {"x": np.zeros((2, 3))})
    assert main(["inspect", str(tmp_path / "a.npz")]) == 0
    assert "fits no model here: it holds no ResNet" in capsys.readouterr().out
