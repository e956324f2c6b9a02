"""A telling example of every op: overlap, padding, a stride with remainder, H != W, every parameter random."""

from functools import partial

import numpy as np

from numpy_resnet import ops


def op_cases(seed=0):
    """[(name, f, f_backward, arrays), ...] for every op, ready for check_gradients."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 3, 6, 5))
    vector = [rng.uniform(0.5, 2, 3) for _ in range(4)]
    logits, labels = 3 * rng.standard_normal((4, 5)), rng.integers(0, 5, 4)
    apart = rng.permutation(x.size).reshape(x.shape) / 7 - 10.05  # no ties, and nothing near zero
    window = {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)}
    weighted = {"labels": labels, "class_weight": rng.uniform(0.5, 2, 5), "label_smoothing": 0.1}
    inference = partial(ops.batchnorm2d_inference, running_mean=vector[2], running_var=vector[3])
    linear_arrays = (rng.standard_normal((4, 6)), rng.standard_normal((3, 6)), rng.standard_normal(3))
    convolutions = [
        ("conv2d 3x3", (4, 3, 3, 3), {"padding": 1}),
        ("conv2d 3x2, stride 2, no bias", (4, 3, 3, 2), {"stride": 2, "padding": (1, 0)}),
        ("conv2d 1x1, stride (2, 3)", (4, 3, 1, 1), {"stride": (2, 3)}),
    ]
    cases = []
    for name, shape, options in convolutions:
        bias = () if "no bias" in name else (rng.standard_normal(shape[0]),)
        arrays = (x, rng.standard_normal(shape), *bias)
        cases.append((name, partial(ops.conv2d, **options), ops.conv2d_backward, arrays))
    winograd = ops.conv.ALGORITHMS["winograd"]
    small = (x[:, :2, :, :4], rng.standard_normal((3, 2, 3, 3)), rng.standard_normal(3))
    return [
        *cases,
        ("conv2d 3x3, by Winograd", partial(winograd.conv2d, padding=(1, 2)), winograd.conv2d_backward, small),
        ("im2col, col2im", *_transposes(window), (x,)),
        ("batchnorm2d", ops.batchnorm2d, ops.batchnorm2d_backward, (x, *vector[:2])),
        ("batchnorm2d_relu", ops.batchnorm2d_relu, ops.batchnorm2d_relu_backward, (x, *vector[:2])),
        (
            "batchnorm2d_add_relu",
            ops.batchnorm2d_add_relu,
            ops.batchnorm2d_add_relu_backward,
            (x, *vector[:2], apart),
        ),
        ("batchnorm2d_inference", inference, ops.batchnorm2d_inference_backward, (x, *vector[:2])),
        ("relu", ops.relu, ops.relu_backward, (apart,)),
        ("add", ops.add, ops.add_backward, (x, apart)),
        ("maxpool2d", partial(ops.maxpool2d, **window), ops.maxpool2d_backward, (apart,)),
        ("avgpool2d", partial(ops.avgpool2d, **window), ops.avgpool2d_backward, (x,)),
        ("global_avgpool2d", ops.global_avgpool2d, ops.global_avgpool2d_backward, (x,)),
        ("flatten", ops.flatten, ops.flatten_backward, (x,)),
        (
            "zero_pad_channels",
            partial(ops.zero_pad_channels, channels=6, stride=2),
            ops.zero_pad_channels_backward,
            (x,),
        ),
        ("linear", ops.linear, ops.linear_backward, linear_arrays),
        ("dropout", partial(ops.dropout, p=0.3), ops.dropout_backward, (x, rng.random(x.shape) > 0.3)),
        ("softmax", ops.softmax, ops.softmax_backward, (logits,)),
        ("log_softmax", ops.log_softmax, ops.log_softmax_backward, (logits,)),
        ("cross_entropy", partial(ops.cross_entropy, **weighted), ops.cross_entropy_backward, (logits,)),
    ]


def _transposes(window):
    """im2col as an op whose backward is col2im."""

    def im2col(x):
        return ops.im2col(x, **window), x.shape[2:]

    def im2col_backward(dcols, size):
        return ops.col2im(dcols, size=size, **window)

    return im2col, im2col_backward
