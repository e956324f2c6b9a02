"""Memory that arrays leave to those after them."""

import gc
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_resnet.kernels import memory


@pytest.mark.parametrize("shape", [(3, 5), (1,), (0, 4), (2, 3, 4, 5), (300, 1000), (7, 64, 64, 16)])
def test_arrays_start_on_a_cache_line(shape):
    array = memory.empty(shape, np.float32)
    assert array.shape == shape
    assert array.flags.carray
    assert array.size == 0 or array.ctypes.data % memory.CACHE_LINE == 0


@given(sizes=st.lists(st.integers(memory.LARGE, 9 * memory.LARGE), min_size=1, max_size=30), seed=st.integers(0, 99))
def test_no_array_lies_in_another(sizes, seed):
    """Arrays come and go in any order; each keeps its own number."""
    rng, alive = np.random.default_rng(seed), {}
    for i, size in enumerate(sizes):
        alive[i] = memory.empty((size,), np.uint8)
        alive[i][:] = i
        if rng.random() < 0.5:
            del alive[int(rng.choice(list(alive)))]
        for j, array in alive.items():
            assert array[0] == array[-1] == j
            assert (array == j).all()


def test_a_view_keeps_the_memory():
    view = memory.empty((memory.LARGE,), np.float32)[::2].reshape(2, -1)
    view[:] = 7
    others = [memory.empty((memory.LARGE,), np.float32) for _ in range(3)]
    for other in others:
        other[:] = 1
    assert (view == 7).all()


def test_what_is_gone_is_used_again_and_joined():
    """Two neighbours that are gone make room for one of both sizes, and the first place comes first."""
    chunk = memory._Chunk(10 * memory.LARGE)
    a, b, c = (chunk.take(2 * memory.LARGE) for _ in range(3))
    for start in (a, b):
        chunk.give_back(start, start + 2 * memory.LARGE)
    assert chunk.take(4 * memory.LARGE) == a
    assert chunk.take(5 * memory.LARGE) is None
    chunk.give_back(c, c + 2 * memory.LARGE)
    chunk.give_back(a, a + 4 * memory.LARGE)
    assert chunk.unused()


def test_the_same_step_again_needs_no_more_memory():
    def step():
        return [memory.empty((n, 1000, 100), np.float32)[0] for n in range(1, 20)]

    gc.collect()
    step()
    chunks = list(memory._arena.chunks)
    for _ in range(5):
        step()
    assert memory._arena.chunks == chunks


def test_threads_share_it():
    wrong = []

    def work(number):
        for _ in range(200):
            array = memory.empty((memory.LARGE,), np.uint8)
            array[:] = number
            if not (array == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
