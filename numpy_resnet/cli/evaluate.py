"""numpy-resnet evaluate"""

from pathlib import Path

import numpy as np

from numpy_resnet import metrics, plots, train
from numpy_resnet.cli.options import add_workers, find_weights, new_command
from numpy_resnet.grad_cam import grad_cam
from numpy_resnet.train import folder, recipe

HELP = """\
How good a trained network is on the test images, which training never looked at. Prints accuracy and confusion
matrix (for two classes AUC, and sensitivity and specificity at the threshold chosen on the validation images), and
writes them, the probabilities of every image, and pictures into a new folder in the run's: confusion matrix, ROC curve
(two classes), the most confident mistakes, and what the network saw in them (Grad-CAM).
"""
MISTAKES = 40  # in the grid; the first of them are explained
EXPLAINED = 12


def add_commands(commands):
    add = new_command(
        commands, evaluate, "evaluate", "how good a trained network is on the test images", HELP
    ).add_argument
    add(
        "run",
        nargs="?",
        type=Path,
        metavar="RUN",
        help="a run's folder, a weights file, or imagenet (default: the newest run)",
    )
    add("--weights", type=Path, metavar="FILE", help="the same as RUN, as other commands call it")
    add("--which", choices=("best", "last"), default="best", help="epoch (default: best, by validation loss)")
    add("--part", choices=("test", "val", "train"), default="test", help="of the data (default: test)")
    add("--data", metavar="NAME|PATH", help="where the data are now, if they have moved")
    add_workers(add)


def evaluate(args):
    if args.run and args.weights:
        raise ValueError(f"name one network; got {args.run} and --weights {args.weights}")
    run = find_weights(args.run or args.weights or folder.newest_run())
    trained = train.load_trained(run, args.which)
    if not trained.fingerprints and not args.data:
        raise ValueError(f"--data must say on which images: {run} is no run of `numpy-resnet train`, and tells none")
    settings = trained.settings | ({"data": args.data} if args.data else {})
    dataset = recipe.load_data(settings, strict=args.strict)
    images = getattr(dataset, args.part)
    if dataset.classes != trained.classes:
        raise ValueError(
            f"{settings['data']} must have the classes of {run}, {', '.join(trained.classes)}; it has "
            f"{', '.join(dataset.classes)}: is this the folder that it was trained on?"
        )
    if images.mode != trained.mode:
        raise ValueError(f"{settings['data']} must be of mode {trained.mode}, as {run} is; it is {images.mode}")
    _check_part(args, trained, images)
    loader = trained.loader(images, workers=args.workers, strict=args.strict)
    result = train.evaluate(trained.model, loader, class_weight=trained.class_weight)
    skipped = len(images) - len(result.labels)
    where = f"{len(result.labels):,} {args.part} images of {dataset.name}"
    where += f", without {skipped:,} that cannot be read" if skipped else ""
    when = f", epoch {trained.epoch}, step {trained.step:,}" if trained.fingerprints else ""
    print(f"{trained.model.name}, {trained.path}{when}, on {where}")
    verdict = None if trained.threshold is None else train.judge(result, trained.positive, trained.threshold)
    what = "the likeliest class: " if verdict else ""
    print(f"{what}accuracy {result.accuracy:.2%} ({_wrong(result.confusion)}), loss {result.loss:.4f}")
    if verdict:
        print(train.describe(verdict, trained.classes[trained.positive]))
    confusion = verdict.confusion if verdict else result.confusion
    _print_confusion(confusion, trained.classes)

    own = trained.path.parent if trained.fingerprints else Path("runs") / trained.path.stem
    out = folder.new_folder(None, own / args.part)
    _write_figures(out, args, trained, result, skipped, verdict)
    _write_predictions(out, images, trained, result)
    _write_pictures(out, images, trained, result, verdict, confusion, args.workers)
    print(f"\nfigures, probabilities and pictures in {out}")


def _check_part(args, trained, images):
    """The images must be those that were set aside, or images from elsewhere; never some that it was trained on."""
    if images.fingerprint() == trained.fingerprints.get(args.part):
        return
    if not trained.fingerprints:
        return
    if args.data is None:
        raise ValueError(
            f"the {args.part} images must be those that were set aside when {trained.path.parent} was trained; images "
            "have come, gone or changed, so that some may have been trained on: put them back, or name others by --data"
        )
    print(f"note: these are not the {args.part} images that were set aside when it was trained")


def _wrong(confusion):
    return f"{confusion.sum() - np.trace(confusion):,} of {confusion.sum():,} wrong"


def _print_confusion(confusion, classes):
    width = max(5, *(len(name) for name in classes)) + 2
    first = max(16, *(len(name) for name in classes)) + 2
    print("\n" + "true \\ predicted".ljust(first) + "".join(name.rjust(width) for name in classes) + "  recall")
    for name, row, recall in zip(classes, confusion, metrics.recall(confusion), strict=True):
        share = "-" if np.isnan(recall) else f"{recall:.1%}"
        print(name.ljust(first) + "".join(str(count or ".").rjust(width) for count in row) + share.rjust(8))


def _write_figures(out, args, trained, result, skipped, verdict):
    content = {
        "weights": str(trained.path.name),
        "epoch": trained.epoch,
        "step": trained.step,
        "part": args.part,
        "images": len(result.labels),
        "skipped": skipped,
        "loss": result.loss,
        "accuracy": result.accuracy,
        "classes": list(trained.classes),
        "confusion": result.confusion.tolist(),
        "recall": [None if np.isnan(value) else value for value in metrics.recall(result.confusion).tolist()],
    }
    if verdict:
        at = verdict._asdict() | {"positive": trained.classes[trained.positive]}
        content["at_threshold"] = at | {"confusion": verdict.confusion.tolist()}
    folder.write_json(out / "metrics.json", content)


def _write_predictions(out, images, trained, result):
    predicted = trained.decide(result.probabilities)
    rows = [
        {"image": images.name(i), "class": trained.classes[label], "predicted": trained.classes[guess]}
        | {f"p({name})": float(p) for name, p in zip(trained.classes, row, strict=True)}
        for i, label, guess, row in zip(result.indices, result.labels, predicted, result.probabilities, strict=True)
    ]
    folder.write_csv(out / "predictions.csv", rows)


def _write_pictures(out, images, trained, result, verdict, confusion, workers):
    folder.save_picture(out / "confusion_matrix.png", plots.confusion_matrix(confusion, trained.classes))
    if verdict:
        curve = metrics.roc_curve(result.probabilities[:, trained.positive], result.labels == trained.positive)
        point = (verdict.threshold, verdict.sensitivity, verdict.specificity)
        folder.save_picture(out / "roc.png", plots.roc(curve, verdict.auc, point=point))

    predicted = trained.decide(result.probabilities)
    wrong = predicted != result.labels
    sure = result.probabilities[np.arange(len(predicted)), predicted]
    first = np.lexsort((-sure, ~wrong))[:MISTAKES]  # mistakes, the most confident first; then what is right
    title = f"{wrong.sum():,} of {len(wrong):,} wrong; here {wrong[first].sum()}, the most confident first"
    loader = trained.loader(images.subset(result.indices[first]), workers=workers, strict=True)
    x = np.concatenate([batch.x for batch in loader.in_order()])
    shown = trained.as_seen(x)
    labels, guesses, rows = result.labels[first], predicted[first], result.probabilities[first]
    picture = plots.predictions(shown, labels, guesses, rows, trained.classes, title=title)
    folder.save_picture(out / "mistakes.png", picture)

    few = slice(0, EXPLAINED)
    seen = grad_cam(trained.model, x[few], guesses[few])
    captions = [
        f"{trained.classes[guess]} {row[guess]:.0%}" + ("" if guess == label else f"\nnot {trained.classes[label]}")
        for label, guess, row in zip(labels[few], guesses[few], rows[few], strict=True)
    ]
    title = f"What {seen.layer} saw of the predicted class (Grad-CAM)"
    picture = plots.heat_maps(shown[few], seen.maps, captions, wrong=wrong[first][few], title=title)
    folder.save_picture(out / "grad_cam.png", picture)
