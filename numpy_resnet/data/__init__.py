"""Data sets from memory, files and folders; transforms; and the batches that training draws from them."""

from numpy_resnet.data.dataset import Dataset
from numpy_resnet.data.decode import ImageError, read_image
from numpy_resnet.data.folders import find_files
from numpy_resnet.data.images import ArrayImages, FileImages, Images, Skipped
from numpy_resnet.data.loader import Batch, Loader, Scan, batch_starts, scan
from numpy_resnet.data.sources import digits, known_names, load
from numpy_resnet.data.split import groups_of, split

__all__ = [
    "ArrayImages",
    "Batch",
    "Dataset",
    "FileImages",
    "ImageError",
    "Images",
    "Loader",
    "Scan",
    "Skipped",
    "batch_starts",
    "digits",
    "find_files",
    "groups_of",
    "known_names",
    "load",
    "read_image",
    "scan",
    "split",
]
