"""Which style of gradient test finds which bug of the zoo? `python tools/doctor_matrix.py` asks all, bug by bug.

Seven styles, from the weakest to the doctor; what they find goes to docs/doctor/matrix.json, matrix.md and matrix.png.
Two runs give the same files. Exit code 1 if a style calls one of the right backwards wrong.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from matrix_pages import picture, report

from numpy_resnet.exercises.zoo import BUGS, ENCLOSURES, batchnorm2d, conv2d, linear, relu
from numpy_resnet.gradcheck import SPECS, blocks, diagnose_op
from numpy_resnet.gradcheck.awkward import Case
from numpy_resnet.gradcheck.report import relative_error, rounding

TARGET = Path(__file__).resolve().parents[1] / "docs" / "doctor"
STEP, TOLERANCE = 1e-5, 1e-5
STATE = (conv2d.buffers, batchnorm2d.running, linear.first, relu.layer)  # what bugs keep from one call to the next


def easy_case(op):
    """What a quick test would take: two samples, square images, parameters as at initialisation, no option turned on.

    A convolution is 3x3 with padding 1 and stride 1, a pool 2x2 with stride 2.
    """
    rng = np.random.default_rng([1, *op.encode()])
    x, ones, zeros = rng.standard_normal((2, 3, 4, 4)), np.ones(3), np.zeros(3)
    matrix, conv = rng.standard_normal((2, 5)), {"kernel_size": 3, "padding": 1}
    norm = {"x": x, "weight": ones, "bias": zeros}
    known = {
        "add": {"a": x, "b": rng.standard_normal(x.shape)},
        "linear": {"x": matrix, "weight": rng.standard_normal((3, 5)), "bias": zeros},
        "conv2d": {"x": x, "weight": rng.standard_normal((4, 3, 3, 3)), "bias": np.zeros(4)},
        "col2im": {"cols": rng.standard_normal((2, 27, 16))},
        "batchnorm2d": norm,
        "batchnorm2d_inference": {**norm, "running_mean": np.zeros(3), "running_var": np.ones(3)},
        "softmax": {"x": matrix},
        "log_softmax": {"x": matrix},
        "cross_entropy": {"logits": matrix, "labels": np.array([1, 3])},
        "dropout": {"x": x, "keep": rng.random(x.shape) > 0.5},
        "identity_block": _initialised(rng, 3, projected=False),
        "convolution_block": _initialised(rng, 6, projected=True),
    }
    options = {
        "conv2d": {"padding": 1},
        "im2col": conv,
        "col2im": {"size": (4, 4), **conv},
        "maxpool2d": {"kernel_size": 2, "stride": 2},
        "avgpool2d": {"kernel_size": 2, "stride": 2},
        "dropout": {"p": 0.5},
        "zero_pad_channels": {"channels": 6, "stride": 2},
        "convolution_block": {"stride": 2},
    }
    constants = ("running_mean", "running_var")
    return Case("easy", known.get(op, {"x": x}), options.get(op, {}), constants=constants)


def _initialised(rng, OC, *, projected):
    """The arrays of a residual block: batch norms with weight 1 and bias 0."""
    arrays = {n: rng.standard_normal(shape) for n, shape in blocks.shapes(2, 3, 4, 4, OC, projected=projected).items()}
    return {n: np.full(a.shape, float("weight" in n)) if "bn" in n else a for n, a in arrays.items()}


def backward(case, f, f_backward, ones):
    """dy, y and what comes back, by argument."""
    y, cache = f(*case.copies(), **case.options)
    y = np.array(y, float)
    dy = np.ones(y.shape) if ones else np.random.default_rng([2, y.size]).standard_normal(y.shape)
    returned = f_backward(dy.copy() if dy.ndim else float(dy), cache)
    returned = list(returned) if isinstance(returned, tuple | list) else [returned]
    returned += [None] * (len(case.arrays) - len(returned))
    return dy, y, dict(zip([*case.arrays, *range(len(returned) - len(case.arrays))], returned, strict=True))


def differences(case, f, name, dy, step):
    """d(sum of dy * y) / d(arrays[name]) by central differences."""
    x = case.arrays[name]
    numeric = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        ends = []
        for h in (step, -step):
            moved = case.with_arrays(**{name: x.copy()})
            moved.arrays[name][index] += h
            ends.append(np.array(f(*moved.copies(), **case.options)[0], float))
        numeric[index] = np.sum(dy * (ends[0] - ends[1])) / (2 * step)
    return numeric


def pairs(case, f, f_backward, ones):
    """(analytic, numeric, what rounding may be) of each gradient.   Raises ValueError for another number or shape."""
    dy, y, gradients = backward(case, f, f_backward, ones)
    found = []
    for name, analytic in gradients.items():
        if name in case.differentiable():
            step = STEP * min(np.std(case.arrays[name]) or 1.0, 1.0)
            numeric = differences(case, f, name, dy, step)
            if np.shape(analytic) != numeric.shape:
                raise ValueError(f"d{name} must have shape {numeric.shape}; got {np.shape(analytic)}")
            found.append((np.array(analytic, float), numeric, rounding(dy, y, step) / TOLERANCE))
        elif analytic is not None:
            raise ValueError(f"there is no d{name}")
    return found


def agree(analytic, numeric, floor):
    return bool(np.all(relative_error(analytic, numeric, floor) <= TOLERANCE))


def not_zero(bug):
    case = easy_case(bug.op)
    gradients = backward(case, bug.f, bug.f_backward, ones=False)[2]
    return all(gradients[name] is not None and np.any(gradients[name]) for name in case.differentiable())


def means(bug):
    found = pairs(easy_case(bug.op), bug.f, bug.f_backward, ones=False)
    return all(agree(a.mean(), n.mean(), floor) for a, n, floor in found)


def one_entry(bug):
    """As in minitorch: of each gradient one entry, chosen at random."""
    rng = np.random.default_rng([3, *getattr(bug, "name", bug.op).encode()])
    found = pairs(easy_case(bug.op), bug.f, bug.f_backward, ones=True)
    chosen = [rng.integers(n.size) for _, n, _ in found]
    return all(agree(a.flat[i], n.flat[i], floor) for i, (a, n, floor) in zip(chosen, found, strict=True))


def all_entries_of_ones(bug):
    """As in needle and numpy-ml: sum(y) is differentiated."""
    return all(agree(*pair) for pair in pairs(easy_case(bug.op), bug.f, bug.f_backward, ones=True))


def all_entries(bug):
    """As in CS231n: random upstream."""
    return all(agree(*pair) for pair in pairs(easy_case(bug.op), bug.f, bug.f_backward, ones=False))


def awkward_cases(bug):
    cases = SPECS[bug.op].cases(np.random.default_rng([4, *bug.op.encode()]))
    return all(agree(*pair) for case in cases for pair in pairs(case, bug.f, bug.f_backward, ones=False))


def the_doctor(bug):
    forget()
    return diagnose_op(bug.op, bug.f, bug.f_backward)


STYLES = {
    "the gradient is not zero": not_zero,
    "the means agree": means,
    "one entry, upstream of ones": one_entry,
    "every entry, upstream of ones": all_entries_of_ones,
    "every entry, random upstream": all_entries,
    "the same in awkward cases": awkward_cases,
}
DOCTOR = "the same and invariants: the doctor"


def forget():
    for kept in STATE:
        kept.clear()


def finds(style, bug):
    """Whether this test fails, as it should; an exception is a failure."""
    forget()
    try:
        with warnings.catch_warnings(action="ignore"):
            return not style(bug)
    except Exception:
        return True


def examine(bug):
    """The row of one bug: what finds it, and what the doctor calls it."""
    found = [finds(style, bug) for style in STYLES.values()]
    diagnosis = the_doctor(bug)
    said = [finding.cause for finding in diagnosis.findings[:3]]
    right = [cause in bug.causes for cause in said]
    row = {"op": bug.op, "causes": list(bug.causes), "found": [*found, not diagnosis.ok], "said": said}
    return {**row, "first_right": right[:1] == [True], "one_of_three_right": any(right)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=TARGET, help="the folder for the three files")
    out = parser.parse_args().out
    accused = [(op, style) for op, pair in ENCLOSURES.items() for style in STYLES if finds(STYLES[style], pair)]
    accused += [(op, DOCTOR) for op, pair in ENCLOSURES.items() if not the_doctor(pair).ok]
    for op, style in accused:
        print(f"{op} is right, but not for this test: {style}")
    rows = {name: examine(bug) for name, bug in BUGS.items()}
    out.mkdir(parents=True, exist_ok=True)
    matrix = {"styles": [*STYLES, DOCTOR], "right_ones_called_wrong": len(accused), "bugs": rows}
    (out / "matrix.json").write_text(json.dumps(matrix, indent=1) + "\n")
    summary, everything = report([*STYLES, DOCTOR], rows)
    (out / "matrix.md").write_text(summary + everything)
    picture(rows).savefig(out / "matrix.png", dpi=200, metadata={"Software": None})
    print(summary)
    return int(bool(accused))


if __name__ == "__main__":
    raise SystemExit(main())
