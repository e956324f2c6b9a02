"""The table of a network: what each stage makes of its input, and what that costs."""

import numpy as np

from numpy_resnet.layers import GlobalAvgPool2d, Sequential, ZeroPadChannels, trace
from numpy_resnet.models.blocks import PlainBlock


def summarize(model, input_shape):
    """A table with a row for each stage: output shape, parameters and multiply-adds for one image (C, H, W).

    Batch norm, ReLU, pooling and sums are not counted as multiply-adds, as is usual.
    """
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ValueError(f"input_shape must be (C, H, W), each at least 1; got {tuple(input_shape)}")
    dtype = model.fc.params["weight"].dtype
    traced = trace(model, np.zeros((1, *input_shape), dtype))
    rows = [("stage", "layers", "output", "parameters", "multiply-adds")]
    rows += [("input", "", _times(input_shape), "", "")]
    total_parameters = total_multiply_adds = 0
    for name, layer in model.children():
        records = [t for t in traced if t.name.split(".")[0] == name]
        if not records:  # an empty Sequential: nothing to do
            continue
        parameters = sum(p.size for t in records for p in t.layer.params.values())
        multiply_adds = sum(t.layer.multiply_adds(t.output) for t in records)
        shape = records[-1].output.shape[1:]
        if isinstance(layer, GlobalAvgPool2d):
            shape = (*shape, 1, 1)  # each map is one number now
        rows.append((name, _describe(layer), _times(shape), parameters, multiply_adds))
        total_parameters += parameters
        total_multiply_adds += multiply_adds
    rows.append(("total", "", "", total_parameters, total_multiply_adds))
    return f"{model.name}\n{_table(rows)}"


def _describe(layer):
    if not isinstance(layer, Sequential):
        return repr(layer)
    words = [_block_name(block) for _, block in layer.children()]
    counted = [f"{words.count(word)} {word}{'s' if words.count(word) > 1 else ''}" for word in dict.fromkeys(words)]
    return ", ".join(counted)


def _block_name(block):
    if isinstance(block, PlainBlock):
        return "plain block"
    if isinstance(block.downsample, ZeroPadChannels):
        return "zero-padded block"
    return "convolution block" if block.downsample.children() else "identity block"


def _times(shape):
    return " x ".join(str(s) for s in shape)


def _table(rows):
    text = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in text) for i in range(len(text[0]))]
    lines = []
    for row in text:
        left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        lines.append("  ".join(left + right).rstrip())
    rule = "-" * max(len(line) for line in lines)
    return "\n".join([rule, lines[0], rule, *lines[1:-1], rule, lines[-1]])
