import numpy as np
import pytest

from numpy_resnet import ops
from numpy_resnet.gradcheck import check_gradients
from numpy_resnet.layers import (
    Add,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    ZeroPadChannels,
    trace,
)

RNG = np.random.default_rng(1)
X = RNG.permutation(2 * 3 * 6 * 5).reshape(2, 3, 6, 5) / 40 - 2.26
DOUBLE = {"rng": 0, "dtype": np.float64}

LAYERS = {
    "Conv2d": lambda: Conv2d(3, 4, 3, stride=2, padding=1, **DOUBLE),
    "Conv2d, pairs, no bias": lambda: Conv2d(3, 2, (3, 2), (1, 2), (1, 0), bias=False, **DOUBLE),
    "BatchNorm2d": lambda: BatchNorm2d(3, dtype=np.float64),
    "BatchNorm2d, evaluation": lambda: BatchNorm2d(3, dtype=np.float64).eval(),
    "ReLU": ReLU,
    "MaxPool2d": lambda: MaxPool2d(3, 2, 1),
    "AvgPool2d": lambda: AvgPool2d(2),
    "GlobalAvgPool2d": GlobalAvgPool2d,
    "ZeroPadChannels": lambda: ZeroPadChannels(7, 2),
    "Flatten": Flatten,
    "Dropout, none": lambda: Dropout(0.0),
    "Dropout, evaluation": lambda: Dropout(0.5).eval(),
    "Sequential": lambda: Sequential(Conv2d(3, 4, 3, **DOUBLE), ReLU(), Flatten(), Linear(48, 5, **DOUBLE)),
    "Sequential, empty": Sequential,
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_input_and_parameters(name):
    layer = LAYERS[name]()
    for _, param, _ in layer.named_parameters():
        param[...] = RNG.uniform(0.5, 1.5, param.shape) * RNG.choice([-1, 1], param.shape)
    params = [param for _, param, _ in layer.named_parameters()]

    def f(x, *values):
        for param, value in zip(params, values, strict=True):
            param[...] = value
        return layer.forward(x), None

    def f_backward(dy, cache):
        dx = layer.backward(dy)
        return (dx, *(grad for _, _, grad in layer.named_parameters()))

    report = check_gradients(f, f_backward, X, *[param.copy() for param in params])
    assert report.ok, str(report)
    assert len(report.arguments) == 1 + len(params)


def test_add_sends_the_gradient_both_ways():
    layer = Add()
    np.testing.assert_array_equal(layer.forward(X, 2 * X), 3 * X)
    da, db = layer.backward(X)
    np.testing.assert_array_equal(da, X)
    np.testing.assert_array_equal(db, X)


def test_backward_takes_the_cache():
    layer = ReLU()
    with pytest.raises(RuntimeError, match=r"ReLU.*backward needs a forward of its own"):
        layer.backward(X)
    layer.forward(X)
    layer.backward(X)
    with pytest.raises(RuntimeError, match="backward takes it"):
        layer.backward(X)


def test_a_layer_used_twice_raises_instead_of_being_wrong():
    relu = ReLU()
    shared = Sequential(relu, relu)
    shared.forward(X)
    with pytest.raises(RuntimeError, match="one layer for each place"):
        shared.backward(X)


def test_backward_in_evaluation_mode():
    layer = BatchNorm2d(3, dtype=np.float64).eval()
    layer.forward(X)
    np.testing.assert_allclose(layer.backward(np.ones_like(X)), np.full_like(X, 1 / np.sqrt(1 + 1e-5)))


def test_infer_keeps_nothing_and_changes_nothing():
    model = Sequential(Conv2d(3, 3, 3, **DOUBLE), BatchNorm2d(3, dtype=np.float64), Dropout(0.5, rng=1))
    state = model.state_dict()
    y = model.forward(X)
    after_forward = model.state_dict()
    inferred = model.infer(X)
    assert not np.array_equal(inferred, y)  # evaluation mode, not training
    np.testing.assert_array_equal(inferred, model.eval().forward(X))
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, after_forward[key])
    assert not np.array_equal(state["1.running_mean"], after_forward["1.running_mean"])
    model.train()
    model.forward(X)
    model.infer(X[:1])
    assert model.backward(y).shape == X.shape  # the waiting cache is the forward's
    assert all(layer.training for _, layer in model.named_layers())
    model.infer(X)
    with pytest.raises(RuntimeError, match="needs a forward"):
        model.backward(y)


def test_running_statistics_against_the_definition():
    layer, mean, var = BatchNorm2d(3, momentum=0.3, dtype=np.float64), np.zeros(3), np.ones(3)
    for i in range(3):
        x = X * (i + 1) + i
        layer.forward(x)
        mean = 0.7 * mean + 0.3 * x.mean(axis=(0, 2, 3))
        var = 0.7 * var + 0.3 * x.var(axis=(0, 2, 3), ddof=1)
    np.testing.assert_allclose(layer.buffers["running_mean"], mean, rtol=1e-13)
    np.testing.assert_allclose(layer.buffers["running_var"], var, rtol=1e-13)
    assert layer.buffers["num_batches_tracked"] == 3
    expected = (X - mean[:, None, None]) / np.sqrt(var + 1e-5)[:, None, None]
    np.testing.assert_allclose(layer.infer(X), expected, rtol=1e-12)


def test_an_empty_batch_leaves_the_running_statistics():
    layer = BatchNorm2d(3, dtype=np.float64)
    layer.forward(X[:0])
    np.testing.assert_array_equal(layer.buffers["running_mean"], np.zeros(3))
    np.testing.assert_array_equal(layer.buffers["running_var"], np.ones(3))


def test_dropout_draws_a_new_mask_each_time_and_uses_it_in_backward():
    layer = Dropout(0.5, rng=3)
    first, second = layer.forward(np.ones((40, 50))), layer.forward(np.ones((40, 50)))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(layer.backward(np.ones((40, 50))), second)
    np.testing.assert_array_equal(Dropout(0.5, rng=3).forward(np.ones((40, 50))), first)
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\)"):
        Dropout(1.0)


def test_initial_weights():
    """He-normal by fan-out, uniform within 1/sqrt(IN)."""
    weight = Conv2d(64, 128, 3, rng=0).params["weight"]
    assert weight.shape == (128, 64, 3, 3)
    assert weight.dtype == np.float32
    assert abs(weight.std() / np.sqrt(2 / (128 * 9)) - 1) < 0.02
    linear = Linear(400, 300, rng=0).params
    for array in linear.values():
        assert 0.048 < array.max() <= 0.05
        assert -0.05 <= array.min() < -0.048
    np.testing.assert_array_equal(Conv2d(2, 3, 3, rng=7).params["weight"], Conv2d(2, 3, 3, rng=7).params["weight"])


def test_load_state_dict_copies_into_what_is_there():
    layer = Linear(3, 2, rng=0)
    weight = layer.params["weight"]
    state = {"weight": np.arange(6.0).reshape(2, 3), "bias": np.zeros(2)}
    layer.load_state_dict(state)
    assert layer.params["weight"] is weight
    np.testing.assert_array_equal(weight, state["weight"])
    layer.state_dict()["weight"][...] = 9  # a snapshot: the layer keeps its own
    np.testing.assert_array_equal(weight, state["weight"])


def test_load_state_dict_loads_all_or_nothing():
    layer = Linear(3, 2, rng=0)
    before = layer.state_dict()
    wrong = {"weight": np.zeros((3, 2)), "gain": np.zeros(2)}
    with pytest.raises(ValueError, match="nothing was loaded") as error:
        layer.load_state_dict(wrong)
    for part in ("missing: bias", "unexpected: gain", "weight must be float32 of shape (2, 3), or convert"):
        assert part in str(error.value)
    for key, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[key])


def test_a_count_must_be_whole():
    layer = BatchNorm2d(3)
    for wrong in (2.7, np.nan):
        with pytest.raises(ValueError, match=r"num_batches_tracked must be int64.*got float64"):
            layer.load_state_dict({**layer.state_dict(), "num_batches_tracked": np.array(wrong)})


REFUSED = {
    "list of layers": (lambda: Sequential([ReLU()]), TypeError, "Sequential takes layers, one by one; got list"),
    "kernel zero": (lambda: Conv2d(3, 4, 0), ValueError, "kernel_size must be at least 1"),
    "one kernel size": (lambda: Conv2d(3, 4, (3,)), ValueError, r"one integer or \(height, width\)"),
    "stride zero": (lambda: Conv2d(3, 4, 3, stride=0), ValueError, "stride must be at least 1"),
    "no channels": (lambda: Conv2d(0, 4, 3), ValueError, "in_channels must be at least 1"),
    "integers": (lambda: Conv2d(3, 4, 3, dtype=int), TypeError, "dtype must be np.float32"),
    "half": (lambda: BatchNorm2d(3, dtype=np.float16), TypeError, "dtype must be np.float32"),
    "no features": (lambda: BatchNorm2d(0), ValueError, "num_features must be at least 1"),
    "momentum": (lambda: BatchNorm2d(3, momentum=-0.1), ValueError, "momentum must be in"),
    "no inputs": (lambda: Linear(0, 3), ValueError, "in_features must be at least 1"),
    "p": (lambda: Dropout("0.5"), TypeError, "p must be a number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        call()


def test_inference_of_two_inputs():
    np.testing.assert_array_equal(Add().infer(X, X), 2 * X)


def test_dropout_drops_a_share_of_p():
    y = Dropout(0.2, rng=1).forward(np.ones((200, 500)))
    assert abs((y == 0).mean() - 0.2) < 0.01


def test_layers_take_their_ops_from_the_namespace():
    seen = []

    def relu(x):
        seen.append(x.shape)
        return ops.relu(x)

    mine = ops.replaced(relu=relu, relu_backward=lambda dy, cache: 7 * ops.relu_backward(dy, cache))
    layer = ReLU(ops=mine)
    layer.forward(X)
    np.testing.assert_array_equal(layer.backward(np.ones_like(X)), 7.0 * (X > 0))
    assert seen == [X.shape]


def test_trace_shows_what_each_layer_saw():
    model = Sequential(Conv2d(3, 2, 3, **DOUBLE), ReLU(), Flatten())
    dy = RNG.standard_normal((2, 24))
    conv, relu, flat = trace(model, X, dy)
    assert [record.name for record in (conv, relu, flat)] == ["0", "1", "2"]
    np.testing.assert_array_equal(conv.input, X)
    np.testing.assert_array_equal(conv.output, relu.input)
    np.testing.assert_array_equal(flat.upstream, dy)
    np.testing.assert_array_equal(conv.upstream, relu.downstream)
    np.testing.assert_array_equal(conv.downstream, model.forward(X) is not None and model.backward(dy))
    assert relu.layer is vars(model)["1"]
    assert "forward" not in vars(relu.layer)  # nothing stays behind
    assert [record.upstream for record in trace(model, X)] == [None] * 3
