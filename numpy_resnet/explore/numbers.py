"""Arrays for a page: a few channels as small pictures, and what all channels say in a few numbers."""

import base64

import numpy as np

MOST, LEAST = 8, 1  # channels that are shown of each array
MOST_BARS = 10  # of an array without maps
SIDES = 256, 192, 128, 96, 64, 32  # pixels along a map, as many as there is room for
ROOM = 5_400_000  # bytes of all maps, before they are written as text
STEPS = 32767  # an int16 on each side of 0
BINS = 40


def plain(array):
    """Numbers with the digits that a float32 has, for JSON; NaN becomes None."""
    if np.ndim(array):
        return [plain(value) for value in array]
    value = float(array)
    return float(f"{value:.8g}") if np.isfinite(value) else None


def norm(array):
    """The Euclidean norm, the root of the sum of squares."""
    return float(np.linalg.norm(np.asarray(array, np.float64).ravel()))


def telling_channels(tensors):
    """{C: channels, the most telling first} for all tensors with C channels.

    How much a channel says: the sum of |value * gradient| over its pixels, as a share of its tensor's. Tensors with
    equally many channels show the same ones, so that a channel can be followed.
    """
    scores, with_maps, most = {}, set(), _affordable(tensors)
    for value, gradient in tensors:
        if np.ndim(value) == 0:
            continue
        said = np.abs(value.astype(np.float64) * gradient).reshape(len(value), -1).sum(axis=1)
        scores[len(value)] = scores.get(len(value), 0) + said / (said.sum() or 1)
        with_maps |= {len(value)} if value.ndim > 1 else set()
    order = {C: np.argsort(-score, kind="stable") for C, score in scores.items()}
    return {C: channels[: most if C in with_maps else MOST_BARS] for C, channels in order.items()}


def _affordable(tensors):
    """How many channels there is room for."""
    return int(np.clip(ROOM // max(1, _bytes_of_a_channel(tensors, max(SIDES))), LEAST, MOST))


def longest_side(tensors):
    """Pixels along the longer side of a map; larger maps are thinned, for the page has to stay small."""
    return next((side for side in SIDES if _bytes_of_a_channel(tensors, side) <= ROOM), SIDES[-1])


def _bytes_of_a_channel(tensors, side):
    """Of value and gradient, two bytes each, in all tensors."""
    return sum(2 * 2 * thinned(value[0], side).size for value, _ in tensors if np.ndim(value))


def thinned(array, side):
    """Every second, third ... pixel of the last two axes, so that neither is longer than side."""
    step = -(-max(np.shape(array)[-2:], default=1) // side)
    return array[..., ::step, ::step] if step > 1 else array


def describe(array, channels, side=SIDES[0]):
    """One array for the page: some channels as pictures, the statistics of all."""
    flat = np.asarray(array, np.float64).ravel()
    return {
        "maps": [_picture(thinned(np.atleast_2d(array[c]), side)) for c in channels],
        "mean": plain(flat.mean()),
        "std": plain(flat.std()),
        "min": plain(flat.min()),
        "max": plain(flat.max()),
        "norm": plain(norm(flat)),
        "zeros": plain(np.mean(flat == 0)),
        "histogram": _histogram(flat[flat != 0]),
    }


def _picture(values):
    """A map as whole numbers of 16 bits, and what one of them stands for."""
    scale = float(np.abs(values).max()) / STEPS
    whole = np.rint(values.astype(np.float64) / (scale or 1)).astype("<i2")
    return {"shape": list(values.shape), "scale": plain(scale), "pixels": as_text(whole)}


def as_text(whole):
    """The bytes of an array of whole numbers, in base64."""
    return base64.b64encode(whole.tobytes()).decode()


def _histogram(values):
    """Counts over bins that reach equally far to both sides of 0; zeros are told apart."""
    reach = float(np.abs(values).max()) if values.size else 1.0
    counts, _ = np.histogram(values, bins=BINS, range=(-reach, reach))
    return {"reach": plain(reach), "counts": counts.tolist()}
