"""A model as an ONNX graph of evaluation: for ONNX Runtime, and to be looked at in Netron.

Every node has the name of its layer, such as layer1.0.conv1, and so has what comes out of it. Needs the package onnx:
pip install "numpy_resnet[onnx]".
"""

import numpy as np

from numpy_resnet import files
from numpy_resnet.layers import (
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
)
from numpy_resnet.models import BasicBlock, Bottleneck, PlainBlock
from numpy_resnet.models.inference import fold_norm

OPSET, IR_VERSION = 17, 8  # what ONNX Runtime has read since 2022


def export_onnx(path, model, size, *, batch=None, fold=False):
    """Write the model as it is in evaluation: "images" (N, C, H, W), size (H, W) -> "logits" (N, num_classes).

    batch: a number, or None for any. With `fold` the batch norms become part of the convolutions.
    Raises ImportError without the package onnx, TypeError for a model with layers of another kind.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError('to write ONNX files, pip install "numpy_resnet[onnx]"') from error
    graph = _Graph(onnx, fold)
    dtype = model.fc.params["weight"].dtype
    kind, rows = onnx.helper.np_dtype_to_tensor_dtype(dtype), "N" if batch is None else batch
    graph.chain(model.children(), "", "images")
    graph.nodes[-1].output[0] = "logits"
    shape, classes = (model.options["in_channels"], *size), model.options["num_classes"]
    proto = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            model.name,
            [onnx.helper.make_tensor_value_info("images", kind, [rows, *shape])],
            [onnx.helper.make_tensor_value_info("logits", kind, [rows, classes])],
            graph.arrays,
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="numpy_resnet",
    )
    onnx.checker.check_model(proto, full_check=True)
    with files.atomic_write(path) as file:
        file.write(proto.SerializeToString())


class _Graph:
    """Nodes and arrays, layer by layer. Methods take the name of what comes in and return that of what comes out."""

    def __init__(self, onnx, fold):
        self.onnx, self.fold, self.nodes, self.arrays, self.channels = onnx, fold, [], [], None

    def node(self, kind, name, inputs, **attributes):
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def array(self, name, array):
        self.arrays.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def chain(self, children, name, x):
        """Layers with their names, one after the other."""
        while children:
            (child, first), *children = children
            following = children[0][1] if children else None
            if isinstance(first, Conv2d) and self.fold and isinstance(following, BatchNorm2d):
                x, children = self.convolution(first, _join(name, child), x, following), children[1:]
            else:
                x = self.layer(first, _join(name, child), x)
        return x

    def layer(self, layer, name, x):
        if type(layer) in (Sequential, PlainBlock):
            return self.chain(layer.children(), name, x)
        for kind, method in METHODS.items():
            if isinstance(layer, kind):
                return method(self, layer, name, x)
        raise TypeError(f"export_onnx does not know what a {type(layer).__name__} does")

    def block(self, block, name, x):
        """relu(main(x) + shortcut(x))"""
        children = block.children()
        main = children[: [child for child, _ in children].index("downsample")]
        self.channels = main[0][1].params["weight"].shape[1]
        h = self.chain(main, name, x)
        shortcut = self.layer(block.downsample, _join(name, "downsample"), x)
        total = self.node("Add", _join(name, "add"), [h, shortcut])
        return self.node("Relu", _join(name, children[-1][0]), [total])

    def convolution(self, layer, name, x, norm=None):
        weight, bias = fold_norm(layer, norm)
        inputs = [x, self.array(f"{name}.weight", weight)]
        if bias is not None:
            inputs.append(self.array(f"{name}.bias", bias))
        SH, SW = _pair(layer.options["stride"])
        PH, PW = _pair(layer.options["padding"])
        more = {"kernel_shape": weight.shape[2:], "strides": [SH, SW], "pads": [PH, PW, PH, PW]}
        return self.node("Conv", name, inputs, **more)

    def norm(self, layer, name, x):
        own = {**layer.params, **layer.buffers}
        keys = ("weight", "bias", "running_mean", "running_var")
        inputs = [self.array(f"{name}.{key}", own[key]) for key in keys]
        return self.node("BatchNormalization", name, [x, *inputs], epsilon=layer.eps)

    def linear(self, layer, name, x):
        inputs = [x, *(self.array(f"{name}.{key}", array) for key, array in layer.params.items())]
        return self.node("Gemm", name, inputs, transB=1)

    def pool(self, layer, name, x):
        kernel = _pair(layer.options["kernel_size"])
        stride = kernel if layer.options["stride"] is None else _pair(layer.options["stride"])
        more = {} if isinstance(layer, MaxPool2d) else {"count_include_pad": 1}
        pads = [*_pair(layer.options["padding"])] * 2
        kind = "MaxPool" if isinstance(layer, MaxPool2d) else "AveragePool"
        return self.node(kind, name, [x], kernel_shape=kernel, strides=stride, pads=pads, **more)

    def global_pool(self, layer, name, x):
        means = self.node("GlobalAveragePool", f"{name}.means", [x])
        return self.node("Flatten", name, [means])

    def zero_pad(self, layer, name, x):
        """Every stride-th pixel, then zeros before and behind the channels."""
        SH, SW = _pair(layer.options["stride"])
        limits = {"starts": [0, 0], "ends": [2**31 - 1] * 2, "axes": [2, 3], "steps": [SH, SW]}
        inputs = [self.array(f"{name}.{key}", np.int64(value)) for key, value in limits.items()]
        cut = self.node("Slice", f"{name}.cut", [x, *inputs])
        more = layer.options["channels"] - self.channels
        pads = np.int64([0, more // 2, 0, 0, 0, more - more // 2, 0, 0])
        return self.node("Pad", name, [cut, self.array(f"{name}.pads", pads)])


METHODS = {
    BasicBlock: _Graph.block,
    Bottleneck: _Graph.block,
    Conv2d: _Graph.convolution,
    BatchNorm2d: _Graph.norm,
    ReLU: lambda graph, layer, name, x: graph.node("Relu", name, [x]),
    MaxPool2d: _Graph.pool,
    AvgPool2d: _Graph.pool,
    GlobalAvgPool2d: _Graph.global_pool,
    Flatten: lambda graph, layer, name, x: graph.node("Flatten", name, [x]),
    Dropout: lambda graph, layer, name, x: x,  # in evaluation
    Linear: _Graph.linear,
    ZeroPadChannels: _Graph.zero_pad,
}


def _pair(value):
    return tuple(value) if isinstance(value, tuple | list) else (value, value)


def _join(name, key):
    return f"{name}.{key}" if name else key
