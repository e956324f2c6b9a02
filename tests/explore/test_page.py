"""The page in a browser: every step in both directions, and the numbers on the screen beside NumPy's."""

import itertools
import re

import numpy as np
import pytest
from explore.conftest import Opened

from numpy_resnet import explore, models, ops
from numpy_resnet.explore import flow, graph, numbers
from numpy_resnet.explore.write import PAGE


@pytest.fixture(scope="module")
def run():
    trained = explore.digits_network()
    picture, label, _ = explore.digit()
    return graph.run(trained.model, trained.prepare(picture)[None], label)


def node_of(run, name):
    return next(node for node in run.nodes if node.name == name)


def tensors_of(run, name):
    node = node_of(run, name)
    return [run.tensors[i] for i in node.inputs], [run.tensors[i] for i in node.outputs]


def same(written, number):
    """Whether a number on the screen is this one, to the three or four digits that it is written with."""
    return float(written.replace("−", "-")) == pytest.approx(float(number), rel=5.1e-3, abs=1e-9)


def figure(text, name):
    """The number behind a name: "|dy| = 0.0123" """
    return re.search(re.escape(name) + r" = (\S+)", text)[1]


# Steps


WALK = """(key) => Array.from({ length: 2 * N }, () => {
    const seen = {
        step: state.step, heading: byId('name').innerText, count: byId('count').innerText,
        lit: [document.querySelectorAll('.half.forward').length, document.querySelectorAll('.half.backward').length],
        panel: byId('panel').innerText.trim().length, fits: document.documentElement.scrollWidth <= innerWidth };
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    return seen;
})"""


@pytest.mark.parametrize("tab", ["maps", "closer", "code", "flow"])
def test_every_step_there_and_back(opened, run, tab):
    """The arrow goes through all nodes to the loss and back to the image, and the same way back."""
    N, page = len(run.nodes), opened.page
    opened.press({"maps": "1", "closer": "2", "code": "3", "flow": "4"}[tab])
    names = [node.name for node in run.nodes]
    names += names[::-1]
    for key, steps in (("ArrowRight", range(2 * N)), ("ArrowLeft", range(2 * N - 1, -1, -1))):
        for step, seen in zip(steps, page.evaluate(WALK, key), strict=True):
            assert seen["step"] == step
            assert seen["heading"].startswith(names[step])
            assert seen["lit"] == [min(step + 1, N), max(0, step + 1 - N)]
            assert ("backward" if step >= N else "forward") in seen["count"]
            assert seen["panel"]
            assert seen["fits"]
        page.keyboard.press(key)
        assert page.evaluate("state.step") == steps[-1]  # it stays at the end


def test_keys(opened, run):
    page, N = opened.page, len(run.nodes)
    opened.press("ArrowDown")
    assert page.evaluate("nodes[nodeIndex()].name") == "layer1.0"
    opened.press("ArrowDown ArrowDown ArrowUp")
    assert page.evaluate("nodes[nodeIndex()].name") == "layer1.1"
    opened.press("b")
    assert "backward" in opened.text("#count")
    opened.press("ArrowDown")
    assert page.evaluate("nodes[nodeIndex()].name") == "layer1.0.relu2"  # blocks come from the other side
    opened.press("ArrowUp")
    assert page.evaluate("nodes[nodeIndex()].name") == "layer1.1.relu2"
    opened.press("End")
    assert page.evaluate("state.step") == 2 * N - 1
    opened.press("Home")
    assert page.evaluate("state.step") == 0
    opened.press("ArrowDown ArrowRight 2 . . ,")
    assert opened.text("#window") == "window 2 of 9"
    assert page.url.endswith("#at=layer1.0.conv1&way=forward&tab=closer")
    for key, words in (("?", "Keys"), ("e", "")):
        opened.press("1" if key == "e" else "2")
        opened.press(key)
        assert page.evaluate("document.getElementById('dialog').open")
        assert words in opened.text("#dialog-title")
        opened.press("Escape")
        assert not page.evaluate("document.getElementById('dialog').open")
    before = page.evaluate("document.documentElement.dataset.theme")
    opened.press("d")
    assert page.evaluate("document.documentElement.dataset.theme") != before


def test_play_and_stop(opened):
    page = opened.page
    page.evaluate("goTo(2 * N - 3)")
    opened.press("Space")
    assert opened.text("#play") == "stop"
    page.locator("#count", has_text="step 158 of 158").wait_for()
    assert opened.text("#play") == "play"  # at the end it stops by itself
    opened.go("conv1", tab="closer")
    page.click("#slide")
    page.locator("#window", has_text="window 3 of 9").wait_for()
    page.click("#slide")
    assert page.evaluate("state.timer") is None


def test_mouse_list_slider_and_address_lead_to_the_same_places(opened, run):
    page = opened.page
    index = [node.name for node in run.nodes].index("layer3.0.add")
    page.click(f'#network [data-node="{index}"]')
    assert opened.text("#name").startswith("layer3.0.add")
    page.select_option("#places", label="layer2.0.conv1 (convolution)")
    assert opened.text("#name").startswith("layer2.0.conv1")
    page.click("#turn")
    assert opened.text("#says").startswith("Backward")
    page.fill("#slider", "4")
    assert opened.text("#name").startswith("maxpool")
    page.evaluate("location.hash = '#at=layer3.0.add&way=backward&tab=flow'")
    page.get_by_text("A gradient is a sum over paths").wait_for()
    assert page.evaluate("[state.step, state.tab]") == [2 * len(run.nodes) - 1 - index, "flow"]


def test_what_is_seen_is_also_said(opened, run):
    """For those who listen: a name for every picture and control, and what a step shows in words."""
    page = opened.page
    for name in ("conv1", "layer2.0.add", "loss"):
        opened.go(name, "backward")
        spoken = page.text_content("#spoken")
        assert name in spoken
        assert opened.text("#facts") in spoken.replace("−", "-")
        assert name in page.get_attribute("#slider", "aria-valuetext")
        nameless = "[...document.querySelectorAll('canvas, svg[role=img], button, select, input')]"
        nameless += ".filter((e) => !e.ariaLabel && !e.textContent.trim() && !e.closest('label') && !e.title).length"
        assert page.evaluate(nameless) == 0
    opened.go("conv1", "forward", "closer")
    before = page.text_content("#spoken")
    opened.press(".")
    assert "window 2 of 9" in page.text_content("#spoken") != before
    opened.press("Tab Tab Tab")
    assert page.evaluate("document.activeElement.matches('button, select, input')")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


# Numbers


def test_gradients_that_meet_at_a_block(opened, run):
    _, ((_, dh), (_, dshortcut)) = tensors_of(run, "layer3.0")
    ((_, dx),), _ = tensors_of(run, "layer3.0")
    for name in ("layer3.0.add", "layer3.0"):
        opened.go(name, "backward", "closer")
        for key, gradient in (("branch", dh), ("shortcut", dshortcut), ("sum", dx)):
            assert same(opened.text(f"#meet-{key}"), np.linalg.norm(gradient))
        cosine = np.vdot(dh, dshortcut) / (np.linalg.norm(dh) * np.linalg.norm(dshortcut))
        assert abs(cosine) < 0.3
        said = opened.text(".meeting .quiet")
        assert same(re.search(r"two: (\S+);", said)[1], cosine)
        assert "nearly at right angles" in said
    facts = opened.text("#facts")
    assert same(figure(facts, "|dh|"), np.linalg.norm(dh))
    assert same(figure(facts, "|dshortcut|"), np.linalg.norm(dshortcut))
    assert same(figure(facts, "|dx|"), np.linalg.norm(dx))
    sums = {name: opened.grid(name) for name in ("dh", "dshortcut", "dx")}
    room = sum(last for _, last in sums.values())
    np.testing.assert_allclose(sums["dh"][0] + sums["dshortcut"][0], sums["dx"][0], atol=room)


def test_what_an_add_adds(opened, run):
    opened.go("layer1.0.add", "forward", "closer")
    parts = {name: opened.grid(name) for name in ("h", "shortcut", "y")}
    np.testing.assert_allclose(
        parts["h"][0] + parts["shortcut"][0], parts["y"][0], atol=sum(p[1] for p in parts.values())
    )
    node = node_of(run, "layer1.0.add")
    channel, row, column = (opened.exhibit()[key] for key in ("channel", "row", "column"))
    y = run.tensors[node.outputs[0]].value[channel, row : row + 5, column : column + 5]
    np.testing.assert_allclose(parts["y"][0], y, atol=parts["y"][1])


@pytest.mark.parametrize("name", ["conv1", "layer1.1.conv2", "layer2.0.conv1", "layer2.0.downsample.0", "fc"])
def test_sizes_and_costs(opened, run, name):
    node, ((x, dx),) = node_of(run, name), tensors_of(run, name)[0]
    ((y, dy),) = tensors_of(run, name)[1]
    weight, dweight = node.layer.params["weight"], node.grads["weight"]
    opened.go(name)
    facts = opened.text("#facts")
    assert facts.startswith("{} → {}".format(*("×".join(map(str, a.shape)) for a in (x, y))))
    parameters = sum(p.size for p in node.layer.params.values())
    assert f"{parameters:,} parameters" in facts
    assert f"{y.size * weight[0].size:,} multiply-adds" in facts
    assert same(figure(facts, "|weight|"), np.linalg.norm(weight))
    assert "dy" not in facts
    opened.go(name, "backward")
    facts = opened.text("#facts")
    for key, gradient in (("|dy|", dy), ("|dx|", dx), ("|dweight|", dweight)):
        assert same(figure(facts, key), np.linalg.norm(gradient))
    assert opened.page.locator("#panel .histogram").count() == 4  # of x, dx, y and dy
    figures = opened.texts("#panel div.figures")
    for text, (key, array) in zip(figures, (("|x|", x), ("|dx|", dx), ("|y|", y), ("|dy|", dy)), strict=True):
        assert same(figure(text, key), np.linalg.norm(array))
        mean, std = re.search(r"mean (\S+), std (\S+),", text).groups()
        assert same(std, array.std(dtype=np.float64))
        assert float(mean) == pytest.approx(array.mean(dtype=np.float64), rel=5.1e-3, abs=1e-9)


@pytest.mark.parametrize(
    "name", ["conv1", "layer1.0.conv1", "layer2.0.conv1", "layer2.0.downsample.0", "layer4.1.conv2"]
)
def test_a_convolution_is_made_before_ones_eyes(opened, run, name):
    """Window by window: the products give y, and what is scattered back is col2im's sum."""
    node = node_of(run, name)
    ((x, dx),), ((y, dy),) = tensors_of(run, name)
    opened.go(name, "forward", "closer")
    told = opened.exhibit()
    f, c = told["filter"], told["channel"]
    weight, options = node.layer.params["weight"][f, c], node.layer.options
    count = len(told["rows"]) * len(told["columns"])
    opened.press(". " * (count - 1))
    written, last = opened.grid("y")
    np.testing.assert_allclose(written, y[f][np.ix_(told["rows"], told["columns"])], atol=last)
    patch, last = opened.grid("x")
    cols = ops.im2col(patch[None, None], kernel_size=weight.shape, stride=options["stride"])[0]
    seen = (np.array(weight).ravel() @ cols)[-1]
    products, last = opened.grid("product")
    np.testing.assert_allclose(products.ravel(), weight.ravel() * cols[:, -1], atol=last + 0.06 * np.abs(weight).max())
    text = opened.text("#sum")
    assert float(re.search(r"weight · column = (\S+)", text)[1]) == pytest.approx(
        seen, abs=0.06 * float(np.abs(weight).sum())
    )
    if "together" in text:
        assert same(re.search(r"together y = (\S+)", text)[1], y[f, told["rows"][-1], told["columns"][-1]])

    opened.go(name, "backward", "closer")
    opened.press(", " * count)
    for shown in range(1, count + 1):
        there = dy[f][np.ix_(told["rows"], told["columns"])].astype(np.float64)
        there.ravel()[shown:] = 0
        dcols = weight.reshape(1, -1, 1) * there.reshape(1, 1, -1)
        expected = ops.col2im(dcols, size=patch.shape, kernel_size=weight.shape, stride=options["stride"])[0, 0]
        written, last = opened.grid("dx")
        np.testing.assert_allclose(written, expected, atol=last)
        opened.press(".")
    written, last = opened.grid("dweight")
    P = np.broadcast_to(options["padding"], 2)
    padded = np.pad(x[c], ((P[0], P[0]), (P[1], P[1])))
    exact = padded[told["top"] + P[0] :, told["left"] + P[1] :][: patch.shape[0], : patch.shape[1]].astype(np.float64)
    cols = ops.im2col(exact[None, None], kernel_size=weight.shape, stride=options["stride"])[0]
    np.testing.assert_allclose(written.ravel(), cols @ there.ravel(), atol=last)
    written, last = opened.grid("dx-all")
    whole = np.pad(dx[c], ((P[0], P[0]), (P[1], P[1])), constant_values=np.nan)
    whole = whole[told["top"] + P[0] :, told["left"] + P[1] :][: patch.shape[0], : patch.shape[1]]
    np.testing.assert_allclose(written, whole, atol=last)


def test_the_winner_gets_the_gradient(opened, run):
    ((x, _),), ((y, dy),) = tensors_of(run, "maxpool")
    opened.go("maxpool", "backward", "closer")
    told = opened.exhibit()
    count = len(told["rows"]) * len(told["columns"])
    opened.press(". " * (count - 1))
    written, last = opened.grid("dx")
    cache = ops.maxpool2d(x[None], kernel_size=3, stride=2, padding=1)[1]
    some = np.zeros_like(y)
    place = np.ix_([told["channel"]], told["rows"], told["columns"])
    some[place] = dy[place]
    dx = np.pad(ops.maxpool2d_backward(some[None], cache)[0, told["channel"]], 1)
    dx = dx[told["top"] + 1 :, told["left"] + 1 :][: written.shape[0], : written.shape[1]]
    np.testing.assert_allclose(written, dx, atol=last)
    assert np.abs(dx).max() > 0


def toy_of(opened, **options):
    """The toy with these options, all its windows done."""
    if not opened.page.evaluate("state.toy"):
        opened.page.click("#toy")
    for key, value in options.items():
        opened.page.select_option(f"#toy-{key}", str(value))
    opened.page.evaluate("state.window = 999; show()")
    return opened.page.evaluate("toyExhibit(state.toy)")


def in_toy(array, toy, padding):
    """What the toy shows of an array: with its padding, as far as the windows reach."""
    return np.pad(array, padding)[: len(toy["x"]), : len(toy["x"])]


@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_the_toy_is_a_convolution(opened, kernel):
    opened.go("layer1.0.conv1", "forward", "closer")
    x = np.array(opened.page.evaluate("TOY.x"), float)[None, None]
    for stride, padding in itertools.product((1, 2, 3), (0, 1, 2)):
        toy = toy_of(opened, kernel=kernel, stride=stride, padding=padding)
        weight, dy = (np.array(toy[name], float)[None, None] for name in ("weight", "dy"))
        y, cache = ops.conv2d(x, weight, stride=stride, padding=padding)
        np.testing.assert_array_equal(opened.grid("y")[0], y[0, 0])
        opened.page.evaluate("turn()")
        dx, dweight, _ = ops.conv2d_backward(dy, cache)
        inside = in_toy(np.ones((5, 5)), toy, padding) == 1
        np.testing.assert_array_equal(opened.grid("dx")[0][inside], in_toy(dx[0, 0], toy, padding)[inside])
        np.testing.assert_array_equal(opened.grid("dweight")[0], dweight[0, 0])
        opened.page.evaluate("turn()")


def test_the_toy_is_a_max_pool(opened):
    opened.go("maxpool", "backward", "closer")
    x = np.array(opened.page.evaluate("TOY.x"), float)[None, None]
    for kernel, stride, padding in [(2, 1, 0), (2, 2, 1), (3, 2, 1), (3, 1, 1), (3, 3, 0)]:
        toy = toy_of(opened, kernel=kernel, stride=stride, padding=padding)
        _, cache = ops.maxpool2d(x, kernel_size=kernel, stride=stride, padding=padding)
        dx = ops.maxpool2d_backward(np.array(toy["dy"], float)[None, None], cache)[0, 0]
        np.testing.assert_array_equal(opened.grid("dx")[0], in_toy(dx, toy, padding))
    opened.page.evaluate("turn()")
    assert "the largest" in opened.text("#sum").lower()


def test_tables(opened, run):
    """Batch norm, average pool, the last layer and the loss, number by number."""
    channels = numbers.telling_channels(run.tensors)
    opened.go("bn1", "backward", "closer")
    layer, ((x, _),), ((y, _),) = node_of(run, "bn1").layer, *tensors_of(run, "bn1")
    grads, rows = node_of(run, "bn1").grads, table(opened)
    for c, row in zip(channels[8], rows, strict=True):
        expected = [c, layer.buffers["running_mean"][c], layer.buffers["running_var"][c], x[c].mean(), x[c].var()]
        expected += [layer.params["weight"][c], layer.params["bias"][c], y[c].mean(), y[c].var()]
        expected += [grads["weight"][c], grads["bias"][c]]
        np.testing.assert_allclose(row, expected, rtol=6e-3, atol=1e-6)

    opened.go("avgpool", "backward", "closer")
    ((x, dx),), ((y, dy),) = tensors_of(run, "avgpool")
    for c, row in zip(channels[64], table(opened), strict=True):
        np.testing.assert_allclose(row[1:], [x[c].min(), x[c].max(), x[c].sum(), y[c], dy[c], dx[c, 0, 0]], rtol=6e-3)

    opened.go("fc", "backward", "closer")
    ((x, dx),), ((y, dy),) = tensors_of(run, "fc")
    weight = node_of(run, "fc").layer.params["weight"]
    for row in table(opened):
        i = int(row[0])
        np.testing.assert_allclose(row[1:], [x[i], weight[3, i], weight[3, i] * x[i], dx[i], dy[3] * x[i]], rtol=6e-3)
    sums = [float(text) for text in opened.texts("dd")]
    assert sum(sums[:3]) == pytest.approx(sums[3], rel=1e-3)
    np.testing.assert_allclose(sums[3:], [y[3], dy[3]], rtol=1e-3)

    opened.go("loss", "backward", "closer")
    ((logits, dlogits),), ((loss, _),) = tensors_of(run, "loss")
    p = np.exp(logits.astype(np.float64)) / np.exp(logits.astype(np.float64)).sum()
    for k, row in enumerate(table(opened)):
        np.testing.assert_allclose(row[1:], [logits[k], p[k], k == 3, dlogits[k]], rtol=6e-3)
    assert float(opened.texts("dd")[0]) == pytest.approx(loss, rel=1e-3)
    assert f"p = {p[3]:.3g}, loss {loss:.3g}." in opened.text("#verdict")


def table(opened):
    rows = opened.page.locator("#panel table tbody tr").all()
    cells = [row.locator("th, td").all_inner_texts() for row in rows]
    return [[float(re.match(r"[-\d.e]+", cell.replace("−", "-"))[0]) for cell in row] for row in cells]


def test_gradients_wait_until_they_come(opened):
    for name in ("bn1", "loss", "fc"):
        opened.go(name, "forward", "closer")
        assert "…" in opened.text("#panel")
        opened.go(name, "backward", "closer")
        assert "…" not in opened.text("#panel")
    opened.go("layer1.0.add")
    assert opened.page.locator(".strip.backward").count() == 0
    opened.go("layer1.0.add", "backward")
    assert opened.page.locator(".strip.backward").count() == 3


def test_flow_shows_what_was_measured(opened, run):
    opened.go("loss", "backward", "flow")
    opened.page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    first = {node.block: node for node in reversed(run.nodes) if node.inputs}
    shown = [
        row.locator("th, td").all_inner_texts() for row in opened.page.locator(".case").first.locator("tbody tr").all()
    ]
    assert [row[0] for row in shown] == ["stem", *(f"layer{n}.{k}" for n in (1, 2, 3, 4) for k in (0, 1)), "head"]
    trained = explore.digits_network()
    x = trained.prepare(explore.digit()[0])[None]
    sizes = flow.trained(trained.model, x, run)
    assert sizes["all"] == pytest.approx(
        {block: np.linalg.norm(run.tensors[node.inputs[0]].gradient) for block, node in first.items()}
    )
    cases = [sizes, *(flow.fresh(trained.model, x, 3, normalised=normalised) for normalised in (True, False))]
    for k, sizes in enumerate(cases):
        case = opened.page.locator(".case").nth(k)
        rows = [row.locator("th, td").all_inner_texts() for row in case.locator("tbody tr").all()]
        for block, *written in rows:
            for text, name in zip(written, sizes, strict=True):
                assert same(text, sizes[name][block])
        heads = case.locator("thead th").all_inner_texts()[1:]
        assert ["path through" in head for head in heads] == [False, True, False][: len(heads)] if k == 0 else True
        assert ["without" in head for head in heads] == [name == "without" for name in sizes]
        factors = re.findall(r"× ([\d.e−-]+)", case.inner_text())
        for text, name in zip(factors, sizes, strict=True):
            values = list(sizes[name].values())
            assert float(text.rstrip(".").replace("−", "-")) == pytest.approx(values[1] / values[-1], rel=0.051)
    assert opened.page.locator(".case").count() == 3
    both = opened.page.locator(".case svg rect[class^=series]").count()
    opened.press("s")
    on = opened.page.locator(".case svg rect[class^=series]").count()
    opened.press("s")
    off = opened.page.locator(".case svg rect[class^=series]").count()
    assert (both, on, off) == (70, 30, 40)
    assert "plain18" in opened.text(".legend >> nth=1")


def test_a_map_is_drawn_as_its_numbers_are(opened, run):
    """Green where the number is positive, purple where it is negative; and what is pointed at is read out."""
    opened.go("layer1.0.conv1", "backward")
    ((_, _),), ((y, dy),) = tensors_of(run, "layer1.0.conv1")
    c = numbers.telling_channels(run.tensors)[8][0]
    for array, strip in ((y, ".side:last-child .forward"), (dy, ".side:last-child .backward")):
        pixels = opened.page.evaluate(
            "(selector) => { const canvas = document.querySelector(selector + ' canvas'); return"
            " [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]; }",
            strip,
        )
        red, green, blue, _ = np.array(pixels, int).reshape(*array[c].shape, 4).transpose(2, 0, 1)
        strong = np.abs(array[c]) > 0.1 * np.abs(array[c]).max()
        np.testing.assert_array_equal((green > red)[strong], (array[c] > 0)[strong])
        np.testing.assert_array_equal((blue > green)[strong], (array[c] < 0)[strong])
        assert strong.sum() > 10
    opened.press("e")
    canvas = opened.page.locator("dialog canvas").nth(0)
    box = canvas.bounding_box()
    channel = int(re.search(r"channel (\d+) \(of 0 to 7\)", opened.text("#dialog-title"))[1])
    x = tensors_of(run, "layer1.0.conv1")[0][0]
    opened.page.mouse.move(box["x"] + box["width"] * 6.5 / 16, box["y"] + box["height"] * 9.5 / 16)
    value, gradient = re.match(r"row 9, column 6: x = (\S+), dx = (\S+)", opened.text("dialog .read")).groups()
    for written, array in ((value, x.value[channel]), (gradient, x.gradient[channel])):
        assert float(written) == pytest.approx(array[9, 6], rel=6e-3, abs=float(np.abs(array).max()) / 2e4)


def test_the_photograph_and_a_histogram(browser, tmp_path):
    seen = np.zeros((3, 40, 40))
    seen[0, 3, 5], seen[1, 3, 5], seen[2, 3, 5] = 1.0, 0.6, 0.2
    x = np.random.default_rng(8).exponential(size=(1, 3, 40, 40)).astype(np.float32)
    model = models.plain18(2, in_channels=3, width=2).eval()
    path = tmp_path / "page.html"
    path.write_text(explore.page(model, x, classes="ab", seen=seen), encoding="utf-8")
    opened = Opened(browser, path)
    pixel = "[...byId('photograph').getContext('2d').getImageData(5, 3, 1, 1).data]"
    assert opened.page.evaluate(pixel) == [255, 153, 51, 255]
    opened.go("input")
    bars = "[...document.querySelectorAll('.histogram rect')]"
    bars += ".map((bar) => [bar.x.baseVal.value, bar.height.baseVal.value])"
    left, height = np.array(opened.page.evaluate(bars)).T
    counts, _ = np.histogram(x, bins=40, range=(-x.max(), x.max()))
    np.testing.assert_allclose(left, 3 * np.arange(40), atol=1e-5)
    np.testing.assert_allclose(
        height, np.where(counts, np.maximum(1, 50 * np.sqrt(counts / counts.max())), 0), atol=1e-4
    )
    opened.close()


# Other networks, other people


@pytest.mark.parametrize("name", ["resnet34", "resnet50", "plain18", "cifar_resnet32"])
def test_another_depth_draws_itself(browser, tmp_path, name):
    options = {} if name.startswith("cifar") else {"width": 2}
    model = models.MODELS[name](4, in_channels=3, **options).eval()
    x = np.random.default_rng(5).standard_normal((1, 3, 64, 48), dtype=np.float32)
    page = explore.page(model, x, 2, classes=["a", "b", "c", "d"], seen=np.zeros((3, 64, 48)), training=True)
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    opened = Opened(browser, tmp_path / "page.html", color_scheme="dark")
    leaves, forks = (
        len(model.named_layers()),
        sum(hasattr(block, "downsample") for _, s in model.children() for _, block in s.children()),
    )
    assert opened.page.evaluate("N") == leaves + forks + 2
    assert opened.page.locator("#network .bar").count() == leaves + forks + 2
    assert opened.page.locator("#network .arc").count() == forks
    outside = (
        "[...document.querySelectorAll('#network .half')].filter((bar) => { const box = bar.getBBox(); const all ="
    )
    outside += (
        " document.getElementById('network').viewBox.baseVal; return box.x < 0 || box.x + box.width > all.width ||"
    )
    outside += " box.y < 0 || box.y + box.height > all.height; }).length"
    assert opened.page.evaluate(outside) == 0
    assert opened.page.evaluate("document.documentElement.dataset.theme") == "dark"
    opened.press("4 End")
    assert opened.page.locator(".case").count() == (3 if forks else 1)
    for step in range(0, 2 * (leaves + forks + 2), 7):
        opened.page.evaluate(f"state.tab = ['maps', 'closer', 'code', 'flow'][{step} % 4]; goTo({step})")
    opened.close()


def test_a_narrow_window(browser, digits_page):
    opened = Opened(browser, digits_page, viewport={"width": 700, "height": 900})
    for name in ("conv1", "layer2.0.add", "loss"):
        opened.go(name, "backward")
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 700
    opened.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out(theme):
    """A contrast of 4.5 for all text, 3 for all that is drawn (WCAG 2.2, success criteria 1.4.3 and 1.4.11)."""
    css = (PAGE / "style.css").read_text(encoding="utf-8")
    rule = re.search(r":root \{(.*?)\}" if theme == "light" else r'\[data-theme="dark"\] \{(.*?)\}', css, re.DOTALL)[1]
    colours = dict(re.findall(r"--(\w+): (#\w{6})", rule))

    def luminance(colour):
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    def contrast(one, other):
        light, dark = sorted([luminance(colours[one]), luminance(colours[other])], reverse=True)
        return (light + 0.05) / (dark + 0.05)

    for text in ("ink", "quiet", "said", "forward", "backward"):
        assert contrast(text, "paper") >= 4.5, text
    for text in ("ink", "quiet", "said"):
        assert contrast(text, "raised") >= 4.5, text
    for drawn in ("forward", "backward", "plus", "minus"):
        assert contrast(drawn, "paper") >= 3, drawn
    most = int(re.search(r"--share:\$\{Math.round\((\d+) \*", (PAGE / "grids.js").read_text(encoding="utf-8"))[1]) / 100
    for sign in ("plus", "minus"):  # a cell at its fullest
        parts = [[int(colours[c][i : i + 2], 16) for i in (1, 3, 5)] for c in (sign, "zero")]
        mixed = np.rint(most * np.array(parts[0]) + (1 - most) * np.array(parts[1])).astype(int)
        colours["cell"] = "#" + "".join(f"{part:02x}" for part in mixed)
        assert contrast("ink", "cell") >= 4.5, sign
