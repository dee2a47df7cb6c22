"""Runs command lines with engines that play scripts: inside this process, or in a child. Knows no single test.

`ask` calls `cli.run` here and captures both streams; `start` and `run_child` start tests/tui/fake_ask_child.py.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import msgspec
from tests.tui.fake_ask_child import Part, Play, hash_embedder

from llmchat_engine import Engine, ModelSpec, Spec
from llmchat_engine.testing import FakeEngine
from llmchat_tui.cli import run
from llmchat_tui.cli.app import App
from llmchat_tui.history import History, StoredMessage

ROOT = Path(__file__).parents[2]
CHILD = [sys.executable, str(Path(__file__).with_name("fake_ask_child.py"))]
HELLO = Play()


@dataclass(frozen=True, slots=True)
class Asked:
    """What one command line wrote and how it ended."""

    code: int
    out: str
    err: str


@dataclass
class Opened:
    """The engine that a command line opens, and with what."""

    engine: Engine = field(default_factory=FakeEngine)
    specs: list[tuple[ModelSpec, float]] = field(default_factory=list)

    def __call__(self, spec: Spec, keepalive: float) -> Engine:
        assert isinstance(spec, ModelSpec)
        self.specs.append((spec, keepalive))
        return self.engine


def environment(home: Path, **more: str) -> dict[str, str]:
    """Returns an environment that names a home and a model, whose file is made where it is missing."""
    model = home.parent / "tiny.gguf"
    if not model.exists():
        model.write_bytes(b"no engine reads this")
    rooms = os.pathsep.join(str(ROOT / room) for room in ("engine", "rag", "tui", "."))
    own = {"LLMCHAT_HOME": str(home), "LLMCHAT_MODEL": str(model), "HOME": str(home), "PYTHONPATH": rooms}
    return {"PATH": os.environ["PATH"], "TERM": "xterm", **own, **more}


def ask(
    home: Path,
    *arguments: str,
    engine: Engine | Opened | None = None,
    stdin: bytes | None = None,
    environ: Mapping[str, str] | None = None,
    command: str = "ask",
) -> Asked:
    """Runs one command line in this process; stdin None is a closed one."""
    opened = engine if isinstance(engine, Opened) else Opened(engine or FakeEngine())
    app = App(environ=environ or environment(home), make_engine=opened, open_embedder=hash_embedder)
    with captured(stdin) as (out, err):
        code = run(app, [command, *arguments] if command else list(arguments))
    return Asked(code, out.getvalue().decode("utf-8"), err.getvalue().decode("utf-8"))


@contextlib.contextmanager
def captured(stdin: bytes | None) -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    """Swaps the three streams while inside."""
    out, err = io.BytesIO(), io.BytesIO()
    before = sys.stdin
    # No universal newlines, and what cannot be encoded is escaped: as the interpreter opens them.
    texts = [io.TextIOWrapper(stream, "utf-8", "backslashreplace", write_through=True) for stream in (out, err)]
    sys.stdin = None if stdin is None else io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with contextlib.redirect_stdout(texts[0]), contextlib.redirect_stderr(texts[1]):
            yield out, err
    finally:
        sys.stdin = before
        for text in texts:
            text.flush()
            text.detach()


def child_environment(home: Path, play: Play, **more: str) -> dict[str, str]:
    """Returns the environment of a child that plays this."""
    return environment(home, FAKE=msgspec.json.encode(play).decode(), **more)


@contextlib.contextmanager
def start(
    home: Path, *arguments: str, play: Play = HELLO, stdin: int | IO[bytes] = subprocess.DEVNULL, **more: str
) -> Iterator[Child]:
    """Yields a running child with its streams and its reports on pipes; it is killed at the latest at the end."""
    reader, writer = os.pipe()
    gate = (play.gate,) if play.gate >= 0 else ()
    process = subprocess.Popen(
        [*CHILD, *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child_environment(home, play, FAKE_REPORT=str(writer), **more),
        pass_fds=(writer, *gate),
    )
    os.close(writer)
    with process, os.fdopen(reader) as reports:
        try:
            yield Child(process, reports)
        finally:
            process.kill()


@dataclass
class Child:
    """A running command line."""

    process: subprocess.Popen[bytes]
    reports: IO[str]

    @property
    def out(self) -> IO[bytes]:
        """Its answer."""
        assert self.process.stdout is not None
        return self.process.stdout

    def wait_for(self, word: str) -> list[str]:
        """Returns the next report that begins with a word."""
        return next(words for words in self.read_reports() if words[0] == word)

    def read_reports(self) -> Iterator[list[str]]:
        """Yields reports until the child has ended; one cut off by a kill is left out."""
        for line in self.reports:
            if line.endswith("\n"):
                yield msgspec.json.decode(line, type=list[str])

    def end(self, signal: int = 0) -> Asked:
        """Sends a signal and returns what was written, when it has ended."""
        if signal:
            self.process.send_signal(signal)
        out, err = self.process.communicate(timeout=20)
        return Asked(self.process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def run_child(
    home: Path, *arguments: str, play: Play = HELLO, stdin: int | IO[bytes] = subprocess.DEVNULL, **more: str
) -> Asked:
    """Returns how a child ended."""
    with start(home, *arguments, play=play, stdin=stdin, **more) as child:
        return child.end()


def run_shell(home: Path, line: str, play: Play = HELLO, **more: str) -> Asked:
    """Runs a line of sh, in which `$ASK` is the child's ask; the exit code is the last one's."""
    environ = child_environment(home, play, ASK=f"{' '.join(CHILD)} ask", **more)
    done = subprocess.run(["/bin/sh", "-c", line], env=environ, capture_output=True, timeout=30)
    return Asked(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def stored(home: Path) -> list[StoredMessage]:
    """Returns every message on disk, chat by chat, the newest chat first."""
    with History.open(home / "chats.db") as history:
        return [message for chat in history.conversations() for message in history.messages(chat.id)]


def words(count: int) -> str:
    """Returns a reply of so many words."""
    return " ".join(f"w{number}" for number in range(count))


def play_of(*texts: str, tokens_per_second: float = 0.0) -> Play:
    """Returns a play of plain replies."""
    return Play(tuple(Part(text) for text in texts), tokens_per_second)


def sent(arguments: Sequence[str]) -> str:
    """Returns a command line for the message of an assertion."""
    return " ".join(map(repr, arguments))
