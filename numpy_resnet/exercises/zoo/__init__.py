"""The bug zoo: wrong backwards as students write them, and forwards with faults that no gradient shows."""

from numpy_resnet.exercises.zoo import (
    add,
    avgpool2d,
    batchnorm2d,
    batchnorm2d_inference,
    columns,
    conv2d,
    cross_entropy,
    dropout,
    flatten,
    global_avgpool2d,
    linear,
    maxpool2d,
    relu,
    residual_block,
    softmax,
    zero_pad_channels,
)
from numpy_resnet.exercises.zoo.enclosure import Bug, Enclosure

ENCLOSURES = {
    enclosure.op: enclosure
    for enclosure in (
        relu.zoo,
        add.zoo,
        linear.zoo,
        conv2d.zoo,
        columns.zoo,
        columns.col2im_zoo,
        maxpool2d.zoo,
        avgpool2d.zoo,
        global_avgpool2d.zoo,
        batchnorm2d.zoo,
        batchnorm2d_inference.zoo,
        softmax.zoo,
        softmax.log_zoo,
        cross_entropy.zoo,
        dropout.zoo,
        flatten.zoo,
        zero_pad_channels.zoo,
        residual_block.zoo,
        residual_block.down_zoo,
    )
}
BUGS = {bug.name: bug for enclosure in ENCLOSURES.values() for bug in enclosure.bugs}

__all__ = ["BUGS", "ENCLOSURES", "Bug", "Enclosure"]
