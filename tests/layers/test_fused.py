"""Fused layers do what their parts do one by one, and step aside where the parts are wanted."""

import types

import numpy as np
import pytest

from numpy_resnet import layers, models, ops

RNG = np.random.default_rng(5)
SHAPE = (3, 4, 6, 5)


def new_layers(namespace=ops):
    norm = layers.BatchNorm2d(4, dtype=np.float64, ops=namespace)
    norm.params["weight"][:], norm.params["bias"][:] = [0.5, -1, 2, 1], [0.1, 0.2, -0.3, 0]
    return norm, layers.Add(ops=namespace), layers.ReLU(ops=namespace)


def assert_same(fused, apart):
    """The gradients, the running statistics and the gradients of the parameters."""
    for a, b in zip(fused[0], apart[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    for what in ("grads", "buffers"):
        for a, b in zip(getattr(fused[1], what).values(), getattr(apart[1], what).values(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_norm_relu_is_its_parts(training):
    x, dy = RNG.standard_normal((2, *SHAPE))
    norm, _, relu = new_layers()
    norm.train(training)
    pair = layers.NormReLU(norm, relu)
    other, _, other_relu = new_layers()
    other.train(training)
    fused = (pair.forward(x), pair.backward(dy)), norm
    apart = (other_relu.forward(other.forward(x)), other.backward(other_relu.backward(dy))), other
    assert_same(fused, apart)


@pytest.mark.parametrize("training", [True, False])
def test_norm_add_relu_is_its_parts(training):
    x, shortcut, dy = RNG.standard_normal((3, *SHAPE))
    norm, add, relu = new_layers()
    norm.train(training)
    three = layers.NormAddReLU(norm, add, relu)
    fused = (three.forward(x, shortcut), *three.backward(dy)), norm
    other, add, relu = new_layers()
    other.train(training)
    y = relu.forward(add.forward(other.forward(x), shortcut))
    dh, dshortcut = add.backward(relu.backward(dy))
    assert_same(fused, ((y, other.backward(dh), dshortcut), other))


def test_a_cache_that_relu_left_in_evaluation_is_not_taken_for_this_ones():
    norm, _, relu = new_layers()
    pair = layers.NormReLU(norm, relu)
    norm.eval()
    pair.forward(RNG.standard_normal(SHAPE))
    norm.train()
    x, dy = RNG.standard_normal((2, *SHAPE))
    pair.forward(x)
    dx = pair.backward(dy)
    _, cache = ops.batchnorm2d_relu(x, *norm.params.values())
    np.testing.assert_array_equal(dx, ops.batchnorm2d_relu_backward(dy, cache)[0])
    with pytest.raises(RuntimeError, match="needs a forward of its own"):
        pair.backward(dy)


def test_an_exchanged_part_is_used():
    calls = []

    def relu(x):
        calls.append(x.shape)
        return ops.relu(x)

    block = models.identity_block(3, rng=0, ops=ops.replaced(relu=relu, relu_backward=ops.relu_backward))
    x = RNG.standard_normal((2, 3, 5, 4), dtype=np.float32)
    y = block.forward(x)
    assert calls == [x.shape] * 2
    own = models.identity_block(3, rng=0)
    np.testing.assert_allclose(y, own.forward(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(block.backward(y), own.backward(y), rtol=1e-4, atol=1e-5)
    assert isinstance(ops.replaced(), types.SimpleNamespace)


def test_a_trace_sees_the_parts():
    block = models.identity_block(3, rng=0, dtype=np.float64)
    x = RNG.standard_normal((2, 3, 5, 4))
    seen = {trace.name: trace for trace in layers.trace(block, x, x)}
    assert (seen["bn1"].output < 0).any()
    np.testing.assert_array_equal(seen["relu1"].output, np.maximum(seen["bn1"].output, 0))
    np.testing.assert_allclose(block.forward(x), seen["relu2"].output, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("build", [models.resnet18, models.cifar_resnet20])
def test_backward_of_the_parameters_alone(build):
    model = build(num_classes=3, dtype=np.float64)
    x, dy = RNG.standard_normal((2, 3, 32, 32)), RNG.standard_normal((2, 3))
    model.forward(x)
    model.backward(dy)
    grads = {key: grad.copy() for key, _, grad in model.named_parameters()}
    model.forward(x)
    assert model.backward_parameters(dy) is None
    for key, _, grad in model.named_parameters():
        np.testing.assert_array_equal(grad, grads[key])


def test_an_exchanged_convolution_is_used_for_the_parameters_alone():
    naive = ops.conv.ALGORITHMS["naive"]
    namespace = ops.replaced(conv2d=naive.conv2d, conv2d_backward=naive.conv2d_backward)
    x, weight = RNG.standard_normal((1, 2, 4, 4)), RNG.standard_normal((3, 2, 3, 3))
    y, cache = namespace.conv2d(x, weight)
    dweight, dbias = namespace.conv2d_backward_parameters(y, cache)
    np.testing.assert_array_equal(dweight, naive.conv2d_backward(y, cache)[1])
    assert dbias is None
