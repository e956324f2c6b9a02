"""Every algorithm of convolution beside its definition, and the rule that picks one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_table import RNGS, numbers, windows

from numpy_resnet import ops
from numpy_resnet.gradcheck import check_gradients
from numpy_resnet.kernels import winograd as maps
from numpy_resnet.kernels.vectors import LANES

ALGORITHMS = ops.conv.ALGORITHMS
RNG = np.random.default_rng(11)


@st.composite
def problems(draw, algorithm):
    """x, weight, bias or None, and options that this algorithm takes."""
    size, kernel, options = draw(windows())
    if algorithm == "winograd":
        kernel, options = (3, 3), {"padding": draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))}
        size = tuple(draw(st.integers(max(1, 3 - 2 * p), 14)) for p in options["padding"])
    N, C, OC = (draw(st.integers(1, most)) for most in (3, 5, 18))
    rng = draw(RNGS)
    x, weight = rng.standard_normal((N, C, *size)), rng.standard_normal((OC, C, *kernel))
    return x, weight, rng.standard_normal(OC) if draw(st.booleans()) else None, options


@pytest.mark.parametrize("algorithm", ["im2col", "winograd"])
@given(data=st.data())
def test_each_algorithm_equals_the_definition(algorithm, data):
    conv, naive = ALGORITHMS[algorithm], ALGORITHMS["naive"]
    *arrays, options = data.draw(problems(algorithm))
    y, cache = conv.conv2d(*arrays, **options)
    expected, expected_cache = naive.conv2d(*arrays, **options)
    dy = RNG.standard_normal(y.shape)
    got, want = conv.conv2d_backward(dy, cache), naive.conv2d_backward(dy, expected_cache)
    for a, b in zip((y, *got), (expected, *want), strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.shape == b.shape
            assert np.abs(a - b).max() <= 1e-10 * max(1, np.abs(b).max())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_against_finite_differences(algorithm):
    """Tiles that are cut off, H != W, several samples and channels, more padding than the filter needs."""
    arrays = numbers(RNG, 2, 2, 6, 5), numbers(RNG, 3, 2, 3, 3), numbers(RNG, 3)
    conv = ALGORITHMS[algorithm]
    report = check_gradients(lambda *a: conv.conv2d(*a, padding=(1, 3)), conv.conv2d_backward, *arrays)
    assert report.ok, report


@pytest.mark.real_size
@pytest.mark.parametrize("algorithm", ["im2col", "winograd"])
@pytest.mark.parametrize("C", [16, 512])
def test_float32_stays_close_to_float64(algorithm, C):
    conv = ALGORITHMS[algorithm]
    x, weight = RNG.standard_normal((3, C, 14, 13)), RNG.standard_normal((32, C, 3, 3))
    exact, cache = ALGORITHMS["im2col"].conv2d(x, weight, padding=1)
    dy = RNG.standard_normal(exact.shape)
    exact = exact, *ALGORITHMS["im2col"].conv2d_backward(dy, cache)[:2]
    y, cache = conv.conv2d(x.astype("f"), weight.astype("f"), padding=1)
    for got, want in zip((y, *conv.conv2d_backward(dy.astype("f"), cache)[:2]), exact, strict=True):
        assert got.dtype == np.float32
        assert np.abs(got - want).max() <= 2e-5 * np.abs(want).max()


@pytest.mark.real_size
@pytest.mark.parametrize("algorithm", ["im2col", "winograd"])
def test_a_batch_of_many_blocks_equals_its_images_one_by_one(algorithm):
    """Blocks, rounds and chunks of tiles, with remainders."""
    conv = ALGORITHMS[algorithm]
    x, weight = RNG.standard_normal((7, 16, 45, 30)), RNG.standard_normal((40, 16, 3, 3))
    y, cache = conv.conv2d(x, weight, padding=1)
    dx, dweight, _ = conv.conv2d_backward(y, cache)
    total = np.zeros_like(weight)
    for n in range(len(x)):
        one, cache = conv.conv2d(x[n : n + 1], weight, padding=1)
        np.testing.assert_allclose(one[0], y[n], rtol=1e-11, atol=1e-11)
        one_dx, one_dweight, _ = conv.conv2d_backward(y[n : n + 1], cache)
        np.testing.assert_allclose(one_dx[0], dx[n], rtol=1e-10, atol=1e-9)
        total += one_dweight
    np.testing.assert_allclose(total, dweight, rtol=1e-9, atol=1e-8)


def test_winograds_maps_are_a_convolution_and_their_transposes():
    """One dimension, all maps as matrices: AT [(G g) * (BT d)] slides g over d, and backward is the transposes."""

    def matrix(f, size):
        return np.array(f(tuple(np.eye(size))))

    BT, G, AT = matrix(maps.input_values, 6), matrix(maps.filter_values, 3), matrix(maps.output_pixels, 6)
    d, g = RNG.standard_normal(6), RNG.standard_normal(3)
    np.testing.assert_allclose(AT @ ((G @ g) * (BT @ d)), np.correlate(d, g), rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(matrix(maps.upstream_values, 4), AT.T)
    np.testing.assert_allclose(matrix(maps.filter_gradient, 6), G.T, rtol=1e-15)


def test_winograd_refuses_other_filters():
    for kernel, stride in (((3, 3), 2), ((3, 2), 1), ((5, 5), 1)):
        with pytest.raises(ValueError, match=r"weight must be \(OC, C, 3, 3\) and stride 1; got"):
            ALGORITHMS["winograd"].conv2d(np.ones((1, 1, 8, 8)), np.ones((1, 1, *kernel)), stride=stride)


@pytest.mark.real_size
@pytest.mark.parametrize(
    ("algorithm", "N", "size", "kernel", "stride"),
    [
        ("winograd", 1, 56, 3, 1),
        ("winograd", 16, 7, 3, 1),
        ("im2col", 1, 7, 3, 1),  # few tiles do not pay for the filters' transform
        ("im2col", 64, 2, 3, 1),  # most of each tile would be thrown away
        ("im2col", 16, 56, 3, 2),
        ("im2col", 16, 56, 1, 1),
    ],
)
def test_the_rule_picks_by_shape(algorithm, N, size, kernel, stride):
    x, weight = np.zeros((N, LANES, size, size), np.float32), np.zeros((LANES, LANES, kernel, kernel), np.float32)
    _, cache = ops.conv2d(x, weight, stride=stride, padding=kernel // 2)
    assert ops.conv.pick(cache) is ALGORITHMS[algorithm]
