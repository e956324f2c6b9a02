"""A network as nodes and tensors: what one real forward and backward pass left at each place.

Two nodes are no layers: the fork, where x goes two ways, and the loss. At a fork the two gradients that come back are
added, so it has two outputs with one value and different gradients.
"""

from typing import NamedTuple

import numpy as np

from numpy_resnet import ops
from numpy_resnet.grad_cam import as_it_was
from numpy_resnet.layers import Add, Composite, Dropout, Layer, trace

NO_LAYERS = ("input", "fork", "loss")


class Tensor(NamedTuple):
    """What flows from one node to the next, and the gradient of the loss with respect to it."""

    value: np.ndarray  # (C, H, W), (C,), or () for the loss
    gradient: np.ndarray  # as value


class Node(NamedTuple):
    """A place where something happens; inputs and outputs are indices of tensors."""

    name: str  # "layer1.0.conv1"; a fork has the name of its block
    kind: str  # an op's name, or input, fork, loss
    block: str  # "stem", "layer1.0", "head"
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    layer: Layer | None = None
    on_shortcut: bool = False
    grads: dict[str, np.ndarray] | None = None  # of the layer's parameters


class Graph(NamedTuple):
    """Nodes in the order of forward."""

    nodes: list[Node]
    tensors: list[Tensor]
    logits: np.ndarray  # (num_classes,)
    label: int


def likeliest(probabilities):
    """The class of each row.   (N, K) -> (N,)"""
    return probabilities.argmax(axis=1)


def run(model, x, label=None, *, decide=likeliest, training=False):
    """One forward and one backward pass in evaluation mode, or in training.   x (1, C, H, W), a class -> Graph

    Without a label it is the class that `decide` makes of the probabilities. In training batch norm takes the
    statistics of this image; nothing is dropped. The model stays as it was.
    Raises ValueError unless x is one image and label a class, and for numbers that are not finite.
    """
    if x.ndim != 4 or len(x) != 1:
        raise ValueError(f"x must be one image, (1, C, H, W); got shape {x.shape}")
    state = model.state_dict()
    try:
        with as_it_was(model):
            _set_mode(model, training)
            logits = model.forward(x)
            label = int(decide(ops.softmax(logits)[0])[0]) if label is None else label
            if not 0 <= label < logits.shape[1]:
                raise ValueError(f"label must be a class, 0 to {logits.shape[1] - 1}; got {label}")
            loss, cache = ops.cross_entropy(logits, np.array([label]))
            dlogits = ops.cross_entropy_backward(1.0, cache)
            seen = {record.name: record for record in trace(model, x, dlogits)}
            graph = _walk(model, x, label, logits, loss, seen)
    finally:
        model.load_state_dict(state)  # batch norm has noted what it saw
    _check_finite(graph)
    return graph


def _check_finite(graph):
    for node in graph.nodes:
        for value, gradient in (graph.tensors[i] for i in node.outputs):
            if not np.isfinite(value).all() or not np.isfinite(gradient).all():
                raise ValueError(
                    f"{node.name} gives numbers that are not finite, forward or backward: have these weights diverged? "
                    "Take those of an earlier epoch"
                )


def _walk(model, x, label, logits, loss, seen):
    """Through the model as its forward goes."""
    walk = _Walk(seen)
    walk.image(x, next(iter(seen.values())).downstream)
    for name, layer in model.children():
        walk.child(name, layer)
    walk.loss(loss)
    return Graph(walk.nodes, walk.tensors, logits[0], label)


def _set_mode(model, training):
    model.train(training)
    for _, layer in model.named_layers():
        if isinstance(layer, Dropout):
            layer.training = False  # two forwards would draw two masks


class _Walk:
    """Goes through a model as its forward does, and writes down nodes and tensors."""

    def __init__(self, seen):
        self.seen, self.nodes, self.tensors = seen, [], []
        self.part, self.last = "stem", None  # last: the tensor that the next node takes

    def image(self, x, dx):
        self.last = self.tensor(x[0], dx[0])
        self.nodes.append(Node("input", "input", self.part, (), (self.last,)))

    def tensor(self, value, gradient):
        self.tensors.append(Tensor(value, gradient))
        return len(self.tensors) - 1

    def child(self, name, layer):
        """A layer of the network: a leaf, or a stage with its blocks. What comes behind the stages is the head."""
        if not isinstance(layer, Composite):
            self.last = self.leaf(name, layer, self.part, (self.last,))
        for number, block in layer.children():
            self.block(f"{name}.{number}", block)
            self.part = "head"

    def leaf(self, name, layer, block, inputs, on_shortcut=False):
        record = self.seen[name]
        y = self.tensor(record.output[0], record.upstream[0])
        kind = layer.op or type(layer).__name__.lower()  # dropout has no op of its own in evaluation
        self.nodes.append(Node(name, kind, block, inputs, (y,), layer, on_shortcut, dict(layer.grads)))
        return y

    def block(self, name, block):
        """A residual block, or one without a shortcut."""
        shortcut = self.fork(name, block) if hasattr(block, "downsample") else None
        for child, layer in block.children():
            if child == "downsample":
                for inner, leaf in layer.named_layers():
                    shortcut = self.leaf(_join(name, child, inner), leaf, name, (shortcut,), on_shortcut=True)
            else:
                inputs = (self.last, shortcut) if isinstance(layer, Add) else (self.last,)
                self.last = self.leaf(_join(name, child), layer, name, inputs)

    def fork(self, name, block):
        """x goes two ways -> the tensor of the shortcut; `last` becomes that of the branch."""
        x = self.tensors[self.last].value
        first, *_ = block.children()
        projection = [_join(name, "downsample", inner) for inner, _ in block.downsample.named_layers()]
        back = self.seen[projection[0]].downstream if projection else self.seen[_join(name, "add")].downstream[1]
        branch = self.tensor(x, self.seen[_join(name, first[0])].downstream[0])
        shortcut = self.tensor(x, back[0])
        self.nodes.append(Node(name, "fork", name, (self.last,), (branch, shortcut), block))
        self.last = branch
        return shortcut

    def loss(self, loss):
        y = self.tensor(np.asarray(loss), np.ones((), np.asarray(loss).dtype))
        self.nodes.append(Node("loss", "loss", self.part, (self.last,), (y,)))


def _join(*names):
    return ".".join(name for name in names if name)
