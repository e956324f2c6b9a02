"""Training does not leak: loader, network and optimizer come back to the memory they had."""

import gc
from pathlib import Path

import numpy as np
import pytest

from numpy_resnet import data, models, optim, train
from numpy_resnet.data.transforms import RandomCrop, RandomHorizontalFlip
from numpy_resnet.models.blocks import residual_block

STATM = Path("/proc/self/statm")


def resident():
    """Bytes of this process that are in memory."""
    gc.collect()
    return int(STATM.read_text().split()[1]) * 4096


@pytest.mark.real_size
@pytest.mark.skipif(not STATM.exists(), reason="only Linux tells the resident memory in /proc")
def test_eight_hundred_steps_take_less_than_two_megabytes_more_than_eighty():
    rng = np.random.default_rng(0)
    images = data.ArrayImages(rng.integers(0, 256, (160, 8, 8), dtype=np.uint8), rng.integers(0, 3, 160))
    loader = data.Loader(images, (RandomCrop(8, 1), RandomHorizontalFlip()))
    model, seen = models.CifarResNet("resnet8", residual_block, 1, 3, in_channels=1), []
    sgd = optim.SGD(model, 0.01, momentum=0.9)
    options = {"epochs": 10, "batch_size": 2, "save": lambda progress: seen.append((progress.step, resident()))}
    train.fit(model, sgd, optim.constant(0.01), loader, data.Loader(images.subset(range(8))), **options)
    steps, memory = zip(*seen, strict=True)
    assert (steps[0], steps[-1]) == (80, 800)
    assert memory[-1] - memory[0] < 2e6, [f"{m / 1e6:.1f}" for m in memory]
