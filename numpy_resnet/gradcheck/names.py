"""Names for numbers: that a factor of 24 is N * OH * OW, and that one of 1.43 is 1 / (1 - p)."""

import numpy as np


def numbers(e):
    """{name: value} of all that a factor may be made of in this case, the simplest first."""
    sizes = _sizes(e)
    found = {"-1": -1.0, "2": 2.0, "1/2": 0.5, "-2": -2.0}
    for name, size in sizes.items():
        found |= {name: size, f"1/{name}" if "*" not in name else f"1/({name})": 1 / size}
    if "p" in e.case.options:
        p = e.case.options["p"]
        found |= {"(1 - p)": 1 - p, "1/(1 - p)": 1 / (1 - p), "p": p, "(1 - p)^2": (1 - p) ** 2}
    if e.dy.ndim == 0:
        found |= {"1/dy (dy is ignored)": 1 / float(e.dy), "dy": float(e.dy)}
    return found | {f"-{name}": -value for name, value in found.items() if name[0] not in "-"}


def _sizes(e):
    sizes = {}
    for name, axes in e.case.axes.items():
        if e.case.arrays.get(name) is not None:
            sizes |= dict(zip(axes.split(), map(float, e.case.arrays[name].shape), strict=True))
    shape, kernel = e.dy.shape, e.case.options.get("kernel_size")
    if len(shape) == 4:
        sizes |= {"OH": shape[2], "OW": shape[3]}
    if kernel is not None:
        sizes |= dict(zip(("KH", "KW"), np.broadcast_to(kernel, 2).astype(float), strict=True))
    sizes = {k: float(v) for k, v in sizes.items()}
    for name in ("H*W", "N*H*W", "OH*OW", "N*OH*OW", "KH*KW", "C*KH*KW", "C*H*W", "N*C", "N*C*H*W", "N*OUT", "N*IN"):
        if set(parts := name.split("*")) <= set(sizes):
            sizes[name] = float(np.prod([sizes[part] for part in parts]))
    if "N*H*W" in sizes and sizes["N*H*W"] > 1:
        sizes["(N*H*W - 1)"] = sizes["N*H*W"] - 1
        sizes["N*H*W/(N*H*W - 1)"] = sizes["N*H*W"] / (sizes["N*H*W"] - 1)
    return sizes


def vectors(e):
    """{name: (C,) array} of what a factor of each channel, or of each sample, may be."""
    arrays, found = e.case.arrays, {}
    for name, array in {**arrays, **e.case.options}.items():
        is_vector = isinstance(array, np.ndarray) and array.ndim == 1 and array.dtype.kind == "f"
        if is_vector and name in ("running_var", "weight", "class_weight"):
            found |= {name: array, f"{name}^2": array**2}
    if "labels" in arrays and e.case.options.get("class_weight") is not None:
        found["class_weight[label]"] = e.case.options["class_weight"][arrays["labels"]]
    var = arrays.get("running_var")
    if var is None and "weight" in arrays and arrays["weight"].ndim == 1 and arrays["x"].ndim == 4:
        var = arrays["x"].var(axis=(0, 2, 3))
    if var is not None:
        std = np.sqrt(var + e.case.options.get("eps", 1e-5))
        found |= {"std": std, "var": std**2}
        weight = arrays["weight"]
        found |= {"weight * std": weight * std, "weight / std": weight / std}
    for name, value in list(found.items()):
        with np.errstate(divide="ignore"):
            found[f"1/{name}" if " " not in name else f"1/({name})"] = 1 / value
    return found


def of(k, named):
    """The names of this number, the simplest first; the number itself at last."""
    return (*[name for name, value in named.items() if abs(k - value) <= 1e-5 * max(1, abs(k))], f"{k:.6g}")


def of_vector(k, named):
    return tuple(
        name for name, value in named.items() if value.shape == k.shape and np.allclose(k, value, rtol=1e-4, atol=1e-9)
    )


def rounded(vector):
    return "[" + " ".join(f"{v:.4g}" for v in vector[:6]) + (" ...]" if len(vector) > 6 else "]")


def described(k, e):
    """How often something counts: a number, or one for each channel."""
    if np.ndim(k) and np.ptp(k) > 1e-4 * max(1, np.abs(k).max()):
        known = of_vector(np.asarray(k), vectors(e))
        return f"{known[0] if known else rounded(k)} times"
    k = float(np.mean(k))
    if abs(k) < 1e-6:
        return "not at all"
    return f"{of(k, numbers(e))[0]} times"
