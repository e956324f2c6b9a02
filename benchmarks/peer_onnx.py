"""ONNX Runtime and OpenVINO, on one file that PyTorch writes of the network with our weights."""

import contextlib
import io
import tempfile
import warnings
from pathlib import Path

import contenders


class Onnx:
    def __init__(self, name, threads):
        self.name, self.threads = name, threads
        if name == "OpenVINO":
            import openvino as library
        else:
            import onnxruntime as library
        self.library, self.version = library, library.__version__

    def prepare(self, work):
        if work["train"]:
            raise ValueError("it does not train")
        model, x, _ = contenders.problem(work)
        x = x.copy(order="C")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            export(work, model, x, path)
            return self._openvino(path, x) if self.name == "OpenVINO" else self._onnxruntime(path, x)

    def _onnxruntime(self, path, x):
        options = self.library.SessionOptions()
        options.intra_op_num_threads = self.threads
        session = self.library.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda: session.run(None, {name: x}), contenders.numbers(session.run(None, {name: x})[0])

    def _openvino(self, path, x):
        core = self.library.Core()
        options = {"INFERENCE_NUM_THREADS": self.threads, "PERFORMANCE_HINT": "LATENCY"}
        options["INFERENCE_PRECISION_HINT"] = "f32"
        compiled = core.compile_model(core.read_model(str(path)), "CPU", options)
        return lambda: compiled([x]), contenders.numbers(compiled([x])[0])


def export(work, model, x, path):
    import torch
    from peer_torch import network

    net = network(work, model.state_dict()).eval()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(net, torch.from_numpy(x), str(path), dynamo=False)
