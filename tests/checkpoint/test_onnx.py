"""The ONNX graph computes what the model computes in evaluation."""

import numpy as np
import pytest

from numpy_resnet import layers, models
from numpy_resnet.checkpoint import export_onnx

onnx = pytest.importorskip("onnx", reason="needs the package onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")

MODELS = {
    "cifar_resnet20": lambda dtype: models.cifar_resnet20(seed=1, dtype=dtype),
    "cifar_plain20": lambda dtype: models.cifar_plain20(3, in_channels=1, dropout=0.5, dtype=dtype),
    "resnet18": lambda dtype: models.resnet18(7, seed=1, dtype=dtype),
    "resnet50": lambda dtype: models.resnet50(5, stem="cifar", seed=1, dtype=dtype),
}


def randomize(model):
    """Every parameter and statistic, so that none can be forgotten."""
    rng = np.random.default_rng(0)
    for _, layer in model.named_layers():
        if isinstance(layer, layers.BatchNorm2d):
            for array in (*layer.params.values(), *list(layer.buffers.values())[:2]):
                array[...] = rng.uniform(0.5, 1.5, array.shape)
    return model


def run(path, x):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"images": x})[0]


@pytest.mark.real_size
@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_onnx_runtime_says_the_same(tmp_path, name, fold):
    model = randomize(MODELS[name](np.float32))
    export_onnx(tmp_path / "a.onnx", model, (37, 30), fold=fold)
    for N in (1, 3):
        x = np.random.default_rng(N).standard_normal((N, model.options["in_channels"], 37, 30), dtype=np.float32)
        expected = model.infer(x)
        np.testing.assert_allclose(run(tmp_path / "a.onnx", x), expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_the_graph_can_be_read(tmp_path):
    model = models.cifar_resnet20(seed=1)
    export_onnx(tmp_path / "a.onnx", model, (32, 32), batch=4)
    graph = onnx.load(tmp_path / "a.onnx").graph
    names = [node.name for node in graph.node]
    assert names[:3] == ["conv1", "bn1", "relu"]
    assert [node.op_type for node in graph.node if node.name.startswith("layer2.0.downsample")] == ["Slice", "Pad"]
    assert names[-1] == "fc"
    assert {array.name for array in graph.initializer} >= {"conv1.weight", "layer3.2.bn2.running_var", "fc.bias"}
    shapes = [[d.dim_value for d in value.type.tensor_type.shape.dim] for value in (graph.input[0], graph.output[0])]
    assert shapes == [[4, 3, 32, 32], [4, 10]]
    export_onnx(tmp_path / "b.onnx", model, (32, 32), fold=True)
    folded = onnx.load(tmp_path / "b.onnx").graph
    assert {node.op_type for node in folded.node} == {
        "Conv", "Relu", "Add", "Slice", "Pad", "GlobalAveragePool", "Flatten", "Gemm",
    }  # fmt: skip
    assert folded.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


def test_other_layers(tmp_path):
    """Pools with other strides, biases, a flattened map: whatever a model of one's own is made of."""

    class Net(layers.Sequential):
        name, options = "net", {"in_channels": 2, "num_classes": 3}

    net = Net(layers.Conv2d(2, 4, (3, 2), (2, 1), (1, 0)), layers.AvgPool2d(3, 2, 1), layers.MaxPool2d((2, 1)),
              layers.ReLU(), layers.Flatten())  # fmt: skip
    x = np.random.default_rng(0).standard_normal((2, 2, 17, 8), dtype=np.float32)
    net.fc = layers.Linear(net.infer(x).shape[1], 3)
    export_onnx(tmp_path / "a.onnx", net, (17, 8))
    np.testing.assert_allclose(run(tmp_path / "a.onnx", x), net.infer(x), rtol=0, atol=1e-5)


def test_a_layer_that_is_not_known(tmp_path):
    class Square(layers.Layer):
        pass

    model = models.cifar_resnet20()
    model.relu = Square()
    with pytest.raises(TypeError, match="does not know what a Square does"):
        export_onnx(tmp_path / "a.onnx", model, (32, 32))
    assert not list(tmp_path.iterdir())
