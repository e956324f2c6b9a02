"""Whole networks: inference, a training step, memory, start-up and threads, beside whoever is installed.

    python benchmarks/network.py                       all rows; about half an hour
    python benchmarks/network.py step16 infer1         some of them; the others keep the figures they have

Figures go to benchmarks/results/network.json, row by row; `python benchmarks/report.py` makes tables and pictures.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from contenders import NAMES, OURS, TORCH
from results import environment, load, save
from turns import Contender, compare

IMAGENET, SMALL = {"options": {}, "size": 224}, {"options": {"stem": "cifar", "num_classes": 10}, "size": 32}
ROWS = [  # name, mode, model, batch, options and size
    ("step16", "training step", "resnet18", 16, IMAGENET),
    ("infer16", "inference", "resnet18", 16, IMAGENET),
    ("infer1", "inference", "resnet18", 1, IMAGENET),
    ("step-small", "training step", "resnet18", 64, SMALL),
    ("step-cifar20", "training step", "cifar_resnet20", 128, {"options": {}, "size": 32}),
    ("step50", "training step", "resnet50", 8, IMAGENET),
    ("step1", "training step", "resnet18", 1, IMAGENET),
    ("step64", "training step", "resnet18", 64, IMAGENET),
    ("infer64", "inference", "resnet18", 64, IMAGENET),
    ("infer-small", "inference", "resnet18", 64, SMALL),
]


def title(mode, model, batch, more):
    stem = ", CIFAR stem" if more["options"].get("stem") else ""
    return f"{mode}, {model}{stem}, {batch}x3x{more['size']}x{more['size']}"


WORKS = {
    name: (title(mode, *which), {"model": which[0], "batch": which[1], "train": mode != "inference", **which[2]})
    for name, mode, *which in ROWS
}

PREDICT = """
import numpy as np
from numpy_resnet import models
models.resnet18().infer(np.zeros((1, 3, 224, 224), np.float32))
"""
PREDICT_TORCH = """
import sys
sys.path.insert(0, {folder!r})
import torch
from peer_torch import PLANS, ResNet
blocks, widths, expansion, num_classes, projection = PLANS["resnet18"]
net = ResNet(blocks, widths, expansion, num_classes, "imagenet", projection).eval()
with torch.inference_mode():
    net(torch.zeros(1, 3, 224, 224))
"""
STEP = """
import numpy as np
from numpy_resnet import models, ops, optim
model, labels = models.resnet18(), np.zeros(16, int)
optimizer = optim.SGD(model, 0.01, momentum=0.9)
loss, cache = ops.cross_entropy(model.forward(np.zeros((16, 3, 224, 224), np.float32)), labels)
model.backward_parameters(ops.cross_entropy_backward(1.0, cache))
optimizer.step()
"""


def whole_process(code, **environment):
    """Seconds of a new process that runs this."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **environment}, check=True)
    return time.perf_counter() - start


def start_up(rounds):
    """Import and one prediction, kernels cached, in a process of its own, ours and PyTorch's in turn."""
    codes = {OURS: PREDICT}
    if installed("torch"):
        codes["PyTorch"] = PREDICT_TORCH.format(folder=os.path.dirname(os.path.abspath(__file__)))
    times = {name: [] for name in codes}
    for _ in range(rounds + 1):
        for name, code in codes.items():
            times[name].append(whole_process(code))
    return {name: {"median": statistics.median(seconds[1:])} for name, seconds in times.items()}


def installed(module):
    return subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


def first_step():
    """The first training step ever: nothing is compiled."""
    with tempfile.TemporaryDirectory() as folder:
        return {OURS: {"median": whole_process(STEP, NUMBA_CACHE_DIR=folder)}}


def threads(rounds):
    """Our training step with one thread and with two, in turn."""
    work = WORKS["step16"][1]

    def make(name, _):
        contender = Contender(OURS, int(name.split()[0]))
        contender.name = name
        return contender

    return compare(["1 thread", "2 threads"], work, threads=0, rounds=rounds, seconds=2, make=make)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(WORKS)}, start-up, first-step, threads")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="turns of each contender (default: 7)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of each contender (default: 2)")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="leave a contender out")
    args = parser.parse_args()
    special = {
        "start-up": ("import and one prediction, whole process", lambda: start_up(args.rounds)),
        "first-step": ("first training step ever, whole process", first_step),
        "threads": ("training step, resnet18, 16x3x224x224, 1 and 2 threads", lambda: threads(args.rounds)),
    }
    content = load("network")
    content["environment"] = environment(args.threads)
    for row in args.rows or [*WORKS, *special]:
        if row in special:
            what, measure = special[row]
        else:
            what, work = WORKS[row]
            names = [OURS, *TORCH, "JAX"] if work["train"] else NAMES
            names = [name for name in names if name not in args.without]

            def measure(names=names, work=work):
                return compare(names, work, threads=args.threads, rounds=args.rounds, seconds=1.5)

        print(what, flush=True)
        content.setdefault("rows", {})[row] = {"title": what, "figures": measure()}
        for name, figures in content["rows"][row]["figures"].items():
            print(f"  {name:<24}{figures['median'] * 1e3:>10.1f} ms{figures.get('memory', 0):>8.0f} MB", flush=True)
        save("network", content)


if __name__ == "__main__":
    main()
