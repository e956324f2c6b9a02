"""Convolution by several algorithms of one signature.

The rule that picks: im2col, always.
"""

from numpy_resnet.ops.conv import im2col, naive
from numpy_resnet.ops.conv.im2col import conv2d, conv2d_backward

ALGORITHMS = {"naive": naive, "im2col": im2col}  # each a module with conv2d and conv2d_backward

__all__ = ["ALGORITHMS", "conv2d", "conv2d_backward"]
