"""numpy-resnet train"""

import argparse
import platform
import time
from functools import partial
from importlib import metadata
from pathlib import Path

from numpy_resnet import __version__, checkpoint, data, optim, train
from numpy_resnet.models import MODELS

HELP = """\
Train a network and leave everything in one folder: the weights of the last and of the best epoch, history.csv,
config.json, and pictures (learning curves, confusion matrix, predictions, first-layer filters).

Alone, it trains ResNet-18 on the UCI digits, 8x8 images that come with the package: about a minute on two cores.
"""


def add_commands(commands):
    parser = commands.add_parser(
        "train",
        help="train a network on images",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=run)
    add = parser.add_argument
    add("--data", default="digits", metavar="NAME", help="the data set: digits (default)")
    add("--model", default="resnet18", choices=MODELS, metavar="NAME", help="resnet18 (default), resnet34, ...")
    add("--stem", choices=("imagenet", "cifar"), help="7x7/2 and pooling, or 3x3 (default: 3x3 below 64 pixels)")
    add(
        "--out",
        type=Path,
        metavar="DIR",
        help="the folder to write, new or empty (default: runs/DATA, runs/DATA-2 ...)",
    )
    add("--epochs", type=at_least(1), default=12, metavar="N", help="passes over the training images (default: 12)")
    add("--batch-size", type=at_least(2), default=32, metavar="N", help="images in one step (default: 32)")
    add("--lr", type=float, default=0.02, metavar="RATE", help="the largest learning rate (default: 0.02)")
    add("--schedule", choices=("one-cycle", "cosine", "constant"), default="one-cycle", help="default: one-cycle")
    add("--warmup", type=at_least(0), default=0, metavar="STEPS", help="steps of linear warm-up (default: 0)")
    add("--optimizer", choices=("sgd", "adamw"), default="sgd", help="default: sgd, with Nesterov's momentum of 0.9")
    add("--weight-decay", type=float, default=5e-4, metavar="RATE", help="default: 0.0005")
    add("--dropout", type=float, default=0.0, metavar="P", help="before the last layer (default: 0)")
    add(
        "--shift",
        type=at_least(0),
        default=1,
        metavar="PIXELS",
        help="move training images by up to so many (default: 1)",
    )
    add(
        "--seed",
        type=at_least(0),
        default=0,
        metavar="N",
        help="of the weights, the order and the shifts (default: 0)",
    )


def at_least(least):
    """For argparse: a whole number, at least so large."""

    def parse(text):
        number = int(text) if text.lstrip("-").isdecimal() else None
        if number is None or number < least:
            raise argparse.ArgumentTypeError(f"must be a whole number, at least {least}; got {text!r}")
        return number

    return parse


def run(args):
    out = _new_folder(args.out, args.data)
    raw = data.load(args.data)
    mean, std = data.normalization(raw.x_train)
    dataset = raw._replace(x_train=data.normalize(raw.x_train, mean, std), x_test=data.normalize(raw.x_test, mean, std))
    H, W = raw.x_train.shape[2:]
    if args.shift >= min(H, W):
        raise ValueError(f"--shift must be less than the {min(H, W)} pixels of an image; got {args.shift}")
    augment = partial(data.random_shift, pixels=args.shift, fill=-mean / std) if args.shift else None
    model = _build_model(args, raw)
    optimizer, schedule = _build_optimizer(args, model, len(raw.x_train))

    print(f"{model.name}, {sum(param.size for _, param, _ in model.named_parameters()):,} parameters")
    print(
        f"{raw.name}, {len(raw.classes)} classes: {len(raw.x_train):,} training and "
        f"{len(raw.x_test):,} test images of {H}x{W}"
    )
    out.mkdir(parents=True, exist_ok=True)
    train.save_config(out / "config.json", _config(args))
    about = {"data": raw.name, "classes": list(raw.classes), "image_size": [H, W]}
    about |= {"mean": mean.tolist(), "std": std.tolist()}

    def after_epoch(history):
        _print_epoch(history)
        _save_epoch(out, model, history, about)

    start, options = time.perf_counter(), {"epochs": args.epochs, "batch_size": args.batch_size, "seed": args.seed}
    history = train.fit(model, dataset, optimizer, schedule, **options, augment=augment, after_epoch=after_epoch)
    seconds = time.perf_counter() - start
    evaluation = train.evaluate(model, dataset.x_test, dataset.y_test)
    pictures = train.save_pictures(out, history, model, raw.x_test, raw.y_test, evaluation, raw.classes)
    wrong = round((1 - evaluation.accuracy) * len(raw.x_test))
    print(f"\ntest accuracy {evaluation.accuracy:.2%} ({wrong} of {len(raw.x_test):,} wrong) after {seconds:.0f} s")
    print(f"pictures:  {', '.join(path.name for path in pictures)}")
    print(f"all in     {out}")


def _save_epoch(out, model, history, about):
    """history.csv and last.npz; best.npz too, if no epoch before did better on the test images."""
    train.save_history(out / "history.csv", history)
    epoch = {key: history[-1][key] for key in ("epoch", "test_accuracy")}
    checkpoint.save_model(out / "last.npz", model, {**about, **epoch})
    if epoch["test_accuracy"] >= max(row["test_accuracy"] for row in history):
        checkpoint.save_model(out / "best.npz", model, {**about, **epoch})


def _new_folder(out, name):
    """The folder to write: never one that holds something."""
    if out is not None:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ValueError(f"{out} exists and is not empty: give --out another name, or move that run away")
        return out
    out, number = Path("runs") / name, 2
    while out.exists():
        out, number = Path("runs") / f"{name}-{number}", number + 1
    return out


def _build_model(args, dataset):
    C, H, W = dataset.x_train.shape[1:]
    small = None if args.model.startswith("cifar_") else "cifar" if min(H, W) < 64 else "imagenet"
    options = stem_option(args.model, args.stem or small)
    return MODELS[args.model](len(dataset.classes), in_channels=C, dropout=args.dropout, seed=args.seed, **options)


def stem_option(model, stem):
    """{"stem": stem} for a network that has the choice, {} where it is left open."""
    if stem and model.startswith("cifar_"):
        raise ValueError("--stem is for the ImageNet networks; the CIFAR nets have one stem")
    return {"stem": stem} if stem else {}


def _build_optimizer(args, model, images):
    steps = args.epochs * data.num_batches(images, args.batch_size)
    if args.optimizer == "sgd":
        optimizer = optim.SGD(model, args.lr, momentum=0.9, weight_decay=args.weight_decay, nesterov=True)
    else:
        optimizer = optim.AdamW(model, args.lr, weight_decay=args.weight_decay)
    schedules = {
        "one-cycle": partial(optim.one_cycle, steps=steps),
        "cosine": partial(optim.cosine, steps=steps),
        "constant": optim.constant,
    }
    return optimizer, schedules[args.schedule](args.lr, warmup=args.warmup)


def _config(args):
    options = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items() if k != "command"}
    versions = {
        "numpy_resnet": __version__,
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "numba": metadata.version("numba"),
    }
    return {**options, "versions": versions}


def _print_epoch(history):
    if len(history) == 1:
        print("\nepoch  train loss  accuracy  test loss  accuracy  images/s")
    h = history[-1]
    print(
        f"{h['epoch']:>5}  {h['train_loss']:>10.4f}  {h['train_accuracy']:>8.2%}  {h['test_loss']:>9.4f}"
        f"  {h['test_accuracy']:>8.2%}  {h['images_per_second']:>8.0f}",
        flush=True,
    )
