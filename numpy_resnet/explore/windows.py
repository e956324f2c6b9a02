"""A few windows of a convolution or of max pooling, with all that is needed to compute them by hand."""

import numpy as np

from numpy_resnet import ops
from numpy_resnet.explore.numbers import SIDES, as_text, plain, thinned

MOST = 3  # windows, each way
MAPS = 4  # whole maps of winners


def convolution(node, graph, channels):
    """One filter, one of its input channels, and the windows where the output says most.

    y = (sum over the window of weight * x, in this channel) + (the same of the others, and the bias), and dx gets
    weight * dy from each window of this filter; `dx` is that of all filters and windows.
    """
    (x, dx), (y, dy) = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    weight, bias = node.layer.params["weight"], node.layer.params.get("bias")
    problem = _problem(weight.shape[2:], **node.layer.options)
    oc = int(channels[len(y)][0])
    rows, columns = _telling_windows(y[oc] * dy[oc])
    region = _region(rows, columns, problem)
    patch = _padded_cut(x, region)  # (C, h, w)
    kernel_size, stride, _ = problem
    cols = ops.im2col(patch[None].astype(np.float64), kernel_size=kernel_size, stride=stride)[0]  # it has its padding
    cols = cols.reshape(len(x), -1, len(rows) * len(columns))  # (C, KH*KW, windows)
    terms = np.einsum("ck,ckp->cp", weight[oc].reshape(len(x), -1).astype(np.float64), cols)  # (C, windows)
    c = int(np.abs(terms).sum(axis=1).argmax())
    shape = len(rows), len(columns)
    others = terms.sum(axis=0) - terms[c] + (bias[oc] if bias is not None else 0)
    return {
        **_told("conv2d", problem, region, rows, columns, x.shape),
        "filter": oc,
        "channel": c,
        "x": plain(patch[c]),
        "weight": plain(weight[oc, c]),
        "others": plain(others.reshape(shape)),
        "dy": plain(dy[oc][np.ix_(rows, columns)]),
        "dx": plain(_padded_cut(dx[c : c + 1], region, np.nan)[0]),
        "filters": len(y),
        "channels": len(x),
    }


def pooling(node, graph, channels):
    """A few windows of one channel, and of the channels that are shown how many windows each pixel wins."""
    (x, dx), (y, dy) = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    options = {key: value for key, value in node.layer.options.items() if value is not None}
    problem = _problem(options.pop("kernel_size"), **{"stride": node.layer.options["kernel_size"], **options})
    c = int(channels[len(x)][0])
    rows, columns = _telling_windows(y[c] * dy[c])
    region = _region(rows, columns, problem)
    return {
        **_told("maxpool2d", problem, region, rows, columns, x.shape),
        "channel": c,
        "channels": len(x),
        "x": plain(_padded_cut(x[c : c + 1], region, np.nan)[0]),
        "dy": plain(dy[c][np.ix_(rows, columns)]),
        "dx": plain(_padded_cut(dx[c : c + 1], region, np.nan)[0]),
        "wins": [_small_map(wins) for wins in _wins(x[channels[len(x)][:MAPS]], node.layer.options)],
    }


def _small_map(wins):
    wins = thinned(wins, SIDES[0])
    return {"shape": list(wins.shape), "pixels": as_text(wins.astype(np.uint8))}


def _wins(x, options):
    """How many windows each pixel wins: the gradient of the sum of all maxima.   (C, H, W) -> (C, H, W)"""
    y, cache = ops.maxpool2d(x[None], **options)
    return ops.maxpool2d_backward(np.ones_like(y), cache)[0].astype(int)


def _problem(kernel_size, stride=1, padding=0):
    """Kernel, stride and padding as pairs."""
    return tuple(tuple(int(n) for n in np.broadcast_to(pair, 2)) for pair in (kernel_size, stride, padding))


def _telling_windows(said):
    """Rows and columns of the few neighbouring outputs that together say most."""
    shape = tuple(min(MOST, n) for n in said.shape)
    sums = np.lib.stride_tricks.sliding_window_view(np.abs(said), shape).sum(axis=(2, 3))
    first = np.unravel_index(sums.argmax(), sums.shape)
    return [range(int(start), int(start) + n) for start, n in zip(first, shape, strict=True)]


def _region(rows, columns, problem):
    """The pixels below these windows, counted from the first pixel of x: (top, bottom), (left, right)."""
    (KH, KW), (SH, SW), (PH, PW) = problem
    vertical = rows[0] * SH - PH, rows[-1] * SH - PH + KH
    return vertical, (columns[0] * SW - PW, columns[-1] * SW - PW + KW)


def _padded_cut(x, region, padding=0.0):
    """A part of x (C, H, W) that may reach over its edges."""
    (top, bottom), (left, right) = region
    (_, H, W), out = x.shape, np.full((len(x), bottom - top, right - left), padding, x.dtype)
    inside = np.s_[:, max(0, top) : min(H, bottom), max(0, left) : min(W, right)]
    corner = max(0, -top), max(0, -left)
    part = x[inside]
    out[:, corner[0] : corner[0] + part.shape[1], corner[1] : corner[1] + part.shape[2]] = part
    return out


def _told(kind, problem, region, rows, columns, shape):
    (kernel_size, stride, padding), ((top, _), (left, _)) = problem, region
    return {"kind": "windows", "op": kind, "kernel": kernel_size, "stride": stride, "padding": padding,
            "top": top, "left": left, "rows": list(rows), "columns": list(columns), "size": shape[1:]}  # fmt: skip
