"""A checkpoint comes back as it was saved, or says why not; an older one survives a failing save."""

import os
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_resnet import files, models
from numpy_resnet.checkpoint import CheckpointError, load_arrays, load_metadata, load_model, save_arrays, save_model

RNG = np.random.default_rng(3)
ARRAYS = {
    "conv1.weight": RNG.standard_normal((4, 3, 3, 3), dtype=np.float32),
    "bn1.num_batches_tracked": np.array(12),  # no axes
    "fc.weight": RNG.standard_normal((5, 4)).T,
    "fc.bias": RNG.standard_normal(20)[::2],  # not contiguous
    "half": np.array([1, np.nan, np.inf, -0.0], np.float16),
    "empty": np.zeros((0, 3)),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def assert_same(back, arrays):
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array, strict=True)  # shape and dtype, too


def test_arrays_come_back_with_shape_and_dtype(tmp_path):
    save_arrays(tmp_path / "a.npz", ARRAYS)
    assert_same(load_arrays(tmp_path / "a.npz"), ARRAYS)
    assert load_metadata(tmp_path / "a.npz") == {}


def test_metadata_is_beside_the_arrays_and_not_among_them(tmp_path):
    metadata = {"model": "resnet18", "epoch": 3, "mean": [0.5], "classes": ["Ä", "ß"], "note": None}
    save_arrays(tmp_path / "a.npz", ARRAYS, metadata)
    assert_same(load_arrays(tmp_path / "a.npz"), ARRAYS)
    assert load_metadata(tmp_path / "a.npz") == metadata


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_any_json_comes_back(tmp_path_factory, metadata):
    path = tmp_path_factory.mktemp("checkpoint") / "a.npz"
    save_arrays(path, {}, metadata)
    assert load_metadata(path) == metadata
    assert load_arrays(path) == {}


def test_nothing_is_written_to_the_arguments(tmp_path):
    arrays, metadata = {"x": np.ones(3)}, {"epoch": 1}
    arrays["x"].flags.writeable = False
    save_arrays(tmp_path / "a.npz", arrays, metadata)
    assert list(arrays) == ["x"]
    assert metadata == {"epoch": 1}


def test_numpy_reads_it(tmp_path):
    save_arrays(tmp_path / "a.npz", ARRAYS, {"epoch": 1})
    with np.load(tmp_path / "a.npz") as archive:
        assert set(archive) == {*ARRAYS, "__metadata__"}
        np.testing.assert_array_equal(archive["fc.weight"], ARRAYS["fc.weight"])


def test_the_content_says_what_a_file_is_and_not_its_name(tmp_path):
    save_arrays(tmp_path / "a.NPZ", ARRAYS, {"epoch": 1})
    shutil.move(tmp_path / "a.NPZ", tmp_path / "weights.bin")
    assert_same(load_arrays(tmp_path / "weights.bin"), ARRAYS)
    assert load_metadata(tmp_path / "weights.bin") == {"epoch": 1}


@pytest.mark.parametrize("name", ["a.foo", "a", "a.npz.txt", ".npz"])
def test_an_unknown_extension_is_refused_with_the_known_ones(tmp_path, name):
    with pytest.raises(CheckpointError, match=r"cannot write .*: the extension must be one of \.npz"):
        save_arrays(tmp_path / name, ARRAYS)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("arrays", "metadata", "error", "message"),
    [
        ({"__metadata__": np.zeros(1)}, None, CheckpointError, "__metadata__ is reserved"),
        ({"x": np.array([{}])}, None, TypeError, "x must hold numbers or text"),
        ({}, {"mean": np.float32(1)}, TypeError, "metadata must be text, numbers, lists and dicts.*float32"),
        ({}, ["epoch", 1], TypeError, "metadata must be a dict; got list"),
    ],
)
def test_what_cannot_be_saved_is_refused(tmp_path, arrays, metadata, error, message):
    with pytest.raises(error, match=message):
        save_arrays(tmp_path / "a.npz", arrays, metadata)
    assert not os.listdir(tmp_path)


def test_a_write_that_fails_midway_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    save_arrays(path, ARRAYS, {"epoch": 1})
    real, written = np.lib.format.write_array, []

    def fail_at_the_third(file, array, **options):
        real(file, array, **options)
        written.append(array)
        if len(written) == 3:
            raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, "write_array", fail_at_the_third)
        with pytest.raises(OSError, match="disk full"):
            save_arrays(path, {name: array + 1 for name, array in ARRAYS.items()}, {"epoch": 2})
    assert os.listdir(tmp_path) == ["a.npz"]
    assert_same(load_arrays(path), ARRAYS)
    assert load_metadata(path) == {"epoch": 1}


@pytest.mark.parametrize("load", [load_arrays, load_metadata])
def test_a_file_cut_short_is_a_checkpoint_error(tmp_path, load):
    save_arrays(tmp_path / "a.npz", ARRAYS, {"epoch": 1})
    whole = (tmp_path / "a.npz").read_bytes()
    for length in (0, 3, len(whole) // 2, len(whole) - 1):
        (tmp_path / "b.npz").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"b\.npz: (expected weights|the file is broken)"):
            load(tmp_path / "b.npz")


def test_pickled_content_is_refused_and_not_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    np.savez(tmp_path / "a.npz", x=np.zeros(2), trap=np.array([Trap()], dtype=object))
    with pytest.raises(CheckpointError, match="free of pickles"):
        load_arrays(tmp_path / "a.npz")
    assert os.listdir(tmp_path) == ["a.npz"]


@pytest.mark.parametrize(
    ("note", "message"),
    [
        (b"{", "expected JSON"),
        (b"[" * 100_000, "expected JSON"),
        (b"\xff", "expected JSON"),
        (b"[1]", "expected a dict.*got list"),
    ],
)
def test_metadata_of_another_hand_is_a_checkpoint_error(tmp_path, note, message):
    files.write_npz(tmp_path / "a.npz", {"__metadata__": np.frombuffer(note, np.uint8), "x": np.zeros(1)})
    with pytest.raises(CheckpointError, match=rf"a\.npz: {message}"):
        load_metadata(tmp_path / "a.npz")
    assert list(load_arrays(tmp_path / "a.npz")) == ["x"]


def test_a_checkpoint_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.npz"):
        load_arrays(tmp_path / "a.npz")


def test_checkpoint_errors_are_value_errors():
    assert issubclass(CheckpointError, ValueError)


MODELS = {
    "cifar_resnet20": lambda: models.cifar_resnet20(7, in_channels=2, dropout=0.25, seed=3),
    "plain18": lambda: models.plain18(3, in_channels=1, stem="cifar", dtype=np.float64),
    "resnet18": lambda: models.resnet18(np.int64(2), dropout=np.float32(0.5)),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_whole(tmp_path, name):
    model = MODELS[name]()
    for _, param, _ in model.named_parameters():
        param += RNG.standard_normal(param.shape).astype(param.dtype)
    save_model(tmp_path / "a.npz", model, {"classes": ["x", "y"], "model": "a lie"})
    back, metadata = load_model(tmp_path / "a.npz")
    assert (back.name, back.options) == (name, model.options)
    assert_same(back.state_dict(), model.state_dict())
    assert metadata["classes"] == ["x", "y"]
    assert not any(layer.training for _, layer in back.named_layers())


def test_arrays_that_do_not_fit_the_model_are_a_checkpoint_error(tmp_path):
    save_model(tmp_path / "a.npz", models.cifar_resnet20(7))
    arrays, metadata = load_arrays(tmp_path / "a.npz"), load_metadata(tmp_path / "a.npz")
    del arrays["fc.bias"]
    save_arrays(tmp_path / "b.npz", arrays, metadata)
    with pytest.raises(CheckpointError, match=r"b\.npz: the file does not fit cifar_resnet20.*\n.*missing: fc\.bias"):
        load_model(tmp_path / "b.npz")
    for broken in ({"model": "resnet19"}, {}, {"model": ["resnet18"]}):
        save_arrays(tmp_path / "c.npz", arrays, broken)
        with pytest.raises(
            CheckpointError, match=r"c\.npz: (no model here is called|the file does not fit a model here)"
        ):
            load_model(tmp_path / "c.npz")
    for options in ({"depth": 3}, {"num_classes": "many"}, {"num_classes": 2_000_000_000_000}, None):
        save_arrays(tmp_path / "d.npz", arrays, {**metadata, "options": options})
        with pytest.raises(CheckpointError, match=r"d\.npz: the file does not fit"):
            load_model(tmp_path / "d.npz")


@pytest.mark.parametrize(("name", "stem"), [("resnet18", "imagenet"), ("resnet50", "cifar"), ("plain18", "cifar")])
def test_a_narrow_network_comes_back_with_its_description_and_without(tmp_path, name, stem):
    model = getattr(models, name)(3, in_channels=2, stem=stem, width=5, seed=1)
    assert model.options["width"] == 5
    save_model(tmp_path / "told.npz", model)
    save_arrays(tmp_path / "bare.npz", model.state_dict())
    for path in (tmp_path / "told.npz", tmp_path / "bare.npz"):
        back, _ = load_model(path)
        assert (back.name, back.options) == (name, model.options)
        assert_same(back.state_dict(), model.state_dict())
    assert "width" not in getattr(models, name)(3).options  # as in files from before there were others
