"""The doctor for a whole network: which layer's backward is wrong, and then why."""

from dataclasses import dataclass

import numpy as np

from numpy_resnet import ops
from numpy_resnet.gradcheck.diagnosis import Diagnosis
from numpy_resnet.gradcheck.doctor import diagnose_op
from numpy_resnet.gradcheck.findings import Finding
from numpy_resnet.gradcheck.network import check_model_gradients
from numpy_resnet.gradcheck.report import ArgumentReport, GradientReport, relative_error, rounding
from numpy_resnet.gradcheck.specs import SPECS
from numpy_resnet.gradcheck.trial import quiet, told

TOLERANCE = 1e-4
FUSED = ("batchnorm2d_relu", "batchnorm2d_add_relu")


@dataclass(frozen=True)
class ModelDiagnosis:
    """Print it. `ok` where every gradient is right; else `layer`, and the `diagnosis` of its op."""

    gradients: GradientReport  # a row for each parameter, and x
    layer: str = ""  # the first that backward comes to and that is wrong: "layer2.0.conv1 (Conv2d)"
    diagnosis: Diagnosis | None = None

    @property
    def ok(self):
        return self.gradients.ok

    def __bool__(self):
        return self.ok

    def __str__(self):
        rows = self.gradients.arguments
        wrong = [row for row in rows if not row.ok]
        if not wrong:
            return f"{self.gradients.title}: PASS, {len(rows)} gradients along random directions"
        names = ", ".join(f"d{row.name}" for row in wrong[:3]) + (", ..." if len(wrong) > 3 else "")
        lines = [f"{self.gradients.title}: WRONG, {len(wrong)} of {len(rows)} gradients: {names}"]
        lines += [f"the first layer that goes wrong, from the loss backwards: {self.layer}"] if self.layer else []
        return "\n".join(lines + ([] if self.diagnosis is None else ["", str(self.diagnosis)]))

    def as_dict(self):
        rows = [{"name": row.name, "ok": row.ok, "error": row.max_relative_error} for row in self.gradients.arguments]
        found = None if self.diagnosis is None else self.diagnosis.as_dict()
        return {"ok": self.ok, "gradients": rows, "layer": self.layer, "diagnosis": found}


def diagnose_model(model, x, labels=None, *, seed=0, progress=lambda items: items):
    """Is the backward of a whole network right, and if not, which layer is to blame, and why? A ModelDiagnosis.

    Every parameter's gradient is compared with the slope along a random direction; where one is wrong, every layer is
    asked alone, from the loss backwards, with what it got in this network; the doctor looks at the first that is wrong.
    A layer is asked for its own op and its own upstream, so that one wrong layer does not make others wrong.

    model: float64, as check_model_gradients wants it, with named_layers() and trace(); it is left as it was.
    labels (N,): the upstream is that of the cross entropy; without them it is random. `progress` wraps lists, as tqdm.
    Raises as check_model_gradients does.
    """
    dy = None
    if labels is not None:
        _, cache = ops.cross_entropy(model.infer(x), labels)
        dy = len(x) * ops.cross_entropy_backward(1.0, cache)
    title = getattr(model, "name", type(model).__name__)
    try:
        report = check_model_gradients(model, x, dy=dy, seed=seed, progress=progress)
    except Exception as error:
        if not _inside(error, model):
            raise  # it is about the call, not about a layer
        row = ArgumentReport("x", False, np.inf, problem=f"the backward raised {told(error)}")
        return _ask_ops(model, GradientReport(title, (row,), 0.0))
    if report.ok:
        return ModelDiagnosis(report)
    state, rng = model.state_dict(), np.random.default_rng([seed, 3])
    try:
        with quiet():
            dy = rng.standard_normal(model.forward(x).shape) if dy is None else dy
            for record in reversed(model.trace(x, dy)):
                if not _right_alone(record, rng):
                    return _blame(report, record.name, record.layer)
    finally:
        model.load_state_dict(state)
        for _, layer in model.named_layers():
            layer.forget()
    return _ask_ops(model, report)


def _inside(error, model):
    """Whether an exception came out of a layer's backward."""
    layers, trace = {id(layer) for _, layer in model.named_layers()}, error.__traceback__
    while trace:
        frame, trace = trace.tb_frame, trace.tb_next
        if frame.f_code.co_name == "_backward" and id(frame.f_locals.get("self")) in layers:
            return True
    return False


def _right_alone(record, rng):
    """Whether one layer's gradients fit its own forward along random directions, for what it got in the network."""
    layer, inputs = record.layer, record.input if isinstance(record.input, tuple) else (record.input,)
    downstream = record.downstream if isinstance(record.downstream, tuple) else (record.downstream,)
    pairs = [*zip(inputs, downstream, strict=False), *((layer.params[key], layer.grads[key]) for key in layer.params)]
    if any(np.shape(gradient) != array.shape for array, gradient in pairs):
        return False
    for array, gradient in pairs:
        for step in (1e-6, 1e-7, 1e-8):  # a kink nearby is not there at the next
            direction, middle = rng.standard_normal(array.shape) * (array != 0), array.copy()  # at 0, ReLU left ties
            ends = []
            for h in (step, -step):
                array[...] = middle + h * direction
                ends.append(np.array(layer.forward(*inputs)))  # a copy: it may be the input itself
                layer.forget()
            array[...] = middle
            numeric = np.sum(record.upstream * (ends[0] - ends[1])) / (2 * step)
            blur = rounding(record.upstream, ends[0], step) / TOLERANCE
            if relative_error(np.sum(gradient * direction), numeric, blur) <= TOLERANCE:
                break
        else:
            return False
    return True


def _blame(report, name, layer):
    """The doctor on the op of a layer that is wrong."""
    where = f"{name} ({type(layer).__name__})"
    if layer.op not in SPECS:
        return ModelDiagnosis(report, where)
    found = diagnose_op(layer.op, getattr(layer.ops, layer.op), getattr(layer.ops, f"{layer.op}_backward"))
    if found.ok:
        text = "the op is right in all small cases, and this layer is wrong with what it gets in the network"
        finding = Finding("dx", "unknown", text, 0.3, where, "look at what differs: sizes, options, memory order")
        found = Diagnosis(layer.op, "WRONG", (finding,), cases=found.cases, judged=found.judged)
    return ModelDiagnosis(report, where, found)


def _ask_ops(model, report):
    """Where no layer can be asked by itself: every op of the network once, the last layers first, then the fused."""
    asked = {}
    for name, layer in reversed(list(model.named_layers())):
        if layer.op in SPECS:
            asked.setdefault(layer.op, (f"{name} ({type(layer).__name__})", layer.ops))
    if "batchnorm2d" in asked:
        asked |= {op: (f"{op}, batch norm and what follows it as one op", asked["batchnorm2d"][1]) for op in FUSED}
    for op, (where, namespace) in asked.items():
        found = diagnose_op(op, getattr(namespace, op), getattr(namespace, f"{op}_backward"))
        if not found.ok:
            return ModelDiagnosis(report, where, found)
    return ModelDiagnosis(report, "none alone: look at how the layers are put together (blocks, shortcuts)")
