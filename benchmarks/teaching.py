"""The libraries that people learn with, on what they have: a convolution layer, forward and backward.

    python benchmarks/teaching.py            a minute

MyGrad, and im2col in plain NumPy as many a course has it: fancy indices to lay the windows out, np.add.at to add them
back. Both run in this process, in turn with ours.
"""

import argparse

import numpy as np
from layers import images, in_turn
from results import environment, save

import numpy_resnet
from numpy_resnet import ops

try:
    import mygrad
    from mygrad.nnet.layers import conv_nd
except ImportError:
    mygrad = None

SHAPES = [(2, 16, 16, 32), (4, 64, 64, 28)]  # batch, C, OC, size


def indices(C, size, kernel):
    """Where window (oh, ow) finds its element (c, kh, kw) in the padded image."""
    c, kh, kw = (i.reshape(-1, 1) for i in np.indices((C, kernel, kernel)))
    oh, ow = (i.reshape(1, -1) for i in np.indices((size, size)))
    return c, kh + oh, kw + ow


def course(x, weight):
    """Forward and backward with fancy indices, stride 1, padding 1."""
    (N, C, H, _), OC = x.shape, len(weight)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    c, h, w = indices(C, H, 3)
    cols = padded[:, c, h, w]  # (N, C*9, H*W)
    filters = weight.reshape(OC, -1)
    y = np.einsum("of,nfp->nop", filters, cols, optimize=True)
    dy = y
    dweight = np.einsum("nop,nfp->of", dy, cols, optimize=True).reshape(weight.shape)
    dpadded = np.zeros_like(padded)
    np.add.at(dpadded, (slice(None), c, h, w), np.einsum("of,nop->nfp", filters, dy, optimize=True))
    return y.reshape(N, OC, H, H), dpadded[:, :, 1:-1, 1:-1], dweight


def ours(x, weight):
    y, cache = ops.conv2d(x, weight, padding=1)
    return (y, *ops.conv2d_backward(y, cache)[:2])


def of_mygrad(x, weight):
    x, weight = mygrad.tensor(x), mygrad.tensor(weight)
    y = conv_nd(x, weight, stride=1, padding=1)
    y.backward(y.data)
    return y.data, x.grad, weight.grad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="turns of each contender (default: 3)")
    args = parser.parse_args()
    contenders = {"numpy_resnet": ours, "im2col in plain NumPy": course}
    if mygrad is None:
        print("MyGrad is not installed: skipped")
    else:
        contenders["MyGrad"] = of_mygrad
    rows = []
    for batch, C, OC, size in SHAPES:
        x, weight = images(batch, C, size), images(OC, C, 3)
        expected = ours(x, weight)
        for name, f in contenders.items():
            for got, want in zip(f(x, weight), expected, strict=True):
                assert np.abs(got - want).max() <= 1e-4 * np.abs(want).max(), name
        times = in_turn({name: lambda f=f, x=x, w=weight: f(x, w) for name, f in contenders.items()}, args.rounds)
        rows.append({"name": f"{batch}x{C}x{size}x{size}, 3x3 to {OC} channels", "seconds": times})
        print(rows[-1]["name"], {name: f"{seconds * 1e3:.1f} ms" for name, seconds in times.items()}, flush=True)
    content = {"environment": environment(numpy_resnet.get_num_threads()), "rows": rows}
    content["versions"] = {"MyGrad": mygrad.__version__} if mygrad else {}
    save("teaching", content)


if __name__ == "__main__":
    main()
