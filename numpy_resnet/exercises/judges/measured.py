"""The judges of what is measured: a kernel against the clock, and gradients that vanish or do not."""

import os
import statistics
import time
from functools import partial

import numpy as np

from numpy_resnet.exercises.judges.check import (
    Check,
    NotReadyError,
    difference,
    first_call,
    misshapen,
    missing,
    narrow,
)

FAST_PARTS = {"values": 2, "the same bits with 1, 2 and 4 threads": 2, "against the clock": 2}
VANISHING_PARTS = {"gradient_norms": 3, "growth": 1, "predicted_growth": 2, "explanation": 1}
AS_FAST = 1.5  # times NumPy
SIZE = 100352, 64  # 32 images in the first stage: 32 * 56 * 56 pixels
ROUNDS = 9
GAINS = 0.5, 1.0, 2**0.5, 2.0
WORDS = 40
UNASKED = "it was not asked"


def judge_fast(student, seed):
    subject, rng = "sums_of_upstream", np.random.default_rng(seed)
    answers = dict.fromkeys(FAST_PARTS, UNASKED)

    def call(dy, x_hat, **how):
        return first_call(subject, lambda: student.call(subject, dy, x_hat, watch=False, **how))

    def sums(dy, x_hat, **how):
        return _two_sums(call(dy, x_hat, **how), dy.shape[1])

    try:
        missing(student, subject)
        values, bits, clock = FAST_PARTS
        answers[values] = _wrong_sums(sums, rng)
        if not answers[values]:
            answers[bits] = _other_bits(sums, rng)
            answers[clock] = _too_slow(student, call, rng)
    except NotReadyError as error:
        answers |= dict.fromkeys(answers, "") | {values: error.text}
        for part, text in answers.items():
            yield Check(subject, part, 0.0, FAST_PARTS[part], text, error.unfinished, asked=bool(text))
        return
    for part, text in answers.items():
        asked = text != UNASKED
        yield Check(subject, part, float(not text), FAST_PARTS[part], text if asked else "", asked=asked)


def _two_sums(came, C):
    """dbias and dweight, if they are that; else raises NotReadyError."""
    if not isinstance(came, tuple) or len(came) != 2:
        raise NotReadyError("sums_of_upstream must return dbias, dweight")
    for name, value in zip(("dbias", "dweight"), came, strict=True):
        if wrong := misshapen(name, value, np.empty(C)):
            raise NotReadyError(f"sums_of_upstream: {wrong}")
    return came


def _wrong_sums(call, rng):
    """What is wrong with the sums, in words; "" if nothing."""
    sizes = [(7, 3), (1, 5), (1000, 1), (257, 4), (4099, 3), (130, 512), tuple(int(n) for n in rng.integers(1, 700, 2))]
    for dtype in (np.float32, np.float64):
        for size in sizes:
            dy, x_hat = rng.standard_normal((2, *size)).astype(dtype)
            came = call(dy, x_hat)
            exact = dy.astype(float), x_hat.astype(float)
            for name, value, right in zip(
                ("dbias", "dweight"), came, (exact[0].sum(axis=0), (exact[0] * exact[1]).sum(axis=0)), strict=True
            ):
                scale = np.abs(exact[0]).sum(axis=0).max() / max(np.abs(right).max(), 1e-12)
                if wrong := difference(name, value, right, 1e-6 * scale):
                    return f"for arrays of {size[0]} rows and {size[1]} columns {wrong}"
                if dtype == np.float32 and (wrong := narrow(name, value)):
                    return wrong
    return ""


def _other_bits(call, rng):
    dy, x_hat = rng.standard_normal((2, 20011, 48), dtype=np.float32) + np.float32(0.1)
    first = call(dy, x_hat, threads=1)
    for threads in (2, 4, 1):
        other = call(dy, x_hat, threads=threads)
        for name, one, two in zip(("dbias", "dweight"), first, other, strict=True):
            if not np.array_equal(one, two):
                return (
                    f"with {threads} threads {(one != two).sum()} of {one.size} numbers of {name} have other last bits "
                    "than with one: the order of additions must not depend on the threads"
                )
    return ""


def _too_slow(student, call, rng):
    """Both in turns, on arrays that lie in both processes; twice, if it was too slow the first time."""
    pairs = [rng.standard_normal((2, *SIZE), dtype=np.float32) for _ in range(3)]
    there = [[student.put(array) for array in pair] for pair in pairs]
    threads, best = min(2, os.cpu_count() or 1), None
    for _attempt in range(2):
        seconds = [], []
        for _ in range(ROUNDS):
            i, by = int(rng.integers(len(pairs))), float(np.float32(rng.uniform(0.8, 1.25)))
            for array, copy in zip(pairs[i], there[i], strict=True):  # what was remembered is wrong now
                array *= np.float32(by)
                student.scale(copy, by)
            for times, run in zip(seconds, (partial(call, *there[i], silent=True, threads=threads), None), strict=True):
                began = time.perf_counter()
                kept = run() if run else _in_numpy(*pairs[i])
                times.append(time.perf_counter() - began)
                came = _two_sums(student.fetch(kept), SIZE[1]) if run else kept
                if run and difference("dbias", came[0], pairs[i][0].sum(axis=0, dtype=float), 1e-4):
                    return "for large arrays the sums are wrong"
        mine, numpys = map(statistics.median, seconds)
        if best is None or numpys / mine > best[0]:
            best = numpys / mine, f"{1000 * mine:.1f} ms against NumPy's {1000 * numpys:.1f} ms"
        if best[0] >= AS_FAST:
            return ""
    return f"it is {best[0]:.2f} times as fast as NumPy ({best[1]}); {AS_FAST} times is asked"


def _in_numpy(dy, x_hat):
    return dy.sum(axis=0), (dy * x_hat).sum(axis=0)


def judge_vanishing(student, seed):
    rng = np.random.default_rng(seed)
    tests = {
        "gradient_norms": _wrong_norms,
        "growth": _wrong_growth,
        "predicted_growth": _wrong_prediction,
        "explanation": _wrong_explanation,
    }
    for part, test in tests.items():
        try:
            missing(student, part)
            text, unfinished = test(student, rng), False
        except NotReadyError as error:
            text, unfinished = error.text, error.unfinished
        yield Check("vanishing_gradients", part, float(not text), VANISHING_PARTS[part], text, unfinished)


def _ask(student, name, *args, **options):
    return first_call(name, lambda: student.call(name, *args, **options))


def _norms(weights, x, dy, residual):
    masks = []
    for weight in weights:
        h = np.maximum(x @ weight.T, 0)
        masks.append(h > 0)
        x = x + h if residual else h
    norms = [np.linalg.norm(dy)]
    for weight, mask in zip(weights[::-1], masks[::-1], strict=True):
        dy = (dy * mask) @ weight + (dy if residual else 0)
        norms.append(np.linalg.norm(dy))
    return np.array(norms[::-1])


def _stack(rng, depth, width, N, gain):
    weights = [gain / np.sqrt(width) * rng.standard_normal((width, width)) for _ in range(depth)]
    return weights, *rng.standard_normal((2, N, width))


def _wrong_norms(student, rng):
    for depth, width, N in ((2, 3, 1), (1, 5, 2), (7, 4, 3), tuple(int(n) for n in rng.integers(2, 9, 3))):
        for residual in (False, True):
            weights, x, dy = _stack(rng, depth, width, N, 1.2)
            before = [a.copy() for a in (x, dy, *weights)]
            came = _ask(student, "gradient_norms", weights, x, dy, residual=residual)
            kind = "residual" if residual else "plain"
            if wrong := difference(f"norms ({kind})", came, _norms(weights, x, dy, residual)):
                return wrong
            if not all(map(np.array_equal, before, (x, dy, *weights))):
                return "gradient_norms wrote into its arguments"
    return ""


def _wrong_growth(student, rng):
    for depth in (1, 5, 20):
        norms = np.exp(np.cumsum(rng.normal(0.2, 0.3, depth + 1)))
        right = (norms[0] / norms[-1]) ** (1 / depth)
        if wrong := difference("growth", _ask(student, "growth", norms), right):
            return wrong
    return ""


def _wrong_prediction(student, rng):
    """The student's formula against our measurements, the mean of three random stacks."""
    for residual in (False, True):
        for gain in GAINS:
            factors = []
            for _ in range(3):
                norms = _norms(*_stack(rng, 10, 256, 32, gain), residual)
                factors.append((norms[0] / norms[-1]) ** (1 / 10))
            measured, said = float(np.mean(factors)), _ask(student, "predicted_growth", gain, residual=residual)
            if wrong := difference("predicted_growth", said, measured, 0.1):
                kind = "residual" if residual else "plain"
                return f"{kind} stack, gain {gain:.4g}, measured in 3 stacks of 10 blocks: {wrong}"
    return ""


def _wrong_explanation(student, rng):
    text = _ask(student, "explanation")
    if not isinstance(text, str):
        return f"explanation must return a text; it returned a {type(text).__name__}"
    words = len(text.split())
    return "" if words >= WORDS else f"the explanation has {words} words; {WORDS} at least are asked"
