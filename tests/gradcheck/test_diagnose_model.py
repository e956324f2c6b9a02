"""A whole network with one wrong op: the layer is found, and the doctor says why."""

import json

import numpy as np
import pytest

from numpy_resnet import models, ops
from numpy_resnet.exercises import zoo
from numpy_resnet.gradcheck import diagnose_model
from numpy_resnet.layers import Add, Composite, Linear, ReLU, Sequential

X = np.random.default_rng(3).standard_normal((2, 1, 8, 8))
LABELS = np.array([2, 0])


def network(**wrong):
    namespace = ops.replaced(**wrong) if wrong else ops
    return models.cifar_resnet20(3, in_channels=1, dtype=np.float64, ops=namespace)


def diagnosed(model, labels=LABELS):
    """The diagnosis; the model is left as it was."""
    before = model.state_dict()
    found = diagnose_model(model, X, labels)
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[key])
    with pytest.raises(RuntimeError, match="needs a forward"):
        model.backward(np.zeros((2, 3)))
    return found


def test_a_right_network_passes():
    for labels in (LABELS, None):
        found = diagnosed(network(), labels)
        assert found
        assert found.ok
        assert str(found).startswith("cifar_resnet20: PASS, 60 gradients")
        assert json.loads(json.dumps(found.as_dict()))["ok"]


def raising(dy, cache):
    raise IndexError("too far")


def doubled(dy, cache):
    dx, dweight, dbias = ops.batchnorm2d_relu_backward(dy, cache)
    return dx, 2 * dweight, dbias


def linear_with_a_bias_for_each_sample(dy, cache):
    return (*ops.linear_backward(dy, cache)[:2], dy if cache.bias is not None else None)


def bug(name):
    found = zoo.BUGS[name]
    return {found.op: found.f, f"{found.op}_backward": found.f_backward}


WRONG = {
    "mask forgotten": ({"relu_backward": lambda dy, c: dy}, "layer3.2.relu2 (ReLU)", "mask_missing"),
    "bias averaged": (bug("linear/bias_averaged"), "fc (Linear)", "constant_factor"),
    "stride forgotten": (bug("conv2d/scattered_without_stride"), "layer3.0.", "shifted"),
    "raises": ({"relu_backward": raising}, "layer3.2.relu2 (ReLU)", "raises"),
    "a shape": ({"linear_backward": linear_with_a_bias_for_each_sample}, "fc (Linear)", "not_summed"),
    "a fused op": (
        {"batchnorm2d_relu": ops.batchnorm2d_relu, "batchnorm2d_relu_backward": doubled},
        "batchnorm2d_relu",
        "constant_factor",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_layer_and_the_cause_are_found(name):
    functions, layer, cause = WRONG[name]
    found = diagnosed(network(**functions))
    assert not found.ok
    assert found.layer.startswith(layer)
    assert found.diagnosis.findings[0].cause == cause, str(found)
    assert found.layer in str(found)
    assert cause in str(found)
    assert json.loads(json.dumps(found.as_dict(), default=str))["layer"] == found.layer


def test_a_block_that_is_put_together_wrongly_has_no_wrong_layer():
    class Forgetful(Composite):
        def __init__(self):
            super().__init__()
            self.fc = Linear(64, 64, dtype=np.float64, rng=0)
            self.add = Add()

        def forward(self, x):
            return self.add.forward(self.fc.forward(x), x)

        def backward(self, dy):
            dh, _ = self.add.backward(dy)
            return self.fc.backward(dh)  # and the shortcut?

    model = Sequential(Forgetful(), ReLU(), Linear(64, 3, dtype=np.float64, rng=1))
    found = diagnose_model(model, X.reshape(2, 64), LABELS)
    assert not found.ok
    assert found.layer.startswith("none alone")
    assert found.diagnosis is None
    assert "shortcuts" in str(found)


def test_what_is_about_the_call_is_raised():
    with pytest.raises(TypeError, match="float64 for a gradient check"):
        diagnose_model(network(), X.astype(np.float32))
    with pytest.raises(ValueError, match=r"labels must be in 0\.\.2"):
        diagnose_model(network(), X, np.array([0, 3]))
