"""What the explorer is made from: one pass as nodes and tensors, and what is measured and shown of it."""

import base64
import functools
import json
import re

import numpy as np
import pytest

from numpy_resnet import explore, layers, models, ops
from numpy_resnet.explore import closer, flow, graph, numbers, sources
from numpy_resnet.kernels.jit import DISABLED

RNG = np.random.default_rng(11)
SMALL = {"num_classes": 3, "in_channels": 2, "dtype": np.float64}


def randomised(model):
    """All parameters and statistics at random, so that nothing is right by chance."""
    state = model.state_dict()
    for array in state.values():
        if array.ndim > 1:
            array[...] = RNG.standard_normal(array.shape) / np.sqrt(array[0].size)
        elif array.dtype.kind == "f":
            array[...] = RNG.uniform(0.5, 1.0, array.shape)
    model.load_state_dict(state)
    return model


def with_bias(model):
    """No convolution of these networks has a bias; those of others may."""
    model.conv1 = layers.Conv2d(2, 2, 7, 2, 3, dtype=np.float64)
    return model


NETWORKS = {
    "identity and projection": lambda: models.resnet18(**SMALL, width=2),
    "bottleneck": lambda: models.resnet50(**SMALL, width=1),
    "plain": lambda: models.plain18(**SMALL, width=2),
    "a bias": lambda: with_bias(models.plain18(**SMALL, width=2)),
    "zero padding": lambda: models.cifar_resnet20(**SMALL),
}


@pytest.fixture(scope="module", params=NETWORKS)
def passed(request):
    """A model, its image, and a pass of it."""
    model = randomised(NETWORKS[request.param]()).eval()
    x = RNG.standard_normal((1, 2, 33, 38))
    run = graph.run(model, x, 1)
    assert np.abs(run.tensors[0].gradient).max() > 1e-6
    return model, x, run


def test_every_leaf_is_a_node_and_hands_on_what_the_next_one_takes(passed):
    model, x, run = passed
    names = [node.name for node in run.nodes if node.kind not in graph.NO_LAYERS]
    assert names == [name for name, _ in model.named_layers()]
    made = set()
    for node in run.nodes:
        assert set(node.inputs) <= made
        made |= set(node.outputs)
    taken = [i for node in run.nodes for i in node.inputs]
    assert sorted(taken) == sorted(made - {run.nodes[-1].outputs[0]})  # each once, and only the loss by nobody
    np.testing.assert_array_equal(run.tensors[0].value, x[0])
    np.testing.assert_array_equal(run.logits, model.infer(x)[0])
    loss, cache = ops.cross_entropy(run.logits[None], np.array([1]))
    assert run.tensors[-1].value == loss
    model.forward(x)
    np.testing.assert_array_equal(run.tensors[0].gradient, model.backward(ops.cross_entropy_backward(1.0, cache))[0])


def test_gradients_are_those_of_finite_differences(passed):
    model, x, run = passed
    d = RNG.standard_normal(x.shape)

    def loss(step):
        return ops.cross_entropy(model.infer(x + step * d), np.array([1]))[0]

    slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
    np.testing.assert_allclose(np.vdot(run.tensors[0].gradient, d[0]), slope, rtol=1e-4, atol=1e-9)


def test_at_a_fork_one_value_leaves_twice_and_two_gradients_are_added(passed):
    """dh is what the first convolution of the branch sends back, dshortcut what comes along the shortcut."""
    _, _, run = passed
    forks = [node for node in run.nodes if node.kind == "fork"]
    assert len(forks) == sum(node.kind == "add" for node in run.nodes)
    takes = {i: node for node in run.nodes for i in node.inputs}
    for fork in forks:
        (x, dx), (h, dh), (shortcut, dshortcut) = (run.tensors[i] for i in (*fork.inputs, *fork.outputs))
        assert h is x
        assert shortcut is x
        np.testing.assert_allclose(dh + dshortcut, dx, rtol=1e-12, atol=1e-14)
        branch, other = (takes[i] for i in fork.outputs)
        assert branch.name == f"{fork.name}.conv1"
        np.testing.assert_allclose(dh, sent_back(branch, x, run), rtol=1e-9, atol=1e-12)
        if other.kind == "add":
            np.testing.assert_array_equal(dshortcut, run.tensors[other.outputs[0]].gradient)
        elif other.kind == "conv2d":
            np.testing.assert_allclose(dshortcut, sent_back(other, x, run), rtol=1e-9, atol=1e-12)
        assert not np.allclose(dh, dshortcut)
        meet = closer.look(fork, run, numbers.telling_channels(run.tensors))["meet"]
        sizes = [np.sqrt((gradient**2).sum()) for gradient in (dh, dshortcut, dx)]
        assert [meet["branch"], meet["shortcut"], meet["sum"]] == pytest.approx(sizes)
        assert meet["cosine"] == pytest.approx((dh * dshortcut).sum() / (sizes[0] * sizes[1]))


def sent_back(node, x, run):
    """What the op of a convolution makes of the gradient of its output."""
    _, cache = ops.conv2d(x[None], node.layer.params["weight"], **node.layer.options)
    return ops.conv2d_backward(run.tensors[node.outputs[0]].gradient[None], cache)[0][0]


def test_each_op_sends_back_what_the_node_before_gets(passed):
    """What a tensor's gradient says is what the op's own backward makes of the next one's."""
    _, _, run = passed
    for node in run.nodes:
        (x, dx), (y, dy) = run.tensors[node.inputs[0]] if node.inputs else (None, None), run.tensors[node.outputs[0]]
        if node.kind == "relu":
            np.testing.assert_array_equal(dx, dy * (x > 0))
        elif node.kind == "add":
            np.testing.assert_array_equal(x + run.tensors[node.inputs[1]].value, y)
            np.testing.assert_array_equal(run.tensors[node.inputs[1]].gradient, dy)
        elif node.kind == "conv2d":
            np.testing.assert_allclose(sent_back(node, x, run), dx, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("training", [False, True])
def test_the_model_stays_as_it_was(training):
    model = randomised(models.resnet18(**SMALL, width=2, dropout=0.5))
    x, other = RNG.standard_normal((1, 2, 40, 40)), RNG.standard_normal((2, 2, 40, 40))
    model.backward(np.ones_like(model.forward(other)))
    state, grads = model.state_dict(), {key: grad for key, _, grad in model.named_parameters()}
    explore.page(model, x, 0, classes="abc", seen=np.zeros((1, 40, 40)), training=training)
    assert all(layer.training for _, layer in model.named_layers())
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, state[key])
    for key, _, grad in model.named_parameters():
        assert grad is grads[key]
    for wrong, label in ((x, 3), (np.zeros((1, 2, 8, 8)), 0), (np.full_like(x, np.nan), 0)):
        with pytest.raises(ValueError, match=r"label must be a class|more than one value per channel|not finite"):
            graph.run(model, wrong, label, training=True)
        for key, array in model.state_dict().items():
            np.testing.assert_array_equal(array, state[key])


def test_in_training_the_statistics_are_those_of_the_image():
    model = randomised(models.resnet18(**SMALL, width=2))
    run = graph.run(model, RNG.standard_normal((1, 2, 40, 44)), 2, training=True)
    for node in run.nodes:
        if node.kind == "batchnorm2d":
            y = run.tensors[node.outputs[0]].value
            np.testing.assert_allclose(y.mean(axis=(1, 2)), node.layer.params["bias"], atol=1e-9)
    assert "batchnorm2d" in {node.kind for node in run.nodes}


def test_what_is_no_image_and_no_class_is_refused():
    model = models.plain18(**SMALL, width=2)
    x = np.zeros((1, 2, 40, 40))
    with pytest.raises(ValueError, match=r"x must be one image, \(1, C, H, W\); got shape \(2, 2, 40, 40\)"):
        graph.run(model, np.zeros((2, 2, 40, 40)), 0)
    with pytest.raises(ValueError, match="label must be a class, 0 to 2; got 3"):
        graph.run(model, x, 3)
    with pytest.raises(ValueError, match="classes must name 3 classes; got 2 names"):
        explore.page(model, x, 0, classes="ab", seen=np.zeros((1, 40, 40)))
    with pytest.raises(ValueError, match=r"a network must be one of resnet18, .*; got 'resnet19'"):
        explore.untrained("resnet19")


# Channels and numbers


def test_the_channels_that_say_most_come_first():
    value, gradient = RNG.standard_normal((2, 9, 4, 5))
    scores = [sum(abs(v * g) for v, g in zip(value[c].flat, gradient[c].flat, strict=True)) for c in range(9)]
    (shown,) = numbers.telling_channels(
        [graph.Tensor(value, gradient), graph.Tensor(np.float64(1), np.float64(1))]
    ).values()
    assert shown.tolist() == sorted(range(9), key=lambda c: -scores[c])[: numbers.MOST]


def test_large_maps_leave_room_for_fewer_channels_and_then_for_fewer_pixels():
    large = np.ones((9, 256, 256), np.float32)
    tensors = [graph.Tensor(large, large)] * 5
    (shown,) = numbers.telling_channels(tensors).values()
    assert len(shown) == numbers.ROOM // (5 * 4 * large[0].size) == 4
    assert numbers.longest_side(tensors) == 256
    assert numbers.thinned(large, numbers.longest_side(tensors * 9)).shape == (9, 128, 128)
    told = numbers.describe(np.arange(300 * 200.0).reshape(1, 300, 200), [0], 128)["maps"][0]
    assert told["shape"] == [100, 67]
    pixels = np.frombuffer(base64.b64decode(told["pixels"]), "<i2") * told["scale"]
    np.testing.assert_allclose(pixels[:2], [0, 3], atol=told["scale"])


def test_large_images_make_no_large_page():
    model = models.resnet18(2, in_channels=3, width=4).eval()
    x = RNG.standard_normal((1, 3, 1024, 640), dtype=np.float32)
    page = explore.page(model, x, classes="ab", seen=np.clip(x[0], 0, 1))
    assert 3_000_000 < len(page) < 10_000_000


def test_a_map_comes_back_from_the_page_as_it_was():
    array = RNG.standard_normal((3, 6, 7)) * 1e-5
    array[1, :3] = 0
    told = numbers.describe(array, [2, 1])
    for c, picture in zip((2, 1), told["maps"], strict=True):
        pixels = np.frombuffer(base64.b64decode(picture["pixels"]), "<i2") * picture["scale"]
        np.testing.assert_allclose(pixels, array[c].ravel(), atol=np.abs(array[c]).max() / 2**15)
    assert told["norm"] == pytest.approx(np.sqrt((array**2).sum()))
    assert told["zeros"] == pytest.approx(21 / 126)
    assert sum(told["histogram"]["counts"]) == 105
    assert told["histogram"]["reach"] == pytest.approx(np.abs(array).max())
    assert told["mean"] == pytest.approx(array.mean())
    nothing = numbers.describe(np.zeros((1, 2, 2)), [0])
    assert (nothing["norm"], nothing["zeros"], sum(nothing["histogram"]["counts"])) == (0, 1, 0)


def test_what_batch_norm_in_training_tells():
    model = randomised(models.resnet18(**SMALL, width=2))
    run = graph.run(model, RNG.standard_normal((1, 2, 40, 44)), 2, training=True)
    node = next(node for node in run.nodes if node.name == "layer2.0.bn1")
    (x, dx), (y, dy) = run.tensors[node.inputs[0]], run.tensors[node.outputs[0]]
    told = closer.look(node, run, numbers.telling_channels(run.tensors))
    for c, row in zip(told["names"], told["rows"], strict=True):
        values = dict(zip(told["columns"], row, strict=True))
        mean, variance = values["mean of x"], values["variance of x"]
        assert (mean, variance) == pytest.approx((x[c].mean(), x[c].var()))
        assert (values["mean of y"], values["variance of y"]) == pytest.approx((y[c].mean(), y[c].var()))
        x_hat, scale = (x[c] - mean) / np.sqrt(variance + 1e-5), values["weight"] / np.sqrt(variance + 1e-5)
        shares = values["mean of dy"], values["mean of dy · x_hat"]
        np.testing.assert_allclose(scale * (dy[c] - shares[0] - x_hat * shares[1]), dx[c], rtol=1e-5, atol=1e-9)
        assert values["dbias"] == pytest.approx(dy[c].sum(), abs=1e-9)
        assert values["dweight"] == pytest.approx((dy[c] * x_hat).sum(), abs=1e-7)


def test_a_relu_is_shown_where_it_stops_something(passed):
    _, _, run = passed
    channels = numbers.telling_channels(run.tensors)
    for node in run.nodes:
        if node.kind == "relu":
            told = closer.look(node, run, channels)["backward"]
            dx, dy, x = (np.array(part["values"]) for part in (*told["left"], *told["right"]))
            np.testing.assert_allclose(dx, dy * (x > 0), rtol=1e-6)
            c, y = channels[len(run.tensors[node.inputs[0]].value)][0], run.tensors[node.outputs[0]]
            if (
                (y.gradient[c] * (y.value[c] == 0)).any()
                and (y.gradient[c] * (y.value[c] > 0)).any()
                and y.value[c].size > 30
            ):
                assert (dx != dy).any()


# Windows


def test_windows_are_the_convolution(passed):
    """A filter's windows give y: one channel's product, the others', and the bias; the patch is cut where it says."""
    _, x, run = passed
    channels = numbers.telling_channels(run.tensors)
    for node in run.nodes:
        if node.kind != "conv2d":
            continue
        told = closer.look(node, run, channels)
        x, (y, dy) = run.tensors[node.inputs[0]].value, run.tensors[node.outputs[0]]
        (SH, SW), (PH, PW), (KH, KW) = told["stride"], told["padding"], told["kernel"]
        padded = np.pad(x, ((0, 0), (PH, PH), (PW, PW)))
        for r, row in enumerate(told["rows"]):
            for c, column in enumerate(told["columns"]):
                window = padded[told["channel"], row * SH : row * SH + KH, column * SW : column * SW + KW]
                shown = np.array(told["x"])[r * SH : r * SH + KH, c * SW : c * SW + KW]
                np.testing.assert_allclose(shown, window, rtol=1e-6)
                product = (window * np.array(told["weight"])).sum()
                assert product + told["others"][r][c] == pytest.approx(
                    y[told["filter"], row, column], rel=1e-5, abs=1e-7
                )
                assert told["dy"][r][c] == pytest.approx(dy[told["filter"], row, column], rel=1e-6)
        dx = np.pad(run.tensors[node.inputs[0]].gradient, ((0, 0), (PH, PH), (PW, PW)), constant_values=np.nan)
        there = dx[told["channel"]][told["top"] + PH :, told["left"] + PW :][: len(told["dx"]), : len(told["dx"][0])]
        np.testing.assert_allclose(np.array(told["dx"], float), there, rtol=1e-6)


def test_winners_are_those_of_the_op():
    model = randomised(models.resnet18(**SMALL, width=2)).eval()
    run = graph.run(model, RNG.standard_normal((1, 2, 33, 38)), 1)
    node = next(node for node in run.nodes if node.kind == "maxpool2d")
    channels = numbers.telling_channels(run.tensors)
    told, x = closer.look(node, run, channels), run.tensors[node.inputs[0]].value
    cache = ops.maxpool2d(x[None], kernel_size=3, stride=2, padding=1)[1]
    wins = np.zeros(x.shape, np.uint8)
    for (c, oh, ow), place in np.ndenumerate(cache.winner[0]):
        wins[c, 2 * oh - 1 + place // 3, 2 * ow - 1 + place % 3] += 1
    for map, c in zip(told["wins"], channels[len(x)], strict=True):
        there = np.frombuffer(base64.b64decode(map["pixels"]), np.uint8).reshape(map["shape"])
        np.testing.assert_array_equal(there, wins[c])
    assert wins.max() > 1


# Flow


def test_without_shortcuts_it_is_the_plain_network():
    """The residual network whose adds leave the shortcut out: the plain one, if it has the same weights."""
    cut = randomised(models.resnet18(**SMALL, width=2, ops=flow.WITHOUT_SHORTCUTS))
    plain = models.plain18(**SMALL, width=2)
    plain.load_state_dict({key: cut.state_dict()[key] for key in plain.state_dict()})
    x = RNG.standard_normal((1, 2, 40, 40))
    for training in (False, True):
        sizes = [flow.sizes_of(graph.run(model, x, 1, training=training)) for model in (cut, plain)]
        assert list(sizes[0]) == ["stem", *(f"layer{n}.{k}" for n in (1, 2, 3, 4) for k in (0, 1)), "head"]
        assert sizes[0] == pytest.approx(sizes[1], rel=1e-6)


def test_paths_add_up_and_one_path_is_a_slope():
    """At the last block the two ways are all there is; the way through all branches is a slope, with shortcuts held."""
    model = randomised(models.resnet18(**SMALL, width=2)).eval()
    x, d = RNG.standard_normal((2, 1, 2, 40, 40))
    runs = [graph.run(model, x, 1)]
    for place in (flow.BRANCH, flow.SHORTCUT):
        with flow.one_way(model, place):
            runs.append(graph.run(model, x, 1))
    fork = next(node for node in runs[0].nodes if node.name == "layer4.1")
    every, branch, shortcut = (run.tensors[fork.inputs[0]].gradient for run in runs)
    np.testing.assert_allclose(branch + shortcut, every, rtol=1e-12, atol=1e-15)

    held = iter([])

    def add(h, shortcut):
        return h + next(held), None

    fixed = models.resnet18(**SMALL, width=2, ops=ops.replaced(add=add, add_backward=lambda dy, cache: (dy, dy))).eval()
    fixed.load_state_dict(model.state_dict())
    shortcuts = [runs[0].tensors[node.inputs[1]].value[None] for node in runs[0].nodes if node.kind == "add"]

    def loss(step):
        nonlocal held
        held = iter(shortcuts)
        return ops.cross_entropy(fixed.infer(x + step * d), np.array([1]))[0]

    slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
    np.testing.assert_allclose(np.vdot(runs[1].tensors[0].gradient, d[0]), slope, rtol=1e-4, atol=1e-10)


def test_the_network_is_itself_again_after_one_way():
    model = randomised(models.resnet18(**SMALL, width=2)).eval()
    x = RNG.standard_normal((1, 2, 40, 40))
    run = graph.run(model, x, 1)
    sizes = flow.trained(model, x, run)
    assert flow.sizes_of(graph.run(model, x, 1)) == flow.sizes_of(run) == sizes["all"]
    fork = next(node for node in run.nodes if node.name == "layer4.1")
    for name, i in zip(("branches", "shortcuts"), fork.outputs, strict=True):  # nothing was left out above it
        assert sizes[name]["layer4.1"] == pytest.approx(np.linalg.norm(run.tensors[i].gradient))


def test_a_new_network_is_measured_with_its_shortcuts_and_as_a_plain_one():
    model = models.resnet18(**SMALL, width=2, seed=0)
    x = RNG.standard_normal((1, 2, 40, 40))
    plain = models.plain18(**SMALL, width=2)
    plain.load_state_dict({key: model.state_dict()[key] for key in plain.state_dict()})
    other = randomised(models.resnet18(**SMALL, width=2, dropout=0.5))  # only its kind and shape count
    for normalised in (False, True):
        sizes = flow.fresh(other, x, 1, normalised=normalised)
        for name, twin in (("with", model), ("without", plain)):
            expected = flow.sizes_of(graph.run(twin, x, 1, training=normalised))
            assert sizes[name] == pytest.approx(expected, rel=1e-6)


def test_a_plain_network_has_one_path():
    model = models.plain18(**SMALL, width=2).eval()
    x = RNG.standard_normal((1, 2, 40, 40))
    assert list(flow.trained(model, x, graph.run(model, x, 1))) == ["all"]


# Page


def test_code_that_is_not_at_hand_is_said_to_be_so():
    namespace = {}
    exec("def relu_backward(dy, cache):\n    return dy", namespace)
    mine = ops.replaced(relu=functools.partial(ops.relu), relu_backward=namespace["relu_backward"])
    model = models.plain18(**SMALL, width=2, ops=mine).eval()
    run = graph.run(model, RNG.standard_normal((1, 2, 40, 40)), 0)
    node = next(node for node in run.nodes if node.kind == "relu")
    _, ((pair),) = sources.of_node(node, run, model)
    assert (pair["forward"], pair["place"]) == ("# partial: its source is not at hand", "")
    assert pair["backward"] == "# relu_backward: its source is not at hand"


def test_code_is_whole_and_what_ran_comes_first(passed):
    model, _, run = passed
    for node in run.nodes:
        key, pairs = sources.of_node(node, run, model)
        for pair in pairs:
            for way in ("forward", "backward"):
                compile(pair[way], key, "exec")
            assert pair["place"].startswith("numpy_resnet/")
            assert pair["says"], key
        assert pairs[0]["idea"], key
        assert "(He et al." not in pairs[0]["idea"]
    conv = next(node for node in run.nodes if node.kind == "conv2d")
    assert sources.of_node(conv, run, model)[1][0]["label"] == "im2col"


def test_a_large_convolution_ran_by_winograd():
    model = models.plain18(2, in_channels=1, width=8, stem="cifar").eval()
    run = graph.run(model, RNG.standard_normal((1, 1, 32, 32), dtype=np.float32), 0)
    ran = {node.name: sources.of_node(node, run, model)[0] for node in run.nodes if node.kind == "conv2d"}
    assert ran["layer1.0.conv1"] == ("conv2d im2col" if DISABLED else "conv2d winograd")
    assert ran["layer2.0.conv1"] == "conv2d im2col"


def test_the_page_needs_nothing_else_and_no_name_can_break_it():
    trained = explore.digits_network()
    picture, label, _ = explore.digit()
    x = trained.prepare(picture)[None]
    names = ["</script><script>alert(1)</script>", "<b>", '"', "{{data}}", *"456789"]
    page = explore.page(trained.model, x, label, classes=names, seen=trained.as_seen(x)[0], image="<i>", about="&")
    assert len(page) < 1_000_000
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert page.count("<script") == 2
    assert "default-src 'none'" in page
    told = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert told["classes"] == names
    assert told["predicted"] == label


def test_without_a_label_it_is_what_the_network_decides():
    model = randomised(models.resnet18(**SMALL, width=2)).eval()
    x, seen = RNG.standard_normal((1, 2, 40, 40)), np.zeros((1, 40, 40))
    for training in (False, True):
        run = graph.run(model, x, training=training)
        assert run.label == run.logits.argmax()
    worst = graph.run(model, x, decide=lambda p: p.argmin(axis=1))
    assert worst.label == worst.logits.argmin()
    page = explore.page(model, x, classes="abc", seen=seen, decide=lambda p: p.argmin(axis=1))
    told = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert told["predicted"] == told["label"] == worst.label


def test_the_digits_network_knows_its_digits():
    trained = explore.digits_network()
    picture, label, _ = explore.digit()
    assert label == 3
    p, _ = ops.softmax(trained.model.infer(trained.prepare(picture)[None]))
    assert 0.5 < p[0, 3] < 0.7  # unsure, so that the gradient has something to say
    assert sum(p.size for _, p, _ in trained.model.named_parameters()) == 176_578
