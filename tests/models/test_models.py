import inspect

import numpy as np
import pytest

from numpy_resnet import models, ops
from numpy_resnet.gradcheck import check_model_gradients
from numpy_resnet.layers import trace
from numpy_resnet.models.resnet import bottleneck_block

RNG = np.random.default_rng(4)
PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "cifar_resnet20": 269_722,
    "cifar_resnet32": 464_154,
    "cifar_resnet44": 658_586,
    "cifar_resnet56": 853_018,
    "cifar_resnet110": 1_727_962,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_number_of_parameters(name):
    model = models.MODELS[name]()
    assert sum(param.size for _, param, _ in model.named_parameters()) == PARAMETERS[name]


def test_resnet18_has_torchvisions_keys():
    state = models.resnet18().state_dict()
    block = ["conv1.weight", *_bn("bn1"), "conv2.weight", *_bn("bn2")]
    shortcut = ["downsample.0.weight", *_bn("downsample.1")]
    keys = ["conv1.weight", *_bn("bn1")]
    for layer in range(1, 5):
        keys += [f"layer{layer}.0.{key}" for key in block + (shortcut if layer > 1 else [])]
        keys += [f"layer{layer}.1.{key}" for key in block]
    assert list(state) == [*keys, "fc.weight", "fc.bias"]
    assert len(state) == 122
    assert state["conv1.weight"].shape == (64, 3, 7, 7)
    assert state["layer3.0.downsample.0.weight"].shape == (256, 128, 1, 1)
    assert state["fc.weight"].shape == (1000, 512)
    assert state["bn1.num_batches_tracked"].shape == ()


def _bn(name):
    return [f"{name}.{key}" for key in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")]


def test_bottleneck_keys():
    keys = list(models.resnet50().state_dict())
    assert len(keys) == 320
    assert [key for key in keys if key.startswith("layer1.0.") and key.endswith("weight")] == [
        f"layer1.0.{name}.weight"
        for name in ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "downsample.0", "downsample.1")
    ]
    shape = models.resnet50().state_dict()["layer2.0.conv2.weight"].shape
    assert shape == (128, 128, 3, 3)


def test_cifar_keys_have_no_shortcut_parameters():
    keys = list(models.cifar_resnet20().state_dict())
    assert "layer2.0.conv1.weight" in keys
    assert not any("downsample" in key for key in keys)
    assert keys == list(models.cifar_plain20().state_dict())


@pytest.mark.parametrize("name", ["plain18", "plain34"])
def test_plain_nets_are_the_same_without_shortcuts(name):
    residual, plain = models.MODELS[name.replace("plain", "resnet")](), models.MODELS[name]()
    assert [key for key in residual.state_dict() if "downsample" not in key] == list(plain.state_dict())


SMALL = {
    "resnet18": (2, 3, 40, 33),
    "plain18": (2, 3, 40, 33),
    "cifar_resnet20": (2, 3, 9, 12),
    "cifar_plain20": (2, 3, 9, 12),
}


@pytest.mark.real_size
@pytest.mark.parametrize("name", SMALL)
def test_gradients_of_the_whole_network(name):
    model = models.MODELS[name](num_classes=5, dtype=np.float64, seed=1)
    randomise(model)
    report = check_model_gradients(model, RNG.standard_normal(SMALL[name]))
    assert report.ok, str(report)
    assert len(report.arguments) == 1 + sum(1 for _ in model.named_parameters())


@pytest.mark.real_size
def test_gradients_of_a_network_of_bottlenecks():
    """As resnet50, with one block in each stage."""
    model = models.ResNet("short", bottleneck_block, (1, 1, 1, 1), 4, num_classes=5, dtype=np.float64)
    randomise(model)
    report = check_model_gradients(model, RNG.standard_normal((2, 3, 40, 33)))
    assert report.ok, str(report)


@pytest.mark.real_size
def test_gradients_in_evaluation_mode():
    model = models.resnet18(num_classes=5, stem="cifar", dtype=np.float64).eval()
    randomise(model)
    report = check_model_gradients(model, RNG.standard_normal((2, 3, 9, 8)))
    assert report.ok, str(report)


def randomise(model):
    """No parameter or statistic at the special value that it starts with."""
    state = model.state_dict()
    for array in state.values():
        if array.ndim == 1:
            array += RNG.uniform(0.1, 0.3, array.shape)
    model.load_state_dict(state)


def test_stages_have_the_shapes_of_the_article():
    model = models.resnet18(num_classes=2)
    outputs = {record.name: record.output.shape for record in trace(model, np.zeros((1, 3, 64, 64), np.float32))}
    assert outputs["conv1"] == (1, 64, 32, 32)
    assert outputs["maxpool"] == (1, 64, 16, 16)
    assert outputs["layer1.1.relu2"] == (1, 64, 16, 16)
    assert outputs["layer2.1.relu2"] == (1, 128, 8, 8)
    assert outputs["layer3.1.relu2"] == (1, 256, 4, 4)
    assert outputs["layer4.1.relu2"] == (1, 512, 2, 2)
    assert outputs["avgpool"] == (1, 512)
    assert outputs["fc"] == (1, 2)


@pytest.mark.real_size
def test_summary_shows_every_stage():
    text = models.resnet18().summary((3, 224, 224))
    for part in ("3 x 224 x 224", "64 x 112 x 112", "64 x 56 x 56", "128 x 28 x 28", "256 x 14 x 14", "512 x 7 x 7"):
        assert part in text
    assert "512 x 1 x 1" in text
    assert "11,689,512" in text
    assert "1,814,073,344" in text  # multiply-adds
    assert "1 convolution block, 1 identity block" in text
    assert "8 plain blocks" not in text
    assert "2 plain blocks" in models.plain18(stem="cifar", in_channels=1).summary((1, 8, 8))
    with pytest.raises(ValueError, match=r"input_shape must be \(C, H, W\)"):
        models.resnet18().summary((224, 224))


def maps_of(model, x):
    """The heights of the maps that leave the stem and each stage."""
    traced = {record.name: record.output for record in trace(model, x)}
    last = {}
    for name, y in traced.items():
        if y.ndim == 4:
            last["stem" if not name.startswith("layer") else name.split(".")[0]] = y.shape
    return [shape[2] for shape in last.values()]


def test_stages_halve_the_map_with_and_without_shortcuts():
    x = np.zeros((1, 3, 64, 64), np.float32)
    assert maps_of(models.plain18(), x) == maps_of(models.resnet18(), x) == [16, 16, 8, 4, 2]
    x = x[:, :, :16, :16]
    assert maps_of(models.plain18(stem="cifar"), x) == maps_of(models.resnet18(stem="cifar"), x) == [16, 16, 8, 4, 2]
    assert maps_of(models.cifar_plain20(), x) == maps_of(models.cifar_resnet20(), x) == [16, 16, 8, 4]


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
def test_a_plain_cifar_net_has_the_layers_of_its_residual_twin(depth):
    """Option-A shortcuts have no parameters: without them every key and shape stays, ReLUs too."""
    plain, residual = (getattr(models, f"cifar_{kind}{depth}")() for kind in ("plain", "resnet"))
    shapes = [{key: array.shape for key, array in model.state_dict().items()} for model in (plain, residual)]
    assert shapes[0] == shapes[1]
    assert sum(len(shape) > 1 for shape in shapes[0].values()) == depth
    relus = [sum(type(layer).__name__ == "ReLU" for _, layer in model.named_layers()) for model in (plain, residual)]
    assert relus == [depth - 1] * 2


@pytest.mark.parametrize("depth", [18, 34])
def test_a_plain_net_has_the_layers_of_its_residual_twin_but_the_projections(depth):
    plain, residual = (getattr(models, f"{kind}{depth}")() for kind in ("plain", "resnet"))
    kept = [key for key in residual.state_dict() if "downsample" not in key]
    assert list(plain.state_dict()) == kept
    assert sum(type(layer).__name__ == "ReLU" for _, layer in plain.named_layers()) == depth - 1


def test_the_two_blocks_by_their_names():
    x = RNG.standard_normal((2, 6, 8, 8)).astype(np.float32)
    for block, factor in ((models.BasicBlock, 1), (models.Bottleneck, 4)):
        change = models.convolution_block(6, 10, stride=2, block=block, rng=0)
        keep = models.identity_block(10, block=block, rng=0)
        y = change.forward(x)
        assert y.shape == (2, 10 * factor, 4, 4)
        assert keep.forward(y).shape == y.shape
        assert change.backward(keep.backward(np.ones_like(y))).shape == x.shape


def test_an_identity_block_without_its_weights_is_the_shortcut():
    """With a last batch norm of weight 0 the branch adds nothing: y = relu(x), and dx = dy where x > 0."""
    block = models.identity_block(3, rng=0, dtype=np.float64)
    block.bn2.params["weight"][:] = 0
    x = RNG.standard_normal((2, 3, 5, 5))
    np.testing.assert_array_equal(block.forward(x), np.maximum(x, 0))
    np.testing.assert_array_equal(block.backward(np.ones_like(x)), 1.0 * (x > 0))


def test_the_same_seed_gives_the_same_network():
    first, second, third = (models.cifar_resnet20(seed=seed).state_dict() for seed in (1, 1, 2))
    for key in first:
        np.testing.assert_array_equal(first[key], second[key])
    assert not np.array_equal(first["conv1.weight"], third["conv1.weight"])
    single = models.resnet18(3, stem="cifar", seed=5).state_dict()
    double = models.resnet18(3, stem="cifar", seed=5, dtype=np.float64).state_dict()
    np.testing.assert_array_equal(single["fc.weight"], double["fc.weight"].astype(np.float32))


def test_options():
    model = models.resnet18(num_classes=4, in_channels=1, stem="cifar", dropout=0.25)
    x = RNG.standard_normal((2, 1, 8, 8)).astype(np.float32)
    assert model.forward(x).shape == (2, 4)
    assert model.dropout.p == 0.25
    assert len(model.state_dict()) == 122  # dropout adds no key
    assert list(inspect.signature(models.resnet18).parameters) == [
        "num_classes", "in_channels", "stem", "width", "dropout", "seed", "dtype", "ops",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_classes": 0}, ValueError, "num_classes must be at least 1"),
        ({"num_classes": 2.0}, TypeError, "num_classes must be an integer"),
        ({"in_channels": -1}, ValueError, "in_channels must be at least 1"),
        ({"stem": "mnist"}, ValueError, "stem must be one of imagenet, cifar"),
        ({"width": 0}, ValueError, "width must be at least 1"),
        ({"width": "wide"}, TypeError, "width must be an integer"),
        ({"dtype": np.int32}, TypeError, "dtype must be np.float32"),
        ({"dropout": 1.0}, ValueError, r"dropout must be in \[0, 1\)"),
        ({"classes": 3}, TypeError, "classes"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        models.resnet18(**options)


def test_images_of_another_layout_are_refused_with_a_hint():
    with pytest.raises(ValueError, match=r"x must have 3 channels.*images are \(N, C, H, W\)"):
        models.resnet18().forward(np.zeros((2, 32, 32, 3), np.float32))


def test_a_named_algorithm_runs_inside_a_block():
    naive = ops.conv.ALGORITHMS["naive"]
    slow = ops.replaced(conv2d=naive.conv2d, conv2d_backward=naive.conv2d_backward)
    x = RNG.standard_normal((2, 2, 5, 4))
    fast_block, slow_block = (
        models.convolution_block(2, 3, rng=0, dtype=np.float64, ops=namespace) for namespace in (ops, slow)
    )
    y = fast_block.forward(x)
    np.testing.assert_allclose(slow_block.forward(x), y, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(slow_block.backward(y), fast_block.backward(y), rtol=1e-10, atol=1e-10)
