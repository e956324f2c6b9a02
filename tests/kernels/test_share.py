"""How a kernel's loop is shared among threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import numpy_resnet
from numpy_resnet.kernels.share import parallel_jit, share


@parallel_jit
def count_up(part, parts, counts, by):
    for i in range(*share(len(counts), part, parts)):
        counts[i] += by


@parallel_jit
def sum_in_rounds(part, parts, x, sums):
    """Each round writes what the next reads, at the other end."""
    before, after = sums[part // parts], sums[part // parts + 1]
    for i in range(*share(len(x), part, parts)):
        after[i] = before[len(x) - 1 - i] + x[i]


@pytest.fixture(params=[1, 2])
def threads(request):
    before = numpy_resnet.get_num_threads()
    if request.param > before:
        pytest.skip("needs two threads")
    numpy_resnet.set_num_threads(request.param)
    yield request.param
    numpy_resnet.set_num_threads(before)


@given(n=st.integers(0, 100), parts=st.integers(1, 9))
def test_the_parts_are_the_whole(n, parts):
    shares = [list(range(*share(n, part, parts))) for part in range(parts)]
    assert [i for mine in shares for i in mine] == list(range(n))
    sizes = [len(mine) for mine in shares]
    assert max(sizes) - min(sizes) <= 1
    assert share(n, parts + 1, parts) == share(n, 1 % parts, parts)  # the next round


@pytest.mark.parametrize("n", [0, 1, 2, 3, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8])
def test_each_place_is_done_once(threads, n, dtype):
    counts = np.zeros(n, dtype)
    count_up(counts, 2)
    np.testing.assert_array_equal(counts, 2)
    count_up(counts, -1)
    np.testing.assert_array_equal(counts, 1)


def test_a_round_begins_when_the_last_has_ended(threads):
    x = np.arange(1000.0)
    sums = np.zeros((101, 1000))
    sum_in_rounds(x, sums, rounds=100)
    expected = np.zeros(1000)
    for _ in range(100):
        expected = expected[::-1] + x
    np.testing.assert_array_equal(sums[-1], expected)


def test_no_round_is_no_work(threads):
    counts = np.zeros(3)
    count_up(counts, 1, rounds=0)
    np.testing.assert_array_equal(counts, 0)
