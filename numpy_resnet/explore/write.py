"""Graph, numbers and code as one HTML file that needs nothing else."""

import html
import json
import re
from pathlib import Path

import numpy as np
from tqdm import tqdm

from numpy_resnet import ops
from numpy_resnet.explore import closer, flow, graph, numbers, sources
from numpy_resnet.explore.numbers import plain
from numpy_resnet.models import MODELS

PAGE = Path(__file__).with_name("page")
SCRIPTS = ("data", "maps", "network", "windows", "grids", "closer", "flow", "code", "main", "begin")


def page(
    model, x, label=None, *, classes, seen, decide=graph.likeliest, image="image", about="not trained", training=False
):
    """A page to step through one forward and one backward pass -> HTML, complete in itself

    x (1, C, H, W): the image as the network wants it; label: the class whose cross entropy is the loss, or None for the
    one that the network decides on; classes: names; seen (1 or 3, H, W) in [0, 1]: the image to look at; decide:
    probabilities (N, K) -> classes (N,); image, about: what image and network are, in words.
    training: batch norm takes the statistics of this image, as in training, instead of those that it has learnt.
    The model stays as it was.
    Raises ValueError where x is not one image, label no class, a number not finite, or names and classes differ.
    """
    run = graph.run(model, x, label, decide=decide, training=training)
    if len(classes) != len(run.logits):
        raise ValueError(f"classes must name {len(run.logits)} classes; got {len(classes)} names")
    content = {
        "image": {"name": image, **_photograph(seen)},
        "classes": list(classes),
        "label": run.label,
        "predicted": int(decide(ops.softmax(run.logits[None])[0])[0]),
        "model": {"name": getattr(model, "name", type(model).__name__), "about": about, "training": training},
        **_contents(model, run),
        "flow": _flow(model, run, x, training),
    }
    title = f"{content['model']['name']}, there and back"
    parts = {
        "title": html.escape(title),
        "style": _file("style.css"),
        "script": "\n".join(_file(f"{name}.js") for name in SCRIPTS),
        "data": json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _file("page.html"))


def _file(name):
    return (PAGE / name).read_text(encoding="utf-8")


def _photograph(seen):
    """The image as bytes, pixel by pixel."""
    pixels = np.rint(np.clip(numbers.thinned(seen, numbers.SIDES[0]), 0, 1) * 255).astype(np.uint8)
    return {"shape": list(pixels.shape), "pixels": numbers.as_text(pixels.transpose(1, 2, 0))}


def _contents(model, run):
    """Nodes with their code, tensors, and arrays: each array once, however many tensors it is part of."""
    channels, tensors, code, nodes = numbers.telling_channels(run.tensors), [], {}, []
    arrays = _Arrays(numbers.longest_side(run.tensors))
    for value, gradient in run.tensors:
        shown = channels.get(len(value)) if np.ndim(value) else None
        places = [arrays.place(array, shown) for array in (value, gradient)]
        tensors.append({"shape": list(value.shape), "value": places[0], "gradient": places[1]})
    for node in tqdm(run.nodes, desc="looking closer", leave=False, disable=None):
        key, pairs = sources.of_node(node, run, model)
        code.setdefault(key, pairs)
        nodes.append({**_about(node, run), "code": key, "closer": closer.look(node, run, channels)})
    return {
        "nodes": nodes,
        "tensors": tensors,
        "arrays": arrays.described,
        "channels": {C: shown.tolist() for C, shown in channels.items()},
        "code": code,
    }


class _Arrays:
    """The arrays of the page by number. Where an array lies in memory says which it is, as long as the graph lives."""

    def __init__(self, side):
        self.side, self.described, self.known = side, [], {}

    def place(self, array, channels):
        key = array.__array_interface__["data"][0], array.shape, array.strides
        if key not in self.known:
            self.known[key] = len(self.described)
            self.described.append(numbers.describe(array, () if channels is None else channels, self.side))
        return self.known[key]


def _about(node, run):
    """What a node is, and what it costs."""
    leaf = node.layer if node.kind not in graph.NO_LAYERS else None
    params = leaf.params if leaf else {}
    y = run.tensors[node.outputs[0]].value
    return {
        "name": node.name,
        "kind": node.kind,
        "block": node.block,
        "shortcut": node.on_shortcut,
        "inputs": list(node.inputs),
        "outputs": list(node.outputs),
        "title": repr(leaf) if leaf else "",
        "parameters": sum(param.size for param in params.values()),
        "multiplyAdds": leaf.multiply_adds(y) if leaf else 0,
        "sizes": [
            {"name": key, "norm": plain(numbers.norm(param)), "gradient": plain(numbers.norm(node.grads[key]))}
            for key, param in params.items()
        ],
    }


def _flow(model, run, x, training):
    """The gradient at each block: with shortcuts and without, in this network and before training."""
    cases, name = {"here": lambda: flow.trained(model, x, run, training=training)}, getattr(model, "name", "")
    if flow.blocks_with_shortcuts(model) and name in MODELS:
        maps = [run.tensors[n.outputs[0]].value for n in run.nodes if n.kind.startswith("batchnorm2d")]
        if all(y[0].size > 1 for y in maps):  # one value has no variance
            cases["normalised"] = lambda: flow.fresh(model, x, run.label, normalised=True)
        cases["unnormalised"] = lambda: flow.fresh(model, x, run.label, normalised=False)
    progress = tqdm(cases.items(), desc="following the gradient", leave=False, disable=None)
    plain_name = name.replace("resnet", "plain")
    return {case: measure() for case, measure in progress} | {"plain": plain_name if plain_name in MODELS else ""}
