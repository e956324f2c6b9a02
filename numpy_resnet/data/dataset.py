"""What a data set is: parts of labelled images, and the names of the classes."""

from typing import NamedTuple

from numpy_resnet.data.images import Images


class Dataset(NamedTuple):
    """Images to train on, to choose by, and to be judged by, once. A part that is not there is None."""

    name: str
    classes: tuple[str, ...]
    train: Images
    val: Images | None = None
    test: Images | None = None
