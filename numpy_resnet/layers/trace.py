"""Watch a network at work: what went into each layer, and what came back."""

from typing import NamedTuple

import numpy as np


class Trace(NamedTuple):
    """What one layer saw. Add has pairs for input and downstream."""

    name: str
    layer: object
    input: np.ndarray
    output: np.ndarray
    upstream: np.ndarray | None
    downstream: np.ndarray | None


def trace(model, x, dy=None):
    """Run forward and backward once, and return a Trace for each leaf in the order of forward.

    Without dy: forward alone, in evaluation mode, and the gradients are None.
    """
    seen = {name: [None] * 4 for name, _ in model.named_layers()}

    def watch(layer, record):
        forward, backward = layer.forward, layer.backward

        def watched_forward(*inputs):
            y = forward(*inputs)
            record[:2] = inputs if len(inputs) > 1 else inputs[0], y
            return y

        def watched_backward(dy, **options):
            dx = backward(dy, **options)
            record[2:] = dy, dx
            return dx

        layer.forward, layer.backward = watched_forward, watched_backward

    try:
        for name, layer in model.named_layers():
            watch(layer, seen[name])
        if dy is None:
            model.infer(x)
        else:
            model.forward(x)
            model.backward(dy)
    finally:
        for _, layer in model.named_layers():
            vars(layer).pop("forward", None), vars(layer).pop("backward", None)
    return [Trace(name, layer, *seen[name]) for name, layer in model.named_layers()]
