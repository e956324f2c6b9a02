"""A convolution whose filters do not change: they are laid out once, and what follows it happens while y is at hand."""

import numpy as np

from numpy_resnet.kernels import winograd
from numpy_resnet.kernels.jit import DISABLED
from numpy_resnet.kernels.matmul import lay_out, matmul_laid_out
from numpy_resnet.kernels.memory import empty
from numpy_resnet.layout import channels_first, channels_last
from numpy_resnet.ops import conv
from numpy_resnet.ops.columns import window_rows
from numpy_resnet.ops.conv import _problem


class FixedConv2d:
    """y = relu(conv2d(x, weight, bias) + shortcut), the shortcut and relu where they are asked for.

    weight (OC, C, KH, KW) and bias (OC,) must not change any more.
    """

    def __init__(self, weight, bias, stride, padding):
        self.weight, self.bias, self.stride, self.padding = weight, bias, stride, padding
        self.plans = {}  # for each shape of x what was found out once
        self.laid_out = {}  # the filters as each algorithm wants them, once it is used

    def forward(self, x, shortcut=None, *, relu=False):
        """x (N, C, H, W), shortcut as y -> y (N, OC, OH, OW).   Raises as conv2d does."""
        if DISABLED:
            y, _ = conv.conv2d(x, self.weight, self.bias, stride=self.stride, padding=self.padding)
            y = y if shortcut is None else y + shortcut
            return np.maximum(y, 0) if relu else y
        key = getattr(x, "shape", None), getattr(x, "dtype", None)
        if key not in self.plans:
            self.plans[key] = self._plan(x)
        run, *plan = self.plans[key]
        more = {"bias": self.bias, "shortcut": None if shortcut is None else channels_last(shortcut), "relu": relu}
        return channels_first(run(channels_last(x), *plan, more))

    def _plan(self, x):
        """The algorithm, (PH, PW), (SH, SW), (OH, OW), and the blocks of images, once x is known to fit."""
        cache = _problem.check(x, self.weight, self.bias, self.stride, self.padding)
        run = self._winograd if conv.pick(cache, fixed=True) is conv.winograd else self._im2col
        return run, cache.padding, cache.stride, cache.output, conv.im2col.blocks(cache)

    def _winograd(self, x, padding, stride, output, blocks, more):
        if "winograd" not in self.laid_out:
            self.laid_out["winograd"] = winograd.filters(channels_last(self.weight))
        return winograd.convolve(x, self.laid_out["winograd"], padding, (*output, len(self.weight)), **more)

    def _im2col(self, x, padding, stride, output, blocks, more):
        OC, shortcut = len(self.weight), more["shortcut"]
        if "im2col" not in self.laid_out:
            self.laid_out["im2col"] = lay_out(channels_last(self.weight).reshape(OC, -1).T)
        y = empty((len(x), *output, OC), x.dtype)
        for block in blocks:
            windows = window_rows(x[block], self.weight.shape[2:], stride, padding)
            part = {**more, "shortcut": None if shortcut is None else shortcut[block]}
            matmul_laid_out(windows, self.laid_out["im2col"], y[block].reshape(-1, OC), **part)
        return y
