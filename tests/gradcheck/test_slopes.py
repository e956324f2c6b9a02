"""The slopes that decide: how exact they are, and that they know it."""

import numpy as np
import pytest

from numpy_resnet.gradcheck import slopes

RNG = np.random.default_rng(4)


def measured(f, x, analytic=np.nan, dy=None):
    dy = np.ones(np.shape(f(x))) if dy is None else dy
    return slopes.measure(f, x, dy, analytic)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e3])
def test_a_curve_is_measured_as_exactly_as_it_claims(scale):
    x = scale * RNG.uniform(0.5, 2, (3, 4))
    right = 3 * x**2 + np.cos(x / scale) / scale
    found = measured(lambda x: x**3 + np.sin(x / scale), x)
    assert np.all(np.abs(found.gradient - right) <= found.tolerance)
    assert np.abs(found.tolerance / right).max() < 1e-4
    assert not found.wrong(right).any()
    assert found.wrong(right * (1 + 1e-3)).all()
    assert not found.kink.any()


def test_all_outputs_of_all_inputs_are_kept():
    weight = RNG.standard_normal((4, 3))
    found = measured(lambda x: x @ weight.T, RNG.standard_normal((2, 3)))
    assert found.jacobian.shape == (2, 4, 2, 3)
    np.testing.assert_allclose(found.jacobian[1, :, 1], weight, atol=1e-8)
    np.testing.assert_allclose(found.jacobian[0, :, 1], 0, atol=1e-8)


def test_a_kink_is_recognised_and_its_bounds_are_the_slopes_on_both_sides():
    x = np.array([-1.0, 0.0, 2.0])
    found = measured(lambda x: np.maximum(x, 0), x, dy=np.array([1.0, -3.0, 1.0]))
    assert found.kink.tolist() == [False, True, False]
    assert (found.low[1], found.high[1]) == pytest.approx((-3, 0))
    assert not found.wrong(np.array([0.0, 0, 1])).any()
    assert not found.wrong(np.array([0.0, -3, 1])).any()
    assert found.wrong(np.array([0.0, 1, 1])).tolist() == [False, True, False]


def test_a_kink_nearby_is_no_kink():
    x = np.array([-1.0, 4e-6, 2.0])
    right = np.array([0.0, 1, 1])
    found = measured(lambda x: np.maximum(x, 0), x)
    assert not found.kink.any()
    np.testing.assert_allclose(found.gradient, right, atol=1e-4)


def test_ties_of_a_maximum_are_kinks_in_each_output_by_itself():
    """Two windows share the tied pixel, and their upstreams cancel in the sum."""
    x = np.array([1.0, 1.0, 1.0])

    def f(x):
        return np.array([max(x[0], x[1]), max(x[1], x[2])])

    assert measured(f, x, dy=np.array([1.0, -1.0])).kink.all()


def test_single_precision_is_noise():
    x = RNG.standard_normal(20)
    assert slopes.noise(lambda x: np.sin(x).astype(np.float32).astype(float), x) > slopes.NOISE
    assert slopes.noise(np.sin, x) < 1e-13
    assert slopes.noise(lambda x: np.maximum(x, 0), np.zeros(5)) < slopes.NOISE  # a kink is none


def test_complex_steps_are_exact():
    x, dy = RNG.standard_normal((2, 3)), RNG.standard_normal((2, 3))
    found = slopes.complex_slopes(lambda x: np.exp(x) * np.sin(x), x, dy)
    right = dy * np.exp(x) * (np.sin(x) + np.cos(x))
    np.testing.assert_allclose(found.gradient, right, rtol=1e-14)
    with pytest.raises(ValueError, match="complex_step needs an f that computes in complex128"):
        slopes.complex_slopes(lambda x: x.real, x, dy)


@pytest.mark.parametrize("where", [1e-7, 1e-6, 3e-6, 1e-5, -2e-6])
def test_a_kink_of_one_output_among_many_does_not_spoil_the_others(where):
    """Batch norm and ReLU: one of the outputs is about to be cut off, and weighs little in the sum."""
    x, weight = np.array([1.0, -2.0, 0.5]), np.array([1.0, 100.0, -50.0])

    def f(x):
        return np.concatenate([np.maximum(x - 1 - where, 0), weight * x])

    dy = np.ones(6)
    right = weight + np.array([where < 0, 0, 0])
    found = measured(f, x, analytic=right + 1e-3, dy=dy)
    assert not found.wrong(right).any()
    assert found.wrong(right + np.array([1e-2, 0, 0]))[0]


def test_a_right_gradient_of_a_sharp_curve_is_right_everywhere():
    """Every entry is in doubt at first: the step is large for this curve."""
    x, k = RNG.uniform(0.5, 2, 60), 3e3
    found = measured(lambda x: np.sin(k * x), x, analytic=k * np.cos(k * x))
    assert not found.wrong(k * np.cos(k * x)).any()
    assert found.wrong(k * np.cos(k * x) + 1.0).all()
