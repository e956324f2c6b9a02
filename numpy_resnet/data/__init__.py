"""Data sets, and the batches that training draws from them."""

from numpy_resnet.data.batches import batches, num_batches
from numpy_resnet.data.dataset import Dataset, digits, load
from numpy_resnet.data.images import normalization, normalize, random_shift

__all__ = [
    "Dataset",
    "batches",
    "digits",
    "load",
    "normalization",
    "normalize",
    "num_batches",
    "random_shift",
]
