"""ResNet-18 in NumPy and Numba, every backward written by hand."""

__version__ = "0.1.0"
__all__ = ["get_num_threads", "set_num_threads"]


def __getattr__(name):
    """`numpy_resnet.set_num_threads`, and Numba only once it is asked for: asking for the version should be quick."""
    if name in __all__:
        from numpy_resnet.kernels import threads

        return getattr(threads, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
