"""The judge of the bug hunt: a ResNet-18 with one wrong layer, and a count of the probes."""

import numpy as np

from numpy_resnet.exercises.judges.check import Check, NotReadyError, first_call, missing
from numpy_resnet.exercises.judges.narrow import full_name, narrow_resnet

PARTS = {"found with few probes": 3}
FEW, MANY = 12, 24
STEPS = 1e-7, 1e-8  # the second where the first differs: a ReLU may have turned on the way
WIDTHS = 8, 12, 16, 24


def _halved(dx, rng):
    return dx / 2


def _shifted(dx, rng):
    return np.roll(dx, 1, axis=-1)


def _channels_exchanged(dx, rng):
    return dx[:, ::-1].copy()


def _samples_exchanged(dx, rng):
    return dx[::-1].copy()


def _partly_lost(dx, rng):
    return dx * (rng.random(dx.shape) < 0.7)


WAYS = (_halved, _shifted, _channels_exchanged, _samples_exchanged, _partly_lost)


class Patient:
    """A ResNet-18 where the layer `guilty` sends something wrong back; `probe` shows it, and counts."""

    def __init__(self, seed, in_shortcut):
        rng = np.random.default_rng(seed)
        self.model = narrow_resnet(rng, WIDTHS, 5)
        self.layers = {full_name(name): layer for name, layer in self.model.named_layers()}
        inside = [name for name in self.layers if "." in name and not name.endswith(("add", "relu2"))]
        self.guilty = str(rng.choice([name for name in inside if ("downsample" in name) == in_shortcut]))
        self.x = rng.standard_normal((2, 3, 48, 48))
        self.rng, self.probes = rng, 0
        self._spoil(self.layers[self.guilty], [WAYS[i] for i in rng.permutation(len(WAYS))])
        self.dy = rng.standard_normal((2, 5))
        self.records = {full_name(record.name): record for record in self.model.trace(self.x, self.dy)}

    def _spoil(self, layer, ways):
        """Let backward return something that is wrong for sure: some ways do nothing to a map of one pixel."""
        right = layer._backward

        def wrong(dy, cache, **options):
            dx = right(dy, cache, **options)
            spoiled = (way(dx, np.random.default_rng(0)) for way in ways)
            return next(s for s in spoiled if np.abs(s - dx).max() > 0.1 * np.abs(dx).max())

        layer._backward = wrong

    def probe(self, name):
        """(the slope that backward has for the input of a layer in a random direction, the slope of differences)"""
        if name not in self.records:
            raise ValueError(f"there is no layer called {name!r}")
        self.probes += 1
        if self.probes > MANY:
            raise ValueError(f"more than {MANY} probes")
        record = self.records[name]
        x, dx = (v[0] if isinstance(v, tuple) else v for v in (record.input, record.downstream))
        for step in STEPS:
            direction = self.rng.standard_normal(x.shape) * x.std()
            ends = [self._loss(name, h * direction) for h in (step, -step)]
            backward, measured = float(np.sum(dx * direction)), (ends[0] - ends[1]) / (2 * step)
            if abs(backward - measured) <= 1e-5 * abs(measured):
                break
        return backward, measured

    def _loss(self, name, change):
        """The loss when the input of one layer is moved; every layer runs by itself, none fused with another."""
        for key, layer in self.layers.items():
            layer.forward = self._moved(layer.forward, change if key == name else 0.0)
        try:
            return float(np.sum(self.dy * self.model.forward(self.x)))
        finally:
            for layer in self.layers.values():
                del layer.forward
                layer.forget()

    @staticmethod
    def _moved(forward, change):
        return lambda x, *more: forward(x + change, *more)


def judge_hunt(in_shortcut):
    """The judge of one network: with the wrong layer in a shortcut, or in a main branch."""
    subject = "find_bug, in a shortcut" if in_shortcut else "find_bug, in a main branch"
    (part,), (weight,) = PARTS, PARTS.values()

    def ask(student, seed):
        patient = Patient([seed, in_shortcut], in_shortcut)
        try:
            missing(student, "find_bug")
            probe = student.callback(patient.probe)
            answer = first_call("find_bug", lambda: student.call("find_bug", list(patient.layers), probe, watch=False))
        except NotReadyError as error:
            yield Check(subject, part, 0.0, weight, error.text, error.unfinished)
            return
        if not isinstance(answer, str) or answer != patient.guilty:
            text = f"{repr(answer)[:60]} after {patient.probes} probes: it is not this one"
            yield Check(subject, part, 0.0, weight, text)
        elif patient.probes > MANY:
            yield Check(subject, part, 0.0, weight, f"found, with more than {MANY} probes; {FEW} are enough")
        elif patient.probes > FEW:
            text = f"found, with {patient.probes} probes; {FEW} are enough, and give all points"
            yield Check(subject, part, 0.5, weight, text)
        else:
            yield Check(subject, part, 1.0, weight)

    return subject, ask, PARTS
