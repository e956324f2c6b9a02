"""The code of a node, forward and backward, and what its docstrings say."""

import inspect
import re
import textwrap
from pathlib import Path

import numpy_resnet
from numpy_resnet import ops, reference

COMPOSITES = {  # what the code of a whole network, or block, means at this place
    "input": {
        "says": "The image, normalised as in training.",
        "idea": "the way back ends here: how much the loss would change with each pixel.",
    },
    "fork": {
        "says": "x goes two ways: into the branch, and past it on the shortcut.",
        "idea": "x went two ways, so its gradients add.",
    },
}
CITED = re.compile(r"\s\([A-Z][^()]*\d{4}[^()]*\)")  # the file itself says where it is from
HOME = Path(numpy_resnet.__file__).parent


def of_node(node, graph, model):
    """(key, pairs) of a node: key names the pairs, so that they are written once; the first pair is what ran."""
    if node.kind in COMPOSITES:
        cls = type(model if node.kind == "input" else node.layer)
        pair = _pair(cls.__name__, cls.forward, cls.backward)
        return f"{node.kind} {cls.__name__}", [pair | COMPOSITES[node.kind]]
    if node.kind == "conv2d":
        return _convolution(node, graph)
    if node.kind == "loss":
        return "loss", [_op("cross_entropy"), _op("softmax")]
    others = {"batchnorm2d_inference": ["batchnorm2d"], "batchnorm2d": ["batchnorm2d_inference"]}.get(node.kind, [])
    return node.kind, [_op(node.kind, node.layer.ops), *map(_op, others)]


def _convolution(node, graph):
    """The algorithm that ran, then the others."""
    if node.layer.ops.conv2d is not ops.conv2d:
        return "conv2d", [_op("conv2d", node.layer.ops)]
    x = graph.tensors[node.inputs[0]].value
    _, cache = ops.conv2d(x[None], node.layer.params["weight"], node.layer.params.get("bias"), **node.layer.options)
    ran = next(name for name, module in ops.conv.ALGORITHMS.items() if module is ops.conv.pick(cache))
    pairs = {
        "im2col": _pair("im2col", ops.conv.im2col.conv2d, ops.conv.im2col.conv2d_backward),
        "winograd": _pair("winograd", ops.conv.winograd.conv2d, ops.conv.winograd.conv2d_backward),
        "columns": _pair("im2col and its transpose", ops.im2col, ops.col2im),
        "definition": _pair("by definition", reference.conv2d, reference.conv2d_backward),
    }
    return f"conv2d {ran}", [pairs.pop(ran), *pairs.values()]


def _op(name, namespace=ops):
    return _pair(name, getattr(namespace, name), getattr(namespace, f"{name}_backward"))


def _pair(label, forward, backward):
    """Two functions as text, where they stand, and the two sentences that matter most."""
    told = inspect.getdoc(backward) or ""
    idea = re.search(r"The idea: (.*?)(?:\n\n|$)", told, re.DOTALL)
    return {
        "label": label,
        "forward": _source(forward),
        "backward": _source(backward),
        "place": _place(forward),
        "says": _first_sentence(inspect.getdoc(forward) or ""),
        "idea": _one_line(CITED.sub("", idea[1])) if idea else "",
    }


def _source(function):
    try:
        return textwrap.dedent(inspect.getsource(function)).rstrip()
    except (TypeError, OSError):  # made by another function, or typed in
        return f"# {getattr(function, '__name__', type(function).__name__)}: its source is not at hand"


def _place(function):
    try:
        path = Path(inspect.getsourcefile(function) or "")
    except TypeError:
        return ""
    return path.relative_to(HOME.parent).as_posix() if path.is_relative_to(HOME) else path.name


def _first_sentence(text):
    first = text.split("\n\n")[0].split("   ")[0]
    return _one_line(first)


def _one_line(text):
    return " ".join(text.split())
