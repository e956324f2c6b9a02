"""Does depth help? Plain and residual nets of 20 and 56 layers on CIFAR-10, as in figure 6 of He et al. 2015, smaller.

    python benchmarks/depth.py          an hour on two busy cores; the curves go to results/depth.json

It needs 20,000 training images of CIFAR-10 or more, of which a tenth is held out for validation. They are halved to
16x16 pixels, and it is 1,692 steps instead of 64,000: smaller than the paper's in all but the question.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # another process may want a core

import numpy as np
from results import environment, load, save

from numpy_resnet import layers, train
from numpy_resnet.ops import cross_entropy, cross_entropy_backward
from numpy_resnet.train.recipe import SETTINGS

CHANGED = {
    "data": "cifar10",
    "size": 16,
    "epochs": 12,
    "batch_size": 128,
    "lr": 0.1,
    "weight_decay": 1e-4,
    "flip": True,
    "shift": 2,
}
MODELS = ("cifar_plain20", "cifar_plain56", "cifar_resnet20", "cifar_resnet56")


def gradient_norms(model, x, labels):
    """The size of the gradient that reaches each 3x3 convolution from above, in the order of forward, for one batch."""
    before = model.state_dict()
    model.train()
    dlogits = cross_entropy_backward(1.0, cross_entropy(model.forward(x), labels)[1])
    seen = layers.trace(model, x, dlogits)
    model.load_state_dict(before)  # the running statistics
    return [float(np.linalg.norm(t.upstream)) for t in seen if isinstance(t.layer, layers.Conv2d)]


def train_one(name):
    """One network: its curves, and its gradients before and after."""
    run = train.Run({**SETTINGS, **CHANGED, "model": name})
    x, labels, _ = next(iter(run.val_loader.in_order(batch_size=128)))
    start = gradient_norms(run.model, x, labels)
    with tempfile.TemporaryDirectory() as folder:
        history = run.run(Path(folder) / "run")
    keys = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
    return {
        "model": name,
        "depth": int(name[-2:]),
        "shortcuts": "resnet" in name,
        "history": [{key: row[key] for key in keys} for row in history],
        "gradient_norms": {"start": start, "end": gradient_norms(run.model, x, labels)},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"some of {', '.join(MODELS)} again")
    chosen = parser.parse_args().models or MODELS
    if odd := set(chosen) - set(MODELS):
        parser.error(f"there is no {odd.pop()}; there are {', '.join(MODELS)}")
    for name in chosen:
        runs = {run["model"]: run for run in load("depth").get("runs", ())}
        try:
            runs[name] = train_one(name)
        except ValueError as error:  # no such images here
            parser.error(str(error))
        ordered = [runs[key] for key in MODELS if key in runs]
        save("depth", {"environment": environment(2), "settings": CHANGED, "runs": ordered})


if __name__ == "__main__":
    main()
