"""Training and what it leaves behind: the loop, evaluation, and the folder of a run."""

from numpy_resnet.train.evaluation import Evaluation, Verdict, evaluate, infer, judge
from numpy_resnet.train.loop import Progress, Stopped, balanced_weights, fit, is_best, train_step
from numpy_resnet.train.run import Run, describe
from numpy_resnet.train.trained import Trained, load_trained

__all__ = [
    "Evaluation",
    "Progress",
    "Run",
    "Stopped",
    "Trained",
    "Verdict",
    "balanced_weights",
    "describe",
    "evaluate",
    "fit",
    "infer",
    "is_best",
    "judge",
    "load_trained",
    "train_step",
]
