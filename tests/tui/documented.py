"""A store of a few documents with an encoder that needs no model, and turns answered from it. Knows no single test."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.rag.doubles import PlainPool

from llmchat_engine.testing import FakeEngine, Script
from llmchat_rag.embed.fake import HashEmbedder
from llmchat_rag.ingest import update
from llmchat_rag.store import Library
from llmchat_tui.documents import Asked, Documents
from llmchat_tui.events import TurnEvent
from llmchat_tui.history import History, StoredMessage
from llmchat_tui.turn import Turn, run

TIDES = "The tides are made by the moon. High water comes twice a day, after 12 hours and 25 minutes.\n"
ROME = "Rome was founded in 753 BC by Romulus, who ruled for 37 years.\n"
BREAD = "Bread is baked from flour, water, salt and yeast at 230 degrees.\n"
FILES = {"tides.md": TIDES, "rome.md": ROME, "bread.md": BREAD}
ASKED = Asked()


def make_store(folder: Path, files: Mapping[str, str] = FILES, name: str = "notes") -> Path:
    """Returns the folder of a store that holds a collection of these files."""
    root = folder / f"{name}-files"
    root.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        (root / path).write_text(text)
    store = folder / "docs"
    with Library(store) as library:
        library.add_collection(name, root)
        for _ in update(library, name, HashEmbedder(), PlainPool(), accept_missing=True):
            pass
    return store


def open_documents(store: Path) -> Documents:
    """Returns the documents of a store, with the encoder that made it."""
    return Documents(store, store / "models", encoder=HashEmbedder)


@dataclass
class Asking:
    """A chat that is answered from documents, turn after turn."""

    history: History
    documents: Documents
    engine: FakeEngine = field(default_factory=FakeEngine)
    conversation_id: str = ""
    leaf_id: str = ""

    def path(self) -> tuple[StoredMessage, ...]:
        return self.history.path(self.leaf_id) if self.leaf_id else ()

    def begin(self, question: str, asked: Asked | None = ASKED, **more: Any) -> Generator[TurnEvent, None, None]:
        turn = Turn(question, self.path(), self.conversation_id, asked=asked, **more)
        return run(turn, self.engine, self.history, self.documents)

    def ask(self, question: str, asked: Asked | None = ASKED, **more: Any) -> list[TurnEvent]:
        """Asks, waits for the end, and goes on behind the reply."""
        events = list(self.begin(question, asked, **more))
        begun = next(event.begun for event in events if hasattr(event, "begun"))
        self.conversation_id, self.leaf_id = begun.conversation_id, begun.reply_id
        return events

    def reply(self) -> StoredMessage:
        """Returns the newest reply as it is on disk."""
        return self.history.path(self.leaf_id)[-1]

    def play(self, *scripts: str | Script) -> None:
        """Goes on with an engine that plays these."""
        self.engine = FakeEngine([Script(part) if isinstance(part, str) else part for part in scripts])


@contextmanager
def asking_in(store: Path, reply: str) -> Iterator[Asking]:
    """Yields turns on a store, answered with one reply."""
    documents = open_documents(store)
    with History.in_memory() as history:
        yield Asking(history, documents, FakeEngine([Script(reply)]))
    documents.close()
