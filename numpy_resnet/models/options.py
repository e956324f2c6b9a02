"""What the functions that build models share: checked options, and a signature that help() can show."""

import inspect

from numpy_resnet.ops import _checks

STEMS = ("imagenet", "cifar")


def check_options(num_classes, in_channels, dropout, dtype):
    """The options as plain numbers.   Raises ValueError or TypeError for what no model can be built from."""
    _checks.float_type(dtype)
    return {
        "num_classes": _checks.integer("num_classes", num_classes, 1),
        "in_channels": _checks.integer("in_channels", in_channels, 1),
        "dropout": _checks.number("dropout", dropout, 0, 1),
    }


def check_stem(stem):
    """The stem.   Raises ValueError for one that is not known."""
    if stem not in STEMS:
        raise ValueError(f"stem must be one of {', '.join(STEMS)}; got {stem!r}")
    return stem


def check_width(width):
    """The width.   Raises ValueError or TypeError for one that no network has."""
    return _checks.integer("width", width, 1)


def takes_options_of(model_class):
    """Show, in help(), the options that a building function hands on to its class."""
    options = [p for p in inspect.signature(model_class).parameters.values() if p.kind is p.KEYWORD_ONLY]

    def decorate(function):
        own = inspect.signature(function).parameters["num_classes"]
        function.__signature__ = inspect.Signature([own, *options])
        return function

    return decorate
