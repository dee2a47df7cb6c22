"""`llmchat docs search`: the passages that fit a question, with their places, and no model that writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.common import app_of, console_of, print_json, print_rows
from llmchat_tui.cli.docs_common import as_name, open_library, reranker_of, vectors_of
from llmchat_tui.cli.options import search_options
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_rag.query import Query, Results
    from llmchat_rag.types import Embedder, Passage
    from llmchat_tui.cli.app import App
    from llmchat_tui.settings import Settings

_RERANK_SECONDS = 5.0
"""Somebody who asks for it in a command waits longer than in a chat."""


@click.command()
@click.argument("query", nargs=-1, required=True)
@click.option("-k", "--docs-k", "docs_k", type=click.IntRange(1, 100), metavar="N", help="Print at most so many.")
@search_options
@click.option("--explain", is_flag=True, help="Print how the candidates were ranked, and where the time went.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def search(context: click.Context, /, query: tuple[str, ...], explain: bool, as_json: bool, **flags: Any) -> None:
    """Print the passages that fit QUERY best, with file and line."""
    from llmchat_rag.gate import gate_at, judge

    app = app_of(context)
    found = _found(app, " ".join(query), flags)
    results = found.results
    texts = [passage.text for passage in results.passages]
    verdict = judge(gate_at(found.gate), results.best_cosine, results.question, texts)
    if as_json:
        print_json(_facts(results, verdict))
        return
    rows = [line for rank, passage in enumerate(results.passages, 1) for line in _rows(rank, passage)]
    print_rows(sanitize_line(row) for row in rows)
    if explain:
        from llmchat_tui.cli.explain import explained

        print_rows(sanitize_line(row) for row in ["", *explained(results)])
    if verdict != "answer":
        close = f"the closest has a cosine of {results.best_cosine:.2f}, under {gate_at(found.gate).warn:.2f}"
        told = {"weak": "weak evidence", "abstain": "llmchat ask would abstain"}[verdict]
        console_of(app).info(f"{told}: {close}")


@dataclass(frozen=True, slots=True)
class _Found:
    results: Results
    gate: float


def _found(app: App, text: str, flags: dict[str, Any]) -> _Found:
    from llmchat_rag.search import Searcher

    with open_library(app) as library:
        embedder: Embedder = app.embedder(passages=False)
        vectors = vectors_of(app, embedder)
        try:
            with Searcher(library, embedder, vectors) as searcher:
                return _Found(searcher.search(_query(app, text, flags)), embedder.gate)
        finally:
            if vectors is not None:
                vectors.close()


def _query(app: App, text: str, flags: dict[str, Any]) -> Query:
    from llmchat_rag.query import Query

    settings: Settings = app.config.settings

    def either(name: str, setting: Any) -> Any:
        return setting if flags[name] is None else flags[name]

    return Query(
        text,
        collections=tuple(as_name(name) for name in flags["collections"]),
        k=either("docs_k", settings.docs_k),
        alpha=either("alpha", settings.docs_alpha),
        fusion=either("fusion", settings.docs_fusion),
        min_score=either("min_score", settings.docs_min_score),
        rerank=reranker_of(app, flags["rerank"]),
        rerank_seconds=_RERANK_SECONDS,
    )


def _rows(rank: int, passage: Passage) -> Iterator[str]:
    from llmchat_tui.cli.sources import above, beginning

    heading = above(passage.title, passage.heading)
    yield f"{rank:>2}  {passage.scores.fused:.2f}  {passage.collection}  {passage.source}" + (
        f"  {heading}" if heading else ""
    )
    yield f"    {beginning(passage.text)}"


def _facts(results: Results, verdict: str) -> dict[str, Any]:
    from dataclasses import asdict

    from llmchat_tui.cli.explain import hit_facts
    from llmchat_tui.cli.sources import passage_facts

    return {
        "question": results.question,
        "best_cosine": round(results.best_cosine, 4),
        "verdict": verdict,
        "passages": [passage_facts(one) | {"scores": asdict(one.scores)} for one in results.passages],
        "candidates": hit_facts(results.hits),
        "seconds": asdict(results.timings),
    }
