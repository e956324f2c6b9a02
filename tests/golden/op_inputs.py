"""Awkward inputs for every op: (op, title, arrays, options), and an upstream gradient where it is special.

Finite inputs are eighths, so that sums of products are exact in any order and ops.npz stays small. Generators
are seeded by the names of op and case.
"""

import zlib

import numpy as np

nan, inf = np.nan, np.inf
SPECIAL = [-inf, -1.0, -0.0, 0.0, 1.0, inf, nan]


def every_case():
    for make in (
        convolutions,
        columns,
        poolings,
        maxima,
        elementwise,
        batchnorms,
        shapes,
        linears,
        classifiers,
    ):
        yield from make()


def generator(*names):
    return np.random.default_rng(zlib.crc32("/".join(names).encode()))


def eighths(*names):
    """A function of a shape that draws multiples of 1/8 between -2 and 2; the names are its seed."""
    rng = generator(*names)
    return lambda *shape: rng.integers(-16, 17, shape) / 8


def convolutions():
    for title, x, weight, options in [
        ("one_pixel", (1, 1, 1, 1), (1, 1, 1, 1), {}),
        ("defaults", (2, 3, 5, 4), (4, 3, 3, 2), {}),
        ("no_bias", (2, 3, 4, 5), (2, 3, 3, 3), {"padding": 1}),
        ("one_channel_in_and_out", (1, 1, 4, 6), (1, 1, 2, 3), {}),
        ("stride_with_remainder", (1, 2, 6, 8), (2, 2, 3, 3), {"stride": 2}),
        ("stride_with_remainder_and_padding", (2, 2, 5, 7), (3, 2, 3, 3), {"stride": 3, "padding": 1}),
        ("stride_larger_than_kernel", (2, 2, 7, 5), (3, 2, 2, 1), {"stride": 3}),
        ("pairs", (2, 2, 6, 7), (3, 2, 3, 2), {"stride": (2, 3), "padding": (0, 1)}),
        ("windows_of_padding_alone", (1, 2, 2, 3), (2, 2, 1, 2), {"padding": (1, 3)}),
        ("kernel_larger_than_image", (2, 2, 2, 1), (2, 2, 4, 3), {"padding": 1}),
        ("one_window_and_a_remainder", (1, 2, 4, 4), (2, 2, 3, 3), {"stride": 2}),
        ("no_bias_downsample_1x1", (2, 3, 5, 4), (4, 3, 1, 1), {"stride": 2}),
        ("pixelwise_1x1", (2, 3, 2, 3), (2, 3, 1, 1), {}),
        ("stem_7x7", (1, 3, 9, 8), (2, 3, 7, 7), {"stride": 2, "padding": 3}),
        ("maps_1x1_under_3x3", (3, 4, 1, 1), (2, 4, 3, 3), {"padding": 1}),
        ("row_kernel", (2, 2, 3, 6), (2, 2, 1, 5), {"padding": (0, 2)}),
        ("empty_batch", (0, 2, 4, 3), (3, 2, 3, 3), {"padding": 1}),
    ]:
        draw = eighths("conv2d", title)
        arrays = {"x": draw(*x), "weight": draw(*weight)}
        yield "conv2d", title, {**arrays, "bias": None if "no_bias" in title else draw(weight[0])}, options


def columns():
    for title, x, cols, options in [
        ("one_pixel", (1, 1, 1, 1), (1, 1, 1), {"kernel_size": 1}),
        ("overlap", (2, 2, 5, 4), (2, 18, 6), {"kernel_size": 3}),
        ("overlap_and_padding", (1, 2, 4, 5), (1, 18, 6), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ("stride_with_remainder", (1, 2, 6, 7), (1, 8, 4), {"kernel_size": 2, "stride": 3}),
        ("pairs", (2, 1, 6, 5), (2, 6, 24), {"kernel_size": (3, 2), "stride": (1, 2), "padding": (2, 1)}),
        ("windows_of_padding_alone", (1, 1, 2, 2), (1, 1, 24), {"kernel_size": 1, "padding": (2, 1)}),
        ("one_window", (2, 3, 2, 3), (2, 18, 1), {"kernel_size": (2, 3)}),
        ("empty_batch", (0, 2, 4, 4), (0, 8, 9), {"kernel_size": 2}),
    ]:
        yield "im2col", title, {"x": eighths("im2col", title)(*x)}, options
        yield "col2im", title, {"cols": eighths("col2im", title)(*cols)}, {"size": x[2:], **options}


def poolings():
    for title, shape, options in [
        ("one_pixel", (1, 1, 1, 1), {"kernel_size": 1}),
        ("default_stride", (2, 3, 4, 6), {"kernel_size": 2}),
        ("default_stride_pair_with_remainder", (1, 2, 5, 7), {"kernel_size": (2, 3)}),
        ("resnet_stem", (2, 2, 7, 6), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ("overlap", (2, 2, 5, 4), {"kernel_size": 3, "stride": 1}),
        ("stride_larger_than_kernel", (1, 3, 7, 5), {"kernel_size": 2, "stride": 3}),
        ("every_second_pixel", (2, 2, 4, 5), {"kernel_size": 1, "stride": 2}),
        ("pairs", (2, 1, 7, 6), {"kernel_size": (4, 2), "stride": (2, 3), "padding": (2, 1)}),
        ("maps_1x1_and_padding", (3, 2, 1, 1), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ("whole_map", (2, 2, 3, 4), {"kernel_size": (3, 4)}),
        ("empty_batch", (0, 2, 4, 4), {"kernel_size": 2}),
    ]:
        for op in ("maxpool2d", "avgpool2d"):
            yield op, title, {"x": eighths(op, title)(*shape)}, options


def maxima():
    """Who wins: the first of equals, infinities by their size, the last NaN over all."""
    stem = {"kernel_size": 3, "stride": 2, "padding": 1}
    signs = generator("maxpool2d", "many_ties").integers(-1, 2, (2, 2, 6, 5)).astype(float)
    special = generator("maxpool2d", "special_values").choice(SPECIAL, (2, 3, 6, 7))
    for title, x, options in [
        ("all_equal", np.full((1, 2, 4, 5), -3.0), stem),
        ("many_ties", signs, stem),
        ("zeros_of_both_signs", np.array([[[[-0.0, 0.0], [0.0, -0.0]]]]), {"kernel_size": 2}),
        ("all_minus_infinity", np.full((1, 1, 4, 3), -inf), stem),
        ("infinities", np.array([[[[-inf, inf, inf], [-inf, -inf, 1.0]]]]), {"kernel_size": 2, "stride": 1}),
        ("one_nan", np.array([[[[3.0, nan, inf], [7.0, inf, 4.0]]]]), {"kernel_size": (2, 3)}),
        ("two_nans", np.array([[[[1.0, nan, 2.0], [nan, inf, 4.0]]]]), {"kernel_size": (2, 3)}),
        ("special_values", special, stem),
    ]:
        yield "maxpool2d", title, {"x": x}, options
    x = np.array([[[[5.0, 1.0, 2.0, 3.0], [1.0, nan, 2.0, 0.0]]]])
    yield "maxpool2d", "special_upstream", {"x": x}, {"kernel_size": 2, "stride": 1}, [[[[nan, inf, -inf]]]]


def elementwise():
    for title, shape in [
        ("images", (2, 3, 4, 5)),
        ("one_pixel", (1, 1, 1, 1)),
        ("matrix", (3, 4)),
        ("empty_batch", (0, 2, 3, 3)),
    ]:
        draw = eighths("elementwise", title)
        yield "relu", title, {"x": draw(*shape)}, {}
        yield "add", title, {"a": draw(*shape), "b": draw(*shape)}, {}
        keep = generator("dropout", title).random(shape) >= 0.3
        yield "dropout", title, {"x": draw(*shape), "keep": keep}, {"p": 0.3}
    x = eighths("dropout")(3, 4)
    yield "dropout", "nothing_dropped", {"x": x, "keep": np.ones((3, 4), bool)}, {"p": 0.0}
    yield "dropout", "all_dropped", {"x": x, "keep": np.zeros((3, 4), bool)}, {"p": 0.5}
    yield "relu", "special_values", {"x": np.array([SPECIAL])}, {}
    every_pair = np.repeat([SPECIAL], len(SPECIAL), axis=0)
    yield "relu", "special_upstream", {"x": every_pair}, {}, every_pair.T


def batchnorms():
    for title, shape, options in [
        ("images", (3, 4, 3, 5), {}),
        ("one_image", (1, 3, 4, 3), {}),
        ("one_channel", (2, 1, 3, 2), {}),
        ("maps_1x1", (5, 3, 1, 1), {}),
        ("two_values", (2, 2, 1, 1), {}),
        ("other_eps", (2, 2, 2, 3), {"eps": 0.1}),
        ("far_from_zero", (2, 2, 3, 3), {}),
        ("constant_channels", (2, 2, 2, 2), {}),
        ("empty_batch", (0, 2, 3, 3), {}),
    ]:
        draw, C = eighths("batchnorm2d", title), shape[1]
        x = draw(*shape) + 100 * (title == "far_from_zero")
        x[:] = 1.5 if title == "constant_channels" else x
        arrays = {"x": x, "weight": draw(C), "bias": draw(C)}
        yield "batchnorm2d", title, arrays, options
        running = {"running_mean": draw(C), "running_var": draw(C) ** 2}
        yield "batchnorm2d_inference", title, {**arrays, **running}, options


def shapes():
    for title, shape in [
        ("images", (2, 3, 4, 5)),
        ("one_image", (1, 2, 3, 2)),
        ("maps_1x1", (3, 4, 1, 1)),
        ("one_channel", (2, 1, 2, 3)),
        ("empty_batch", (0, 2, 3, 3)),
    ]:
        for op in ("flatten", "global_avgpool2d"):
            yield op, title, {"x": eighths(op, title)(*shape)}, {}
    for title, shape, options in [
        ("twice_the_channels", (2, 2, 4, 6), {"channels": 4, "stride": 2}),
        ("odd_number_of_new_channels", (2, 2, 3, 4), {"channels": 5, "stride": 1}),
        ("one_new_channel", (1, 3, 2, 2), {"channels": 4, "stride": 1}),
        ("no_new_channels", (2, 3, 4, 4), {"channels": 3, "stride": 2}),
        ("stride_with_remainder", (1, 2, 5, 7), {"channels": 6, "stride": 3}),
        ("pair", (1, 2, 5, 4), {"channels": 4, "stride": (1, 2)}),
        ("one_pixel", (1, 1, 1, 1), {"channels": 2, "stride": 2}),
        ("empty_batch", (0, 2, 4, 4), {"channels": 4, "stride": 2}),
    ]:
        yield "zero_pad_channels", title, {"x": eighths("zero_pad_channels", title)(*shape)}, options


def linears():
    for title, N, IN, OUT in [
        ("defaults", 4, 6, 3),
        ("no_bias", 3, 5, 4),
        ("one_image", 1, 4, 3),
        ("one_feature", 3, 1, 2),
        ("one_output", 3, 4, 1),
        ("empty_batch", 0, 3, 2),
    ]:
        draw = eighths("linear", title)
        arrays = {
            "x": draw(N, IN),
            "weight": draw(OUT, IN),
            "bias": None if title == "no_bias" else draw(OUT),
        }
        yield "linear", title, arrays, {}


def classifiers():
    draw, rng = eighths("logits"), generator("labels")
    logits = draw(4, 5)
    huge = np.array([[1e4, -1e4, 0.0], [1e4, 1e4, 1e4 - 1], [-1e4, -1e4 - 2, -1e4], [0.5, 1e4, 9999.5]])
    infinite = np.array([[0.5, -inf, 1.0], [-inf, -inf, 2.0]])
    for op in ("softmax", "log_softmax"):
        yield op, "plain", {"x": logits}, {}
        yield op, "one_row", {"x": draw(1, 3)}, {}
        yield op, "one_class", {"x": draw(3, 1)}, {}
        yield op, "huge", {"x": huge}, {}
        yield op, "minus_infinity", {"x": infinite}, {}
        yield op, "empty_batch", {"x": draw(0, 3)}, {}
    weight, smoothing = np.array([0.5, 2.0, 1.25, 0.0, 3.0]), {"label_smoothing": 0.1}
    few = {"class_weight": weight[:3]}
    for title, x, labels, options in [
        ("plain", logits, rng.integers(0, 5, 4), {}),
        ("weights", logits, [4, 3, 0, 1], {"class_weight": weight}),
        ("smoothing", logits, rng.integers(0, 5, 4), smoothing),
        ("weights_and_smoothing", logits, [4, 3, 0, 1], {"class_weight": weight, **smoothing}),
        ("labels_without_weight", logits[:2], [3, 3], {"class_weight": weight}),
        ("one_row", draw(1, 3), [2], smoothing),
        ("one_class", draw(3, 1), [0, 0, 0], smoothing),
        ("huge", huge, [1, 2, 0, 1], {}),
        ("huge_weights_and_smoothing", huge, [1, 2, 0, 1], {**few, **smoothing}),
        ("minus_infinity_elsewhere", infinite, [2, 2], {}),
        ("minus_infinity_elsewhere_weights", infinite, [0, 2], few),
        ("minus_infinity_at_the_label", infinite, [1, 2], {}),
        ("minus_infinity_smoothing", infinite, [0, 2], smoothing),
        ("empty_batch", draw(0, 3), [], {}),
        ("empty_batch_weights_and_smoothing", draw(0, 3), [], {**few, **smoothing}),
    ]:
        yield "cross_entropy", title, {"logits": x, "labels": np.array(labels, np.int64)}, options
