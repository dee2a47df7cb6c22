"""The documents as the turn and the screens use them: opened once, when first needed, by any thread."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.tui.documented import BREAD, ROME, make_store, open_documents

from llmchat_rag.embed.fake import HashEmbedder, ScriptedReranker
from llmchat_rag.errors import CollectionMissing, EmbedderMismatch, EmbedderMissing, VectorServerError
from llmchat_rag.store import Library
from llmchat_rag.vectors import FaissVectors
from llmchat_tui.asked import ALL, Asked, asked_in, asked_of
from llmchat_tui.documents import Documents

if TYPE_CHECKING:
    from llmchat_rag.types import Vector

WHEN = "When was Rome founded by Romulus?"


@pytest.fixture
def documents(tmp_path: Path) -> Iterator[Documents]:
    made = open_documents(make_store(tmp_path))
    yield made
    made.close()


def words(text: str) -> int:
    return len(text.split())


def test_nothing_is_made_where_there_is_nothing(tmp_path: Path) -> None:
    documents = open_documents(tmp_path / "docs")
    assert (documents.is_there(), documents.collections()) == (False, [])
    with pytest.raises(CollectionMissing):
        documents.warm()
    with pytest.raises(CollectionMissing):
        documents.retrieve(WHEN, Asked())
    documents.close()
    assert list(tmp_path.iterdir()) == []


def test_the_encoder_is_opened_once_and_not_before_it_is_needed(tmp_path: Path) -> None:
    opened: list[HashEmbedder] = []

    def encoder() -> HashEmbedder:
        opened.append(HashEmbedder())
        return opened[-1]

    store = make_store(tmp_path)
    documents = Documents(store, store, encoder=encoder)
    assert [status.files for status in documents.collections()] == [3]
    assert opened == []
    documents.warm()
    for _ in range(3):
        assert documents.retrieve(WHEN, Asked()).hits[0].text == ROME
    assert len(opened) == 1
    documents.close()
    assert documents.retrieve(WHEN, Asked()).hits[0].text == ROME
    documents.close()


def test_what_is_added_meanwhile_is_found(documents: Documents, tmp_path: Path) -> None:
    assert documents.retrieve("Who founded Carthage, Dido?", Asked()).hits[0].path != "other.md"
    make_store(tmp_path, {"other.md": "Carthage was founded by Dido in 814 BC.\n"}, "other")
    assert documents.retrieve("Who founded Carthage, Dido?", Asked()).hits[0].path == "other.md"


def test_a_store_of_another_embedder_is_refused(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    documents = Documents(store, store, encoder=lambda: HashEmbedder(seed=1))
    with pytest.raises(EmbedderMismatch):
        documents.retrieve(WHEN, Asked())
    documents.close()


def test_a_least_score_that_nothing_reaches_abstains(documents: Documents) -> None:
    found = documents.retrieve(WHEN, Asked(min_score=0.999))
    assert (found.hits, found.verdict) == ((), "abstain")
    assert found.best_cosine > 0.1


def test_neighbours_come_while_there_is_room(tmp_path: Path) -> None:
    parts = [" ".join([f"Part {n} is of place{n}.", *(f"p{n}w{i}" for i in range(150))]) for n in range(9)]
    documents = open_documents(make_store(tmp_path, {"long.md": "\n\n".join(parts)}))
    found = documents.retrieve("Which part is of place4?", Asked(k=1))
    assert [hit.text for hit in found.hits] == [parts[4]]
    wide = documents.block(found, words, 700)
    assert all(part in wide.text for part in parts[3:6])
    assert wide.sources[0].source == "long.md:7-11"
    small = documents.block(found, words, 260)
    assert parts[4] in small.text
    assert (small.sources[0].source, small.tokens <= 260) == ("long.md:9", True)
    assert documents.block(found, words, 10).sources == ()
    documents.close()


SOUTH = "The southern mole was built of basalt.\n"
HARBOUR = f"# Harbour works\n\nBuilt in 1871.\n\n{SOUTH}\nThe northern mole was built of granite.\n"


@pytest.fixture
def harbours(tmp_path: Path) -> Iterator[Documents]:
    """A document that is talked about, and one that would crowd it out."""
    quarry = "\n\n".join(f"What was its southern mole built of? Of stone {n}, far away." for n in range(9))
    made = open_documents(make_store(tmp_path, {"harbour.md": HARBOUR, "quarry.md": quarry}))
    yield made
    made.close()


@pytest.mark.parametrize("history", [("Summarize harbour.md",), ("Summarize harbour.md", "why is that?")])
def test_what_goes_on_about_a_summary_is_looked_for_in_its_document(
    harbours: Documents, history: tuple[str, ...]
) -> None:
    asked = "what was its southern mole built of?"
    alone = harbours.retrieve(asked, Asked(k=1), ("Who built bridges in London?",))
    assert alone.hits[0].path == "quarry.md"
    found = harbours.retrieve(asked, Asked(k=1), history)
    assert (found.hits[0].path, found.verdict) == ("harbour.md", "ok")
    assert SOUTH in found.hits[0].text


def test_a_summary_that_is_wanted_shorter_is_not_refused(harbours: Documents) -> None:
    found = harbours.retrieve("shorter please", Asked(), ("Summarize harbour.md",))
    assert {hit.path for hit in found.hits} == {"harbour.md"}
    assert found.verdict == "weak"


def test_what_the_summarized_document_does_not_say_is_looked_for_in_the_others(documents: Documents) -> None:
    found = documents.retrieve("and at how many degrees is bread baked?", Asked(), ("Summarize tides.md",))
    assert found.hits[0].text == BREAD


def reranked(store: Path, monkeypatch: pytest.MonkeyPatch, opener: Callable[..., object]) -> Documents:
    monkeypatch.setattr("llmchat_rag.embed.reranker.open_reranker", opener)
    return open_documents(store)


def test_without_a_model_for_it_re_ranking_fails_where_it_was_asked_for_and_is_left_out_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object, **__: object) -> object:
        raise EmbedderMissing("there is no re-ranking model on this machine", "", "hf download it")

    documents = reranked(make_store(tmp_path), monkeypatch, none)
    with pytest.raises(EmbedderMissing, match="no re-ranking model"):
        documents.retrieve(WHEN, Asked(rerank=True))
    for _ in range(2):
        found = documents.retrieve(WHEN, Asked(rerank="auto"))
        assert found.hits[0].scores.rerank is None
        assert found.results is not None and not found.results.rerank_left_out
    documents.close()


def test_in_a_chat_the_model_is_opened_aside_and_used_when_it_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready, opened = threading.Event(), list[object]()

    def slow(*_: object, quick: bool) -> ScriptedReranker:
        assert quick
        opened.append(threading.current_thread())
        ready.wait(20)
        return ScriptedReranker({"Rome": -1.0, "Bread": 3.0})

    monkeypatch.setattr("llmchat_tui.reranking._READY_SECONDS", 0.0)
    documents = reranked(make_store(tmp_path), monkeypatch, slow)
    assert documents.retrieve(WHEN, Asked(rerank="auto")).hits[0].scores.rerank is None
    ready.set()
    assert isinstance(opened[0], threading.Thread) and opened[0] is not threading.main_thread()
    opened[0].join(20)
    found = documents.retrieve(WHEN, Asked(rerank="auto"))
    assert [hit.scores.rerank for hit in found.hits if hit.path == "rome.md"] == [-1.0]
    assert documents.retrieve(WHEN, Asked()).hits[0].scores.rerank is None
    assert len(opened) == 1
    documents.close()


def test_vectors_are_searched_where_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path)
    asked, closed = list[str](), list[bool]()

    class Server(FaissVectors):
        def search(self, vector: Vector, k: int, collections: Sequence[int] = ()) -> list[tuple[int, float]]:
            asked.append("search")
            return super().search(vector, k, collections)

        def close(self) -> None:
            closed.append(True)
            super().close()

    def server(address: str, dimension: int, folder: Path) -> Server:
        assert (address, folder) == ("http://somewhere", store)
        (tmp_path / "server").mkdir()
        return Server(tmp_path / "server", dimension, lambda _: False)

    monkeypatch.setattr("llmchat_rag.search.open_server", server)
    documents = Documents(store, store, vector_server="http://somewhere", encoder=HashEmbedder)
    assert documents.retrieve(WHEN, Asked()).hits[0].text == ROME
    assert (asked, closed) == (["search"], [])
    documents.close()
    assert closed == [True]


def test_a_vector_server_that_does_not_answer_is_told(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    documents = Documents(store, store, vector_server="http://127.0.0.1:1", encoder=HashEmbedder)
    with pytest.raises(VectorServerError) as refused:
        documents.retrieve(WHEN, Asked())
    assert refused.value.hint
    documents.close()


def test_a_gate_that_was_found_while_indexing_is_used(tmp_path: Path) -> None:
    store = make_store(tmp_path)

    class Unmeasured(HashEmbedder):
        gate = 0.0

    documents = Documents(store, store, encoder=Unmeasured)
    assert documents.retrieve("Which bishop crowned the king of Norway?", Asked()).verdict == "ok"
    note = {"fingerprint": Unmeasured().fingerprint, "passages": 3, "abstain": 0.9, "warn": 0.95}
    with Library(store) as library:
        library.set_note("gate", json.dumps(note))
    found = documents.retrieve("Which bishop crowned the king of Norway?", Asked())
    assert (found.verdict, found.weak_under) == ("abstain", 0.95)
    documents.close()


def test_the_gate_looks_at_the_cosine_and_not_at_the_score_whose_best_is_always_near_one(tmp_path: Path) -> None:
    class Strict(HashEmbedder):
        gate = 0.5

    store = make_store(tmp_path)
    documents = Documents(store, store, encoder=Strict)
    found = documents.retrieve("Romulus qqqq xxxx zzzz vvvv wwww", Asked(alpha=0.0))
    assert (found.hits[0].scores.fused, found.verdict) == (1.0, "abstain")
    assert found.best_cosine < 0.5
    documents.close()


def test_many_threads_at_once(documents: Documents) -> None:
    failed: list[str] = []

    def ask(question: str, text: str) -> Callable[[], None]:
        def run() -> None:
            for _ in range(20):
                found = documents.retrieve(question, Asked())
                if found.hits[0].text != text or text.strip() not in documents.block(found, words, 500).text:
                    failed.append(question)
                documents.collections()

        return run

    questions = [(WHEN, ROME), ("At how many degrees is bread baked?", BREAD)] * 2
    threads = [threading.Thread(target=ask(*each)) for each in questions]
    for thread in threads:
        thread.start()
    documents.close()
    for thread in threads:
        thread.join(20)
    assert failed == []


def test_what_a_chat_wants() -> None:
    base = Asked(k=3)
    assert asked_of((), base) is None
    assert asked_of(("a", "b"), base) == Asked(("a", "b"), k=3)
    assert asked_of(("a", ALL), base) == base


@pytest.mark.parametrize("found", [None, 7, [], {"k": "5"}, {"collections": [1]}, {"fusion": "other"}, {"k": None}])
def test_settings_of_another_program_ask_for_nothing(found: Any) -> None:
    assert asked_in({"asked": found}) is None
    assert asked_in({}) is None
    assert asked_in({"asked": {"collections": ["a"], "alpha": 1, "new": True}}) == Asked(("a",), alpha=1.0)
