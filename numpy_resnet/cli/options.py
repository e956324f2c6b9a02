"""Options, and their values, that several commands take."""

import argparse
import itertools
import re
from pathlib import Path

from numpy_resnet import downloads


def new_command(commands, run, name, help, description=None):
    """A command's parser; its description keeps its lines.   -> argparse.ArgumentParser"""
    form = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(name, help=help, description=description or help, formatter_class=form)
    parser.set_defaults(command=run)
    return parser


def add_weights(add):
    add(
        "--weights",
        type=Path,
        metavar="RUN",
        help="the folder of a run, a weights file, or imagenet, torchvision's (default: the newest run in runs/)",
    )


def find_weights(path, model="resnet18"):
    """The file that `imagenet` stands for; every other path as it is."""
    if str(path) != "imagenet" or path.exists():
        return path
    if not model.startswith("resnet"):
        raise ValueError(f"there are no weights of {model} for ImageNet that could be fetched: name a file")
    (place,) = downloads.places(model)
    if not place.exists():
        raise ValueError(f"{place} is not there: `numpy-resnet download {model}` fetches it")
    return place


def new_file(wanted, default):
    """The file to write, never one that is there: `wanted`, or the default, default-2 ... -> Path"""
    if wanted is not None:
        if wanted.exists():
            raise ValueError(f"{wanted} exists: give --out another name, or move it away")
        return wanted
    default = Path(default)
    numbered = (default.with_stem(f"{default.stem}-{n}") for n in itertools.count(2))
    return next(path for path in itertools.chain([default], numbered) if not path.exists())


def add_workers(add, **more):
    """How images are read: by how many threads, and what happens to broken ones."""
    more = more or {"default": 2}
    add("--workers", type=at_least(1), metavar="N", help="threads that read images (default: 2)", **more)
    add("--strict", action="store_true", help="stop at an image that cannot be read, instead of naming and skipping it")


def at_least(least):
    """For argparse: a whole number, at least so large."""

    def parse(text):
        number = int(text) if text.lstrip("-").isdecimal() else None
        if number is None or number < least:
            raise argparse.ArgumentTypeError(f"must be a whole number, at least {least}; got {text!r}")
        return number

    return parse


def share(text):
    """For argparse: a number above 0 and below 1."""
    try:
        if 0 < float(text) < 1:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"must be a number between 0 and 1; got {text!r}")


def numbers(text):
    """For argparse: numbers with commas between them."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be numbers with commas between them; got {text!r}") from None


def interval(text):
    """For argparse: 10min or 500steps -> ("min", 10.0) or ("steps", 500)"""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(min|steps?)", text)
    if not match or not float(match[1]) or (match[2] != "min" and not match[1].isdecimal()):
        raise argparse.ArgumentTypeError(f"must be minutes or steps, such as 10min or 500steps; got {text!r}")
    return ("min", float(match[1])) if match[2] == "min" else ("steps", int(match[1]))
