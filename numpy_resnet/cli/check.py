"""numpy-resnet gradcheck and warmup: what every installation should do once."""

import importlib.util
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from numpy_resnet import gradcheck, models, ops
from numpy_resnet.cli.options import at_least
from numpy_resnet.exercises import zoo
from numpy_resnet.files import atomic_write


def add_commands(commands):
    parser = commands.add_parser(
        "gradcheck",
        help="every backward against finite differences",
        description="Examine every op in awkward cases, and all of ResNet-18 along random directions, in float64; or "
        "your own functions, in a file. What is wrong is told: where, why, and the smallest case. "
        "Exit code 1 if a gradient is wrong.",
    )
    parser.set_defaults(command=run_gradcheck)
    parser.add_argument("ops", nargs="*", metavar="OP", help="conv2d, batchnorm2d, ..., resnet18 (default: all)")
    parser.add_argument(
        "--seed", type=at_least(0), default=0, help="of the examples and upstream gradients (default: 0)"
    )
    parser.add_argument(
        "--file", type=Path, help="your functions: conv2d and conv2d_backward, ..., in a .py file (run)"
    )
    parser.add_argument("--json", action="store_true", help="all findings, for other programs")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="of the first wrong gradient")
    parser.add_argument(
        "--self-test", action="store_true", help="examine the zoo of wrong backwards: all must be found"
    )

    parser = commands.add_parser(
        "warmup",
        help="compile all kernels now",
        description="Compile all kernels, in float32 and float64, so that nothing has to wait for it later.",
    )
    parser.set_defaults(command=run_warmup)


def run_gradcheck(args):
    if args.self_test:
        return _self_test(args)
    pairs = _own_pairs() if args.file is None else _pairs_of(args.file)
    known = [*pairs, *(["resnet18"] if args.file is None else [])]
    if unknown := set(args.ops) - set(known):
        raise ValueError(f"there is no check called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    wanted, found = args.ops or known, []
    for name in dict.fromkeys(wanted):
        found.append(_resnet18(args.seed) if name == "resnet18" else _examine(name, *pairs[name], args.seed))
        if not args.json:
            print(found[-1] if not found[-1].ok else f"{name:<24} {_summary(found[-1])}", flush=True)
    if args.json:
        print(json.dumps([json.loads(f.to_json()) if hasattr(f, "to_json") else f.as_dict() for f in found], indent=1))
    wrong = [f for f in found if not f.ok]
    if args.picture and wrong:
        _save_picture(wrong, args.picture)
    if not args.json:
        print(f"\n{len(found)} examined, {len(wrong) or 'none'} wrong")
    return 1 if wrong else 0


def _own_pairs():
    """{op: (f, f_backward)} of this library, the special algorithms among them."""
    found = {op: gradcheck.op_pair(op, vars(ops)) for op in gradcheck.SPECS if op in ops.__all__}
    winograd = ops.conv.ALGORITHMS["winograd"]
    return found | {"winograd": (winograd.conv2d, winograd.conv2d_backward)}


def _pairs_of(path):
    """The same of somebody's file, which is run."""
    if path.suffix != ".py" or not path.is_file():
        raise ValueError(f"--file must be a Python file that exists; got {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{path} cannot be run: {type(error).__name__}: {error}") from None
    names = vars(module)
    complete = [op for op in gradcheck.SPECS if op in names and gradcheck.backward_name(op) in names]
    found = {op: gradcheck.op_pair(op, names) for op in complete}
    if not found:
        raise ValueError(
            f"{path} has no op with its backward; expected functions such as relu and relu_backward. "
            f"The ops are {', '.join(gradcheck.SPECS)}"
        )
    return found


def _examine(name, f, f_backward, seed):
    """The doctor on an op; on the algorithm that takes 3x3 kernels alone, with a case of that kind."""
    if name == "winograd":
        arrays = next(arrays for case, _, _, arrays in gradcheck.op_cases(seed) if "Winograd" in case)
        return gradcheck.diagnose(partial(f, padding=(1, 2)), f_backward, *arrays, seed=seed)
    return gradcheck.diagnose_op(name, f, f_backward, seed=seed)


def _summary(found):
    if isinstance(found, gradcheck.ModelDiagnosis):
        return f"PASS  {len(found.gradients.arguments)} gradients along random directions"
    return f"{found.verdict}  {found.cases} case{'s' if found.cases > 1 else ''}"


def _resnet18(seed):
    model = models.resnet18(num_classes=10, dtype=np.float64, seed=seed)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 3, 32, 32))

    def progress(tensors):
        return tqdm(tensors, desc="resnet18", unit="tensor", leave=False, disable=None)

    return gradcheck.diagnose_model(model, x, rng.integers(0, 10, 2), seed=seed, progress=progress)


def _save_picture(wrong, path):
    figures = (f.figure() for f in wrong if hasattr(f, "figure"))
    figure = next((figure for figure in figures if figure is not None), None)
    if figure is None:
        raise ValueError("there is no picture: what is wrong is no map of numbers")
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)


def _self_test(args):
    """The zoo: every bug must be found, and every right pair must pass."""
    chosen = [bug for bug in zoo.BUGS.values() if not args.ops or bug.op in args.ops]
    if not chosen:
        raise ValueError(f"the zoo has no bugs of {', '.join(args.ops)}; it has some of {', '.join(zoo.ENCLOSURES)}")
    missed, first, three = [], 0, 0
    for bug in tqdm(chosen, desc="the bug zoo", unit="bug", leave=False, disable=None):
        found = gradcheck.diagnose_op(bug.op, bug.f, bug.f_backward, seed=args.seed)
        causes = [finding.cause for finding in found.findings]
        missed += [bug.name] if found.ok else []
        first += any(cause in bug.causes for cause in causes[:1])
        three += any(cause in bug.causes for cause in causes[:3])
    right = [zoo.ENCLOSURES[op] for op in dict.fromkeys(bug.op for bug in chosen)]
    alarms = [r.op for r in right if not gradcheck.diagnose_op(r.op, r.f, r.f_backward, seed=args.seed).ok]
    print(f"wrong backwards found        {len(chosen) - len(missed)} of {len(chosen)}")
    print(f"their cause named first      {first} of {len(chosen)}, among the first three {three}")
    print(f"right ones called wrong      {len(alarms)} of {len(right)}")
    for name in [*missed, *alarms]:
        print(f"  {name}")
    return 1 if missed or alarms else 0


def run_warmup(args):
    cases = gradcheck.op_cases()
    with tqdm(total=2 * len(cases), desc="compiling", unit="op", disable=None) as bar:
        for dtype in (np.float32, np.float64):
            for name, *case in cases:
                bar.set_postfix_str(f"{name}, {np.dtype(dtype).name}")
                _run_case(*case, dtype)
                bar.update()
    print("all kernels are compiled")


def _run_case(f, f_backward, arrays, dtype):
    """One forward and one backward in this dtype."""

    def cast(array):
        return array.astype(dtype) if getattr(array, "dtype", np.dtype(int)).kind == "f" else array

    bound = {name: cast(value) for name, value in getattr(f, "keywords", {}).items()}
    y, cache = f(*map(cast, arrays), **bound)
    f_backward(np.ones_like(y) if np.ndim(y) else 1.0, cache)
