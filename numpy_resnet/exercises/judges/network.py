"""The judges of what is no op: running statistics, the step of SGD, and the whole network."""

import numpy as np

from numpy_resnet.exercises.judges.check import (
    AWKWARD,
    INVARIANTS,
    PARTS,
    SHAPE,
    VALUES,
    Check,
    NotReadyError,
    difference,
    first_call,
    misshapen,
    missing,
    narrow,
    parts,
)
from numpy_resnet.exercises.judges.narrow import full_name, narrow_resnet


def judge_function(subject, student, name, calls, seed):
    """A function without a backward. calls: [(part, arguments, options, what comes out by name)], the easiest first."""
    try:
        missing(student, name)
        f = student.function(name)
        _, args, options, right = calls[0]
        _several(name, first_call(name, lambda: f(*_copies(args), **options)), right)
    except NotReadyError as error:
        yield from parts(subject, error.text, error.unfinished)
        return
    yield Check(subject, SHAPE, 1, PARTS[SHAPE])
    wrong = {VALUES: "", AWKWARD: "", INVARIANTS: ""}
    for part, args, options, right in calls:
        handed = _copies(args)
        try:
            came = first_call(name, lambda handed=handed, options=options: f(*handed, **options))
            _several(name, came, right)
        except NotReadyError as error:
            if error.unfinished:
                raise
            wrong[part] = wrong[part] or error.text
            continue
        for (what, array), value in zip(right.items(), came, strict=True):
            wrong[part] = wrong[part] or difference(f"{name}: {what}", value, array)
        if any(not np.array_equal(a, b) for a, b in zip(args, handed, strict=True) if a is not None):
            wrong[INVARIANTS] = wrong[INVARIANTS] or f"{name} wrote into its arguments: return new arrays"
    small = [None if a is None else np.asarray(a, np.float32) if np.ndim(a) else a for a in calls[0][1]]
    try:
        came = first_call(name, lambda: f(*small, **calls[0][2]))
        _several(name, came, calls[0][3])
        told = [narrow(what, value) for what, value in zip(calls[0][3], came, strict=True)]
    except NotReadyError as error:
        told = [f"with float32 arrays {error.text}"]
    wrong[INVARIANTS] = wrong[INVARIANTS] or next(filter(None, told), "")
    for part, text in wrong.items():
        passed = not text and not (wrong[VALUES] and part == INVARIANTS)
        asked = not wrong[VALUES] or part == VALUES
        yield Check(subject, part, float(passed and asked), PARTS[part], text if asked else "", asked=asked)


def _several(name, came, right):
    """Raises NotReadyError unless values of the right shapes came."""
    if not isinstance(came, tuple) or len(came) != len(right):
        raise NotReadyError(f"{name} must return {', '.join(right)}")
    for (what, array), value in zip(right.items(), came, strict=True):
        if wrong := misshapen(what, value, array):
            raise NotReadyError(f"{name}: {wrong}")


def _copies(args):
    return [a.copy() if isinstance(a, np.ndarray) else a for a in args]


def judge_running_statistics(student, seed):
    rng = np.random.default_rng(seed)
    calls = []
    for part, options in ((VALUES, {}), (AWKWARD, {"momentum": 0.3}), (AWKWARD, {"momentum": 1.0})):
        C, count = int(rng.integers(1, 6)), int(rng.integers(2, 9))
        mean, batch_mean = rng.standard_normal((2, C))
        var, batch_var = rng.uniform(0.3, 3, (2, C))
        momentum = options.get("momentum", 0.1)
        right = {
            "running_mean": (1 - momentum) * mean + momentum * batch_mean,
            "running_var": (1 - momentum) * var + momentum * batch_var * count / (count - 1),
        }
        calls.append((part, (mean, var, batch_mean, batch_var, count), options, right))
    yield from judge_function("running_statistics", student, "running_statistics", calls, seed)


def judge_sgd(student, seed):
    rng = np.random.default_rng(seed)
    calls = []
    for part, options in (
        (VALUES, {"lr": 0.1}),
        (VALUES, {"lr": 0.05, "momentum": 0.5}),
        (AWKWARD, {"lr": 0.2, "momentum": 0.0}),
        (AWKWARD, {"lr": 0.1, "weight_decay": 0.01}),
        (AWKWARD, {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.1, "nesterov": True}),
    ):
        shape = tuple(int(n) for n in rng.integers(1, 5, int(rng.integers(1, 4))))
        weight, velocity = rng.standard_normal((2, *shape))
        for before in (None, velocity):
            dweight = rng.standard_normal(shape)
            right = dict(zip(("weight", "velocity"), _sgd(weight, dweight, before, **options), strict=True))
            calls.append((part, (weight, dweight, before), options, right))
    yield from judge_function("sgd", student, "sgd", calls, seed)


def _sgd(weight, dweight, velocity, *, lr, momentum=0.9, weight_decay=0.0, nesterov=False):
    g = dweight + weight_decay * weight
    v = g if velocity is None else momentum * velocity + g
    return weight - lr * (g + momentum * v if nesterov else v), v


def judge_resnet18(student, seed):
    """A narrow ResNet-18 beside ours: logits, dx and every parameter's gradient; then other depths and sizes."""
    rng, subject = np.random.default_rng(seed), "resnet18"
    wrong = {VALUES: "", AWKWARD: "", INVARIANTS: ""}
    for part, blocks in ((VALUES, (2, 2, 2, 2)), (AWKWARD, (1, 3, 1, 2)), (AWKWARD, (1, 1, 2, 1))):
        try:
            missing(student, "resnet18", "resnet18_backward")
            for found, text in _examine_network(student, *_problem(rng, blocks), blocks):
                wrong[found or part] = wrong[found or part] or text
        except NotReadyError as error:
            if part == VALUES:
                yield from parts(subject, error.text, error.unfinished)
                return
            wrong[part] = wrong[part] or f"with blocks={blocks}: {error.text}"
    yield Check(subject, SHAPE, 1, PARTS[SHAPE])
    for part, text in wrong.items():
        passed = not text and not (wrong[VALUES] and part == INVARIANTS)
        asked = not wrong[VALUES] or part == VALUES
        yield Check(subject, part, float(passed and asked), PARTS[part], text if asked else "", asked=asked)


def _examine_network(student, x, params, dy, right, blocks):
    """(INVARIANTS, or None for the part that is asked about; what is wrong, or "")"""
    before = [a.copy() for a in (x, dy, *params.values())]
    forward = first_call("resnet18", lambda: student.call("resnet18", x, params, blocks=blocks, opaque=True))
    logits, cache = _two("resnet18", forward, "logits, cache")
    if wrong := misshapen("logits", logits, dy):
        raise NotReadyError(f"resnet18: {wrong}")
    yield None, difference("logits", logits, right["logits"])

    def backward():
        return student.call("resnet18_backward", dy, cache)

    dx, grads = _two("resnet18_backward", first_call("resnet18_backward", backward), "dx, dparams")
    if not isinstance(grads, dict) or set(grads) != set(params):
        odd = sorted(set(params) ^ set(grads), key=str)[:3] if isinstance(grads, dict) else []
        raise NotReadyError(f"dparams must be a dict with the keys of params; missing or too many: {odd}")
    yield None, _first_wrong(dx, grads, right)
    if not all(map(np.array_equal, before, (x, dy, *params.values()))):
        yield INVARIANTS, "x, dy or a parameter was written into"
    _, again = _two("resnet18_backward", first_call("resnet18_backward", backward), "dx, dparams")
    if not isinstance(again, dict) or not all(np.array_equal(again.get(key), grads[key]) for key in grads):
        yield INVARIANTS, "a second backward with the same cache gave other numbers"


def _two(name, values, what):
    if not isinstance(values, tuple) or len(values) != 2:
        raise NotReadyError(f"{name} must return {what}")
    return values


def _first_wrong(dx, grads, right):
    """The first wrong gradient on the way back from the loss, in words."""
    wrong = [key for key in reversed(right["grads"]) if difference(key, grads[key], right["grads"][key], 1e-5)]
    if wrong:
        return (
            f"{len(wrong)} of {len(grads)} gradients are wrong; the first on the way back from the loss: "
            + difference(f"dparams[{wrong[0]!r}]", grads[wrong[0]], right["grads"][wrong[0]], 1e-5)
        )
    return difference("dx", dx, right["dx"], 1e-5)


def _problem(rng, blocks):
    """x, params, dy, and what comes out of ours: a network with these blocks, a few channels wide."""
    widths, classes = [int(w) for w in rng.integers(3, 7, 4)], int(rng.integers(2, 5))
    model = narrow_resnet(rng, widths, classes, blocks)
    x = rng.standard_normal((3, 3, *(int(n) for n in rng.integers(33, 48, 2))))
    logits = model.forward(x)
    dy = rng.standard_normal(logits.shape)
    dx = model.backward(dy)
    named = {full_name(key): (array.copy(), grad) for key, array, grad in model.named_parameters()}
    params, grads = ({key: pair[i] for key, pair in named.items()} for i in (0, 1))
    return x, params, dy, {"logits": logits, "dx": dx, "grads": grads}
