"""What the explorer shows where nobody brings a network: a small ResNet-18 that knows digits, and one of them."""

from pathlib import Path

from numpy_resnet import data, models, train
from numpy_resnet.explore.write import page

DIGITS = Path(__file__).with_name("digits.npz")
UNSURE = 173  # a three of the test images that the network is not sure of: the gradient has something to say


def digits_network():
    """ResNet-18 with an eighth of its channels, trained on the digits at 64x64 pixels (see digits.txt) -> Trained"""
    return train.load_trained(DIGITS)


def untrained(name):
    """A network of models.MODELS for digits, as training would begin with it -> Trained

    Images are 64x64 pixels, or 32x32 for the CIFAR nets.   Raises ValueError for a name that is not known.
    """
    if name not in models.MODELS:
        raise ValueError(f"a network must be one of {', '.join(models.MODELS)}; got {name!r}")
    size = (32, 32) if name.startswith("cifar_") else (64, 64)
    model = models.MODELS[name](10, in_channels=1).eval()
    return digits_network()._replace(path=None, model=model, size=size, epoch=0, step=0, class_weight=None)


def digit():
    """A test image of the digits, its class, and what it is called -> Pillow image, int, str"""
    images = data.load("digits").test
    return images.read(UNSURE), int(images.labels[UNSURE]), f"test image {UNSURE} of the digits"


def describe(trained):
    """What a network has learnt, in a few words."""
    if trained.path is None:
        return "not trained"
    if not trained.epoch:
        return f"weights: {trained.path.name}"
    epochs = f"{trained.epoch} epoch" + ("s" if trained.epoch > 1 else "")
    return f"trained on {Path(trained.settings['data']).name} for {epochs}"


def page_of(trained, picture, label=None, *, image, training=False):
    """The page of a Trained network and a Pillow image -> HTML.   label, image and training as for `page`

    A network that is not trained has learnt no statistics: batch norm takes those of the image.
    """
    x = trained.prepare(picture)[None]
    return page(
        trained.model, x, label, classes=trained.classes, seen=trained.as_seen(x)[0], decide=trained.decide,
        image=image, about=describe(trained), training=training or trained.path is None,
    )  # fmt: skip
