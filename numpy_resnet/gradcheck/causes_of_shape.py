"""Why a gradient has another shape than its argument, or the numbers of another one. See causes.py."""

from itertools import combinations, permutations

import numpy as np

from numpy_resnet.gradcheck.table import Match, cause


@cause("not_returned", shape_is_right=False)
def nothing(e):
    if e.analytic.dtype == object:
        yield Match("nothing came back for it, or nothing that is an array of numbers")


@cause("wrong_order", 0.98, shape_is_right=False)
@cause("wrong_order", 0.98)
def another_arguments(e):
    for name, gradient in e.trial.numeric.items():
        if name != e.name and e.close(gradient) and gradient.any():
            yield Match(f"what came back for it is the right d{name}")


@cause("not_summed", shape_is_right=False)
def one_axis_too_many(e):
    a, n = e.analytic, e.numeric
    for count in range(1, a.ndim + 1):
        for axes in combinations(range(a.ndim), count):
            total = a.sum(axis=axes)
            if a.size > n.size == total.size and e.close(total.reshape(n.shape), n):
                yield Match(f"it came with shape {a.shape}; summed over axis {_listed(axes)} it is right, {n.shape}")


@cause("transposed", shape_is_right=False)
@cause("transposed")
def axes_exchanged(e):
    a, n = e.analytic, e.numeric
    if a.ndim == n.ndim:
        for order in permutations(range(n.ndim)):
            if order != tuple(range(n.ndim)) and e.close(a.transpose(order), n):
                yield Match(f"with its axes in the order {order} it is right")


@cause("summed_too_far", shape_is_right=False)
@cause("summed_too_far")
def too_few_axes(e):
    a, n = e.analytic, e.numeric
    for count in range(1, n.ndim + 1):
        for axes in combinations(range(n.ndim), count):
            total = n.sum(axis=axes, keepdims=True)
            for what, values in (("sum", total), ("mean", total * total.size / n.size)):
                if a.shape != n.shape and np.ndim(a) == n.ndim and np.allclose(n, values):
                    continue  # it would be right if it were broadcast
                flat = values.squeeze() if a.shape != n.shape else values + 0 * n
                if n.size > total.size and (e.close(flat) or e.close(values)):
                    where = f"axis {_listed(axes)}" if n.ndim > 1 else "its only axis"
                    yield Match(f"it is the {what} of the right gradient over {where}")


@cause("wrong_shape", 0.7, shape_is_right=False)
def other_shape(e):
    a, n = e.analytic, e.numeric
    if a.shape != n.shape and a.dtype != object:
        right = a.dtype.kind == "f" and a.size == n.size and e.close(a.reshape(n.shape), n)
        fits = "; reshaped it is right" if right else ""
        yield Match(f"expected shape {n.shape}, got {a.shape}{fits}")


def _listed(axes):
    return str(axes[0]) if len(axes) == 1 else str(tuple(axes))
