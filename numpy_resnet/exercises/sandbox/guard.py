"""What a student's code may not do: the system's limits, and a hook that Python asks before it does something.

This keeps accidents and tricks away, not an attacker: machine code does not ask Python.
"""

import os
import sys
from pathlib import Path

import numpy as np

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


class Guard:
    """No new process, no network, no file but the exercise's and Python's, none of the forbidden packages.

    folder: the exercise's; refuse(what) is called, and must not return.
    """

    def __init__(self, folder, forbidden, refuse):
        self.folder, self.forbidden, self.refuse = folder, forbidden, refuse
        self.package = str(Path(__file__).resolve().parents[2])  # where the answers are
        own = f"/proc/{os.getpid()}"
        places = {folder, sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(np.__file__).parents[1]), os.devnull}
        places |= {"/usr", "/lib", "/lib64", "/etc", "/sys", "/dev", os.environ.get("SYSTEMROOT", folder)}
        places |= {"/proc/cpuinfo", "/proc/meminfo", "/proc/stat", f"{own}/status", f"{own}/maps", f"{own}/cgroup"}
        self.readable = places | {os.path.realpath(place) for place in places}

    def begin(self):
        """From now on; there is no end to it."""
        sys.meta_path.insert(0, self)  # importlib.import_module does not ask the hook
        sys.addaudithook(self.hook)

    def hook(self, event, args):
        if event in PROCESSES or event.startswith("os.exec"):
            self.refuse(f"another process ({event})")
        elif event.startswith(NETWORK):
            self.refuse(f"the network ({event})")
        elif event.startswith("ctypes.dl") and "numba" not in sys.modules:
            self.refuse(f"the C library ({event})")
        elif event == "import":
            self.check_package(args[0])
        elif event == "open" and isinstance(args[0], str | bytes | os.PathLike):
            self.check_file(*args)
        elif event in CHANGES and any(self.is_foreign(path) for path in args[:2]):
            self.refuse(f"files outside of the exercise ({event})")

    def is_foreign(self, path):
        """Whether it lies outside of the folder."""
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        path = os.path.realpath(os.fsdecode(path))
        return not (_is_in(path, self.folder) or path == os.devnull)

    def check_file(self, path, mode, flags):
        path = os.path.realpath(os.fsdecode(path))
        writes = (isinstance(flags, int) and flags & WRITES) or (isinstance(mode, str) and set(mode) & set("wax+"))
        if writes and self.is_foreign(path):
            self.refuse(f"a file outside of the exercise ({path})")
        if _is_in(path, self.package):
            self.refuse("a file of numpy_resnet, where the answers are")
        if not any(_is_in(path, place) for place in self.readable) or (os.path.isdir(path) and self.is_foreign(path)):
            self.refuse(f"to read what is not the exercise's ({path})")

    def check_package(self, name):
        """A forbidden package: the student's own import ends all; for others, such as Numba's, it is not there."""
        name, frame = name.split(".")[0], sys._getframe(1)
        if name not in self.forbidden:
            return
        while frame and ("importlib" in frame.f_code.co_filename or frame.f_code.co_filename == __file__):
            frame = frame.f_back
        if frame and frame.f_code.co_filename.startswith(self.folder):
            self.refuse(f"the package {name}")
        raise ModuleNotFoundError(f"No module named {name!r}")

    def find_spec(self, name, path=None, target=None):
        """As a finder: it finds nothing, and looks at the name."""
        self.check_package(name)


def _is_in(path, place):
    return path == place or path.startswith(place + os.sep)
