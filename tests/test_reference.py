"""The oracle itself: PyTorch's numbers for every op, and im2col against its transpose."""

import ast
from pathlib import Path

import numpy as np
import pytest
from golden_cases import assert_close, cases
from hypothesis import given
from hypothesis import strategies as st

from numpy_resnet import reference

CASES = [pytest.param(case, id=case.id) for case in cases()]


def backward(case, dy, arrays):
    """The gradients as a tuple. im2col and col2im are each other's backward."""
    geometry = {name: value for name, value in case.options.items() if name != "size"}
    if case.op == "im2col":
        return (reference.col2im(dy, size=arrays[0].shape[2:], **geometry),)
    if case.op == "col2im":
        return (reference.im2col(dy, **geometry),)
    grads = getattr(reference, f"{case.op}_backward")(dy, *arrays, **case.options)
    return grads if isinstance(grads, tuple) else (grads,)


@pytest.mark.parametrize("case", CASES)
def test_forward_is_pytorchs(case):
    y = getattr(reference, case.op)(*case.arrays.values(), **case.options)
    assert_close(y, case.y, error="y")


@pytest.mark.parametrize("case", CASES)
def test_backward_is_pytorchs(case):
    grads = backward(case, case.dy, list(case.arrays.values()))
    assert len(grads) == len(case.grads)
    for name, grad, expected in zip(case.arrays, grads, case.grads, strict=False):
        assert_close(grad, expected, error=f"d{name}")


@pytest.mark.parametrize("case", CASES)
def test_dtype_in_is_dtype_out(case):
    def single(array):
        return np.float32(array) if np.result_type(array) == np.float64 else array

    arrays = [None if array is None else single(array) for array in case.arrays.values()]
    options = {name: single(v) if isinstance(v, np.ndarray) else v for name, v in case.options.items()}
    y = getattr(reference, case.op)(*arrays, **options)
    assert y.dtype == np.float32
    for grad in backward(case._replace(options=options), single(case.dy), arrays):
        assert grad is None or grad.dtype == np.float32


@st.composite
def windows(draw):
    """The shape of a small image, and a window that fits it."""
    N, C, H, W = (draw(st.integers(least, 5)) for least in (0, 1, 1, 1))
    PH, PW = (draw(st.integers(0, 2)) for _ in range(2))
    KH, KW = draw(st.integers(1, H + 2 * PH)), draw(st.integers(1, W + 2 * PW))
    stride = draw(st.one_of(st.integers(1, 4), st.tuples(st.integers(1, 4), st.integers(1, 4))))
    return (N, C, H, W), {"kernel_size": (KH, KW), "stride": stride, "padding": (PH, PW)}


@given(windows(), st.integers(0, 2**32 - 1))
def test_col2im_is_the_transpose_of_im2col(window, seed):
    (N, C, H, W), options = window
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, (N, C, H, W)).astype(np.float64)  # integers: both sums are exact
    cols = reference.im2col(x, **options)
    c = rng.integers(-9, 10, cols.shape).astype(np.float64)
    assert np.sum(cols * c) == np.sum(x * reference.col2im(c, size=(H, W), **options))


def test_imports_numpy_only():
    tree = ast.parse(Path(reference.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == ["import numpy as np"]
