"""What starts quickly stays light: each import runs in a fresh interpreter and is searched for heavy libraries.

import-linter reads the imports that are written down; this test sees those that happen, through libraries too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = frozenset(
    {
        "faiss",
        "httpx2",
        "jinja2",
        "llama_cpp",
        "numpy",
        "onnxruntime",
        "rich",
        "sentence_transformers",
        "textual",
        "torch",
        "transformers",
    }
)
LIGHT_MODULES = [
    "llmchat_engine",
    "llmchat_engine.client",
    "llmchat_engine.remote",
    "llmchat_rag",
    "llmchat_tui.documents",
    "llmchat_tui.turn",
    "llmchat_tui.history",
    "llmchat_tui.config",
    "llmchat_tui.cli",
]
_REPORT = """
import json, sys
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""
_RUN_MODULE = """
import runpy, sys
sys.argv = ["llmchat", *sys.argv[1:]]
try:
    runpy.run_module("llmchat_tui", run_name="__main__")
except SystemExit as stop:
    assert not stop.code, stop.code
"""

_TURN = """
from llmchat_engine.testing import FakeEngine
from llmchat_tui.history import History
from llmchat_tui.turn import Turn, run
with History.in_memory() as history:
    list(run(Turn("hi"), FakeEngine(), history))
import sys
assert not {"llmchat_rag.store", "llmchat_rag.context", "llmchat_tui.grounding"} & sys.modules.keys()
"""
_TURN_WITH_DOCUMENTS = """
import sys
from pathlib import Path
from tests.tui.documented import Asking, make_store, open_documents
from llmchat_tui.history import History
documents = open_documents(make_store(Path(sys.argv[1])))
with History.in_memory() as history:
    print(Asking(history, documents).ask("When was Rome founded by Romulus?")[-1])
documents.close()
"""
LIBRARIES_OF_MODELS = frozenset({"onnxruntime", "sentence_transformers", "tokenizers", "torch", "transformers"})


def loaded_by(program: str, *arguments: str) -> set[str]:
    """Returns the top-level modules that a program has loaded when it ends."""
    rooms = os.pathsep.join(str(ROOT / room) for room in ("engine", "rag", "tui", "."))
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{_REPORT}", *arguments],
        env={**os.environ, "PYTHONPATH": rooms},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_importing_loads_nothing_heavy(module: str) -> None:
    assert loaded_by(f"import {module}") & HEAVY == set()


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["ask", "--help"], ["chats", "--help"], ["next", "--help"], ["tokenize", "--help"]],
    ids=" ".join,
)
def test_the_command_line_answers_without_heavy_libraries(arguments: list[str]) -> None:
    assert loaded_by(_RUN_MODULE, *arguments) & HEAVY == set()


def test_a_turn_without_documents_loads_nothing_of_them() -> None:
    assert loaded_by(_TURN) & HEAVY == set()


def test_a_turn_with_documents_loads_no_library_of_models_but_its_encoder(tmp_path: Path) -> None:
    loaded = loaded_by(_TURN_WITH_DOCUMENTS, str(tmp_path))
    assert loaded & LIBRARIES_OF_MODELS == set()
    assert "faiss" in loaded


@pytest.mark.parametrize("arguments", [["--help"], ["docs", "--help"], ["docs", "add", "--help"]], ids=" ".join)
def test_help_loads_nothing_of_the_document_room(arguments: list[str]) -> None:
    program = _RUN_MODULE + "assert not any(name.startswith('llmchat_rag') for name in sys.modules)"
    assert loaded_by(program, *arguments) & HEAVY == set()


def test_a_plain_question_loads_nothing_of_the_document_room_but_its_failures(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "from tests.tui.asking import ask\n"
        "assert ask(Path(sys.argv[1]) / 'home', 'hi').code == 0\n"
        "rooms = {name for name in sys.modules if name.startswith('llmchat_rag.')}\n"
        "assert rooms <= {'llmchat_rag.errors', 'llmchat_rag.types'}, rooms"
    )
    assert "llmchat_tui" in loaded_by(f"import sys\n{program}", str(tmp_path))


def test_a_heavy_import_is_seen() -> None:
    assert "jinja2" in loaded_by("import jinja2.sandbox") & HEAVY
