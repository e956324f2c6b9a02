"""How large the gradient is at each block on its way back, with the shortcuts and without them.

In the trained network the gradient is a sum over paths: at each block it came through the branch or past it. Only the
backward is changed here, so forward's numbers stay, and the sum over all paths is the gradient that there is.
Veit, Wilber & Belongie 2016, "Residual Networks Behave Like Ensembles of Relatively Shallow Networks".

Before training, the same network is built twice, once with residual adds that leave the shortcut out: with the same
weights, that is the plain network of He et al. 2015.
"""

import contextlib
from types import SimpleNamespace

import numpy as np

from numpy_resnet import ops
from numpy_resnet.explore import graph
from numpy_resnet.explore.numbers import norm, plain
from numpy_resnet.models import MODELS

BRANCH, SHORTCUT = 0, 1


def trained(model, x, run, *, training=False):
    """The size of the gradient at each block: of all paths, of the one through all branches, of the one past them.

    run: the pass of this model and image. Without shortcuts there is one path, and all is said with it.
    """
    sizes = {"all": sizes_of(run)}
    for name, place in (("branches", BRANCH), ("shortcuts", SHORTCUT)) if blocks_with_shortcuts(model) else ():
        with one_way(model, place):
            sizes[name] = sizes_of(graph.run(model, x, run.label, training=training))
    return sizes


def fresh(model, x, label, *, normalised):
    """The size of the gradient at each block of a new network, with shortcuts and without.

    normalised: batch norm takes the statistics of this image, as in training; else it does nothing yet.
    """
    return {
        "with": sizes_of(graph.run(_new(model), x, label, training=normalised)),
        "without": sizes_of(graph.run(_new(model, ops=WITHOUT_SHORTCUTS), x, label, training=normalised)),
    }


def sizes_of(run):
    """{block: norm of the gradient at its input}, in the order of forward; the first is that of the image."""
    sizes = {}
    for node in run.nodes:
        if node.inputs and node.block not in sizes:
            sizes[node.block] = plain(norm(run.tensors[node.inputs[0]].gradient))
    return sizes


def blocks_with_shortcuts(model):
    return [block for _, stage in model.children() for _, block in stage.children() if hasattr(block, "downsample")]


@contextlib.contextmanager
def one_way(model, place):
    """At each fork only one of the two gradients that come back is taken: that of the BRANCH, or of the SHORTCUT."""
    blocks = blocks_with_shortcuts(model)
    before = [block.ops for block in blocks]
    try:
        for block in blocks:
            block.ops = SimpleNamespace(add=lambda *gradients: (gradients[place], None))
        yield
    finally:
        for block, own in zip(blocks, before, strict=True):
            block.ops = own


def _branch_alone(h, shortcut):
    return h, None


def _branch_alone_backward(dy, cache):
    return dy, np.zeros_like(dy)


WITHOUT_SHORTCUTS = ops.replaced(add=_branch_alone, add_backward=_branch_alone_backward)


def _new(model, **options):
    """A network of the same kind and shape, as training begins with it."""
    options = {**model.options, "dropout": 0.0, "dtype": model.fc.params["weight"].dtype.type, **options}
    return MODELS[model.name](**options)
