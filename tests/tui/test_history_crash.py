"""Nothing acknowledged is lost: the writer killed at random moments, and logs torn as a power cut tears them.

LLMCHAT_KILL_ROUNDS sets how often the writer is killed, LLMCHAT_TEST_SEED when.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.tui.history_kill_child import LONGEST, Child, reply_text

from llmchat_tui.history import History, ReplyEnd, StoredMessage

ROUNDS = int(os.environ.get("LLMCHAT_KILL_ROUNDS", "20"))
SEED = int(os.environ.get("LLMCHAT_TEST_SEED", "20261122"))
ROUNDS_PER_DATABASE = 4
"""Low, so that the creation of the file is killed often too."""
MAY_BE_BEHIND = 0.5
FULL_REPLY = reply_text(LONGEST)
IMAGES = 60


@dataclass
class Said:
    """What one writer acknowledged before it was killed."""

    asked: dict[str, str] = field(default_factory=dict)
    """From the reply to its question."""
    saved: dict[str, int] = field(default_factory=dict)
    """The length of a reply's newest checkpoint."""
    finished: dict[str, int] = field(default_factory=dict)
    shown: list[tuple[str, int, float]] = field(default_factory=list)
    """Reply, length and time of every token."""

    def read(self, lines: list[str]) -> None:
        for line in lines:
            match line.split() if line.endswith("\n") else []:
                case ["asked", question, reply]:
                    self.asked[reply] = question
                case ["saved", reply, length]:
                    self.saved[reply] = int(length)
                case ["finished", reply, length]:
                    self.finished[reply] = int(length)
                case ["shown", reply, length, at]:
                    self.shown.append((reply, int(length), float(at)))


@dataclass
class Tally:
    """What the whole harness saw."""

    asked: int = 0
    interrupted: int = 0
    slowest_open: float = 0.0
    furthest_behind: float = 0.0

    def __str__(self) -> str:
        return (
            f"{ROUNDS} kills, {self.asked} acknowledged questions, {self.interrupted} interrupted replies, "
            f"slowest open {self.slowest_open * 1000:.0f} ms, text at most {self.furthest_behind:.3f} s behind"
        )


def test_kill_9_at_random_moments(tmp_path: Path) -> None:
    print("LLMCHAT_TEST_SEED", SEED)
    chance = random.Random(SEED)
    tally = Tally()
    earlier = Said()
    for number, child in enumerate(prepared_children()):
        if number % ROUNDS_PER_DATABASE == 0:
            earlier = Said()
        path = tmp_path / str(number // ROUNDS_PER_DATABASE) / "chats.db"
        now, killed_at = run_and_kill(child, path, chance)
        check_after_kill(path, now, earlier, killed_at, tally)
    print(tally)
    if ROUNDS >= 20:
        assert tally.asked > ROUNDS / 2
        assert tally.interrupted > ROUNDS / 4


def prepared_children() -> Iterator[Child]:
    """Yields writers, each of which imported what it needs while the one before it ran."""
    following = Child("stream")
    for number in range(ROUNDS):
        with following as child:
            if number + 1 < ROUNDS:
                following = Child("stream")
            child.wait_for("ready")
            yield child


def run_and_kill(child: Child, path: Path, chance: random.Random) -> tuple[Said, float]:
    """Lets a writer work for a random time; one in five works long enough to be half a second behind."""
    child.go(path, chance.randrange(1_000))
    time.sleep(chance.uniform(0, 0.9 if chance.random() < 0.2 else 0.12))
    killed_at = time.monotonic()
    said = Said()
    said.read(child.kill())
    return said, killed_at


def check_after_kill(path: Path, now: Said, earlier: Said, killed_at: float, tally: Tally) -> None:
    started = time.perf_counter()
    with History.open(path) as history:
        tally.slowest_open = max(tally.slowest_open, time.perf_counter() - started)
        assert history.check() == []
        assert history.recover() == 0
        earlier.asked |= now.asked
        earlier.finished |= now.finished
        stored = {m.id: m for chat in history.conversations(10_000) for m in history.messages(chat.id)}
    assert all(message.status != "streaming" for message in stored.values())
    for reply, question in earlier.asked.items():
        assert stored[question].text.startswith("question")
        assert_is_beginning(stored[reply])
    for reply, length in earlier.finished.items():
        assert (stored[reply].status, len(stored[reply].text)) == ("complete", length)
        assert len(stored[reply].token_ids) == stored[reply].text.count(" ")
    for reply, length in now.saved.items():
        assert len(stored[reply].text) >= length
    behind = max((killed_at - at for reply, length, at in now.shown if length > len(stored[reply].text)), default=0.0)
    assert behind <= MAY_BE_BEHIND
    tally.asked += len(now.asked)
    tally.interrupted += sum(stored[reply].status == "interrupted" for reply in now.asked)
    tally.furthest_behind = max(tally.furthest_behind, behind)


def assert_is_beginning(reply: StoredMessage) -> None:
    assert reply.status in ("complete", "interrupted")
    assert FULL_REPLY.startswith(reply.text)


def test_a_torn_log_leaves_a_beginning_of_the_chats(tmp_path: Path) -> None:
    """Copies the files of a running writer and damages the log: truncated, zeroed, one bit, one sector."""
    print("LLMCHAT_TEST_SEED", SEED)
    chance = random.Random(SEED)
    database, log, written = running_writer(tmp_path / "chats.db")
    assert database[68:72] == b"llmc"  # the tables do not depend on the log
    survivors = []
    for index in range(IMAGES):
        image = tmp_path / str(index) / "chats.db"
        image.parent.mkdir()
        image.touch(mode=0o600)
        image.write_bytes(database)
        image.with_name("chats.db-wal").write_bytes(torn(log, chance))
        with History.open(image) as history:
            titles = [chat.title for chat in reversed(history.conversations(1_000))]
            assert titles == written[: len(titles)]
            assert history.check() == []
            for chat in history.conversations(1_000)[1:]:
                assert [m.status for m in history.messages(chat.id)] == ["complete", "complete"]
            history.begin("and it goes on")
        survivors.append(len(titles))
    assert min(survivors) < len(written) // 2 < max(survivors)


def running_writer(path: Path) -> tuple[bytes, bytes, list[str]]:
    """Returns the file and the log of an instance that has not closed yet, and its titles in order."""
    titles = [f"chat {index}" for index in range(30)]
    with History.open(path) as history:
        for title in titles:
            begun = history.begin(title)
            history.checkpoint(begun.reply_id, "half of it")
            history.finish(begun.reply_id, ReplyEnd("all of it " * 50, "complete"))
        return path.read_bytes(), path.with_name("chats.db-wal").read_bytes(), titles


def torn(log: bytes, chance: random.Random) -> bytes:
    spot = chance.randrange(len(log))
    match chance.randrange(4):
        case 0:
            return log[:spot]
        case 1:
            return log[:spot] + bytes(len(log) - spot)
        case 2:
            return log[:spot] + bytes([log[spot] ^ 1 << chance.randrange(8)]) + log[spot + 1 :]
        case _:
            sector = spot // 512 * 512
            return log[:sector] + chance.randbytes(512) + log[sector + 512 :]
