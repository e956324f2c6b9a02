"""A compiled model has the logits of evaluation."""

import numpy as np
import pytest

from numpy_resnet import layers, models, ops
from numpy_resnet.models.inference import CompiledModel

RNG = np.random.default_rng(8)
BUILD = {
    "basic blocks": lambda **more: models.resnet18(num_classes=5, **more),
    "bottleneck blocks": lambda **more: models.resnet50(num_classes=5, **more),
    "no shortcuts": lambda **more: models.plain18(num_classes=5, dropout=0.3, **more),
    "shortcuts without parameters": lambda **more: models.cifar_resnet20(**more),
    "the stem for small images": lambda **more: models.resnet18(num_classes=5, stem="cifar", **more),
}


def trained(build, dtype, size):
    """A model whose running statistics and vectors are like none other's."""
    model = build(dtype=dtype)
    model.forward(RNG.standard_normal((4, 3, size, size)).astype(dtype))
    for _, layer in model.named_layers():
        for name, vector in {**layer.params, **layer.buffers}.items():
            if vector.ndim == 1 and isinstance(layer, layers.BatchNorm2d):
                low, high = (0.5, 1.5) if name in ("weight", "running_var") else (-0.2, 0.2)
                vector *= RNG.uniform(low, high, vector.shape)
                vector += 0.1
    return model


@pytest.mark.real_size
@pytest.mark.parametrize("name", BUILD)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_it_equals_evaluation(name, dtype, tolerance):
    model = trained(BUILD[name], dtype, 40)
    compiled = model.compile_inference()
    for shape in ((3, 3, 40, 36), (1, 3, 64, 64), (40, 3, 16, 16)):
        x = RNG.standard_normal(shape).astype(dtype)
        expected = model.infer(x)
        logits = compiled.forward(x)
        assert logits.dtype == dtype
        assert np.abs(logits - expected).max() <= tolerance * np.abs(expected).max()


def test_it_is_a_snapshot():
    model = trained(models.cifar_resnet20, np.float64, 8)
    x = RNG.standard_normal((1, 3, 8, 8))
    compiled, expected = model.compile_inference(), model.infer(x)
    for _, weight, _ in model.named_parameters():
        weight *= 0.5
    model.fc.params["weight"] *= 2
    np.testing.assert_allclose(compiled.forward(x), expected, rtol=1e-10, atol=1e-12)


def test_what_it_cannot_do_is_refused():
    namespace = ops.replaced(relu=ops.relu, relu_backward=ops.relu_backward)
    with pytest.raises(ValueError, match=r"this model has others in .*: use infer"):
        models.cifar_resnet20(ops=namespace).compile_inference()

    class Twice(layers.Composite):
        def __init__(self):
            super().__init__()
            self.relu = layers.ReLU()

    model = layers.Sequential(Twice())
    model.name = "twice"
    with pytest.raises(TypeError, match="does not know what a Twice does: use infer"):
        CompiledModel(model)
    with pytest.raises(ValueError, match="x must have 3 channels"):
        models.cifar_resnet20().compile_inference().forward(np.zeros((1, 1, 8, 8), np.float32))


def test_convolutions_with_a_bias_and_no_norm():
    model = layers.Sequential(layers.Conv2d(3, 8, 3, padding=1, rng=0), layers.ReLU(), layers.Conv2d(8, 4, 1, rng=1))
    model.name = "small"
    x = RNG.standard_normal((2, 3, 9, 8), dtype=np.float32)
    np.testing.assert_allclose(CompiledModel(model).forward(x), model.infer(x), rtol=1e-5, atol=1e-6)
