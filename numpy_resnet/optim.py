"""How the weights move: SGD and AdamW by PyTorch's formulas, and schedules of the learning rate.

An optimizer takes any object whose `named_parameters()` yields (key, parameter, gradient). `step()` changes the
parameters in place and no gradient. A schedule is a function from the step, 0, 1, 2 ..., to the learning rate:

    optimizer.lr = schedule(step)
"""

import math
from bisect import bisect_right

import numpy as np


class SGD:
    """Gradient descent with momentum.   Sutskever et al. 2013; the form is PyTorch's

    g = gradient + weight_decay * w;   v = momentum * v + g, at first v = g;
    w -= lr * v, or with nesterov lr * (g + momentum * v).

    `decay_vectors=False` spares batch norm and biases, the parameters with one axis, from weight decay.
    Raises ValueError for a rate below 0, a momentum outside of [0, 1), and nesterov without momentum.
    """

    def __init__(self, model, lr, *, momentum=0.0, weight_decay=0.0, nesterov=False, decay_vectors=True):
        self.model, self.decay_vectors, self.nesterov = model, decay_vectors, nesterov
        self.lr = _number("lr", lr)
        self.momentum = _number("momentum", momentum, below=1)
        self.weight_decay = _number("weight_decay", weight_decay)
        if nesterov and not momentum:
            raise ValueError("nesterov needs a momentum above 0; got momentum 0: pass momentum=0.9, say")
        self.velocity = {}

    def step(self):
        """One step along the gradients that the last backward left."""
        for key, weight, g in self.model.named_parameters():
            if self.weight_decay and (self.decay_vectors or weight.ndim > 1):
                g = g + self.weight_decay * weight
            if not self.momentum:
                weight -= self.lr * g
                continue
            if key in self.velocity:
                v = self.velocity[key]
                v *= self.momentum
                v += g
            else:
                v = self.velocity[key] = g.copy(order="K")
            weight -= self.lr * (g + self.momentum * v if self.nesterov else v)

    def state_dict(self):
        """What the next step depends on beside weights and options, copied: {"velocity.<key>": array}."""
        return {f"velocity.{key}": v.copy() for key, v in self.velocity.items()}

    def load_state_dict(self, state):
        """Go on where state_dict was taken.   Raises ValueError for arrays that do not fit the model"""
        self.velocity = _per_weight("velocity", state, self.model)


class AdamW:
    """Steps of a size of their own for each weight, and a weight decay beside the gradient.   Loshchilov & Hutter 2019

    m = beta1 * m + (1 - beta1) * gradient;   s = beta2 * s + (1 - beta2) * gradient**2, both 0 at first;
    w -= lr * weight_decay * w;   w -= lr * m_hat / (sqrt(s_hat) + eps), after t steps
    m_hat = m / (1 - beta1**t) and s_hat = s / (1 - beta2**t), since both means began at 0.

    `decay_vectors=False` spares batch norm and biases, the parameters with one axis, from weight decay.
    Raises ValueError for a rate or an eps below 0, and betas outside of [0, 1).
    """

    def __init__(self, model, lr=1e-3, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, decay_vectors=True):
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise ValueError(f"betas must be two numbers in [0, 1); got {betas!r}")
        self.model, self.decay_vectors = model, decay_vectors
        self.lr, self.eps = _number("lr", lr), _number("eps", eps)
        self.betas = tuple(_number("betas", beta, below=1) for beta in betas)
        self.weight_decay = _number("weight_decay", weight_decay)
        self.steps, self.means = 0, {}

    def step(self):
        """One step along the gradients that the last backward left."""
        self.steps += 1
        (beta1, beta2), lr = self.betas, self.lr
        correct1, correct2 = 1 - beta1**self.steps, 1 - beta2**self.steps
        for key, weight, gradient in self.model.named_parameters():
            if key not in self.means:
                self.means[key] = np.zeros_like(weight), np.zeros_like(weight)
            m, s = self.means[key]
            m *= beta1
            m += (1 - beta1) * gradient
            s *= beta2
            s += (1 - beta2) * gradient * gradient
            if self.weight_decay and (self.decay_vectors or weight.ndim > 1):
                weight *= 1 - lr * self.weight_decay
            weight -= (lr / correct1) * m / (np.sqrt(s) / math.sqrt(correct2) + self.eps)

    def state_dict(self):
        """What the next step depends on beside weights and options, copied: steps, {"m.<key>", "s.<key>": array}."""
        state = {f"{name}.{key}": pair[i].copy() for key, pair in self.means.items() for i, name in enumerate("ms")}
        return {"steps": np.array(self.steps), **state}

    def load_state_dict(self, state):
        """Go on where state_dict was taken.   Raises ValueError for arrays that do not fit the model"""
        state = dict(state)
        if "steps" not in state:
            raise ValueError(f"the state of AdamW must hold steps; it holds {', '.join(state) or 'nothing'}")
        steps, half = int(state.pop("steps")), {name: {} for name in "ms"}
        for key, array in state.items():
            half.get(key[:1], half["m"])[key] = array
        m, s = (_per_weight(name, half[name], self.model) for name in "ms")
        if m.keys() != s.keys():
            raise ValueError(f"every weight must have m and s; {sorted(m.keys() ^ s.keys())[0]} has one of them")
        self.steps, self.means = steps, {key: (m[key], s[key]) for key in m}


def _per_weight(name, state, model):
    """{key: array} of {"<name>.<key>": array}, for none of the model's parameters or for all."""
    weights = {f"{name}.{key}": weight for key, weight, _ in model.named_parameters()}
    if state and (odd := sorted(weights.keys() ^ state.keys())):
        what = "is missing" if odd[0] in weights else "belongs to no parameter"
        raise ValueError(f"the optimizer's state does not fit the model: {odd[0]} {what}")
    for key, array in state.items():
        if (array.shape, array.dtype) != (weights[key].shape, weights[key].dtype):
            came, expected = (f"{a.dtype} of shape {a.shape}" for a in (array, weights[key]))
            raise ValueError(f"the optimizer's state does not fit the model: {key} must be {expected}; got {came}")
    return {key.removeprefix(f"{name}."): array.copy() for key, array in state.items()}


def constant(lr, *, warmup=0):
    """Always lr."""
    return _warmed_up(lambda step: lr, lr, warmup)


def multistep(lr, *, milestones, factor=0.1, warmup=0):
    """lr, times `factor` from each milestone on. He et al. 2015, section 4.2, divide by 10 after 32k and 48k steps."""
    milestones = [_steps("milestones", milestone) for milestone in milestones]
    factor = _number("factor", factor)
    if sorted(set(milestones)) != milestones:
        raise ValueError(f"milestones must be steps in rising order; got {milestones}")
    return _warmed_up(lambda step: lr * factor ** bisect_right(milestones, step), lr, warmup)


def cosine(lr, *, steps, warmup=0):
    """From lr down to 0 after `steps` steps, along half a cosine.   Loshchilov & Hutter 2017"""
    steps = _steps("steps", steps, least=1)
    return _warmed_up(lambda step: _between(lr, 0, min(step / steps, 1)), lr, warmup)


def one_cycle(lr, *, steps, rise=0.3, warmup=0):
    """From lr/25 up to lr during the share `rise` of the steps, then down to lr/250000.   Smith & Topin 2018

    Both ways along half a cosine, as PyTorch's OneCycleLR.
    """
    last, rise = _steps("steps", steps, least=1) - 1, _number("rise", rise, below=1)
    peak = max(rise * steps - 1, 0)  # the step at which the rate is lr

    def schedule(step):
        if step < peak:
            return _between(lr / 25, lr, step / peak)
        return _between(lr, lr / 250_000, min((step - peak) / ((last - peak) or 1), 1))

    return _warmed_up(schedule, lr, warmup)


def _warmed_up(schedule, lr, warmup):
    """The schedule, but during `warmup` steps its rate grows linearly from nearly nothing (Goyal et al. 2017, 2.2)."""
    _number("lr", lr)
    warmup = _steps("warmup", warmup)
    return lambda step: schedule(step) * min(1, (step + 1) / (warmup + 1))


def _between(start, end, share):
    """From start (share 0) to end (share 1), along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _number(name, value, below=math.inf):
    """A real number in [0, below)."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name} must be a number; got {value!r}")
    if not 0 <= value < below:
        raise ValueError(f"{name} must be in [0, {below}); got {value!r}")
    return float(value)


def _steps(name, value, least=0):
    """A number of steps."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be whole steps; got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {value!r}")
    return int(value)
