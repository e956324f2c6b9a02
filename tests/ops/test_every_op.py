"""What holds for every op, over shapes that hypothesis draws."""

from functools import partial

import numpy as np
import pytest
from golden_cases import assert_close, cases
from hypothesis import given
from hypothesis import strategies as st
from op_table import OPS

from numpy_resnet import ops
from numpy_resnet.gradcheck import check_gradients


def run(example, arrays, seed=0):
    """y, the cache, dy and the gradients as a tuple."""
    y, cache = example.f(*arrays)
    dy = np.asarray(np.random.default_rng(seed).standard_normal(np.shape(y)), y.dtype)
    gradients = example.f_backward(dy, cache)
    return y, cache, dy, gradients if isinstance(gradients, tuple) else (gradients,)


def test_the_table_holds_every_op():
    pairs = {name.removesuffix("_backward") for name in ops.__all__ if name.endswith("_backward")}
    assert pairs | {"im2col", "col2im"} == set(OPS)


@pytest.mark.parametrize("name", OPS)
@given(data=st.data())
def test_forward_equals_the_definition(name, data):
    example = data.draw(OPS[name]())
    y, _ = example.f(*example.arrays)
    assert_close(y, example.definition(*example.arrays))


@pytest.mark.parametrize("name", OPS)
@given(data=st.data())
def test_backward_equals_finite_differences(name, data):
    example = data.draw(OPS[name]())
    report = check_gradients(example.f, example.f_backward, *example.arrays, tolerance=2e-5)
    assert report.ok, str(report)
    assert report.arguments


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id)
def test_golden_values_of_pytorch(case):
    f, f_backward = getattr(ops, case.op), getattr(ops, f"{case.op}_backward", None)
    if f_backward is None:  # im2col and col2im: arrays, and each the backward of the other
        assert_close(f(*case.arrays.values(), **case.options), case.y)
        return
    y, cache = f(*case.arrays.values(), **case.options)
    assert_close(y, case.y)
    gradients = f_backward(case.dy, cache)
    for got, expected in zip(gradients if isinstance(gradients, tuple) else (gradients,), case.grads, strict=True):
        assert_close(got, expected, 1e-11)


@pytest.mark.parametrize("name", OPS)
@given(data=st.data())
def test_nothing_is_written_to_or_shared_and_dtype_shape_and_memory_order_are_kept(name, data):
    example = data.draw(OPS[name]())
    for dtype in (np.float32, np.float64):
        f, arrays = in_dtype(example, dtype)
        before = [None if a is None else a.copy() for a in arrays]
        y, cache, dy, gradients = run(example._replace(f=f), arrays)
        assert y.dtype == dtype
        assert not any(a is not None and np.shares_memory(y, a) for a in arrays)
        for array, gradient in zip(arrays, gradients, strict=False):
            assert (array is None) == (gradient is None)
            if array is not None:
                assert gradient.shape == array.shape
                assert gradient.dtype == dtype
                assert name == "add" or not np.shares_memory(gradient, dy)
        for array in (y, *gradients):
            if array is not None and array.ndim == 4 and name != "add":  # the gradient of add is the upstream itself
                assert array.transpose(0, 2, 3, 1).flags.c_contiguous
        dy_before = dy.copy()
        again = example.f_backward(dy, cache)
        again = again if isinstance(again, tuple) else (again,)
        for first, second in zip(gradients, again, strict=True):
            np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(dy, dy_before)
        for array, old in zip(arrays, before, strict=True):
            np.testing.assert_array_equal(array, old)


def in_dtype(example, dtype):
    """f and the arrays, all floats converted, those that are bound to f too."""

    def convert(value):
        return value.astype(dtype) if getattr(value, "dtype", np.dtype(int)).kind == "f" else value

    f = example.f
    if isinstance(f, partial):
        f = partial(f.func, **{name: convert(value) for name, value in f.keywords.items()})
    return f, tuple(map(convert, example.arrays))


def memory_orders(array):
    """The same numbers in other memory: Fortran order, every second of a larger array, backwards, read-only."""
    if array is None:
        return [None] * 5
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    read_only = array.copy()
    read_only.flags.writeable = False
    channels_last = np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1) if array.ndim > 1 else array
    return [np.asfortranarray(array), wide[..., ::2], array[..., ::-1].copy()[..., ::-1], read_only, channels_last]


@pytest.mark.parametrize("name", OPS)
@given(data=st.data())
def test_memory_order_does_not_matter(name, data):
    example = data.draw(OPS[name]())
    y, _, dy, gradients = run(example, example.arrays)
    in_orders = [memory_orders(array) for array in example.arrays]
    dy_orders = memory_orders(dy) if dy.ndim else [dy] * 5
    for i, other_dy in enumerate(dy_orders):
        other_y, cache = example.f(*(orders[i] for orders in in_orders))
        np.testing.assert_allclose(other_y, y, rtol=1e-12, atol=1e-12)
        others = example.f_backward(other_dy, cache)
        others = others if isinstance(others, tuple) else (others,)
        for got, expected in zip(others, gradients, strict=True):
            if expected is not None:
                np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", OPS)
@given(data=st.data())
def test_backward_is_linear_in_the_upstream(name, data):
    example = data.draw(OPS[name]())
    _, cache, dy, gradients = run(example, example.arrays)
    doubled = example.f_backward(2 * dy, cache)
    doubled = doubled if isinstance(doubled, tuple) else (doubled,)
    for once, twice in zip(gradients, doubled, strict=True):
        if once is not None:
            np.testing.assert_allclose(twice, 2 * once, rtol=1e-12, atol=1e-12)


BATCHED = [name for name in OPS if name not in ("batchnorm2d", "cross_entropy")]


@pytest.mark.parametrize("name", BATCHED)
@given(data=st.data())
def test_an_empty_batch_passes(name, data):
    example = data.draw(OPS[name]())
    batched = {"add": (0, 1), "batchnorm2d_add_relu": (0, 3), "dropout": (0, 1)}.get(
        name, (0,)
    )  # which have a batch axis
    arrays = tuple(a[:0] if i in batched else a for i, a in enumerate(example.arrays))
    y, _, _, gradients = run(example, arrays)
    assert y.shape[0] == 0
    assert gradients[0].shape == arrays[0].shape
    for i, (array, gradient) in enumerate(zip(arrays, gradients, strict=False)):
        if array is not None and i not in batched:
            np.testing.assert_array_equal(gradient, np.zeros_like(array))
