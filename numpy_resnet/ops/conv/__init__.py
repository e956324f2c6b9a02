"""Convolution by several algorithms of one signature, and the rule that picks one of them.

A 3x3 convolution of stride 1 goes by Winograd's algorithm if its maps fill the tiles of 4x4 pixels, and if there are
enough of them to pay for the filters' own transform; everything else goes by im2col. So does everything without the
compiler, where NumPy's matrix product is the only fast thing.
"""

from numpy_resnet.kernels.jit import DISABLED
from numpy_resnet.ops.conv import _problem, im2col, naive, winograd

ALGORITHMS = {"naive": naive, "im2col": im2col, "winograd": winograd}  # modules of one signature
FEW_TILES = 32


def pick(cache, *, fixed=False):
    """The algorithm for this problem, winograd or im2col; with `fixed` filters their transform costs nothing."""
    (OH, OW), (OC, C) = cache.output, cache.weight.shape[:2]
    tiles = -(-OH // 4) * -(-OW // 4)
    enough = len(cache.x) * tiles >= (FEW_TILES // 2 if fixed else FEW_TILES)
    full = 6 * tiles <= OH * OW and C % 8 == OC % 8 == 0
    return winograd if winograd.fits(cache) and full and enough and not DISABLED else im2col


def conv2d(x, weight, bias=None, *, stride=1, padding=0):
    """Each filter slides over x.   x (N, C, H, W), weight (OC, C, KH, KW), bias (OC,) or None -> y (N, OC, OH, OW)

    y[n, oc, oh, ow] = bias[oc] + sum over c, kh, kw of
                       weight[oc, c, kh, kw] * x[n, c, oh*SH - PH + kh, ow*SW - PW + kw], zero in the padding.
    The output is (H + 2*PH - KH) // SH + 1 high, and alike wide; how it is computed, `pick` decides.
    Raises ValueError where channels differ or the kernel does not fit.
    """
    cache = _problem.check(x, weight, bias, stride, padding)
    return pick(cache).conv2d(x, weight, bias, stride=stride, padding=padding)


def conv2d_backward(dy, cache):
    """dx (N, C, H, W), dweight (OC, C, KH, KW), dbias (OC,) or None

    The idea: each product weight * x in y sends weight * dy to dx and x * dy to dweight.
    """
    return pick(cache).conv2d_backward(dy, cache)


def conv2d_backward_parameters(dy, cache):
    """dweight (OC, C, KH, KW), dbias (OC,) or None: conv2d_backward without dx, which the first layer does not need."""
    return pick(cache).conv2d_backward_parameters(dy, cache)


__all__ = ["ALGORITHMS", "conv2d", "conv2d_backward", "conv2d_backward_parameters", "pick"]
