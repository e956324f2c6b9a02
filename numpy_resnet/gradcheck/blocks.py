"""The two residual blocks as ops, by definition: y = relu(main branch + shortcut), batch norm in training.

identity_block(x, conv1_weight, bn1_weight, bn1_bias, conv2_weight, bn2_weight, bn2_bias)
convolution_block(..., downsample_weight, downsample_bn_weight, downsample_bn_bias, *, stride=2)
"""

from numpy_resnet.reference import batchnorm2d, batchnorm2d_backward, conv2d, conv2d_backward, relu, relu_backward

AXES = {
    "x": "N C H W",
    "conv1_weight": "OC C THREE THREE",
    "bn1_weight": "OC",
    "bn1_bias": "OC",
    "conv2_weight": "OC OC THREE THREE",
    "bn2_weight": "OC",
    "bn2_bias": "OC",
    "downsample_weight": "OC C ONE ONE",
    "downsample_bn_weight": "OC",
    "downsample_bn_bias": "OC",
}
MAIN = tuple(AXES)[1:7]


def shapes(N, C, H, W, OC, *, projected):
    """{argument: shape}"""
    sizes = {"N": N, "C": C, "H": H, "W": W, "OC": OC, "THREE": 3, "ONE": 1}
    names = list(AXES) if projected else list(AXES)[:7]
    return {name: tuple(sizes[axis] for axis in AXES[name].split()) for name in names}


def identity_block(x, *parameters):
    return forward(dict(zip(AXES, (x, *parameters), strict=False)), 1)["y"]


def convolution_block(x, *parameters, stride=2):
    return forward(dict(zip(AXES, (x, *parameters), strict=False)), stride)["y"]


def forward(p, stride):
    """Every value on the way from x to y, by name."""
    h = {"conv1": conv2d(p["x"], p["conv1_weight"], stride=stride, padding=1)}
    h["bn1"] = batchnorm2d(h["conv1"], p["bn1_weight"], p["bn1_bias"])
    h["relu1"] = relu(h["bn1"])
    h["conv2"] = conv2d(h["relu1"], p["conv2_weight"], padding=1)
    h["bn2"] = batchnorm2d(h["conv2"], p["bn2_weight"], p["bn2_bias"])
    h["shortcut"] = p["x"]
    if "downsample_weight" in p:
        h["downsample"] = conv2d(p["x"], p["downsample_weight"], stride=stride)
        h["shortcut"] = batchnorm2d(h["downsample"], p["downsample_bn_weight"], p["downsample_bn_bias"])
    h["sum"] = h["bn2"] + h["shortcut"]
    return h | {"y": relu(h["sum"])}


def backward(dy, p, stride, *, main_mask="sum", shortcut_mask="sum", middle=True, bn1="conv1", downsample_bn=True):
    """{argument: gradient, and the shares of dx}; the options are ways to get it wrong.

    main_mask, shortcut_mask: whose sign lets dy through, None for no mask; middle: whether the ReLU between the
    convolutions counts; bn1: what the first batch norm is thought to have normalised; downsample_bn: whether the
    gradient of the projection goes through its batch norm.
    """
    h, d = forward(p, stride), {}
    dmain, dshortcut = (dy if mask is None else relu_backward(dy, h[mask]) for mask in (main_mask, shortcut_mask))
    dh, d["bn2_weight"], d["bn2_bias"] = batchnorm2d_backward(dmain, h["conv2"], p["bn2_weight"], p["bn2_bias"])
    dh, d["conv2_weight"], _ = conv2d_backward(dh, h["relu1"], p["conv2_weight"], padding=1)
    dh = relu_backward(dh, h["bn1"]) if middle else dh
    dh, d["bn1_weight"], d["bn1_bias"] = batchnorm2d_backward(dh, h[bn1], p["bn1_weight"], p["bn1_bias"])
    d["main branch"], d["conv1_weight"], _ = conv2d_backward(dh, p["x"], p["conv1_weight"], stride=stride, padding=1)
    if "downsample_weight" in p:
        dh, d["downsample_bn_weight"], d["downsample_bn_bias"] = batchnorm2d_backward(
            dshortcut, h["downsample"], p["downsample_bn_weight"], p["downsample_bn_bias"]
        )
        through = dh if downsample_bn else dshortcut
        dshortcut, d["downsample_weight"], _ = conv2d_backward(through, p["x"], p["downsample_weight"], stride=stride)
    d["shortcut"] = dshortcut
    return d | {"x": d["main branch"] + dshortcut}


def paths(dy, case):
    """dx = what comes through the main branch + what comes by the shortcut; the parameters have one way each."""
    d = backward(dy, case.arrays, case.options.get("stride", 1))
    way = {n: {"main branch": d[n]} for n in MAIN}
    way |= {n: {"shortcut": d[n]} for n in case.arrays if n.startswith("downsample")}
    return {"x": {"main branch": d["main branch"], "shortcut": d["shortcut"]}, **way}


WAYS_TO_GET_IT_WRONG = [
    ("mask_missing", "the last ReLU's mask is not applied to the shortcut", {"shortcut_mask": None}),
    ("mask_missing", "the last ReLU's mask is not applied to the main branch", {"main_mask": None}),
    ("mask_missing", "the last ReLU's mask is missing", {"main_mask": None, "shortcut_mask": None}),
    ("mask_missing", "the ReLU between the convolutions is missing", {"middle": False}),
    ("mask_wrong_source", "the last mask is that of the first ReLU", {"main_mask": "bn1", "shortcut_mask": "bn1"}),
    ("mask_wrong_source", "the last mask is that of the main branch", {"main_mask": "bn2", "shortcut_mask": "bn2"}),
    (
        "mask_wrong_source",
        "the last mask is that of the shortcut",
        {"main_mask": "shortcut", "shortcut_mask": "shortcut"},
    ),
    ("wrong_statistics", "the first batch norm has the input of the second", {"bn1": "conv2"}),
    ("mean_and_variance_path", "the projection is not taken through its batch norm", {"downsample_bn": False}),
]


def suspects(dy, case):
    """(code, words, {argument: what it would give})"""
    for code, words, options in WAYS_TO_GET_IT_WRONG:
        if "downsample_bn" not in options or "downsample_weight" in case.arrays:
            yield code, words, backward(dy, case.arrays, case.options.get("stride", 1), **options)
