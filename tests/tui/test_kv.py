"""`llmchat kv` over files that the engine's store wrote, and that a removed chat leaves none."""

from __future__ import annotations

import json
import os
from array import array
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.tui.stored import add_turn
from tests.tui.terminal import run_in_terminal, unexpected

from llmchat_engine.kvstore import KvStore, listing
from llmchat_tui.cli import cli
from llmchat_tui.cli.app import App
from llmchat_tui.errors import NotFound, UsageError
from llmchat_tui.history import History

KEY = "ab" * 32


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, obj=App(), catch_exceptions=False)


@pytest.fixture
def root(home: Path) -> Path:
    return home / "cache" / "kv"


@pytest.fixture
def store(root: Path) -> KvStore:
    """The store of a host, with two chats of 3 and 5 tokens."""
    store = KvStore(root, KEY, 1 << 30, name="SmolLM2")
    save(store, "one", 3)
    save(store, "two", 5)
    return store


def save(store: KvStore, chat: str, tokens: int) -> None:
    store.save(chat, array("i", range(tokens)), memoryview(bytes(2000)), grid=0)


def test_ls(store: KvStore, root: Path) -> None:
    os.utime(next(row.path for row in listing(root) if row.tokens == 3), (2e9, 2e9))
    head, first, second, total = run("kv", "ls").stdout.splitlines()
    assert head.split() == ["model", "tokens", "size", "last", "used", "kind"]
    assert first.split()[:4] == ["SmolLM2", "3", "2", "KiB"]
    assert (first.split()[-1], second.split()[1]) == ("chat", "5")
    assert total.startswith("2 files, ")
    assert " of at most " in total


def test_ls_json(store: KvStore, root: Path) -> None:
    found = json.loads(run("kv", "ls", "--json").stdout)
    assert (found["path"], len(found["files"])) == (str(root), 2)
    assert found["bytes"] == sum(path.stat().st_size for path in root.rglob("*.kv"))
    assert set(found["files"][0]) == {"path", "model", "tokens", "bytes", "used_at", "kind", "chats", "damage"}
    assert found["budget_bytes"] > 0


def test_the_budget_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMCHAT_KV_CACHE_GIB", "1.5")
    assert json.loads(run("kv", "ls", "--json").stdout)["budget_bytes"] == 3 << 29


def test_a_damaged_file_is_told(store: KvStore, root: Path) -> None:
    next(root.rglob("*.kv")).write_bytes(b"\x1b]0;x\x07")
    assert "damaged" in run("kv", "ls").stdout
    assert [bool(row["damage"]) for row in json.loads(run("kv", "ls", "--json").stdout)["files"]].count(True) == 1


def test_nothing_is_kept(root: Path) -> None:
    assert run("kv", "ls").stdout == ""
    assert run("kv", "clear").exit_code == 0
    assert not root.exists()


def test_clear_needs_a_yes_where_nobody_can_be_asked(store: KvStore, root: Path) -> None:
    with pytest.raises(UsageError) as caught:
        run("kv", "clear")
    assert (caught.value.exit_code, caught.value.hint) == (2, "llmchat kv clear --yes")
    assert len(listing(root)) == 2


def test_clear(store: KvStore, root: Path) -> None:
    assert run("kv", "clear", "--yes").exit_code == 0
    assert [path for path in root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("typed", "left"), [(b"n\n", 2), (b"\n", 2), (b"y\n", 0)])
def test_clear_asks_on_a_terminal(store: KvStore, root: Path, typed: bytes, left: int) -> None:
    output, code = run_in_terminal(["kv", "clear"], {**os.environ, "TERM": "xterm"}, typed=typed)
    assert (b"2 files" in output, code, len(listing(root))) == (True, 0, left)


def test_nothing_hostile_reaches_the_terminal(root: Path) -> None:
    save(KvStore(root, KEY, 1 << 30, name="\x1b]52;c;QQ==\x07\x9b31m\u202e"), "one", 3)
    output, code = run_in_terminal(["kv", "ls"], {**os.environ, "TERM": "xterm", "NO_COLOR": "1"})
    assert (unexpected(output), code) == ([], 0)


@pytest.mark.parametrize("setting", ["true", "false"])
def test_a_removed_chat_leaves_no_file(
    history: History, root: Path, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMCHAT_KV_CACHE", setting)
    store = KvStore(root, KEY, 1 << 30)
    gone, stays = add_turn(history, "Poem", "Roses"), add_turn(history, "Towers", "Yes?")
    save(store, gone, 3)
    save(store, stays, 5)
    with pytest.raises(NotFound):
        run("chats", "rm", "--yes", gone, "no such chat")
    assert len(listing(root)) == 2
    assert run("chats", "rm", "--yes", gone).exit_code == 0
    assert [row.tokens for row in listing(root)] == [5]
