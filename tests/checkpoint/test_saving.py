"""A save that is killed, or that the disk has no room for, leaves the file that was there."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from numpy_resnet.checkpoint import load_arrays, save_arrays

EXTENSIONS = [".npz", ".pth", ".safetensors"]

KILLS = """
import json, os, random, signal, sys, time
import numpy as np
from numpy_resnet.checkpoint import load_arrays, save_arrays

path, arrays, moments = sys.argv[1], {"x": np.zeros(2**19), "y": np.zeros(1000)}, random.Random(0)
began = time.perf_counter()
for _ in range(3):
    save_arrays(path, arrays)
a_save = (time.perf_counter() - began) / 3  # the moments are those of this machine, as busy as it is
cut = 0
for n in range(1, 41):
    child = os.fork()
    if not child:
        while True:
            for array in arrays.values():
                array[...] = n
            save_arrays(path, arrays)
    end = time.perf_counter() + moments.uniform(0, 3 * a_save)
    while time.perf_counter() < end:
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = load_arrays(path)
    assert found["x"].min() == found["x"].max() == found["y"].min() == found["y"].max()
    cut += any(name.endswith(".unfinished") for name in os.listdir(os.path.dirname(path)))
    for name in os.listdir(os.path.dirname(path)):
        if name.endswith(".unfinished"):
            os.unlink(os.path.join(os.path.dirname(path), name))
print(json.dumps({"cut": cut, "last": found["y"][0]}))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("extension", EXTENSIONS)
def test_forty_kills_at_random_moments(tmp_path, extension):
    command = [sys.executable, "-c", KILLS, str(tmp_path / f"weights{extension}")]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert told["cut"] > 10  # so many were killed in the middle
    assert told["last"] > 0  # and some saved before


FULL = """
import resource, signal, sys
import numpy as np
from numpy_resnet.checkpoint import save_arrays

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_arrays(sys.argv[1], {"x": np.ones(10**6)})
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit for files")
@pytest.mark.parametrize("extension", EXTENSIONS)
def test_no_room(tmp_path, extension):
    path = tmp_path / f"weights{extension}"
    save_arrays(path, {"x": np.arange(3)})
    said = subprocess.run([sys.executable, "-c", FULL, str(path)], check=True, capture_output=True, text=True).stdout
    assert f"cannot write {path}: " in said
    assert "what was there is whole" in said
    assert os.listdir(tmp_path) == [path.name]
    np.testing.assert_array_equal(load_arrays(path)["x"], [0, 1, 2])


def test_what_a_killed_process_left_goes_with_the_next_save(tmp_path):
    old, new, other = (
        tmp_path / f".{name}.unfinished" for name in ("a.pth.0123abcd", "a.pth.4567abcd", "b.pth.0123abcd")
    )
    for path in (old, new, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (0, 0))
    save_arrays(tmp_path / "a.pth", {"x": np.zeros(3)})
    assert sorted(os.listdir(tmp_path)) == sorted([new.name, other.name, "a.pth"])
