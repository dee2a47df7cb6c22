"""A whole store searched through a Milvus server, and what a server that is not there is told as."""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.rag.doubles import DIMENSION, PlainPool
from tests.rag.places import Notes, essay, notes, questions

from llmchat_rag.errors import VectorServerError
from llmchat_rag.ingest import update
from llmchat_rag.milvus import MilvusVectors
from llmchat_rag.query import Query
from llmchat_rag.search import Searcher

HAS_MILVUS = all(importlib.util.find_spec(name) for name in ("pymilvus", "milvus_lite"))
needs_milvus = pytest.mark.skipif(not HAS_MILVUS, reason="pymilvus and milvus-lite: make test-milvus")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Notes]:
    with notes(tmp_path) as made:
        yield made


def index(place: Notes) -> Notes:
    rng = random.Random(8)
    for number in range(20):
        place.write(f"{number}.md", essay(rng))
    return place


@needs_milvus
def test_the_same_passages_as_without_a_server(place: Notes, tmp_path: Path) -> None:
    index(place)
    asked = questions(8, 10)
    with closing(MilvusVectors(str(tmp_path / "milvus.db"), DIMENSION)) as server:
        for change in range(3):
            place.write(f"{change}.md", f"changed {change}")
            (place.root / f"{10 + change}.md").unlink()
            list(update(place.library, "notes", place.embedder, PlainPool(), vectors=server))
            with (
                Searcher(place.library, place.embedder, server) as there,
                Searcher(place.library, place.embedder) as here,
            ):
                for question in asked:
                    mine, theirs = (one.search(Query(question)).passages for one in (here, there))
                    assert [passage.chunk_id for passage in mine] == [passage.chunk_id for passage in theirs]


@needs_milvus
def test_a_server_that_was_emptied_is_filled_again(place: Notes, tmp_path: Path) -> None:
    index(place).update()
    for name in ("one.db", "two.db"):
        with closing(MilvusVectors(str(tmp_path / name), DIMENSION)) as server:
            assert server.position is None
            with Searcher(place.library, place.embedder, server) as searcher:
                assert searcher.search(Query("lantern")).passages
            assert server.count() == place.library.count()


def test_without_pymilvus_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(VectorServerError, match="not installed") as caught:
        MilvusVectors("http://localhost:19530", DIMENSION)
    assert "llmchat-tui[milvus]" in caught.value.hint
