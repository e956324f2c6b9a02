"""numpy-resnet gradcheck and warmup: what every installation should do once."""

import numpy as np
from tqdm import tqdm

from numpy_resnet import gradcheck, models, ops
from numpy_resnet.cli.options import at_least


def add_commands(commands):
    parser = commands.add_parser(
        "gradcheck",
        help="every backward against finite differences",
        description="Check every op entry by entry, and all of ResNet-18 along random directions, in float64. "
        "Exit code 1 if a gradient is wrong.",
    )
    parser.set_defaults(command=run_gradcheck)
    parser.add_argument("ops", nargs="*", metavar="OP", help="conv2d, batchnorm2d, ..., resnet18 (default: all)")
    parser.add_argument(
        "--seed", type=at_least(0), default=0, help="of the examples and upstream gradients (default: 0)"
    )
    parser.add_argument("--verbose", action="store_true", help="a row for each gradient, with the values compared")

    parser = commands.add_parser(
        "warmup",
        help="compile all kernels now",
        description="Compile all kernels, in float32 and float64, so that nothing has to wait for it later.",
    )
    parser.set_defaults(command=run_warmup)


def run_gradcheck(args):
    cases = {case[0]: case for case in gradcheck.op_cases(args.seed)}
    known = [*dict.fromkeys(op for name in cases for op in _ops_of(name)), "resnet18"]
    if unknown := set(args.ops) - set(known):
        raise ValueError(f"there is no check called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    wanted = set(args.ops or known)

    print(f"{'op':<32}  verdict  max error  tolerance")
    reports = []
    for name, f, f_backward, arrays in cases.values():
        if wanted & set(_ops_of(name)):
            reports.append(gradcheck.check_gradients(f, f_backward, *arrays, seed=args.seed))
            _print_verdict(name, reports[-1], args.verbose)
    if "resnet18" in wanted:
        reports.append(_check_resnet18(args.seed))
        _print_verdict(f"resnet18, {len(reports[-1].arguments)} gradients", reports[-1], args.verbose)
    wrong = sum(not report.ok for report in reports)
    print(f"\n{len(reports)} checks, {wrong or 'none'} wrong")
    return 1 if wrong else 0


def _ops_of(name):
    """The ops of a case: conv2d for "conv2d 3x3, stride 2"."""
    return [word for word in name.replace(",", "").split() if word in ops.__all__]


def _check_resnet18(seed):
    model = models.resnet18(num_classes=10, dtype=np.float64, seed=seed)
    x = np.random.default_rng(seed).standard_normal((2, 3, 64, 64))

    def progress(tensors):
        return tqdm(tensors, desc="resnet18", unit="tensor", leave=False, disable=None)

    return gradcheck.check_model_gradients(model, x, seed=seed, progress=progress)


def _print_verdict(name, report, verbose):
    verdict = "right" if report.ok else "WRONG"
    print(f"{name:<32}  {verdict:<7}  {report.max_relative_error:>9.1e}  {report.tolerance:>9.0e}", flush=True)
    if verbose or not report.ok:
        print("\n".join(f"    {line}" for line in str(report).splitlines()[1:]))


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
