"""`python -m numpy_resnet` is `numpy-resnet`."""

from numpy_resnet.cli import run

run()
