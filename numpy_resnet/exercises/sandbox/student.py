"""The parent's end: a student's module in a child process with limits, whose functions can be called from here."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from functools import partial
from pathlib import Path

from numpy_resnet.exercises.sandbox import wire
from numpy_resnet.exercises.sandbox.limits import FORBIDDEN, LIMITS, environment

RUNNER = Path(__file__).with_name("runner.py")


class StudentError(Exception):
    """The student's code raised something. `told` is one line, with the line of code; the doctor shows it."""

    def __init__(self, about):
        about = {key: value[:300] if isinstance(value, str) else value for key, value in about.items()}
        about["way"] = [str(step)[:300] for step in about["way"][:8]]
        self.about, self.type, self.unfinished = about, about["type"], _is_unfinished(about)
        place = f", at `{about['line']}` ({about['file']}, line {about['number']})" if about["file"] else ""
        self.told = f"{about['type']}: {about['message'][:160]}{place}"
        super().__init__(self.told)


def _is_unfinished(about):
    return about["type"] == "NotImplementedError" and about["message"].startswith("exercise ")


class RunawayError(BaseException):
    """The child did not come back: too slow, too loud, dead, or it wanted what is refused.

    No Exception, so that nothing on the way takes it for an answer.
    """


class EndedError(RunawayError):
    """Somebody else ended the check: it says nothing about the code."""


class Kept:
    """Something that only the child has, such as a cache; a batch norm's shows its mean and var."""

    def __init__(self, student, number):
        self._student, self._number = student, number

    def __del__(self):
        self._student.released.append(self._number)


class Student:
    """A context: the child lives in it. `call` a function of the module, or get it with `function`.

    files: {name: source}, all that the child sees, in a folder of its own that is gone afterwards. trusted: the code is
    ours, and may import what it likes.
    """

    def __init__(self, files, module, *, limits=LIMITS, trusted=False):
        self.files, self.module, self.limits, self.trusted = files, module, limits, trusted
        self.held, self.count, self.released, self.callbacks = {}, 0, [], {}
        self.printed, self.loudness, self.reason, self.tail = "", 0, None, b""
        self.where = ""
        self.deadline, self.end = float("inf"), time.monotonic() + limits.whole

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="exercise-"))).resolve()
        for name, source in self.files.items():
            (self.folder / name).write_text(source, encoding="utf-8", errors="surrogateescape")
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-B", str(RUNNER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(self.folder, self.limits.threads),
            start_new_session=True,
        )
        self.stopped = threading.Event()
        self.helpers = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._watch)]
        for helper in self.helpers:
            helper.start()
        return self

    def __exit__(self, *error):
        self.stopped.set()
        self._kill()
        for helper in self.helpers:
            helper.join(1)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()
        self.process.wait()
        self.stack.close()

    def load(self):
        """Import the module: the names of its functions.   Raises StudentError for what is wrong with the file."""
        limits = {"memory": self.limits.memory, "seconds": int(4 * self.limits.whole), "file_size": 2**24}
        body = {"kind": "load", "folder": str(self.folder), "module": self.module, "limits": limits}
        body |= {"trusted": self.trusted, "forbidden": FORBIDDEN}
        return self._ask(body, [], self.limits.load)[0]["names"]

    def call(self, function, *args, opaque=False, watch=True, silent=False, threads=None, **options):
        """What the function returns. With `opaque` the second of two values stays in the child, whatever it is.

        Arrays of ours that it wrote into are changed here too; not so without `watch`. silent: it stays there, `fetch`
        gets it; threads: how many Numba may use for it.
        Raises StudentError for whatever it raised, RunawayError if it did not come back.
        """
        packing = wire.Packing(self._handle, self._name if watch else lambda array: None)
        body = {"kind": "call", "function": function, "opaque": opaque, "watch": watch, "silent": silent}
        body["threads"] = threads
        body |= {"args": [packing.pack(a) for a in args], "options": packing.pack(options)}
        body["released"], self.released = self.released, []
        body, arrays = self._ask(body, packing.arrays, self.limits.call)
        try:
            for number, value in body["changed"]:
                array = self.held.get(number, lambda: None)()
                if array is not None:
                    array[...] = wire.unpack(value, arrays, self._handled)
            value = wire.unpack(body["value"], arrays, self._handled, self._hold)
            if opaque and body["fields"]:
                for name, field in body["fields"].items():
                    setattr(value[1], name, wire.unpack(field, arrays, self._handled))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise self._broken(error) from None
        return value

    def batch(self, function, calls, options):
        """The first of what the function returns for each of several lists of arguments, in one go."""
        packing = wire.Packing(self._handle)
        body = {"kind": "batch", "function": function, "calls": [[packing.pack(a) for a in args] for args in calls]}
        body["options"] = packing.pack(options)
        body, arrays = self._ask(body, packing.arrays, self.limits.call)
        return [wire.unpack(value, arrays, self._handled) for value in body["values"]]

    def put(self, value):
        """Give the child something to keep, to be used as an argument later."""
        packing = wire.Packing(self._handle)
        body, _ = self._ask({"kind": "put", "value": packing.pack(value)}, packing.arrays, self.limits.call)
        return self._handled(body["value"])

    def scale(self, kept, by):
        """Multiply an array that was put, in its place."""
        self._ask({"kind": "scale", "number": kept._number, "by": by}, [], self.limits.call)

    def fetch(self, kept):
        """What a silent call returned."""
        body, arrays = self._ask({"kind": "fetch", "number": kept._number}, [], self.limits.call)
        return wire.unpack(body["value"], arrays, self._handled)

    def function(self, name, *, opaque=False):
        """A function of the module, to be called from here; `opaque` for a forward, whose cache stays in the child."""

        def remote(*args, **options):
            return self.call(name, *args, opaque=opaque, **options)

        remote.__name__ = name
        if opaque:
            remote.batch = partial(self.batch, name)
        return remote

    def callback(self, function):
        """A function of ours that a function of the student's may be given; it is run here."""
        self.callbacks[len(self.callbacks)] = function
        return _Callback(len(self.callbacks) - 1)

    def _ask(self, body, arrays, seconds):
        """The answer to a message; on the way the child may ask something itself."""
        self.deadline = time.monotonic() + seconds
        try:
            while True:
                wire.send(self.process.stdin, body, arrays)
                body, arrays = wire.receive(self.process.stdout)
                if "callback" not in body:
                    break
                body, arrays = self._answer(body, arrays)
        except (EOFError, OSError):
            kind = EndedError if self.reason == "asked" else RunawayError
            raise kind(self._why_it_ended(seconds)) from None
        except wire.BrokenMessageError as error:
            raise self._broken(error) from None
        finally:
            self.deadline = float("inf")
        if "refused" in body:
            raise RunawayError(f"it wanted {body['refused']}, which an exercise may not have")
        if "error" in body:
            try:
                raise StudentError(body["error"])
            except (KeyError, TypeError, AttributeError) as error:
                raise self._broken(error) from None
        return body, arrays

    def _answer(self, body, arrays):
        """What a function of ours says to the child's question."""
        packing = wire.Packing(self._handle)
        try:
            args = [wire.unpack(a, arrays, self._handled) for a in body["args"]]
            options = wire.unpack(body["options"], arrays, self._handled)
            before = [a.tobytes() if hasattr(a, "tobytes") else None for a in args]
            value = self.callbacks[body["callback"]](*args, **options)
            answer = {"value": packing.pack(value)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
            before, args = [], []
        now = zip(args, before, strict=True)
        answer["changed"] = [
            [i, packing.pack(a)] for i, (a, old) in enumerate(now) if old is not None and a.tobytes() != old
        ]
        return answer, packing.arrays

    def _handle(self, value):
        """For the child: something that only we have; or what it has itself."""
        if isinstance(value, Kept):
            return {"yours": value._number}
        if isinstance(value, _Callback):
            return {"callback": value.number}
        self.count += 1
        self.callbacks[-self.count] = value  # kept as long as the child lives
        return {"kept": -self.count}

    def _handled(self, message):
        if "yours" in message:
            return self.callbacks[message["yours"]]
        kind = type(str(message["type"]), (Kept,), {})  # a message about it says what it is
        return kind(self, int(message["kept"]))

    def _name(self, array):
        self.count += 1
        self._hold(self.count, array)
        return self.count

    def _hold(self, number, array):
        self.held[number] = weakref.ref(array, lambda reference: self.held.pop(number, None))

    def _listen(self):
        """What the child prints; too much of it ends the child."""
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(self.process.stderr.fileno(), 2**16):
                if self.loudness < 4000:
                    self.printed += data[: 4000 - self.loudness].decode(errors="replace")
                self.loudness += len(data)
                self.tail = (self.tail + data)[-4000:]
                if self.loudness > self.limits.output:
                    self._stop("loud")

    def _watch(self):
        while not self.stopped.wait(0.05):
            now = time.monotonic()
            if now > self.deadline or (now > self.end and self.deadline < float("inf")):
                self._ask_where()
                self._stop("slow" if now > self.deadline else "long")
                return

    def _ask_where(self):
        """Let a child that does not come back say in which line it is: the first of them that is the student's."""
        if not hasattr(signal, "SIGUSR1"):
            return
        with contextlib.suppress(OSError):
            os.kill(self.process.pid, signal.SIGUSR1)
        self.stopped.wait(0.3)
        told = self.tail.decode(errors="replace")
        match = re.search(rf'File "{re.escape(str(self.folder))}/(\S+)", line (\d+) in (\S+)', told)
        self.printed = self.printed.partition("Current thread 0x")[0]
        if match:
            lines = self.files.get(match[1], "").splitlines()
            line = lines[int(match[2]) - 1].strip() if int(match[2]) <= len(lines) else ""
            self.where = f" It was in {match[3]}, at `{line}` ({match[1]}, line {match[2]})"

    def stop(self):
        """End the child, from another thread."""
        self._stop("asked")

    def _stop(self, reason):
        self.reason = self.reason or reason
        self._kill()

    def _kill(self):
        """The child, and all that it started."""
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()

    def _broken(self, error):
        self._kill()
        return RunawayError(f"it wrote into the line to the grader, or returned what nobody can read ({error})")

    def _why_it_ended(self, seconds):
        if self.reason:
            return {
                "slow": f"it took more than {seconds:g} seconds: is there a loop without an end?{self.where}",
                "long": f"the whole exercise took more than {self.limits.whole:g} seconds: are there loops over pixels?"
                f"{self.where}",
                "asked": "the check was ended",
                "loud": f"it printed more than {self.limits.output:,} bytes: take the prints out of the loops",
            }[self.reason]
        code = self.process.wait()
        if code >= 0:
            return f"it ended the process (exit code {code}): take out os._exit"
        names = {11: "a segmentation fault", 9: "killed, for too much memory perhaps", 6: "abort", 24: "CPU time"}
        return f"the process died: {names.get(-code, f'signal {-code}')}"


class _Callback:
    def __init__(self, number):
        self.number = number
