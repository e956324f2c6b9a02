"""Thirty submissions to try the grader on: right, half done, wrong as the zoo is wrong, hostile.

python tools/made_up_class.py DIR && numpy-resnet exercises grade DIR --seed-from autumn
"""

import sys
from pathlib import Path

import numpy as np

from numpy_resnet.exercises import EXERCISES, zoo
from numpy_resnet.exercises.dev import blank, examined, solved
from numpy_resnet.files import write_text

RIGHT, HALF, WRONG = 6, 8, 10
HOSTILE = {  # what stands in the place of a relu
    "loops": "while True:\n        pass",
    "exits": "import os\n    os._exit(0)",
    "forks": "import os\n    while True:\n        os.fork()",
    "prints": "while True:\n        print('here' * 1000)",
    "eats": "hoard = []\n    while True:\n        hoard.append(bytearray(10**7))",
    "cheats": "import torch\n    return torch.relu(torch.tensor(x)).numpy(), x",
}
RELU = "def relu(x):\n    {body}\n\n\ndef relu_backward(dy, cache):\n    return dy * (cache > 0)\n"


def submissions():
    """(name, {file: text})"""
    rng, every = np.random.default_rng(0), list(EXERCISES.values())
    for n in range(RIGHT):
        yield f"right-{n + 1}", solved()
    for n in range(HALF):
        done = {e.file for e in every[: 2 + 2 * n]}
        yield f"half-{n + 1}", {name: (solved() if name[:-3] in done else blank())[name] for name in blank()}
    for n in range(WRONG):
        files = solved()
        for exercise in rng.permutation(every[:12])[:3]:
            bugs = [b for b in zoo.BUGS.values() if (e := examined(b)) and e.name == exercise.name and len(e.ops) == 1]
            if bugs and exercise.ops == [bugs[0].op]:
                files[f"{exercise.file}.py"] = _standing_alone(exercise, rng.choice(bugs))
        yield f"wrong-{n + 1}", files
    for name, body in HOSTILE.items():
        yield f"hostile-{name}", solved() | {"ex01_relu.py": RELU.format(body=body)}


def _standing_alone(exercise, bug):
    """The bug as a file that needs nothing of ours: the zoo's modules, one after the other."""
    folder, text = Path(zoo.__file__).parent, ""
    for module in ("enclosure", "textbook", Path(sys.modules[bug.f.__module__].__file__).stem):
        text += (folder / f"{module}.py").read_text(encoding="utf-8") + "\n\n"
    text = "\n".join(line for line in text.splitlines() if not line.startswith("from numpy_resnet"))
    textbook = "class textbook:\n    " + "\n    ".join(
        f"{name} = staticmethod({name})"
        for name in ("pair", "pad", "crop", "output_size", "offsets", "im2col", "col2im")
    )
    head, marker, tail = text.partition('"""Wrong')
    names = next(ask.names for ask in exercise.judges if getattr(ask, "op", None) == bug.op)
    lines = ["space = {}", f"exec({f'{head}{textbook}{chr(10)}{marker}{tail}'!r}, space)"]
    lines += [f"mine = next(bug for bug in space['zoo'].bugs if bug.name == {bug.name!r})"]
    lines += [f"{name} = mine.{'f_backward' if 'backward' in name else 'f'}" for name in names]
    return "\n".join(lines) + "\n"


def main(folder):
    for name, files in submissions():
        (folder / name).mkdir(parents=True)
        for file, text in files.items():
            write_text(folder / name / file, text)
    print(f"{RIGHT + HALF + WRONG + len(HOSTILE)} submissions in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
