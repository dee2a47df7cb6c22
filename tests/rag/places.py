"""A folder of notes and the store that indexes it, for tests."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.rag.doubles import PlainPool, WordEmbedder

from llmchat_rag.ingest import Event, update
from llmchat_rag.query import Query, Results
from llmchat_rag.search import search
from llmchat_rag.store import Library

WORDS = """
    rome paris berlin river bridge market garden winter summer music violin engine wheel paper letter bread salt stone
    silver copper mountain valley harbour sailor window candle shadow forest meadow thunder lantern mirror
"""


@dataclass
class Notes:
    """A folder, its store, and what stands in for the model."""

    root: Path
    library: Library
    embedder: WordEmbedder

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def update(self, name: str = "notes", *, force: bool = False, accept_missing: bool = False) -> list[Event]:
        run = update(self.library, name, self.embedder, PlainPool(), force=force, accept_missing=accept_missing)
        return list(run)

    def search(self, text: str, k: int = 5, collections: Sequence[str] = ()) -> Results:
        return search(self.library, self.embedder, Query(text, tuple(collections), k))

    def found(self, text: str, k: int = 5, collections: Sequence[str] = ()) -> list[str]:
        return [passage.path for passage in self.search(text, k, collections).passages]


@contextmanager
def notes(folder: Path) -> Iterator[Notes]:
    """Opens a store with one empty collection `notes`."""
    root = folder / "notes"
    root.mkdir()
    with Library(folder / "store") as library:
        library.add_collection("notes", root)
        yield Notes(root, library, WordEmbedder())


def sentence(rng: random.Random, words: int = 12) -> str:
    known = WORDS.split()
    return " ".join(rng.choice(known) + str(rng.randrange(30)) for _ in range(words)).capitalize() + "."


def essay(rng: random.Random, paragraphs: int = 3) -> str:
    return "\n\n".join(sentence(rng) for _ in range(paragraphs))


def answers(library: Library, embedder: WordEmbedder, questions: Sequence[str], k: int = 15) -> list[object]:
    """Returns what is found, without ids and without the last ones, whose order among equals tells what came first."""
    found = []
    for question in questions:
        passages = search(library, embedder, Query(question, k=k)).passages
        last = round(passages[-1].scores.fused, 4) if len(passages) == k else -1.0
        rows = [
            (round(-one.scores.fused, 4), one.path, one.span.start, one.text, round(one.scores.bm25, 3))
            for one in passages
        ]
        found.append(sorted(row for row in rows if -row[0] > last))
    return list(found)


def questions(seed: int, many: int) -> list[str]:
    rng = random.Random(seed)
    return [sentence(rng, rng.randrange(2, 7)) for _ in range(many)]
