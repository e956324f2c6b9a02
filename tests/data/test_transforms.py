"""Each transform does to small pictures what torchvision does, pixel for pixel, and draws what it says."""

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from numpy_resnet.data.transforms import (
    CenterCrop,
    ColorJitter,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    Resize,
    apply,
    to_array,
)

# Results that cannot be had by hand are those of torchvision.transforms.functional 0.29, with Pillow 13.
GREY = np.array(
    [[10, 200, 30, 90, 250], [0, 120, 60, 180, 40], [255, 80, 140, 20, 100], [70, 160, 5, 230, 110]], np.uint8
)  # its mean is 107.5
COLOR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)  # (4, 5, 3)
PLACES = np.arange(1, 16, dtype=np.uint8).reshape(3, 5)  # no two pixels alike, none black
PIPELINE = (
    Resize(6),
    RandomResizedCrop(7, (0.3, 1.0), (0.5, 1.5)),
    RandomHorizontalFlip(),
    RandomRotation(25),
    ColorJitter(0.4, 0.3),
    RandomCrop((5, 8), padding=2),
    CenterCrop((4, 6)),
)


def picture(pixels):
    return Image.fromarray(np.asarray(pixels, np.uint8))


def pixels(image):
    return np.asarray(image).tolist()


class Scripted(np.random.Generator):
    """A generator whose numbers are known."""

    def __init__(self, *numbers):
        super().__init__(np.random.PCG64(0))
        self.numbers = list(numbers)

    def uniform(self, low, high, size=None):
        return self.numbers.pop(0)


def many(transform, image, n, seed=0):
    rng = np.random.default_rng(seed)
    return [np.asarray(transform(image, rng)) for _ in range(n)]


# Resizing


def test_resize_interpolates():
    assert pixels(Resize(2)(picture([[0, 100, 200]]))) == [[0, 25, 75, 125, 175, 200]] * 2
    assert pixels(Resize(2)(picture([[0], [100], [200]]))) == [[v, v] for v in (0, 25, 75, 125, 175, 200)]


def test_resize_averages_what_it_makes_smaller():
    assert pixels(Resize(2)(picture(GREY))) == [[93, 112], [116, 106]]
    assert pixels(Resize(2)(picture(COLOR))) == [[[93, 116, 162], [112, 106, 143]], [[116, 93, 139], [106, 112, 149]]]


@pytest.mark.parametrize(("H", "W", "size", "out"), [(4, 5, 6, (6, 7)), (5, 4, 6, (7, 6)), (3, 8, 2, (2, 5))])
def test_the_longer_side_is_rounded_down(H, W, size, out):
    assert np.shape(Resize(size)(picture(np.zeros((H, W))))) == out


@pytest.mark.parametrize("shape", [(4, 5), (5, 4), (4, 4)])
def test_an_image_that_fits_is_returned_as_it_is(shape):
    image = picture(np.zeros(shape))
    assert Resize(4)(image) is image


# Cropping


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((3, 2), [[30, 90], [60, 180], [140, 20]]),  # offsets round(0.5) = 0 and round(1.5) = 2
        ((1, 2), [[140, 20]]),
        ((2, 3), [[120, 60, 180], [80, 140, 20]]),
        (2, [[60, 180], [140, 20]]),
        ((4, 5), GREY.tolist()),
        ((7, 2), [[0, 0], [30, 90], [60, 180], [140, 20], [5, 230], [0, 0], [0, 0]]),  # the odd one goes below
        ((1, 8), [[0, 255, 80, 140, 20, 100, 0, 0]]),  # and to the right
    ],
)
def test_center_crop(size, expected):
    assert pixels(CenterCrop(size)(picture(GREY))) == expected


def test_center_crop_pads_colour_with_black():
    expected = np.pad(COLOR, ((1, 1), (1, 2), (0, 0)))
    np.testing.assert_array_equal(CenterCrop((6, 8))(picture(COLOR)), expected)


def counts(images):
    return Counter(image.tobytes() for image in images)


@pytest.mark.parametrize(("size", "padding"), [((2, 3), 0), ((2, 3), 1), ((3, 5), 2), (4, 1)])
def test_random_crop_takes_every_window_about_as_often(size, padding):
    h, w = (size, size) if size == 4 else size
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(PLACES, padding), (h, w)).reshape(-1, h, w)
    drawn = many(RandomCrop(size, padding), picture(PLACES), 100 * len(windows))
    assert {image.shape for image in drawn} == {(h, w)}
    times = counts(drawn)
    assert times.keys() == counts(windows).keys()
    assert all(65 <= times[window.tobytes()] <= 140 for window in windows)


def test_random_crop_of_the_whole_is_the_whole():
    assert pixels(RandomCrop((4, 5))(picture(COLOR), np.random.default_rng(0))) == COLOR.tolist()


def test_random_crop_refuses_what_is_too_small():
    for size, padding in (((5, 5), 0), ((4, 6), 0), ((7, 3), 1), ((3, 8), 1)):
        with pytest.raises(ValueError, match=f"at least .* got 4x5 and padding {padding}: resize"):
            RandomCrop(size, padding)(picture(GREY), np.random.default_rng(0))


# Cropping and resizing


def test_random_resized_crop_takes_every_window_about_as_often():
    transform = RandomResizedCrop(2, scale=(4 / 15, 4 / 15), ratio=(1, 1))  # windows of 2x2, so nothing to resize
    windows = np.lib.stride_tricks.sliding_window_view(PLACES, (2, 2)).reshape(-1, 2, 2)
    times = counts(many(transform, picture(PLACES), 100 * len(windows)))
    assert times.keys() == counts(windows).keys()
    assert all(70 <= n <= 130 for n in times.values())


def test_random_resized_crop_resizes_its_window():
    rng = Scripted(np.full(10, 12 / 20), np.full(10, np.log(4 / 3)), (0.9, 0.1))  # 3 high, 4 wide, at (1, 0)
    assert pixels(RandomResizedCrop(2)(picture(GREY), rng)) == [[99, 105], [123, 108]]


@pytest.mark.parametrize(
    ("h", "w", "window"),
    [
        (2, 3, (1, 4, 2, 3)),
        (1, 8, (2, 0, 1, 8)),  # all of one side
        (3, 1, (0, 6, 3, 1)),
        (4, 2, None),  # the image is 3x8
        (2, 9, None),
        (0.1, 4, None),
        (2, 0.1, None),
    ],
)
@pytest.mark.parametrize("tries", [0, 9])
def test_the_first_window_that_fits_is_taken(tries, h, w, window):
    areas, ratios = np.full(10, 9 / 24), np.zeros(10)  # 3x3, which fits
    areas[:tries] = 1  # 5x5, which does not
    areas[tries], ratios[tries] = h * w / 24, np.log(w / h)
    if window is None and tries == 0:
        window = (0, 4, 3, 3)  # of the second try
    elif window is None:
        window = (0, 2, 3, 4)  # the middle
    assert RandomResizedCrop(4)._draw(3, 8, Scripted(areas, ratios, (0.9, 0.8))) == window


def test_areas_and_ratios_have_their_distributions():
    transform, rng = RandomResizedCrop(8, (0.05, 0.25), (1 / 3, 2)), np.random.default_rng(0)
    _, _, h, w = np.array([transform._draw(900, 1200, rng) for _ in range(1000)]).T
    shares, ratios = h * w / (900 * 1200), np.log(w / h)
    for values, low, high in ((shares, 0.05, 0.25), (ratios, np.log(1 / 3), np.log(2))):
        histogram, _ = np.histogram(values, 5, (low - 0.01, high + 0.01))
        assert histogram.sum() == 1000
        assert histogram.min() > 140


@pytest.mark.parametrize(
    ("H", "W", "ratio", "window"),
    [
        (2, 9, (0.5, 1), (0, 3, 2, 2)),  # too wide: as wide as may be
        (9, 2, (1, 2), (3, 0, 2, 2)),  # too high
        (2, 9, (0.5, 2), (0, 2, 2, 4)),
        (9, 2, (0.5, 2), (2, 0, 4, 2)),
        (2, 3, (0.75, 2), (0, 0, 2, 3)),  # its shape is allowed: the whole
        (1, 9, (0.1, 0.2), (0, 4, 1, 1)),  # 0.2 pixels wide would be none
        (9, 1, (5, 6), (4, 0, 1, 1)),
    ],
)
def test_when_no_window_fits_the_middle_is_taken(H, W, ratio, window):
    transform = RandomResizedCrop(8, (1e-6, 1e-6), ratio)  # windows of no pixel
    assert {transform._draw(H, W, np.random.default_rng(seed)) for seed in range(5)} == {window}


# Flipping and turning


@pytest.mark.parametrize("pixels_in", [GREY, COLOR])
def test_a_flip_swaps_left_and_right(pixels_in):
    image, rng = picture(pixels_in), np.random.default_rng(0)
    for _ in range(50):
        assert pixels(RandomHorizontalFlip(1)(image, rng)) == pixels_in[:, ::-1].tolist()
        assert pixels(RandomHorizontalFlip(0)(image, rng)) == pixels_in.tolist()


@pytest.mark.parametrize(("transform", "share"), [(RandomHorizontalFlip(), 0.5), (RandomHorizontalFlip(0.2), 0.2)])
def test_so_many_images_are_flipped(transform, share):
    flipped = [image[0, 0] == 5 for image in many(transform, picture(PLACES), 1000)]
    assert abs(np.mean(flipped) - share) < 0.04


def test_a_positive_angle_turns_counterclockwise():
    image = picture(GREY[:, :4])
    assert pixels(RandomRotation(90)(image, Scripted(90.0))) == np.rot90(GREY[:, :4]).tolist()


def test_turning_keeps_the_size_interpolates_and_fills_with_black():
    assert pixels(RandomRotation(30)(picture(GREY), Scripted(30.0))) == [
        [0, 49, 90, 122, 52],
        [105, 113, 91, 87, 99],
        [2, 103, 121, 99, 164],
        [203, 162, 115, 31, 0],
    ]


@pytest.mark.parametrize("degrees", [10, 90])
def test_angles_are_uniform_on_both_sides(degrees):
    canvas = np.zeros((61, 81))
    canvas[28:33, 65:70] = 255  # a spot to the right of the middle, (30, 40)
    rows, columns = np.mgrid[:61, :81]
    angles = []
    for image in many(RandomRotation(degrees), picture(canvas), 300):
        down, right = (np.average(place, weights=image) - middle for place, middle in ((rows, 30), (columns, 40)))
        angles.append(np.degrees(np.arctan2(-down, right)))
    histogram, _ = np.histogram(angles, 4, (-degrees - 0.5, degrees + 0.5))
    assert histogram.sum() == 300
    assert histogram.min() > 55
    assert min(angles) < -0.95 * degrees
    assert max(angles) > 0.95 * degrees


# Brightness and contrast


def test_brightness_and_contrast_by_their_formulas():
    brighter = ColorJitter(0.5, 0)(picture(GREY), Scripted(1.5, 1))
    assert pixels(brighter) == np.minimum(1.5 * GREY, 255).astype(int).tolist()
    flatter = ColorJitter(0, 0.5)(picture(GREY), Scripted(1, 0.5))
    assert pixels(flatter) == (108 + 0.5 * (GREY - 108.0)).astype(int).tolist()  # 107.5 is rounded to 108


def test_brightness_comes_before_contrast():
    assert pixels(ColorJitter(0.5, 0.5)(picture(GREY), Scripted(1.5, 0.5))) == [
        [78, 198, 93, 138, 198],
        [70, 160, 115, 198, 100],
        [198, 130, 175, 85, 145],
        [123, 190, 74, 198, 153],
    ]


def test_contrast_of_colour_is_about_its_grey_mean():
    first = pixels(ColorJitter(0, 0.5)(picture(COLOR), Scripted(1, 1.5)))[0]
    assert first == [[0, 49, 255], [244, 184, 26], [0, 0, 255], [79, 255, 191], [255, 109, 0]]


@pytest.mark.parametrize(("option", "low", "high"), [(0.5, 0.5, 1.5), (0.2, 0.8, 1.2), (1.5, 0, 2.5)])
def test_factors_are_uniform_about_1_and_not_below_0(option, low, high):
    bright = [image[0, 0] / 100 for image in many(ColorJitter(brightness=option), picture([[100]]), 1000)]
    pair = picture([[60, 140]])  # 40 from their mean
    contrast = [(image[0, 1] - 100) / 40 for image in many(ColorJitter(contrast=option), pair, 1000)]
    for factors in (bright, contrast):
        assert min(factors) == pytest.approx(low, abs=0.03)
        assert max(factors) == pytest.approx(high, abs=0.03)
        assert np.histogram(factors, 4, (low - 0.03, high))[0].min() > 200


def test_no_jitter_changes_nothing():
    assert pixels(ColorJitter()(picture(COLOR), np.random.default_rng(0))) == COLOR.tolist()


# To arrays


def test_grey_has_one_channel_and_colour_three():
    for pixels_in, expected in ((GREY, GREY[None]), (COLOR, COLOR.transpose(2, 0, 1))):
        x = to_array(picture(pixels_in))
        assert x.dtype == np.float32
        np.testing.assert_array_equal(x, expected.astype(np.float32) / 255, strict=True)
    assert (to_array(picture([[0, 255]])) == [[[0, 1]]]).all()


def test_the_array_can_be_written_to():
    image = picture(GREY)
    to_array(image)[:] = 0
    assert pixels(image) == GREY.tolist()


# Pipelines


def test_transforms_are_applied_in_order():
    image = picture(GREY)
    first = apply((CenterCrop(2), Resize(4)), image)
    then = apply((Resize(4), CenterCrop(2)), image)
    assert first.size == (4, 4)
    assert pixels(then) == [[60, 180], [140, 20]]
    assert apply((), image) is image


def test_a_pipeline_prints_itself_and_can_be_sent():
    assert repr(PIPELINE[:1] + PIPELINE[5:6]) == "(Resize(size=6), RandomCrop(size=(5, 8), padding=2))"
    assert eval(repr(PIPELINE)) == PIPELINE
    assert pickle.loads(pickle.dumps(PIPELINE)) == PIPELINE
    assert hash(PIPELINE) == hash(eval(repr(PIPELINE)))


def test_the_same_seed_gives_the_same_images():
    image = picture(COLOR)
    once, again = (apply(PIPELINE, image, np.random.default_rng(4)) for _ in range(2))
    assert pixels(once) == pixels(again)
    assert len({apply(PIPELINE, image, np.random.default_rng(seed)).tobytes() for seed in range(20)}) == 20


@pytest.mark.parametrize("transform", PIPELINE, ids=lambda transform: type(transform).__name__)
def test_what_is_drawn_does_not_depend_on_the_image(transform):
    for seed in range(20):
        after = set()
        for image in (picture(GREY), picture(COLOR), picture(255 - GREY), picture(np.zeros((30, 17)))):
            rng = np.random.default_rng(seed)
            transform(image, rng)
            after.add(rng.random())
        assert len(after) == 1


@pytest.mark.parametrize("transform", PIPELINE, ids=lambda transform: type(transform).__name__)
@pytest.mark.parametrize("pixels_in", [GREY, COLOR], ids=["grey", "colour"])
def test_an_image_is_left_alone_and_keeps_its_mode(transform, pixels_in):
    image = picture(pixels_in)
    for seed in range(5):
        out = transform(image, np.random.default_rng(seed))
        assert (out.mode, pixels(image)) == (image.mode, pixels_in.tolist())


@pytest.mark.parametrize("transform", [t for t in PIPELINE if not isinstance(t, ColorJitter)], ids=str)
def test_channels_are_treated_alike(transform):
    whole = transform(picture(COLOR), np.random.default_rng(3))
    for c, channel in enumerate(picture(COLOR).split()):
        assert pixels(transform(channel, np.random.default_rng(3))) == pixels(whole.getchannel(c))


sides = st.integers(1, 40)


@given(sides, sides, sides, sides, st.integers(0, 5), st.integers(0, 99))
def test_sizes(H, W, h, w, padding, seed):
    image, rng = Image.new("RGB", (W, H)), np.random.default_rng(seed)
    shorter, longer = min(H, W), max(H, W)
    resized = Resize(h)(image)
    assert sorted(resized.size) == [h, h * longer // shorter]
    assert (resized.height <= resized.width) == (H <= W) or resized.height == resized.width
    assert CenterCrop((h, w))(image).size == (w, h)
    assert RandomResizedCrop(w)(image, rng).size == (w, w)
    for transform in (RandomHorizontalFlip(), RandomRotation(45), ColorJitter(1, 1)):
        assert transform(image, rng).size == (W, H)
    if h <= H + 2 * padding and w <= W + 2 * padding:
        assert RandomCrop((h, w), padding)(image, rng).size == (w, h)


# What is accepted and what is not


def test_numpy_numbers_and_lists_are_welcome():
    assert Resize(np.int64(8)) == Resize(8)
    assert CenterCrop(np.uint8(8)) == CenterCrop((8, 8)) == CenterCrop([8, np.int32(8)])
    assert RandomResizedCrop(8) == RandomResizedCrop(np.int32(8), [0.08, 1], (3 / 4, np.float64(4 / 3)))
    assert RandomCrop(4, np.int64(2)) == RandomCrop((4, 4), 2)
    assert RandomRotation(np.float32(0.5)) == RandomRotation(0.5)
    assert "np." not in repr((Resize(np.int64(8)), CenterCrop(np.int64(8)), ColorJitter(np.float64(0.2))))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Resize(0), ValueError, r"size must be finite and in \[1, inf\]; got 0"),
        (lambda: Resize(True), TypeError, "size must be an integer; got True"),
        (lambda: Resize(2.0), TypeError, "size must be an integer; got 2.0"),
        (lambda: Resize((2, 3)), TypeError, r"size must be an integer; got \(2, 3\)"),
        (lambda: CenterCrop((1, 2, 3)), ValueError, r"size must be an integer or \(H, W\); got \(1, 2, 3\)"),
        (lambda: CenterCrop((4, -1)), ValueError, "size must be .* got -1"),
        (lambda: CenterCrop((0, 4)), ValueError, r"size must be finite and in \[1, inf\]; got 0"),
        (lambda: RandomCrop((4, None)), TypeError, "size must be an integer; got None"),
        (lambda: RandomCrop(4, -1), ValueError, "padding must be .* got -1"),
        (lambda: RandomCrop(4, np.True_), TypeError, "padding must be an integer; got"),
        (lambda: RandomResizedCrop((4, 4)), TypeError, "size must be an integer"),
        (lambda: RandomResizedCrop(4, 0.5), ValueError, r"scale must be \(low, high\); got 0.5"),
        (lambda: RandomResizedCrop(4, (0, 1)), ValueError, r"scale must be \(low, high\) with 0 < low <= high"),
        (lambda: RandomResizedCrop(4, (0.5, 1.1)), ValueError, r"scale must be finite and in \[0, 1\]; got 1.1"),
        (lambda: RandomResizedCrop(4, ratio=(2, 1)), ValueError, r"ratio must be .* got \(2, 1\)"),
        (lambda: RandomResizedCrop(4, ratio=(1, np.inf)), ValueError, "ratio must be finite"),
        (lambda: RandomHorizontalFlip(1.5), ValueError, r"p must be finite and in \[0, 1\]; got 1.5"),
        (lambda: RandomHorizontalFlip(True), TypeError, "p must be a number; got True"),
        (lambda: RandomRotation(-1), ValueError, r"degrees must be finite and in \[0, 360\]; got -1"),
        (lambda: RandomRotation(np.nan), ValueError, "degrees must be finite"),
        (lambda: ColorJitter(brightness=-0.1), ValueError, "brightness must be finite"),
        (lambda: ColorJitter(contrast="0.1"), TypeError, "contrast must be a number; got '0.1'"),
        (lambda: to_array(GREY), TypeError, "image must be a Pillow image; got ndarray: Image.fromarray"),
        (lambda: to_array(Image.new("RGBA", (3, 2))), ValueError, "mode L or RGB; got RGBA: convert"),
        (lambda: Resize(4)(Image.new("L", (3, 0))), ValueError, "image must not be empty; got 0x3"),
    ],
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("transform", PIPELINE, ids=lambda transform: type(transform).__name__)
def test_every_transform_refuses_palettes_and_the_random_ones_need_a_generator(transform):
    with pytest.raises(ValueError, match="mode L or RGB; got P"):
        transform(Image.new("P", (9, 9)), np.random.default_rng(0))
    if isinstance(transform, Resize | CenterCrop):
        transform(picture(GREY), None)
    else:
        with pytest.raises(TypeError, match="needs a NumPy generator; got None"):
            transform(picture(GREY), None)
