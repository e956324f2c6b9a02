"""Whole networks beside PyTorch: logits, losses, every gradient, running statistics, three steps of SGD."""

from pathlib import Path

import numpy as np
import pytest
from golden_network import NETWORKS, SGD, STEPS, images, record, weights

from numpy_resnet import models, ops
from numpy_resnet.optim import SGD as Optimizer

GOLDEN = Path(__file__).parents[1] / "golden" / "network.npz"


def run(name):
    """The same training as golden/make_network.py's, here."""
    model = models.MODELS[name](NETWORKS[name][1], dtype=np.float64)
    model.load_state_dict(weights({key: array.shape for key, array in model.state_dict().items()}))
    x, labels = images(name)
    optimizer, losses = Optimizer(model, **SGD), []
    for step in range(STEPS):
        logits = model.forward(x)
        loss, cache = ops.cross_entropy(logits, labels)
        dx = model.backward(ops.cross_entropy_backward(1.0, cache))
        losses.append(loss)
        if step == 0:
            first = logits, dx
            gradients = {key: grad.copy() for key, _, grad in model.named_parameters()}
            running = {key: array for key, array in model.state_dict().items() if "running" in key}
        optimizer.step()
    parameters = {key: param for key, param, _ in model.named_parameters()}
    return record(first[0], losses, first[1], gradients, running, parameters)


@pytest.mark.real_size
@pytest.mark.parametrize("name", NETWORKS)
def test_a_training_run_equals_pytorchs(name):
    with np.load(GOLDEN) as golden:
        expected = dict(zip(golden["keys"], golden["fingerprints"], strict=True))
    expected = {key.removeprefix(f"{name}/"): e for key, e in expected.items() if key.startswith(f"{name}/")}
    got = run(name)
    assert list(got) == list(expected)
    errors = {}
    for key, e in expected.items():
        assert got[key][-1] == e[-1]  # the size
        errors[key] = np.abs(got[key] - e).max() / e[0]  # relative to the largest value of the tensor
    wrong = {key: error for key, error in errors.items() if not error <= 1e-7}  # NaN is wrong, too
    assert not wrong, wrong
