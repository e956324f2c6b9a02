"""What a data set is, and the one that comes with the package."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from numpy_resnet import files


class Dataset(NamedTuple):
    """Labelled images, in a part to train on and a part to test on."""

    name: str  # load(name) gives it again
    x_train: np.ndarray  # (N, C, H, W) float32 in [0, 1]
    y_train: np.ndarray  # (N,) int64, the index of each image's class
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]


def load(name):
    """The data set of this name.   Raises ValueError for a name that is not known."""
    if name not in DATASETS:
        raise ValueError(f"no data set is called {name!r}; there is {', '.join(DATASETS)}")
    return DATASETS[name]()


def digits():
    """Handwritten digits: 1,797 grey images of 8x8, 1,438 to train on and 359 to test on.   x (N, 1, 8, 8)

    The test part is a fifth of each class, 35 or 36 images, drawn once with a fixed seed by
    `tools/make_digits.py` and stored with the images as a mask. The same 13 people wrote both parts: the test
    asks for new digits, not for new hands.
    E. Alpaydin and C. Kaynak 1998, UCI, doi:10.24432/C50P49, CC BY 4.0: see digits.txt.
    """
    arrays = files.read_npz(Path(__file__).with_name("digits.npz"))
    x = arrays["images"][:, None].astype(np.float32) / 16  # (N, 1, 8, 8)
    y = arrays["labels"].astype(np.int64)
    test = arrays["test"]
    return Dataset("digits", x[~test], y[~test], x[test], y[test], tuple("0123456789"))


DATASETS = {"digits": digits}
