"""Chats of many messages, and how to look at the few that are mounted. Knows no single test."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

from tests.tui.screen.chatting import MODEL, PATIENCE, Chatting

from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.history import History
from llmchat_tui.widgets.message import MessageView
from llmchat_tui.widgets.window import MOST, STEP

SEED = int(os.environ.get("LLMCHAT_TEST_SEED", "20261122"))


MOUNTED = MOST + 2 * STEP


"""Views at most: those that are kept, and what is loaded before the others go."""


CHAT = "C" * 26


def long_chat(home: Path, count: int, lines: int = 3) -> None:
    """Makes a chat of so many messages, `message 0` first, without a flush of the disk for each."""
    with History.open(home / "chats.db"):
        pass
    rows = [
        (f"m{number:025d}", CHAT, f"m{number - 1:025d}" if number else None, ("user", "assistant")[number % 2],
         f"message {number}\n\n" + "\n\n".join(f"line {line} of {number}" for line in range(lines)), time.time())
        for number in range(count)
    ]  # fmt: skip
    with sqlite3.connect(home / "chats.db") as db:
        db.execute(
            "INSERT INTO conversations (id, title, system, sampling, created_at, updated_at)"
            " VALUES (?, 'long', '', '{}', 0, 0)",
            (CHAT,),
        )
        db.executemany(
            "INSERT INTO messages (id, conversation_id, parent_id, role, text, status, created_at)"
            " VALUES (?, ?, ?, ?, ?, 'complete', ?)",
            rows,
        )
    db.close()


def roomy(script: Script | str) -> FakeEngine:
    """Returns an engine whose context holds every chat of these tests."""
    made = Script(script) if isinstance(script, str) else script
    return FakeEngine([made], 0.0, replace(MODEL, n_ctx=10**6, n_ctx_train=10**6))


def id_of(number: int) -> str:
    return f"m{number:025d}"


def numbers(run: Chatting) -> list[int]:
    """Returns which messages are mounted."""
    return [int(view.message_id[1:]) for view in run.transcript.views]


def focused(run: Chatting) -> int:
    """Returns the message that has the focus, or -1."""
    view = run.app.focused
    return int(view.message_id[1:]) if isinstance(view, MessageView) else -1


def is_whole(run: Chatting) -> bool:
    """Returns whether what is mounted is a piece of the path without a gap, as the transcript thinks."""
    transcript, mounted = run.transcript, numbers(run)
    return mounted == list(range(transcript._start, transcript._end))


async def rest(run: Chatting) -> None:
    """Waits until no message is on its way: nothing was for three paints one after the other."""
    quiet = 0
    while quiet < 3:
        painted = asyncio.Event()
        run.transcript.call_after_refresh(painted.set)
        await asyncio.wait_for(painted.wait(), PATIENCE)
        transcript = run.transcript
        is_busy = (
            transcript._moving or transcript._window.is_locked or any(worker.is_running for worker in run.app.workers)
        )
        quiet = 0 if is_busy else quiet + 1


def in_sight(run: Chatting) -> set[int]:
    """Returns the messages of which something is in sight."""
    sight = run.transcript.region
    return {int(view.message_id[1:]) for view in run.transcript.views if view.region.overlaps(sight)}
