"""The judge of a gradient checker: right pairs must pass it, and wrong ones from the zoo must not."""

from functools import partial

import numpy as np

from numpy_resnet.exercises import zoo
from numpy_resnet.exercises.judges.check import Check, NotReadyError, first_call, missing
from numpy_resnet.exercises.sandbox import StudentError
from numpy_resnet.gradcheck import awkward_cases

PARTS = {"right ones pass": 2, "wrong ones are found": 4}
ENOUGH = 20  # of the 24
RIGHT = [
    ("relu", 0), ("linear", 1), ("log_softmax", 3), ("conv2d", 4), ("maxpool2d", 4), ("batchnorm2d", 2),
    ("batchnorm2d", 4), ("dropout", 3),
]  # fmt: skip
WRONG = [  # (a bug of the zoo, the number of the awkward case in which it shows)
    ("relu/slope_returned", 1),
    ("relu/input_clipped_in_place", 2),
    ("relu/mask_of_the_last_call", 1),
    ("add/second_one_taken_for_a_bias", 1),
    ("add/upstream_used_as_accumulator", 1),
    ("linear/bias_with_the_axis_of_the_batch", 0),
    ("linear/batch_reversed", 3),
    ("linear/weight_updated_in_backward", 0),
    ("linear/x_of_the_first_call", 1),
    ("linear/parameters_before_x", 3),
    ("softmax/matrix_of_the_first_sample", 2),
    ("softmax/exp_overflows", 3),
    ("log_softmax/exp_forgotten", 2),
    ("conv2d/bias_not_returned", 6),
    ("conv2d/weight_buffer_not_zeroed", 0),
    ("conv2d/kernel_not_turned_by_180_degrees", 6),
    ("conv2d/stride_of_height_and_width_swapped", 4),
    ("maxpool2d/overlaps_overwritten", 1),
    ("maxpool2d/one_winner_for_all_channels", 3),
    ("global_avgpool2d/tiled_in_the_wrong_order", 2),
    ("batchnorm2d/path_through_the_mean_forgotten", 0),
    ("batchnorm2d/path_through_the_variance_forgotten", 1),
    ("batchnorm2d/eps_forgotten_in_backward", 2),
    ("dropout/divided_by_what_was_kept", 0),
]
MEMORIES = (zoo.linear.first, zoo.conv2d.buffers, zoo.relu.layer)  # what a few of the bugs keep from call to call


class Box:
    """A cache on its way through the student's process, where nobody can look into it."""

    def __init__(self, cache):
        self.cache = cache


def judge_checker(student, seed):
    subject, weights = "check_gradients", PARTS
    try:
        missing(student, subject)
        said = list(_verdicts(student, [*_right(), *_wrong()], seed))
        alarms = [name for name, is_right, called_right in said if is_right and not called_right]
    except NotReadyError as error:
        for i, (part, weight) in enumerate(weights.items()):
            yield Check(subject, part, 0.0, weight, "" if i else error.text, error.unfinished, asked=not i)
        return
    first, second = weights
    text = f"it calls these wrong, which are right: {', '.join(alarms)}" if alarms else ""
    yield Check(subject, first, float(not alarms), weights[first], text)
    if alarms:
        yield Check(subject, second, 0.0, weights[second], asked=False)
        return
    kept = [name for name, is_right, called_right in said if called_right and not is_right]
    found = len(WRONG) - len(kept)
    stories = "".join(f"\n  {name}: {zoo.BUGS[name].symptom}" for name in kept[:6])
    text = (
        f"{found} of {len(WRONG)} wrong pairs are found; these are called right, for example:{stories}" if kept else ""
    )
    passed = found >= ENOUGH
    yield Check(subject, second, 1.0 if passed else found / len(WRONG), weights[second], "" if passed else text)


def _right():
    return [(op, True, zoo.ENCLOSURES[op], number) for op, number in RIGHT]


def _wrong():
    return [(name, False, zoo.BUGS[name], number) for name, number in WRONG]


def _verdicts(student, pairs, seed):
    """(name, whether it is right, what the student's checker says) for each pair, in an order of the seed's."""
    for n, index in enumerate(np.random.default_rng(seed).permutation(len(pairs))):
        name, is_right, pair, number = pairs[index]
        for memory in MEMORIES:
            memory.clear()
        case = awkward_cases(pair.op, seed)[number]
        constants = {n: a for n, a in case.arrays.items() if n not in case.differentiable()}
        f, arrays = partial(pair.f, **constants, **case.options), [case.arrays[n] for n in case.differentiable()]
        call = partial(_ask, student, f, pair.f_backward, arrays, seed % 2**31)
        try:
            yield name, is_right, first_call("check_gradients", call) if n == 0 else call()
        except StudentError as error:
            raise NotReadyError(f"check_gradients raises {error.told} for {name}", error.unfinished) from None


def _ask(student, f, f_backward, arrays, seed):
    shape = np.shape(f(*(a.copy() for a in arrays))[0])

    def forward(*given):
        if [np.shape(a) for a in given] != [a.shape for a in arrays]:
            raise ValueError(f"f takes arrays of the shapes {[a.shape for a in arrays]}")
        y, cache = f(*given)
        return y, Box(cache)

    def backward(dy, box):
        if np.shape(dy) != shape or not isinstance(box, Box):
            raise ValueError(f"f_backward takes a dy of shape {shape}, and the cache of f")
        return f_backward(dy, box.cache)

    with np.errstate(all="ignore"):
        said = student.call(
            "check_gradients", student.callback(forward), student.callback(backward), arrays, seed, watch=False
        )
    if not isinstance(said, bool | np.bool_):
        raise NotReadyError(f"check_gradients must return True or False; it returned a {type(said).__name__}")
    return bool(said)
