"""The debugger's session on the page about stepping is one that takes place."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_session_of_the_page_takes_place():
    page = (ROOT / "docs" / "stepping.md").read_text(encoding="utf-8")
    first, *session = re.search(r"```text\n\$ (.*?)```", page, re.DOTALL)[1].splitlines()
    assert first == "NUMBA_DISABLE_JIT=1 .venv/bin/python -m pdb tutorials/02_convolution.py"
    typed = [line.removeprefix("(Pdb) ") for line in session if line.startswith("(Pdb) ")]
    shown = [line for line in session if not line.startswith("(Pdb) ")]
    done = subprocess.run(
        [sys.executable, "-m", "pdb", "tutorials/02_convolution.py"],
        input="\n".join(typed) + "\n",
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)},
        timeout=120,
    )
    told = done.stdout.splitlines()
    for line in shown:
        assert line in [text.removeprefix("(Pdb) ") for text in told], line
    assert len(typed) >= 8
