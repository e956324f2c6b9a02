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

SPEC = importlib.util.spec_from_file_location("_wire", Path(__file__).with_name("wire.py"))
wire = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(wire)

PROCESSES = (
    "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.spawn", "os.system", "os.startfile", "subprocess.Popen",
    "pty.spawn", "os.kill", "os.killpg", "signal.pthread_kill",
)  # fmt: skip
NETWORK = "socket.", "urllib.", "http.", "ftplib.", "smtplib."
CHANGES = (
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.chown", "os.link", "os.symlink",
    "shutil.rmtree", "shutil.move", "shutil.copyfile",
)  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


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
        limit(**body["limits"])
        if hasattr(signal, "alarm"):
            signal.alarm(body["limits"]["seconds"])  # should the parent be gone
        if not body["trusted"]:
            guard(self.folder, body["forbidden"], self.line_out)
        self.module = importlib.import_module(body["module"])
        return {"names": [name for name, value in vars(self.module).items() if callable(value)]}, ()

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


def limit(memory, seconds, file_size):
    """The system's own limits, where it has any."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for name, value in (
        ("RLIMIT_AS", memory),
        ("RLIMIT_CPU", seconds),
        ("RLIMIT_FSIZE", file_size),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NOFILE", 256),
    ):
        try:
            _, most = resource.getrlimit(getattr(resource, name))
            least = value if most == resource.RLIM_INFINITY else min(value, most)
            resource.setrlimit(getattr(resource, name), (least, least))
        except (AttributeError, ValueError, OSError):
            pass  # a limit that this system does not have


def guard(folder, forbidden, line_out):
    """From now on: no new process, no network, no change outside of the folder, none of the forbidden packages."""
    package = str(Path(__file__).resolve().parents[2])
    places = {folder, sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(np.__file__).parents[1]), os.devnull}
    places |= {os.path.realpath(place) for place in places}
    own = f"/proc/{os.getpid()}"
    readable = {*places, "/usr", "/lib", "/lib64", "/etc", "/sys", "/dev", os.environ.get("SYSTEMROOT", folder)}
    readable |= {"/proc/cpuinfo", "/proc/meminfo", "/proc/stat", f"{own}/status", f"{own}/maps", f"{own}/cgroup"}

    def refuse(what):
        wire.send(line_out, {"refused": what})
        os._exit(3)

    def foreign(path):
        """Whether it lies outside of the folder."""
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        path = os.path.abspath(os.fsdecode(path))
        return not (path == folder or path.startswith(folder + os.sep) or path == os.devnull)

    def hook(event, args):
        if event in PROCESSES or event.startswith("os.exec"):
            refuse(f"another process ({event})")
        elif event.startswith(NETWORK):
            refuse(f"the network ({event})")
        elif event.startswith("ctypes.dl") and "numba" not in sys.modules:
            refuse(f"the C library ({event})")
        elif event == "import":
            check_package(args[0])
        elif event == "open":
            path, mode, flags = args
            writes = (flags or 0) & WRITES if isinstance(flags, int) else False
            if (writes or (isinstance(mode, str) and set(mode) & set("wax+"))) and foreign(path):
                refuse(f"a file outside of the exercise ({os.fsdecode(path)})")
            if isinstance(path, str | bytes | os.PathLike):
                path = os.path.realpath(os.fsdecode(path))
                if path.startswith(package + os.sep):
                    refuse("a file of numpy_resnet, where the answers are")
                if not any(path == place or path.startswith(place + os.sep) for place in readable):
                    refuse(f"to read a file that is not the exercise's ({path})")
                if os.path.isdir(path) and foreign(path):
                    refuse(f"a folder that is not the exercise's ({path})")
        elif event in CHANGES and any(foreign(path) for path in args[:2]):
            refuse(f"files outside of the exercise ({event})")

    def check_package(name):
        """A forbidden package: the student's own import ends all; for others, such as Numba's, it is not there."""
        name, frame = name.split(".")[0], sys._getframe(1)
        if name not in forbidden:
            return
        while frame and ("importlib" in frame.f_code.co_filename or frame.f_code.co_filename == __file__):
            frame = frame.f_back
        if frame and frame.f_code.co_filename.startswith(folder):
            refuse(f"the package {name}")
        raise ModuleNotFoundError(f"No module named {name!r}")

    class Refusing:
        """importlib.import_module does not ask the hook."""

        @staticmethod
        def find_spec(name, path=None, target=None):
            check_package(name)

    sys.meta_path.insert(0, Refusing)
    sys.addaudithook(hook)


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
