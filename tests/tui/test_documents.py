"""The documents as the turn and the screens use them: opened once, when first needed, by any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.tui.documented import BREAD, ROME, make_store, open_documents

from llmchat_rag.embed.fake import HashEmbedder
from llmchat_rag.errors import CollectionMissing, EmbedderMismatch
from llmchat_tui.asked import ALL, Asked, asked_in, asked_of
from llmchat_tui.documents import Documents

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
