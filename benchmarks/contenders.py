"""What the contenders are: each prepares a work and gives a function that does it once.

A work is {"model", "options", "batch", "size", "train"}. All start from the same weights, those of our model, and the
same images; `prepare` answers the logits (inference) or the losses of two steps (training), which must agree.
"""

import importlib

import numpy as np

OURS = "numpy_resnet"
TORCH = {"PyTorch": "contiguous", "PyTorch channels-last": "channels_last", "torch.compile": "compile"}
NAMES = [OURS, *TORCH, "ONNX Runtime", "OpenVINO", "JAX"]
LR, MOMENTUM = 0.01, 0.9


def new(name, threads):
    if name not in NAMES:
        raise ValueError(f"no such contender; there are {', '.join(NAMES)}")
    if name == OURS:
        return Ours(threads)
    if name in TORCH:
        return importlib.import_module("peer_torch").Torch(threads, TORCH[name])
    if name == "JAX":
        return importlib.import_module("peer_jax").Jax()
    return importlib.import_module("peer_onnx").Onnx(name, threads)


def problem(work):
    """Our model, images (N, 3, size, size) in channels-last memory, labels."""
    from numpy_resnet import models

    rng = np.random.default_rng(0)
    model = getattr(models, work["model"])(**work["options"])
    x = rng.standard_normal((work["batch"], work["size"], work["size"], 3), dtype=np.float32).transpose(0, 3, 1, 2)
    return model, x, rng.integers(0, 10, work["batch"])


def numbers(array):
    """Some of an array's numbers, for JSON."""
    return [float(value) for value in np.asarray(array).reshape(-1)[:40]]


def two_losses(step):
    """The iteration and the losses of two steps, of a function that makes one step and returns its loss."""
    return step, [float(step()), float(step())]


class Ours:
    def __init__(self, threads):
        import numba

        import numpy_resnet

        numpy_resnet.set_num_threads(threads)
        self.version = f"{numpy_resnet.__version__}, NumPy {np.__version__}, Numba {numba.__version__}"

    def prepare(self, work):
        from numpy_resnet import ops, optim

        model, x, labels = problem(work)
        if not work["train"]:
            compiled = model.compile_inference()
            return lambda: compiled.forward(x), numbers(compiled.forward(x))
        optimizer = optim.SGD(model, LR, momentum=MOMENTUM)

        def step():
            loss, cache = ops.cross_entropy(model.forward(x), labels)
            model.backward_parameters(ops.cross_entropy_backward(1.0, cache))
            optimizer.step()
            return loss

        return two_losses(step)
