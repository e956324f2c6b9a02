"""A whole model in one file: its arrays, and what is needed to build it again."""

import numpy as np

from numpy_resnet.checkpoint.arrays import CheckpointError, load_both, save_arrays
from numpy_resnet.models import MODELS


def save_model(path, model, metadata=None):
    """Write state_dict, the name and the options of the model, and what else `metadata` (a dict for JSON) says."""
    dtype = model.fc.params["weight"].dtype.name
    own = {"model": model.name, "options": model.options, "dtype": dtype}
    save_arrays(path, model.state_dict(), {**(metadata or {}), **own})


def load_model(path):
    """The model of a file that save_model wrote, in evaluation mode, and its metadata.

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
        model.load_state_dict(arrays)
    except (KeyError, TypeError, ValueError, MemoryError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else error
        raise CheckpointError(f"{path}: the file does not fit {name}: {why}") from error
    return model.eval(), metadata
