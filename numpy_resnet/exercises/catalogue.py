"""The exercises in their order, and what is asked of each."""

from dataclasses import dataclass

from numpy_resnet.exercises.judges import Judge, checker
from numpy_resnet.exercises.judges.hunt import judge_hunt
from numpy_resnet.exercises.judges.measured import FAST_PARTS, VANISHING_PARTS, judge_fast, judge_vanishing
from numpy_resnet.exercises.judges.network import judge_resnet18, judge_running_statistics, judge_sgd
from numpy_resnet.exercises.judges.ops import Op
from numpy_resnet.exercises.lessons import load_lesson


@dataclass(frozen=True)
class Exercise:
    name: str  # "relu"
    file: str  # "ex01_relu"
    judges: tuple  # Judges, and Ops, which are some
    plugs: tuple = ()  # names of functions that a network can take from it

    threads: int = 1

    @property
    def lesson(self):
        return load_lesson(self.file)

    @property
    def ops(self):
        """The ops of the zoo that are examined here."""
        return [judge.op for judge in self.judges if isinstance(judge, Op)]


def _list(*rows):
    found = {}
    for number, (name, judges, *more) in enumerate(rows, 1):
        found[name] = Exercise(name, f"ex{number:02}_{name}", tuple(judges), *more)
    return found


def _both(name):
    return name, f"{name}_backward"


EXERCISES = _list(
    ("relu", [Op("relu")], _both("relu")),
    ("linear", [Op("linear")], _both("linear")),
    ("cross_entropy", [Op("softmax"), Op("log_softmax"), Op("cross_entropy")], _both("cross_entropy")),
    ("columns", [Op("im2col", f_backward=None), Op("col2im", f_backward=None)]),
    ("conv2d_forward", [Op("conv2d", f_backward=None, cache="Conv2dCache")], ("conv2d",)),
    ("conv2d_backward", [Op("conv2d")], ("conv2d_backward",)),
    ("maxpool", [Op("maxpool2d")], _both("maxpool2d")),
    ("global_avgpool", [Op("global_avgpool2d")], _both("global_avgpool2d")),
    (
        "batchnorm_forward",
        [
            Op("batchnorm2d", f_backward=None, cache="BatchnormCache"),
            Op("batchnorm2d_inference", f_backward=None, cache="BatchnormCache"),
            Judge("running_statistics", judge_running_statistics),
        ],
        ("batchnorm2d", "batchnorm2d_inference"),
    ),
    (
        "batchnorm_backward",
        [
            Op("batchnorm2d", f_backward="batchnorm2d_backward_in_steps"),
            Op("batchnorm2d"),
            Op("batchnorm2d_inference"),
        ],
        ("batchnorm2d_backward", "batchnorm2d_inference_backward"),
    ),
    ("dropout", [Op("dropout")], _both("dropout")),
    ("add", [Op("add")], _both("add")),
    ("identity_block", [Op("identity_block")]),
    ("convolution_block", [Op("convolution_block")]),
    ("resnet18", [Judge("resnet18", judge_resnet18)]),
    ("sgd", [Judge("sgd", judge_sgd)], ("sgd",)),
    ("gradient_checker", [Judge("check_gradients", checker.judge_checker, checker.PARTS)]),
    ("bug_hunt", [Judge(*judge_hunt(in_shortcut=False)), Judge(*judge_hunt(in_shortcut=True))]),
    ("make_it_fast", [Judge("sums_of_upstream", judge_fast, FAST_PARTS)], (), 4),
    ("vanishing_gradients", [Judge("vanishing_gradients", judge_vanishing, VANISHING_PARTS)]),
)
