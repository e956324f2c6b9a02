"""Is the backward of a whole network the derivative of its forward? Too many entries: a random direction each."""

import numpy as np

from numpy_resnet.gradcheck.report import ArgumentReport, GradientReport, relative_error, rounding


def check_model_gradients(model, x, *, dy=None, seed=0, step=1e-7, tolerance=1e-4, progress=lambda items: items):
    """Compare each parameter's gradient, and dx, with the derivative along a random direction.

    numeric = sum(dy * (f(p + h d) - f(p - h d))) / 2h,  analytic = sum(dp * d),  |h d| = step * |p|.
    The relative step of 1e-7 keeps clear of most kinks of ReLU and max pooling, hence the tolerance. Where one is
    nearer still, the difference is wrong, not the gradient: so a tensor that fails is tried again, along another
    direction and with a tenth of the step, twice. A wrong gradient fails along all of them.

    model: float64, in training or evaluation mode, with forward, backward, named_parameters, state_dict and
    load_state_dict; x as it takes; dy as its output, random unless it is given. Its parameters, running statistics and
    mode are left as they were; its gradients are overwritten. `progress` wraps the list of tensors, as tqdm does.
    Returns a GradientReport.
    Raises ValueError for a model that gives two answers (dropout in training mode), TypeError unless float64.
    """
    if x.dtype != np.float64 or any(p.dtype != np.float64 for _, p, _ in model.named_parameters()):
        raise TypeError(
            f"model and x must be float64 for a gradient check; got x {x.dtype}: "
            "build the model with dtype=np.float64 and convert x with .astype(np.float64)"
        )
    rng, state, x = np.random.default_rng([seed, *b"dy"]), model.state_dict(), x.copy()
    try:
        y = model.forward(x)
        if not np.array_equal(model.forward(x), y, equal_nan=True):
            model.backward(y)
            raise ValueError("the model gave two answers to the same x: use dropout=0.0 or model.eval()")
        dy = rng.standard_normal(y.shape) if dy is None else dy
        dx = model.backward(dy).copy()
        tensors = [("x", x, dx), *((key, param, grad.copy()) for key, param, grad in model.named_parameters())]
        rows = [_check_tensor(model, x, dy, rng, step, tolerance, *tensor) for tensor in progress(tensors)]
        model.backward(model.forward(x))  # so that no cache is left waiting
    finally:
        model.load_state_dict(state)
    return GradientReport(getattr(model, "name", type(model).__name__), tuple(rows), tolerance)


def _check_tensor(model, x, dy, rng, step, tolerance, name, tensor, gradient):
    if gradient.shape != tensor.shape:
        return ArgumentReport(name, False, np.inf, problem=f"expected shape {tensor.shape}, got {gradient.shape}")
    for smaller in (step, step / 10, step / 100):
        row = _check_direction(model, x, dy, rng, smaller, tolerance, name, tensor, gradient)
        if row.ok:
            break
    return row


def _check_direction(model, x, dy, rng, step, tolerance, name, tensor, gradient):
    direction = rng.standard_normal(tensor.shape)
    h = step * (np.linalg.norm(tensor) or np.linalg.norm(direction)) / np.linalg.norm(direction)
    middle = tensor.copy()
    tensor[...] = middle + h * direction
    above = model.forward(x)
    tensor[...] = middle - h * direction
    below = model.forward(x)
    tensor[...] = middle
    numeric = np.sum(dy * (above - below)) / (2 * h)
    analytic = np.sum(gradient * direction)
    error = float(relative_error(analytic, numeric, rounding(dy, above, h) / tolerance))
    return ArgumentReport(name, error <= tolerance, error, None, float(analytic), float(numeric))
