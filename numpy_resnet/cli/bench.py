"""numpy-resnet bench: how fast this machine is, with nothing else installed."""

import json
import os
import platform
import statistics
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from tqdm import tqdm

import numpy_resnet
from numpy_resnet import files, models, ops, optim
from numpy_resnet.cli.options import at_least, new_command

HELP = """\
Time inference (compiled: batch norm folded) and a training step (SGD with momentum) of one network on random images.
One round is not counted. Beside other frameworks: see benchmarks/ in the source.
"""


def add_commands(commands):
    add = new_command(commands, bench, "bench", "how fast inference and training are here", HELP).add_argument
    add("--model", default="resnet18", choices=models.MODELS, metavar="MODEL", help="default: resnet18")
    add("--batch-size", type=at_least(1), default=16, metavar="N", help="images at once (default: 16)")
    add("--size", type=at_least(8), metavar="PIXELS", help="height and width (default: 224; 32 for cifar_...)")
    add("--threads", type=at_least(1), metavar="N", help="default: as many as cores")
    add("--rounds", type=at_least(2), default=10, metavar="N", help="of each (default: 10)")
    add("--only", choices=("inference", "training"), help="one of the two")
    add("--json", type=Path, metavar="FILE", help="write the figures there, too")


def bench(args):
    if args.threads:
        numpy_resnet.set_num_threads(args.threads)
    size = args.size or (32 if args.model.startswith("cifar") else 224)
    model, rng = getattr(models, args.model)(), np.random.default_rng(0)
    x = rng.standard_normal((args.batch_size, size, size, 3), dtype=np.float32).transpose(0, 3, 1, 2)
    works = {"inference": _inference(model, x), "training": _training(model, x)}
    figures = {name: _measure(name, work, args.rounds) for name, work in works.items() if args.only in (None, name)}
    environment = _environment()
    print(f"{args.model}, {args.batch_size}x3x{size}x{size}, float32; " + ", ".join(map(str, environment.values())))
    print(f"\n{'':<12}{'images/s':>10}{'median':>12}{'quartiles':>22}")
    for name, seconds in figures.items():
        low, median, high = statistics.quantiles(seconds, n=4)
        spread = f"{low * 1e3:.1f} to {high * 1e3:.1f} ms"
        print(f"{name:<12}{args.batch_size / median:>10.1f}{median * 1e3:>9.1f} ms{spread:>22}")
    if args.json:
        content = {"model": args.model, "shape": x.shape, "environment": environment, "seconds": figures}
        files.write_text(args.json, json.dumps(content, indent=1) + "\n")


def _inference(model, x):
    compiled = model.compile_inference()
    return lambda: compiled.forward(x)


def _training(model, x):
    optimizer, labels = optim.SGD(model, 1e-3, momentum=0.9), np.zeros(len(x), int)

    def step():
        _, cache = ops.cross_entropy(model.forward(x), labels)
        model.backward_parameters(ops.cross_entropy_backward(1.0, cache))
        optimizer.step()

    return step


def _measure(name, work, rounds):
    """Seconds of each round but the first."""
    work()
    seconds = []
    for _ in tqdm(range(rounds), desc=name, unit="round", leave=False, disable=None):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return seconds


def _environment():
    threads = numpy_resnet.get_num_threads()
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": f"{os.cpu_count()} cores",
        "threads": f"{threads} thread{'s' * (threads > 1)}",
        "python": f"Python {platform.python_version()}",
        "numpy": f"NumPy {np.__version__}",
        "numba": f"Numba {version('numba')}",
    }
