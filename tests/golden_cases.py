"""Every op on awkward inputs, with PyTorch's outputs and gradients, as golden/make_ops.py stored them."""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

OPS = Path(__file__).parent / "golden" / "ops.npz"
ARGUMENTS = {
    "add": ["a", "b"],
    "batchnorm2d": ["x", "weight", "bias"],
    "batchnorm2d_inference": ["x", "weight", "bias", "running_mean", "running_var"],
    "col2im": ["cols"],
    "conv2d": ["x", "weight", "bias"],
    "cross_entropy": ["logits", "labels"],
    "dropout": ["x", "keep"],
    "linear": ["x", "weight", "bias"],
}  # of every other op: x
CONSTANTS = {"keep", "labels", "running_mean", "running_var"}  # arguments that have no gradient


class Case(NamedTuple):
    id: str  # "conv2d/no_bias"
    op: str
    arrays: dict  # the positional arguments in their order; an absent bias is None. All are read-only
    options: dict  # the keyword arguments
    dy: np.ndarray  # a scalar for a loss
    y: np.ndarray
    grads: tuple  # one for each differentiable argument; an absent bias has None

    def __repr__(self):
        return f"<{self.id} {self.options}>"


def cases(op=None):
    """Every Case, or those of one op, in float64: the y of f(*arrays.values(), **options), and its gradients.

    im2col and col2im have no backward of their own: the gradient of one is the other's forward.
    """
    found = [_case(id, members) for id, members in _read().items()]
    return [case for case in found if op in (None, case.op)]


def assert_close(actual, expected, tolerance=1e-12, error=""):
    """Same shape, NaN and infinities in the same places, the rest as close as tolerance * the largest."""
    if expected is None:
        assert actual is None, error
        return
    shape, wanted = np.shape(actual), np.shape(expected)
    assert shape == wanted, f"{error}: shape {shape}, not {wanted}"
    finite = np.abs(expected)[np.isfinite(expected)]
    atol = tolerance * np.max(finite, initial=0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol, err_msg=error)


def _case(id, members):
    op = id.split("/")[0]
    names = ARGUMENTS.get(op, ["x"])
    options = {name: tuple(v) if isinstance(v, list) else v for name, v in members["options"].items()}
    if "class_weight" in members:
        options["class_weight"] = members["class_weight"]
    return Case(
        id,
        op,
        {name: members.get(name) for name in names},
        options,
        members["dy"],
        members["y"],
        tuple(members.get("d" + name) for name in names if name not in CONSTANTS),
    )


@cache
def _read():
    """{"conv2d/no_bias": {"options": {...}, "x": array, ...}, ...}"""
    found = {}
    with np.load(OPS) as file:
        for key in file.files:
            id, name = key.rsplit("/", 1)
            array = file[key]
            array.flags.writeable = False
            found.setdefault(id, {})[name] = json.loads(str(array)) if name == "options" else array[()]
    return found
