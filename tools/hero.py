r"""The picture at the top of the README: an image through a trained ResNet-18, and the gradient of its loss back.

    numpy-resnet train --data chest-xray --group 'person\d+|IM-\d+' --grey --size 224 --zoom 0.6 --rotate 10 \
        --jitter 0.3 --class-weights --batch-size 32 --epochs 5 --out runs/hero       (docs/hero.png: its third epoch)
    python tools/hero.py runs/hero .../test/PNEUMONIA/person101_bacteria_484.jpeg docs/hero.png

The folder of the image is its class.
"""

import argparse
from pathlib import Path

import numpy as np

from numpy_resnet import data, layers, ops, plots, train


def main(run, image, out):
    trained, image = train.load_trained(run), Path(image)
    model, label = trained.model.eval(), trained.classes.index(image.parent.name)
    x = trained.prepare(data.read_image(image, trained.mode))[None]
    logits = model.infer(x)
    loss, cache = ops.cross_entropy(logits, np.array([label]))
    seen = {t.name: t for t in layers.trace(model, x, ops.cross_entropy_backward(1.0, cache))}

    last = {name.split(".")[0]: name for name in seen}
    last["layer4"] = max(
        name for name in seen if name.startswith("layer4.0.")
    )  # behind the last, all pixels share alike
    last["stem"] = last.pop("maxpool")
    names = ("stem", "layer1", "layer2", "layer3", "layer4")
    stages = [(name, seen[last[name]].output[0], seen[last[name]].upstream[0]) for name in names]
    verdict = [image.parent.name, f"p = {ops.softmax(logits)[0][0, label]:.2f}", f"loss {loss:.2f}"]
    plots.passes(
        x[0],
        stages,
        seen["conv1"].downstream[0],
        verdict,
        title="ResNet-18, there and back: every backward written by hand",
        words=("y, cache = f(x)", "dx = f_backward(dy, cache)"),
    ).savefig(out, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("run", "image", "out"):
        parser.add_argument(name)
    main(**vars(parser.parse_args()))
