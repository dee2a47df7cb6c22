"""The real command line with an engine that plays scripts: `fake_ask_child.py ask hi`, started by the tests.

FAKE holds a `Play` as JSON. What the engine saw goes to the descriptor FAKE_REPORT, a line each, after the fact it
tells. Knows no test.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import msgspec

from llmchat_engine import Engine, EngineDied, Event, Measured, Request, Spec, Token
from llmchat_engine.answers import TokenPiece
from llmchat_engine.events import Finished, Peeked, Rendered, Scored
from llmchat_engine.testing import FAKE_MODEL, FakeEngine, Script
from llmchat_rag import Embedder
from llmchat_tui.cli import _flush, run
from llmchat_tui.cli.app import App


class Part(msgspec.Struct, frozen=True):
    """One reply."""

    text: str = "Hello there."
    crash_after: int | None = None
    hang_after: int | None = None
    notice: str = ""
    crash: str = ""
    """Raise EngineDied with these words before the first token."""
    thought: str = ""


class Play(msgspec.Struct, frozen=True):
    """What the engine does."""

    scripts: tuple[Part, ...] = (Part(),)
    tokens_per_second: float = 0.0
    piece: int = 0
    """The text comes in pieces of this length; 0 is a word each."""
    one_run_each: bool = False
    """A run of the command line for every script."""
    deaf: bool = False
    """The engine does not hear that it shall stop."""
    gate: int = -1
    """A descriptor; the command line starts when a byte can be read from it."""
    model_name: str = "fake-1B"
    n_ctx: int = 1_000_000


@dataclass
class ScriptedEngine:
    """A FakeEngine that tells what it sees and cuts its text anywhere."""

    inner: FakeEngine
    play: Play

    def prepare(self) -> None:
        self.inner.prepare()

    def load(self) -> Generator[Event, None, None]:
        yield from self.inner.load()

    def generate(self, request: Request) -> Generator[Event, None, None]:
        report("asked", request.messages[-1].text)
        report("context", *(message.text for message in request.messages[:-1]))
        shown = 0
        for event in self.inner.generate(request):
            if isinstance(event, Token):
                for piece in cut(event.text, self.play.piece):
                    yield Token(piece, thought=event.thought)
                    shown += len(piece)
                    report("taken", shown, time.monotonic())
            else:
                yield event
                if isinstance(event, Finished):
                    report("finished", event.reason)

    def render(self, request: Request) -> Rendered:
        return self.inner.render(request)

    def tokenize(self, text: str) -> tuple[int, ...]:
        return self.inner.tokenize(text)

    def forget(self, chat: str) -> None:
        self.inner.forget(chat)

    def measure(self, request: Request) -> Measured:
        return self.inner.measure(request)

    def score(
        self, request: Request, continuations: Sequence[str | Sequence[int]]
    ) -> Generator[Event | Scored, None, None]:
        yield from self.inner.score(request, continuations)

    def peek(self, request: Request, count: int) -> Generator[Event | Peeked, None, None]:
        yield from self.inner.peek(request, count)

    def pieces(self, text: str, *, special: bool = False) -> tuple[TokenPiece, ...]:
        return self.inner.pieces(text, special=special)

    def conclude(self, request_id: str, answer: int | None = None) -> None:
        self.inner.conclude(request_id, answer)

    def perplexity(self, text: str, window: int = 0) -> Generator[Event | Scored, None, None]:
        yield from self.inner.perplexity(text, window)

    def cancel(self, request_id: str, answer: int | None = None) -> None:
        report("cancelled")
        if not self.play.deaf:
            self.inner.cancel(request_id, answer)

    def close(self) -> None:
        self.inner.close()


def cut(text: str, length: int) -> list[str]:
    """Returns text in pieces."""
    return [text[at : at + length] for at in range(0, len(text), length)] if length else [text]


def report(*words: object) -> None:
    """Writes one line without a buffer that a kill could swallow."""
    if descriptor := int(os.environ.get("FAKE_REPORT", "0")):
        line = msgspec.json.encode([str(word).encode(errors="replace").decode() for word in words])
        os.write(descriptor, line + b"\n")


def script_of(part: Part) -> Script:
    """Returns a part as the engine takes it."""
    error = EngineDied(part.crash, "scripted", "ask again") if part.crash else None
    return Script(part.text, part.crash_after, part.hang_after, error, part.notice, part.thought)


def app_of(play: Play, scripts: tuple[Part, ...]) -> App:
    """Returns the program around one engine, which every command of it shares."""
    model = replace(FAKE_MODEL, name=play.model_name, n_ctx=play.n_ctx, n_ctx_train=1_000_000)
    inner = FakeEngine([script_of(part) for part in scripts], play.tokens_per_second, model)
    engine = ScriptedEngine(inner, play)

    def make(_spec: Spec, _keepalive: float) -> Engine:
        return engine

    return App(make_engine=make, open_embedder=hash_embedder)


def hash_embedder(_spec: str, _home: Path, _passages: bool) -> Embedder:
    """Returns an embedder without a model."""
    from llmchat_rag.embed.fake import HashEmbedder

    return HashEmbedder()


def peak_memory() -> int:
    """Returns the most memory that this process ever had, in bytes; 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def main() -> int:
    """Runs the command line as often as the play wants."""
    play = msgspec.json.decode(os.environb.get(b"FAKE", b"{}"), type=Play)
    if play.gate >= 0:
        for name in ("cli.ask", "cli.talk", "cli.model_choice", "history.store", "turn"):
            import_module(f"llmchat_tui.{name}")

        report("ready")
        os.read(play.gate, 1)
    runs = [(part,) for part in play.scripts] if play.one_run_each else [play.scripts]
    code = 0
    for scripts in runs:
        code = run(app_of(play, scripts), sys.argv[1:])
    report("peak", peak_memory())
    _flush()  # as the program does before it leaves
    return code


if __name__ == "__main__":
    sys.exit(main())
