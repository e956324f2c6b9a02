"""Why not NumPy's matrix product? It is faster alone, and slower in a network.

    python benchmarks/matmul.py

Times the three products of a convolution alone, and a training step of ResNet-18 with either product. Both run in this
process, in turn; the figures are medians. NumPy's BLAS and Numba have a pool of threads each, and those that have
nothing to do spin: in turn, they take the cores from each other.
"""

import argparse

import numpy as np
from ops_and_step import compare, environment, our_step

from numpy_resnet.kernels.matmul import matmul
from numpy_resnet.kernels.memory import empty
from numpy_resnet.ops import linear
from numpy_resnet.ops.conv import im2col

RNG = np.random.default_rng(0)
SHAPES = {"56x56, 64": (3136, 64, 576), "28x28, 128": (1568, 128, 1152), "7x7, 512": (784, 512, 4608)}


def numpy_matmul(a, b, *, out=None, accumulate=False):
    """What kernels.matmul.matmul promises, by NumPy."""
    y = empty((len(a), b.shape[1]), a.dtype) if out is None else out
    if accumulate:
        y += a @ b
    else:
        np.matmul(a, b, out=y)
    return y


def aligned(*shape):
    array = empty(shape, np.float32)
    array[...] = RNG.standard_normal(shape)
    return array


def products():
    """[(what, a, b)] of conv2d and its backward, for one block of images."""
    for name, (M, OC, K) in SHAPES.items():
        windows, filters, dy = aligned(M, K), aligned(OC, K), aligned(M, OC)
        yield f"{name}: y = windows @ filters.T", windows, filters.T
        yield f"{name}: dwindows = dy @ filters", dy, filters
        yield f"{name}: dfilters = dy.T @ windows", dy.T, windows


def step_with(step, product):
    def run():
        im2col.matmul = linear.matmul = product
        step()
        im2col.matmul = linear.matmul = matmul

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="timed rounds (default: 7)")
    args = parser.parse_args()
    print(environment())
    print(f"\n{'GFLOP/s, float32':<40}{'ours':>8}{'NumPy':>8}")
    for what, a, b in products():
        out = empty((len(a), b.shape[1]), np.float32)
        contenders = {f.__name__: lambda f=f, a=a, b=b, out=out: f(a, b, out=out) for f in (matmul, numpy_matmul)}
        times = compare(contenders, args.rounds)
        print(f"{what:<40}" + "".join(f"{2 * a.size * b.shape[1] / t / 1e9:>8.0f}" for t in times.values()), flush=True)
    step = our_step(16)
    times = compare({f.__name__: step_with(step, f) for f in (matmul, numpy_matmul)}, max(3, args.rounds // 2))
    print(f"\n{'milliseconds':<40}{'ours':>8}{'NumPy':>8}")
    print(f"{'training step of resnet18, 16x3x224x224':<40}" + "".join(f"{t * 1e3:>8.0f}" for t in times.values()))


if __name__ == "__main__":
    main()
