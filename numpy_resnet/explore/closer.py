"""What can be looked at more closely at a node: windows and their products, winners, statistics, sums, in real numbers.

Each function takes a Node of one kind, the Graph, and the channels that are shown, and returns a dict for the page.
"""

import numpy as np

from numpy_resnet import ops
from numpy_resnet.explore.numbers import norm, plain
from numpy_resnet.explore.windows import convolution, pooling

MOST_CLASSES = 10
MOST_FEATURES = 8
PATCH = 5  # pixels


def look(node, graph, channels):
    """The exhibit of a node, with its kind, or None where there is nothing more to see."""
    exhibit = EXHIBITS.get(node.kind)
    return exhibit and exhibit(node, graph, channels)


def _tensors(node, graph):
    return [graph.tensors[i] for i in node.inputs], [graph.tensors[i] for i in node.outputs]


def normalisation(node, graph, channels):
    """What batch norm in evaluation does with each channel: its statistics and parameters, and this image's own."""
    ((x, _),), ((y, _),) = _tensors(node, graph)
    buffers, params = node.layer.buffers, node.layer.params
    columns = {
        "running mean": buffers["running_mean"],
        "running variance": buffers["running_var"],
        **_moments("x", x),
        "weight": params["weight"],
        "bias": params["bias"],
        **_moments("y", y),
        "dweight": node.grads["weight"],
        "dbias": node.grads["bias"],
    }
    note = "y = weight · (x − running mean) / √(running variance + eps) + bias. The running statistics are those of "
    note += "training so far; mean and variance of x and y are of this image."
    return {**_by_channel(columns, channels[len(x)]), "note": note}


def normalisation_in_training(node, graph, channels):
    """What batch norm in training does: the statistics of this image, and the three ways that its gradient goes."""
    ((x, dx),), ((y, dy),) = _tensors(node, graph)
    mean, var = (_moments("x", x)[f"{name} of x"] for name in ("mean", "variance"))
    x_hat = (x - mean[:, None, None]) / np.sqrt(var + node.layer.eps)[:, None, None]
    columns = {
        **_moments("x", x),
        "weight": node.layer.params["weight"],
        "bias": node.layer.params["bias"],
        **_moments("y", y),
        "dweight": node.grads["weight"],
        "dbias": node.grads["bias"],
        "mean of dy": dy.mean(axis=(1, 2), dtype=np.float64),
        "mean of dy · x_hat": (dy * x_hat).mean(axis=(1, 2)),
        "mean of dx": dx.mean(axis=(1, 2), dtype=np.float64),
    }
    note = "dx = weight / √(variance + eps) · (dy − mean of dy − x_hat · mean of dy · x_hat): what all pixels share is "
    note += "taken back, so the mean of dx is 0 up to rounding."
    return {**_by_channel(columns, channels[len(x)]), "note": note}


def _moments(name, values):
    means = values.mean(axis=(1, 2), dtype=np.float64)
    return {f"mean of {name}": means, f"variance of {name}": values.var(axis=(1, 2), dtype=np.float64)}


def _by_channel(columns, shown):
    rows = [[plain(values[c]) for values in columns.values()] for c in shown]
    return {"kind": "table", "what": "channel", "columns": list(columns), "rows": rows, "names": shown.tolist()}


def mean(node, graph, channels):
    """A map becomes its mean, and each pixel gets its share of the gradient."""
    ((x, dx),), ((y, dy),) = _tensors(node, graph)
    pixels = x[0].size
    columns = {
        "smallest x": x.min(axis=(1, 2)),
        "largest x": x.max(axis=(1, 2)),
        "sum of x": x.sum(axis=(1, 2), dtype=np.float64),
        f"y: sum / {pixels}": y,
        "dy": dy,
        f"dx: dy / {pixels}": dx[:, 0, 0],
    }
    return _by_channel(columns, channels[len(x)])


def activation(node, graph, channels):
    """A few pixels of ReLU: what passes forward passes backward."""
    ((x, dx),), ((y, dy),) = _tensors(node, graph)
    c, place = _patch(x, dy * (x > 0), dy * (x <= 0), channels=channels)  # some of it passes, and some is stopped
    return {"kind": "patch", "channel": c, **_corner(place),
            "forward": _row(place, [("x", x[c])], [("y = max(x, 0)", y[c])]),
            "backward": _row(place, [("dx", dx[c])], [("dy", dy[c]), ("x is positive", x[c])], "where")}  # fmt: skip


def addition(node, graph, channels):
    """The residual add: what meets going forward, and the one gradient that leaves in two directions."""
    ((h, dh), (shortcut, dshortcut)), ((y, dy),) = _tensors(node, graph)
    c, place = _patch(y, y * dy, channels=channels)
    fork = next((n for n in graph.nodes if n.kind == "fork" and n.block == node.block), None)
    return {"kind": "patch", "channel": c, **_corner(place), "meet": fork and _meeting(fork, graph),
            "forward": _row(place, [("h", h[c]), ("shortcut", shortcut[c])], [("y = h + shortcut", y[c])], "+"),
            "backward": _row(place, [("dh", dh[c]), ("dshortcut", dshortcut[c])], [("dy", dy[c])], "=")}  # fmt: skip


def fork(node, graph, channels):
    """Where x goes two ways: one value leaves twice, two gradients come back and are added."""
    ((x, dx),), ((_, dh), (_, dshortcut)) = _tensors(node, graph)
    c, place = _patch(x, x * dx, channels=channels)
    values, gradients = [("h", x[c]), ("shortcut", x[c])], [("dh", dh[c]), ("dshortcut", dshortcut[c])]
    return {"kind": "patch", "channel": c, **_corner(place), "meet": _meeting(node, graph),
            "forward": _row(place, [("x", x[c])], values, "="),
            "backward": _row(place, [("dx = dh + dshortcut", dx[c])], gradients, "+")}  # fmt: skip


def _meeting(fork, graph):
    """Two gradients that meet at a fork: how large they are, and whether they agree."""
    ((_, dx),), ((_, dh), (_, dshortcut)) = _tensors(fork, graph)
    sizes = {"branch": norm(dh), "shortcut": norm(dshortcut), "sum": norm(dx)}
    product = np.vdot(dh.astype(np.float64), dshortcut)
    cosine = product / (sizes["branch"] * sizes["shortcut"] or 1)
    return {"block": fork.block, **{key: plain(size) for key, size in sizes.items()}, "cosine": plain(cosine)}


def _patch(x, *weights, channels):
    """The channel that says most, and the slices of a few pixels: where the least of the weights is largest."""
    c = int(channels[len(x)][0])
    shape = tuple(min(PATCH, n) for n in x.shape[1:])
    views = [np.lib.stride_tricks.sliding_window_view(np.abs(weight[c]), shape) for weight in weights]
    sums = np.min([view.sum(axis=(2, 3)) for view in views], axis=0)
    top, left = (int(i) for i in np.unravel_index(sums.argmax(), sums.shape))
    return c, np.s_[top : top + shape[0], left : left + shape[1]]


def _corner(place):
    return {"row": place[0].start, "column": place[1].start}


def _row(place, left, right, sign=""):
    """Arrays in a row, cut out: what is on the side of the input, and on that of the output; the sign joins two."""
    sides = {"left": left, "right": right}
    cuts = {side: [{"name": name, "values": plain(v[place])} for name, v in named] for side, named in sides.items()}
    return {**cuts, "sign": sign}


def features(node, graph, channels):
    """The last layer: what speaks most for the class, feature by feature, and what goes back to it."""
    ((x, dx),), ((y, dy),) = _tensors(node, graph)
    label, weight, bias = graph.label, node.layer.params["weight"], node.layer.params.get("bias")
    said = weight[label].astype(np.float64) * x
    order = np.argsort(-np.abs(said), kind="stable")[:MOST_FEATURES]
    columns = ["x: the feature", "weight", "weight · x", "dx", "dweight = dy · x"]
    rows = [[plain(v) for v in (x[i], weight[label, i], said[i], dx[i], node.grads["weight"][label, i])]
            for i in order]  # fmt: skip
    rest = said.sum() - said[order].sum()
    sums = [
        ["these together", plain(said[order].sum())],
        *([[f"the other {len(x) - len(order)} features", plain(rest)]] if len(x) > len(order) else []),
        ["bias", plain(bias[label] if bias is not None else 0.0)],
        ["y: the logit", plain(y[label])],
        ["dy: its gradient", plain(dy[label])],
    ]
    return {"kind": "table", "what": "feature", "columns": columns, "rows": rows, "names": order.tolist(),
            "sums": sums, "class": label}  # fmt: skip


def verdict(node, graph, channels):
    """Logits, probabilities, and their distance from what is right, which is where the gradient begins."""
    ((logits, dlogits),), ((loss, _),) = _tensors(node, graph)
    p = ops.softmax(logits[None])[0][0]
    order = np.argsort(-p, kind="stable")[:MOST_CLASSES]
    if graph.label not in order:
        order = np.append(order[:-1], graph.label)
    if len(p) <= MOST_CLASSES:
        order = np.arange(len(p))
    columns = ["logit", "p: softmax", "right answer", "dlogit = p - right"]
    rows = [[plain(v) for v in (logits[k], p[k], float(k == graph.label), dlogits[k])] for k in order]
    return {"kind": "table", "what": "class", "columns": columns, "rows": rows, "names": order.tolist(),
            "sums": [["loss = -log p of the right class", plain(loss)]], "bars": 1}  # fmt: skip


EXHIBITS = {
    "conv2d": convolution,
    "maxpool2d": pooling,
    "batchnorm2d": normalisation_in_training,
    "batchnorm2d_inference": normalisation,
    "relu": activation,
    "add": addition,
    "fork": fork,
    "global_avgpool2d": mean,
    "linear": features,
    "loss": verdict,
}
