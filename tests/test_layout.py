import numpy as np
import pytest

from numpy_resnet.layout import channels_first, channels_last

X = np.arange(2 * 3 * 4 * 5, dtype=np.float64).reshape(2, 3, 4, 5)


def test_channels_move_to_the_end_and_back():
    last = channels_last(X)
    assert last.shape == (2, 4, 5, 3)
    assert last.flags.carray
    assert last[1, 2, 3, 0] == X[1, 0, 2, 3]
    np.testing.assert_array_equal(channels_first(last), X)


def test_what_is_channels_last_already_is_not_copied():
    x = channels_first(channels_last(X))
    assert np.shares_memory(channels_last(x), x)
    assert np.shares_memory(channels_first(channels_last(x)), x)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4), (2, 3, 4, 5, 6)])
def test_every_rank_comes_back(shape):
    x = np.arange(np.prod(shape)).reshape(shape)
    np.testing.assert_array_equal(channels_first(channels_last(x)), x)


def test_a_read_only_array_is_copied_for_the_kernels():
    x = X.copy()
    x.flags.writeable = False
    assert channels_last(x).flags.writeable
