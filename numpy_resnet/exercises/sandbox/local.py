"""The same as a Student, but in this process: for our own code, which is trusted."""

import importlib
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from numpy_resnet.exercises.sandbox.runner import told
from numpy_resnet.exercises.sandbox.student import StudentError


class Local:
    """A context with load, call, function and callback as Student has them, a hundred times as fast."""

    def __init__(self, files, module):
        self.files, self.module, self.printed = files, module, ""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="exercise-")
        for name, source in self.files.items():
            Path(self.folder.name, name).write_text(source, encoding="utf-8", errors="surrogateescape")
        self.before = sys.path[:], set(sys.modules)
        sys.path.insert(0, self.folder.name)
        return self

    def __exit__(self, *error):
        sys.path[:] = self.before[0]
        for name in {Path(file).stem for file in self.files} & set(sys.modules) - self.before[1]:
            del sys.modules[name]
        self.folder.cleanup()

    def take(self, module, name):
        """A function of one of the files."""
        importlib.invalidate_caches()
        return getattr(importlib.import_module(module), name)

    def load(self):
        importlib.invalidate_caches()
        self.loaded = importlib.import_module(self.module)
        return [name for name, value in vars(self.loaded).items() if callable(value)]

    def call(self, function, *args, opaque=False, watch=True, silent=False, threads=None, **options):
        try:
            return getattr(self.loaded, function)(*args, **options)
        except Exception as error:
            raise StudentError(told(error, self.folder.name)) from None

    def function(self, name, *, opaque=False):
        return partial(self.call, name)

    def callback(self, function):
        return function

    def put(self, value):
        return value.copy()

    def scale(self, kept, by):
        kept *= np.float32(by)

    def fetch(self, kept):
        return kept
