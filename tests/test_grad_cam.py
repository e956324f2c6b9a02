"""Grad-CAM beside its definition, and beside networks small enough to know the answer."""

import numpy as np
import pytest

from numpy_resnet import models, ops
from numpy_resnet.grad_cam import grad_cam
from numpy_resnet.layers import Conv2d, GlobalAvgPool2d, Linear, ReLU, Sequential

RNG = np.random.default_rng(3)


def bilinear(small, H, W):
    """One map enlarged, pixel by pixel: centres lie at half, and the edge goes on outside."""
    h, w = small.shape
    large = np.zeros((H, W))
    for i, j in np.ndindex(H, W):
        y, x = np.clip((i + 0.5) * h / H - 0.5, 0, h - 1), np.clip((j + 0.5) * w / W - 0.5, 0, w - 1)
        top, left = min(int(y), h - 2), min(int(x), w - 2)
        (a, b), (c, d) = small[top : top + 2, left : left + 2]
        y, x = y - top, x - left
        large[i, j] = (1 - y) * ((1 - x) * a + x * b) + y * ((1 - x) * c + x * d)
    return large


def heat(alpha, A, H, W):
    """The definition, for one image.   alpha (K,), A (K, h, w) -> (H, W)"""
    large = bilinear(np.maximum(sum(a * pixels for a, pixels in zip(alpha, A, strict=True)), 0), H, W)
    return large / (large.max() or 1)


def detector(weight):
    """One 4x4 mean of an image, and a class for and a class against it: everything can be said by heart."""
    model = Sequential(Sequential(Conv2d(1, 1, 4, 4, bias=False), ReLU()), GlobalAvgPool2d(), Linear(1, 2))
    model.load_state_dict({"0.0.weight": np.full((1, 1, 4, 4), 1 / 16), "2.weight": weight, "2.bias": np.zeros(2)})
    return model


def square(at, size=24):
    x = np.zeros((1, 1, size, size), np.float32)
    x[:, :, at[0] : at[0] + 8, at[1] : at[1] + 8] = 1
    return x


# The definition


def test_alpha_is_what_the_logit_gains_when_a_map_rises():
    model = models.cifar_resnet20(3, dtype=np.float64, seed=1).eval()
    x, step = RNG.standard_normal((2, 3, 12, 16)), 1e-6
    A = model.relu.infer(model.bn1.infer(model.conv1.infer(x)))
    A = model.layer2.infer(model.layer1.infer(A))  # (2, 32, 6, 8)

    def logits(A):
        return model.fc.infer(model.avgpool.infer(model.layer3.infer(A)))

    alpha = np.zeros((2, 32))
    for k in range(32):
        up, down = A.copy(), A.copy()
        up[:, k] += step
        down[:, k] -= step
        alpha[:, k] = (logits(up) - logits(down))[[0, 1], [2, 0]] / (2 * step) / (6 * 8)
    found = grad_cam(model, x, np.array([2, 0]), layer="layer2")
    assert found.maps.shape == (2, 12, 16)
    for i in range(2):
        np.testing.assert_allclose(found.maps[i], heat(alpha[i], A[i], 12, 16), atol=1e-5)


@pytest.mark.parametrize("c", [0, 1, 2])
def test_before_the_global_pool_it_is_cam(c):
    """alpha = fc.weight / (h * w): the class activation map of Zhou et al. 2016, section 2."""
    model = models.cifar_resnet20(3)
    x = RNG.standard_normal((2, 3, 12, 16)).astype(np.float32)
    A = x
    for name in ("conv1", "bn1", "relu", "layer1", "layer2", "layer3"):
        A = getattr(model, name).infer(A)
    found = grad_cam(model, x, c, layer="layer3")
    for i in range(2):
        np.testing.assert_allclose(found.maps[i], heat(model.fc.params["weight"][c], A[i], 12, 16), atol=1e-4)


def test_a_bright_square_is_found():
    for at in ((0, 0), (8, 12), (16, 4)):
        found = grad_cam(detector([[1.0], [-1.0]]), square(at))
        assert found.classes.tolist() == [0]
        bright = found.maps[0] > 0.99
        assert bright.any()
        assert (square(at)[0, 0][bright] == 1).all()


def test_the_class_decides_what_is_seen():
    x = np.concatenate([square((0, 0)), square((8, 8))])
    model = detector([[1.0], [-1.0]])
    against = grad_cam(model, x, 1)
    np.testing.assert_array_equal(against.maps, 0)  # all of it speaks against class 1: zeros stay zeros
    assert against.classes.tolist() == [1, 1]
    one_each = grad_cam(model, x, np.array([1, 0]))
    np.testing.assert_array_equal(one_each.maps.max(axis=(1, 2)), [0, 1])


def test_each_image_is_on_its_own_scale_and_on_its_own():
    x = np.concatenate([square((0, 0)), 100 * square((8, 8))])
    model = detector([[1.0], [-1.0]])
    found = grad_cam(model, x)
    assert found.maps.dtype == np.float32
    np.testing.assert_array_equal(found.maps.max(axis=(1, 2)), 1)
    np.testing.assert_array_equal(found.maps[1:], grad_cam(model, x[1:]).maps)


def test_the_likeliest_class_and_its_probabilities():
    model = models.cifar_resnet20(4)
    x = RNG.standard_normal((3, 3, 16, 16)).astype(np.float32)
    found = grad_cam(model, x)
    np.testing.assert_array_equal(found.probabilities, ops.softmax(model.infer(x))[0])
    np.testing.assert_array_equal(found.classes, found.probabilities.argmax(axis=1))
    assert grad_cam(model, x[:0]).maps.shape == (0, 16, 16)


# The layer


@pytest.mark.parametrize(
    ("build", "options", "size", "layer"),
    [
        (models.cifar_resnet20, {}, (32, 32), "layer3"),  # 8x8
        (models.cifar_resnet20, {}, (20, 40), "layer2"),  # 10x20, then 5x10
        (models.cifar_plain20, {}, (4, 4), "layer1"),  # 4x4, and fewer later on
        (models.resnet18, {"stem": "cifar"}, (12, 12), "layer2"),
        (models.resnet18, {"in_channels": 1}, (96, 96), "layer3"),
        (models.resnet50, {}, (24, 24), "layer1"),
    ],
)
def test_the_deepest_stage_that_can_be_read(build, options, size, layer):
    model = build(2, **options)
    x = RNG.standard_normal((1, options.get("in_channels", 3), *size)).astype(np.float32)
    found = grad_cam(model, x)
    assert found.layer == layer
    assert found.maps.shape == (1, *size)


@pytest.mark.real_size
def test_an_image_of_224_pixels_is_read_at_the_last_stage():
    assert grad_cam(models.resnet18(2), np.zeros((1, 3, 224, 224), np.float32)).layer == "layer4"


def test_a_stage_ends_with_its_last_relu():
    model = models.cifar_resnet20(2)
    x = RNG.standard_normal((1, 3, 16, 16)).astype(np.float32)
    stage, block, leaf = (grad_cam(model, x, layer=name) for name in ("layer2", "layer2.2", "layer2.2.relu2"))
    assert (stage.layer, block.layer, leaf.layer) == ("layer2", "layer2.2", "layer2.2.relu2")
    np.testing.assert_array_equal(stage.maps, leaf.maps)
    np.testing.assert_array_equal(block.maps, leaf.maps)
    assert (grad_cam(model, x, layer="layer2.0").maps != leaf.maps).any()


@pytest.mark.parametrize("layer", ["layer4", "layer", "", "layer3.1.relu"])
def test_an_unknown_layer_is_refused(layer):
    said = r"layer must be a stage \(layer1, layer2, layer3\) or a name in named_layers\(\); got '" + layer
    with pytest.raises(ValueError, match=said):
        grad_cam(models.cifar_resnet20(2), np.zeros((1, 3, 8, 8), np.float32), layer=layer)


def test_a_layer_without_maps_is_refused():
    with pytest.raises(ValueError, match=r"layer must have maps \(N, C, H, W\); fc has shape \(1, 2\)"):
        grad_cam(models.cifar_resnet20(2), np.zeros((1, 3, 8, 8), np.float32), layer="fc")


def test_a_model_without_stages_must_be_told_the_layer():
    model = Sequential(Conv2d(1, 2, 3), ReLU(), GlobalAvgPool2d(), Linear(2, 2))
    x = RNG.standard_normal((1, 1, 8, 8)).astype(np.float32)
    assert grad_cam(model, x, layer="1").maps.shape == (1, 8, 8)
    with pytest.raises(ValueError, match="this model has no stages to choose from: pass layer="):
        grad_cam(model, x)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (2, r"classes must be in 0..1; got 2..2"),
        ([0, -1], r"classes must be in 0..1; got -1..0"),
        ([0, 1, 1], r"classes must be an integer or 2 of them; got int64 of shape \(3,\)"),
        ([0.0, 1.0], "classes must be an integer or 2 of them; got float64"),
    ],
)
def test_classes_that_are_not_there_are_refused(classes, said):
    with pytest.raises(ValueError, match=said):
        grad_cam(models.cifar_resnet20(2), np.zeros((2, 3, 8, 8), np.float32), classes)


# The model afterwards


def halfway(model, x):
    """A model in the middle of a training step, one of its layers frozen."""
    model.train()
    model.bn1.eval()
    model.forward(x)
    model.backward(np.ones((2, 2), np.float32))
    model.forward(x)
    return model


@pytest.mark.parametrize("layer", ["layer2", "fc"])
def test_the_model_is_as_it_was(layer):
    """Its twin was left alone; "fc" raises when the work is done."""
    x = RNG.standard_normal((2, 3, 8, 8)).astype(np.float32)
    model, twin = (halfway(models.cifar_resnet20(2, dropout=0.5), x) for _ in range(2))
    try:
        grad_cam(model, -x, layer=layer)
    except ValueError:
        assert layer == "fc"
    assert [leaf.training for _, leaf in model.named_layers()] == [leaf.training for _, leaf in twin.named_layers()]
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, twin.state_dict()[key])
    for again in range(2):  # the gradients that were there, and those of the forward that waits
        for (key, _, grad), (_, _, other) in zip(model.named_parameters(), twin.named_parameters(), strict=True):
            np.testing.assert_array_equal(grad, other, err_msg=key)
        if not again:
            model.backward(np.ones((2, 2), np.float32)), twin.backward(np.ones((2, 2), np.float32))
    np.testing.assert_array_equal(model.forward(x), twin.forward(x))  # the same dropout


def test_nothing_waits_afterwards_that_did_not_before():
    model = models.cifar_resnet20(2).eval()
    grad_cam(model, np.zeros((1, 3, 8, 8), np.float32))
    with pytest.raises(RuntimeError, match="backward needs a forward of its own"):
        model.backward(np.zeros((1, 2), np.float32))
