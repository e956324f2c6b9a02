"""Single ops: every algorithm of convolution, and what lies between convolutions, beside PyTorch; and the roof.

    python benchmarks/layers.py              about ten minutes

The roof is the fastest large matrix product that NumPy or PyTorch makes here. Winograd may lie above it: it counts as a
direct convolution does, and needs fewer multiplications.   Williams, Waterman & Patterson 2009, "Roofline".
"""

import argparse
import statistics
import time

import numba
import numpy as np
from results import environment, load, save

import numpy_resnet
from numpy_resnet import ops

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    torch = None

RNG = np.random.default_rng(0)
PAUSE, TURN = 0.3, 0.4  # seconds: until idle threads sleep, and at work
CONVOLUTIONS = [  # C, OC, size, kernel, stride: those of ResNet-18, and two of ResNet-50 and of cifar_resnet20
    (3, 64, 224, 7, 2), (64, 64, 56, 3, 1), (64, 128, 56, 3, 2), (64, 128, 56, 1, 2), (128, 128, 28, 3, 1),
    (256, 256, 14, 3, 1), (512, 512, 7, 3, 1), (256, 64, 56, 1, 1), (1024, 256, 14, 1, 1), (16, 16, 32, 3, 1),
]  # fmt: skip


def images(batch, C, size):
    return RNG.standard_normal((batch, size, size, C), dtype=np.float32).transpose(0, 3, 1, 2)


def in_turn(contenders, rounds):
    """Median seconds of each, all in this process: a turn lasts longer than the idle threads of the last one spin."""
    times = {name: [] for name in contenders}
    for i in range(rounds + 1):
        for name, run in contenders.items():
            time.sleep(PAUSE)
            run()
            begin = time.perf_counter()
            while time.perf_counter() - begin < TURN:
                start = time.perf_counter()
                run()
                times[name] += [time.perf_counter() - start] if i else []
    return {name: statistics.median(values) for name, values in times.items()}


def of_torch(f, arrays, memory):
    """f's forward and backward in PyTorch."""
    tensors = [torch.from_numpy(a) for a in arrays]
    tensors = [t.contiguous(memory_format=memory) if t.ndim == 4 else t for t in tensors]
    tensors = [t.detach().requires_grad_() for t in tensors]
    dy = f(*tensors).detach()
    return lambda: f(*tensors), lambda: torch.autograd.grad(f(*tensors), tensors, dy)


def measure(name, ours, theirs, arrays, rounds):
    """{contender: [forward seconds, forward and backward seconds]}; `ours` is {name: (f, f_backward)}."""
    forward, both = {}, {}
    for title, (f, f_backward) in ours.items():
        y, _ = f(*arrays)
        forward[title] = lambda f=f: f(*arrays)
        both[title] = lambda f=f, g=f_backward, dy=y: g(dy, f(*arrays)[1])
    for title, memory in [("PyTorch", "contiguous_format"), ("PyTorch channels-last", "channels_last")] * bool(torch):
        forward[title], both[title] = of_torch(theirs, arrays, getattr(torch, memory))
    first, second = in_turn(forward, rounds), in_turn(both, rounds)
    figures = {title: [first[title], second[title]] for title in first}
    print(f"{name:<34}" + "".join(f"{t}: {a * 1e3:.2f} {b * 1e3:.2f}   " for t, (a, b) in figures.items()), flush=True)
    return figures


def convolutions(batch, rounds):
    for C, OC, size, kernel, stride in CONVOLUTIONS:
        x, weight = images(batch, C, size), images(OC, C, kernel)
        options = {"stride": stride, "padding": kernel // 2}
        ours = {
            name: (lambda x, w, a=a, o=options: a.conv2d(x, w, **o), a.conv2d_backward)
            for name, a in ops.conv.ALGORITHMS.items()
            if name == "im2col" or (name == "winograd" and (kernel, stride) == (3, 1))
        }
        picked = ops.conv.pick(ops.conv2d(x, weight, **options)[1]).__name__.rsplit(".", 1)[1]
        name = f"{kernel}x{kernel}/{stride}, {C} to {OC}, {size}x{size}"
        figures = measure(name, ours, lambda x, w, o=options: F.conv2d(x, w, None, **o), (x, weight), rounds)
        flops = 2 * batch * OC * C * kernel**2 * ((size + 2 * (kernel // 2) - kernel) // stride + 1) ** 2
        yield {"name": name, "figures": figures, "flops": flops, "picked": picked}


def others(batch, rounds):
    x, vector = images(batch, 64, 56), np.ones(64, np.float32)
    pool = {"kernel_size": 3, "stride": 2, "padding": 1}
    table = [
        ("batch norm, 64, 56x56", ops.batchnorm2d, ops.batchnorm2d_backward, (x, vector, vector),
         lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True)),
        ("batch norm and ReLU", ops.batchnorm2d_relu, ops.batchnorm2d_relu_backward, (x, vector, vector),
         lambda x, w, b: F.relu(F.batch_norm(x, None, None, w, b, training=True), inplace=True)),
        ("batch norm, add and ReLU", ops.batchnorm2d_add_relu, ops.batchnorm2d_add_relu_backward,
         (x, vector, vector, x),
         lambda x, w, b, s: F.relu(F.batch_norm(x, None, None, w, b, training=True) + s, inplace=True)),
        ("ReLU", ops.relu, ops.relu_backward, (x,), lambda x: F.relu(x)),
        ("residual add", ops.add, ops.add_backward, (x, x), lambda a, b: a + b),
        ("max pool 3x3/2, 64, 112x112", lambda x: ops.maxpool2d(x, **pool), ops.maxpool2d_backward,
         (images(batch, 64, 112),), lambda x: F.max_pool2d(x, 3, 2, 1)),
    ]  # fmt: skip
    for name, f, f_backward, arrays, theirs in table:
        yield {"name": name, "figures": measure(name, {"numpy_resnet": (f, f_backward)}, theirs, arrays, rounds)}


def roof(rounds, n=2048):
    """FLOP/s of the fastest large float32 matrix product."""
    a, b = RNG.standard_normal((2, n, n), dtype=np.float32)
    contenders = {"NumPy": lambda: a @ b}
    if torch:
        s, t = torch.from_numpy(a), torch.from_numpy(b)
        contenders["PyTorch"] = lambda: s @ t
    return {name: 2 * n**3 / seconds for name, seconds in in_turn(contenders, rounds).items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16, metavar="N", help="images at once (default: 16)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of each contender (default: 5)")
    args = parser.parse_args()
    threads = numpy_resnet.get_num_threads()
    if torch is None:
        print("PyTorch is not installed: skipped")
    else:
        torch.set_num_threads(threads)
    content = {**load("layers"), "environment": environment(threads), "batch": args.batch}
    content["versions"] = {
        "numpy_resnet": numpy_resnet.__version__,
        "NumPy": np.__version__,
        "Numba": numba.__version__,
    }
    content["versions"] |= {"PyTorch": torch.__version__} if torch else {}
    content["roof"] = roof(args.rounds)
    content["convolutions"] = list(convolutions(args.batch, args.rounds))
    content["others"] = list(others(args.batch, args.rounds))
    save("layers", content)


if __name__ == "__main__":
    main()
