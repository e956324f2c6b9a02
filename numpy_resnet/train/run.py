"""One training run, from its settings to its folder."""

import json
import platform
import re
import shlex
from importlib import metadata
from pathlib import Path

import numpy as np

from numpy_resnet import __version__, checkpoint, data, metrics, plots
from numpy_resnet import ops as numpy_resnet_ops
from numpy_resnet.train import folder, presets, recipe
from numpy_resnet.train.evaluation import evaluate, judge
from numpy_resnet.train.loop import Progress, Stopped, balanced_weights, fit, is_best


class Run:
    """Reads the data and builds the network; `run(out)` trains it, and leaves everything in the folder `out`.

    settings: recipe.SETTINGS, changed; workers and strict are the Loader's; ops: what the network and its loss are made
    of, as of `ops.replaced`. Training images that cannot be read are
    named in a warning and left out from the beginning, or raise ImageError if strict.
    """

    def __init__(self, settings, *, workers=2, strict=False, ops=numpy_resnet_ops):
        recipe.check_settings(settings)
        loading, dataset = {"workers": workers, "strict": strict}, recipe.load_data(settings, strict=strict)
        self.settings = settings = _normalised(settings, dataset.train.channels)
        self.classes, self.name, self.test = dataset.classes, dataset.name, dataset.test
        self.fingerprints = fingerprints(dataset)
        self.size = recipe.image_size(settings, dataset.train)
        fixed = recipe.eval_transforms(self.size)
        seen = data.scan(dataset.train, fixed, **loading, title="reading the training images")
        seen_val = data.scan(dataset.val, fixed, **loading, title="reading the validation images")
        images, val = dataset.train.subset(seen.kept), dataset.val.subset(seen_val.kept)
        self._check_classes(images, "train on")
        if len(self.classes) == 2:
            self._check_classes(val, "choose the threshold on")
        mean, std = settings["mean"], settings["std"]
        loading |= {"mean": seen.mean if mean is None else mean, "std": seen.std if std is None else std}
        self.loader = data.Loader(images, recipe.train_transforms(settings, self.size), **loading)
        self.val_loader = data.Loader(val, fixed, **loading)
        self.starts = data.batch_starts(len(images), settings["batch_size"])
        self.model = recipe.build_model(settings, images.channels, self.size, len(self.classes), ops)
        recipe.freeze(self.model, settings["freeze"])
        self.optimizer, self.schedule = recipe.build_optimizer(settings, self.model, len(self.starts))
        weigh = settings["class_weights"]
        self.class_weight = balanced_weights(images.labels, len(self.classes)) if weigh else None
        self.positive = recipe.positive_class(settings, self.classes)

    def _check_classes(self, images, purpose):
        if missing := set(range(len(self.classes))) - set(images.labels.tolist()):
            raise ValueError(f"every class must have an image to {purpose}; {self.classes[min(missing)]!r} has none")

    def run(self, out=None, *, resume=False, is_time_to_save=None, should_stop=None):
        """Train in a folder that is new or empty (runs/DATA, runs/DATA-2 ... by default), or go on with one's run.

        Returns the history. Raises as fit does, and ValueError for a folder that holds something else, or began with
        other images.
        """
        if not resume:
            self._load_weights()  # before there is a folder
        name = re.sub(r"[^\w.-]+", "-", self.name)
        self.out = Path(out) if resume else folder.new_folder(out, Path("runs") / name)
        with folder.alone(self.out):
            progress = self._restore() if resume else self._begin()
            self._print_beginning(progress)
            options = {key: self.settings[key] for key in ("epochs", "batch_size", "seed")}
            try:
                history = fit(
                    self.model, self.optimizer, self.schedule, self.loader, self.val_loader, **options,
                    class_weight=self.class_weight, measure=self._measure, progress=progress, save=self._save,
                    is_time_to_save=is_time_to_save, should_stop=should_stop,
                )  # fmt: skip
            except FloatingPointError as error:
                last = self.out / "last.npz"
                kept = f" ({last} is of an earlier step)" if last.exists() else ""
                raise FloatingPointError(f"{error}{kept}") from None
            except Stopped as stopped:
                command = f"numpy-resnet train --resume {shlex.quote(str(self.out))}"
                raise Stopped(f"{stopped}; all is saved. To go on:  {command}") from None
            self._finish(history)
        return history

    def _begin(self):
        """What was asked for, with which images, and what runs."""
        config = {"settings": self.settings, "versions": versions(), "fingerprints": self.fingerprints}
        folder.write_json(self.out / "config.json", config)
        return Progress()

    def _load_weights(self):
        """Those to begin with, if there are any."""
        if path := self.settings["weights"]:
            replaced = checkpoint.load_weights(path, self.model, new_classes=True)
            last = f"; the last layer is new, for {len(self.classes)} classes" if replaced else ""
            print(f"weights: {path}{last}")

    def _restore(self):
        """Model, optimizer and progress as the run left them; the beginning, if nothing was saved yet."""
        config, path = folder.read_config(self.out), self.out / "last.npz"
        for part in ("train", "val"):
            if config["fingerprints"].get(part) != self.fingerprints[part]:
                raise ValueError(
                    f"the {part} images must be those that {self.out} began with, and these are not: put the images "
                    "back, or begin a new run"
                )
        if differ := [name for name, version in versions().items() if config["versions"].get(name) != version]:
            print(f"note: this run began with another version of {', '.join(differ)}; the last bits may differ")
        if not path.exists():
            self._load_weights()
            return Progress()
        about = checkpoint.load_training(path, self.model, self.optimizer)
        about["settings"] = recipe.SETTINGS | about["settings"]
        now = json.loads(json.dumps(self._about(Progress())))
        for key in ("settings", "classes", "image_size", "mode", "mean", "std"):
            then, new = ({**x[key], "data": ""} if key == "settings" else x[key] for x in (about, now))
            if then != new:
                raise ValueError(f"{path} must be of this run; its {key} are not those of config.json and the images")
        return Progress(**about["progress"])

    def _measure(self, val):
        """Of two classes: the area under the ROC curve, and the threshold to use."""
        if self.positive is None:
            return {}
        scores, truth = val.probabilities[:, self.positive], val.labels == self.positive
        threshold = metrics.choose_threshold(scores, truth, self.settings["sensitivity"])
        return {"val_auc": metrics.auc(scores, truth), "val_threshold": threshold}

    def _save(self, progress):
        """The files that a later checkpoint can make again, then the checkpoint: a kill in between loses nothing."""
        about = self._about(progress)
        if progress.batch == 0:  # an epoch is complete
            self._print_epoch(progress.history)
            folder.write_csv(self.out / "history.csv", progress.history)
            if is_best(progress.history):
                checkpoint.save_model(self.out / "best.npz", self.model, about)
        try:
            checkpoint.save_training(
                self.out / "last.npz", self.model, self.optimizer, about | {"progress": vars(progress)}
            )
        except FloatingPointError as error:
            where = f"after step {progress.step:,}, at a learning rate of {self.optimizer.lr:g}"
            raise FloatingPointError(f"{where}: {error}") from None

    def _about(self, progress):
        """What evaluation and prediction need to know. A threshold is of the weights at the end of an epoch alone."""
        complete = progress.history[-1] if progress.history and progress.batch == 0 else {}
        return {
            "settings": self.settings,
            "data": self.name,
            "classes": list(self.classes),
            "image_size": list(self.size),
            "mode": self.loader.images.mode,
            "mean": self.loader.mean.tolist(),
            "std": self.loader.std.tolist(),
            "positive": self.positive,
            "threshold": complete.get("val_threshold"),
            "class_weight": None if self.class_weight is None else self.class_weight.tolist(),
            "epoch": len(progress.history),
            "step": progress.step,
            "fingerprints": self.fingerprints,
        }

    def _print_beginning(self, progress):
        images, batch_size = len(self.loader.images), self.settings["batch_size"]
        (H, W), steps = self.size, len(self.starts)
        last = images - self.starts[-1]
        count, learn = (sum(array.size for array in arrays) for arrays in _parameters(self.model))
        some = f", {learn:,} of them learn" if learn < count else ""
        print(
            f"{self.model.name}, {count:,} parameters{some}; {self.name}, {len(self.classes)} classes, {H}x{W} pixels"
        )
        print(f"training images: {images:,} ({_counts(self.loader.images.labels, self.classes)})")
        if group := self.settings["group"]:
            names = [Path(path).name for loader in (self.loader, self.val_loader) for path in loader.images.paths]
            print(
                f"groups:          {len(set(data.groups_of(names, group))):,} of {len(names):,} images, by their names"
            )
        print(f"validation:      {len(self.val_loader.images):,}; test, not looked at: {len(self.test or ()):,}")
        whole = f"{steps:,} steps of {batch_size}" + (f", the last of {last}" if last != batch_size else "")
        print(f"an epoch is {whole if steps > 1 else f'one step of {last}'}")
        if progress.step:
            print(f"goes on in epoch {progress.epoch}, after step {progress.step:,}")
        print(
            "\nepoch  train loss  accuracy   val loss  accuracy"
            + "       AUC" * (self.positive is not None)
            + "  images/s"
        )
        for n in range(len(progress.history)):
            self._print_epoch(progress.history[: n + 1])

    def _print_epoch(self, history):
        h, star = history[-1], "  best" if is_best(history) else ""
        auc = f"  {h['val_auc']:>8.4f}" if self.positive is not None else ""
        print(
            f"{h['epoch']:>5}  {h['train_loss']:>10.4f}  {h['train_accuracy']:>8.2%}  {h['val_loss']:>9.4f}"
            f"  {h['val_accuracy']:>8.2%}{auc}  {h['images_per_second']:>8.0f}{star}",
            flush=True,
        )

    def _finish(self, history):
        """The pictures, and how good the best epoch is on the validation images."""
        folder.save_picture(self.out / "learning_curves.png", plots.learning_curves(history))
        best, about = checkpoint.load_model(self.out / "best.npz")
        folder.save_picture(self.out / "filters.png", plots.filters(best.conv1.params["weight"]))
        val = evaluate(best, self.val_loader, class_weight=self.class_weight, title="validation")
        seconds = sum(row["seconds"] for row in history)
        print(f"\nbest epoch: {about['epoch']} of {len(history)}; the steps of training took {seconds:.0f} s")
        print(f"validation accuracy {val.accuracy:.2%}, loss {val.loss:.4f}")
        if self.positive is not None:
            verdict = judge(val, self.positive, about["threshold"])
            print(describe(verdict, self.classes[self.positive]))
        print(f"all in {self.out}; how good it is on the test images, once:")
        print(f"  numpy-resnet evaluate {shlex.quote(str(self.out))}")


def _normalised(settings, channels):
    """With weights to begin with, images are normalised as for these, unless the settings say how."""
    if settings["weights"] is None or settings["mean"] is not None or settings["std"] is not None:
        return settings
    told = presets.normalisation(settings["weights"])
    return settings | {"mean": told[0], "std": told[1]} if told and len(told[0]) == channels else settings


def _parameters(model):
    """All parameters, and those that are not frozen."""
    every = [param for _, layer in model.named_layers() for param in layer.params.values()]
    return every, [param for _, param, _ in model.named_parameters()]


def describe(verdict, positive):
    """One line on a Verdict."""
    return (
        f"AUC {verdict.auc:.4f}; {positive} from a probability of {verdict.threshold:.3f} on: accuracy "
        f"{verdict.accuracy:.2%}, sensitivity {verdict.sensitivity:.2%}, specificity {verdict.specificity:.2%}"
    )


def fingerprints(dataset):
    """{part: text that other images would change}"""
    return {part: getattr(dataset, part).fingerprint() for part in ("train", "val", "test")}


def versions():
    """What the last bits of a run depend on."""
    own = {"numpy_resnet": __version__, "python": platform.python_version()}
    return own | {name: metadata.version(name) for name in ("numpy", "numba", "pillow")}


def _counts(labels, classes):
    counts = [
        f"{name} {count:,}" for name, count in zip(classes, np.bincount(labels, minlength=len(classes)), strict=True)
    ]
    return ", ".join(counts if len(counts) <= 10 else [*counts[:10], "..."])
