"""The judges: what is right passes, what is not written is no mistake, and what is wrong fails where it is wrong."""

import ast
import os
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_resnet.exercises import EXERCISES, Verdict, dev, judge, zoo
from numpy_resnet.exercises.fresh import CASES, fresh_cases
from numpy_resnet.exercises.judges import (
    AWKWARD,
    INVARIANTS,
    PARTS,
    SHAPE,
    VALUES,
    Check,
    Judge,
    checker,
    hunt,
    measured,
)
from numpy_resnet.exercises.judges.check import difference, misshapen, narrow
from numpy_resnet.exercises.judges.ops import WITH_FORWARD_ALONE, Op
from numpy_resnet.exercises.sandbox import RunawayError, StudentError
from numpy_resnet.exercises.sandbox.local import Local
from numpy_resnet.gradcheck import awkward_cases, diagnose_op, doctor

SOLVED, BLANK = dev.solved(), dev.blank()
SEED = 3
HEAVY = ("conv2d", "im2col", "col2im", "identity_block", "convolution_block")
SEEDS = st.integers(0, 2**32 - 1)
real_size = pytest.mark.real_size


def judged(name, *changes, more="", student=Local):
    """The Verdict on the solution where (old, new) was replaced, and more was written below it."""
    file = f"{EXERCISES[name].file}.py"
    source = SOLVED[file]
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return judge(EXERCISES[name], SOLVED | {file: f"{source}\n{more}"}, seed=SEED, student=student)


def shares(verdict):
    return {check.part: check.share for check in verdict.checks}


def passes(verdict):
    """0 or 1 for each of the four parts, of the last subject if there are several."""
    assert [check.part for check in verdict.checks[-4:]] == [SHAPE, VALUES, AWKWARD, INVARIANTS]
    return [int(check.passed) for check in verdict.checks[-4:]]


def function(source, name):
    """The text of one function."""
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == name]
    return ast.get_source_segment(source, nodes[0])


def half_done(name, unwritten):
    """The files where one function is as it was handed out."""
    file = f"{EXERCISES[name].file}.py"
    return SOLVED | {file: SOLVED[file].replace(function(SOLVED[file], unwritten), function(BLANK[file], unwritten))}


@pytest.fixture
def quick_clock(monkeypatch):
    """No race against NumPy: fewer and smaller arrays, and everybody is fast enough."""
    monkeypatch.setattr(measured, "SIZE", (500, 8))
    monkeypatch.setattr(measured, "ROUNDS", 1)
    monkeypatch.setattr(measured, "AS_FAST", 0)


@pytest.fixture
def no_smallest_case(monkeypatch):
    """To make a failing case smaller takes long, and finds no more."""
    monkeypatch.setattr(doctor, "_exhibit", lambda *_: None)


# Solved, blank, half done


@pytest.mark.parametrize("name", [pytest.param(n, marks=real_size if n == "make_it_fast" else ()) for n in EXERCISES])
def test_what_is_solved_passes(name, quick_clock):
    verdict = judged(name)
    assert (verdict.status, verdict.score, verdict.text) == ("passed", 1, "")
    assert [(check.subject, check.part) for check in verdict.checks] == [
        (ask.subject, part) for ask in EXERCISES[name].judges for part in ask.parts
    ]
    assert all(check.passed for check in verdict.checks)


@pytest.mark.parametrize("name", EXERCISES)
def test_what_is_blank_is_unfinished(name):
    verdict = judge(EXERCISES[name], BLANK, seed=SEED, student=Local)
    assert (verdict.status, verdict.score) == ("unfinished", 0)
    assert all(check.unfinished for check in verdict.checks)
    (file, number), *_ = re.findall(r"\((ex\d\d_\w+\.py), line (\d+)\)", verdict.text)
    assert BLANK[file].splitlines()[int(number) - 1].strip().startswith("raise NotImplementedError")


FIRST = pytest.param("gradient_checker")


@pytest.mark.parametrize("name", [*(name for name in EXERCISES if name != "gradient_checker"), FIRST])
def test_what_is_blank_is_called_not_written(name):
    text = judge(EXERCISES[name], BLANK, seed=SEED, student=Local).text
    told = re.findall(r"^(\w+) is not written yet \((\w+\.py), line \d+\)", text, re.M)
    assert told
    for function_name, file in told:
        assert f"def {function_name}(" in BLANK[file]


PAIRS = {name: exercise.judges[-1] for name, exercise in EXERCISES.items() if isinstance(exercise.judges[-1], Op)}
PAIRS = {name: last for name, last in PAIRS.items() if last.names[1]}


@pytest.mark.parametrize("name", PAIRS)
def test_a_right_forward_is_worth_something_alone(name):
    backward = PAIRS[name].names[1]
    verdict = judge(EXERCISES[name], half_done(name, backward), seed=SEED, student=Local)
    assert verdict.status == "unfinished"
    assert WITH_FORWARD_ALONE <= round(verdict.score, 9) < 1
    assert f"{backward} is not written yet ({EXERCISES[name].file}.py, line " in verdict.text
    mine = [check for check in verdict.checks if check.subject == PAIRS[name].subject]
    assert [(check.share, check.unfinished) for check in mine] == [(WITH_FORWARD_ALONE, True)] * len(PARTS)


@pytest.mark.parametrize(
    ("name", "unwritten", "score"),
    [
        ("columns", "col2im", 1 / 2),
        ("batchnorm_forward", "batchnorm2d_inference", 2 / 3),
        ("batchnorm_forward", "running_statistics", 2 / 3),
        ("vanishing_gradients", "gradient_norms", 4 / 7),
        ("vanishing_gradients", "explanation", 6 / 7),
    ],
)
def test_what_stands_by_itself_counts_by_itself(name, unwritten, score):
    verdict = judge(EXERCISES[name], half_done(name, unwritten), seed=SEED, student=Local)
    assert (verdict.status, verdict.score) == ("unfinished", pytest.approx(score))
    assert f"{unwritten} is not written yet ({EXERCISES[name].file}.py, line " in verdict.text


def test_a_wrong_forward_is_a_mistake_even_without_a_backward():
    files = half_done("relu", "relu_backward")
    files["ex01_relu.py"] = files["ex01_relu.py"].replace("np.maximum(x, 0)", "np.maximum(x, 0.1)")
    verdict = judge(EXERCISES["relu"], files, seed=SEED, student=Local)
    assert (verdict.status, verdict.score) == ("failed", 0)
    assert "y is wrong" in verdict.text


def test_a_step_that_is_not_written_for_nesterov_is_unfinished_too():
    verdict = judged(
        "sgd",
        ("    g = dweight", '    if nesterov:\n        raise NotImplementedError("exercise sgd")\n    g = dweight'),
    )
    assert "sgd is not written yet" in verdict.text
    assert 0 < verdict.score < 1
    assert verdict.status == "unfinished"


# The zoo


STEPS = {"conv2d": 8, "im2col": 2, "col2im": 2, "maxpool2d": 4, "batchnorm2d": 7}  # of the others all
STEPS |= {"identity_block": 10, "convolution_block": 6}
SOME = [bug for op in CASES for bug in zoo.ENCLOSURES[op].bugs[:: STEPS.get(op, 1)]]


@pytest.mark.parametrize("bug", SOME, ids=lambda bug: bug.name)
def test_no_bug_of_the_zoo_passes(bug, no_smallest_case):
    exercise = dev.examined(bug)
    verdict = judge(exercise, dev.with_bug(exercise, bug), seed=SEED, student=Local)
    assert verdict.status == "failed"
    assert verdict.score < 1
    assert verdict.text


def test_the_exercises_share_the_zoo_among_them():
    asked = {op for exercise in EXERCISES.values() for op in exercise.ops}
    assert asked == set(CASES) == set(zoo.ENCLOSURES) - {"avgpool2d", "flatten", "zero_pad_channels"}
    for bug in zoo.BUGS.values():
        exercise = dev.examined(bug)
        assert (exercise is None) == (bug.op not in asked)
        assert exercise is None or bug.op in exercise.ops


# The parts of an op


RELU, RELU_BACKWARD = ("relu", "return np.maximum(x, 0), x"), ("relu", "return dy * (x > 0)")
DBIAS, GRADIENTS = ("linear", "dy.sum(axis=0)"), ("linear", "return dx, dweight, dbias")
SIZES = "conv2d_backward", "    x, weight, bias, stride, padding = cache\n"
STRIDE = "conv2d_backward", '"stride": stride'
KNOWN = [case.arrays["x"].shape for case in awkward_cases("relu")]
PART_OF = {  # (exercise, old), new: which of the four parts pass, what is told
    "forward of another shape": (RELU, "return np.maximum(x, 0)[0], x", [0] * 4, "relu: y must have shape"),
    "one value": (RELU, "return np.maximum(x, 0)", [0] * 4, "relu must `return y, cache`; it returned one ndarray"),
    "gradient of another shape": (DBIAS, "dy.sum()", [0] * 4, "linear_backward: dbias must have shape"),
    "gradient left out": (GRADIENTS, "return dx, dweight", [0] * 4, "must return dx, dweight, dbias, in this order"),
    "sign": (DBIAS, "-dy.sum(axis=0)", [1, 0, 0, 0], "dbias is wrong"),
    "sign, if padded": (SIZES, SIZES[1] + "    dy = dy if padding == 0 else -dy\n", [1, 1, 0, 1], "dx, dweight"),
    "sign, if strided": (SIZES, SIZES[1] + "    dy = dy if stride == 1 else -dy\n", [1, 1, 0, 1], "dx, dweight"),
    "stride forgotten": (STRIDE, '"stride": 1', [1, 1, 0, 1], "raised ValueError"),
    "one sample": (DBIAS, "dy.sum(axis=0) * (1 if len(dy) > 1 else 2)", [1, 1, 0, 1], "dbias is wrong"),
    "learned by heart": (RELU_BACKWARD, f"return dy * (x > 0) * (x.shape in {KNOWN})", [1, 1, 0, 1], "dx is wrong"),
    "dy written to": (RELU_BACKWARD, "dy *= x > 0\n    return dy", [1, 1, 1, 0], "dy was changed in place"),
    "x written to": (RELU, "return np.maximum(x, 0, out=x).copy(), x", [1, 1, 1, 0], "an input was changed in place"),
    "float64 y": (
        RELU,
        "return np.maximum(x, np.zeros(x.shape)), x",
        [1, 1, 1, 0],
        "y is float64: dtype in = dtype out",
    ),
    "float64 dx": (RELU_BACKWARD, "return dy * (x > 0.0).astype(float)", [1, 1, 1, 0], "dx is float64: dtype in ="),
    "sign, and dy written to": (RELU_BACKWARD, "dy *= x < 0\n    return dy", [1, 0, 0, 0], "dx is wrong"),
}


@pytest.mark.parametrize("case", PART_OF)
def test_a_mistake_fails_the_part_that_it_is_in(case, no_smallest_case):
    (name, old), new, expected, told = PART_OF[case]
    verdict = judged(name, (old, new))
    assert passes(verdict) == expected
    assert verdict.status == "failed"
    assert told in verdict.text
    assert not any(check.unfinished or (check.text and not check.asked) for check in verdict.checks)


def test_what_is_told_is_told_once():
    verdict = judged("linear", ("dy.sum(axis=0)", "-dy.sum(axis=0)"))
    assert [bool(check.text) for check in verdict.checks] == [False, True, False, False]
    assert verdict.text.count("dbias is wrong") == 1


@pytest.mark.parametrize("backward", ["return -dy * (x > 0)", "return None", "return dy[0]"])
def test_who_tries_a_backward_gets_no_less_than_who_does_not(backward):
    verdict = judged("relu", (RELU_BACKWARD[1], backward))
    assert verdict.status == "failed"
    assert WITH_FORWARD_ALONE <= round(verdict.score, 9) < 1


def test_a_wrong_forward_is_not_saved_by_its_backward():
    verdict = judged("relu", (RELU[1], "return np.maximum(x, 0.1), x"))
    assert shares(verdict) == {SHAPE: 1, VALUES: 0, AWKWARD: 0, INVARIANTS: 0}


@pytest.mark.parametrize("name", ["relu", "relu_backward"])
def test_a_function_that_is_not_there_is_named(name):
    verdict = judged("relu", (f"def {name}(", "def another("))
    assert (verdict.status, round(verdict.score, 9)) == ("failed", WITH_FORWARD_ALONE if "backward" in name else 0)
    assert f"{name} is missing: ex01_relu.py must define a function of that name" in verdict.text


def test_whatever_raises_is_told_with_its_line():
    verdict = judged("relu", ("return np.maximum(x, 0), x", "return np.maximum(x, zero), x"))
    assert verdict.score == 0
    assert verdict.text.startswith(
        "relu raises NameError: name 'zero' is not defined, at `return np.maximum(x, zero), x`"
    )


# Running statistics, SGD, the network


STATISTICS = "batchnorm_forward"
STEP, VELOCITY = "return weight - lr * step, v", "momentum * velocity + g"
FUNCTIONS = {  # exercise, old, new: which of the four parts pass, what is told
    "biased variance": (
        STATISTICS,
        "var * count / (count - 1)",
        "var * 1",
        [1, 0, 0, 0],
        "statistics: running_var[0] is",
    ),
    "fixed momentum": (STATISTICS, "+ momentum * unbiased\n", "+ 0.1 * unbiased\n", [1, 1, 0, 1], "running_var[0] is"),
    "no weight decay": (
        "sgd",
        "dweight + weight_decay * weight\n    v",
        "1.0 * dweight\n    v",
        [1, 1, 0, 1],
        "sgd: weight[",
    ),
    "nesterov ignored": ("sgd", "g + momentum * v if nesterov else v", "v", [1, 1, 0, 1], "sgd: weight["),
    "uphill": ("sgd", STEP, "return weight + lr * step, v", [1, 0, 0, 0], "sgd: weight["),
    "velocity lost": ("sgd", STEP, "return weight - lr * step, g", [1, 0, 0, 0], "sgd: velocity["),
    "weight written to": ("sgd", STEP, "weight -= lr * step\n    return weight, v", [1, 1, 1, 0], "sgd wrote into its"),
    "velocity written to": (
        "sgd",
        VELOCITY,
        "np.add(momentum * velocity, g, out=velocity)",
        [1, 1, 1, 0],
        "sgd wrote into",
    ),
    "float64": ("sgd", STEP, "return weight - np.float64(lr) * step, v", [1, 1, 1, 0], "weight is float64: dtype in ="),
    "one value": ("sgd", STEP, "return weight - lr * step", [0] * 4, "sgd must return weight, velocity"),
    "another shape": ("sgd", STEP, "return (weight - lr * step)[None], v", [0] * 4, "sgd: weight must have shape"),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_a_mistake_in_a_function_fails_its_part(case):
    name, old, new, expected, told = FUNCTIONS[case]
    verdict = judged(name, (old, new))
    assert passes(verdict) == expected
    assert told in verdict.text
    assert all(check.passed for check in verdict.checks[:-4])


BLOCKS, EMPTY = "in reversed(cache.blocks):", "    dparams = {}\n"
STEM, END = 'params["conv1.weight"], stride=2', "return dx, dparams"
NETWORKS = {  # exercise, old, new: which of the four parts pass, what is told
    "shortcut": (
        "identity_block",
        "dx = dh + dshortcut",
        "dx = dh",
        [1, 0, 0, 0],
        "dparams['layer4.0.downsample.1.bias'][0] is",
    ),
    "stride": ("resnet18", STEM, 'params["conv1.weight"], stride=1', [1, 0, 0, 0], "logits[0, 0] is"),
    "key": ("resnet18", END, 'return dx, dparams | {"fc": dx}', [0] * 4, "missing or too many: ['fc']"),
    "two blocks": (
        "resnet18",
        "in range(count):",
        "in range(2):",
        [1, 1, 0, 1],
        "with blocks=(1, 3, 1, 2): resnet18 raises",
    ),
    "sign of dx": ("resnet18", END, "return -dx, dparams", [1, 0, 0, 0], "dx[0, 0, 0, 0] is"),
    "dy": ("resnet18", EMPTY, EMPTY + "    dy *= 2\n    dy = dy / 2\n", [1, 1, 1, 0], "a parameter was written into"),
    "memory": ("resnet18", EMPTY, "    dparams = {}\n    dy = dy * counted()\n", [1, 1, 1, 0], "gave other numbers"),
}
COUNTED = "\n\ncalls = []\n\n\ndef counted():\n    calls.append(1)\n    return 2 - len(calls) % 2\n"


@pytest.mark.parametrize("case", NETWORKS)
def test_a_mistake_in_the_network_fails_its_part(case):
    name, old, new, expected, told = NETWORKS[case]
    file = f"{EXERCISES[name].file}.py"
    assert SOLVED[file].count(old) == 1
    files = SOLVED | {file: SOLVED[file].replace(old, new) + COUNTED}
    verdict = judge(EXERCISES["resnet18"], files, seed=SEED, student=Local)
    assert verdict.status == "failed"
    assert passes(verdict) == expected
    assert told in verdict.text


SGD = """
right = sgd
def sgd(*args, **options):
    return {} if options.get("nesterov") else right(*args, **options)
"""
BACKWARD = """
right, calls = resnet18_backward, []
def resnet18_backward(*args):
    calls.append(1)
    return None if len(calls) == 2 else right(*args)
"""
SUMS = """
calls = []
def sums_of_upstream(dy, x_hat):
    calls.append(1)
    return None if {} else sums_in_numpy(dy, x_hat)
"""
ARRAY = "import numpy as np\ndef find_bug(*_):\n    return np.ones(2)\n"
RAGGED = "def {}(x, *_, **__):\n    return [[1.0], [1.0, 2.0]], x\n"


@pytest.mark.parametrize(
    ("name", "more"),
    [
        pytest.param("sgd", SGD.format("None")),
        pytest.param("sgd", SGD.format("right(*args, **options)[0]")),
        pytest.param("sgd", RAGGED.format("sgd")),
        pytest.param("resnet18", RAGGED.format("resnet18")),
        pytest.param("resnet18", BACKWARD),
        pytest.param("bug_hunt", ARRAY),
        pytest.param("make_it_fast", SUMS.format("len(calls) == 16")),
        pytest.param("make_it_fast", SUMS.format("len(dy) == 500")),
    ],
)
def test_whatever_comes_back_is_an_answer(name, more, quick_clock):
    verdict = judged(name, more=more)
    assert verdict.status == "failed"
    assert verdict.text
    assert "the grader failed" not in verdict.text


# The gradient checker


NAIVE = """
def check_gradients(f, f_backward, arrays, seed=0):
    y, cache = f(*copies(arrays))
    try:
        gradients = as_list(f_backward(np.ones(np.shape(y)), cache))
        for i, gradient in enumerate(gradients):
            numeric = np.zeros(arrays[i].shape)
            for index in np.ndindex(numeric.shape):
                above = copies(arrays)
                above[i][index] += 1e-6
                numeric[index] = np.sum(f(*above)[0] - y) / 1e-6
            if np.abs(gradient - numeric).max() > 1e-3 * max(1, np.abs(numeric).max()):
                return False
        return True
    except Exception:
        return False
"""


def test_a_checker_that_says_yes_finds_nothing():
    zoo.linear.first["x"] = "what another student left behind"
    verdict = judged("gradient_checker", more="def check_gradients(*_):\n    return True\n")
    assert shares(verdict) == {"right ones pass": 1, "wrong ones are found": 0}
    assert f"0 of {len(checker.WRONG)} wrong pairs are found" in verdict.text
    assert not any(checker.MEMORIES)


def test_a_checker_that_says_no_gets_nothing_for_what_it_finds():
    verdict = judged("gradient_checker", more="def check_gradients(*_):\n    return False\n")
    assert (verdict.status, verdict.score) == ("failed", 0)
    assert all(op in verdict.text for op, _ in checker.RIGHT)


def test_a_naive_checker_finds_some():
    found = shares(judged("gradient_checker", more=NAIVE))
    assert found["right ones pass"] == 1
    assert 6 / len(checker.WRONG) < found["wrong ones are found"] < checker.ENOUGH / len(checker.WRONG)


def test_ours_finds_them_all():
    with Local(SOLVED, EXERCISES["gradient_checker"].file) as student:
        student.load()
        said = list(checker._verdicts(student, checker._wrong(), SEED))
    assert {name for name, _, _ in said} == {name for name, _ in checker.WRONG}
    assert not any(is_right or called_right for _, is_right, called_right in said)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("None", "must return True or False; it returned a NoneType"),
        ("1", "it returned a int"),
        ("1 / 0", "raises ZeroDivisionError"),
    ],
)
def test_a_checker_that_says_neither_is_told_so(answer, told):
    verdict = judged("gradient_checker", more=f"def check_gradients(*_):\n    return {answer}\n")
    assert verdict.score == 0
    assert told in verdict.text


def test_the_table_names_what_there_is():
    assert len(dict(checker.WRONG)) == len(checker.WRONG) == 24 > checker.ENOUGH
    for name, number in checker.WRONG:
        assert number < len(awkward_cases(zoo.BUGS[name].op))
    for op, number in checker.RIGHT:
        assert op in zoo.ENCLOSURES
        assert number < len(awkward_cases(op))


# The bug hunt


SCAN = """
def find_bug(layers, probe):
    return [name for name in layers if differs(probe, name)][-1]
"""
PROBES = """
def find_bug(layers, probe):
    for _ in range({}):
        probe(layers[-1])
    return {!r}
"""


@pytest.fixture
def main_branch_only(monkeypatch):
    monkeypatch.setitem(EXERCISES, "bug_hunt", replace(EXERCISES["bug_hunt"], judges=EXERCISES["bug_hunt"].judges[:1]))


def test_who_asks_about_every_layer_asks_too_much(main_branch_only, monkeypatch):
    monkeypatch.setattr(hunt, "MANY", 6)
    verdict = judged("bug_hunt", more=SCAN)
    assert (verdict.status, verdict.score) == ("failed", 0)
    assert "more than 6 probes" in verdict.text


@pytest.mark.parametrize("answer", ["fc", "no layer", None, ["fc"]])
def test_a_wrong_answer_is_worth_nothing(main_branch_only, answer):
    verdict = judged("bug_hunt", more=PROBES.format(2, answer))
    assert (verdict.status, verdict.score) == ("failed", 0)
    assert verdict.text == f"{answer!r} after 2 probes: it is not this one"


@pytest.mark.parametrize(("probes", "share"), [(0, 1), (12, 1), (13, 0.5), (24, 0.5), (25, 0)])
def test_few_probes_are_worth_more(main_branch_only, monkeypatch, probes, share):
    monkeypatch.setattr(hunt.Patient, "_loss", lambda *_: 0.0)  # what they say does not matter here
    verdict = judged("bug_hunt", more=PROBES.format(probes, hunt.Patient([SEED, False], False).guilty))
    assert verdict.score == share
    assert verdict.passed == (share == 1)
    assert (f"found, with {probes} probes; 12 are enough" in verdict.text) == (share == 0.5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("in_shortcut", [False, True])
def test_a_probe_tells_whether_the_bug_is_behind_it(seed, in_shortcut):
    patient = hunt.Patient(seed, in_shortcut)
    names = list(patient.layers)
    assert ("downsample" in patient.guilty) == in_shortcut

    def off(name):
        backward, measured = patient.probe(name)
        return abs(backward - measured) / max(abs(backward), abs(measured))

    assert off(patient.guilty) > 1e-3
    assert off("conv1") > 1e-3  # everything lies behind it
    behind = names[names.index(patient.guilty) + 1 :]
    for name in {*behind[:3], *behind[:: max(1, len(behind) // 6)], behind[-1]}:
        assert off(name) < 1e-5, name
    if in_shortcut:  # the main branch of that block goes around it
        assert off(patient.guilty.partition("downsample")[0] + "conv1") < 1e-5


def test_the_patient_differs_from_seed_to_seed_and_is_itself_again():
    guilty = [hunt.Patient([seed, False], False).guilty for seed in range(6)]
    assert len(set(guilty)) > 2
    assert guilty[0] == hunt.Patient([0, False], False).guilty
    with pytest.raises(ValueError, match="no layer called 'layer9'"):
        hunt.Patient(0, False).probe("layer9")


# Make it fast


IN_NUMPY = "def sums_of_upstream(dy, x_hat):\n    return sums_in_numpy(dy, x_hat)\n"
VALUE, BITS, CLOCK = measured.FAST_PARTS


def test_numpy_is_right_and_is_told_how_slow_it_is(quick_clock, monkeypatch):
    assert judged("make_it_fast", more=IN_NUMPY).passed
    monkeypatch.setattr(measured, "AS_FAST", 1e9)
    verdict = judged("make_it_fast", more=IN_NUMPY)
    assert verdict.status == "failed"
    assert shares(verdict) == {VALUE: 1, BITS: 1, CLOCK: 0}
    number = r"\d+\.\d+"
    text = rf"it is {number} times as fast as NumPy \({number} ms against NumPy's {number} ms\); {number} times .*"
    assert re.fullmatch(text, verdict.text)


SUMS_WRONG = {
    "dy, x_hat[:, 0]": "it must return dbias, dweight|dbias must have shape",
    "sums_in_numpy(dy, x_hat)[0]": "must return dbias, dweight",
    "sums_in_numpy(-dy, x_hat)": r"for arrays of 7 rows and 3 columns dbias\[0\] is",
    "sums_in_numpy(dy[:4096], x_hat[:4096])": r"for arrays of 4099 rows and 3 columns dbias\[0\] is",
    "sums_in_numpy(dy.astype(float), x_hat.astype(float))": "dbias is float64: dtype in = dtype out",
    "sums_in_numpy(dy.astype('f2'), x_hat)": r"dbias\[\d\] is",
}


@pytest.mark.parametrize("returned", SUMS_WRONG)
def test_wrong_sums_are_not_put_to_the_clock(quick_clock, returned):
    verdict = judged("make_it_fast", more=f"def sums_of_upstream(dy, x_hat):\n    return {returned}\n")
    assert (verdict.status, verdict.score) == ("failed", 0)
    assert re.search(SUMS_WRONG[returned], verdict.text)
    assert "not asked" not in verdict.text


class Threaded(Local):
    """As if the order of additions were another one with two threads."""

    def call(self, function, *args, threads=None, **how):
        dbias, dweight = super().call(function, *args, **how)
        return dbias, np.nextafter(dweight, np.float32(9)) if threads == 2 else dweight


def test_other_bits_with_other_threads_are_seen(quick_clock):
    verdict = judged("make_it_fast", more=IN_NUMPY, student=Threaded)
    assert shares(verdict) == {VALUE: 1, BITS: 0, CLOCK: 1}
    assert "with 2 threads 48 of 48 numbers of dweight have other last bits" in verdict.text


# Vanishing gradients


ROOT, NORM = "np.sqrt(1 + branch if residual else branch)", "norms = [np.linalg.norm(dy)]"
DY = "dy = dy + dbranch if residual else dbranch"
VANISHING = {  # old, new: the part, what is told
    "half forgotten": ("gain**2 / 2 ", "gain**2 ", "predicted_growth", "plain stack, gain 0.5"),
    "no shortcut": (ROOT, "np.sqrt(branch)", "predicted_growth", "residual stack, gain 0.5"),
    "sum of lengths": (ROOT, "residual + np.sqrt(branch)", "predicted_growth", "residual stack, gain 0.5"),
    "no root": (ROOT, "(1 + branch if residual else branch)", "predicted_growth", "plain stack, gain 0.5"),
    "growth upside down": ("float((norms[0] / norms[-1])", "float((norms[-1] / norms[0])", "growth", "growth is"),
    "growth by stations": ("depth = len(norms) - 1", "depth = len(norms)", "growth", "growth is"),
    "norms upside down": ("np.array(norms[::-1])", "np.array(norms)", "gradient_norms", "norms (plain)[0] is"),
    "shortcut forgotten": (DY, "dy = dbranch", "gradient_norms", "norms (residual)[0] is"),
    "dy written to": (NORM, NORM + "\n    dy *= 1 + 1e-9", "gradient_norms", "wrote into its arguments"),
}


@pytest.mark.parametrize("case", VANISHING)
def test_one_mistake_in_the_last_exercise_fails_one_part(case):
    old, new, part, told = VANISHING[case]
    verdict = judged("vanishing_gradients", (old, new))
    assert [name for name, share in shares(verdict).items() if not share] == [part]
    assert told in verdict.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("word " * 40, ""),
        ("word " * 39, "the explanation has 39 words; 40 at least are asked"),
        (None, "returned a NoneType"),
    ],
)
def test_an_explanation_has_forty_words(text, told, monkeypatch):
    monkeypatch.setattr(measured, "GAINS", ())  # nothing to predict
    verdict = judged("vanishing_gradients", more=f"def explanation():\n    return {text!r}\n")
    assert shares(verdict)["explanation"] == (not told)
    assert told in verdict.text
    assert sum(share == 0 for share in shares(verdict).values()) == bool(told)


# Fresh cases


def content(case):
    arrays = tuple((n, a.shape, a.tobytes()) for n, a in case.arrays.items() if a is not None)
    return case.label, arrays, str(case.options)


@pytest.mark.parametrize("op", CASES)
def test_another_seed_has_other_inputs_and_the_same_one_the_same(op):
    once, again = ([tuple(map(content, fresh_cases(op, seed))) for seed in range(20)] for _ in range(2))
    assert once == again
    assert len(set(once)) >= 19  # a tiny case may come twice
    assert [case.label for case in fresh_cases(op, 0, 3)] == [f"fresh shapes {i}" for i in (1, 2, 3)]


@pytest.mark.parametrize("op", ["im2col", "col2im", "conv2d", "maxpool2d"])
@given(SEEDS)
def test_the_windows_fit(op, seed):
    for case in fresh_cases(op, seed, 4):
        options, arrays = case.options, case.arrays
        kernel = options.get("kernel_size") or arrays["weight"].shape[2:]
        size = options.get("size") or arrays["x"].shape[2:]
        for length, k, padding in zip(size, kernel, options["padding"], strict=True):
            assert 0 <= 2 * padding <= k <= length
        assert min(options["stride"]) >= 1
        assert all(array.size for array in arrays.values())


def test_a_batch_norm_has_something_to_normalise():
    for case in (case for seed in range(50) for case in fresh_cases("batchnorm2d", seed, 4)):
        assert case.arrays["x"].size > case.arrays["weight"].size


@pytest.mark.parametrize("op", [op for op in CASES if op not in HEAVY])
@given(SEEDS)
@settings(max_examples=3)
def test_the_right_pair_passes_whatever_the_seed(op, seed):
    right = zoo.ENCLOSURES[op]
    found = diagnose_op(op, right.f, right.f_backward, seed=seed, more=fresh_cases(op, seed))
    assert found.ok, str(found)
    assert found.judged == found.cases == len(awkward_cases(op)) + 2


# One question, one answer


@pytest.mark.parametrize(
    ("value", "expected", "told"),
    [
        (np.ones(2), np.ones(2), ""),
        (1, 1.0, ""),
        (None, None, ""),
        (np.ones(2), None, "y should be None here"),
        (None, np.ones(2), "y did not come; return an array of shape (2,)"),
        ([1.0, 1.0], np.ones(2), "y must be an array of real numbers; it is: list"),
        (np.ones((2, 1)), np.ones(2), "y must have shape (2,); it has (2, 1)"),
        (np.array([1, 2.5]), np.array([1, 2.0]), "y[1] is 2.5, should be 2 (1 of 2 entries are off)"),
        (np.array([np.nan, 1]), np.ones(2), "y[0] is nan, should be 1 (1 of 2 entries are off)"),
        (np.float64(3), np.array(4.0), "y is 3, should be 4 (1 of 1 entries are off)"),
        (np.array([1e3, 1e-4]), np.array([1e3, 0]), ""),
        (np.array([1e3, 2e-3]), np.array([1e3, 0]), "y[1] is 0.002, should be 0 (1 of 2 entries are off)"),
        (np.ones(0), np.ones(0), ""),
    ],
)
def test_a_difference_is_told_in_words(value, expected, told):
    assert difference("y", value, expected) == told
    if "should" not in told:
        assert misshapen("y", value, expected) == told


def test_a_narrow_value_is_float32():
    assert narrow("y", np.zeros(1, np.float32)) == narrow("y", 1.0) == narrow("y", None) == ""
    assert narrow("y", np.zeros(1)).startswith("for float32 arrays y is float64: dtype in = dtype out.")
    assert "float16" in narrow("y", np.float16(1))


def test_a_score_weighs_its_parts():
    checks = Check("f", "a", 1, 1), Check("f", "b", 0.5, 2), Check("f", "c", 0, 1)
    assert Verdict("f", "failed", checks).score == 0.5
    assert [check.passed for check in checks] == [True, False, False]
    assert Verdict("f", "failed", ()).score == 0
    assert PARTS == {SHAPE: 1, VALUES: 2, AWKWARD: 2, INVARIANTS: 1}


def asked(ask, times=1):
    """The Verdict where the judge of ReLU is this function."""
    ask = Judge("relu", ask, {"first": 1, "second": 3})
    return judge(replace(EXERCISES["relu"], judges=(ask,) * times), SOLVED, student=Local)


def test_who_does_not_come_back_keeps_what_was_answered_before():
    def ask(student, seed):
        yield Check("relu", "first", 1, 1)
        raise RunawayError("too \x1b[31mslow\n\tfor us")

    verdict = asked(ask)
    assert (verdict.status, verdict.score) == ("stopped", 0.25)
    assert verdict.text == "stopped: too ?[31mslow\n\tfor us"  # no sign that a terminal obeys
    assert [check.text for check in verdict.checks] == ["", verdict.text]


def test_an_error_on_the_way_is_told():
    def ask(student, seed):
        yield Check("relu", "first", 1, 1)
        student.call("relu", "text")

    verdict = asked(ask)
    assert (verdict.status, verdict.score) == ("failed", 0.25)
    assert verdict.text.startswith("it raised ")
    assert re.search(r"at `return np.maximum\(x, 0\), x` \(ex01_relu.py, line \d+\)", verdict.text)


def test_unfinished_is_only_what_has_nothing_wrong_besides():
    def ask(second):
        def yields(student, seed):
            yield Check("relu", "first", 0, 1, "a", unfinished=True)
            yield Check("relu", "second", second, 3, "b")

        return yields

    assert [asked(ask(share)).status for share in (0, 0.5, 1)] == ["failed", "failed", "unfinished"]
    assert asked(ask(0)).text == "a\n\nb"
    assert asked(ask(0), times=2).text == "relu:\na\n\nrelu:\nb"  # each text once


def test_a_grader_that_fails_ends_nothing():
    def ask(student, seed):
        yield Check("relu", "first", 1, 1)
        raise ValueError("a mistake of ours")

    verdict = asked(ask)
    assert (verdict.status, verdict.score) == ("failed", 0.25)
    assert verdict.text.startswith("the grader failed, not this code (ValueError: a mistake of ours)")


# In this process


def test_a_local_student_leaves_nothing_behind():
    before = sys.path[:], set(sys.modules)
    with Local(SOLVED, "ex13_identity_block") as student:
        assert {"identity_block", "relu", "IdentityBlockCache"} <= set(student.load())
        assert student.take("ex01_relu", "relu_backward")(np.float64(2), 1.0) == 2
        assert student.function("relu")(np.float64(-1))[0] == 0
        assert os.path.exists(os.path.join(student.folder.name, "ex01_relu.py"))
    assert not os.path.exists(student.folder.name)
    assert (sys.path, {name for name in set(sys.modules) - before[1] if name.startswith("ex")}) == (before[0], set())


def test_two_local_students_do_not_mix():
    for answer in (1, 2):
        with Local(
            {"own.py": "from helper import f\n", "helper.py": f"def f():\n    return {answer}\n"}, "own"
        ) as student:
            assert student.load() == ["f"]
            assert student.call("f") == answer


def test_a_local_error_is_a_students():
    with Local(
        {"own.py": "def f(x):\n    return 1 / x\n\n\ndef g():\n    raise NotImplementedError('exercise g')\n"}, "own"
    ) as student:
        student.load()
        with pytest.raises(StudentError, match="ZeroDivisionError") as caught:
            student.call("f", 0)
        assert not caught.value.unfinished
        assert (caught.value.about["file"], caught.value.about["number"]) == ("own.py", 2)
        with pytest.raises(StudentError) as caught:
            student.function("g")()
        assert caught.value.unfinished


# For who writes exercises


def test_relu_is_a_good_exercise(monkeypatch, no_smallest_case):
    monkeypatch.setattr(dev, "judge", lambda *args, student=Local, **options: judge(*args, student=student, **options))
    problems, told = dev.dev_check(EXERCISES["relu"])
    assert problems == []
    assert (told["zoo"], told["caught"]) == (14, 14)
    assert 0 < told["seconds"] < dev.SLOWEST


def test_a_bad_exercise_is_told_all_that_is_wrong(monkeypatch):
    blind = Verdict("add", "failed", (Check("add", "all", 0.3),), "why", seconds=11)
    monkeypatch.setattr(dev, "judge", lambda *_, **__: blind)
    monkeypatch.setattr(dev, "example_fails", lambda exercise: "no")
    problems, told = dev.dev_check(EXERCISES["add"])
    assert problems[:4] == [
        "unsolved it is failed, 30%",
        "solved it is failed: why",
        "the check takes 11.0 s",
        "the example by hand: no",
    ]
    assert problems[4:] == []
    assert (told["zoo"], told["caught"]) == (10, 10)


def test_a_bug_that_the_check_does_not_catch_is_named(monkeypatch):
    blind = Verdict("add", "passed", (Check("add", "all", 1),))
    monkeypatch.setattr(dev, "judge", lambda *_, **__: blind)
    monkeypatch.setattr(dev, "example_fails", lambda exercise: "")
    problems, told = dev.dev_check(EXERCISES["add"])
    assert problems[0] == "unsolved it is passed, 100%"
    assert problems[1:] == [f"the check does not catch {bug.name}" for bug in zoo.ENCLOSURES["add"].bugs]
    assert (told["zoo"], told["caught"]) == (10, 0)


@pytest.mark.parametrize("seed", range(10))
def test_a_loss_with_class_weights_made_small_is_judged_to_the_end(seed):
    """Where the smallest case has no class weights any more, nobody may look into them."""
    name = "cross_entropy"
    exercise = replace(EXERCISES[name], judges=EXERCISES[name].judges[-1:])
    source = SOLVED[f"{exercise.file}.py"] + "\n\ndef cross_entropy_backward(dy, cache):\n    return np.exp(cache[1])\n"
    verdict = judge(exercise, {f"{exercise.file}.py": source}, seed=seed, student=Local)
    assert verdict.status == "failed"
    assert "dlogits is wrong" in verdict.text
    assert "the grader failed" not in verdict.text
