"""numpy-resnet evaluate, predict and summary: what a network is, and what it says."""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from numpy_resnet import checkpoint, data, train
from numpy_resnet.cli.train import at_least, stem_option
from numpy_resnet.models import MODELS


def add_commands(commands):
    parser = commands.add_parser("evaluate", help="accuracy of a trained network on the test images")
    parser.set_defaults(command=evaluate)
    _add_run(parser)

    parser = commands.add_parser(
        "predict",
        help="class and probability of images",
        description="The three likeliest classes of each image. Images should look like those of the training: "
        "the digits are light ink on a dark ground, and fill the image.",
    )
    parser.set_defaults(command=predict)
    _add_run(parser)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="PNG, JPEG ...; resized to fit")

    parser = commands.add_parser(
        "summary", help="the stages of a network",
        description="Output shape, parameters and multiply-adds of every stage.\n\nmodels: " + ", ".join(MODELS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.set_defaults(command=summary)
    parser.add_argument(
        "model", nargs="?", default="resnet18", choices=MODELS, metavar="MODEL", help="(default: resnet18)"
    )
    parser.add_argument("--input", metavar="CxHxW", help="one image (default: 3x224x224; CIFAR nets: 3x32x32)")
    parser.add_argument("--classes", type=at_least(1), metavar="N", help="default: 1000, or 10 for the CIFAR nets")
    parser.add_argument("--stem", choices=("imagenet", "cifar"), help="7x7/2 and pooling (default), or 3x3")


def _add_run(parser):
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a training run, or a weights file")
    parser.add_argument("--which", choices=("last", "best"), default="last", help="which weights (default: last)")


def _load(args):
    path = args.run / f"{args.which}.npz" if args.run.is_dir() else args.run
    if not path.exists():
        raise ValueError(
            f"{path} does not exist: name a folder that `numpy-resnet train` wrote, or a weights file of it"
        )
    model, about = checkpoint.load_model(path)
    if not _describes_a_run(about, model.options["in_channels"], model.options["num_classes"]):
        raise checkpoint.CheckpointError(
            f"{path}: expected weights that `numpy-resnet train` wrote, which tell data, epoch, classes, mean, std "
            "and image_size"
        )
    return model, about, *(np.array(about[key], np.float32) for key in ("mean", "std"))


def _describes_a_run(about, channels, classes):
    def is_list(key, length, kinds):
        values = about.get(key)
        return isinstance(values, list) and len(values) == length and all(type(value) in kinds for value in values)

    return (
        isinstance(about.get("data"), str)
        and isinstance(about.get("epoch"), int)
        and is_list("classes", classes, (str,))
        and is_list("mean", channels, (int, float))
        and is_list("std", channels, (int, float))
        and is_list("image_size", 2, (int,))
    )


def evaluate(args):
    model, about, mean, std = _load(args)
    dataset = data.load(about["data"])
    result = train.evaluate(model, data.normalize(dataset.x_test, mean, std), dataset.y_test)
    print(f"{model.name} on {len(dataset.x_test):,} test images of {dataset.name}, epoch {about['epoch']}")
    print(f"accuracy {result.accuracy:.2%}, loss {result.loss:.4f}\n")
    width = max(5, *(len(name) for name in dataset.classes)) + 2
    print("true \\ predicted".ljust(18) + "".join(name.rjust(width) for name in dataset.classes) + "  recall")
    for name, row in zip(dataset.classes, result.confusion, strict=True):
        recall = f"{row[dataset.classes.index(name)] / row.sum():.1%}" if row.sum() else "-"
        print(name.ljust(18) + "".join(str(count or ".").rjust(width) for count in row) + recall.rjust(8))


def predict(args):
    model, about, mean, std = _load(args)
    C, size = len(mean), about["image_size"]
    x = np.stack([_read_image(path, C, size) for path in args.images])
    for path, row in zip(args.images, train.predict(model, data.normalize(x, mean, std)), strict=True):
        ranking = np.argsort(row)[::-1][:3]
        print(f"{path}: " + ", ".join(f"{about['classes'][i]} {row[i]:.1%}" for i in ranking))


def _read_image(path, channels, size):
    """An image file as (C, H, W) float32 in [0, 1], resized to (H, W)."""
    try:
        with Image.open(path) as image:
            image.load()
    except FileNotFoundError:
        raise
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} is too large: {error}") from None
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's parsers each have their own way to fail
        raise ValueError(f"{path} is not an image that can be read, use PNG or JPEG: {error}") from None
    if image.mode.startswith("I;16"):  # 16 bits: convert("L") would clip them
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"{path} has 32 bits for each pixel and no known scale: save it with 8 or 16")
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
    image = image.convert("L" if channels == 1 else "RGB").resize(size[::-1], Image.Resampling.BILINEAR)
    pixels = np.asarray(image, np.float32).reshape(*size, channels) / 255
    return pixels.transpose(2, 0, 1)


def summary(args):
    cifar = args.model.startswith("cifar_")
    shape = _parse_shape(args.input) if args.input else (3, 32, 32) if cifar else (3, 224, 224)
    options = {"in_channels": shape[0], **stem_option(args.model, args.stem)}
    print(MODELS[args.model](args.classes or (10 if cifar else 1000), **options).summary(shape))


def _parse_shape(text):
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in parts):
        raise ValueError(f"--input must be channels x height x width, such as 3x224x224; got {text!r}")
    return tuple(int(part) for part in parts)
