"""Does the doctor ever call a right backward wrong? Every op of this library, and the zoo's right blocks.

python tools/false_alarms.py [OP ...]   1,000 seeds each, into docs/doctor/alarms.json; exit code 1 if there is an alarm
"""

import argparse
import json
import sys
from pathlib import Path

from tqdm import tqdm

from numpy_resnet import ops
from numpy_resnet.exercises import zoo
from numpy_resnet.gradcheck import SPECS, diagnose_op

RESULT = Path(__file__).parents[1] / "docs" / "doctor" / "alarms.json"


def pairs():
    """{op: (f, f_backward)}"""
    found = {op: (right.f, right.f_backward) for op, right in zoo.ENCLOSURES.items()}
    for op in SPECS:
        if hasattr(ops, f"{op}_backward"):
            found[op] = getattr(ops, op), getattr(ops, f"{op}_backward")
    return found | {"im2col": im2col(), "col2im": col2im()}


def im2col():
    """Its backward is col2im."""
    return (
        lambda x, **window: (ops.im2col(x, **window), (x.shape[2:], window)),
        lambda dcols, cache: ops.col2im(dcols, size=cache[0], **cache[1]),
    )


def col2im():
    """Its backward is im2col."""
    return (
        lambda cols, *, size, **window: (ops.col2im(cols, size=size, **window), window),
        lambda dx, window: ops.im2col(dx, **window),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ops", nargs="*", metavar="OP")
    parser.add_argument("--seeds", type=int, default=1000)
    args, right, wrong = parser.parse_args(), pairs(), 0
    for op in args.ops or sorted(right):
        bar = tqdm(range(args.seeds), desc=op, disable=None, leave=False)
        alarms = [(seed, found) for seed in bar if not (found := diagnose_op(op, *right[op], seed=seed)).ok]
        print(f"{op:<24} {args.seeds} seeds, {len(alarms)} alarms", *(found for _, found in alarms[:1]), flush=True)
        rows = {row["op"]: row for row in json.loads(RESULT.read_text())} if RESULT.exists() else {}
        rows[op] = {"op": op, "seeds": args.seeds, "alarms": [seed for seed, _ in alarms]}
        RESULT.write_text(json.dumps([rows[name] for name in sorted(rows)], indent=1) + "\n")
        wrong += len(alarms)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
