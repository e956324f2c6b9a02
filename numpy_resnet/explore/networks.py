"""What the explorer shows where nobody brings a network: a small ResNet-18 that knows digits, and one of them."""

from pathlib import Path

from numpy_resnet import data, models, ops, train

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


def digit(index=UNSURE):
    """A test image of the digits, and its class -> Pillow image, int"""
    images = data.load("digits").test
    return images.read(index), int(images.labels[index])


def describe(trained):
    """What a network has learnt, in a few words."""
    if trained.path is None:
        return "not trained"
    if not trained.epoch:
        return f"weights: {trained.path.name}"
    epochs = f"{trained.epoch} epoch" + ("s" if trained.epoch > 1 else "")
    return f"trained on {Path(trained.settings['data']).name} for {epochs}"


def class_of(trained, path, x):
    """The class of an image: its folder's name if that is one, else what the network says.   x (1, C, H, W) -> int"""
    if path.resolve().parent.name in trained.classes:
        return trained.classes.index(path.resolve().parent.name)
    probabilities, _ = ops.softmax(trained.model.infer(x))
    return int(trained.decide(probabilities)[0])
