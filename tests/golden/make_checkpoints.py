"""Write checkpoint_*.pth, small files of torch.save in both of its formats, and checkpoints.npz: what is in them.

python tests/golden/make_checkpoints.py
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

FOLDER = Path(__file__).parent


def tensors():
    """One of each kind: dtypes, views, a shared storage, no axes, no numbers, a parameter."""
    base = torch.arange(24.0).reshape(4, 6) / 7
    kinds = {str(dtype).removeprefix("torch."): (base * 5).to(dtype) for dtype in (
        torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
        torch.bool)}  # fmt: skip
    return {
        "base": base, "turned": base.t(), "part": base[1:3, ::2], "repeated": torch.tensor([2.5]).expand(3, 4),
        "scalar": torch.tensor(3.5), "empty": torch.empty(0, 3), "parameter": nn.Parameter(torch.ones(2)), **kinds,
    }  # fmt: skip


def training():
    """What training scripts save: a wrapped model, its optimizer, and numbers."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    optimizer = torch.optim.Adam(nn.DataParallel(model).parameters())
    model(torch.randn(2, 2, 5, 5)).sum().backward()
    optimizer.step()
    state = nn.DataParallel(model).state_dict()
    return {"state_dict": state, "optimizer": optimizer.state_dict(), "epoch": 3, "best": 92.5, "arch": "net"}


def flat(value, name=""):
    if isinstance(value, torch.Tensor):
        value = value.detach()
        yield name, (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    elif isinstance(value, dict | list | tuple):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from flat(item, f"{name}.{key}" if name else str(key))


if __name__ == "__main__":
    expected = {}
    for name, content in (("tensors", tensors()), ("training", training())):
        for form, is_zip in (("zip", True), ("stream", False)):
            torch.save(content, FOLDER / f"checkpoint_{name}_{form}.pth", _use_new_zipfile_serialization=is_zip)
        expected |= {f"{name}/{key}": array for key, array in flat(content)}
    unsigned = {f"uint{bits}": torch.tensor([1, 2**bits - 1]).to(getattr(torch, f"uint{bits}")) for bits in (16, 32)}
    torch.save(unsigned, FOLDER / "checkpoint_unsigned_zip.pth")
    expected |= {f"unsigned/{key}": array for key, array in flat(unsigned)}
    np.savez_compressed(FOLDER / "checkpoints.npz", **expected)
