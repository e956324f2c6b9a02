"""JAX: the same networks as pure functions of a dictionary of weights, images in (N, H, W, C)."""

import contenders
import jax
import jax.numpy as jnp
from jax import lax

jax.config.update("jax_platforms", "cpu")


def conv(x, weight, stride):
    padding = weight.shape[2] // 2
    numbers = ("NHWC", "OIHW", "NHWC")
    return lax.conv_general_dilated(x, weight, (stride, stride), [(padding, padding)] * 2, dimension_numbers=numbers)


def norm(x, state, name, train):
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    if train:
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) * (state[f"{name}.weight"] / jnp.sqrt(var + 1e-5)) + state[f"{name}.bias"]


def block(x, state, name, stride, train):
    h, i = x, 1
    while f"{name}.conv{i}.weight" in state:
        weight = state[f"{name}.conv{i}.weight"]
        last = f"{name}.conv{i + 1}.weight" not in state
        wide = weight.shape[2] == 3 and (i == 1 or f"{name}.conv3.weight" in state)
        h = norm(conv(h, weight, stride if wide else 1), state, f"{name}.bn{i}", train)
        h, i = h if last else jax.nn.relu(h), i + 1
    if f"{name}.downsample.0.weight" in state:
        x = norm(conv(x, state[f"{name}.downsample.0.weight"], stride), state, f"{name}.downsample.1", train)
    elif stride > 1:
        more = h.shape[3] - x.shape[3]
        x = jnp.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (more // 2, more // 2)))
    return jax.nn.relu(h + x)


def forward(state, x, train):
    imagenet = state["conv1.weight"].shape[2] == 7
    h = jax.nn.relu(norm(conv(x, state["conv1.weight"], 2 if imagenet else 1), state, "bn1", train))
    if imagenet:
        h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), ((0, 0), (1, 1), (1, 1), (0, 0)))
    for stage in range(1, 5):
        i = 0
        while f"layer{stage}.{i}.conv1.weight" in state:
            h = block(h, state, f"layer{stage}.{i}", 2 if stage > 1 and i == 0 else 1, train)
            i += 1
    return h.mean((1, 2)) @ state["fc.weight"].T + state["fc.bias"]


class Jax:
    def __init__(self):
        self.version = jax.__version__

    def prepare(self, work):
        model, x, labels = contenders.problem(work)
        state = {key: jnp.asarray(array.copy()) for key, array in model.state_dict().items()}
        x, labels = jnp.asarray(x.transpose(0, 2, 3, 1)), jnp.asarray(labels)
        if not work["train"]:
            infer = jax.jit(lambda state, x: forward(state, x, False))
            return lambda: infer(state, x).block_until_ready(), contenders.numbers(infer(state, x))
        fixed = {key: array for key, array in state.items() if "running" in key or "tracked" in key}
        params = {key: array for key, array in state.items() if key not in fixed}

        def loss(params):
            logits = forward({**params, **fixed}, x, True)
            return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()

        @jax.jit
        def update(params, velocity):
            value, grads = jax.value_and_grad(loss)(params)
            velocity = jax.tree.map(lambda v, g: contenders.MOMENTUM * v + g, velocity, grads)
            return jax.tree.map(lambda w, v: w - contenders.LR * v, params, velocity), velocity, value

        now = [params, jax.tree.map(jnp.zeros_like, params)]

        def step():
            now[0], now[1], value = update(*now)
            return float(value)

        return contenders.two_losses(step)
