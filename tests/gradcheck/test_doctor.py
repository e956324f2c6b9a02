"""The doctor: right backwards pass, wrong ones are found, named, and shown in the smallest case."""

import json
from functools import partial

import numpy as np
import pytest
from matplotlib.figure import Figure

from numpy_resnet import ops
from numpy_resnet.cli.check import _own_pairs
from numpy_resnet.exercises import zoo
from numpy_resnet.gradcheck import CAUSES, SPECS, diagnose, diagnose_op

RNG = np.random.default_rng(5)
X = RNG.standard_normal((2, 3, 5, 4))
OWN = {op: pair for op, pair in _own_pairs().items() if op in SPECS}
SOME = list(zoo.BUGS.values())[::6]


def examined(name):
    bug = zoo.BUGS[name]
    return diagnose_op(bug.op, bug.f, bug.f_backward)


@pytest.mark.parametrize("op", OWN)
@pytest.mark.parametrize("seed", range(3))
def test_our_own_ops_pass(op, seed):
    found = diagnose_op(op, *OWN[op], seed=seed)
    assert found.verdict == "PASS", str(found)
    assert found.ok
    assert found
    assert found.findings == ()
    assert found.judged == found.cases > 1


@pytest.mark.parametrize("op", zoo.ENCLOSURES)
def test_the_right_pairs_of_the_zoo_pass(op):
    found = diagnose_op(op, zoo.ENCLOSURES[op].f, zoo.ENCLOSURES[op].f_backward)
    assert found.verdict == "PASS", str(found)


def test_wrong_backwards_are_found_and_most_causes_named():
    reports = [diagnose_op(bug.op, bug.f, bug.f_backward) for bug in SOME]
    assert [bug.name for bug, found in zip(SOME, reports, strict=True) if found.ok] == []
    named = [found.findings[0].cause in bug.causes for bug, found in zip(SOME, reports, strict=True)]
    assert np.mean(named) >= 0.85
    for found in reports:
        lines = str(found).splitlines()
        assert max(map(len, lines)) <= 80
        assert lines[0].endswith(": WRONG")
        for finding in found.findings:
            assert finding.cause in CAUSES
            assert 0 < finding.confidence <= 1
            assert finding.evidence
        told = json.loads(found.to_json())
        assert told["verdict"] == "WRONG"
        assert told["findings"][0]["advice"]
        assert isinstance(found.figure(), Figure | None)


CAUSE_OF = {
    "batchnorm2d/path_through_the_mean_forgotten": ("dx", "mean_path"),
    "batchnorm2d/path_through_the_variance_forgotten": ("dx", "variance_path"),
    "batchnorm2d/direct_path_only": ("dx", "mean_and_variance_path"),
    "batchnorm2d/weight_missing_in_dx": ("dx", "channel_factor"),
    "batchnorm2d_inference/formula_of_training": ("dx", "train_formula_in_eval"),
    "conv2d/overlaps_overwritten": ("dx", "not_accumulated"),
    "conv2d/kernel_not_turned_by_180_degrees": ("dx", "rotated_180"),
    "conv2d/padding_taken_off_at_the_wrong_side": ("dx", "shifted"),
    "identity_block/identity_dropped": ("dx", "branch_missing"),
    "identity_block/identity_doubled": ("dx", "branch_doubled"),
    "linear/bias_averaged": ("dbias", "constant_factor"),
    "linear/bias_not_summed": ("dbias", "not_summed"),
    "linear/bias_summed_over_everything": ("dbias", "summed_too_far"),
    "linear/weight_of_the_last_sample": ("dweight", "one_sample_only"),
    "linear/x_of_the_first_call": ("dx, dweight, dbias", "stale_state"),
    "maxpool2d/losers_get_the_gradient": ("dx", "mask_inverted"),
    "maxpool2d/padded_with_zeros": ("y", "forward_wrong"),
    "relu/input_clipped_in_place": ("x", "writes_input"),
    "relu/mask_forgotten": ("dx", "mask_missing"),
    "relu/mask_of_upstream": ("dx", "mask_wrong_source"),
    "relu/upstream_masked_in_place": ("dy", "writes_upstream"),
}


@pytest.mark.parametrize("name", CAUSE_OF)
def test_a_cause_is_named_for_its_argument(name):
    first = examined(name).findings[0]
    assert (first.argument, first.cause) == CAUSE_OF[name]


def test_a_factor_has_the_name_that_fits_in_all_cases():
    assert "1/N times" in examined("linear/bias_averaged").findings[0].evidence
    backward = ops.batchnorm2d_backward
    found = diagnose_op("batchnorm2d", ops.batchnorm2d, lambda dy, c: (*backward(dy, c)[:2], dy.mean(axis=(0, 2, 3))))
    assert "1/(N*H*W) times" in found.findings[0].evidence
    found = diagnose_op(
        "batchnorm2d",
        ops.batchnorm2d,
        lambda dy, c: (backward(dy, c)[0] / c.weight[:, None, None], *backward(dy, c)[1:]),
    )
    assert "1/weight" in found.findings[0].evidence


def test_where_is_told_in_the_words_of_the_op():
    assert examined("conv2d/overlaps_overwritten").findings[0].location == "every pixel that several windows share"
    found = diagnose_op(
        "add", ops.add, lambda dy, c: (np.where(np.arange(dy.shape[-1]) == dy.shape[-1] - 1, 0, dy), dy)
    )
    assert found.findings[0].location.startswith("the last column")
    assert found.findings[0].cause == "partly_missing"


def test_the_smallest_case_is_small_and_printed_whole():
    found = examined("conv2d/overlaps_overwritten")
    shown = found.exhibit
    assert shown.options == {"stride": 1, "padding": 0}
    assert shown.numeric.size <= 9
    assert shown.arrays["weight"].size <= 4
    assert np.array_equal(shown.dy, np.round(shown.dy))
    text = str(found)
    for part in ("Smallest failing case: x 1x1x", "dx, yours", "dx, right", "yours - right"):
        assert part in text
    x, weight = shown.arrays["x"], shown.arrays["weight"]
    right = ops.conv2d_backward(shown.dy, ops.conv2d(x, weight, shown.arrays["bias"], **shown.options)[1])[0]
    np.testing.assert_allclose(shown.numeric, right, atol=1e-6)


def test_the_picture_has_the_receptive_fields():
    figure = examined("maxpool2d/spread_evenly").figure()
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["yours", "right", "yours - right", "one output sends back", "it should", "difference"]
    assert diagnose_op("relu", ops.relu, ops.relu_backward).figure() is None


def test_anybodys_function_can_be_diagnosed():
    def f(x, weight):
        return np.tanh(x @ weight), (x, weight)

    def f_backward(dy, cache):
        x, weight = cache
        dh = dy * (1 - np.tanh(x @ weight) ** 2)
        return dh @ weight.T, x.T @ dh

    arrays = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2))
    assert diagnose(f, f_backward, *arrays).verdict == "PASS"
    found = diagnose(f, lambda dy, c: (2 * f_backward(dy, c)[0], f_backward(dy, c)[1]), *arrays)
    assert (found.findings[0].argument, found.findings[0].cause) == ("dx", "constant_factor")
    assert diagnose(f, f_backward, *arrays, complex_step=True).verdict == "PASS"
    wrong = diagnose(f, lambda dy, c: tuple(g * (1 + 1e-9) for g in f_backward(dy, c)), *arrays, complex_step=True)
    assert wrong.verdict == "WRONG"  # differences could not see that
    with pytest.raises(ValueError, match="there must be a float array"):
        diagnose(f, f_backward, np.arange(3))


def test_batch_norm_of_ones_own_is_known_by_the_look_of_its_errors():
    def f_backward(dy, cache):
        dx, dweight, dbias = ops.batchnorm2d_backward(dy, cache)
        lost = cache.weight / np.sqrt(cache.var + cache.eps) * dy.mean(axis=(0, 2, 3))
        return dx + lost[:, None, None], dweight, dbias

    found = diagnose(ops.batchnorm2d, f_backward, X, np.array([0.5, 2, -1]), np.zeros(3))
    assert found.findings[0].cause == "mean_path"


def test_a_kink_is_nobodys_fault():
    x = X.copy()
    x[0, 0, 0] = 0
    found = diagnose(ops.relu, lambda dy, c: dy * (x >= 0), x)
    assert (found.verdict, found.ok, found.kinks) == ("KINK", True, 4)
    assert "4 entries lie at a kink" in str(found)
    assert diagnose(ops.relu, lambda dy, c: dy, x).verdict == "WRONG"


def test_single_precision_is_too_noisy_to_judge():
    def f(x):
        return np.tanh(x.astype(np.float32)), x

    def f_backward(dy, x):
        return dy * (1 - np.tanh(x) ** 2)

    found = diagnose(f, f_backward, X)
    assert (found.verdict, found.ok) == ("NOISY", False)
    assert "compute in float64" in str(found)
    assert diagnose(f, lambda dy, x: 2 * f_backward(dy, x), X).verdict == "WRONG"


def boom(dy, cache):
    raise ZeroDivisionError("a student's mistake")


BROKEN = {
    "raises": (boom, "raises"),
    "None": (lambda dy, c: None, "not_returned"),
    "too many": (lambda dy, c: (dy, dy), "not_returned"),
    "text": (lambda dy, c: "dx", "not_returned"),
    "ragged": (lambda dy, c: [[1.0], [1.0, 2.0]], "not_returned"),
    "NaN": (lambda dy, c: dy * np.nan, "not_finite"),
    "a number": (lambda dy, c: 1.0, "wrong_shape"),
    "empty": (lambda dy, c: np.zeros((0, 3)), "wrong_shape"),
    "whole numbers": (lambda dy, c: np.ones(dy.shape, int), "upstream_ignored"),
    "complex": (lambda dy, c: dy + 1j, "not_returned"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_whatever_a_backward_does_is_a_finding(name):
    f_backward, cause = BROKEN[name]
    for found in (diagnose_op("relu", ops.relu, f_backward), diagnose(ops.relu, f_backward, X)):
        assert found.verdict == "WRONG"
        assert cause in [finding.cause for finding in found.findings]
        assert str(found)
        json.loads(found.to_json())


def test_whatever_a_forward_does_is_a_finding():
    rng = np.random.default_rng(0)
    broken = {
        "raises": lambda x: boom(x, None),
        "not_returned": lambda x: x,
        "stale_state": lambda x: (x * rng.random(x.shape), x),
        "not_finite": lambda x: (x / 0, x),
    }
    for cause, f in broken.items():
        found = diagnose_op("relu", f, lambda dy, x: dy)
        assert found.findings[0].cause == cause, str(found)
    evidence = diagnose_op("relu", broken["raises"], boom).findings[0].evidence
    assert "raised ZeroDivisionError: a student's mistake, at `raise ZeroDivisionError" in evidence


def test_a_forward_that_returns_a_view_of_its_input_is_right():
    found = diagnose_op("flatten", lambda x: (x.reshape(len(x), -1), x.shape), lambda dy, shape: dy.reshape(shape))
    assert found.verdict == "PASS", str(found)


def test_nothing_of_the_callers_is_changed():
    def f(x):
        x *= 2
        return x.copy(), None

    x = X.copy()
    found = diagnose(f, lambda dy, c: 2 * dy, x)
    assert [(finding.argument, finding.cause) for finding in found.findings] == [("x", "writes_input")]
    np.testing.assert_array_equal(x, X)


def test_ties_and_zeros_follow_the_convention():
    def f(x, *, kernel_size, stride=None, padding=0):
        y, cache = ops.maxpool2d(x, kernel_size=kernel_size, stride=stride, padding=padding)
        return y, cache

    assert diagnose_op("maxpool2d", f, ops.maxpool2d_backward).verdict == "PASS"
    found = diagnose_op("relu", zoo.relu.relu, lambda dy, x: dy * (x >= 0))
    assert found.findings[0].location == "every x that is 0"
    found = examined("maxpool2d/all_equals_win")
    assert "add up to" in found.findings[0].evidence


def test_two_bugs_at_once_are_two_findings():
    def f_backward(dy, cache):
        dx, dweight, dbias = ops.linear_backward(dy, cache)
        return 2 * dx, dweight, None if dbias is None else dbias / len(dy)

    causes = {finding.argument: finding.cause for finding in diagnose_op("linear", ops.linear, f_backward).findings}
    assert causes == {"dx": "constant_factor", "dbias": "constant_factor"}


def test_what_is_none_of_the_known_mistakes_is_called_unknown():
    noise = np.random.default_rng(1).standard_normal(10000)
    found = diagnose(
        partial(ops.avgpool2d, kernel_size=2), lambda dy, c: noise[: X.size].reshape(X.shape) * dy.sum(), X
    )
    assert found.findings[0].cause == "unknown"
    assert found.findings[0].confidence < 0.5


def test_an_op_without_a_definition_is_refused():
    with pytest.raises(ValueError, match="no op is called 'conv3d'; there are relu, add,"):
        diagnose_op("conv3d", ops.conv2d, ops.conv2d_backward)


LATER = {
    "raises": boom,
    "None": lambda *_, **__: None,
    "text": lambda *_, **__: "dx",
    "empty": lambda *_, **__: np.zeros(0),
    "ragged": lambda *_, **__: [[1.0], [1.0, 2.0]],
    "another shape": lambda *_, **__: (np.zeros(3), None),
    "NaN": lambda *_, **__: (np.array(np.nan), None),
    "exit": lambda *_, **__: exit(),
}


def works_until(f, count, then):
    """f, and from that call on something else."""
    calls = iter(range(10**9))
    return lambda *args, **options: f(*args, **options) if next(calls) < count else then(*args, **options)


@pytest.mark.parametrize("op", ["relu", "linear", "maxpool2d", "cross_entropy"])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 12, 40])
def test_what_goes_wrong_only_later_is_a_finding_too(op, count):
    right = zoo.ENCLOSURES[op]
    for then in LATER.values():
        forward = diagnose_op(op, works_until(right.f, count, then), right.f_backward)
        backward = diagnose_op(op, right.f, works_until(right.f_backward, count, then))
        assert not forward.ok
        for found in (forward, backward):
            assert str(found)
            json.loads(found.to_json())


def test_every_finding_has_advice():
    found = examined("linear/bias_averaged").findings[0]
    assert found.advice == CAUSES["constant_factor"][1]
    assert "compare with >" in diagnose_op("maxpool2d", *last_of_equals()).findings[0].advice


def last_of_equals():
    """Max pooling that is turned round: the last of equal pixels wins."""

    def f(x, *, kernel_size, stride=None, padding=0):
        y, _ = ops.maxpool2d(x, kernel_size=kernel_size, stride=stride, padding=padding)
        return y, (x, y, np.broadcast_to(kernel_size, 2), np.broadcast_to(stride or kernel_size, 2), padding)

    def f_backward(dy, cache):
        x, y, (KH, KW), (SH, SW), padding = cache
        PH, PW = np.broadcast_to(padding, 2)
        padded = np.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW)), constant_values=-np.inf)
        dx = np.zeros(padded.shape)
        for n, c, oh, ow in np.ndindex(dy.shape):
            window = padded[n, c, oh * SH : oh * SH + KH, ow * SW : ow * SW + KW]
            kh, kw = np.argwhere(window == y[n, c, oh, ow])[-1]
            dx[n, c, oh * SH + kh, ow * SW + kw] += dy[n, c, oh, ow]
        return dx[:, :, PH : PH + x.shape[2], PW : PW + x.shape[3]]

    return f, f_backward


def test_anybodys_case_is_made_smaller_too():
    def f(x, weight):
        return x @ weight, (x, weight)

    arrays = RNG.standard_normal((6, 5)), RNG.standard_normal((5, 4))
    found = diagnose(f, lambda dy, c: (dy @ c[1].T, c[0].T @ dy / len(dy)), *arrays)
    assert found.findings[0].cause == "constant_factor"
    assert {name: array.shape for name, array in found.exhibit.arrays.items()} == {"x": (2, 1), "weight": (1, 2)}


def test_the_smallest_case_leaves_no_array_out():
    text = str(examined("identity_block/shortcut_before_the_mask"))
    for name in ("x", "conv1_weight", "bn1_weight", "conv2_weight", "bn2_bias"):
        assert f"\n  {name:<16} " in text
