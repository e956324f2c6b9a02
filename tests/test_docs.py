"""What the documents say is so: their Python runs, their commands parse, their links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest

from numpy_resnet.cli import DESCRIPTION, build_parser

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in DOCUMENTS}
COMMANDS = [
    line.strip()
    for text in [*TEXTS.values(), DESCRIPTION]
    for line in re.findall(r"^ *(?:\.venv/bin/)?(numpy-resnet [^\n]*)", text, re.MULTILINE)
]


@pytest.mark.real_size
@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if "```python" in text])
def test_python_runs(name, capsys, tmp_path, monkeypatch):
    """All blocks of a document, one after the other; text that follows a block as ```text is what it prints."""
    monkeypatch.chdir(tmp_path)  # they may write files
    namespace = {}
    for code, printed in re.findall(r"```python\n(.*?)```(?:\s*```text\n(.*?)```)?", TEXTS[name], re.DOTALL):
        exec(compile(code, name, "exec"), namespace)
        out = capsys.readouterr().out
        if printed:
            assert out == printed


def test_the_documents_were_found():
    assert {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "DECISIONS.md"} <= set(TEXTS)
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(command):
    words = shlex.split(re.split(r"  +|#", command)[0])[1:]
    build_parser().parse_args(words)


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)#]+)", TEXTS[name]) + re.findall(r'src="([^"]+)"', TEXTS[name]):
        assert target.startswith("https://") or (ROOT / name).parent.joinpath(target).exists(), target
