"""numpy-resnet summary"""

from numpy_resnet.cli.options import at_least, new_command
from numpy_resnet.models import MODELS
from numpy_resnet.train.recipe import imagenet_options


def add_commands(commands):
    about = "Output shape, parameters and multiply-adds of every stage.\n\nmodels: " + ", ".join(MODELS)
    add = new_command(commands, summary, "summary", "the stages of a network", about).add_argument
    add("model", nargs="?", default="resnet18", choices=MODELS, metavar="MODEL", help="(default: resnet18)")
    add("--input", metavar="CxHxW", help="one image (default: 3x224x224; CIFAR nets: 3x32x32)")
    add("--classes", type=at_least(1), metavar="N", help="default: 1000, or 10 for the CIFAR nets")
    add("--stem", choices=("imagenet", "cifar"), help="7x7/2 and pooling (default), or 3x3")
    add("--width", type=at_least(1), metavar="CHANNELS", help="of the first stage (default: 64)")


def summary(args):
    cifar = args.model.startswith("cifar_")
    shape = _parse_shape(args.input) if args.input else (3, 32, 32) if cifar else (3, 224, 224)
    options = {"in_channels": shape[0], **imagenet_options(args.model, stem=args.stem, width=args.width)}
    print(MODELS[args.model](args.classes or (10 if cifar else 1000), **options).summary(shape))


def _parse_shape(text):
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in parts):
        raise ValueError(f"--input must be channels x height x width, such as 3x224x224; got {text!r}")
    return tuple(int(part) for part in parts)
