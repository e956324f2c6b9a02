"""Build numpy_resnet/data/digits.npz from scikit-learn's copy: `python tools/make_digits.py`.

One zlib gives the same bytes each time: the dates in the file are fixed, and RandomState's stream is frozen.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

TARGET = Path(__file__).resolve().parents[1] / "numpy_resnet" / "data" / "digits.npz"
SOURCE = (
    "E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, "
    "UCI Machine Learning Repository, https://doi.org/10.24432/C50P49; "
    "the test part, as shipped by scikit-learn, values 0 to 16 stored as uint8"
)
LICENSE = "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/"


def choose_test_images(labels, share=0.2, seed=0):
    """A mask over the images, true for a fifth of each class, rounded.   labels (N,) -> (N,) bool"""
    rng = np.random.RandomState(seed)
    test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        test[members[: round(share * len(members))]] = True
    return test


def make(target):
    """Write the file."""
    digits = load_digits()
    labels = digits.target.astype(np.uint8)
    np.savez_compressed(  # dates its members 1980-01-01, the first day that zip knows
        target,
        images=digits.images.astype(np.uint8),
        labels=labels,
        test=choose_test_images(labels),
        source=np.array(SOURCE),
        license=np.array(LICENSE),
    )


if __name__ == "__main__":
    make(TARGET)
    print(f"{TARGET.name}: {TARGET.stat().st_size:,} bytes")
