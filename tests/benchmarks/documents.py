"""How well and how fast documents are found: SciFact, a cold search over 100,000 passages, a million vectors.

`python -m tests.benchmarks.documents [scifact] [cold] [million] [--strict]`. Through the product's own walk, parsers,
passages, store and fusion. SciFact is no part of this repository (CC BY-NC): LLMCHAT_BENCH_DATA names a folder that
has `scifact` in BEIR's format, else `../shared/data` beside the checkout is looked at.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.document_speed import cold_search, million_vectors
from tests.benchmarks.targets import Target

from llmchat_rag.embed import open_embedder
from llmchat_rag.errors import RagError
from llmchat_rag.evaluate import Quality, Questions, quality, read_corpus, read_questions
from llmchat_rag.events import Done, Progress
from llmchat_rag.fuse import fused
from llmchat_rag.ingest import update
from llmchat_rag.parse.pool import ParserPool
from llmchat_rag.picking import Candidate
from llmchat_rag.query import Query
from llmchat_rag.search import Searcher
from llmchat_rag.store import Library
from llmchat_rag.types import Embedder

ROOT = Path(__file__).parents[2]
PARTS = "scifact", "cold", "million"
ALPHAS = 0.5, 0.6, 0.7, 0.8, 0.9
Rankings = dict[str, list[str]]


def main(arguments: list[str]) -> int:
    """Measures what is named, or all; returns 1 where a target was missed and that matters."""
    options = _parser().parse_args(arguments)
    targets: list[Target] = []
    parts: dict[str, Callable[[Path], list[Target]]] = dict(
        zip(PARTS, (scifact, cold_search, million_vectors), strict=True)
    )
    with _folder(options.keep) as folder:
        for name in options.parts or parts:
            targets += parts[name](folder)
    for target in targets:
        told = "met" if target.met else "MISSED"
        print(f"{told:7} {target.name}: {target.value:.4g} {target.unit} ({target.sign} {target.limit:g})")
    return 1 if options.strict and not all(target.met for target in targets) else 0


def scifact(folder: Path) -> list[Target]:
    """Indexes SciFact, asks its questions, and returns how well they are answered."""
    data = data_folder() / "scifact"
    if not (data / "corpus.jsonl").is_file():
        print(f"SciFact left out: {data} has no corpus.jsonl; LLMCHAT_BENCH_DATA names where its folder is")
        return []
    try:
        embedder = open_embedder("", folder / "models")
    except RagError as error:
        print(f"SciFact left out: {error}")
        return []
    write_documents(data, folder / "scifact")
    with Library(folder / "scifact-store") as library:
        index(library, "scifact", folder / "scifact", embedder)
        train, test = (read_questions(data, split) for split in ("train", "test"))
        _sweep(library, embedder, train)
        found = rankings(library, embedder, test)
    qualities = {name: quality(ranking, test.relevant) for name, ranking in found.items()}
    for name, one in qualities.items():
        print(f"  test  {name:7} nDCG@10 {one.ndcg:.4f}  R@100 {one.recall:.4f}  MRR@10 {one.mrr:.4f}")
    return scifact_targets(qualities)


def scifact_targets(found: dict[str, Quality]) -> list[Target]:
    """Returns the promises about SciFact's test questions."""
    return [
        Target("SciFact, words: nDCG@10", found["words"].ndcg, ">=", 0.67, ""),
        Target("SciFact, vectors: nDCG@10", found["vectors"].ndcg, ">=", 0.64, ""),
        Target("SciFact, hybrid: nDCG@10", found["hybrid"].ndcg, ">=", 0.740, ""),
        Target("SciFact, hybrid: Recall@100", found["hybrid"].recall, ">=", 0.960, ""),
    ]


def data_folder() -> Path:
    """Returns where data sets are looked for."""
    named = os.environ.get("LLMCHAT_BENCH_DATA")
    return Path(named) if named else ROOT.parent / "shared" / "data"


def write_documents(data: Path, folder: Path) -> None:
    """Writes each document of a data set as a Markdown file, as a person would have it."""
    folder.mkdir(parents=True, exist_ok=True)
    for text in read_corpus(data):
        path = folder / f"{text.key}.md"
        if not path.exists():
            path.write_text(f"# {text.title}\n\n{text.body}\n", encoding="utf-8")


def index(library: Library, name: str, root: Path, embedder: Embedder) -> None:
    """Indexes a folder, and says how fast."""
    library.add_collection(name, root)
    with ParserPool() as pool:
        for event in update(library, name, embedder, pool):
            if isinstance(event, Progress) and event.files % 200 == 0:
                print(
                    f"  {event.files:,} of {event.of_files:,} files, {event.chunks_per_second:.0f} passages/s", end="\r"
                )
            if isinstance(event, Done):
                print(f"\n  {event.chunks:,} passages, {event.embedded:,} of them embedded in {event.seconds:.0f} s")


def rankings(library: Library, embedder: Embedder, questions: Questions, alpha: float = 0.7) -> dict[str, Rankings]:
    """Returns the documents for each question by words, by vectors and by both: each by its best passage."""
    names = {
        document.id: Path(document.path).stem
        for row in library.collections()
        for document in library.documents(row.name)
    }
    found: dict[str, Rankings] = {"words": {}, "vectors": {}, "hybrid": {}}
    with Searcher(library, embedder) as searcher:
        for key, text in questions.texts.items():
            all_of_them = searcher.rank(Query(text, alpha=alpha)).candidates
            by_words = [one for one in all_of_them if one.bm25_rank]
            near = [one for one in all_of_them if one.dense_rank]
            found["words"][key] = _documents(by_words, names, lambda one: one.bm25)
            found["vectors"][key] = _documents(near, names, lambda one: one.dense)
            found["hybrid"][key] = _documents(all_of_them, names, lambda one: one.fused)
    return found


def _documents(
    candidates: Sequence[Candidate], names: dict[int, str], score: Callable[[Candidate], float]
) -> list[str]:
    best: dict[str, float] = {}
    for one in candidates:
        name = names[one.document_id]
        best[name] = max(best.get(name, -1.0), score(one))
    return sorted(best, key=lambda name: (-best[name], name))


def _sweep(library: Library, embedder: Embedder, questions: Questions) -> None:
    """Prints how the weight of the cosine does on the training questions, which it was chosen on."""
    names = {document.id: Path(document.path).stem for document in library.documents("scifact")}
    with Searcher(library, embedder) as searcher:
        asked = {key: searcher.rank(Query(text)).candidates for key, text in questions.texts.items()}
    for alpha in ALPHAS:
        ranking = {key: _at(candidates, names, alpha) for key, candidates in asked.items()}
        one = quality(ranking, questions.relevant)
        print(f"  train alpha {alpha:.1f} nDCG@10 {one.ndcg:.4f}  R@100 {one.recall:.4f}")


def _at(candidates: Sequence[Candidate], names: dict[int, str], alpha: float) -> list[str]:
    dense = {one.chunk_id: one.dense for one in candidates}
    scores = fused(dense, {one.chunk_id: one.bm25 for one in candidates if one.bm25_rank}, alpha=alpha)
    return _documents(candidates, names, lambda one: scores[one.chunk_id])


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="llmchat-bench-") as made:
        yield Path(made)


def _part(name: str) -> str:
    """Returns the name of a part; `choices` would refuse none at all, up to Python 3.11."""
    if name not in PARTS:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(PARTS)}")
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.documents", description="Measure documents.")
    parser.add_argument("parts", nargs="*", type=_part, metavar="|".join(PARTS), help="all where none is named")
    parser.add_argument("--keep", type=Path, help="a folder for what takes long to make; used again by the next run")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a target is missed")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
