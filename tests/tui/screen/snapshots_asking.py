"""The pictures of how a chat asks: a thought that grows, folded and whole, votes with their chains, templates.

Knows no file of a picture.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.tui.screen.chatting import Chatting, chatting
from tests.tui.screen.snapshots_walk import Walk

from llmchat_engine.answers import StopReason
from llmchat_engine.prompting.vote import Chain, Polled
from llmchat_engine.testing import Script
from llmchat_tui.growing import packed_vote
from llmchat_tui.history import Conversation, History, StoredMessage
from llmchat_tui.templates import finding

THOUGHT = """\
The cafeteria had 23 apples. It used 20 of them for lunch, so 23 - 20 = 3 apples were left.
Then it bought 6 more: 3 + 6 = 9.

Is there a catch? No apple was given away, and none went bad. So the answer is 9."""
QUESTION = "The cafeteria had 23 apples. It used 20 for lunch and bought 6 more. How many apples are there now?"
SENT = f"Question: {QUESTION}\n\nLet's think step by step."
_ENDS: tuple[tuple[str, StopReason], ...] = (
    *(("9", "eog"), ("9", "eog"), ("29", "eog"), ("9", "eog"), ("", "max_tokens"), ("9", "eog"), ("9", "cancelled")),
)
CHAINS = tuple(
    Chain(number, THOUGHT, answer, answer, reason, 84 + number) for number, (answer, reason) in enumerate(_ENDS)
)
VOTE = Polled(CHAINS, (("9", 4), ("29", 1)), 7, 611)
TEMPLATE = """\
description = "Sums in words, step by step"
system = "You add up."
user = "Question: $input"
cot = "few-shot"
votes = 8

[[shots]]
input = "I had 2 apples and got 3. How many have I?"
reasoning = "2 and 3 more are 5."
output = "5"
"""


async def the_asking(size: tuple[int, int], home: Path, album: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes a thought in its three forms, a vote with its chains, and the templates."""
    chat = _recorded(home)
    monkeypatch.setattr(finding, "BUILT_IN", _built_in(home / "builtin"))
    thinks = Script("There are 9 apples.", thought=THOUGHT, hang_after=25)
    async with chatting(home, thinks, size=size, start=chat) as run:
        walk = Walk(run)
        album["voted"] = await walk.look()
        await run.press("ctrl+t")
        await run.until(lambda: run.transcript.unfolds_thoughts, "all thoughts")
        await run.settle()
        album["thought"] = await walk.look()
        await run.press("ctrl+t")
        await run.settle()
        await walk.open_command("chains")
        await run.press("enter")
        album["chains"] = await walk.look()
        await walk.leave()
        await _templates(walk, album)
        await walk.new_chat()
        await _think(run)
        album["thinking"] = await walk.look()
        await walk.stop()


async def _templates(walk: Walk, album: dict[str, str]) -> None:
    """Takes the list with one template of the user's among those that come along."""
    folder = walk.run.app.desk.paths.templates_dir
    folder.mkdir(parents=True)
    (folder / "rewrite.toml").write_text('description = "The same in other words"\n', encoding="utf-8")
    await walk.open("f7")
    await walk.run.press("down", "down")  # a file of the user would show a path of this run
    album["templates"] = await walk.look()
    await walk.leave()


def _built_in(folder: Path) -> Path:
    """Writes some of the templates that come along: what they say may change, and the pictures shall not."""
    folder.mkdir()
    (folder / "sums.toml").write_text(TEMPLATE, encoding="utf-8")
    (folder / "translate.toml").write_text('description = "A text in another language"\n', encoding="utf-8")
    (folder / "broken.toml").write_text("systen = 1\n", encoding="utf-8")
    return folder


async def _think(run: Chatting) -> None:
    """Asks, and waits for a thought; its clock stands still."""
    await run.send(QUESTION)
    await run.until(lambda: run.chat.is_thinking, "the thought")
    view = run.transcript.last_reply
    assert view is not None
    await run.until(lambda: view.thought.thought.tokens == 25 and not view.thought.is_behind, "its last words")
    view.thought.thought = replace(view.thought.thought, seconds=2.1)
    await view.thought.paint(force=True)
    view.note("12 tok/s · Esc stops")


def _recorded(home: Path) -> str:
    """Adds a chat with a vote, and returns its id."""
    home.mkdir()
    settings = {
        "model": "fake-1B",
        "sent": SENT,
        "thought": {"text": THOUGHT, "tokens": 72, "seconds": 3.1},
        "votes": packed_vote(VOTE),
    }
    with History.open(home / "chats.db") as history:
        said = StoredMessage("q", "", "", "user", QUESTION, "complete", 0.0)
        reply = StoredMessage("a", "", "q", "assistant", "There are **9** apples.", "complete", 0.0, settings=settings)
        return history.add(Conversation("", "Apples", "", 0.0, 0.0), [said, reply])
