"""How the time and the memory of a training step grow: with the batch, the images, the depth and the threads.

    python benchmarks/scaling.py             about five minutes

Each point is a process of its own; PyTorch (channels-last) takes turns with ours where it is installed.
"""

import argparse
import os

from contenders import OURS
from results import environment, save
from turns import compare

BASE = {"model": "resnet18", "options": {}, "batch": 8, "size": 128, "train": True}
AXES = {
    "batch": [1, 2, 4, 8, 16, 32],
    "size": [64, 96, 128, 192, 256],
    "model": ["resnet18", "resnet34", "resnet50", "resnet101"],
    "threads": sorted({1, 2, os.cpu_count()}),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="turns of each contender (default: 3)")
    args = parser.parse_args()
    content = {"environment": environment(os.cpu_count()), "base": BASE, "axes": {}}
    for axis, values in AXES.items():
        for value in values:
            work, threads = (BASE, value) if axis == "threads" else ({**BASE, axis: value}, os.cpu_count())
            names = [OURS, "PyTorch channels-last"]
            figures = compare(names, work, threads=threads, rounds=args.rounds, seconds=0.7)
            content["axes"].setdefault(axis, []).append({"value": value, "figures": figures})
            told = "".join(f"  {name} {f['median'] * 1e3:.0f} ms, {f['memory']:.0f} MB" for name, f in figures.items())
            print(f"{axis} {value}:{told}", flush=True)
        save("scaling", content)


if __name__ == "__main__":
    main()
