"""The program that the history tests start many times, and kill: it writes chats and says on stdout what is done.

Usage: history_kill_child.py stream|hold|burst|migrate. It imports first, then waits for `<database> <seed>` on stdin.
Every line on stdout is printed after the fact it reports. `Child` is the handle that the tests hold. Knows no engine.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from llmchat_tui.history import History, ReplyEnd
from llmchat_tui.history.opening import open_file
from llmchat_tui.history.schema import MIGRATIONS, Migration

TOKEN_SECONDS = 0.005
CHECKPOINT_SECONDS = 0.1
LONGEST = 250
BURST = 50
NEW_ROWS = 200


def say(*words: object) -> None:
    """Writes one line without a buffer that a kill could swallow."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def reply_text(tokens: int) -> str:
    """Returns the fake reply of so many tokens, so that the parent can tell a true beginning from any other."""
    return "".join(f"w{index} " for index in range(tokens))


def stream(path: Path, chance: random.Random) -> None:
    """Streams turns of one growing chat at 200 tokens a second until killed."""
    with History.open(path) as history:
        conversation, leaf = "", ""
        while True:
            begun = history.begin(f"question {leaf}", conversation_id=conversation, parent_id=leaf)
            say("asked", begun.question_id, begun.reply_id)
            tokens = chance.randint(1, chance.choice((4, LONGEST)))
            stream_reply(history, begun.reply_id, tokens)
            history.finish(begun.reply_id, ReplyEnd(reply_text(tokens), "complete", tuple(range(tokens))))
            say("finished", begun.reply_id, len(reply_text(tokens)))
            conversation, leaf = begun.conversation_id, begun.reply_id


def stream_reply(history: History, reply_id: str, tokens: int) -> None:
    """Shows the tokens of one reply and checkpoints it on the way."""
    saved_at = time.monotonic()
    for shown in range(1, tokens + 1):
        time.sleep(TOKEN_SECONDS)
        say("shown", reply_id, len(reply_text(shown)), time.monotonic())
        if time.monotonic() - saved_at >= CHECKPOINT_SECONDS:
            history.checkpoint(reply_id, reply_text(shown))
            saved_at = time.monotonic()
            say("saved", reply_id, len(reply_text(shown)))


def hold(path: Path, chance: random.Random) -> None:
    """Begins one reply and then waits to be killed."""
    with History.open(path) as history:
        begun = history.begin("question")
        history.checkpoint(begun.reply_id, "half")
        say("asked", begun.question_id, begun.reply_id)
        sys.stdin.readline()


def burst(path: Path, chance: random.Random) -> None:
    """Writes turns as fast as it can, each in a chat of its own."""
    with History.open(path) as history:
        for _ in range(BURST):
            begun = history.begin(f"burst {chance.random()}")
            history.checkpoint(begun.reply_id, "half")
            history.finish(begun.reply_id, ReplyEnd("whole", "complete"))
            say("finished", begun.reply_id)


def slow_step(connection: sqlite3.Connection) -> None:
    """A second migration with enough statements to be killed between them."""
    connection.execute("ALTER TABLE conversations ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'")
    connection.execute("CREATE TABLE extra (id INTEGER PRIMARY KEY, filler BLOB) STRICT")
    say("inside")
    for _ in range(NEW_ROWS):
        connection.execute("INSERT INTO extra (filler) VALUES (zeroblob(4000))")


WITH_SLOW_STEP: tuple[Migration, ...] = (*MIGRATIONS, slow_step)


def migrate(path: Path, chance: random.Random) -> None:
    """Opens a database of version 1 as a program that knows version 2."""
    open_file(path, unclean=False, migrations=WITH_SLOW_STEP).close()
    say("migrated")


class Child:
    """One running copy of this program, killed at the latest when the block ends."""

    def __init__(self, mode: str) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, __file__, mode]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.process:  # closes the pipes
            self.process.kill()

    @property
    def lines(self) -> IO[str]:
        """What it says."""
        assert self.process.stdout is not None
        return self.process.stdout

    def go(self, path: Path, seed: int = 1) -> None:
        """Tells it what to work on; until then it only imports."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{path} {seed}\n")
        self.process.stdin.flush()

    def wait_for(self, word: str) -> list[str]:
        """Returns the words of the next line that begins with this one."""
        return next(line.split() for line in self.lines if line.startswith(word))

    def kill(self) -> list[str]:
        """Sends SIGKILL and returns the lines it had still said."""
        self.process.kill()
        rest = list(self.lines)
        self.process.wait()
        return rest


if __name__ == "__main__":
    work = {"stream": stream, "hold": hold, "burst": burst, "migrate": migrate}[sys.argv[1]]
    say("ready")
    database, seed = sys.stdin.readline().rsplit(" ", 1)
    work(Path(database), random.Random(int(seed)))
