"""What the pictures show: how many images, which words, which colours. Not the pixels."""

import io
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from numpy_resnet import plots

RNG = np.random.default_rng(2)
DIGITS = tuple("0123456789")


class Curve(NamedTuple):
    """All that plots.roc asks of a curve."""

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray


def history(val_accuracy, val_loss=None):
    """A history with these validation values; the train values are a little better."""
    val_loss = val_loss or [2 * (1.01 - accuracy) for accuracy in val_accuracy]
    return [
        {
            "epoch": i + 1,
            "learning_rate": 0.1,
            "seconds": 2.0,
            "train_loss": 0.5 * loss,
            "train_accuracy": 0.5 + 0.5 * accuracy,
            "val_loss": loss,
            "val_accuracy": accuracy,
        }
        for i, (accuracy, loss) in enumerate(zip(val_accuracy, val_loss, strict=True))
    ]


def words(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def titles(axes):
    return [axes.get_title(loc=side) for side in ("left", "right")]


def there_and_back():
    """x, stages, dx."""
    pairs = [(RNG.random((C, size, size)), RNG.standard_normal((C, size, size))) for C, size in ((4, 8), (6, 4))]
    return RNG.random((1, 16, 16)), [("stem", *pairs[0]), ("layer1", *pairs[1])], RNG.standard_normal((1, 16, 16))


def every_picture():
    x = RNG.random((9, 1, 4, 4))
    labels = np.arange(9)
    curve = Curve(np.array([0, 0.5, 1]), np.array([0, 0.8, 1]))
    return {
        "learning_curves": plots.learning_curves(history([0.6, 0.9, 0.95])),
        "compared_curves": plots.compared_curves({"yours": history([0.6, 0.9]), "ours": history([0.5, 0.8, 0.9])}),
        "confusion_matrix": plots.confusion_matrix(np.diag([4] * 10), DIGITS),
        "roc": plots.roc(curve, 0.65, point=(0.5, 0.8, 0.5), title="dogs"),
        "heat_maps": plots.heat_maps(x, RNG.random((9, 4, 4)), ["a\nb"] * 9, title="Where it looks"),
        "predictions": plots.predictions(x, labels, labels[::-1], np.full((9, 10), 0.1), DIGITS),
        "passes": plots.passes(*there_and_back(), ["CAT", "p = 0.9"], title="There and back"),
        "windows_as_columns": plots.windows_as_columns(np.arange(16).reshape(4, 4), np.ones((9, 4)), kernel_size=3),
        "diagram": plots.diagram({"x": (1, 2), "y": (4, 2, "f(x)")}, [("x", "y", "slope", plots.BLUE, 0.1)]),
        "residual_blocks": plots.residual_blocks({"identity": (["conv1", "bn1"], [], "relu2")}, fork="dx", title="A"),
        "filters": plots.filters(RNG.standard_normal((6, 1, 3, 3))),
        "filters of colours": plots.filters(RNG.standard_normal((6, 3, 3, 3))),
    }


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_every_picture_is_a_figure_that_can_be_saved(form):
    for name, figure in every_picture().items():
        assert isinstance(figure, Figure), name
        file = io.BytesIO()
        figure.savefig(file, format=form)
        assert len(file.getvalue()) > 1000, name


def test_no_setting_is_changed():
    before = dict(mpl.rcParams)
    every_picture()
    assert dict(mpl.rcParams) == before


# Learning curves


def test_curves_show_the_history():
    rows = history([0.6, 0.9, 0.98, 0.97])
    loss, accuracy = plots.learning_curves(rows).axes
    for axes, key, scale in ((loss, "loss", 1), (accuracy, "accuracy", 100)):
        lines = {line.get_label(): line for line in axes.lines}
        for part, name, color in (("train", "train", plots.BLUE), ("val", "validation", plots.VERMILLION)):
            np.testing.assert_array_equal(lines[name].get_xdata(), [1, 2, 3, 4])
            expected = [scale * row[f"{part}_{key}"] for row in rows]
            np.testing.assert_allclose(lines[name].get_ydata(), expected)
            assert lines[name].get_color() == color


def test_the_last_and_the_best_values_are_written():
    rows = history([0.98, 0.97, 0.6, 0.98, 0.9], val_loss=[1, 0.1, 0.05, 0.2, 0.3])
    loss, accuracy = plots.learning_curves(rows).axes
    assert titles(loss) == ["Loss", "best validation 0.05, epoch 3"]
    assert titles(accuracy) == ["Accuracy in %", "best validation 98.00, epoch 4"]  # the last of equals
    assert words(loss) == ["train 0.15", "validation 0.3"]
    assert words(accuracy) == ["train 95.00", "validation 90.00"]
    for axes, place in ((loss, (3, 0.05)), (accuracy, (4, 98))):
        ring = {line.get_label(): line for line in axes.lines}["best"]
        np.testing.assert_allclose([ring.get_xdata()[0], ring.get_ydata()[0]], place)


def test_differences_near_100_percent_can_be_seen():
    accuracy = plots.learning_curves(history([0.1, 0.5, *[0.99] * 8])).axes[1]  # 99 and, in training, 99.5
    low, high = accuracy.get_ylim()
    assert 98.5 < low < 99
    assert 99.5 < high < 100


def test_all_of_a_short_history_is_in_the_picture():
    for values in ([0.1], [0.1, 0.9], [0.1, 0.2, 0.9, 1.0]):
        for axes in plots.learning_curves(history(values)).axes:
            low, high = axes.get_ylim()
            for line in axes.lines:
                assert ((low < line.get_ydata()) & (line.get_ydata() < high)).all()


def test_two_trainings_are_compared_epoch_by_epoch():
    mine, theirs = history([0.6, 0.9, 0.98]), history([0.5, 0.97])
    loss, accuracy = plots.compared_curves({"yours": mine, "ours": theirs}, "Both").axes
    for axes, key, times in ((loss, "train_loss", 1), (accuracy, "val_accuracy", 100)):
        lines = {line.get_label(): line for line in axes.lines}
        for name, rows, color in (("yours", mine, plots.VERMILLION), ("ours", theirs, plots.BLUE)):
            np.testing.assert_allclose(lines[name].get_ydata(), [times * row[key] for row in rows])
            np.testing.assert_array_equal(lines[name].get_xdata(), [row["epoch"] for row in rows])
            assert lines[name].get_color() == color
        assert lines["yours"].get_zorder() > lines["ours"].get_zorder()
    assert words(accuracy) == ["yours 98.00", "ours 97.00"]
    assert loss.get_yscale() == "log"
    for wrong in ({}, {"yours": mine}, {"yours": mine, "ours": []}):
        with pytest.raises(ValueError, match="two histories"):
            plots.compared_curves(wrong)


@pytest.mark.parametrize("values", [[0.99], [0.5, 0.5], [0.9, 0.991, 0.9905], [1.0, 1.0], [0.0, 0.0]])
def test_names_at_the_ends_do_not_cover_each_other(values):
    figure = plots.learning_curves(history(values))
    figure.draw_without_rendering()
    for axes in figure.axes:
        one, other = (text.get_window_extent() for text in axes.texts)
        assert not one.overlaps(other)
        assert len(axes.get_yticks()) >= 2


@pytest.mark.parametrize("loss", [0.001234, 12.34])
def test_all_words_have_room(loss):
    rows = [{**row, "epoch": 1000} for row in history([1.0], val_loss=[loss])]
    figure = plots.learning_curves(rows)
    figure.draw_without_rendering()
    for axes in figure.axes:
        assert all(figure.bbox.fully_overlaps(text.get_window_extent()) for text in axes.texts)
        assert not axes._left_title.get_window_extent().overlaps(axes._right_title.get_window_extent())


def test_losses_of_zero_or_infinity_do_not_break_the_axis():
    for loss in ([0.0, 0.0], [np.inf, 1.0], [0.5, 0.0]):
        low, high = plots.learning_curves(history([0.9, 0.9], val_loss=loss)).axes[0].get_ylim()
        assert 0 < low < high < np.inf


@pytest.mark.parametrize("rows", [[], [{"epoch": 1, "train_loss": 1.0}]])
def test_an_incomplete_history_is_refused(rows):
    with pytest.raises(ValueError, match="history must hold a dict with epoch, train_loss"):
        plots.learning_curves(rows)


# Confusion matrix


def test_counts_are_where_they_belong():
    matrix = np.arange(9).reshape(3, 3)
    axes = plots.confusion_matrix(matrix, ("cat", "dog", "emu")).axes[0]
    found = {text.get_position(): text.get_text() for text in axes.texts}
    assert found == {(j, i): str(matrix[i, j]) for i, j in np.ndindex(3, 3)}  # x is the prediction
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog", "emu"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "emu"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    low, high = axes.get_ylim()
    assert low > high  # the first row is above


def test_accuracy_and_errors_are_in_the_title():
    axes = plots.confusion_matrix([[1000, 200], [40, 760]], ("no", "yes")).axes[0]
    assert titles(axes) == ["Accuracy 88.00%", "240 of 2,000 wrong"]
    assert "1,000" in words(axes)


def test_the_shade_is_the_share_of_the_row():
    matrix = [[3, 1, 0], [30, 10, 0], [0, 0, 0]]
    cells = plots.confusion_matrix(matrix, "abc").axes[0].images[0].get_array()  # (3, 3, 3)
    white, blue, vermillion = (np.array(to_rgb(color)) for color in ("white", plots.BLUE, plots.VERMILLION))
    expected = [[blue, 0.75, vermillion, 0.25], [vermillion, 0.75, blue, 0.25]]
    for row, (left, left_share, right, right_share) in zip(cells, expected, strict=False):
        np.testing.assert_allclose(row[0], white + np.sqrt(left_share) * (left - white))
        np.testing.assert_allclose(row[1], white + np.sqrt(right_share) * (right - white))
        np.testing.assert_array_equal(row[2], white)
    np.testing.assert_array_equal(cells[2], 1)  # a class without images


def luminance(color):
    """Relative luminance, WCAG 2.1."""
    channels = np.array(to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("share", range(1, 101, 3))
def test_counts_can_be_read_on_their_cells(share):
    axes = plots.confusion_matrix([[share, 100 - share], [100 - share, share]], "ab").axes[0]
    cells = axes.images[0].get_array()
    for text in axes.texts:
        j, i = text.get_position()
        if text.get_text() != "0":
            dark, light = sorted([luminance(cells[i, j]), luminance(text.get_color())])
            assert (light + 0.05) / (dark + 0.05) > 3  # WCAG 2.1, large text


def test_many_classes_have_shades_and_no_counts():
    axes = plots.confusion_matrix(np.eye(31, dtype=int), [str(i) for i in range(31)]).axes[0]
    assert words(axes) == []
    assert len(axes.get_xticklabels()) == 31


def test_long_names_stand_upright_where_they_would_meet():
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    for classes, rotation in ((names, 90), (DIGITS, 0), (("NORMAL", "PNEUMONIA"), 0)):
        axes = plots.confusion_matrix(np.eye(len(classes), dtype=int), classes).axes[0]
        assert {label.get_rotation() for label in axes.get_xticklabels()} == {rotation}


@pytest.mark.parametrize("matrix", [[[1, 2]], np.zeros((2, 2)), [[1, -1], [0, 1]], np.eye(3)])
def test_what_is_no_matrix_of_counts_is_refused(matrix):
    with pytest.raises(ValueError, match=r"matrix must hold counts, not all 0, of shape \(2, 2\)"):
        plots.confusion_matrix(matrix, "ab")


# ROC curve

CURVE = Curve(np.array([0, 0, 0.25, 1]), np.array([0, 0.5, 0.9, 1]))
POINT = (0.6123, 0.9, 0.75)  # threshold, sensitivity, specificity


def test_the_curve_the_area_and_chance():
    axes = plots.roc(CURVE, 0.88125, title="PNEUMONIA").axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_allclose(lines["ROC"].get_xydata(), [[0, 0], [0, 50], [25, 90], [100, 100]])
    np.testing.assert_allclose(lines["chance"].get_xydata(), [[0, 0], [100, 100]])
    assert titles(axes) == ["AUC 0.881", "PNEUMONIA"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("1 - specificity (false positive rate) in %", "sensitivity in %")
    assert "point" not in lines
    assert words(axes) == ["chance"]


def test_the_operating_point_has_a_ring_and_its_numbers():
    axes = plots.roc(CURVE, 0.88, point=POINT).axes[0]
    ring = {line.get_label(): line for line in axes.lines}["point"]
    np.testing.assert_allclose(ring.get_xydata(), [[25, 90]])
    assert words(axes)[-1] == "sensitivity 90.0%, specificity 75.0%, threshold 0.612"
    assert axes.texts[-1].get_color() == ring.get_markeredgecolor() == plots.VERMILLION


@pytest.mark.parametrize("title", [None, "PNEUMONIA", "w" * 60])
def test_nothing_on_an_roc_curve_is_clipped_or_covered(title):
    figure = plots.roc(CURVE, 0.88, point=(0.000123, 1, 1), title=title)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    boxes = [text.get_window_extent() for text in (*axes.texts, axes._left_title, axes._right_title)]
    assert all(figure.bbox.fully_overlaps(box) for box in boxes)
    assert not boxes[-1].overlaps(boxes[-2])


@pytest.mark.parametrize("curve", [Curve([0, 1], [0, 0.5, 1]), Curve([0, 100], [0, 100]), Curve([0, np.nan], [0, 1])])
def test_what_is_no_curve_of_rates_is_refused(curve):
    with pytest.raises(ValueError, match=r"curve must hold two arrays \(D,\) of rates in \[0, 1\]"):
        plots.roc(curve, 0.5)


# There and back


def test_a_pass_shows_the_channels_that_say_most():
    x, ((name, activation, gradient), *others), dx = there_and_back()
    activation[2] *= 100
    figure = plots.passes(x, [(name, activation, gradient), *others], dx, ["CAT"], title="There and back")
    paper, *maps = figure.axes
    assert {"There and back", "CAT", "stem", "layer1", "16×16×1", "8×8×4", "4×4×6", "x"} <= set(words(paper))
    shown = [axes.images[0].get_array() for axes in maps]
    assert [array.shape for array in shown] == [(16, 16)] * 2 + [(8, 8)] * 6 + [(4, 4)] * 8
    np.testing.assert_array_equal(shown[4], activation[2])  # in front, drawn last
    np.testing.assert_array_equal(shown[7], np.abs(gradient[2]))
    np.testing.assert_array_equal(shown[1], np.abs(dx[0]))


def test_a_pass_refuses_a_gradient_of_another_shape():
    x, stages, dx = there_and_back()
    with pytest.raises(ValueError, match=r"stem and its gradient must be \(C, H, W\), alike; got"):
        plots.passes(x, [("stem", stages[0][1], stages[1][2])], dx, [], title="")


def test_a_notebook_shows_a_picture():
    assert plots.page(2, 2)._repr_png_().startswith(b"\x89PNG")


def test_cells_write_their_numbers():
    values = np.array([[1.0, 0.0], [-2.0, np.nan]])
    assert words(plots.cells(plots.page(3, 3).subplots(), values)) == ["1", "-2"]
    colors = [["white", "black"], ["0.5", plots.BLUE]]
    axes = plots.cells(plots.page(3, 3).subplots(), values, colors=colors, title="x")
    assert words(axes) == ["1", "0", "-2"]
    assert axes.get_title() == "x"
    assert [text.get_color() for text in axes.texts][:2] == ["#222222", "white"]  # dark on light, light on dark
    with pytest.raises(ValueError, match="alike"):
        plots.cells(axes, values, colors=[["white"]])
    with pytest.raises(ValueError, match="must be"):
        plots.cells(axes, np.zeros(3))


def test_windows_and_columns_show_the_same_numbers():
    x = np.arange(1, 16).reshape(3, 5)
    cols = np.stack([x[:2, :3].ravel(), x[:2, 2:].ravel()], axis=1)  # kernel 2x3, stride 2: two windows
    *places, matrix = plots.windows_as_columns(x, cols, kernel_size=(2, 3), stride=2).axes
    assert [axes.get_title() for axes in places] == ["window 0, 0", "window 0, 1"]
    assert words(matrix)[: cols.size] == [str(value) for value in cols.ravel()]
    shared = matrix.images[0].get_array()[[2, 5], 0], matrix.images[0].get_array()[[0, 3], 1]
    np.testing.assert_array_equal(*shared)  # the pixels of both windows have one colour on both sides
    assert len(np.unique(shared[0], axis=0)) == 2
    with pytest.raises(ValueError, match=r"\(6, 2\)"):
        plots.windows_as_columns(x, cols.T, kernel_size=(2, 3), stride=2)
