"""Wrong residual blocks: each piece is right, the wiring of the backward is not."""

from numpy_resnet.exercises.zoo.batchnorm2d import batchnorm2d, batchnorm2d_backward
from numpy_resnet.exercises.zoo.conv2d import conv2d, conv2d_backward
from numpy_resnet.exercises.zoo.enclosure import Enclosure
from numpy_resnet.exercises.zoo.relu import relu, relu_backward


def conv_bn(x, weight, bn_weight, bn_bias, stride, padding):
    y, conv_cache = conv2d(x, weight, stride=stride, padding=padding)
    y, bn_cache = batchnorm2d(y, bn_weight, bn_bias)
    return y, (conv_cache, bn_cache)


def conv_bn_backward(dy, cache):
    """dx, dweight, dbn_weight, dbn_bias."""
    conv_cache, bn_cache = cache
    dy, dbn_weight, dbn_bias = batchnorm2d_backward(dy, bn_cache)
    dx, dweight, _ = conv2d_backward(dy, conv_cache)
    return dx, dweight, dbn_weight, dbn_bias


def main_branch(x, conv1_weight, bn1_weight, bn1_bias, conv2_weight, bn2_weight, bn2_bias, stride=1):
    y, cache1 = conv_bn(x, conv1_weight, bn1_weight, bn1_bias, stride, 1)
    y, relu_cache = relu(y)
    y, cache2 = conv_bn(y, conv2_weight, bn2_weight, bn2_bias, 1, 1)
    return y, (cache1, relu_cache, cache2)


def main_branch_backward(dy, cache):
    """dx and the gradients of the six parameters, in order."""
    cache1, relu_cache, cache2 = cache
    dy, *dparameters2 = conv_bn_backward(dy, cache2)
    dx, *dparameters1 = conv_bn_backward(relu_backward(dy, relu_cache), cache1)
    return dx, *dparameters1, *dparameters2


def identity_block(x, conv1_weight, bn1_weight, bn1_bias, conv2_weight, bn2_weight, bn2_bias):
    y, main_cache = main_branch(x, conv1_weight, bn1_weight, bn1_bias, conv2_weight, bn2_weight, bn2_bias)
    y, relu_cache = relu(y + x)
    return y, (main_cache, relu_cache)


def identity_block_backward(dy, cache):
    main_cache, relu_cache = cache
    dy = relu_backward(dy, relu_cache)
    dx, *dparameters = main_branch_backward(dy, main_cache)
    return dx + dy, *dparameters


def convolution_block(
    x,
    conv1_weight,
    bn1_weight,
    bn1_bias,
    conv2_weight,
    bn2_weight,
    bn2_bias,
    downsample_weight,
    downsample_bn_weight,
    downsample_bn_bias,
    *,
    stride=2,
):
    y, main_cache = main_branch(x, conv1_weight, bn1_weight, bn1_bias, conv2_weight, bn2_weight, bn2_bias, stride)
    shortcut, down_cache = conv_bn(x, downsample_weight, downsample_bn_weight, downsample_bn_bias, stride, 0)
    y, relu_cache = relu(y + shortcut)
    return y, (main_cache, down_cache, relu_cache)


def convolution_block_backward(dy, cache):
    main_cache, down_cache, relu_cache = cache
    dy = relu_backward(dy, relu_cache)
    dx, *dparameters = main_branch_backward(dy, main_cache)
    dx_down, *dparameters_down = conv_bn_backward(dy, down_cache)
    return dx + dx_down, *dparameters, *dparameters_down


zoo = Enclosure("identity_block", identity_block, identity_block_backward)


@zoo.wrong_backward("mask_missing")
def shortcut_before_the_mask(dy, cache):
    """The shortcut carries gradient also where the block's output is 0.

    The last ReLU was taken for a part of the main branch, but it comes after the addition.
    """
    main_cache, relu_cache = cache
    dx, *dparameters = main_branch_backward(relu_backward(dy, relu_cache), main_cache)
    return dx + dy, *dparameters


@zoo.wrong_backward("mask_missing")
def last_relu_forgotten(dy, cache):
    """Every gradient contains terms from outputs that are 0.

    Backward starts at the addition: the ReLU behind it is not a layer with weights and was overlooked.
    """
    main_cache, _ = cache
    dx, *dparameters = main_branch_backward(dy, main_cache)
    return dx + dy, *dparameters


@zoo.wrong_backward("mask_missing")
def relu_in_the_middle_forgotten(dy, cache):
    """The gradients of conv2 and bn2 are right; those of conv1 and bn1, and dx, are not.

    Of the two ReLUs of the block backward has one.
    """
    ((cache1, _, cache2), relu_cache) = cache
    dy = relu_backward(dy, relu_cache)
    dmiddle, *dparameters2 = conv_bn_backward(dy, cache2)
    dx, *dparameters1 = conv_bn_backward(dmiddle, cache1)
    return dx + dy, *dparameters1, *dparameters2


@zoo.wrong_backward("branch_missing")
def identity_dropped(dy, cache):
    """The gradients of the parameters are right, but dx lacks what came over the shortcut.

    "The shortcut has no parameters, so it has no backward."
    """
    main_cache, relu_cache = cache
    return main_branch_backward(relu_backward(dy, relu_cache), main_cache)


@zoo.wrong_backward("branch_missing")
def main_branch_dropped(dy, cache):
    """dx is that of the shortcut alone: right for the parameters, wrong for all blocks before.

    `dx = dy` after the main branch, where `dx += dy` was meant.
    """
    main_cache, relu_cache = cache
    dy = relu_backward(dy, relu_cache)
    dx, *dparameters = main_branch_backward(dy, main_cache)
    dx = dy
    return dx, *dparameters


@zoo.wrong_backward("branch_doubled")
def identity_doubled(dy, cache):
    """dx contains the gradient of the shortcut twice.

    It is added inside of the block, and once more by the code that joins the branches.
    """
    main_cache, relu_cache = cache
    dy = relu_backward(dy, relu_cache)
    dx, *dparameters = main_branch_backward(dy, main_cache)
    dx += dy
    return dx + dy, *dparameters


@zoo.wrong_backward("branch_halved")
def gradient_shared_out_among_the_branches(dy, cache):
    """All gradients are half of what they should be.

    "Two branches share the gradient": but an addition gives all of it to both.
    """
    main_cache, relu_cache = cache
    dy = relu_backward(dy, relu_cache) / 2
    dx, *dparameters = main_branch_backward(dy, main_cache)
    return dx + dy, *dparameters


@zoo.wrong_backward("mask_wrong_source")
def last_mask_from_the_middle(dy, cache):
    """The gradient is cut where the first ReLU was closed instead of where the last was.

    The block has one ReLU object and calls it twice; the cache holds one of the calls.
    """
    (cache1, middle, cache2), _ = cache
    return identity_block_backward(dy, ((cache1, middle, cache2), middle))


@zoo.wrong_backward("wrong_statistics")
def one_batch_norm_for_both(dy, cache):
    """The gradients of bn1 and of all before it are wrong, those of conv2 and bn2 are right.

    A copied line: the cache of the second batch norm is used for the first as well.
    """
    ((conv1_cache, bn1_cache), middle, (conv2_cache, bn2_cache)), relu_cache = cache
    mixed = bn2_cache._replace(weight=bn1_cache.weight)
    return identity_block_backward(dy, (((conv1_cache, mixed), middle, (conv2_cache, bn2_cache)), relu_cache))


@zoo.wrong_backward("wrong_order")
def parameters_from_back_to_front(dy, cache):
    """All gradients are right, but those of conv2 and bn2 come before those of conv1 and bn1.

    Backward goes from the end to the start, and returns its results in the order it found them.
    """
    dx, *dparameters = identity_block_backward(dy, cache)
    return dx, *dparameters[3:], *dparameters[:3]


@zoo.wrong_backward("writes_upstream")
def shortcut_added_in_place(dy, cache):
    """All gradients are right, but the dy that was handed in has become dx.

    The first ReLU of backward works in place, and so does the addition: `dy += dx`.
    """
    main_cache, x_plus_y = cache
    dy *= x_plus_y > 0
    dx, *dparameters = main_branch_backward(dy, main_cache)
    dy += dx
    return dy.copy(), *dparameters


down_zoo = Enclosure("convolution_block", convolution_block, convolution_block_backward)


@down_zoo.wrong_backward("mask_missing")
def downsample_before_the_mask(dy, cache):
    """The gradients of the downsample layers contain terms from outputs that are 0.

    The mask of the last ReLU is applied to the main branch only.
    """
    main_cache, down_cache, relu_cache = cache
    dx, *dparameters = main_branch_backward(relu_backward(dy, relu_cache), main_cache)
    dx_down, *dparameters_down = conv_bn_backward(dy, down_cache)
    return dx + dx_down, *dparameters, *dparameters_down


@down_zoo.wrong_backward("branch_missing")
def downsample_forgotten_in_dx(dy, cache):
    """The gradients of all parameters are right, but dx lacks the path through the downsample layers.

    Their backward is called for the weights, and what it returns for x is thrown away.
    """
    main_cache, down_cache, relu_cache = cache
    dy = relu_backward(dy, relu_cache)
    dx, *dparameters = main_branch_backward(dy, main_cache)
    _, *dparameters_down = conv_bn_backward(dy, down_cache)
    return dx, *dparameters, *dparameters_down


@down_zoo.wrong_backward("branch_missing")
def overwritten_by_the_shortcut(dy, cache):
    """The gradients of all parameters are right, but dx is that of the downsample path alone.

    `dx = downsample.backward(dy)` where `+=` was meant.
    """
    main_cache, down_cache, relu_cache = cache
    dy = relu_backward(dy, relu_cache)
    dx, *dparameters = main_branch_backward(dy, main_cache)
    dx, *dparameters_down = conv_bn_backward(dy, down_cache)
    return dx, *dparameters, *dparameters_down


@down_zoo.wrong_backward("mean_and_variance_path", "channel_factor")
def downsample_past_its_batch_norm(dy, cache):
    """dx and the gradient of the downsample weight are wrong, those of the batch norm behind it are right.

    The 1x1 convolution gets dy itself: its batch norm is called for its own parameters only.
    """
    main_cache, (conv_cache, bn_cache), relu_cache = cache
    dy = relu_backward(dy, relu_cache)
    dx, *dparameters = main_branch_backward(dy, main_cache)
    _, dbn_weight, dbn_bias = batchnorm2d_backward(dy, bn_cache)
    dx_down, dweight, _ = conv2d_backward(dy, conv_cache)
    return dx + dx_down, *dparameters, dweight, dbn_weight, dbn_bias


@down_zoo.wrong_backward("branch_doubled")
def downsample_doubled(dy, cache):
    """dx contains the gradient of the downsample path twice.

    It is added when the path is computed and again where the branches meet.
    """
    main_cache, down_cache, relu_cache = cache
    dy = relu_backward(dy, relu_cache)
    dx, *dparameters = main_branch_backward(dy, main_cache)
    dx_down, *dparameters_down = conv_bn_backward(dy, down_cache)
    dx = dx + dx_down
    return dx + dx_down, *dparameters, *dparameters_down


@down_zoo.wrong_backward("branch_missing", "partly_missing")
def downsample_not_trained(dy, cache):
    """dx is right, but the downsample parameters have no gradient.

    The zeros that were put there for the time being, until the block ran at all, stayed.
    """
    dx, *dparameters = convolution_block_backward(dy, cache)
    return dx, *dparameters[:6], *(0 * gradient for gradient in dparameters[6:])


@down_zoo.wrong_backward("raises", "branch_missing")
def identity_where_downsample_is_due(dy, cache):
    """The block raises, or, where the shapes happen to agree, dx has dy in place of the downsample path.

    The backward of the identity block was copied, and its shortcut adds dy as it is.
    """
    main_cache, down_cache, relu_cache = cache
    dy = relu_backward(dy, relu_cache)
    dx, *dparameters = main_branch_backward(dy, main_cache)
    _, *dparameters_down = conv_bn_backward(dy, down_cache)
    return dx + dy, *dparameters, *dparameters_down


@down_zoo.wrong_backward("not_returned")
def downsample_gradients_not_returned(dy, cache):
    """dx and six gradients come back where dx and nine are due.

    The list of what is returned was written for the identity block.
    """
    return convolution_block_backward(dy, cache)[:7]


@down_zoo.wrong_backward("mask_missing")
def middle_relu_forgotten(dy, cache):
    """The gradients of conv1 and bn1 are wrong, and dx is by that path; all others are right.

    conv1, bn1, conv2, bn2 are walked through backwards as a list of layers, and the ReLU is none of them.
    """
    (cache1, _, cache2), down_cache, relu_cache = cache
    dy = relu_backward(dy, relu_cache)
    dmiddle, *dparameters2 = conv_bn_backward(dy, cache2)
    dx, *dparameters1 = conv_bn_backward(dmiddle, cache1)
    dx_down, *dparameters_down = conv_bn_backward(dy, down_cache)
    return dx + dx_down, *dparameters1, *dparameters2, *dparameters_down


@down_zoo.wrong_backward("wrong_statistics")
def downsample_with_the_cache_of_bn2(dy, cache):
    """The gradients of the downsample path are wrong; those of the main branch are right.

    Both batch norms have the same shapes, and the wrong cache was handed over without a complaint.
    """
    (cache1, middle, cache2), (conv_cache, bn_cache), relu_cache = cache
    mixed = cache2[1]._replace(weight=bn_cache.weight)
    return convolution_block_backward(dy, ((cache1, middle, cache2), (conv_cache, mixed), relu_cache))


@down_zoo.wrong_backward("upstream_ignored")
def shortcut_gets_the_main_gradient(dy, cache):
    """The gradients of the downsample layers do not fit the upstream; those of the main branch are right.

    `dy` was overwritten on the way through the main branch: after it, it is that of the middle of the block.
    """
    (cache1, middle, cache2), down_cache, relu_cache = cache
    dy = relu_backward(dy, relu_cache)
    dy, *dparameters2 = conv_bn_backward(dy, cache2)
    dx, *dparameters1 = conv_bn_backward(relu_backward(dy, middle), cache1)
    dx_down, *dparameters_down = conv_bn_backward(dy, down_cache)
    return dx + dx_down, *dparameters1, *dparameters2, *dparameters_down
