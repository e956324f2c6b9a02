"""ResNet-18 in NumPy and Numba, every backward written by hand."""

__version__ = "0.1.0"
