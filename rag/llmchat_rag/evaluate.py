"""How well a ranking finds what it should: nDCG, recall and MRR, and data in BEIR's format.

Knows no store and no embedder: rankings and scores are handed in, and whoever has them caches them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmchat_rag.errors import RagError, RootMissing

Relevant = Mapping[str, Mapping[str, int]]
"""By question, the documents that answer it and how well."""
Ranking = Mapping[str, Sequence[str]]
"""By question, documents, best first."""
ALPHAS = tuple(step / 10 for step in range(11))


@dataclass(frozen=True, slots=True)
class Text:
    """A document of a collection to measure on."""

    key: str
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions and what answers them."""

    texts: Mapping[str, str]
    relevant: Relevant


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a ranking is, each from 0 to 1."""

    ndcg: float
    recall: float
    mrr: float
    questions: int


@dataclass(frozen=True, slots=True)
class Scored:
    """A document that may answer a question, with what each search thinks of it."""

    key: str
    dense: float
    """The cosine."""
    bm25: float
    """0 where the words did not find it."""


def read_corpus(folder: Path) -> Iterator[Text]:
    """Yields the documents of a folder in BEIR's format.

    Raises:
        RootMissing: there is no `corpus.jsonl`.
        RagError: a line is not one of its documents.
    """
    for row in _rows(folder / "corpus.jsonl"):
        yield Text(str(row["_id"]), str(row.get("title") or ""), str(row.get("text") or ""))


def read_questions(folder: Path, split: str = "test") -> Questions:
    """Returns the questions of one split that have an answer.

    Raises:
        RootMissing: a file is missing.
        RagError: a line cannot be read.
    """
    relevant: dict[str, dict[str, int]] = {}
    path = folder / "qrels" / f"{split}.tsv"
    for number, line in enumerate(_lines(path)):
        columns = line.split("\t")
        graded = len(columns) == 3 and columns[2].strip().lstrip("-").isdigit()
        if not graded and (number or len(columns) != 3):
            raise RagError(f"{path.name} cannot be read", f"line {number + 1} has not three columns, the last a number")
        if graded and int(columns[2]) > 0:
            relevant.setdefault(columns[0], {})[columns[1]] = int(columns[2])
    texts = {str(row["_id"]): str(row["text"]) for row in _rows(folder / "queries.jsonl")}
    return Questions({key: texts[key] for key in relevant if key in texts}, relevant)


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from (line.rstrip("\n") for line in file if line.strip())
    except OSError as error:
        raise RootMissing(f"{path.name} cannot be read", str(error), "a folder in BEIR's format is needed") from error


def _rows(path: Path) -> Iterator[dict[str, object]]:
    for number, line in enumerate(_lines(path), start=1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise RagError(f"{path.name} cannot be read", f"line {number}: {error}") from error
        if not isinstance(row, dict) or "_id" not in row:
            raise RagError(f"{path.name} cannot be read", f"line {number} has no _id")
        yield row


def quality(ranking: Ranking, relevant: Relevant, at: int = 10, recall_at: int = 100) -> Quality:
    """Returns the means over all questions that have an answer; one that was not ranked counts as 0."""
    keys = [key for key, wanted in relevant.items() if any(grade > 0 for grade in wanted.values())]
    if not keys:
        return Quality(0.0, 0.0, 0.0, 0)
    rows = [(list(ranking.get(key, ())), relevant[key]) for key in keys]
    return Quality(
        _mean(ndcg(found, wanted, at) for found, wanted in rows),
        _mean(recall(found, wanted, recall_at) for found, wanted in rows),
        _mean(reciprocal_rank(found, wanted, at) for found, wanted in rows),
        len(keys),
    )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def ndcg(found: Sequence[str], wanted: Mapping[str, int], at: int = 10) -> float:
    """Returns the normalised discounted cumulative gain, with the grades as gains as trec_eval has them."""
    gained = _discounted([wanted.get(key, 0) for key in dict.fromkeys(found)][:at])
    best = _discounted(sorted(wanted.values(), reverse=True)[:at])
    return gained / best if best else 0.0


def _discounted(grades: Sequence[int]) -> float:
    return sum(max(0, grade) / math.log2(place + 2) for place, grade in enumerate(grades))


def recall(found: Sequence[str], wanted: Mapping[str, int], at: int = 100) -> float:
    """Returns the share of the answers that are among the first."""
    right = {key for key, grade in wanted.items() if grade > 0}
    return len(right & set(found[:at])) / len(right) if right else 0.0


def reciprocal_rank(found: Sequence[str], wanted: Mapping[str, int], at: int = 10) -> float:
    """Returns one over the place of the first answer."""
    return next((1 / place for place, key in enumerate(found[:at], start=1) if wanted.get(key, 0) > 0), 0.0)


def sweep(
    scored: Mapping[str, Sequence[Scored]], relevant: Relevant, alphas: Sequence[float] = ALPHAS
) -> list[tuple[float, Quality]]:
    """Returns how good each weight of the cosine is, from scores that were computed once.

    Args:
        scored: by question, the candidates of both searches.
        relevant: what answers each question.
        alphas: weights of the cosine; the words have the rest.
    """
    found = []
    for alpha in alphas:
        ranking = {key: ranked(candidates, alpha) for key, candidates in scored.items()}
        found.append((alpha, quality(ranking, relevant)))
    return found


def ranked(candidates: Sequence[Scored], alpha: float) -> list[str]:
    """Returns the documents of one question, best first: the cosine, and the words as a share of their best."""
    most = max((candidate.bm25 for candidate in candidates), default=0.0) or 1.0

    def score(one: Scored) -> float:
        return alpha * max(0.0, one.dense) + (1 - alpha) * one.bm25 / most

    return [one.key for one in sorted(candidates, key=lambda one: (-score(one), one.key))]
