"""Images on their way into the network: normalised, and moved about."""

import operator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def normalization(x):
    """Mean and standard deviation of each channel of the training images.   x (N, C, H, W) -> mean, std (C,)

    A constant channel gets std 1, so that normalize makes it 0.
    Raises ValueError for no images, NaN or infinity.
    """
    if x.ndim != 4 or not x.size:
        raise ValueError(f"x must be (N, C, H, W) and not empty; got shape {x.shape}")
    mean, std = x.mean(axis=(0, 2, 3), dtype=np.float64), x.std(axis=(0, 2, 3), dtype=np.float64)
    if not np.isfinite(mean).all():
        raise ValueError("x must be finite; it holds NaN or infinity: mend the images first")
    return mean.astype(np.float32), np.where(std > 0, std, 1).astype(np.float32)


def normalize(x, mean, std):
    """(x - mean) / std, channel by channel.   x (N, C, H, W), mean and std (C,) -> a new array as x

    Raises TypeError for integers, ValueError unless there is one mean and one positive std for each channel.
    """
    if x.dtype.kind != "f":
        raise TypeError(f"x must be float32 or float64; got {x.dtype}: convert it with .astype(np.float32)")
    mean, std = np.asarray(mean, x.dtype), np.asarray(std, x.dtype)
    if x.ndim != 4 or mean.shape != x.shape[1:2] or std.shape != x.shape[1:2]:
        raise ValueError(
            f"x must be (N, C, H, W), mean and std (C,); got shapes {x.shape}, {mean.shape} and {std.shape}"
        )
    if not (std > 0).all():
        raise ValueError(f"std must be positive in each channel; got {std}")
    return (x - mean[:, None, None]) / std[:, None, None]


def random_shift(x, rng, pixels=1, *, fill=0):
    """Move each image by up to so many pixels along each axis.   x (N, C, H, W) -> a new array as x

    What comes in at the edges is `fill`: a number, or one for each channel. Black is -mean / std.
    rng: np.random.Generator, asked for two integers for each image.   Raises ValueError for pixels below 0.
    """
    N, C, H, W = x.shape
    if (pixels := operator.index(pixels)) < 0:
        raise ValueError(f"pixels must be at least 0; got {pixels}")
    padded = np.empty((N, C, H + 2 * pixels, W + 2 * pixels), x.dtype)
    padded[:] = np.broadcast_to(fill, C)[:, None, None]
    padded[:, :, pixels : pixels + H, pixels : pixels + W] = x
    windows = sliding_window_view(padded, (H, W), axis=(2, 3))  # (N, C, 2*pixels+1, 2*pixels+1, H, W)
    row, column = rng.integers(0, 2 * pixels + 1, (2, N))
    return windows[np.arange(N), :, row, column]  # (N, C, H, W)
