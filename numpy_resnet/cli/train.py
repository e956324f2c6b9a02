"""numpy-resnet train"""

import argparse
import signal
import sys
import threading
import time
from pathlib import Path

from numpy_resnet import data, train
from numpy_resnet.cli.options import add_workers, at_least, find_weights, interval, new_command, numbers, share
from numpy_resnet.train import folder, recipe

HELP = """\
Train a network and leave everything in one folder: the weights of the last and of the best epoch, history.csv,
config.json, and pictures. The best epoch is that with the lowest loss on the validation images; the test images are
never looked at: that is what `numpy-resnet evaluate` is for, once.

Alone, it trains ResNet-18 on the UCI digits, 8x8 images that come with the package: one to four minutes on two cores.

--data takes digits, mnist, fashion-mnist, cifar10, chest-xray, or a path: a folder with a sub-folder of images for each
class (or train/, val/ and test/ with such sub-folders), MNIST's IDX files, CIFAR-10's archives, or an .npz file.
"""


def add_commands(commands):
    parser = new_command(commands, run, "train", "train a network on images", HELP)
    parser.argument_default = argparse.SUPPRESS  # so that --resume can tell what was asked for
    _add_data(parser.add_argument_group("data").add_argument)
    _add_network(parser.add_argument_group("network and optimizer").add_argument)
    _add_variation(parser.add_argument_group("how training images vary").add_argument)
    _add_running(parser.add_argument_group("the run").add_argument)


def _add_data(add):
    add("--data", metavar="NAME|PATH", help="the data set (default: digits)")
    add("--val", type=share, metavar="SHARE", help="held out for validation (default: the data's own part, or 0.1)")
    add("--test", type=share, metavar="SHARE", help="held out for testing (default: the data's own part, or 0.2)")
    add(
        "--group", metavar="REGEX", help="images whose names agree in it stay on one side, such as 'person\\d+|IM-\\d+'"
    )
    add("--split-seed", type=at_least(0), metavar="N", help="of what is held out (default: 0)")
    add("--size", type=at_least(1), metavar="PIXELS", help="of the images: shorter side, then the middle (default: "
        "224, or as they are in memory)")  # fmt: skip
    add("--grey", action="store_true", help="one channel (default: as the data are; folders: three)")
    add(
        "--mean",
        type=numbers,
        metavar="X,...",
        help="what becomes 0, of 0 to 1 (default: measured on the training images)",
    )
    add("--std", type=numbers, metavar="X,...", help="what becomes 1 (default: measured)")


def _add_network(add):
    add(
        "--model",
        choices=recipe.CHOICES["model"],
        metavar="NAME",
        help="resnet18 (default), resnet34, ..., cifar_resnet20, ...",
    )
    add("--weights", type=Path, metavar="FILE", help="to begin with, or imagenet, torchvision's; for another number of "
        "classes the last layer is new")  # fmt: skip
    add("--freeze", choices=recipe.CHOICES["freeze"], help="this stage and those before it do not learn")
    add("--stem", choices=recipe.CHOICES["stem"], help="7x7/2 and pooling, or 3x3 (default: 3x3 below 64 pixels)")
    add("--width", type=at_least(1), metavar="CHANNELS", help="of the first stage; the others have 2, 4 and 8 times "
        "as many (default: 64)")  # fmt: skip
    add("--dropout", type=float, metavar="P", help="before the last layer (default: 0)")
    add("--epochs", type=at_least(1), metavar="N", help="passes over the training images (default: 12)")
    add("--batch-size", type=at_least(2), metavar="N", help="images in one step (default: 32)")
    add("--lr", type=float, metavar="RATE", help="the largest learning rate (default: 0.02, with adamw 0.001)")
    add("--schedule", choices=recipe.CHOICES["schedule"], help="default: one-cycle")
    add("--warmup", type=at_least(0), metavar="STEPS", help="steps of linear warm-up (default: 0)")
    add("--optimizer", choices=recipe.CHOICES["optimizer"], help="default: sgd, with Nesterov's momentum of 0.9")
    add("--weight-decay", type=float, metavar="RATE", help="default: 0.0005")
    add("--class-weights", action="store_true", help="each class weighs the same, however many images it has")
    add("--positive", metavar="CLASS", help="of two classes, the one to be found (default: the second)")
    add("--sensitivity", type=share, metavar="SHARE", help="of two classes: the threshold is the highest that finds so "
        "many of the positive validation images (default: Youden's, sensitivity + specificity is largest)")  # fmt: skip


def _add_variation(add):
    add("--shift", type=at_least(0), metavar="PIXELS", help="up to so far (default: an eighth; 0 with --zoom)")
    add("--zoom", type=share, metavar="SHARE", help="a random window of at least this share of the area")
    add("--flip", action="store_true", help="every other image is mirrored, left to right")
    add("--rotate", type=float, metavar="DEGREES", help="by up to so many, either way (default: 0)")
    add("--jitter", type=float, metavar="X", help="brightness and contrast times 1-X to 1+X (default: 0)")
    add("--seed", type=at_least(0), metavar="N", help="of the weights, the order and the variation (default: 0)")


def _add_running(add):
    add("--out", type=Path, metavar="DIR", help="to write, new or empty (default: runs/DATA, runs/DATA-2 ...)")
    add("--resume", type=Path, metavar="RUN", help="go on with a run that was stopped, bit for bit")
    add("--save-every", type=interval, metavar="T", help="10min or 500steps, beside each epoch (default: 5min)")
    add_workers(add, default=argparse.SUPPRESS)


def run(args):
    given = {key: value for key, value in vars(args).items() if key in recipe.SETTINGS}
    if "data" in given and given["data"] not in data.known_names() and Path(given["data"]).expanduser().exists():
        given["data"] = str(Path(given["data"]).expanduser().resolve())  # a run may go on elsewhere
    if "weights" in given:
        path = find_weights(given["weights"], given.get("model", recipe.SETTINGS["model"]))
        given["weights"] = str(path.expanduser().resolve())
    if "resume" not in args:
        settings = recipe.SETTINGS | given
    elif "out" in args:
        raise ValueError(f"a run that goes on stays in its folder: leave out --out {args.out}")
    else:
        settings = _resumed_settings(args.resume, given)
    how = {key: getattr(args, key) for key in ("workers", "strict") if key in args}
    resume = "resume" in args
    out = args.resume if resume else getattr(args, "out", None)
    if out is not None and not resume:
        folder.check_new(out)  # before the images are read
    training, is_time_to_save = train.Run(settings, **how), _clock(*getattr(args, "save_every", ("min", 5.0)))
    try:
        with _Stop() as stop:
            training.run(out, resume=resume, is_time_to_save=is_time_to_save, should_stop=stop.is_wanted)
    except train.Stopped as stopped:
        print(f"\n{stopped}", flush=True)
        return 128 + stop.signal


def _resumed_settings(out, given):
    """The settings of a run; given ones must be the same. The data may have moved: their fingerprint decides."""
    settings = recipe.SETTINGS | folder.read_config(out)["settings"]
    differ = [key for key, value in given.items() if key != "data" and value != settings[key]]
    if differ:
        pairs = ", ".join(f"--{key.replace('_', '-')} {given[key]} (was {settings[key]})" for key in differ)
        raise ValueError(f"{out} was begun with other settings: {pairs}; leave them out, or begin a new run")
    return settings | given


class _Stop:
    """Ctrl-C and SIGTERM let the step end, and save; a second one stops at once, with what was saved before."""

    def __init__(self):
        self.signal, self.before = None, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():  # only there can Python handle signals
            self.before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _handle(self, number, frame):
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        print("\nstopping after this step (again: at once) ...", file=sys.stderr, flush=True)

    def is_wanted(self):
        return self.signal is not None


def _clock(unit, every):
    """step -> whether so many minutes or steps have passed since it last said so."""
    count = (lambda step: step) if unit == "steps" else (lambda step: time.monotonic() / 60)
    last = 0 if unit == "steps" else count(0)

    def is_time(step):
        nonlocal last
        if count(step) - last < every:
            return False
        last = count(step)
        return True

    return is_time
