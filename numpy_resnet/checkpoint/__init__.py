"""Checkpoints: arrays, and whole models, in files that are written wholly or not at all."""

from numpy_resnet.checkpoint.arrays import load_arrays, load_both, load_metadata, save_arrays
from numpy_resnet.checkpoint.errors import CheckpointError
from numpy_resnet.checkpoint.model import load_model, load_training, load_weights, save_model, save_training
from numpy_resnet.checkpoint.names import our_names, recognize
from numpy_resnet.checkpoint.onnx_file import export_onnx

__all__ = [
    "CheckpointError",
    "export_onnx",
    "load_arrays",
    "load_both",
    "load_metadata",
    "load_model",
    "load_training",
    "load_weights",
    "our_names",
    "recognize",
    "save_arrays",
    "save_model",
    "save_training",
]
