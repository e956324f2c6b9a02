"""Optimizers and schedules beside PyTorch's, number by number."""

from pathlib import Path

import numpy as np
import pytest
from golden_optim import OPTIMIZERS, RATES, SCHEDULES, STEPS, gradients, weights

from numpy_resnet import models, optim

GOLDEN = Path(__file__).parent / "golden" / "optim.npz"


class Weights:
    """All that an optimizer asks of a model."""

    def __init__(self, params):
        self.params, self.grads = params, {key: np.zeros_like(param) for key, param in params.items()}

    def named_parameters(self):
        for key, param in self.params.items():
            yield key, param, self.grads[key]


@pytest.mark.parametrize("title", OPTIMIZERS)
def test_steps_equal_pytorchs(title):
    name, options = OPTIMIZERS[title]
    model = Weights(weights())
    optimizer = getattr(optim, name)(model, **options)
    for step in range(STEPS):
        model.grads = gradients(step)
        optimizer.lr = RATES[step]
        optimizer.step()
    with np.load(GOLDEN) as golden:
        for key, param in model.params.items():
            np.testing.assert_allclose(param, golden[f"{title}/{key}"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("title", SCHEDULES)
def test_learning_rates_equal_pytorchs(title):
    name, options, steps = SCHEDULES[title]
    options = options if name == "multistep" else {"steps": steps, **options}
    schedule = getattr(optim, name)(0.3, **options)
    with np.load(GOLDEN) as golden:
        np.testing.assert_allclose([schedule(step) for step in range(steps)], golden[title], rtol=1e-12, atol=1e-16)


EVERY_SCHEDULE = {
    "constant": lambda **more: optim.constant(0.3, **more),
    "multistep": lambda **more: optim.multistep(0.3, milestones=[4, 9], **more),
    "cosine": lambda **more: optim.cosine(0.3, steps=20, **more),
    "one_cycle": lambda **more: optim.one_cycle(0.3, steps=20, **more),
}


@pytest.mark.parametrize("name", EVERY_SCHEDULE)
def test_warm_up_is_linear_and_ends(name):
    cold, warm = EVERY_SCHEDULE[name](), EVERY_SCHEDULE[name](warmup=5)
    shares = [warm(step) / cold(step) for step in range(10)]
    np.testing.assert_allclose(shares, [1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1, 1, 1, 1, 1], rtol=1e-12)


@pytest.mark.parametrize("name", ["cosine", "one_cycle"])
def test_after_the_last_step_the_rate_stays_low(name):
    schedule = EVERY_SCHEDULE[name]()
    assert 0 <= schedule(50) == schedule(20) <= 0.3 / 250_000 * (1 + 1e-12)


def test_one_step_alone_is_at_the_full_rate():
    assert optim.one_cycle(0.3, steps=1)(0) == optim.cosine(0.3, steps=1)(0) == 0.3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("title", OPTIMIZERS)
def test_parameters_move_in_place_and_gradients_stay(title, dtype):
    name, options = OPTIMIZERS[title]
    model = Weights({key: array.astype(dtype) for key, array in weights().items()})
    arrays, before = dict(model.params), {key: param.copy() for key, param in model.params.items()}
    model.grads = {key: gradient.astype(dtype) for key, gradient in gradients(0).items()}
    grads = {key: gradient.copy() for key, gradient in model.grads.items()}
    optimizer = getattr(optim, name)(model, **options)
    for _ in range(2):
        optimizer.step()
    for key, array in arrays.items():
        assert model.params[key] is array
        assert array.dtype == dtype
        assert not np.array_equal(array, before[key])
        np.testing.assert_array_equal(model.grads[key], grads[key])


MODEL = Weights(weights())
REFUSED = {
    "lr negative": (lambda: optim.SGD(MODEL, -0.1), ValueError, r"lr must be in \[0, inf\); got -0.1"),
    "lr NaN": (lambda: optim.SGD(MODEL, np.nan), ValueError, "lr must be in"),
    "lr infinite": (lambda: optim.AdamW(MODEL, np.inf), ValueError, "lr must be in"),
    "lr text": (lambda: optim.SGD(MODEL, "0.1"), TypeError, "lr must be a number; got '0.1'"),
    "momentum one": (lambda: optim.SGD(MODEL, 0.1, momentum=1), ValueError, r"momentum must be in \[0, 1\); got 1"),
    "momentum bool": (lambda: optim.SGD(MODEL, 0.1, momentum=True), TypeError, "momentum must be a number"),
    "decay": (lambda: optim.SGD(MODEL, 0.1, weight_decay=-1), ValueError, "weight_decay must be in"),
    "nesterov": (lambda: optim.SGD(MODEL, 0.1, nesterov=True), ValueError, "nesterov needs a momentum above 0"),
    "beta": (lambda: optim.AdamW(MODEL, betas=(0.9, 1.0)), ValueError, r"betas must be in \[0, 1\); got 1.0"),
    "one beta": (lambda: optim.AdamW(MODEL, betas=0.9), ValueError, "betas must be two numbers"),
    "eps": (lambda: optim.AdamW(MODEL, eps=-1e-8), ValueError, "eps must be in"),
    "schedule lr": (lambda: optim.constant(-1), ValueError, "lr must be in"),
    "warmup negative": (lambda: optim.constant(0.1, warmup=-1), ValueError, "warmup must be at least 0; got -1"),
    "warmup fraction": (lambda: optim.cosine(0.1, steps=9, warmup=0.5), TypeError, "warmup must be whole steps"),
    "no steps": (lambda: optim.cosine(0.1, steps=0), ValueError, "steps must be at least 1"),
    "rise": (lambda: optim.one_cycle(0.1, steps=9, rise=1.0), ValueError, r"rise must be in \[0, 1\)"),
    "milestones": (lambda: optim.multistep(0.1, milestones=[9, 4]), ValueError, r"rising order; got \[9, 4\]"),
    "factor": (lambda: optim.multistep(0.1, milestones=[9], factor=-1), ValueError, "factor must be in"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        call()


# Going on


@pytest.mark.parametrize(
    "make",
    [
        lambda model: optim.SGD(model, 0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
        lambda model: optim.SGD(model, 0.1),
        lambda model: optim.AdamW(model, 0.1),
    ],
)
def test_an_optimizer_goes_on_from_its_state(make):
    """Three steps, the state handed over, two more: the same bits as five steps."""

    def gradients(model, step):
        for key, _, gradient in model.named_parameters():
            gradient[...] = np.random.default_rng([step, len(key)]).standard_normal(gradient.shape)

    whole, first, second = (models.cifar_resnet20(3) for _ in range(3))
    one, two = make(whole), make(first)
    for step in range(5):
        gradients(whole, step)
        one.step()
        if step == 3:
            second.load_state_dict(first.state_dict())
            state, first = two.state_dict(), second
            two = make(second)
            two.load_state_dict(state)
        gradients(first, step)
        two.step()
    for (key, a, _), (_, b, _) in zip(whole.named_parameters(), first.named_parameters(), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=key)
    for (key, a), b in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=key)


def test_the_state_of_an_optimizer_is_a_copy():
    model = models.cifar_resnet20(3)
    sgd = optim.SGD(model, 0.1, momentum=0.9)
    assert sgd.state_dict() == {}
    for _, _, gradient in model.named_parameters():
        gradient[...] = 1
    sgd.step()
    state = sgd.state_dict()
    again = optim.SGD(model, 0.1, momentum=0.9)
    again.load_state_dict(state)
    again.step()
    sgd.step()
    assert all((array == 1).all() for array in state.values())


def test_a_state_that_does_not_fit_is_refused():
    model = models.cifar_resnet20(3)
    sgd, adamw = optim.SGD(model, 0.1, momentum=0.9), optim.AdamW(model, 0.1)
    sgd.step()
    adamw.step()
    state = sgd.state_dict()
    cases = [
        (sgd, {**state, "velocity.x": np.zeros(3)}, "velocity.x belongs to no parameter"),
        (sgd, {k: v for k, v in state.items() if k != "velocity.conv1.weight"}, "velocity.conv1.weight is missing"),
        (
            sgd,
            {**state, "velocity.fc.bias": np.zeros(3)},
            "velocity.fc.bias must be float32 of .*; got float64",
        ),
        (adamw, state, "the state of AdamW must hold steps; it holds velocity.conv1.weight, "),
        (adamw, {"steps": np.array(1), "m.fc.bias": np.zeros(3, np.float32)}, "m.bn1.bias is missing"),
        (sgd, adamw.state_dict(), "m.bn1.bias belongs to no parameter"),
    ]
    for optimizer, wrong, message in cases:
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict(wrong)
    only_m = {key: array for key, array in adamw.state_dict().items() if not key.startswith("s.")}
    with pytest.raises(ValueError, match=r"every weight must have m and s; bn1.bias has one of them"):
        adamw.load_state_dict(only_m)
