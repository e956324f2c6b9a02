"""Write ops.npz: every op on adversarial shapes and values, with the outputs and gradients of PyTorch.

    python tests/golden/make_ops.py

Members are called "op/case/name": "conv2d/no_bias/x". The inputs are those of op_inputs.py.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from op_inputs import eighths, every_case


def zero_pad_channels(x, channels, stride):
    SH, SW = (stride, stride) if isinstance(stride, int) else stride
    before = (channels - x.shape[1]) // 2
    return F.pad(x[:, :, ::SH, ::SW], (0, 0, 0, 0, before, channels - x.shape[1] - before))


TORCH = {
    "add": torch.add,
    "avgpool2d": F.avg_pool2d,
    "batchnorm2d": lambda x, w, b, **o: F.batch_norm(x, None, None, w, b, training=True, **o),
    "batchnorm2d_inference": lambda x, w, b, mean, var, **o: F.batch_norm(x, mean, var, w, b, **o),
    "col2im": lambda cols, size, **options: F.fold(cols, size, **options),
    "conv2d": F.conv2d,
    "cross_entropy": lambda x, labels, class_weight=None, **o: F.cross_entropy(x, labels, class_weight, **o),
    "dropout": lambda x, keep, p: x * keep / (1 - p),
    "flatten": lambda x: x.flatten(1),
    "global_avgpool2d": lambda x: x.mean((2, 3)),
    "im2col": F.unfold,
    "linear": F.linear,
    "log_softmax": lambda x: F.log_softmax(x, 1),
    "maxpool2d": F.max_pool2d,
    "relu": F.relu,
    "softmax": lambda x: F.softmax(x, 1),
    "zero_pad_channels": zero_pad_channels,
}
CONSTANTS = {"keep", "labels", "running_mean", "running_var"}


def main():
    torch.set_num_threads(1)
    members = {}
    for op, title, arrays, options, *dy in every_case():
        record = run(op, title, arrays, options, *dy)
        assert f"{op}/{title}/y" not in members, f"two cases are called {op}/{title}"
        members |= {f"{op}/{title}/{name}": array for name, array in record.items()}
    np.savez_compressed(Path(__file__).with_name("ops.npz"), **members)


def run(op, title, arrays, options, dy=None):
    """All there is to write down of one case, PyTorch's y and gradients included."""
    stored = {name: array for name, array in {**arrays, **options}.items() if isinstance(array, np.ndarray)}
    tensors = {name: None if a is None else torch.tensor(a) for name, a in arrays.items()}
    leaves = {name: t for name, t in tensors.items() if t is not None and name not in CONSTANTS}
    for leaf in leaves.values():
        leaf.requires_grad_()
    options = {name: torch.tensor(v) if isinstance(v, np.ndarray) else v for name, v in options.items()}
    y = TORCH[op](*tensors.values(), **options)
    dy = eighths(op, title, "dy")(*y.shape) if dy is None else np.array(dy)
    grads = torch.autograd.grad(y, list(leaves.values()), torch.tensor(dy))
    kept = {name: value for name, value in options.items() if name not in stored}
    return {
        "options": np.array(json.dumps(kept)),
        **stored,
        "dy": dy,
        "y": y.detach().numpy(),
        **{f"d{name}": grad.numpy() for name, grad in zip(leaves, grads, strict=True)},
    }


if __name__ == "__main__":
    main()
