"""`llmchat docs search`: the passages that fit a question, with their places, and no model that writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.common import app_of, console_of, print_json, print_rows
from llmchat_tui.cli.options import search_options
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_rag.query import Results
    from llmchat_rag.types import Passage


@click.command()
@click.argument("query", nargs=-1, required=True)
@click.option("-k", "--docs-k", "docs_k", type=click.IntRange(1, 100), metavar="N", help="Print at most so many.")
@search_options
@click.option("--explain", is_flag=True, help="Print how the candidates were ranked, and where the time went.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def search(context: click.Context, /, query: tuple[str, ...], explain: bool, as_json: bool, **flags: Any) -> None:
    """Print the passages that fit QUERY best, with file and line."""
    from llmchat_tui.cli.ask_docs import asked_by
    from llmchat_tui.errors import UsageError

    if not " ".join(query).strip():
        raise UsageError("the question is empty", hint="llmchat docs search 'what to look for'")
    app = app_of(context)
    with app.open_documents() as documents:
        found = documents.retrieve(" ".join(query), asked_by(app.config.settings, **flags), whole=False)
    results = found.results
    assert results is not None
    if as_json:
        print_json(_facts(results, found.verdict))
        return
    rows = [line for rank, passage in enumerate(found.hits, 1) for line in _rows(rank, passage)]
    print_rows(sanitize_line(row) for row in rows)
    if explain:
        from llmchat_tui.cli.explain import explained

        print_rows(sanitize_line(row) for row in ["", *explained(results)])
    if found.verdict != "ok":
        close = f"the closest has a cosine of {found.best_cosine:.2f}, under {found.weak_under:.2f}"
        told = {"weak": "weak evidence", "abstain": "llmchat ask would abstain"}[found.verdict]
        console_of(app).info(f"{told}: {close}")


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
