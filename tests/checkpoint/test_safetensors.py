"""safetensors: what the library writes is read here, and the other way round."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from numpy_resnet import models
from numpy_resnet.checkpoint import load_arrays, load_metadata, save_arrays

library = pytest.importorskip("safetensors.numpy", reason="needs the package safetensors")
DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
NAMES = st.text(max_size=5).filter(lambda name: name != "__metadata__" and name.isprintable())
SHAPES = npst.array_shapes(min_dims=0, min_side=0, max_side=3)
ARRAYS = st.dictionaries(NAMES, st.sampled_from(DTYPES).flatmap(lambda dtype: npst.arrays(dtype, SHAPES)), max_size=4)


def assert_same(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)


@given(arrays=ARRAYS)
def test_the_library_reads_what_we_write(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("ours") / "a.safetensors"
    save_arrays(path, arrays, {"epoch": 3})
    assert_same(library.load_file(path), arrays)


@given(arrays=ARRAYS)
def test_we_read_what_the_library_writes(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("theirs") / "a.safetensors"
    library.save_file(arrays, path, metadata={"format": "np"})
    assert_same(load_arrays(path), arrays)
    assert load_metadata(path) == {"format": "np"}


def test_a_model(tmp_path):
    state = models.cifar_resnet20(seed=1).state_dict()
    save_arrays(tmp_path / "a.safetensors", state)
    assert_same(library.load_file(tmp_path / "a.safetensors"), state)
    assert list(load_arrays(tmp_path / "a.safetensors")) == list(state)


def test_numbers_begin_at_multiples_of_their_length(tmp_path):
    arrays = {"a": np.zeros(3, np.int8), "b": np.zeros(3), "c": np.zeros(1, np.float16)}
    save_arrays(tmp_path / "a.safetensors", arrays)
    content = (tmp_path / "a.safetensors").read_bytes()
    assert int.from_bytes(content[:8], "little") % 8 == 0
    assert content.index(b'"b":{"dtype":"F64","shape":[3],"data_offsets":[0,24]}') > 0


def test_bfloat16_becomes_float32(tmp_path):
    header = b'{"x":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]}}'
    numbers = np.array([1.5, -2, 0.0078125], np.float32)
    (tmp_path / "a").write_bytes(
        len(header).to_bytes(8, "little") + header + (numbers.view("u4") >> 16).astype("u2").tobytes()
    )
    np.testing.assert_array_equal(load_arrays(tmp_path / "a")["x"], numbers, strict=True)
