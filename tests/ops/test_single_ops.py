"""What is particular to one op."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from op_table import OPS, images, numbers, windows

from numpy_resnet import ops
from numpy_resnet.ops.maxpool import maxpool2d_inference

RNG = np.random.default_rng(11)


@given(data=st.data())
def test_im2col_and_col2im_are_transposes(data):
    size, kernel, options = data.draw(windows())
    x = data.draw(images(size))
    cols = ops.im2col(x, kernel_size=kernel, **options)
    other = numbers(np.random.default_rng(3), *cols.shape)
    back = ops.col2im(other, size=size, kernel_size=kernel, **options)
    np.testing.assert_allclose(np.sum(cols * other), np.sum(x * back), rtol=1e-10, atol=1e-10)


@pytest.mark.real_size
def test_the_stem_leaves_a_remainder():
    """224 + 6 - 7 is odd: the last row of padding is in no window."""
    y, cache = ops.conv2d(
        np.zeros((1, 1, 224, 224), np.float32), np.ones((1, 1, 7, 7), np.float32), stride=2, padding=3
    )
    assert y.shape == (1, 1, 112, 112)
    dx, _, _ = ops.conv2d_backward(np.ones_like(y), cache)
    assert dx[0, 0, 0, 0] == 4  # the first pixel lies in 2x2 windows
    assert dx[0, 0, -1, -1] == 4


def test_padding_may_exceed_the_kernel_in_a_convolution():
    y, _ = ops.conv2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1)), padding=3)
    assert y.sum() == 4


@given(data=st.data())
def test_max_pooling_without_a_cache(data):
    example = data.draw(OPS["maxpool2d"]())
    (x,) = example.arrays
    x = np.where(RNG.random(x.shape) < 0.05, np.nan, x)
    y = maxpool2d_inference(x, **example.f.keywords)
    np.testing.assert_array_equal(y, ops.maxpool2d(x, **example.f.keywords)[0])


def test_max_pooling_where_windows_tie():
    """The first of equals wins, and its gradient is whole."""
    y, cache = ops.maxpool2d(np.ones((1, 1, 2, 2)), kernel_size=2)
    assert cache.winner.item() == 0
    np.testing.assert_array_equal(ops.maxpool2d_backward(np.full_like(y, 5), cache), [[[[5, 0], [0, 0]]]])


def test_max_pooling_of_negative_numbers_ignores_the_padding():
    y, _ = ops.maxpool2d(-np.ones((1, 1, 2, 2)), kernel_size=2, stride=1, padding=1)
    np.testing.assert_array_equal(y, -np.ones((1, 1, 3, 3)))


def test_batch_statistics_survive_a_large_offset():
    """Variance by E[x**2] - E[x]**2 would lose every digit here."""
    x = 1e8 + RNG.standard_normal((64, 2, 7, 5))
    y, cache = ops.batchnorm2d(x, np.ones(2), np.zeros(2))
    np.testing.assert_allclose(cache.mean, x.mean(axis=(0, 2, 3)), rtol=1e-15)
    np.testing.assert_allclose(cache.var, x.var(axis=(0, 2, 3)), rtol=1e-7)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), 1, rtol=1e-4)


def test_batch_norm_of_a_constant_channel_stays_finite():
    y, cache = ops.batchnorm2d(np.full((2, 1, 3, 3), 7.0), np.ones(1), np.full(1, 0.5))
    np.testing.assert_array_equal(y, np.full(y.shape, 0.5))
    assert np.isfinite(ops.batchnorm2d_backward(y, cache)[0]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_and_loss_at_logits_of_10_000(dtype):
    logits = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4]], dtype)
    np.testing.assert_allclose(ops.softmax(logits)[0], [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)
    loss, cache = ops.cross_entropy(logits, np.array([1, 0]))
    np.testing.assert_allclose(loss, (2e4 + np.log(3)) / 2, rtol=1e-6)
    gradient = ops.cross_entropy_backward(1.0, cache)
    np.testing.assert_allclose(gradient, [[0.5, -0.5, 0], [-1 / 3, 1 / 6, 1 / 6]], rtol=1e-6)


def test_dropout_changes_nothing_on_average():
    x = np.full((200, 500), 3.0)
    y, _ = ops.dropout(x, np.random.default_rng(0).random(x.shape) >= 0.4, p=0.4)
    assert abs(y.mean() - 3) < 0.03
    assert set(np.unique(y)) == {0.0, 3 / (1 - 0.4)}


def test_relu_at_zero_and_beyond_the_numbers():
    x = np.array([-np.inf, -1, -0.0, 0.0, 2, np.inf, np.nan])
    y, cache = ops.relu(x)
    np.testing.assert_array_equal(y, [0, 0, 0, 0, 2, np.inf, np.nan])
    np.testing.assert_array_equal(ops.relu_backward(np.ones(7), cache), [0, 0, 0, 0, 1, 1, 1])


def test_replaced_ops_are_used_and_the_others_kept():
    namespace = ops.replaced(relu=max, relu_backward=min)
    assert (namespace.relu, namespace.relu_backward) == (max, min)
    assert namespace.conv2d is ops.conv2d
    assert ops.relu is not max
    assert ops.replaced(relu_backward=min).relu is ops.relu


def test_a_long_mean_does_not_drift():
    x = np.full((2, 3, 512, 512), 0.1, np.float32)
    np.testing.assert_allclose(ops.global_avgpool2d(x)[0], 0.1, rtol=1e-7)


def test_softmax_keeps_its_own_copy():
    p, cache = ops.softmax(X := np.array([[1.0, 2.0, 3.0]]))
    expected = ops.softmax_backward(np.array([[1.0, 0, 0]]), ops.softmax(X)[1])
    p -= 1
    np.testing.assert_array_equal(ops.softmax_backward(np.array([[1.0, 0, 0]]), cache), expected)


def test_batch_statistics_of_huge_numbers():
    _, cache = ops.batchnorm2d(np.full((2, 1, 3, 3), 1e150), np.ones(1), np.zeros(1))
    np.testing.assert_allclose(cache.mean, 1e150, rtol=1e-15)
    assert np.isfinite(cache.var).all()


def test_ops_run_in_several_threads_at_once():
    x, weight = RNG.standard_normal((4, 8, 9, 9)), RNG.standard_normal((8, 8, 3, 3))
    y, cache = ops.conv2d(x, weight, padding=1)
    expected, wrong = ops.conv2d_backward(y, cache)[0], []

    def work():
        for _ in range(10):
            y, cache = ops.conv2d(x, weight, padding=1)
            if not np.array_equal(ops.conv2d_backward(y, cache)[0], expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
