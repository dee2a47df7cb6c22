"""`llmchat docs eval`: how well the search finds what it should, on the user's documents or on data in BEIR's format.

The measures are the document room's; how BEIR's data is indexed is beir.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmchat_tui.cli.common import app_of, console_of, print_json, print_rows
from llmchat_tui.cli.docs_common import as_name, chosen, open_library, vectors_of
from llmchat_tui.errors import UsageError

if TYPE_CHECKING:
    from llmchat_rag.evaluate import Quality, Questions
    from llmchat_rag.query import Results
    from llmchat_rag.store import Library
    from llmchat_tui.cli.app import App
    from llmchat_tui.console import Console

_DEPTH = 400
"""Passages of each of the two searches: enough for the 100 documents that Recall@100 asks for."""
_HEAD = f"{'weight of the meaning':<26}{'nDCG@10':>9}{'Recall@100':>12}{'MRR@10':>9}"


@click.command(name="eval")
@click.option("-d", "--collection", "names", multiple=True, metavar="NAME", help="Only this collection; repeatable.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A folder in BEIR's format: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv.",
)
@click.option("--split", default="test", show_default=True, help="Of --data.")
@click.option("--limit", type=click.IntRange(1), default=300, show_default=True, help="Ask at most so many questions.")
@click.option("--sweep", is_flag=True, help="Try every weight of the meaning against the words.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def evaluate(
    context: click.Context,
    names: tuple[str, ...],
    data: Path | None,
    split: str,
    limit: int,
    sweep: bool,
    as_json: bool,
) -> None:
    """Measure the search: nDCG@10, Recall@100 and MRR@10 by words, by meaning and by both.

    Without --data the questions are made of your own documents: their titles, and half of the words of one of their
    sentences. They share words with their answers, so they compare settings, and are easier than what people ask.
    """
    from llmchat_rag.evaluate import ALPHAS

    if data is not None and names:
        raise UsageError("--data and --collection exclude each other")
    app = app_of(context)
    asked = (
        _asked(app, console_of(app), names, limit) if data is None else _beir(app, console_of(app), data, split, limit)
    )
    own = app.config.settings.docs_alpha
    rows = [(alpha, asked.quality(alpha)) for alpha in sorted({0.0, own, 1.0, *(ALPHAS if sweep else ())})]
    if as_json:
        facts = [{"alpha": alpha, "ndcg_10": q.ndcg, "recall_100": q.recall, "mrr_10": q.mrr} for alpha, q in rows]
        print_json({"data": str(data) if data else "made", "questions": rows[0][1].questions, "rows": facts})
        return
    best = max(quality.ndcg for _, quality in rows)
    print_rows([_HEAD, *(_row(alpha, quality, own, best) for alpha, quality in rows)])
    print_rows([asked.told if data is None else f"{rows[0][1].questions:,} questions"])


@dataclass(frozen=True, slots=True)
class _Asked:
    """Questions, and what both searches found for each."""

    questions: Questions
    results: Mapping[str, Results]
    keys: Mapping[int, str]
    """What the data calls a document of the store."""

    @property
    def told(self) -> str:
        """What kinds of questions they are, and what their numbers are good for."""
        titles = sum(key.startswith("title-") for key in self.results)
        kinds = f"{titles:,} titles, {len(self.results) - titles:,} made of half a sentence"
        use = "easier than what people ask, so compare the rows with each other only"
        return f"{len(self.results):,} questions: {kinds}; {use}"

    def quality(self, alpha: float) -> Quality:
        """Returns how good the ranking is with this weight; of each document its best passage counts."""
        from llmchat_rag.evaluate import Scored, quality, ranked

        ranking = {}
        for key, found in self.results.items():
            scored = [Scored(self._key(one.document_id), one.dense, one.bm25) for one in found.candidates]
            ranking[key] = list(dict.fromkeys(ranked(scored, alpha)))
        return quality(ranking, {key: self.questions.relevant[key] for key in self.results})

    def _key(self, document_id: int) -> str:
        return self.keys.get(document_id, str(document_id))


class _Own:
    """The documents of collections, as what is measured on."""

    def __init__(self, library: Library, names: Sequence[str]) -> None:
        self._library, self._names = library, names

    def titles(self) -> Iterator[tuple[str, str]]:
        """Yields the key and the title of every document that can be found."""
        for name in self._names:
            yield from ((str(one.id), one.title) for one in self._library.documents(name) if one.status == "indexed")

    def body(self, key: str) -> str:
        """Returns the text of a document."""
        return self._library.text(int(key))


def _asked(app: App, console: Console, names: Sequence[str], limit: int) -> _Asked:
    """Asks the user's own documents for what stands in them.

    Raises:
        UsageError: they are too short to ask for anything.
    """
    from llmchat_rag.made import made_questions

    with open_library(app) as library:
        wanted = [collection.name for collection in chosen(library, [as_name(name) for name in names])]
        questions = made_questions(_Own(library, wanted), limit)
        if not questions.texts:
            why = "none has a title of three words that no other has, or a sentence of eight words that say something"
            raise UsageError("no questions can be made of these documents", why, "llmchat docs eval --data DIR")
        return _Asked(questions, _search(app, console, library, questions, limit, wanted), {})


def _beir(app: App, console: Console, data: Path, split: str, limit: int) -> _Asked:
    """Asks data in BEIR's format, which is indexed first.

    Raises:
        RagError: it cannot be read.
    """
    from llmchat_rag.evaluate import read_questions
    from llmchat_tui.cli.beir import indexed_corpus

    questions = read_questions(data, split)
    with indexed_corpus(app, console, data) as (library, keys):
        return _Asked(questions, _search(app, console, library, questions, limit, ()), keys)


def _search(
    app: App, console: Console, library: Library, questions: Questions, limit: int, names: Sequence[str]
) -> dict[str, Results]:
    """Returns what both searches find for each of the first questions."""
    from llmchat_rag.query import Query
    from llmchat_rag.search import Searcher

    found: dict[str, Results] = {}
    texts = dict(list(questions.texts.items())[:limit])
    embedder = app.embedder(passages=False)
    with Searcher(library, embedder, vectors_of(app, library, embedder)) as searcher:
        for key, text in texts.items():
            console.status(f"asking {len(found) + 1:,} of {len(texts):,} questions")
            found[key] = searcher.rank(Query(text, tuple(names), depth=_DEPTH))
    console.clear_status()
    return found


def _row(alpha: float, quality: Quality, own: float, best: float) -> str:
    name = {0.0: "0.0 (words alone)", 1.0: "1.0 (meaning alone)"}.get(alpha, f"{alpha:.1f}")
    marks = [mark for mark, holds in (("yours", alpha == own), ("best", quality.ndcg == best)) if holds]
    row = f"{name:<26}{quality.ndcg:>9.4f}{quality.recall:>12.4f}{quality.mrr:>9.4f}"
    return row + (f"  {', '.join(marks)}" if marks else "")
