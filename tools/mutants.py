"""Does the doctor see every small change of our own backwards? `python tools/mutants.py` makes all of them, and asks.

A mutant is caught if diagnose_op calls it wrong. One that is not is in mutants_equivalent.json, with the reason why it
computes the same for all inputs that the op allows, or it is a hole in the doctor: then the exit code is 1.
The counts go to docs/doctor/mutants.json. `--few N` tries N of them, spread evenly.
"""

import argparse
import ast
import collections
import contextlib
import copy
import functools
import importlib
import inspect
import json
import os
import pickle
import resource
import signal
import sys
import types
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from unittest import mock

from mutate import difference, mutants

os.environ["NUMBA_DISABLE_JIT"] = "1"  # in Python an index out of bounds raises; compiled it writes anywhere

from numpy_resnet import reference
from numpy_resnet.exercises.zoo import ENCLOSURES, textbook
from numpy_resnet.gradcheck import diagnose, diagnose_op, doctor, op_cases
from numpy_resnet.ops import columns

TARGET = Path(__file__).resolve().parents[1] / "docs" / "doctor" / "mutants.json"
EQUIVALENT = json.loads(Path(__file__).with_name("mutants_equivalent.json").read_text())
OTHER = {"im2col": "col2im", "col2im": "im2col"}  # the backward of each
MODULES = "add avgpool batchnorm columns cross_entropy dropout flatten fused linear maxpool relu zero_pad_channels"
MODULES = [f"numpy_resnet.ops.{name}" for name in (*MODULES.split(), "conv.im2col", "conv.winograd")]
CASES = {
    "batchnorm2d_relu": "batchnorm2d_relu",
    "batchnorm2d_add_relu": "batchnorm2d_add_relu",
    "winograd": "conv2d 3x3, by Winograd",
}  # what diagnose_op does not know, with the name of its example in op_cases
FEW = 100  # elements of a block of windows in conv/im2col.py, so that these small images need several blocks
SECONDS, BYTES = 60, 6 * 2**30  # for one diagnosis


@dataclass(frozen=True)
class Target:
    """A backward to be changed, it or a function of its module that it calls."""

    source: str  # reference, ops or zoo
    op: str
    module: types.ModuleType
    entry: str  # the name of the backward
    f: callable
    f_backward: callable  # of the namespace where the change is


def targets():
    """Every backward of ours, with the forward that it belongs to."""
    for name in (name for name in _functions(reference) if name.endswith("_backward")):
        f = getattr(reference, name.removesuffix("_backward"))
        yield Target("reference", f.__name__, reference, name, _as_op(_remembered(f)), _by_definition(name))
    for module in map(importlib.import_module, MODULES):
        for name in (name for name in _functions(module) if name.endswith("_backward")):
            op = name.removesuffix("_backward")
            slow = module.__name__.endswith("winograd")
            f = _remembered(getattr(module, op)) if slow else getattr(module, op)
            yield Target("ops", "winograd" if slow else op, module, name, f, itemgetter(name))
    for op, pair in ENCLOSURES.items():
        module, name = sys.modules[pair.f_backward.__module__], pair.f_backward.__name__
        if op not in OTHER:
            yield Target("zoo", op, module, name, pair.f, itemgetter(name))
    for source, module in {"reference": reference, "ops": columns, "zoo": textbook}.items():
        for op, other in OTHER.items():
            yield Target(source, op, module, other, _laid_out(getattr(module, op)), _laid_back(other))


def _remembered(f):
    """The same function, run once for the same arguments."""
    known = {}

    def again(*args, **options):
        key = pickle.dumps((args, options))
        if key not in known:
            known[key] = f(*args, **options)
        return copy.deepcopy(known[key])

    return again


def _as_op(f):
    """A forward of reference.py with a cache, which holds its arguments."""
    return lambda *args, **options: (f(*args, **options), (args, options))


def _by_definition(name):
    return lambda space: lambda dy, cache: space[name](dy, *cache[0], **cache[1])


def _laid_out(f):
    """im2col or col2im as an op: its cache holds the options of the other one."""

    def forward(x, *, size=None, **options):
        y = f(x, **options) if size is None else f(x, size=size, **options)
        return y, {"size": x.shape[2:], **options} if size is None else options

    return forward


def _laid_back(other):
    return lambda space: lambda dy, options: space[other](dy, **options)


@functools.cache
def _functions(module):
    """{name: FunctionDef} of a module, without decorators."""
    found = {node.name: node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.FunctionDef)}
    for node in found.values():
        node.decorator_list = []
    return found


def all_changes():
    """(Targets, function, its source, a mutant's): every backward, and what of its module it calls.

    A function that several backwards call comes once, with all of them.
    """
    users = {}
    for target in targets():
        functions, found = _functions(target.module), [target.entry]
        for name in found:
            called = {node.id for node in ast.walk(functions[name]) if isinstance(node, ast.Name)}
            found += [other for other in functions if other in called and other not in found]
            users.setdefault((target.module, name), []).append(target)
    for (module, name), its_users in users.items():
        before = ast.unparse(_functions(module)[name])
        its_users.sort(key=lambda target: target.entry != name)
        yield from ((its_users, name, before, after) for after in mutants(_functions(module)[name]))


def with_change(target, text):
    """The backward, in a copy of its module where one function is another."""
    space = dict(vars(target.module))
    if "BLOCK" in space:
        space["BLOCK"] = FEW
    rest = ast.Module(list(_functions(target.module).values()), [])
    exec(compile(rest, target.module.__name__, "exec"), space)
    exec(compile(text, "mutant", "exec"), space)
    return target.f_backward(space)


class EndlessError(BaseException):
    """No Exception, so that the doctor lets it pass."""


def give_up(signum, frame):
    raise EndlessError


def is_caught(target, f_backward, seed):
    """Whether the doctor calls this pair wrong; it must neither take for ever nor all memory."""
    signal.alarm(SECONDS)
    try:
        if target.op not in CASES:
            return not diagnose_op(target.op, target.f, f_backward, seed=seed).ok
        arrays = next(arrays for name, _, _, arrays in op_cases(seed) if name == CASES[target.op])
        forward = functools.partial(target.f, padding=(1, 2)) if target.op == "winograd" else target.f
        lists = [arrays, arrays[:2]] if target.op == "winograd" else [arrays]
        return not all(diagnose(forward, f_backward, *arrays, seed=seed).ok for arrays in lists)
    except (EndlessError, MemoryError):
        return True
    finally:
        signal.alarm(0)


def examine(everything):
    """{(source, op): Counter}, the equivalents {key: reason}, and what is left: [key]"""
    counts, equivalent, left = collections.defaultdict(collections.Counter), {}, []
    for users, name, before, after in everything:
        key = f"{users[0].module.__name__.removeprefix('numpy_resnet.')}.{name}: {difference(before, after)}"
        seeds = range(1 if key in EQUIVALENT else 4)
        caught = any(is_caught(target, with_change(target, after), seed) for seed in seeds for target in users)
        state = "caught" if caught else "equivalent" if key in EQUIVALENT else "survivors"
        counts[users[0].source, users[0].op].update(["mutants", state])
        if state == "equivalent":
            equivalent[key] = EQUIVALENT[key]
        elif state == "survivors":
            left.append(key)
            print(f"not caught: {key}", flush=True)
    return counts, equivalent, left


COLUMNS = ("mutants", "caught", "equivalent", "survivors")


def table(counts):
    """The counts of each source and op, and their sums."""
    lines = [f"{'source':<10} {'op':<22}" + "".join(f"{name:>12}" for name in COLUMNS)]
    for source in dict.fromkeys(source for source, _ in counts):
        own = {op: count for (other, op), count in counts.items() if other == source}
        for op, count in {**own, "all": sum(own.values(), collections.Counter())}.items():
            lines.append(f"{source:<10} {op:<22}" + "".join(f"{count[name]:>12}" for name in COLUMNS))
    return "\n".join(lines)


def write(counts, equivalent, left):
    """The counts, every equivalent with its reason and what is left, as JSON."""
    rows = [{"source": source, "op": op, **{n: count[n] for n in COLUMNS}} for (source, op), count in counts.items()]
    total = {n: sum(row[n] for row in rows) for n in COLUMNS}
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    found = {"total": total, "counts": rows, "equivalent": equivalent, "survivors": left}
    TARGET.write_text(json.dumps(found, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--few", type=int, metavar="N", help="try N mutants only, and write nothing")
    parser.add_argument("--explain", action="store_true", help="let the doctor seek causes and small cases too: slow")
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, give_up)
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    everything = list(all_changes())
    if options.few:
        everything = everything[:: max(1, len(everything) // options.few)][: options.few]
    with contextlib.ExitStack() as stack:
        if not options.explain:
            stack.enter_context(mock.patch.object(doctor.causes, "find", lambda e: []))
            stack.enter_context(mock.patch.object(doctor, "smallest", lambda e, still_wrong: e))
        for target in [] if options.few else targets():
            if is_caught(target, with_change(target, "pass"), 0):
                raise SystemExit(f"{target.source} {target.op} is right, but the doctor calls it wrong")
        counts, equivalent, left = examine(everything)
    print(table(counts))
    stale = [] if options.few else [key for key in EQUIVALENT if key not in equivalent]
    for key in stale:
        print(f"no such survivor any more: {key}")
    if not options.few:
        write(counts, equivalent, left)
    return int(bool(left or stale))


if __name__ == "__main__":
    raise SystemExit(main())
