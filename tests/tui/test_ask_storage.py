"""`ask` where the chats or the settings cannot be used: the code, the file untouched, and `-n` still answers."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.tui.asking import ask, environment

from llmchat_engine.testing import FakeEngine
from llmchat_tui.history import History


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database at all, but a letter\n" * 100)


def _damaged(path: Path) -> None:
    with History.open(path) as history:
        history.begin("hi")
    data = bytearray(path.read_bytes())
    data[30:4000] = os.urandom(3970)
    path.write_bytes(data)


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")


def _newer(path: Path) -> None:
    with History.open(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize("spoil", [_garbage, _damaged, _foreign, _newer])
def test_a_database_that_cannot_be_used_is_left_alone(home: Path, spoil: Callable[[Path], None]) -> None:
    home.mkdir()
    database = home / "chats.db"
    spoil(database)
    before = database.read_bytes()
    engine = FakeEngine()
    for flags in ((), ("-c",), ("--cid", "x"), ("-n", "-c"), ("--json",)):
        asked = ask(home, *flags, "hi", engine=engine)
        assert (asked.code, asked.out) == (7, ""), asked
        assert str(database) in asked.err
        assert "--no-log" in asked.err
    assert engine.requests == []
    assert ask(home, "-n", "hi", engine=engine).out == "Hello there.\n"
    assert database.read_bytes() == before


def test_a_home_that_cannot_be_made(home: Path) -> None:
    home.write_text("a file where the directory should be")
    asked = ask(home, "hi", environ={**environment(home), "LLMCHAT_HOME": f"{home}/deep", "LLMCHAT_CONFIG": os.devnull})
    assert (asked.code, asked.out) == (7, "")
    assert "Traceback" not in asked.err


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("temprature = 1\n", "config.toml:1"),
        ("= broken", "config.toml:1"),
        ("\n[sampling]\ntop_k = -1\n", "config.toml:3"),
    ],
)
def test_a_broken_config(home: Path, text: str, place: str) -> None:
    home.mkdir()
    (home / "config.toml").write_text(text)
    for flags in ((), ("-n",)):
        asked = ask(home, *flags, "hi")
        assert (asked.code, asked.out) == (2, "")
        assert place in asked.err


@pytest.mark.parametrize(
    "variable", ["LLMCHAT_TOP_K=many", "LLMCHAT_KEEPALIVE=soon", "LLMCHAT_COLOR=red", "LLMCHAT_STDIN_LIMIT_MIB=0"]
)
def test_a_broken_variable(home: Path, variable: str) -> None:
    name, _, value = variable.partition("=")
    asked = ask(home, "hi", environ=environment(home, **{name: value}))
    assert (asked.code, asked.out) == (2, "")
    assert name in asked.err
