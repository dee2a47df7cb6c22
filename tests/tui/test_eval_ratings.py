"""`llmchat chats ratings` and `export-ratings`: what was rated, and the set that it becomes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.tui.asking import Asked, ask
from tests.tui.stored import add_turn

from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.evaluation.reading import read_items
from llmchat_tui.history import History


@pytest.fixture
def rated(history: History, home: Path) -> Path:
    """A good reply, one that nobody rated and a bad one with a note."""
    chat = add_turn(history, "Capital of France?", "Paris", rating=1)
    add_turn(history, "And of Rome?", "Rome is a city", chat)
    add_turn(history, "Who are\nyou?", "\x1b[31mNobody", rating=-1, rating_note="rude", sent="Who?")
    add_turn(history, "Odd?", "Odd", rating=7)
    add_turn(history, "A word about rating?", 'a "rating" is', text='"rating"')
    return home


def chats(home: Path, *arguments: str) -> Asked:
    return ask(home, *arguments, command="chats")


def test_what_was_rated_is_listed_the_oldest_first(rated: Path) -> None:
    assert chats(rated, "ratings").out.splitlines() == [
        "+ Capital of France?",
        "    Paris",
        "- Who are you?",
        "    ␛[31mNobody",
        "    note: rude",
    ]
    assert len(chats(rated, "ratings", "--good").out.splitlines()) == 2
    (bad,) = json.loads(chats(rated, "ratings", "--bad", "--json").out)
    assert (bad["rejected"], bad["rated"], bad["note"], bad["kind"]) == ("\x1b[31mNobody", "bad", "rude", "none")


def test_the_export_is_a_set_that_eval_asks(rated: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    assert chats(rated, "export-ratings", str(path)).code == 0
    good, bad = read_items(path)
    assert (good.kind, good.question, good.answers) == ("exact", "Capital of France?", ("Paris",))
    assert (bad.kind, bad.question) == ("none", "Who are\nyou?")
    done = ask(rated, str(path), engine=FakeEngine([Script("paris.")]), command="eval")
    assert done.out.splitlines()[1].split()[1] == "1/1"
    assert "1 without a reference answer, skipped" in done.out


def test_a_good_reply_with_headings_is_expected_as_a_whole(history: History, home: Path, tmp_path: Path) -> None:
    text = "#### Steps\nBoil it.\n####"
    add_turn(history, "An egg?", text, rating=1)
    path = tmp_path / "mine.jsonl"
    assert chats(home, "export-ratings", str(path)).code == 0
    (item,) = read_items(path)
    assert (item.answers, item.reasoning) == ((text,), "")


def test_a_file_that_is_there_stays_unless_forced(rated: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("mine")
    assert chats(rated, "export-ratings", str(path)).code == 2
    assert path.read_text() == "mine"
    assert chats(rated, "export-ratings", str(path), "--force", "--good").code == 0
    assert len(path.read_text().splitlines()) == 1
    assert chats(rated, "export-ratings", "--bad").out.count("\n") == 1


def test_nothing_rated_is_told(home: Path) -> None:
    done = chats(home, "export-ratings")
    assert (done.code, done.out) == (0, "")
    assert "no reply was rated" in done.err


def test_settings_that_are_no_json_are_not_taken_for_a_rating(rated: Path) -> None:
    with closing(sqlite3.connect(rated / "chats.db")) as db, db:
        db.execute("""UPDATE messages SET settings = '{"rating": 1' WHERE text = 'Odd'""")
    assert len(chats(rated, "ratings", "--good").out.splitlines()) == 2
