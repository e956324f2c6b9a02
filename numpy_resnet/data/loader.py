"""Batches of images, made by background threads while the network computes, and the same whatever their number."""

import itertools
import operator
import warnings
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from numpy_resnet.data.decode import ImageError
from numpy_resnet.data.images import Skipped
from numpy_resnet.data.transforms import apply, to_array

AHEAD = 2  # batches that each thread may be ahead
NAMED = 20  # broken images that are named one by one


class Batch(NamedTuple):
    """Images on their way into the network."""

    x: np.ndarray  # (N, C, H, W) float32, normalised
    labels: np.ndarray  # (N,) int64
    indices: np.ndarray  # (N,) which of the images these are


class Loader:
    """Reads, transforms and normalises images: shuffled for training, in order for evaluation.

    transforms: (image, rng) -> image, one after the other, which end at one size for all images.
    mean, std (C,): what becomes 0 and 1; by default nothing changes. workers: threads.
    An image that cannot be read is left out with a warning that names it, or raises ImageError if strict.
    """

    def __init__(self, images, transforms=(), *, mean=None, std=None, workers=2, strict=False):
        if (workers := operator.index(workers)) < 1:
            raise ValueError(f"workers must be at least 1 thread; got {workers}")
        self.images, self.transforms, self.workers, self.strict = images, tuple(transforms), workers, strict
        C = images.channels
        self.mean = np.zeros(C, np.float32) if mean is None else _per_channel("mean", mean, C)
        self.std = np.ones(C, np.float32) if std is None else _per_channel("std", std, C)
        if not (self.std > 0).all():
            raise ValueError(f"std must be positive in each channel; got {self.std}")

    def shuffled(self, *, batch_size, seed, epoch, first=0):
        """An iterator over the batches of an epoch, all images once, from batch number `first` on.

        The order derives from (seed, epoch), what happens to an image from (seed, epoch, its index).
        """
        if first < 0:
            raise ValueError(f"first must be at least 0; got {first}")
        order = np.random.default_rng([seed, epoch, 0]).permutation(len(self.images))
        bounds = [*batch_starts(len(order), batch_size), len(order)]
        parts = [order[start:end] for start, end in itertools.pairwise(bounds)]
        return self._batches(parts[first:], lambda i: np.random.default_rng([seed, epoch, 1 + i]))

    def in_order(self, *, batch_size=64):
        """An iterator over the images as they come, for evaluation; nothing is random."""
        if (batch_size := operator.index(batch_size)) < 1:
            raise ValueError(f"batch_size must be at least 1; got {batch_size}")
        n = len(self.images)
        parts = [np.arange(start, min(start + batch_size, n)) for start in range(0, n, batch_size)]
        return self._batches(parts, lambda i: None)

    def _batches(self, parts, make_rng):
        skipped = 0
        for batch, problems in _ahead(lambda part: self._read(part, make_rng), parts, self.workers):
            for problem in problems:
                if self.strict:
                    raise problem
                if (skipped := skipped + 1) <= NAMED:
                    warnings.warn(f"skipped: {problem}", Skipped, stacklevel=2)
            yield batch
        if skipped > NAMED:
            warnings.warn(f"skipped {skipped:,} images, the first {NAMED} of which are named", Skipped, stacklevel=2)

    def _read(self, indices, make_rng):
        """One batch, and the errors of the images that it lacks."""
        arrays, read, problems = [], [], []
        for i in map(int, indices):
            try:
                image = self.images.read(i)
            except ImageError as error:
                problems.append(error)
                continue
            arrays.append(to_array(apply(self.transforms, image, make_rng(i))))  # (C, H, W)
            read.append(i)
        read = np.array(read, np.int64)
        return Batch(self._stack(arrays, read), self.images.labels[read], read), problems

    def _stack(self, arrays, indices):
        shapes = [array.shape for array in arrays]
        if odd := [j for j, shape in enumerate(shapes) if shape != shapes[0]]:
            (_, *a), (_, *b) = shapes[0], shapes[odd[0]]
            one, other = (self.images.name(indices[j]) for j in (0, odd[0]))
            raise ValueError(
                f"images must have one size; {one} has {a[0]}x{a[1]}, {other} {b[0]}x{b[1]}: resize and crop them"
            )
        C, H, W = shapes[0] if shapes else (self.images.channels, 1, 1)
        x = np.empty((len(arrays), H, W, C), np.float32)
        for row, array in zip(x, arrays, strict=True):
            row[:] = array.transpose(1, 2, 0)
        x -= self.mean
        x /= self.std
        return x.transpose(0, 3, 1, 2)  # (N, C, H, W) over channels-last memory


def batch_starts(n, batch_size):
    """The first index of each batch of n images; a lone last image joins the batch before.

    Raises ValueError unless n and batch_size are at least 2: batch norm cannot train on one image.
    """
    if operator.index(batch_size) < 2:
        raise ValueError(f"batch_size must be at least 2, for batch norm cannot train on 1; got {batch_size}")
    if n < 2:
        raise ValueError(f"there must be at least 2 images to train on; got {n}")
    return range(0, n - 1, batch_size)


class Scan(NamedTuple):
    """What a first look at all images of a part finds."""

    kept: np.ndarray  # indices of the images that can be read
    mean: np.ndarray  # (C,) float32 of their pixels in [0, 1]
    std: np.ndarray  # (C,), 1 where a channel is constant


def scan(images, transforms=(), *, workers=2, strict=False, title="reading images"):
    """Read every image once -> Scan. What cannot be read is named in a warning, or raises ImageError if strict.

    The sums are whole numbers, so that the order of the threads makes no difference.   Raises ValueError if no image
    can be read.
    """
    C, kept, skipped = images.channels, [], 0
    count, total, squares = 0, np.zeros(C, np.int64), np.zeros(C, np.int64)
    parts = [range(start, min(start + 32, len(images))) for start in range(0, len(images), 32)]
    with tqdm(total=len(images), desc=title, unit="image", leave=False, disable=None) as bar:
        for found, problems in _ahead(lambda part: _look(images, transforms, part), parts, workers):
            for problem in problems:
                if strict:
                    raise problem
                if (skipped := skipped + 1) <= NAMED:
                    warnings.warn(f"skipped: {problem}", Skipped, stacklevel=2)
            for i, pixels, sums, sums_of_squares in found:
                kept.append(i)
                count, total, squares = count + pixels, total + sums, squares + sums_of_squares
            bar.update(len(found) + len(problems))
    if not kept:
        raise ValueError(f"there must be images that can be read; got {len(images)}, none of which can")
    if skipped:
        more = f", the first {NAMED} of which are named" if skipped > NAMED else ""
        warnings.warn(f"skipped {skipped:,} of {len(images):,} images that cannot be read{more}", Skipped, stacklevel=2)
    mean = total / count
    variance = squares / count - mean**2
    std = np.sqrt(np.maximum(variance, 0))
    mean, std = mean / 255, np.where(std > 1e-6, std, 255) / 255
    return Scan(np.array(kept), mean.astype(np.float32), std.astype(np.float32))


def _look(images, transforms, indices):
    """(index, pixels, sum, sum of squares) of those that can be read, and the errors of the others."""
    found, problems = [], []
    for i in indices:
        try:
            image = images.read(i)
        except ImageError as error:
            problems.append(error)
            continue
        pixels = np.asarray(apply(transforms, image), np.int64).reshape(-1, images.channels)
        found.append((i, len(pixels), pixels.sum(axis=0), (pixels**2).sum(axis=0)))
    return found, problems


def _ahead(function, tasks, workers):
    """function(task) for each task, in their order, computed by threads that are a few tasks ahead."""
    waiting, tasks = deque(), iter(tasks)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="loader")
    try:
        for task in itertools.islice(tasks, AHEAD * workers):
            waiting.append(pool.submit(function, task))
        while waiting:
            result = waiting.popleft().result()
            for task in itertools.islice(tasks, 1):
                waiting.append(pool.submit(function, task))
            yield result
    finally:  # all is done, or an error, or nobody wants the rest
        pool.shutdown(cancel_futures=True)


def _per_channel(name, values, C):
    values = np.asarray(values, np.float32)
    if values.shape != (C,) or not np.isfinite(values).all():
        raise ValueError(f"{name} must be {C} finite numbers, one for each channel; got {values}")
    return values
