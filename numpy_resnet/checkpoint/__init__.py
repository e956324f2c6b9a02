"""Checkpoints: arrays, and whole models, in files that are written wholly or not at all."""

from numpy_resnet.checkpoint.arrays import CheckpointError, load_arrays, load_metadata, save_arrays
from numpy_resnet.checkpoint.model import load_model, load_training, save_model, save_training

__all__ = [
    "CheckpointError",
    "load_arrays",
    "load_metadata",
    "load_model",
    "load_training",
    "save_arrays",
    "save_model",
    "save_training",
]
