"""numpy-resnet predict and explain: what a network says of images, and where it looked."""

import csv
import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from numpy_resnet import data, ops, plots, train
from numpy_resnet.cli.options import add_weights, find_weights, new_command, new_file
from numpy_resnet.grad_cam import grad_cam
from numpy_resnet.train import folder

PREDICT = """\
Class and probability of images: files, or folders, which are searched at any depth. Images should look like those of
the training: the digits are light ink on a dark ground, and fill the image. A file that cannot be read is named, and
does not stop the rest; the exit code is then 1. Of two classes the one comes first that the threshold decides for.
"""
EXPLAIN = """\
Where the network looked: a heat map over each image, of the places that spoke for the class (Grad-CAM), in one picture.
"""
BATCH = 32  # images at once
MOST = 40  # in one picture


def add_commands(commands):
    parser = new_command(commands, predict, "predict", "class and probability of images", PREDICT)
    _add_images(parser.add_argument)
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="a JSON list, with the probability of every class")
    output.add_argument("--csv", action="store_true", help="a table with the probability of every class")

    add = new_command(commands, explain, "explain", "where the network looked, as a heat map", EXPLAIN).add_argument
    _add_images(add)
    add("--class", dest="name", metavar="CLASS", help="what to look for (default: what the network says)")
    add("--layer", metavar="NAME", help="such as layer3 (default: the deepest stage with maps of 6 pixels or more)")
    add("--out", type=Path, metavar="PNG", help="a new file (default: explanation.png, explanation-2.png ...)")


def _add_images(add):
    add("images", nargs="+", type=Path, metavar="IMAGE", help="PNG, JPEG ..., or a folder of them; resized to fit")
    add_weights(add)
    add("--which", choices=("best", "last"), default="best", help="epoch (default: best, by validation loss)")


def _load(args):
    return train.load_trained(find_weights(args.weights or folder.newest_run()), args.which)


def predict(args):
    trained = _load(args)
    paths = _files(args.images)
    answers = _answers(trained, paths)
    write = _write_csv if args.csv else _write_json if args.json else _write_lines
    return 1 if write(trained.classes, answers) else 0


def _files(paths):
    """Files as they are named, folders with all images in them."""
    found = []
    for path in paths:
        inside = data.find_files(path) if path.is_dir() else [path]
        if not inside:
            raise ValueError(f"{path} must hold images; there are none in it")
        found += inside
    return found


class Answer(NamedTuple):
    """What the network says of a file, or why it says nothing."""

    path: Path
    predicted: int | None = None
    probabilities: np.ndarray | None = None  # (num_classes,)
    error: str | None = None


def _answers(trained, paths):
    """An Answer for each path, in their order; a few images are in memory at a time."""
    quiet = True if len(paths) <= BATCH else None
    with tqdm(total=len(paths), unit="image", leave=False, disable=quiet) as bar:
        for start in range(0, len(paths), BATCH):
            here = paths[start : start + BATCH]
            read, errors = _read(trained, here)
            if read:
                probabilities, _ = ops.softmax(trained.model.infer(np.stack(list(read.values()))))
                guesses = trained.decide(probabilities)
                said = {p: Answer(p, int(k), row) for p, k, row in zip(read, guesses, probabilities, strict=True)}
            for path in here:
                yield Answer(path, error=errors[path]) if path in errors else said[path]
            bar.update(len(here))


def _read(trained, paths):
    """{path: x (C, H, W)} of those that can be read, {path: why not} of the others."""
    read, errors = {}, {}
    for path in paths:
        try:
            read[path] = trained.prepare(data.read_image(path, trained.mode))
        except data.ImageError as error:
            errors[path] = str(error)
    return read, errors


def _complain(answer):
    if answer.error:
        tqdm.write(f"numpy-resnet: {answer.error}", file=sys.stderr)
    return bool(answer.error)


def _write_lines(classes, answers):
    """The class that is decided on first, then the likeliest others.   Returns how many files failed"""
    failed = 0
    for answer in answers:
        if _complain(answer):
            failed += 1
            continue
        p = answer.probabilities
        ranking = sorted(range(len(p)), key=lambda k: (k != answer.predicted, -p[k]))[:3]
        tqdm.write(f"{answer.path}: " + ", ".join(f"{classes[k]} {p[k]:.1%}" for k in ranking))
    return failed


def _write_json(classes, answers):
    rows = []
    for answer in answers:
        if _complain(answer):
            rows.append({"file": str(answer.path), "error": answer.error})
            continue
        p = [float(value) for value in answer.probabilities]
        row = {"file": str(answer.path), "class": classes[answer.predicted], "probability": p[answer.predicted]}
        rows.append(row | {"probabilities": dict(zip(classes, p, strict=True))})
    print(json.dumps(rows, indent=2))
    return sum("error" in row for row in rows)


def _write_csv(classes, answers):
    writer, failed = csv.writer(sys.stdout, lineterminator="\n"), 0
    writer.writerow(["file", "class", "probability", *(f"p({name})" for name in classes), "error"])
    for answer in answers:
        if _complain(answer):
            writer.writerow([answer.path, "", "", *("" for _ in classes), answer.error])
            failed += 1
            continue
        p = [f"{value:.6f}" for value in answer.probabilities]
        writer.writerow([answer.path, classes[answer.predicted], p[answer.predicted], *p, ""])
    return failed


def explain(args):
    trained = _load(args)
    if args.name is not None and args.name not in trained.classes:
        raise ValueError(f"--class must be one of {', '.join(trained.classes)}; got {args.name!r}")
    out, paths = new_file(args.out, "explanation.png"), _files(args.images)
    if len(paths) > MOST:
        raise ValueError(f"one picture has room for {MOST} images; got {len(paths)}: name fewer")
    read, errors = _read(trained, paths)
    for error in errors.values():
        print(f"numpy-resnet: {error}", file=sys.stderr)
    if not read:
        raise ValueError("there must be an image that can be read; there is none")
    x = np.stack(list(read.values()))
    said = trained.decide(ops.softmax(trained.model.infer(x))[0])
    classes = said if args.name is None else np.full(len(x), trained.classes.index(args.name))
    parts = [grad_cam(trained.model, x[i : i + 8], classes[i : i + 8], layer=args.layer) for i in range(0, len(x), 8)]
    maps, p = (np.concatenate([getattr(part, key) for part in parts]) for key in ("maps", "probabilities"))
    captions = [f"{trained.classes[k]} {row[k]:.1%}" for k, row in zip(classes, p, strict=True)]
    for path, caption in zip(read, captions, strict=True):
        print(f"{path}: {caption}")
    title = f"What {parts[0].layer} saw (Grad-CAM)"
    labels = [f"{caption}\n{_short(path.name)}" for path, caption in zip(read, captions, strict=True)]
    picture = plots.heat_maps(trained.as_seen(x), maps, labels, title=title, columns=min(4, len(x)))
    folder.save_picture(out, picture)
    print(f"picture: {out}")
    return 1 if errors else 0


def _short(name, most=24):
    return name if len(name) <= most else f"{name[: most - 1]}…"
