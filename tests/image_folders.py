"""Small folders of images to train on."""

import numpy as np
from PIL import Image


def make_folder(folder, *, n=12, parts=("train", "test"), classes=("DARK", "LIGHT"), size=(18, 12), seed=0):
    """n PNG files of each class in each part: noise, darker or lighter by class; two of each person."""
    rng = np.random.default_rng(seed)
    for p, part in enumerate(parts):
        for k, name in enumerate(classes):
            (folder / part / name).mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 200, (*size, 3)) + 55 * k // max(1, len(classes) - 1)
                file = f"person{1000 * p + 100 * k + i // 2}_{i}.png"
                Image.fromarray(pixels.astype(np.uint8)).save(folder / part / name / file)
    return folder
