"""From the settings of a run to the things that train: data, transforms, network, optimizer, schedule."""

from functools import partial

from numpy_resnet import data, optim
from numpy_resnet import ops as numpy_resnet_ops
from numpy_resnet.data import transforms
from numpy_resnet.models import MODELS

SETTINGS = {  # all that decides which numbers come out, with the defaults; a run keeps them in config.json
    "data": "digits",
    "val": None,
    "test": None,
    "group": None,
    "split_seed": 0,
    "grey": False,
    "size": None,
    "mean": None,
    "std": None,
    "model": "resnet18",
    "weights": None,
    "freeze": None,
    "stem": None,
    "width": None,
    "dropout": 0.0,
    "epochs": 12,
    "batch_size": 32,
    "lr": None,
    "schedule": "one-cycle",
    "warmup": 0,
    "optimizer": "sgd",
    "weight_decay": 5e-4,
    "class_weights": False,
    "shift": None,
    "zoom": None,
    "flip": False,
    "rotate": 0.0,
    "jitter": 0.0,
    "positive": None,
    "sensitivity": None,
    "seed": 0,
}

CHOICES = {
    "model": tuple(MODELS),
    "stem": ("imagenet", "cifar"),
    "freeze": ("stem", "layer1", "layer2", "layer3", "layer4"),
    "schedule": ("one-cycle", "cosine", "constant"),
    "optimizer": ("sgd", "adamw"),
}


def check_settings(settings):
    """Raises ValueError for settings that are missing, unknown, or none of their choices."""
    if odd := sorted(SETTINGS.keys() ^ settings.keys()):
        raise ValueError(f"settings must be those of recipe.SETTINGS; {odd[0]!r} is unknown or missing")
    for key, choices in CHOICES.items():
        if settings[key] not in choices and settings[key] != SETTINGS[key]:
            raise ValueError(f"{key} must be one of {', '.join(choices)}; got {settings[key]!r}")


def load_data(settings, *, strict=False):
    """The data set that the settings name, split as they say."""
    keys = ("val", "test", "group", "split_seed", "grey")
    return data.load(settings["data"], **{key: settings[key] for key in keys}, strict=strict)


def image_size(settings, images):
    """(H, W) of what the network sees: the size that is asked for, that of images in memory, or 224."""
    own = images.pixels.shape[1:3] if isinstance(images, data.ArrayImages) else (224, 224)
    return (settings["size"],) * 2 if settings["size"] else tuple(own)


def eval_transforms(size, resize=None):
    """The middle of each image at this size (H, W), its shorter side as long as the network's, or `resize`."""
    return transforms.Resize(resize or min(size)), transforms.CenterCrop(size)


def train_transforms(settings, size):
    """As eval_transforms, but varied, differently in each epoch, as the settings say."""
    steps = [transforms.RandomRotation(settings["rotate"])] if settings["rotate"] else []
    shift = settings["shift"]
    if settings["zoom"]:
        if size[0] != size[1]:
            raise ValueError(f"zoom is for square images; got {size[0]}x{size[1]}: give a size")
        steps.append(transforms.RandomResizedCrop(size[0], scale=(settings["zoom"], 1.0)))
    else:
        steps += eval_transforms(size)
        shift = min(size) // 8 if shift is None else shift
    if shift:
        if shift >= min(size):
            raise ValueError(f"shift must be less than the {min(size)} pixels of an image; got {shift}")
        steps.append(transforms.RandomCrop(size, padding=shift))
    if settings["flip"]:
        steps.append(transforms.RandomHorizontalFlip())
    if settings["jitter"]:
        steps.append(transforms.ColorJitter(brightness=settings["jitter"], contrast=settings["jitter"]))
    return tuple(steps)


def build_model(settings, channels, size, num_classes, ops=numpy_resnet_ops):
    """The network, with the stem for small images below 64 pixels unless the settings say which."""
    cifar = settings["model"].startswith("cifar_")
    stem = settings["stem"] or (None if cifar else "cifar" if min(size) < 64 else "imagenet")
    options = imagenet_options(settings["model"], stem=stem, width=settings["width"])
    options |= {"seed": settings["seed"], "dropout": settings["dropout"], "ops": ops}
    return MODELS[settings["model"]](num_classes, in_channels=channels, **options)


def freeze(model, last):
    """Freeze the layers up to this stage, "stem" or "layer1" to "layer4"; none for None."""
    if last is None:
        return
    names = [name for name, _ in model.children()]
    end = "layer1" if last == "stem" else names[names.index(last) + 1] if last in names else None
    if end is None:
        raise ValueError(f"freeze must name a stage of {model.name}; it has no {last}")
    for _, layer in model.children()[: names.index(end)]:
        layer.freeze()


def imagenet_options(model, **options):
    """Those of stem and width that are given, for a network that has the choice."""
    given = {key: value for key, value in options.items() if value is not None}
    if given and model.startswith("cifar_"):
        raise ValueError(f"a {min(given)} is for the ImageNet networks; the CIFAR nets have one: leave it out")
    return given


def build_optimizer(settings, model, batches):
    """The optimizer, and the schedule of its rate over epochs of so many batches."""
    steps, lr = settings["epochs"] * batches, settings["lr"]
    lr = {"sgd": 0.02, "adamw": 1e-3}[settings["optimizer"]] if lr is None else lr
    if settings["optimizer"] == "sgd":
        optimizer = optim.SGD(model, lr, momentum=0.9, weight_decay=settings["weight_decay"], nesterov=True)
    else:
        optimizer = optim.AdamW(model, lr, weight_decay=settings["weight_decay"])
    schedules = {
        "one-cycle": partial(optim.one_cycle, steps=steps),
        "cosine": partial(optim.cosine, steps=steps),
        "constant": optim.constant,
    }
    return optimizer, schedules[settings["schedule"]](lr, warmup=settings["warmup"])


def positive_class(settings, classes):
    """Of two classes, the index of the one that is to be found: the second, unless the settings name one. Else None."""
    name = settings["positive"]
    if len(classes) != 2:
        if name or settings["sensitivity"]:
            raise ValueError(f"positive and sensitivity are for two classes; there are {len(classes)}: leave them out")
        return None
    if name is not None and name not in classes:
        raise ValueError(f"positive must be one of the classes {', '.join(classes)}; got {name!r}")
    return 1 if name is None else classes.index(name)
