"""PyTorch's files, read and written without PyTorch: honest ones."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from checkpoint.torch_files import SYSTEM, state, storage, stream_file, tar_file, tensor, value, zip_file

from numpy_resnet import data, models
from numpy_resnet.checkpoint import CheckpointError, load_arrays, load_metadata, load_model, load_weights, save_arrays

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = np.load(GOLDEN / "checkpoints.npz")
WEIGHTS = Path(os.environ.get("NUMPY_RESNET_DATA", "nowhere")).parent / "weights"


def assert_same(arrays, expected):
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)


def load(tmp_path, content):
    path = tmp_path / "some.file"
    path.write_bytes(content)
    return load_arrays(path)


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("checkpoint_*.pth")))
def test_what_torch_save_wrote(name):
    content = name.split("_")[1]
    expected = {key.split("/")[1]: EXPECTED[key] for key in EXPECTED.files if key.startswith(f"{content}/")}
    assert_same(load_arrays(GOLDEN / f"{name}.pth"), expected)
    assert load_metadata(GOLDEN / f"{name}.pth") == {}


def test_tensors_of_one_storage_share_memory():
    arrays = load_arrays(GOLDEN / "checkpoint_tensors_zip.pth")
    arrays["base"][1, 0] = 99
    assert arrays["turned"][0, 1] == arrays["part"][0, 0] == 99


def test_the_other_byte_order(tmp_path):
    numbers = np.arange(4, dtype=">f4")
    swapped = load(tmp_path, zip_file(state(x=tensor()), {"0": numbers.tobytes()}, byteorder="big"))
    assert_same(swapped, {"x": np.arange(4, dtype=np.float32).reshape(2, 2)})
    system = SYSTEM | {"little_endian": False}
    pickled = state(x=tensor(storage(view=[None])))
    assert_same(load(tmp_path, stream_file(pickled, {"0": (4, numbers.tobytes())}, system=system)), swapped)


def test_any_archive_name_and_unknown_entries(tmp_path):
    content = zip_file(state(x=tensor()), folder="résumé (1)/", version="3\n", **{".data/serialization_id": "1"})
    assert list(load(tmp_path, content)) == ["x"]


def test_an_archive_that_was_packed_again(tmp_path):
    content = zip_file(state(x=tensor()), {"0": np.arange(4.0, dtype="f4").tobytes()}, compression=zipfile.ZIP_DEFLATED)
    np.testing.assert_array_equal(load(tmp_path, content)["x"], [[0, 1], [2, 3]])


def test_a_part_of_a_storage_in_a_stream(tmp_path):
    pickled = state(x=tensor(storage(view=[("v", 1, 3)]), 1, (2,), (1,)))
    content = stream_file(pickled, {"0": (4, np.arange(4.0, dtype="f4").tobytes())})
    np.testing.assert_array_equal(load(tmp_path, content)["x"], [2, 3])


def test_the_tar_of_2017(tmp_path):
    x = load(tmp_path, tar_file(range(6), (3, 2), (1, 3)))["x"]
    np.testing.assert_array_equal(x, np.arange(6, dtype=np.float32).reshape(2, 3).T, strict=True)
    x = load(tmp_path, tar_file(range(6), (2,), (1,), 1, views=[(8, 7, 2, 3)]))["x"]
    np.testing.assert_array_equal(x, np.array([3, 4], np.float32), strict=True)


def test_names_in_dicts_and_lists(tmp_path):
    inner = b"](" + tensor() + value(1.5) + tensor() + b"e"
    arrays = load(tmp_path, zip_file(state(a=inner, note=value("text"), b=tensor())))
    assert list(arrays) == ["a.0", "a.2", "b"]


def test_a_tensor_alone_is_called_tensor(tmp_path):
    assert list(load(tmp_path, zip_file(b"\x80\x02" + tensor() + b"."))) == ["tensor"]


def test_a_whole_model_is_refused_with_what_to_do(tmp_path):
    pickled = b"\x80\x02ctorchvision.models.resnet\nResNet\n)R."
    with pytest.raises(CheckpointError, match=r"asks for torchvision\.models\.resnet\.ResNet.*save model\.state_dict"):
        load(tmp_path, zip_file(pickled))


@pytest.mark.parametrize("extension", [".pth", ".pt", ".th", ".safetensors", ".npz"])
def test_what_is_written_comes_back(tmp_path, extension):
    rng = np.random.default_rng(0)
    arrays = {
        "a": rng.standard_normal((3, 4), dtype=np.float32), "turned": rng.standard_normal((2, 3)).T,
        "half": rng.standard_normal(5).astype(np.float16), "step": np.array(7), "mask": np.array([True, False]),
        "empty": np.zeros((0, 3), np.int32), "other order": np.arange(3, dtype=">i2"), "ü": np.uint8([1, 255]),
    }  # fmt: skip
    path, metadata = tmp_path / f"x{extension}", {"epoch": [1, None], "note": "ä"}
    save_arrays(path, arrays, metadata)
    arrays["other order"] = arrays["other order"].astype("i2") if extension != ".npz" else arrays["other order"]
    assert_same(load_arrays(path), arrays)
    assert load_metadata(path) == metadata
    assert all(array.flags.writeable for array in load_arrays(path).values())


@pytest.mark.parametrize("extension", [".pth", ".safetensors"])
def test_a_dtype_that_the_format_does_not_have(tmp_path, extension):
    with pytest.raises(CheckpointError, match=r"x must be of .* got complex128"):
        save_arrays(tmp_path / f"x{extension}", {"x": np.zeros(2, complex)})
    assert not os.listdir(tmp_path)


def test_pytorch_reads_what_we_write(tmp_path):
    torch = pytest.importorskip("torch")
    model = models.cifar_resnet20(seed=1)
    save_arrays(tmp_path / "a.pth", model.state_dict(), {"epoch": 1})
    state_dict = torch.load(tmp_path / "a.pth", weights_only=True)
    assert type(state_dict).__name__ == "OrderedDict"
    torch.save(state_dict, tmp_path / "b.pth")
    assert_same(load_arrays(tmp_path / "b.pth"), model.state_dict())


@pytest.mark.parametrize("extension", [".pth", ".safetensors", ".npz"])
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "cifar_resnet32"])
def test_a_model_from_its_arrays_alone(tmp_path, name, extension):
    options = {} if name.startswith("cifar") else {"stem": "cifar"}
    model = models.MODELS[name](7, in_channels=2, seed=1, **options)
    save_arrays(tmp_path / f"a{extension}", model.state_dict())
    back, metadata = load_model(tmp_path / f"a{extension}")
    assert (back.name, metadata) == (name, {})
    assert back.options == model.options
    assert_same(back.state_dict(), model.state_dict())


def test_names_of_others(tmp_path):
    model = models.resnet18(3, seed=1)
    theirs = {key: array for key, array in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    theirs = {key.replace("fc.", "linear.").replace("downsample.", "shortcut."): a for key, a in theirs.items()}
    theirs = {f"state_dict.module.{key}": array for key, array in theirs.items()}
    save_arrays(tmp_path / "a.pth", {"optimizer.0": np.zeros(3), **theirs})
    back, _ = load_model(tmp_path / "a.pth")
    assert_same(back.state_dict(), model.state_dict())
    other = models.resnet18(3, seed=2)
    assert load_weights(tmp_path / "a.pth", other) is False
    assert_same(other.state_dict(), model.state_dict())


def test_another_number_of_classes(tmp_path):
    theirs, ours = models.cifar_resnet20(10, seed=1), models.cifar_resnet20(3, seed=2)
    before = ours.state_dict()
    save_arrays(tmp_path / "a.pth", theirs.state_dict())
    with pytest.raises(CheckpointError, match=r"(?s)a\.pth: state does not fit.*fc\.bias must be .* shape \(3,\)"):
        load_weights(tmp_path / "a.pth", ours)
    assert_same(ours.state_dict(), before)
    assert load_weights(tmp_path / "a.pth", ours, new_classes=True) is True
    expected = theirs.state_dict() | {key: before[key] for key in ("fc.weight", "fc.bias")}
    assert_same(ours.state_dict(), {key: expected[key] for key in before})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("fc.weight"), "there is no conv1.weight, or no fc.weight"),
        (lambda s: s.update({"layer4.0.conv1.weight": np.zeros(1)}), "no model here has 3, 3, 3, 1 plain blocks"),
        (lambda s: s.update({"conv1.weight": np.zeros((1, 10**6, 1, 1), "f4")}), "no model here has conv1.weight and"),
        (lambda s: s.update({"fc.weight": np.zeros((10**6, 1), "f4")}), "no model here has conv1.weight and"),
        (lambda s: s.update({"bn1.wieght": s.pop("bn1.weight")}), r"unexpected: bn1.wieght \(is it bn1.weight\?\)"),
    ],
)
def test_arrays_of_no_model_here(tmp_path, change, message):
    arrays = models.cifar_resnet20().state_dict()
    change(arrays)
    save_arrays(tmp_path / "a.pth", arrays)
    with pytest.raises(CheckpointError, match=rf"(?s)a\.pth: .*{message}"):
        load_model(tmp_path / "a.pth")


@pytest.mark.skipif(
    not WEIGHTS.exists(), reason="needs $NUMPY_RESNET_DATA/../weights: CIFAR-10 ResNets of Y. Idelbayev"
)
@pytest.mark.real_size
@pytest.mark.parametrize(("name", "wrong"), [("resnet20-12fca82f", 85), ("resnet32-d509ac18", 72)])
def test_trained_networks_of_others_predict(name, wrong):
    """Both networks err on as many of the 1,000 images as they do in PyTorch."""
    model, _ = load_model(WEIGHTS / f"{name}.th")
    test = data.load("cifar10").test
    mean, std = (np.array(v, np.float32)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    x = (test.pixels.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2) / np.float32(255) - mean) / std
    predicted = np.concatenate([model.infer(x[i : i + 250]).argmax(axis=1) for i in range(0, 1000, 250)])
    assert (predicted != test.labels).sum() == wrong
