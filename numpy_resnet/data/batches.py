"""The training images in a new order each epoch, a batch at a time."""

import operator
from itertools import pairwise

import numpy as np


def num_batches(n, batch_size):
    """How many batches n images make: ceil((n - 1) / batch_size), for a lone last one joins the batch before.

    Raises ValueError unless n and batch_size are at least 2: batch norm cannot train on one image.
    """
    return len(_starts(n, batch_size))


def batches(x, y, *, batch_size, seed, epoch, augment=None):
    """An iterator over shuffled (x, y) batches, all images once.   x (N, ...), y (N,)

    The last batch has what is left over. `augment(x, rng)`, if given, returns a batch's x changed.
    Everything random derives from (seed, epoch): the same two give the same batches.
    Raises ValueError unless there is a label for each image, and two images at least, in all and in a batch.
    """
    if len(x) != len(y):
        raise ValueError(f"x and y must be equally long; got {len(x)} images and {len(y)} labels")
    bounds = [*_starts(len(x), batch_size), len(x)]
    return _draw(x, y, bounds, np.random.default_rng([seed, epoch]), augment)


def _starts(n, batch_size):
    """The first index of each batch: a start at n - 1 is left out, which merges a lone last image."""
    if operator.index(batch_size) < 2:
        raise ValueError(f"batch_size must be at least 2, for batch norm cannot train on 1; got {batch_size}")
    if n < 2:
        raise ValueError(f"there must be at least 2 images to train on; got {n}")
    return range(0, n - 1, batch_size)


def _draw(x, y, bounds, rng, augment):
    order = rng.permutation(len(x))
    for start, end in pairwise(bounds):
        chosen = order[start:end]
        yield x[chosen] if augment is None else augment(x[chosen], rng), y[chosen]
