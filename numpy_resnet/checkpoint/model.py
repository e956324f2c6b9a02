"""A whole model in one file, and a whole training: what is needed to build it again, and to go on."""

import numpy as np

from numpy_resnet.checkpoint.arrays import load_both, save_arrays
from numpy_resnet.checkpoint.errors import CheckpointError
from numpy_resnet.checkpoint.names import our_names, recognize, with_counts
from numpy_resnet.models import MODELS

OPTIMIZER = "optimizer."  # what the names of its arrays begin with; no key of a model does


def save_model(path, model, metadata=None):
    """Write state_dict, the name and the options of the model, and what else `metadata` (a dict for JSON) says."""
    save_arrays(path, model.state_dict(), {**(metadata or {}), **_description(model)})


def load_model(path):
    """The model of a file, in evaluation mode, and the metadata of the file.

    A file that save_model or save_training wrote says which model it holds; of others, such as torchvision's, the names
    and shapes of the arrays tell.
    Raises CheckpointError for a file whose arrays fit no model here.
    """
    arrays, metadata = load_both(path)
    arrays = {key: array for key, array in arrays.items() if not key.startswith(OPTIMIZER)}
    try:
        if "model" in metadata:
            if metadata["model"] not in [*MODELS]:  # it may be anything
                raise CheckpointError(f"no model here is called {metadata['model']!r:.80}")
            model = MODELS[metadata["model"]](**metadata["options"], dtype=np.dtype(metadata["dtype"]).type)
        else:
            arrays = our_names(arrays)
            name, options = recognize(arrays)
            model = MODELS[name](**options, dtype=_dtype(arrays))
            arrays = with_counts(arrays, model.state_dict())
        model.load_state_dict(arrays)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, MemoryError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else error
        raise CheckpointError(
            f"{path}: the file does not fit {metadata.get('model', 'a model here')}: {why}"
        ) from error
    return model.eval(), metadata


def load_weights(path, model, *, new_classes=False):
    """Copy the arrays of any weights file into a model, whatever prefixes and wrappers their names have.

    With `new_classes` a last layer of another number of classes is left as it is. Returns whether it was.
    Raises CheckpointError that lists what is missing, unexpected or of another shape; nothing is copied then.
    """
    arrays = {key: array for key, array in load_both(path)[0].items() if not key.startswith(OPTIMIZER)}
    own = model.state_dict()
    arrays = with_counts(our_names(arrays), own)
    _check_kind(path, arrays, model)
    last = [key for key in ("fc.weight", "fc.bias") if key in own]
    replaced = new_classes and all(key in arrays and arrays[key].shape != own[key].shape for key in last)
    try:
        model.load_state_dict({**arrays, **{key: own[key] for key in last}} if replaced else arrays)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return replaced


def _check_kind(path, arrays, model):
    """Before all arrays are named that do not fit: is it another model as a whole?"""
    try:
        name = recognize(arrays).name
    except CheckpointError:
        return  # a model of somebody's own
    if model.name in MODELS and model.name not in (name, name.replace("cifar_resnet", "cifar_plain")):
        raise CheckpointError(f"{path}: the file fits {name}, not {model.name}")


def _dtype(arrays):
    return np.float64 if arrays["fc.weight"].dtype == np.float64 else np.float32


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
