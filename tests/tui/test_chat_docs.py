"""Documents in the line-by-line chat, typed into on a pseudo-terminal: which are asked, and what is told below."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tui.asking import ask, play_of, stored
from tests.tui.documented import FILES, make_store
from tests.tui.test_chat_command import chat

from llmchat_rag import UNKNOWN
from llmchat_tui.history import History

ROME = "When was Rome founded by Romulus?"
RIGHT = "Rome was founded in 753 BC by Romulus [1]."
FOREIGN = "qqqq zzzz xxxx"


@pytest.fixture(autouse=True)
def store(home: Path) -> Path:
    """Two collections in this home."""
    make_store(home, FILES)
    return make_store(home, {"tea.md": "# Tea\n\nTea is drawn for three minutes, never longer.\n"}, "kitchen")


def collections(home: Path) -> tuple[str, ...]:
    with History.open(home / "chats.db") as history:
        return history.conversations()[0].collections


def test_an_answer_from_documents_has_its_sources_below(home: Path) -> None:
    with chat(home, "-d", "notes", play=play_of(RIGHT, "Hm.")) as talk:
        shown = talk.say(ROME)
        assert shown.index(RIGHT) < shown.index("[1] ✓ notes: rome.md:1") < shown.index("1 sentence: 1 ✓")
        talk.say("And then?")
    assert collections(home) == ("notes",)
    assert len(stored(home)) == 4


def test_where_they_hold_no_answer_it_says_so_and_the_chat_goes_on(home: Path) -> None:
    with chat(home, "--docs", play=play_of(RIGHT)) as talk:
        shown = talk.say(FOREIGN)
        assert UNKNOWN in shown
        assert "nearest, and not near enough" in shown
        assert RIGHT in talk.say(ROME)
    assert [message.text for message in stored(home)] == [FOREIGN, UNKNOWN, ROME, RIGHT]


def test_documents_are_chosen_and_left_by_a_command(home: Path) -> None:
    with chat(home, play=play_of("one", RIGHT, "three")) as talk:
        assert "without documents" in talk.say("/docs")
        assert "[1]" not in talk.say(ROME)
        assert "there is no collection none" in talk.say("/docs none")
        assert "answered from: notes" in talk.say("/docs notes")
        assert "[1] ✓ notes: rome.md:1" in talk.say(ROME)
        assert collections(home) == ("notes",)
        assert "without documents" in talk.say("/docs off")
        assert "[1]" not in talk.say(ROME)
        assert collections(home) == ()


def test_a_chat_goes_on_from_its_own_documents_unless_others_are_named(home: Path) -> None:
    ask(home, "-d", "notes", ROME)
    for flags, told in (((), "from: notes"), (("--docs",), "from: notes"), (("-d", "kitchen"), "from: kitchen")):
        with chat(home, "-c", *flags, play=play_of(RIGHT)) as talk:
            assert told in talk.say("/docs")


@pytest.mark.parametrize("plain", [(), ("--plain",)], ids=str)
def test_a_collection_that_is_not_there_opens_no_chat(home: Path, plain: tuple[str, ...]) -> None:
    done = ask(home, *plain, "-d", "none", command="chat")
    assert (done.code, "there is no collection none" in done.err) == (3, True)


def test_documents_that_cannot_be_read_are_told_and_the_chat_goes_on(home: Path) -> None:
    with chat(home, "-d", "notes", play=play_of("fine")) as talk:
        (home / "docs" / "store.db").write_bytes(b"no database at all")
        assert "llmchat: error: " in talk.say(ROME)
        talk.say("/docs off")
        assert "fine" in talk.say("hi")
