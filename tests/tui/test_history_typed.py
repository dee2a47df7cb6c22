"""What was typed: drafts that wait for their chat, and earlier questions for the prompt."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.tui.stored import add_turn

from llmchat_tui.history import History
from llmchat_tui.history.connection import connect
from llmchat_tui.history.typed import LONGEST_PROMPT


def drafts_in(path: Path) -> list[str]:
    with closing(connect(path, "ro")) as database:
        return [row["text"] for row in database.execute("SELECT text FROM drafts")]


def test_a_draft_waits_for_each_chat_and_for_the_one_not_begun(history: History, home: Path) -> None:
    chat = add_turn(history, "q", "a")
    assert (history.draft(chat), history.draft("")) == ("", "")

    history.keep_draft(chat, "in the chat")
    history.keep_draft("", "not begun")
    history.keep_draft(chat, "in the chat, longer \udcff")

    with History.open(home / "chats.db") as other:
        assert (other.draft(chat), other.draft("")) == ("in the chat, longer ?", "not begun")


def test_no_text_removes_a_draft(history: History, home: Path) -> None:
    for chat in (add_turn(history, "q", "a"), ""):
        history.keep_draft(chat, "words")
        history.keep_draft(chat, "")
        assert history.draft(chat) == ""
    assert drafts_in(home / "chats.db") == []


def test_a_draft_goes_with_its_chat(history: History, home: Path) -> None:
    gone, kept = add_turn(history, "gone", "a"), add_turn(history, "kept", "a")
    for chat in (gone, kept, ""):
        history.keep_draft(chat, f"draft of {chat}")

    history.delete(gone)
    history.keep_draft(gone, "too late")

    assert sorted(drafts_in(home / "chats.db")) == sorted(["draft of ", f"draft of {kept}"])


def test_prompts_are_the_questions_newest_first_and_once(history: History) -> None:
    chat = add_turn(history, "first", "an answer")
    for question in ("second", "first", "third"):
        chat = add_turn(history, question, "an answer", chat)
    add_turn(history, "in another chat", "second")

    assert history.prompts() == ["in another chat", "third", "first", "second"]
    assert history.prompts(limit=2) == ["in another chat", "third"]
    assert history.prompts(limit=0) == []


def test_what_nobody_typed_is_no_prompt(history: History) -> None:
    add_turn(history, "x" * LONGEST_PROMPT, "a")
    add_turn(history, "x" * (LONGEST_PROMPT + 1), "a")
    assert [len(prompt) for prompt in history.prompts()] == [LONGEST_PROMPT]


def test_no_prompts_yet(history: History) -> None:
    assert history.prompts() == []
