"""The kernels beside NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_resnet.kernels import batchnorm
from numpy_resnet.kernels.matmul import BLOCK, DEPTH, GROUP, matmul, product
from numpy_resnet.kernels.vectors import COLUMNS, ROWS

RNG = np.random.default_rng(2)
SIZES, ORDERS = st.integers(0, 40), st.sampled_from("CF")


@given(rows=SIZES, depth=SIZES, columns=SIZES, order_a=ORDERS, order_b=ORDERS, dtype=st.sampled_from("fd"))
def test_matmul_equals_numpy(rows, depth, columns, order_a, order_b, dtype):
    a = RNG.standard_normal((rows, depth)).astype(dtype, order=order_a)
    b = RNG.standard_normal((depth, columns)).astype(dtype, order=order_b)
    tolerance = 1e-5 if dtype == "f" else 1e-13
    np.testing.assert_allclose(matmul(a, b), a @ b, rtol=tolerance, atol=10 * tolerance)
    out = np.ones((rows, columns), dtype)
    np.testing.assert_allclose(matmul(a, b, out=out, accumulate=True), a @ b + 1, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("beyond", [-1, 0, 1, ROWS + 1])
def test_matmul_at_the_edges_of_its_tiles(beyond):
    a = RNG.standard_normal((BLOCK + beyond, 2 * DEPTH + beyond))
    b = RNG.standard_normal((2 * DEPTH + beyond, GROUP * COLUMNS + beyond))
    np.testing.assert_allclose(matmul(a, b), a @ b, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(matmul(b.T, a.T), b.T @ a.T, rtol=1e-12, atol=1e-12)


def test_the_kernel_steps_without_the_compiler_too():
    """Where the compiler is off, matmul asks NumPy; its kernel is tried here on its own."""
    a, b = RNG.standard_normal((ROWS + 1, 3)), RNG.standard_normal((3, 2))
    y = np.ones((ROWS + 1, 2))
    product(a, b, y, False)
    np.testing.assert_allclose(y, a @ b, rtol=1e-13)
    product(a, b, y, True)
    np.testing.assert_allclose(y, 2 * (a @ b), rtol=1e-13)


def test_matmul_shows_nan_and_infinity():
    a = np.array([[1.0, np.nan], [np.inf, 1.0], [1.0, 1.0]])
    np.testing.assert_array_equal(matmul(a, np.ones((2, 1))), [[np.nan], [np.inf], [2.0]])


@pytest.mark.parametrize("rows", [1, 2, batchnorm.ROWS, batchnorm.ROWS + 1, 3 * batchnorm.ROWS - 7])
def test_moments_equal_numpy(rows):
    x = 1e3 + RNG.standard_normal((rows, 3)) * [1, 10, 0.1]
    mean, var = batchnorm.moments(x)
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(var, x.var(axis=0), rtol=1e-9, atol=1e-18)
