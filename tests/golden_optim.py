"""What the golden test of the optimizers and the script that made its numbers share."""

import numpy as np

STEPS = 6
RATES = (0.1, 0.1, 0.05, 0.05, 0.2, 0.01)  # of each step
SHAPES = {"conv.weight": (3, 2, 2, 3), "bn.weight": (3,), "fc.weight": (4, 3), "fc.bias": (4,)}
OPTIMIZERS = {  # title: name, options
    "SGD": ("SGD", {"lr": 0.1}),
    "SGD, weight decay": ("SGD", {"lr": 0.1, "weight_decay": 0.02}),
    "SGD, momentum": ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.02}),
    "SGD, nesterov": ("SGD", {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.02, "nesterov": True}),
    "SGD, vectors spared": ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.2, "decay_vectors": False}),
    "AdamW": ("AdamW", {"lr": 0.1}),
    "AdamW, options": ("AdamW", {"lr": 0.1, "betas": (0.7, 0.95), "eps": 1e-3, "weight_decay": 0.3}),
    "AdamW, vectors spared": ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "decay_vectors": False}),
}
SCHEDULES = {  # title: name, options, steps; the largest rate is 0.3
    "multistep": ("multistep", {"milestones": [3, 4, 9], "factor": 0.2}, 12),
    "cosine": ("cosine", {}, 11),
    "one-cycle": ("one_cycle", {}, 40),
    "one-cycle, early peak": ("one_cycle", {"rise": 0.11}, 37),
}


def weights():
    rng = np.random.default_rng(5)
    return {key: rng.standard_normal(shape) for key, shape in SHAPES.items()}


def gradients(step):
    rng = np.random.default_rng([6, step])
    return {key: rng.standard_normal(shape) for key, shape in SHAPES.items()}
