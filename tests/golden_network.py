"""What the golden test of whole networks and the script that made its numbers share."""

import numpy as np

SEED = 20151210
STEPS = 3
SGD = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3, "nesterov": True}
NETWORKS = {  # name: shape of the images, number of classes
    "resnet18": ((3, 3, 41, 54), 7),
    "resnet50": ((2, 3, 40, 33), 5),
    "cifar_resnet20": ((4, 3, 11, 14), 10),
}


def weights(shapes):
    """{key: array} for the keys and shapes of a state_dict, every number random, batch norm's too."""
    rng, state = np.random.default_rng(SEED), {}
    for key, shape in shapes.items():
        if key.endswith("num_batches_tracked"):
            state[key] = np.zeros((), np.int64)
        elif len(shape) > 1:
            state[key] = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        elif key.endswith(("weight", "running_var")):
            state[key] = rng.uniform(0.5, 1.5, shape)
        else:
            state[key] = 0.2 * rng.standard_normal(shape)
    return state


def images(name):
    """x (N, C, H, W) and labels (N,)."""
    shape, classes = NETWORKS[name]
    rng = np.random.default_rng(SEED + 1)
    return rng.standard_normal(shape), rng.integers(0, classes, shape[0])


def fingerprint(array):
    """22 numbers that tell arrays apart: largest, norm, three projections, 16 entries (both seeded), size."""
    flat = np.ascontiguousarray(array, np.float64).reshape(-1)
    rng = np.random.default_rng(flat.size)
    projections = [flat @ rng.standard_normal(flat.size) / np.sqrt(flat.size) for _ in range(3)]
    entries = flat[rng.integers(0, flat.size, 16)]
    return np.array([np.abs(flat).max(), np.linalg.norm(flat), *projections, *entries, flat.size])


def record(logits, losses, dx, gradients, running, parameters):
    """{name: fingerprint} of one run: a training step's gradients and statistics, the parameters after STEPS steps."""
    named = {"logits": logits, "losses": np.array(losses), "dx": dx}
    named |= {f"gradient/{key}": array for key, array in gradients.items()}
    named |= {f"running/{key}": array for key, array in running.items()}
    named |= {f"parameter/{key}": array for key, array in parameters.items()}
    return {name: fingerprint(array) for name, array in named.items()}
