"""What every layer is: parameters, gradients, buffers, and one cache that forward leaves and backward takes."""

import difflib
import itertools

import numpy as np

from numpy_resnet import ops as numpy_resnet_ops
from numpy_resnet.layers.trace import trace

EMPTY = object()  # an op's cache may be anything, None too


class Layer:
    """A node of the network: a leaf runs one op, a composite runs its child layers.

    A leaf has `_forward(x) -> y, cache` and `_backward(dy, cache) -> dx`. A composite has `forward` and `backward`
    of its own. Children are attributes, in the order of forward; their names are the keys of `state_dict()`.
    """

    op = None  # the name of a leaf's op, as in the namespace `ops`

    def __init__(self, ops=numpy_resnet_ops):
        self.ops = ops
        self.params, self.grads, self.buffers = {}, {}, {}
        self.training, self.frozen = True, False
        self._cache, self._keeps = EMPTY, True

    def forward(self, *inputs):
        """y, and the cache is kept for one backward."""
        return self._keep(*self._forward(*inputs))

    def backward(self, dy, **options):
        """dx, and grads are overwritten.   Raises RuntimeError unless a forward of its own came before."""
        cache, self._cache = self._cache, EMPTY
        if cache is EMPTY:
            raise RuntimeError(
                f"{self!r}: backward needs a forward of its own just before; a layer keeps one cache, "
                "and backward takes it: run forward again, or use one layer for each place in the network"
            )
        return self._backward(dy, cache, **options)

    def backward_parameters(self, dy):
        """backward where nobody asks for dx, as in training: a model may leave out what only dx needs."""
        self.backward(dy)

    @property
    def waiting(self):
        """Whether a forward left a cache that no backward has taken yet."""
        return self._cache is not EMPTY

    @property
    def watched(self):
        """Whether `trace` stands between this layer and its callers."""
        return "forward" in vars(self)

    def forget(self):
        """Drop a cache that waits."""
        self._cache = EMPTY

    def _keep(self, y, cache):
        if self._keeps:
            self._cache = cache
        return y

    def infer(self, *inputs):
        """y in evaluation mode, with nothing kept; modes and waiting caches stay as they are."""
        tree = [layer for _, layer in self._tree()]
        before = [(layer.training, layer._keeps) for layer in tree]
        try:
            for layer in tree:
                layer.training, layer._keeps = False, False
            return self.forward(*inputs)
        finally:
            for layer, (training, keeps) in zip(tree, before, strict=True):
                layer.training, layer._keeps = training, keeps

    def train(self, mode=True):
        """Training mode, for the whole tree (or evaluation mode, with False)."""
        for _, layer in self._tree():
            layer.training = mode and not layer.frozen
        return self

    def freeze(self):
        """Evaluation mode for good, for the whole tree; its parameters are no longer among named_parameters()."""
        for _, layer in self._tree():
            layer.frozen, layer.training = True, False
        return self

    def eval(self):
        """Evaluation mode: batch norm uses its running statistics, dropout drops nothing."""
        return self.train(False)

    def children(self):
        """(name, layer) of the direct children, in the order of forward."""
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Layer)]

    def named_layers(self):
        """(name, layer) of every leaf, in the order of forward: "layer1.0.conv1"."""
        return [(name, layer) for name, layer in self._tree() if not isinstance(layer, Composite)]

    def named_parameters(self):
        """(key, parameter, gradient) of all that is not frozen, in the order of state_dict."""
        for name, layer in self._tree():
            if layer.frozen:
                continue
            for key, param in layer.params.items():
                yield _join(name, key), param, layer.grads[key]

    def state_dict(self):
        """Parameters and buffers by key, copied: a snapshot, with torchvision's keys in torchvision's order."""
        return {key: array.copy() for key, array in self._state()}

    def load_state_dict(self, state):
        """Copy arrays into the parameters and buffers that are there; all of them, or none.

        Raises ValueError that names the keys that are missing, unexpected or of another shape, forty at most.
        """
        own, wrong = dict(self._state()), []
        missing = [key for key in own if key not in state]
        wrong += [f"missing: {key}" for key in missing]
        unexpected = [key for key in state if key not in own]
        wrong += [f"unexpected: {key}{_nearest(key, missing) if len(unexpected) < 30 else ''}" for key in unexpected]
        for key in own.keys() & state.keys():
            came = np.asarray(state[key])
            numbers = "fiu" if own[key].dtype.kind == "f" else "iu"
            if came.shape != own[key].shape or came.dtype.kind not in numbers:
                what = f"{own[key].dtype} of shape {own[key].shape}"
                wrong.append(f"{key} must be {what}, or convert to it; got {came.dtype} of shape {came.shape}")
        if wrong:
            lines = sorted(wrong)
            more = [f"and {len(lines) - 40} more"] if len(lines) > 40 else []
            raise ValueError("state does not fit this model, nothing was loaded:\n  " + "\n  ".join(lines[:40] + more))
        for key, array in own.items():
            array[...] = state[key]

    def trace(self, x, dy=None):
        """A Trace for each leaf, of one forward and one backward: see layers.trace."""
        return trace(self, x, dy)

    def multiply_adds(self, output):
        """Multiplications with a weight, for one output array."""
        return 0

    def _tree(self, name=""):
        """(name, layer) of this layer and all below, each before its children."""
        yield name, self
        for child, layer in self.children():
            yield from layer._tree(_join(name, child))

    def _state(self):
        for name, layer in self._tree():
            for key, array in itertools.chain(layer.params.items(), layer.buffers.items()):
                yield _join(name, key), array

    def _new_params(self, **params):
        self.params = params
        self.grads = {key: np.zeros_like(param) for key, param in params.items()}

    def __repr__(self):
        return f"{type(self).__name__}()"


def _nearest(key, names):
    """The name that was probably meant, to be shown."""
    near = difflib.get_close_matches(key, names, 1)
    return f" (is it {near[0]}?)" if near else ""


def _join(name, key):
    return f"{name}.{key}" if name else key


class Composite(Layer):
    """A layer made of layers."""


class Sequential(Composite):
    """One layer after the other. An empty one is the identity, which is what an identity shortcut is."""

    def __init__(self, *layers):
        super().__init__()
        for i, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                came = type(layer).__name__
                raise TypeError(f"Sequential takes layers, one by one; got {came}: write Sequential(*layers)")
            setattr(self, str(i), layer)

    def forward(self, x):
        for _, layer in self.children():
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for _, layer in reversed(self.children()):
            dy = layer.backward(dy)
        return dy

    def __repr__(self):
        return f"Sequential({', '.join(repr(layer) for _, layer in self.children())})"
