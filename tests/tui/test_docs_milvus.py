"""`llmchat` with a vector server in its settings: nothing is searched here, and a server that is gone is told."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from tests.tui.asking import Asked, ask, environment
from tests.tui.documented import FILES

from llmchat_engine.testing import FakeEngine, Script

needs_milvus = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("pymilvus", "milvus_lite")),
    reason="pymilvus and milvus-lite are not installed: make test-milvus",
)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def run(home: Path, command: str, *arguments: str, server: str) -> Asked:
    engine = FakeEngine([Script("Rome was founded in 753 BC by Romulus [1].")])
    environ = environment(home, LLMCHAT_VECTOR_SERVER=server)
    return ask(home, *arguments, command=command, environ=environ, engine=engine)


@needs_milvus
def test_added_searched_and_asked_through_a_server(home: Path, notes: Path, tmp_path: Path) -> None:
    server = str(tmp_path / "milvus.db")
    added = run(home, "docs", "add", str(notes), server=server)
    assert (added.code, added.err) == (0, "")
    found = run(home, "docs", "search", "Romulus founded Rome", "--json", server=server)
    assert json.loads(found.out)["passages"][0]["source"] == "rome.md:1"
    asked = run(home, "ask", "--docs", "When was Rome founded by Romulus?", "--sources", server=server)
    assert asked.code == 0
    assert "[1] ✓ notes: rome.md:1" in asked.err
    assert list((home / "docs").glob("*.faiss")) == []


@needs_milvus
@pytest.mark.parametrize(
    "command", [("docs", "update"), ("docs", "search", "Rome"), ("ask", "--docs", "Rome?")], ids=str
)
def test_a_server_that_is_not_there_is_exit_6(home: Path, notes: Path, command: tuple[str, ...]) -> None:
    run(home, "docs", "add", str(notes), server="")
    done = run(home, *command, server="http://me:secret@127.0.0.1:1")
    assert (done.code, done.out) == (6, "")
    assert "error: Milvus at http://127.0.0.1:1 does not answer" in done.err
    assert "hint: start the server" in done.err
