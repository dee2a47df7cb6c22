"""The real chat and the real host of a tiny model: the host is killed while a reply streams, and nothing is lost."""

from __future__ import annotations

import os
import signal
import time

from tests.tui.chat_terminal import ChatTerminal
from tests.tui.real_host import MAIN, RealHome, real_home

from llmchat_tui.history import History, StoredMessage

RUNS = int(os.environ.get("LLMCHAT_TEST_SIGNALS", "10"))
"""Times that the host is killed in one chat; 100 before a release."""


def stored(home: RealHome) -> list[StoredMessage]:
    with History.open(home.root / "home" / "chats.db") as history:
        messages = [message for chat in history.conversations() for message in history.messages(chat.id)]
    return sorted(messages, key=lambda message: message.id)


def test_a_killed_host_costs_the_rest_of_a_reply_and_nothing_else() -> None:
    with (
        real_home("30s", width=256, layers=6) as home,
        ChatTerminal(home.environ, program=MAIN, size=(100, 30)) as chat,
    ):
        chat.wait_for("CPU 1 thread")
        killed = 0
        for number in range(RUNS):
            chat.type(f"question {number}\r")
            chat.wait_until(lambda: len(stored(home)) == 2 * number + 2, "the question on disk")  # noqa: B023
            time.sleep(number * 7 % 40 / 1000)
            for pid in home.pids():
                os.kill(pid, signal.SIGKILL)
            chat.wait_until(lambda: stored(home)[-1].status != "streaming", "the end of the reply")
            killed += stored(home)[-1].status == "failed"
            chat.type("\x0e" if number % 5 == 4 else "")  # ^N: a chat that fits into the context again
            time.sleep(0.1)
        assert killed >= RUNS // 2
        chat.type("still here\r")
        chat.wait_until(lambda: len(stored(home)) == 2 * RUNS + 2, "the question on disk")
        chat.wait_until(lambda: stored(home)[-1].status == "complete", "an answer of a new host")
        chat.type("\x11")
        assert chat.end() == 0
        assert chat.not_restored() == []
        questions = sorted(message.text for message in stored(home) if message.role == "user")
    assert questions == sorted([f"question {number}" for number in range(RUNS)] + ["still here"])
