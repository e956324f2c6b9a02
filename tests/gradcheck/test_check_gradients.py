"""The checker itself: right gradients pass, wrong ones fail, and it says where."""

from functools import partial

import numpy as np
import pytest

from numpy_resnet import models, ops
from numpy_resnet.gradcheck import check_gradients, check_model_gradients, op_cases
from numpy_resnet.layers import BatchNorm2d, Dropout, Linear, ReLU, Sequential

RNG = np.random.default_rng(8)
X = RNG.standard_normal((2, 3, 5, 4))
WEIGHT, VECTOR = RNG.standard_normal((4, 3, 3, 2)), RNG.uniform(0.5, 2, 3)
CASES = op_cases()


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_every_op_passes(case):
    _, f, f_backward, arrays = case
    report = check_gradients(f, f_backward, *arrays)
    assert report.ok, str(report)
    assert report.max_relative_error < 1e-6


def test_the_cases_hold_every_op():
    names = {getattr(f, "func", f).__name__ for _, f, _, _ in CASES}
    assert names >= {name.removesuffix("_backward") for name in ops.__all__ if name.endswith("_backward")}


def changed(gradients, i, new):
    return tuple(new if j == i else g for j, g in enumerate(gradients))


def without_mean_path(dy, cache):
    dx, dweight, dbias = ops.batchnorm2d_backward(dy, cache)
    inv_std = 1 / np.sqrt(cache.var + cache.eps)
    return dx + (cache.weight * inv_std * dy.mean(axis=(0, 2, 3)))[:, None, None], dweight, dbias


def col2im_that_assigns(dy, cache):
    dx = np.zeros(cache.shape)
    dcols = np.repeat(dy.reshape(*dy.shape[:2], -1)[:, :, None] / 4, 4, axis=2)
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            dx[:, :, i : i + 2, j : j + 2] = dcols[..., i * dy.shape[3] + j].reshape(*dy.shape[:2], 2, 2)
    return dx


conv = partial(ops.conv2d, stride=(2, 1), padding=(1, 0))
backward = ops.conv2d_backward
WRONG = {
    "sign": (ops.relu, lambda dy, c: -ops.relu_backward(dy, c), (X,)),
    "factor": (ops.relu, lambda dy, c: 1.001 * ops.relu_backward(dy, c), (X,)),
    "mask forgotten": (ops.relu, lambda dy, c: dy, (X,)),
    "weight flipped": (
        conv,
        lambda dy, c: changed(backward(dy, c), 1, backward(dy, c)[1][..., ::-1, :]),
        (X, WEIGHT),
    ),
    "bias averaged": (
        conv,
        lambda dy, c: changed(backward(dy, c), 2, dy.mean(axis=(0, 2, 3))),
        (X, WEIGHT, RNG.standard_normal(4)),
    ),
    "mean path forgotten": (ops.batchnorm2d, without_mean_path, (X, VECTOR, VECTOR)),
    "batch statistics as constants": (ops.batchnorm2d, ops.batchnorm2d_inference_backward, (X, VECTOR, VECTOR)),
    "windows assigned": (partial(ops.avgpool2d, kernel_size=2, stride=1), col2im_that_assigns, (X,)),
    "NaN": (ops.relu, lambda dy, c: dy * np.nan, (X,)),
    "one entry": (ops.add, lambda dy, c: (dy, np.where(dy == dy.flat[7], dy + 1e-3, dy)), (X, X + 1)),
    "arguments swapped": (ops.linear, lambda dy, c: ops.linear_backward(dy, c)[1::-1], (X[0, 0, :4], X[1, 0, :4])),
    "loss not averaged": (
        partial(ops.cross_entropy, labels=np.array([0, 2])),
        lambda dy, c: 2 * ops.cross_entropy_backward(dy, c),
        (X[:, :, 0, 0],),
    ),
    "wrong shape": (ops.relu, lambda dy, c: dy[:1], (X,)),
    "None": (ops.add, lambda dy, c: (dy, None), (X, X)),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("seed", range(3))
def test_wrong_gradients_fail(name, seed):
    f, f_backward, arrays = WRONG[name]
    report = check_gradients(f, f_backward, *arrays, seed=seed)
    assert not report.ok, str(report)
    assert not report
    assert "WRONG" in str(report)


def test_the_report_names_the_worst_entry():
    def f_backward(dy, cache):
        dx = ops.relu_backward(dy, cache).copy()
        dx[1, 2, 3, 0] += 5
        return dx

    x = np.abs(X) + 0.1
    report = check_gradients(ops.relu, f_backward, x)
    (row,) = report.arguments
    assert row.name == "x"
    assert row.worst_index == (1, 2, 3, 0)
    assert abs(row.analytic - row.numeric - 5) < 1e-6
    for part in ("relu: WRONG", "dx", "(1,2,3,0)", "backward", "finite diff."):
        assert part in str(report)
    report = check_gradients(conv, backward, X, WEIGHT)
    assert [row.name for row in report.arguments] == ["x", "weight"]
    assert str(report).count("right") == 3


def test_a_gradient_that_is_not_returned_is_wrong():
    """Forgetting dweight is a common mistake, and not a right gradient."""
    x, weight, bias = X[0, 0], X[1, 0], X[0, 1, :, 0]
    for count, missing in ((0, 3), (1, 2), (2, 1)):
        report = check_gradients(ops.linear, lambda dy, c, n=count: ops.linear_backward(dy, c)[:n], x, weight, bias)
        assert not report.ok
        assert str(report).count("got no gradient") == missing
    assert check_gradients(ops.linear, lambda dy, c: list(ops.linear_backward(dy, c)), x, weight, bias).ok
    assert check_gradients(ops.linear, ops.linear_backward, x, weight).ok  # no bias, and None for it
    with pytest.raises(ValueError, match=r"there must be a float array.*bool"):
        check_gradients(lambda keep: (keep * 1.0, None), lambda dy, cache: dy, X > 0)


def test_a_constant_has_no_gradient():
    keep = X > 0
    report = check_gradients(
        partial(ops.dropout, p=0.5), lambda dy, c: (ops.dropout_backward(dy, c), np.zeros(X.shape)), X, keep
    )
    assert [row.ok for row in report.arguments] == [True, False]
    assert "expected None for a bool array" in str(report)


def test_an_entry_far_smaller_than_the_largest_is_checked_too():
    scale = np.array([1.0, 0.01])

    def f(x):
        return x * scale, None

    def f_backward(dy, cache):
        return dy * scale * [1, 1.0001]

    report = check_gradients(f, f_backward, np.array([0.5, 0.25]))
    assert not report.ok
    assert report.arguments[0].worst_index == (1,)


def test_the_largest_error_is_that_of_all_rows():
    report = check_gradients(ops.add, lambda dy, cache: (dy, 1.5 * dy), X, X)
    assert report.max_relative_error > 0.3 > 1e-6 > report.arguments[0].max_relative_error


def test_a_function_without_a_cache_is_told_so():
    for f in (lambda x: x, lambda x: (x, x, x)):
        with pytest.raises(ValueError, match="must return y, cache"):
            check_gradients(f, lambda dy, cache: dy, X[:, 0])


def test_a_function_that_doubles_its_input_is_told_that_and_not_that_it_is_random():
    def double(x):
        x *= 2
        return x.copy(), None

    with pytest.raises(ValueError, match="double changed x in place"):
        check_gradients(double, lambda dy, cache: 2 * dy, X)


def test_a_shape_that_does_not_fit_is_told():
    report = check_gradients(ops.relu, lambda dy, cache: dy.sum(), X)
    assert "expected shape (2, 3, 5, 4), got shape ()" in str(report)


def test_float32_is_checked_in_float64_and_nothing_is_changed():
    x = X.astype(np.float32)
    before = x.copy()
    assert check_gradients(ops.relu, ops.relu_backward, x).max_relative_error < 1e-8
    np.testing.assert_array_equal(x, before)


def test_the_upstream_does_not_repeat_the_callers_random_numbers():
    """x drawn from the same seed must not equal dy: batch norm's dx would be zero, and any bug right."""
    x, seen = np.random.default_rng(0).standard_normal(12), []

    def f_backward(dy, cache):
        seen.append(dy)
        return dy

    check_gradients(lambda x: (x.copy(), None), f_backward, x, seed=0)
    assert abs(np.corrcoef(seen[0], x)[0, 1]) < 0.9


def test_a_stateful_function_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"gave two answers to the same arrays.*randomness"):
        check_gradients(lambda x: (x * rng.random(x.shape), None), lambda dy, cache: dy, X)


def test_a_function_that_writes_to_its_input_is_refused():
    def relu(x):
        np.maximum(x, 0, out=x)
        return x.copy(), x

    with pytest.raises(ValueError, match="relu changed x in place"):
        check_gradients(relu, lambda dy, cache: dy * (cache > 0), X)

    def add_backward(dy, cache):
        dy *= 2
        return dy, dy

    with pytest.raises(ValueError, match="add_backward changed dy in place"):
        check_gradients(ops.add, add_backward, X, X)


def test_too_many_gradients_are_refused():
    with pytest.raises(ValueError, match="must return one gradient for each of 1 arrays; got 2"):
        check_gradients(ops.relu, lambda dy, cache: (dy, dy), X)


def test_a_gradient_that_is_zero_is_right():
    """The sum of a softmax is 1 whatever x is: only rounding is left to compare."""

    def f(x):
        y, cache = ops.softmax(x)
        return y.sum(axis=1), cache

    report = check_gradients(f, lambda dy, cache: ops.softmax_backward(dy[:, None] + 0 * cache.y, cache), X[:, :, 0, 0])
    assert report.ok, str(report)


def test_a_wrong_layer_is_found_in_a_network():
    wrong = ops.replaced(relu_backward=lambda dy, cache: dy)
    model = models.cifar_resnet20(3, in_channels=1, dtype=np.float64, ops=wrong)
    x = RNG.standard_normal((2, 1, 8, 8))
    report = check_model_gradients(model, x)
    assert not report.ok
    rows = {row.name: row.ok for row in report.arguments}
    assert rows["fc.weight"]  # nothing after the last ReLU is wrong
    assert not rows["conv1.weight"]


def test_a_network_is_left_as_it_was():
    model = models.cifar_resnet20(3, in_channels=1, dtype=np.float64)
    before, x = model.state_dict(), RNG.standard_normal((2, 1, 8, 8))
    assert check_model_gradients(model, x).ok
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[key])
    with pytest.raises(RuntimeError, match="needs a forward"):
        model.backward(np.zeros((2, 3)))


def test_a_kink_nearby_does_not_make_a_right_network_wrong():
    """The ReLU's input is 3e-8, and the first step crosses zero along any direction."""
    linear = Linear(1, 1, dtype=np.float64)
    linear.load_state_dict({"weight": np.ones((1, 1)), "bias": np.array([3e-8 - 1])})
    model = Sequential(linear, ReLU())
    report = check_model_gradients(model, np.ones((1, 1)))
    assert report.ok, report
    model = Sequential(linear, ReLU(ops=ops.replaced(relu_backward=lambda dy, cache: 1.001 * dy)))
    assert not check_model_gradients(model, np.ones((1, 1))).ok


def test_a_network_that_is_refused_is_left_as_it_was():
    model = Sequential(BatchNorm2d(3, dtype=np.float64), Dropout(0.5))
    before = model.state_dict()
    with pytest.raises(ValueError, match="gave two answers"):
        check_model_gradients(model, X)
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[key])
    with pytest.raises(RuntimeError, match="needs a forward"):
        model.backward(X)


def test_a_network_whose_backward_raises_is_left_as_it_was():
    def broken(dy, cache):
        raise ZeroDivisionError("a student's mistake")

    model = models.cifar_resnet20(3, in_channels=1, dtype=np.float64, ops=ops.replaced(relu_backward=broken))
    before = model.state_dict()
    with pytest.raises(ZeroDivisionError, match="a student's mistake"):
        check_model_gradients(model, RNG.standard_normal((2, 1, 8, 8)))
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[key])


def test_a_random_or_single_precision_network_is_refused():
    x = RNG.standard_normal((2, 1, 8, 8))
    with pytest.raises(ValueError, match="gave two answers"):
        check_model_gradients(Sequential(Dropout(0.5)), x)
    with pytest.raises(TypeError, match="float64 for a gradient check"):
        check_model_gradients(models.cifar_resnet20(in_channels=1), x)
