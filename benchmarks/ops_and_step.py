"""Time each op, and a training step of ResNet-18, beside PyTorch if it is installed.

    python benchmarks/ops_and_step.py            every op, forward and backward, then the training step
    python benchmarks/ops_and_step.py --step     the training step alone

Both run in this process, in turn, A B A B ...; the figures are medians, and the ratio that of the medians. Compilation
and a first round are not counted. PyTorch stands in both of its memory formats. Absolute times say more about the
machine than about the programs: quote ratios.
"""

import argparse
import os
import platform
import statistics
import time

import numba
import numpy as np

from numpy_resnet import models, ops
from numpy_resnet.optim import SGD

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    torch = None

RNG = np.random.default_rng(0)
SPIN = 0.3  # seconds; longer than idle threads of OpenBLAS, OpenMP and PyTorch wait for work


def array(*shape):
    """Random numbers; (N, C, H, W) lie channels-last in memory, as between the layers of a network."""
    if len(shape) != 4:
        return RNG.standard_normal(shape, dtype=np.float32)
    N, C, H, W = shape
    return RNG.standard_normal((N, H, W, C), dtype=np.float32).transpose(0, 3, 1, 2)


def op_calls(batch):
    """[(what, numpy_resnet's forward and backward, PyTorch's forward)] at the shapes of ResNet-18."""

    def conv(C, OC, size, kernel, stride, padding):
        x, weight = array(batch, C, size, size), array(OC, C, kernel, kernel)
        options = {"stride": stride, "padding": padding}
        name = f"conv2d {kernel}x{kernel}/{stride}, {C} to {OC}, {size}x{size}"
        return name, ops.conv2d, ops.conv2d_backward, (x, weight), options, lambda x, w: F.conv2d(x, w, None, **options)

    x56, vector = array(batch, 64, 56, 56), np.ones(64, np.float32)
    pool = {"kernel_size": 3, "stride": 2, "padding": 1}
    return [
        conv(3, 64, 224, 7, 2, 3),
        conv(64, 64, 56, 3, 1, 1),
        conv(64, 128, 56, 3, 2, 1),
        conv(64, 128, 56, 1, 2, 0),
        conv(128, 128, 28, 3, 1, 1),
        conv(256, 256, 14, 3, 1, 1),
        conv(512, 512, 7, 3, 1, 1),
        (
            "batchnorm2d, 64, 56x56",
            ops.batchnorm2d,
            ops.batchnorm2d_backward,
            (x56, vector, vector),
            {},
            lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        ),
        ("relu, 64, 56x56", ops.relu, ops.relu_backward, (x56,), {}, lambda x: F.relu(x)),
        ("add, 64, 56x56", ops.add, ops.add_backward, (x56, x56), {}, lambda a, b: a + b),
        (
            "maxpool2d 3x3/2, 64, 112x112",
            ops.maxpool2d,
            ops.maxpool2d_backward,
            (array(batch, 64, 112, 112),),
            pool,
            lambda x: F.max_pool2d(x, 3, 2, 1),
        ),
        ("global_avgpool2d, 512, 7x7", ops.global_avgpool2d, ops.global_avgpool2d_backward, (array(batch, 512, 7, 7),),
         {}, lambda x: x.mean((2, 3))),
        ("linear, 512 to 1000", ops.linear, ops.linear_backward, (array(batch, 512), array(1000, 512)), {},
         lambda x, w: F.linear(x, w)),
    ]  # fmt: skip


def our_round_trip(f, f_backward, arrays, options):
    y, cache = f(*arrays, **options)
    f_backward(y, cache)


def torch_round_trip(f, arrays, memory_format):
    tensors = []
    for a in arrays:
        t = torch.from_numpy(a)
        t = t.contiguous(memory_format=memory_format) if t.ndim == 4 else t
        tensors.append(t.detach().requires_grad_())

    def run():
        y = f(*tensors)
        torch.autograd.grad(y, tensors, y.detach())

    return run


def our_step(batch):
    model, x, labels = models.resnet18(), array(batch, 3, 224, 224), RNG.integers(0, 1000, batch)
    optimizer = SGD(model, 0.01, momentum=0.9)

    def run():
        _, cache = ops.cross_entropy(model.forward(x), labels)
        model.backward(ops.cross_entropy_backward(1.0, cache))
        optimizer.step()

    return run


def torch_step(batch, memory_format):
    """The same network in torch.nn."""
    from torch import nn

    class Block(nn.Module):
        def __init__(self, C, OC, stride):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(C, OC, 3, stride, 1, bias=False), nn.BatchNorm2d(OC)
            self.conv2, self.bn2 = nn.Conv2d(OC, OC, 3, 1, 1, bias=False), nn.BatchNorm2d(OC)
            projection = nn.Sequential(nn.Conv2d(C, OC, 1, stride, bias=False), nn.BatchNorm2d(OC))
            self.shortcut = nn.Identity() if C == OC else projection

        def forward(self, x):
            h = F.relu(self.bn1(self.conv1(x)), inplace=True)
            return F.relu(self.bn2(self.conv2(h)) + self.shortcut(x), inplace=True)

    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    widths = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
    stages = [block for C, OC, stride in widths for block in (Block(C, OC, stride), Block(OC, OC, 1))]
    model = nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))
    model = model.to(memory_format=memory_format)
    x = torch.from_numpy(array(batch, 3, 224, 224)).contiguous(memory_format=memory_format)
    labels = torch.from_numpy(RNG.integers(0, 1000, batch))
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)

    def run():
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()

    return run


def compare(contenders, rounds):
    """Medians in seconds, the contenders taking turns; a first round is not counted.

    A turn lasts a while: the threads of the one before spin on for some milliseconds, and those are not counted.
    """
    times = {name: [] for name in contenders}
    for i in range(rounds + 1):
        for name, run in contenders.items():
            turn = time.perf_counter()
            while True:
                start = time.perf_counter()
                run()
                end = time.perf_counter()
                if end - turn > SPIN:
                    break
            if i:
                times[name].append(end - start)
    return {name: statistics.median(values) for name, values in times.items()}


def environment():
    """What ran, on what."""
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, Numba {numba.__version__}"
    versions += f", PyTorch {torch.__version__}" if torch else ""
    return f"{platform.machine()}, {os.cpu_count()} cores, {numba.get_num_threads()} threads each; {versions}"


def print_row(what, medians):
    ours, *theirs = medians.values()
    cells = "".join(f"{t * 1e3:>12.2f}{ours / t:>8.2f}" for t in theirs)
    print(f"{what:<38}{ours * 1e3:>12.2f}{cells}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16, metavar="N", help="images at once (default: 16)")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="timed rounds (default: 7)")
    parser.add_argument("--step", action="store_true", help="the training step alone")
    args = parser.parse_args()

    formats = {}
    if torch is None:
        print("PyTorch is not installed: there is nothing to compare with")
    else:
        torch.set_num_threads(numba.get_num_threads())
        formats = {"PyTorch NCHW": torch.contiguous_format, "channels-last": torch.channels_last}
    print(environment())
    print(f"milliseconds, forward and backward, float32, batch {args.batch}; ratio = ours / theirs\n")
    print(f"{'':<38}{'numpy_resnet':>12}" + "".join(f"{name:>12}{'ratio':>8}" for name in formats))

    for what, f, f_backward, arrays, options, peer in [] if args.step else op_calls(args.batch):
        contenders = {"ours": lambda c=(f, f_backward, arrays, options): our_round_trip(*c)}
        contenders |= {name: torch_round_trip(peer, arrays, memory) for name, memory in formats.items()}
        print_row(what, compare(contenders, args.rounds))
    contenders = {"ours": our_step(args.batch)}
    contenders |= {name: torch_step(args.batch, memory) for name, memory in formats.items()}
    print_row("training step of resnet18, 224x224", compare(contenders, args.rounds))


if __name__ == "__main__":
    main()
