"""Figures on disk, and where they were measured."""

import datetime
import json
import os
import platform
from pathlib import Path

FOLDER = Path(__file__).parent / "results"


def load(name):
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def save(name, content):
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.with_suffix(".new").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".new").replace(path)


def environment(threads):
    """The machine and the day."""
    return {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        "date": datetime.date.today().isoformat(),
    }


def processor():
    """The processor's name and its widest vectors, as Linux tells them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    told = {key.strip(): value.strip() for key, value in told.items()}
    flags = told.get("flags", "").split()
    vectors = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    return f"{told.get('model name', platform.machine())}, {vectors}"
