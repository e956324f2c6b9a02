"""What the functions that build models share: checked options, and a signature that help() can show."""

import inspect

import numpy as np

STEMS = ("imagenet", "cifar")


def check_options(num_classes, in_channels, dtype, stem="imagenet"):
    """Raise ValueError or TypeError for what no model can be built from."""
    for name, value in {"num_classes": num_classes, "in_channels": in_channels}.items():
        if not isinstance(value, int | np.integer) or isinstance(value, bool):
            raise TypeError(f"{name} must be an integer; got {value!r}")
        if value < 1:
            raise ValueError(f"{name} must be at least 1; got {value!r}")
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"dtype must be np.float32 (to run) or np.float64 (to check); got {dtype!r}")
    if stem not in STEMS:
        raise ValueError(f"stem must be one of {', '.join(STEMS)}; got {stem!r}")


def takes_options_of(model_class):
    """Show, in help(), the options that a building function hands on to its class."""
    options = [p for p in inspect.signature(model_class).parameters.values() if p.kind is p.KEYWORD_ONLY]

    def decorate(function):
        own = inspect.signature(function).parameters["num_classes"]
        function.__signature__ = inspect.Signature([own, *options])
        return function

    return decorate
