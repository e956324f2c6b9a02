"""Where a network looks: Grad-CAM, the maps of one layer weighted by what they do for a class."""

from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from PIL import Image

from numpy_resnet import ops
from numpy_resnet.layers import Sequential, trace

LEGIBLE = 6  # pixels along the shorter side of a map


class GradCam(NamedTuple):
    """A heat map for each image, and what it is a heat map of."""

    maps: np.ndarray  # (N, H, W) float32 in [0, 1]
    classes: np.ndarray  # (N,) the class that each map speaks for
    probabilities: np.ndarray  # (N, num_classes)
    layer: str  # whose output was weighed


def grad_cam(model, x, classes=None, *, layer=None):
    """Which places of an image speak for a class.   x (N, C, H, W), normalised -> GradCam, with maps (N, H, W)

    alpha[n, k] = mean over the pixels of dlogit[n, class] / dA[n, k];   map[n] = relu(sum over k of alpha * A),
    enlarged bilinearly to (H, W), its largest value 1; a map of zeros stays so.   Selvaraju et al. 2017, section 3

    classes: one class, or one for each image (N,); by default the likeliest of each image.
    layer: whose output is A (N, K, h, w), a stage ("layer3"), a block or a leaf ("layer4.1.relu2"); by default the
    deepest stage with at least 6 pixels on its shorter side, or the first if none has: layer4 (7x7) for images of 224
    pixels, layer3 (6x6) for 96. What is deeper means more, but a map of 3x3 is too coarse to see anything.

    The pass is in evaluation mode, and the model stays as it was: modes, statistics, gradients, waiting caches.
    Each layer's output and gradient are held at once, for all N images: hand many of them over in batches.
    Raises ValueError for a layer that is not known or has no maps, and for classes that are not there.
    """
    logits = model.infer(x)
    classes = logits.argmax(axis=1) if classes is None else _checked(classes, *logits.shape)
    dlogits = np.eye(logits.shape[1], dtype=logits.dtype)[classes]  # (N, num_classes): one-hot
    stages = [name for name, child in model.children() if isinstance(child, Sequential) and child.children()]
    if layer is not None:
        _last_leaf(model, layer, stages)  # an unknown one is refused before the work
    with as_it_was(model):
        seen = {record.name: record for record in trace(model, x, dlogits)}
    if layer is None:
        layer = _deepest_legible({name: seen[_last_leaf(model, name, stages)].output for name in stages})
    record = seen[_last_leaf(model, layer, stages)]
    if record.output.ndim != 4:
        raise ValueError(f"layer must have maps (N, C, H, W); {layer} has shape {record.output.shape}: name a stage")
    alpha = record.upstream.mean(axis=(2, 3))  # (N, K)
    maps = np.maximum(np.einsum("nk,nkhw->nhw", alpha, record.output), 0)
    return GradCam(_enlarged(maps, *x.shape[2:]), classes, ops.softmax(logits)[0], layer)


def _checked(classes, N, num_classes):
    classes = np.asarray(classes)
    if classes.shape not in ((), (N,)) or classes.dtype.kind not in "iu":
        raise ValueError(f"classes must be an integer or {N} of them; got {classes.dtype} of shape {classes.shape}")
    if ((classes < 0) | (classes >= num_classes)).any():
        raise ValueError(f"classes must be in 0..{num_classes - 1}; got {classes.min()}..{classes.max()}")
    return np.array(np.broadcast_to(classes, N))


def _last_leaf(model, layer, stages):
    """The leaf that a stage, a block or a leaf ends with."""
    leaves = [name for name, _ in model.named_layers() if f"{name}.".startswith(f"{layer}.")]
    if not leaves:
        known = ", ".join(stages) or "none here"
        raise ValueError(f"layer must be a stage ({known}) or a name in named_layers(); got {layer!r}")
    return leaves[-1]


def _deepest_legible(outputs):
    if not outputs:
        raise ValueError("this model has no stages to choose from: pass layer=, a name in named_layers()")
    legible = [name for name, y in outputs.items() if min(y.shape[2:]) >= LEGIBLE]
    return legible[-1] if legible else next(iter(outputs))


@contextmanager
def as_it_was(model):
    """Evaluation mode; afterwards each leaf gets back all it had, its mode, its gradients and a waiting cache."""
    leaves = [leaf for _, leaf in model.named_layers()]
    before = [dict(vars(leaf)) for leaf in leaves]
    try:
        for leaf in leaves:
            leaf.training, leaf.grads = False, dict(leaf.grads)  # backward writes into this dict
        yield
    finally:
        for leaf, attributes in zip(leaves, before, strict=True):
            vars(leaf).update(attributes)


def _enlarged(maps, H, W):
    """Bilinear, and then the largest value of each map 1.   (N, h, w) -> (N, H, W) float32"""
    large = np.empty((len(maps), H, W), np.float32)
    for small, to in zip(maps, large, strict=True):
        to[:] = Image.fromarray(small.astype(np.float32)).resize((W, H), Image.Resampling.BILINEAR)
        to /= to.max() or 1
    return large
