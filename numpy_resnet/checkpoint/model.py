"""A whole model in one file, and a whole training: what is needed to build it again, and to go on."""

import numpy as np

from numpy_resnet.checkpoint.arrays import CheckpointError, load_both, save_arrays
from numpy_resnet.models import MODELS

OPTIMIZER = "optimizer."  # what the names of its arrays begin with; no key of a model does


def save_model(path, model, metadata=None):
    """Write state_dict, the name and the options of the model, and what else `metadata` (a dict for JSON) says."""
    save_arrays(path, model.state_dict(), {**(metadata or {}), **_description(model)})


def load_model(path):
    """The model of a file that save_model or save_training wrote, in evaluation mode, and its metadata.

    Raises CheckpointError for a file that does not say which model it holds, or whose arrays do not fit it.
    """
    arrays, metadata = load_both(path)
    name = metadata.get("model")
    if not isinstance(name, str) or name not in MODELS:
        raise CheckpointError(
            f"{path}: expected a model file, as `numpy-resnet train` writes them; it names no model that is known here"
        )
    try:
        model = MODELS[name](**metadata["options"], dtype=np.dtype(metadata["dtype"]).type)
        model.load_state_dict({key: array for key, array in arrays.items() if not key.startswith(OPTIMIZER)})
    except (KeyError, TypeError, ValueError, MemoryError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else error
        raise CheckpointError(f"{path}: the file does not fit {name}: {why}") from error
    return model.eval(), metadata


def save_training(path, model, optimizer, metadata=None):
    """Write all that the next step depends on: model, optimizer, and the generators of its dropout layers.

    load_model reads the model of it.   Raises FloatingPointError for a model that is not finite: the file of an
    earlier step, which training can go on from, stays.
    """
    state = model.state_dict()
    for key, array in state.items():
        if not np.isfinite(array).all():
            raise FloatingPointError(f"{key} is not finite, so {path} was not written: try a smaller learning rate")
    generators = {name: layer.rng.bit_generator.state for name, layer in _random_layers(model)}
    own = {**_description(model), "optimizer": type(optimizer).__name__, "generators": generators}
    arrays = {OPTIMIZER + key: array for key, array in optimizer.state_dict().items()}
    save_arrays(path, {**state, **arrays}, {**(metadata or {}), **own})


def load_training(path, model, optimizer):
    """Copy a file of save_training into a model and an optimizer that were built alike; returns its metadata.

    Raises CheckpointError for a file of another model or optimizer, or of a model without its training.
    """
    arrays, metadata = load_both(path)
    own = {**_description(model), "optimizer": type(optimizer).__name__}
    for key, value in own.items():
        if metadata.get(key) != value:
            raise CheckpointError(f"{path}: expected the training of {key} {value}; got {metadata.get(key)}")
    state = {key.removeprefix(OPTIMIZER): array for key, array in arrays.items() if key.startswith(OPTIMIZER)}
    try:
        model.load_state_dict({key: array for key, array in arrays.items() if not key.startswith(OPTIMIZER)})
        optimizer.load_state_dict(state)
        for name, layer in _random_layers(model):
            layer.rng.bit_generator.state = metadata["generators"][name]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the file does not fit the training: {error}") from error
    return metadata


def _description(model):
    return {"model": model.name, "options": model.options, "dtype": model.fc.params["weight"].dtype.name}


def _random_layers(model):
    return [(name, layer) for name, layer in model.named_layers() if hasattr(layer, "rng")]
