"""The reward: ResNet-18 with the student's own functions, trained on the digits, beside ours."""

import contextlib
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from numpy_resnet import checkpoint, data, ops, optim, plots, train
from numpy_resnet.exercises.catalogue import EXERCISES
from numpy_resnet.exercises.folder import read_sources, with_ours
from numpy_resnet.exercises.sandbox.local import Local
from numpy_resnet.train import folder as run_folder
from numpy_resnet.train import recipe
from numpy_resnet.train.loop import train_step

ROUNDS = 7


class Outcome(NamedTuple):
    """What came out of a training."""

    history: list
    accuracy: float  # on the test images
    wrong: int
    images: int
    seconds: float  # of the steps of training


class OwnSGD(optim.SGD):
    """SGD, with a student's function for the step of each parameter."""

    def __init__(self, sgd, *args, **options):
        super().__init__(*args, **options)
        self.sgd = sgd

    def step(self):
        options = {"lr": self.lr, "momentum": self.momentum, "weight_decay": self.weight_decay}
        for key, weight, gradient in self.model.named_parameters():
            new, self.velocity[key] = self.sgd(
                weight, gradient, self.velocity.get(key), nesterov=self.nesterov, **options
            )
            weight[...] = new


def split(student_folder):
    """({name of a function: name of its exercise} of the student's, [names of functions that are ours])

    A backward counts only with its forward: it gets that one's cache.
    """
    done = student_folder.done()
    plugs = {name: exercise.name for exercise in EXERCISES.values() for name in exercise.plugs}

    def is_yours(name):
        backward = name.endswith("_backward")
        other = name.removesuffix("_backward") if backward else f"{name}_backward"
        return plugs[name] in done and plugs.get(other, plugs[name]) in done

    yours = {name: exercise for name, exercise in plugs.items() if is_yours(name)}
    return yours, [name for name in plugs if name not in yours]


@contextlib.contextmanager
def load_functions(student_folder, yours):
    """A context: {name: function}, imported into this process, for speed; what has not passed is ours in all files."""
    sources, done = read_sources(student_folder.path, strict=False), student_folder.done()
    for exercise in EXERCISES.values():
        sources, _ = with_ours(exercise, sources, done)
    with Local(sources, "") as files:
        yield {name: files.take(EXERCISES[of].file, name) for name, of in yours.items()}


def run_training(settings, out, functions=None):
    """Train as `numpy-resnet train` does, with these functions in place of ours: an Outcome."""
    functions = dict(functions or {})
    sgd = functions.pop("sgd", None)
    namespace = ops.replaced(**functions) if functions else ops
    training = train.Run(settings, ops=namespace)
    if sgd:
        training.optimizer = _own_sgd(sgd, training.optimizer)
    history = training.run(out)
    best, _ = checkpoint.load_model(Path(out) / "best.npz")
    training.model.load_state_dict(best.state_dict())
    loader = data.Loader(
        training.test, recipe.eval_transforms(training.size), mean=training.loader.mean, std=training.loader.std
    )
    test = train.evaluate(training.model, loader, title="test images")
    wrong = round((1 - test.accuracy) * len(test.labels))
    return Outcome(history, test.accuracy, wrong, len(test.labels), sum(h["seconds"] for h in history))


def _own_sgd(sgd, optimizer):
    options = {key: getattr(optimizer, key) for key in ("momentum", "weight_decay", "nesterov")}
    return OwnSGD(sgd, optimizer.model, optimizer.lr, **options)


def time_steps(settings, functions):
    """Seconds of one training step, (yours, ours): medians of steps that were run in turn, on one batch."""
    namespace = {name: f for name, f in functions.items() if name != "sgd"}
    pairs = [(ops.replaced(**namespace) if namespace else ops, functions.get("sgd")), (ops, None)]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((settings["batch_size"], 1, 8, 8), dtype=np.float32)
    labels = rng.integers(0, 10, len(x))
    trainings, times = [], ([], [])
    for own, sgd in pairs:
        model = recipe.build_model(settings, 1, (8, 8), 10, own)
        optimizer, _ = recipe.build_optimizer(settings, model, 1)
        trainings.append((model, _own_sgd(sgd, optimizer) if sgd else optimizer))
    for n in range(ROUNDS + 1):
        for (model, optimizer), seconds in zip(trainings, times, strict=True):
            began = time.perf_counter()
            train_step(model, optimizer, x, labels)
            if n:  # the first compiles
                seconds.append(time.perf_counter() - began)
    return tuple(statistics.median(seconds) for seconds in times)


def save_curves(path, outcomes, title):
    """The curves of two Outcomes by name, as a picture."""
    histories = {name: outcome.history for name, outcome in outcomes.items()}
    run_folder.save_picture(path, plots.compared_curves(histories, title))
