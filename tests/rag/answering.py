"""What the tests of the answering half share: passages, sources, the sets on disk, a count of tokens."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmchat_rag.context import Source
from llmchat_rag.types import Passage, Scores, Span
from llmchat_rag.verify import Encoder, verify

DATA = Path(__file__).parent / "data"


def seeded() -> random.Random:
    seed = int(os.environ.get("LLMCHAT_TEST_SEED", "20261122"))
    print("LLMCHAT_TEST_SEED", seed)
    return random.Random(seed)


def passage(text: str, path: str = "notes.md", fused: float = 1.0, line: int = 1, page: int = 0) -> Passage:
    span = Span(0, len(text), line, line + text.count("\n"), page, page)
    return Passage(line, 1, "notes", path, "", "", text, span, Scores(fused))


def sources(*texts: str) -> list[Source]:
    return [Source(n, f"p{n}.md:1", text, passage(text)) for n, text in enumerate(texts, start=1)]


def words(text: str) -> int:
    """Counts like a tokenizer: words and signs, and a surcharge that makes a sum of parts wrong."""
    return len(re.findall(r"\w+|[^\w\s]", text)) + 3


@dataclass(frozen=True)
class Cited:
    """A sentence of a set: what it says, of which passages, and whether they say it."""

    sentence: str
    passages: tuple[str, ...]
    right: bool
    kind: str


def cited_set(name: str) -> list[Cited]:
    return list(_cited(DATA / name))


def _cited(path: Path) -> Iterator[Cited]:
    for line in path.read_text(encoding="utf-8").splitlines():
        group = json.loads(line)
        passages = tuple(group["passages"])
        yield from (Cited(sentence, passages, True, "") for sentence in group["right"])
        yield from (Cited(wrong["sentence"], passages, False, wrong["kind"]) for wrong in group["wrong"])


@dataclass(frozen=True)
class Measured:
    """How often a mark of `supported` was right, how often a right sentence had it, and the same of the other marks."""

    precision: float
    recall: float
    flag_precision: float
    flag_recall: float
    missed: tuple[str, ...]


def measure(cited: Sequence[Cited], embedder: Encoder | None = None) -> Measured:
    found = [(one, verify(one.sentence, sources(*one.passages), embedder).sentences) for one in cited]
    assert all(len(verdicts) == 1 for _, verdicts in found)
    marks = [(one, verdicts[0].mark == "supported") for one, verdicts in found]
    hits = sum(one.right and accepted for one, accepted in marks)
    flags = sum(not one.right and not accepted for one, accepted in marks)
    accepted = sum(accepted for _, accepted in marks)
    right = sum(one.right for one in cited)
    missed = tuple(one.sentence for one, accepted in marks if one.right != accepted)
    return Measured(
        hits / accepted, hits / right, flags / (len(marks) - accepted), flags / (len(cited) - right), missed
    )
