"""The pictures that are grids of images: what is shown where, in which words and colours. Not the pixels."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from numpy_resnet import plots

RNG = np.random.default_rng(2)
DIGITS = tuple("0123456789")


def words(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def frames(axes):
    """(x, y) of the thick, coloured frames."""
    found = [patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_linewidth() > 3]
    assert all(to_hex(frame.get_edgecolor()).upper() == plots.VERMILLION for frame in found)
    return [frame.get_xy() for frame in found]


# Predictions


def show(labels, predicted, classes=DIGITS, x=None, **options):
    N = len(labels)
    x = RNG.random((N, 1, 4, 6)) if x is None else x
    labels, predicted = np.array(labels, int), np.array(predicted, int)
    probabilities = np.full((N, len(classes)), 0.04)
    probabilities[np.arange(N), predicted] = np.linspace(0.5, 0.95, N)
    return plots.predictions(x, labels, predicted, probabilities, classes, **options).axes[0]


def test_the_wrong_ones_are_marked():
    axes = show([0, 4, 7], [0, 9, 7])
    assert words(axes) == ["1 of 3 wrong", "0", "50%", "9, not 4", "72%", "7", "95%"]
    colors = {text.get_text(): text.get_color() for text in axes.texts}
    assert colors["9, not 4"] == colors["72%"] == plots.VERMILLION
    assert colors["0"] == colors["7"] == plots.QUIET
    left, _, _, top = axes.images[1].get_extent()
    assert frames(axes) == [(left, top)]


def test_long_names_take_two_lines():
    axes = show([0, 1, 1], [0, 0, 1], classes=("NORMAL", "PNEUMONIA"))
    assert words(axes)[1:] == ["NORMAL", "50%", "NORMAL,", "not PNEUMONIA", "72%", "PNEUMONIA", "95%"]


@pytest.mark.parametrize("classes", [DIGITS, ("NORMAL", "PNEUMONIA"), ("W" * 30, "MM")])
def test_no_words_cover_other_words_or_leave_the_picture(classes):
    labels = [0, 1] * 9
    axes = show(labels, labels[::-1], classes=classes)
    axes.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    assert all(axes.bbox.fully_overlaps(box) for box in boxes)


@pytest.mark.parametrize(("N", "columns", "rows"), [(1, 1, 1), (5, 5, 1), (8, 8, 1), (20, 8, 3)])
def test_images_stand_in_rows_of_eight(N, columns, rows):
    axes = show([3] * N, [3] * N)
    places = [image.get_extent() for image in axes.images]
    assert len(places) == N
    assert len({place[0] for place in places}) == columns
    assert len({place[3] for place in places}) == rows
    assert places == sorted(places, key=lambda place: (place[3], place[0]))  # row by row
    left, right, bottom, top = places[0]
    assert (right - left) / (bottom - top) == pytest.approx(6 / 4)  # as the image is


def test_each_image_is_stretched_to_its_own_range():
    x = np.array([[-3.0, 1.0], [5.0, 5.0]]).reshape(2, 1, 1, 2)
    before = x.copy()
    axes = show([1, 2], [1, 2], x=x)
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0, 1]])
    np.testing.assert_array_equal(axes.images[1].get_array(), [[0, 0]])  # a constant one
    assert axes.images[0].get_clim() == (0, 1)
    np.testing.assert_array_equal(x, before)


def test_three_channels_are_colors():
    x = RNG.random((2, 3, 4, 5), dtype=np.float32)
    pixels = show([0, 1], [0, 1], x=x).images[1].get_array()
    expected = (x[1] - x[1].min()) / (x[1].max() - x[1].min())
    np.testing.assert_allclose(pixels, expected.transpose(1, 2, 0), rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 2, 4, 4), (2, 4, 4), (0, 1, 4, 4)])
def test_what_are_no_images_is_refused(shape):
    with pytest.raises(ValueError, match=r"x must be \(N, 1, H, W\) or \(N, 3, H, W\), one image at least"):
        show([0] * shape[0], [0] * shape[0], x=np.zeros(shape))


def test_labels_of_other_images_are_refused():
    with pytest.raises(ValueError, match=r"must have shapes \[\(3,\), \(3,\), \(3, 10\)\]; got"):
        show([0, 1], [0, 1], x=np.zeros((3, 1, 2, 2)))


def test_without_labels_nothing_is_wrong():
    x, probabilities = RNG.random((2, 1, 4, 6)), np.array([[0.9, 0.1], [0.2, 0.8]])
    axes = plots.predictions(x, None, [0, 1], probabilities, ("NORMAL", "PNEUMONIA")).axes[0]
    assert words(axes) == ["Images: 2", "NORMAL", "90%", "PNEUMONIA", "80%"]
    assert frames(axes) == []
    with pytest.raises(ValueError, match=r"must have shapes \[\(2,\), \(2,\), \(2, 2\)\]; got"):
        plots.predictions(x, None, [0], probabilities, ("NORMAL", "PNEUMONIA"))


def test_a_long_title_has_room():
    axes = show([3], [3], title="12 of 10,000 wrong; here 12 wrong, 28 right")
    axes.figure.draw_without_rendering()
    assert axes.bbox.fully_overlaps(axes.texts[0].get_window_extent())


# Heat maps


def heat(N, C=1, captions=None, **options):
    x, maps = RNG.random((N, C, 4, 6)), RNG.random((N, 4, 6))
    captions = captions or [f"image {i}" for i in range(N)]
    return x, maps, plots.heat_maps(x, maps, captions, title="Where it looks", **options).axes[0]


def test_each_image_stands_beside_its_heat_map():
    x, maps, axes = heat(3, C=3, captions=["dog", "cat\nnot dog", "emu"], wrong=[False, True, False])
    assert words(axes) == ["Where it looks", "dog", "cat", "not dog", "emu"]
    assert len(axes.images) == 9
    for i in range(3):
        plain, below, above = axes.images[3 * i : 3 * i + 3]
        expected = ((x[i] - x[i].min()) / (x[i].max() - x[i].min())).transpose(1, 2, 0)
        for image in (plain, below):
            np.testing.assert_allclose(image.get_array(), expected)
        np.testing.assert_array_equal(above.get_array(), maps[i])
        assert above.get_clim() == (0, 1)
        assert above.get_extent() == below.get_extent()
        assert plain.get_extent()[1] < below.get_extent()[0]  # side by side
    left, _, _, top = axes.images[3].get_extent()
    assert frames(axes) == [(left, top)]


def test_heat_is_clear_at_0_and_lets_the_image_be_seen_at_1():
    colormap = heat(1)[2].images[2].get_cmap()
    alphas = colormap(np.linspace(0, 1, 9))[:, 3]
    assert alphas[0] == 0
    assert (np.diff(alphas) > 0).all()
    assert 0.6 < alphas[-1] < 0.9
    assert to_hex(colormap(1.0)).upper() == plots.VERMILLION


@pytest.mark.parametrize(("N", "columns", "rows"), [(1, 1, 1), (3, 3, 1), (10, 4, 3)])
def test_pairs_stand_in_rows_of_four(N, columns, rows):
    _, _, axes = heat(N)
    places = [image.get_extent() for image in axes.images[::3]]
    assert len({place[0] for place in places}) == columns
    assert len({place[3] for place in places}) == rows
    left, right, bottom, top = places[0]
    assert (right - left) / (bottom - top) == pytest.approx(6 / 4)


@pytest.mark.parametrize("N", [1, 8])
@pytest.mark.parametrize(
    "caption", ["", "PNEUMONIA 97%\nlabel NORMAL", "a_long_way_down/to_person1000_virus_1681.jpeg"]
)
def test_captions_keep_to_their_pair(N, caption):
    _, _, axes = heat(N, captions=[caption] * N, wrong=[True] * N)
    axes.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    assert all(axes.bbox.fully_overlaps(box) for box in boxes)


@pytest.mark.parametrize(
    ("maps", "captions", "wrong", "said"),
    [
        (np.zeros((2, 7, 7)), ["a", "b"], None, r"must have shapes \[\(2, 4, 6\), \(2,\), \(2,\)\]; got \[\(2, 7, 7"),
        (np.zeros((2, 4, 6)), ["a"], None, "maps, captions, wrong must have shapes"),
        (np.zeros((2, 4, 6)), ["a", "b"], [True], "maps, captions, wrong must have shapes"),
        (np.full((2, 4, 6), 255), ["a", "b"], None, r"maps must be in \[0, 1\]; got 255..255"),
        (np.full((2, 4, 6), np.nan), ["a", "b"], None, r"maps must be in \[0, 1\]; got nan..nan"),
    ],
)
def test_what_are_no_heat_maps_is_refused(maps, captions, wrong, said):
    with pytest.raises(ValueError, match=said):
        plots.heat_maps(np.zeros((2, 1, 4, 6)), maps, captions, wrong=wrong, title="")


# Filters


@pytest.mark.parametrize(("OC", "side"), [(1, 1), (5, 3), (64, 8)])
def test_filters_stand_in_a_square(OC, side):
    weight = RNG.standard_normal((OC, 1, 3, 5))
    axes = plots.filters(weight).axes[0]
    assert words(axes) == [f"Filters: {OC} of 3x5"]
    assert len({image.get_extent()[0] for image in axes.images}) == min(OC, side)
    for image, filter_ in zip(axes.images, weight, strict=True):
        np.testing.assert_array_equal(image.get_array(), filter_[0])


@pytest.mark.parametrize("C", [1, 2, 4])
def test_one_channel_has_one_scale_around_zero(C):
    weight = RNG.standard_normal((4, C, 3, 3))
    weight[2, 0, 1, 1] = -9
    sheet, bar = plots.filters(weight).axes
    assert {image.get_clim() for image in sheet.images} == {(-9, 9)}
    colormap = sheet.images[0].get_cmap()
    assert [to_hex(colormap(v)).upper() for v in (0.0, 1.0)] == [plots.BLUE, plots.VERMILLION]
    np.testing.assert_allclose(colormap(0.5), 1, atol=0.01)  # zero is white
    assert bar.get_ylim() == (-9, 9)


def test_three_channels_are_colors_around_gray():
    weight = RNG.standard_normal((4, 3, 3, 3))
    weight[1] = 0
    before = weight.copy()
    figure = plots.filters(weight)
    assert len(figure.axes) == 1  # no scale bar
    shown = np.array([image.get_array() for image in figure.axes[0].images])  # (4, 3, 3, 3) channels last
    np.testing.assert_array_equal(shown[1], 0.5)
    for i in (0, 2, 3):
        expected = weight[i].transpose(1, 2, 0) / np.abs(weight[i]).max()
        np.testing.assert_allclose(2 * shown[i] - 1, expected, atol=1e-12)
    np.testing.assert_array_equal(weight, before)


@pytest.mark.parametrize("shape", [(4, 3, 3), (0, 1, 3, 3)])
def test_what_are_no_filters_is_refused(shape):
    with pytest.raises(ValueError, match=r"weight must be \(OC, C, KH, KW\) and not empty"):
        plots.filters(np.zeros(shape))
