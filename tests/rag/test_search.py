"""Searches over a small store: what is found, what is left out, and what is said about it."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.rag.places import Notes, answers, essay, notes, questions, sentence

from llmchat_rag import cache_file, search, vectors
from llmchat_rag.errors import CollectionMissing
from llmchat_rag.query import Query, Results
from llmchat_rag.search import Searcher
from llmchat_rag.store import Library

if TYPE_CHECKING:
    from llmchat_rag.types import Fusion, Vector


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Notes]:
    with notes(tmp_path) as made:
        yield made


@dataclass
class Judge:
    """A re-ranker that likes one word, or has no time."""

    likes: str
    name: str = "judge"
    fingerprint: str = "j"
    in_time: bool = True
    seen: list[str] = field(default_factory=list)

    def score(self, question: str, texts: Sequence[str], seconds: float) -> Vector | None:
        self.seen += texts
        return np.array([float(self.likes in text) for text in texts], dtype=np.float32) if self.in_time else None


def query(place: Notes, asked: Query) -> Results:
    return search.search(place.library, place.embedder, asked)


def test_an_empty_store_finds_nothing(place: Notes) -> None:
    found = place.search("anything")
    assert (found.passages, found.best_cosine, found.hits) == ((), 0.0, ())


def test_a_passage_says_where_it_stands(place: Notes) -> None:
    place.write("sub/rome.md", "Intro.\n\nRome is the capital of Italy.")
    place.update()
    (best, *_) = place.search("capital of Italy").passages
    assert (best.source, best.collection, best.text) == ("sub/rome.md:3", "notes", "Rome is the capital of Italy.")
    assert place.library.text(best.document_id)[best.span.start : best.span.end] == best.text


def test_a_small_collection_is_not_crowded_out(place: Notes, tmp_path: Path) -> None:
    rng = random.Random(1)
    for number in range(60):
        place.write(f"{number}.md", "garden flowers " + essay(rng, 4))
    small = tmp_path / "small"
    small.mkdir()
    for number in range(5):
        (small / f"s{number}.md").write_text(f"one flower {number} {sentence(rng)}", encoding="utf-8")
    place.library.add_collection("small", small)
    place.update()
    place.update("small")
    found = place.search("garden flowers", 5, ["small"]).passages
    assert sorted(passage.path for passage in found) == [f"s{number}.md" for number in range(5)]
    assert {passage.collection for passage in place.search("garden flowers", 5, ["notes"]).passages} == {"notes"}
    assert len(place.search("flower", 5, ["notes", "small"]).passages) == 5


def test_a_removed_collection_answers_no_more_and_an_unknown_one_is_told(place: Notes) -> None:
    place.write("a.md", "apple")
    place.update()
    place.library.remove_collection("notes")
    assert place.search("apple").passages == ()
    with pytest.raises(CollectionMissing, match="notes"):
        place.search("apple", collections=["notes"])


def test_a_version_number_is_found_as_it_is_written(place: Notes) -> None:
    for number in range(30):
        place.write(f"{number}.md", f"Release 1.{number}.21 of the 1.0.{number} line, 21 fixes in 0 days")
    place.update()
    assert "1.7.21" in place.search("what changed in 1.7.21").passages[0].text


def test_text_in_chinese_is_found(place: Notes) -> None:
    place.write("a.md", "東京は日本の首都です。\n\n富士山は高い山です。")
    for number in range(5):
        place.write(f"{number}.md", f"nothing of it {number}")
    place.update()
    found = place.search("首都")
    assert found.passages[0].text == "東京は日本の首都です。"
    assert found.passages[0].scores.bm25 > 0


def test_copies_are_shown_once(place: Notes) -> None:
    for number in range(4):
        place.write(f"{number}.md", "The lantern stands in the harbour of silver and salt.")
    place.write("other.md", "A lantern.")
    place.update()
    found = place.search("lantern harbour", k=5)
    texts = [passage.text for passage in found.passages]
    assert len(texts) == len(set(texts)) == 2
    assert [hit.fate for hit in found.hits].count("copy") == 3


@pytest.mark.parametrize(
    ("one", "other", "copies"),
    [
        (
            "The lantern stands in the harbour of silver and salt, it says.",
            "The lantern stands in the harbour of silver and salt, they say.",
            0,
        ),
        (
            "The lantern of the old harbour stands on a rock of silver and salt in the sea beyond.",
            "The lantern of the old harbour stands on a rock of silver and salt in the sea beyond!",
            1,
        ),
        (
            "The lantern of the old harbour: 100 hours in winter, on a rock in the sea.",
            "The lantern of the old harbour: 250 hours in winter, on a rock in the sea.",
            0,
        ),
    ],
)
def test_what_is_nearly_the_same_is_a_copy_only_with_the_same_words_and_numbers(
    place: Notes, monkeypatch: pytest.MonkeyPatch, one: str, other: str, copies: int
) -> None:
    monkeypatch.setattr("llmchat_rag.picking.SAME", 0.5)
    place.write("one.md", one)
    place.write("other.md", other)
    place.update()
    found = place.search("lantern harbour")
    assert [hit.fate for hit in found.hits].count("copy") == copies
    assert len(found.passages) == 2 - copies


def test_without_a_word_of_the_question_a_passage_has_no_rank_among_the_words(place: Notes) -> None:
    place.write("a.md", "The violin has four strings.")
    place.write("b.md", "A lantern stands in the harbour.")
    place.update()
    found = query(place, Query("violin", fusion="rrf", alpha=0.5))
    scores = {one.path: one.scores for one in found.passages}
    assert scores["a.md"].fused == pytest.approx(2 / 61)
    assert scores["b.md"].fused == pytest.approx(1 / 62)


def test_one_document_fills_no_page_while_others_have_something_to_say(place: Notes) -> None:
    rng = random.Random(2)
    place.write("long.md", "\n\n".join(f"lantern lantern {sentence(rng)}" for _ in range(8)))
    place.write("a.md", f"lantern {sentence(rng)}")
    place.write("b.md", f"lantern {sentence(rng)}")
    place.update()
    assert sorted(place.found("lantern", k=5)) == ["a.md", "b.md", "long.md", "long.md", "long.md"]


def test_one_document_alone_fills_the_page(place: Notes) -> None:
    rng = random.Random(3)
    place.write("long.md", "\n\n".join(f"lantern {sentence(rng)}" for _ in range(8)))
    place.update()
    assert place.found("lantern", k=5) == ["long.md"] * 5


def test_weak_passages_are_left_out_and_explained(place: Notes) -> None:
    place.write("a.md", "The lantern stands in the harbour.\n\nNothing else is said.")
    place.update()
    found = query(place, Query("lantern harbour", min_score=0.5))
    assert [passage.scores.fused >= 0.5 for passage in found.passages] == [True]
    assert [hit.fate for hit in found.hits] == ["shown", "weak"]
    best = found.hits[0]
    assert (best.source, best.dense_rank, best.bm25_rank) == ("a.md:1", 1, 1)
    assert best.scores.fused == pytest.approx(0.7 * best.scores.dense + 0.3)
    assert found.best_cosine == best.scores.dense


def test_a_re_ranker_moves_and_does_not_replace(place: Notes) -> None:
    place.write("a.md", "lantern harbour lantern\n\nlantern and violin\n\nlantern thunder forest meadow")
    place.update()
    judge = Judge("violin")
    found = query(place, Query("lantern harbour", rerank=judge))
    assert found.passages[0].scores.rerank == pytest.approx(float("violin" in found.passages[0].text))
    assert not found.rerank_left_out
    assert len(judge.seen) == 3
    late = query(place, Query("lantern harbour", rerank=Judge("violin", in_time=False)))
    assert late.rerank_left_out
    assert [one.text for one in late.passages] == [one.text for one in place.search("lantern harbour").passages]


def test_another_re_ranker_is_asked_anew(place: Notes) -> None:
    place.write("a.md", "lantern lantern\n\nlantern violin\n\nlantern thunder\n\nnothing")
    place.update()
    first = query(place, Query("lantern", rerank=Judge("violin"))).passages[0].text
    second = query(place, Query("lantern", rerank=Judge("thunder"))).passages[0].text
    assert (first, second) == ("lantern violin", "lantern thunder")


@pytest.mark.parametrize("fusion", ["convex", "rrf"])
def test_who_asks_for_more_finds_the_same_first(place: Notes, fusion: Fusion) -> None:
    rng = random.Random(3)
    for number in range(40):
        place.write(f"{number}.md", essay(rng, 1))
    place.update()
    for text in questions(4, 10):
        few, more = (query(place, Query(text, k=k, fusion=fusion)).passages for k in (3, 15))
        assert [one.chunk_id for one in few] == [one.chunk_id for one in more[:3]]


def test_a_question_builds_and_writes_nothing(place: Notes) -> None:
    place.write("rome.md", "The lantern of the harbour was lit in winter.")
    place.update()
    with place.library.raw() as connection:
        before = connection.total_changes
    assert place.found("lantern harbour") == ["rome.md"]
    with place.library.raw() as connection:
        assert connection.total_changes == before


def test_only_the_documents_that_are_named_are_looked_at(place: Notes) -> None:
    rng = random.Random(7)
    for number in range(150):
        place.write(f"{number}.md", f"The lantern of the harbour {number} is lit in winter.")
    place.write("far.md", essay(rng, 6))
    place.update()
    (far,) = (one.id for one in place.library.documents("notes") if one.path == "far.md")
    found = query(place, Query("the lantern of the harbour", k=9, documents=(far,)))
    assert [one.path for one in found.passages] == ["far.md"] * 6
    assert len(found.candidates) == 6
    assert query(place, Query("the lantern", documents=(10**6,))).passages == ()


def test_a_follow_up_is_searched_with_what_it_is_about(place: Notes) -> None:
    place.write("a.md", "The Eiffel tower was built in 1889.\n\nThe market opens at dawn.")
    place.update()
    found = query(place, Query("and when?", history=("Who built the Eiffel tower?",)))
    assert found.question == "Who built the Eiffel tower?\nand when?"
    assert found.passages[0].text.startswith("The Eiffel")


def test_either_fusion_and_any_alpha(place: Notes) -> None:
    place.write("a.md", "lantern lantern\n\nviolin harbour")
    place.update()
    assert query(place, Query("lantern", fusion="rrf")).passages[0].scores.fused == pytest.approx(2 / 61)
    assert query(place, Query("lantern", alpha=0.0)).passages[0].scores.fused == 1.0


def test_what_another_process_wrote_is_found_at_once(place: Notes) -> None:
    place.write("a.md", "lantern")
    place.update()
    with Library(place.library.folder) as reader, Searcher(reader, place.embedder) as searcher:
        assert len(searcher.search(Query("violin")).passages) == 1
        place.write("b.md", "violin")
        place.update()
        assert searcher.search(Query("violin")).passages[0].path == "b.md"
        place.write("b.md", "thunder")
        place.update()
        assert "violin" not in [one.text for one in searcher.search(Query("violin")).passages]


def test_an_index_that_has_outgrown_itself_is_made_anew_beside_the_searches(
    place: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors.FaissVectors, "outgrown", lambda self: not self._mapped or self._side is not None)
    place.write("a.md", "lantern")
    place.update()
    (before,) = cache_file.caches(place.library.folder)
    with Library(place.library.folder) as reader, Searcher(reader, place.embedder, background=True) as searcher:
        place.write("b.md", "violin")
        list(place.library.vectors_after(0))
        monkeypatch.setattr(search, "in_background", lambda fill: joined(fill))
        place.update()
        assert searcher.search(Query("violin")).passages[0].path == "b.md"
        assert searcher.search(Query("violin")).passages[0].path == "b.md"
    (after,) = cache_file.caches(place.library.folder)
    assert after.count == 2
    assert after.generation > before.generation


def joined(fill: object) -> object:
    from llmchat_rag.vector_store import in_background

    thread = in_background(fill)  # type: ignore[arg-type]
    thread.join()
    return thread


@pytest.mark.parametrize("kind", ["flip", "cut", "gone", "foreign"])
def test_a_harmed_cache_changes_no_answer(place: Notes, tmp_path: Path, kind: str) -> None:
    rng = random.Random(4)
    for number in range(20):
        place.write(f"{number}.md", essay(rng))
    place.update()
    asked = questions(4, 10)
    expected = answers(place.library, place.embedder, asked)
    (cache,) = cache_file.caches(place.library.folder)
    harm(cache, kind)
    assert answers(place.library, place.embedder, asked) == expected
    (made,) = cache_file.caches(place.library.folder)
    assert made.is_whole()


def harm(cache: cache_file.CacheFile, kind: str) -> None:
    data = bytearray(cache.path.read_bytes())
    if kind == "gone":
        cache.path.unlink()
    elif kind == "cut":
        cache.path.write_bytes(data[: len(data) // 3])
    elif kind == "flip":
        data[200] ^= 1
        cache.path.write_bytes(data)
    else:
        cache.path.write_bytes(os.urandom(len(data)))


def test_a_flip_that_hides_its_time_gives_no_wrong_id_and_no_wrong_score(place: Notes) -> None:
    rng = random.Random(5)
    for number in range(10):
        place.write(f"{number}.md", essay(rng))
    place.update()
    asked = questions(5, 5)
    (cache,) = cache_file.caches(place.library.folder)
    stat = cache.path.stat()
    whole = cache.path.read_bytes()
    for at in range(100, len(whole), 97):
        data = bytearray(whole)
        data[at] ^= 1 << (at % 8)
        cache.path.write_bytes(data)
        os.utime(cache.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        for passage in (one for text in asked[:1] for one in place.search(text).passages):
            assert place.library.text(passage.document_id)[passage.span.start : passage.span.end] == passage.text
            blob = place.library.vectors([passage.chunk_id])[passage.chunk_id].blob
            exact = float(np.frombuffer(blob, "<f2").astype(np.float32) @ place.embedder.encode_query(asked[0]))
            assert passage.scores.dense == pytest.approx(exact, abs=1e-3)
