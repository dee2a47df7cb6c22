"""`ask` killed with SIGKILL at random moments while it streams: nothing that was acknowledged is lost.

LLMCHAT_KILL_ROUNDS sets how often, LLMCHAT_TEST_SEED when.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.tui.asking import Child, start, words
from tests.tui.fake_ask_child import Part, Play

from llmchat_tui.history import History

ROUNDS = int(os.environ.get("LLMCHAT_KILL_ROUNDS", "20"))
SEED = int(os.environ.get("LLMCHAT_TEST_SEED", "20261122"))
SPEED = 200
"""Tokens a second."""
MAY_BE_BEHIND = 0.5
REPLY = words(4 * SPEED)


@dataclass
class Tally:
    """What all rounds saw."""

    asked: int = 0
    interrupted: int = 0
    furthest_behind: float = 0.0
    slowest_open: float = 0.0

    def __str__(self) -> str:
        return (
            f"{ROUNDS} kills, {self.asked} acknowledged questions, {self.interrupted} interrupted replies, "
            f"text at most {self.furthest_behind:.3f} s behind, slowest open {self.slowest_open * 1000:.0f} ms"
        )


def test_kill_9_at_random_moments(home: Path) -> None:
    print("LLMCHAT_TEST_SEED", SEED)
    chance = random.Random(SEED)
    tally = Tally()
    acknowledged: set[str] = set()
    for number, (child, gate) in enumerate(prepared(home)):
        os.write(gate, b"x")
        # One in four streams long enough to be half a second behind.
        time.sleep(chance.uniform(0, 1.2 if chance.random() < 0.25 else 0.15))
        killed_at = time.monotonic()
        child.process.kill()
        reports = list(child.read_reports())
        child.process.wait()
        if any(report[0] == "asked" for report in reports) or child.out.read(1):
            acknowledged.add(f"question {number}")
        taken = [(int(report[1]), float(report[2])) for report in reports if report[0] == "taken"]
        check(home, acknowledged, f"question {number}", taken, killed_at, tally)
    tally.asked = len(acknowledged)
    print(tally)
    if ROUNDS >= 20:
        assert tally.asked > ROUNDS / 2
        assert tally.interrupted > ROUNDS / 2


def prepared(home: Path) -> Iterator[tuple[Child, int]]:
    """Yields children that wait at their gate, each started while the one before it ran."""
    with ExitStack() as stack:
        following = waiting(home, 0, stack)
        for number in range(ROUNDS):
            current = following
            if number + 1 < ROUNDS:
                following = waiting(home, number + 1, stack)
            assert current[0].wait_for("ready")
            yield current


def waiting(home: Path, number: int, stack: ExitStack) -> tuple[Child, int]:
    """Starts a child that asks when a byte is written into the descriptor beside it."""
    reader, writer = os.pipe()
    play = Play((Part(REPLY),), tokens_per_second=SPEED, gate=reader)
    child = stack.enter_context(start(home, "ask", f"question {number}", play=play))
    os.close(reader)
    stack.callback(os.close, writer)
    return child, writer


def check(
    home: Path,
    acknowledged: set[str],
    question: str,
    taken: list[tuple[int, float]],
    killed_at: float,
    tally: Tally,
) -> None:
    """Opens the database as the next command would and compares it with what was seen."""
    started = time.perf_counter()
    with History.open(home / "chats.db") as history:
        tally.slowest_open = max(tally.slowest_open, time.perf_counter() - started)
        assert history.check() == []
        chats = [history.messages(chat.id) for chat in history.conversations(10_000)]
    assert acknowledged <= {messages[0].text for messages in chats}
    for messages in chats:
        assert [message.role for message in messages] == ["user", "assistant"]
        assert REPLY.startswith(messages[1].text)
        assert messages[1].status == "interrupted"
    reply = next((messages[1] for messages in chats if messages[0].text == question), None)
    if reply is None:
        assert not taken
        return
    tally.interrupted += 1
    behind = max((killed_at - at for length, at in taken if length > len(reply.text)), default=0.0)
    assert behind <= MAY_BE_BEHIND
    tally.furthest_behind = max(tally.furthest_behind, behind)
