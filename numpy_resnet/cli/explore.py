"""numpy-resnet explore: a page to step through one forward and one backward pass."""

from pathlib import Path

from numpy_resnet import data, explore, files, models, train
from numpy_resnet.cli.options import find_weights, new_command, new_file

HELP = """\
Write one HTML file, complete in itself, that shows a network at work on one image: every layer forward and backward,
its maps and gradients, its code, a few windows of each convolution in real numbers, and how the gradient flows.

Alone, it shows a small ResNet-18 that knows digits, and one of them. With --model and no --weights the network is new,
and its gradients are those that training begins with.
"""


def add_commands(commands):
    add = new_command(commands, run, "explore", "a page to step through, forward and backward", HELP).add_argument
    add("image", nargs="?", type=Path, metavar="IMAGE", help="PNG, JPEG ...; resized to fit (default: a digit)")
    add("--model", choices=models.MODELS, metavar="NAME", help="an untrained network, or which one of imagenet's")
    add("--weights", type=Path, metavar="RUN", help="the folder of a run, a weights file, or imagenet, torchvision's")
    add("--class", dest="name", metavar="CLASS", help="whose loss is followed back (default: the name of the image's "
        "folder if it is a class, else what the network says)")  # fmt: skip
    add("--training", action="store_true", help="batch norm takes the statistics of this image, as in training, not "
        "those that it has learnt (a new network has none: there it always does)")  # fmt: skip
    add("-o", "--out", type=Path, metavar="HTML", help="a new file (default: explorer.html, explorer-2.html ...)")


def run(args):
    out, trained = new_file(args.out, "explorer.html"), _network(args)
    picture, label, name = _image(args, trained)
    if args.name is not None:
        if args.name not in trained.classes:
            raise ValueError(f"--class must be one of {_some(trained.classes)}; got {args.name!r}")
        label = trained.classes.index(args.name)
    try:
        page = explore.page_of(trained, picture, label, image=name, training=args.training)
    except ValueError as error:
        if "more than one value per channel" in str(error) and args.training:
            raise ValueError("the last maps of this network are single pixels: leave out --training") from None
        raise
    files.write_text(out, page)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB; open it in a browser, offline as well")


def _network(args):
    if args.weights is None:
        return explore.digits_network() if args.model is None else explore.untrained(args.model)
    path = find_weights(args.weights, args.model or "resnet18")
    trained = train.load_trained(path)
    if args.model not in (None, trained.model.name):
        raise ValueError(f"{path} holds {trained.model.name}, not {args.model}: leave out --model")
    return trained


def _image(args, trained):
    """A Pillow image, its class if the name of its folder or the data tell it, and its name."""
    if args.image is not None:
        parent = args.image.resolve().parent.name
        label = trained.classes.index(parent) if parent in trained.classes else None
        return data.read_image(args.image, trained.mode), label, args.image.name
    if trained.classes != explore.digits_network().classes:
        raise ValueError("an image must be given: this network does not know digits")
    picture, label, name = explore.digit()
    return picture.convert(trained.mode), label, name


def _some(names, most=12):
    return ", ".join(names[:most]) + (f", ... ({len(names):,} in all)" if len(names) > most else "")
