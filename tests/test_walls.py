"""The tower of ARCHITECTURE.md: a room imports only rooms below it, and only kernels/ knows Numba."""

import ast
from pathlib import Path

import pytest

import numpy_resnet

PACKAGE = Path(numpy_resnet.__file__).parent
TOWER = [  # low to high
    {"layout", "files", "reference", "plots"},
    {"kernels"},
    {"ops"},
    {"gradcheck"},
    {"layers"},
    {"models"},
    {"optim", "metrics", "data", "downloads"},
    {"checkpoint"},
    {"train", "grad_cam"},
    {"exercises", "explore"},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: number for number, rooms in enumerate(TOWER) for room in rooms}
ALONE = {
    **{room: set() for room in ("layout", "files", "reference", "optim", "plots", "metrics")},
    "data": {"files"},
    "downloads": {"files"},
    "grad_cam": {"layers", "ops"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module
            if node.module == "numpy_resnet":
                yield from (f"numpy_resnet.{alias.name}" for alias in node.names)


def rooms_imported(path):
    names = [name.split(".") for name in imported_modules(path)]
    rooms = {name[1] for name in names if name[0] == "numpy_resnet" and len(name) > 1}
    return (rooms - {"__version__"}) - {room_of(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    room = room_of(path)
    if room == "__init__":
        return
    for other in rooms_imported(path):
        assert FLOOR[other] < FLOOR[room], f"{room} may not import {other}"
        assert room not in ALONE or other in ALONE[room], f"{room} stands alone, but imports {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_kernels_import_numba_and_nothing_imports_a_framework(path):
    packages = {name.split(".")[0] for name in imported_modules(path)}
    lesson = path.parent.name == "course"  # what students write: no part of the tower
    if room_of(path) != "kernels" and not lesson:
        assert "numba" not in packages
    assert not packages & {"torch", "sklearn", "scipy", "onnxruntime"}


def test_the_wall_would_notice():
    assert FLOOR["layers"] > FLOOR["gradcheck"] > FLOOR["ops"] > FLOOR["kernels"]
    assert "kernels" in rooms_imported(PACKAGE / "ops" / "relu.py")
    assert set(FLOOR) >= {room_of(path) for path in FILES} - {"__init__"}
