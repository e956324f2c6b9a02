"""Write optim.npz: what PyTorch's optimizers make of given weights and gradients, and its learning rates.

    PYTHONPATH=tests python tests/golden/make_optim.py

The weights, the gradients and the options are those of golden_optim.py. Float64 throughout.
"""

from pathlib import Path

import numpy as np
import torch
from golden_optim import OPTIMIZERS, RATES, SCHEDULES, STEPS, gradients, weights
from torch.optim import lr_scheduler


def run(name, options):
    """{key: weights after STEPS steps}"""
    options, params = dict(options), {key: torch.tensor(array).requires_grad_() for key, array in weights().items()}
    groups = [{"params": list(params.values())}]
    if not options.pop("decay_vectors", True):
        groups = [{"params": [p for p in params.values() if p.ndim > 1]}]
        groups += [{"params": [p for p in params.values() if p.ndim == 1], "weight_decay": 0.0}]
    optimizer = getattr(torch.optim, name)(groups, **options)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATES[step]
        for key, gradient in gradients(step).items():
            params[key].grad = torch.tensor(gradient)
        optimizer.step()
    return {key: param.detach().numpy() for key, param in params.items()}


def rates(name, options, steps):
    """The learning rate at each step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    if name == "one_cycle":
        options = {"pct_start": options["rise"]} if "rise" in options else {}
        schedule = lr_scheduler.OneCycleLR(optimizer, 0.3, total_steps=steps, cycle_momentum=False, **options)
    elif name == "cosine":
        schedule = lr_scheduler.CosineAnnealingLR(optimizer, steps)
    else:
        schedule = lr_scheduler.MultiStepLR(optimizer, options["milestones"], options["factor"])
    found = []
    for step in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < steps - 1:
            schedule.step()
    return np.array(found)


def main():
    members = {}
    for title, (name, options) in OPTIMIZERS.items():
        members |= {f"{title}/{key}": array for key, array in run(name, options).items()}
    for title, (name, options, steps) in SCHEDULES.items():
        members[title] = rates(name, options, steps)
    np.savez_compressed(Path(__file__).with_name("optim.npz"), **members)


if __name__ == "__main__":
    main()
