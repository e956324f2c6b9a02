"""The child: loads somebody's module and calls its functions for the parent. Run as a script; imports nothing of ours.

It knows no answer and judges nothing, so nothing can be gained by changing it.
"""

import faulthandler
import importlib
import importlib.util
import inspect
import linecache
import os
import signal
import sys
import traceback
import weakref
from collections import deque
from pathlib import Path

import numpy as np


def neighbour(name):
    """A module of this folder, without the package around it."""
    spec = importlib.util.spec_from_file_location(f"_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


wire, guard = neighbour("wire"), neighbour("guard")


class Foreign:
    """Something that only the parent has."""

    def __init__(self, number):
        self.number = number


class Child:
    def __init__(self, line_in, line_out):
        self.line_in, self.line_out, self.folder = line_in, line_out, ""
        self.kept, self.count = {}, 0
        self.watched = {}  # number: (weak reference to an array that the parent has too, its bytes when last seen)
        self.gone = []  # numbers of those that nobody holds any more
        self.recent = deque(maxlen=16)  # a view may die before what it is a view of

    def serve(self):
        while True:
            try:
                body, arrays = wire.receive(self.line_in)
            except EOFError:
                return
            for number in body.get("released", ()):
                self.kept.pop(number, None)
            try:
                body, arrays = getattr(self, body["kind"])(body, arrays)
            except BaseException as error:  # whatever a student's code raises
                body, arrays = {"error": told(error, self.folder)}, ()
            wire.send(self.line_out, body, arrays)

    def load(self, body, arrays):
        """Import the module; the names of its functions."""
        self.folder = body["folder"]
        sys.path.insert(0, self.folder)
        os.chdir(self.folder)
        guard.limit(**body["limits"])
        if hasattr(signal, "alarm"):
            signal.alarm(body["limits"]["seconds"])  # should the parent be gone
        if not body["trusted"]:
            guard.Guard(self.folder, body["forbidden"], self.refuse).begin()
        self.module = importlib.import_module(body["module"])
        return {"names": [name for name, value in vars(self.module).items() if callable(value)]}, ()

    def refuse(self, what):
        """End, and say why."""
        wire.send(self.line_out, {"refused": what})
        os._exit(3)

    def call(self, body, arrays):
        function = getattr(self.module, body["function"])
        args, options = self.unpack(body["args"], arrays), self.unpack(body["options"], arrays)
        try:
            inspect.signature(function).bind(*args, **options)
        except TypeError as error:
            names = inspect.signature(function)
            raise TypeError(f"{function.__name__}{names} cannot be called as the exercise does: {error}") from None
        except ValueError:
            pass  # a function without a signature
        if body["threads"] and "numba" in sys.modules:
            sys.modules["numba"].set_num_threads(body["threads"])
        value = function(*args, **options)
        if body["silent"]:
            if type(value) is not tuple or any(type(v) is not np.ndarray for v in value):
                raise TypeError(f"{function.__name__} must return arrays")  # computed by now, not later
            return {"value": self.keep(value), "changed": []}, ()
        return self.reply(value, body["opaque"], body["watch"])

    def batch(self, body, arrays):
        """The first of what is returned, for many calls."""
        function, options = getattr(self.module, body["function"]), self.unpack(body["options"], arrays)
        packing = wire.Packing(self.keep)
        calls = (wire.unpack(args, arrays, self.handled) for args in body["calls"])
        return {"values": [packing.pack(function(*args, **options)[0]) for args in calls]}, packing.arrays

    def put(self, body, arrays):
        """Keep something for later calls."""
        return {"value": self.keep(wire.unpack(body["value"], arrays, self.handled))}, ()

    def scale(self, body, arrays):
        """Other numbers in the same place."""
        self.kept[body["number"]] *= np.float32(body["by"])
        return {}, ()

    def fetch(self, body, arrays):
        """What a silent call returned."""
        return self.reply(self.kept[body["number"]], False, False)

    def reply(self, value, opaque, watch):
        packing = wire.Packing(self.keep, self.watch if watch else lambda array: None)
        body = {"fields": {}}
        if opaque and isinstance(value, tuple) and len(value) == 2:
            y, cache = value
            for name in ("mean", "var"):
                if isinstance(field := getattr(cache, name, None), np.ndarray):
                    body["fields"][name] = packing.pack(np.array(field))
            body["value"] = {"tuple": [packing.pack(y), self.keep(cache)]}
        else:
            body["value"] = packing.pack(value)
        plain = wire.Packing(self.keep)
        plain.arrays = packing.arrays
        body["changed"] = [[number, plain.pack(array)] for number, array in self.changes()]
        return body, packing.arrays

    def keep(self, value):
        """For the parent: a thing that only this process can hold; or one of his own."""
        if isinstance(value, Foreign):
            return {"yours": value.number}
        self.count += 1
        self.kept[self.count] = value
        kind = f"array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
        return {"kept": self.count, "type": kind}

    def watch(self, array):
        """The number of an array that the parent has from now on too."""
        self.count += 1
        self.recent.append(array)
        self.named(-self.count, array)
        return -self.count

    def named(self, number, array):
        reference = weakref.ref(array, lambda reference: self.gone.append(number))
        self.watched[number] = reference, array.tobytes()

    def changes(self):
        """(number, array) of all that both have and that was written into since."""
        while self.gone:
            self.watched.pop(self.gone.pop(), None)
        for number, (reference, before) in self.watched.items():
            array = reference()
            if array is not None and (now := array.tobytes()) != before:
                self.watched[number] = reference, now
                yield number, np.array(array)

    def unpack(self, value, arrays):
        return wire.unpack(value, arrays, self.handled, self.named)

    def handled(self, message):
        if "yours" in message:
            return self.kept[message["yours"]]
        if "callback" in message:
            return self.stub(message["callback"])
        return Foreign(message["kept"])

    def stub(self, number):
        """A function of the parent's, as the student's code sees it."""

        def ask(*args, **options):
            packing = wire.Packing(self.keep)
            body = {"callback": number, "args": [packing.pack(a) for a in args], "options": packing.pack(options)}
            wire.send(self.line_out, body, packing.arrays)
            body, arrays = wire.receive(self.line_in)
            for number_, value in body["changed"]:
                args[number_][...] = wire.unpack(value, arrays, self.handled)
            if "error" in body:
                raise RuntimeError(body["error"])
            return wire.unpack(body["value"], arrays, self.handled)

        return ask


def told(error, folder):
    """An exception, for the parent: what, where in the student's files, and the way there."""
    try:
        message = " ".join(str(error).split())[:300]
    except Exception:
        message = "(its text cannot be had)"
    steps = [] if not folder else [
        (frame.f_code.co_filename, number, frame.f_code.co_name)
        for frame, number in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename.startswith(folder)
    ]  # fmt: skip
    steps = [(path, number, name, linecache.getline(path, number).strip()[:200]) for path, number, name in steps[-4:]]
    about = {"type": type(error).__name__, "message": message, "file": "", "number": 0, "line": ""}
    if isinstance(error, SyntaxError) and str(error.filename).startswith(folder):
        about |= {"message": str(error.msg), "file": Path(error.filename).name, "number": error.lineno or 0}
        about["line"] = str(error.text or "").strip()[:200]
    elif steps:
        path, number, _, line = steps[-1]
        about |= {"file": Path(path).name, "number": number, "line": line}
    about["way"] = [f"{Path(path).name}:{number} in {name}: {line}" for path, number, name, line in steps]
    return about


def main():
    line_in, line_out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)  # what is printed goes where errors go, and is shown
    sys.stdout.reconfigure(line_buffering=True)
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, file=2, all_threads=False)  # asked where it is, it says so
    Child(line_in, line_out).serve()


if __name__ == "__main__":
    main()
