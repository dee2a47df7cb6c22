"""The index of vectors: the same behaviour on every kind, exact choices, and files that cannot be trusted."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from llmchat_rag import cache_file
from llmchat_rag import vectors as vectors_module
from llmchat_rag.milvus import MilvusVectors
from llmchat_rag.store import Position
from llmchat_rag.vector_store import VectorStore
from llmchat_rag.vectors import FaissVectors

if TYPE_CHECKING:
    from llmchat_rag.types import Vectors

DIMENSION = 16
HERE = Position(7, "ab" * 8)
Opener = Callable[[], VectorStore]

has_milvus = importlib.util.find_spec("pymilvus") and importlib.util.find_spec("milvus_lite")
milvus = pytest.param(
    "milvus",
    marks=pytest.mark.skipif(not has_milvus, reason="pymilvus and milvus-lite are not installed: make test-milvus"),
)


def points(many: int, seed: int = 0) -> Vectors:
    made = np.random.default_rng(seed).standard_normal((many, DIMENSION)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def faiss(folder: Path, flat_limit: int = 200_000, known: Position = HERE) -> FaissVectors:
    return FaissVectors(folder, DIMENSION, lambda position: position == known, flat_limit=flat_limit)


@pytest.fixture(params=["flat", "hnsw", milvus])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the same index again and again, as one process after the other does."""
    with ExitStack() as stack:

        def open_one() -> VectorStore:
            made: VectorStore
            if request.param == "milvus":
                made = MilvusVectors(str(tmp_path / "milvus.db"), DIMENSION)
            else:
                made = faiss(tmp_path, 200_000 if request.param == "flat" else 10)
            stack.callback(made.close)
            return made

        yield open_one


def filled(store: VectorStore, vectors: Vectors, first: int = 1, collection: int = 1) -> VectorStore:
    store.begin(len(vectors), patient=True)
    store.add(range(first, first + len(vectors)), vectors, collection)
    store.flush(HERE)
    return store


def ids(store: VectorStore, vector: object, k: int, *collections: int) -> list[int]:
    return [key for key, _ in store.search(np.asarray(vector, dtype=np.float32), k, collections)]


def test_nothing_is_found_in_nothing(opener: Opener) -> None:
    store = opener()
    assert store.position is None
    assert store.count() == 0
    assert ids(store, points(1)[0], 5) == []


def test_the_nearest_are_found_with_their_cosines(opener: Opener) -> None:
    vectors = points(300)
    store = filled(opener(), vectors)
    exact = vectors @ vectors[17]
    best = [int(at) + 1 for at in np.argsort(-exact)[:10]]
    hits = store.search(vectors[17], 10)
    assert [key for key, _ in hits] == best
    assert [score for _, score in hits] == pytest.approx([float(exact[key - 1]) for key in best], abs=2e-3)


def test_what_is_kept_is_there_in_the_next_process(opener: Opener) -> None:
    vectors = points(100)
    first = filled(opener(), vectors)
    expected = first.search(vectors[3], 5)
    first.close()
    again = opener()
    assert again.position == again.settled == HERE
    assert again.count() == 100
    assert again.search(vectors[3], 5) == expected


def test_added_and_deleted_beside_what_is_kept(opener: Opener) -> None:
    vectors = points(100)
    filled(opener(), vectors[:90]).close()
    store = opener()
    store.add(range(91, 101), vectors[90:], 1)
    store.delete([4, 95, 4000])
    store.flush(HERE)
    assert store.count() == 98
    assert ids(store, vectors[98], 1) == [99]
    assert ids(store, vectors[3], 1) != [4]
    assert ids(store, vectors[94], 1) != [95]
    assert sorted(ids(store, vectors[0], 100)) == sorted({*range(1, 101)} - {4, 95})


def test_a_small_collection_in_a_big_one_gives_all_that_is_asked(opener: Opener) -> None:
    vectors = points(3000)
    store = opener()
    store.begin(3000, patient=True)
    store.add(range(1, 1501), vectors[:1500], 1)
    store.add(range(1501, 1511), vectors[1500:1510], 2)
    store.add(range(1511, 3001), vectors[1510:], 1)
    store.flush(HERE)
    for row in range(0, 3000, 300):
        found = ids(store, vectors[row], 10, 2)
        assert sorted(found) == [*range(1501, 1511)]
        assert found == [1501 + int(at) for at in np.argsort(-(vectors[1500:1510] @ vectors[row]))]
    assert len(ids(store, vectors[0], 20, 1)) == 20
    assert len(ids(store, vectors[0], 20, 1, 2)) == 20
    assert ids(store, vectors[0], 5, 3) == []


def test_most_of_a_collection_in_a_graph_is_walked_and_finds_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors_module, "EXACT_UP_TO", 10)
    vectors = points(3000)
    store = faiss(tmp_path, 10)
    store.begin(3000, patient=True)
    store.add(range(1, 2001), vectors[:2000], 1)
    store.add(range(2001, 3001), vectors[2000:], 2)
    store.flush(HERE)
    right = 0
    for row in range(0, 3000, 100):
        best = {2001 + int(at) for at in np.argsort(-(vectors[2000:] @ vectors[row]))[:10]}
        found = ids(store, vectors[row], 10, 2)
        assert len(found) == 10
        right += len(best & set(found))
    assert right >= 0.95 * 300


def test_begun_anew_it_is_empty(opener: Opener) -> None:
    store = filled(opener(), points(20))
    store.begin(0, patient=True)
    assert store.count() == 0
    assert ids(store, points(1)[0], 3) == []


def test_a_mapped_index_outgrows_itself_by_a_tenth(tmp_path: Path) -> None:
    filled(faiss(tmp_path), points(100)).close()
    store = faiss(tmp_path)
    store.add(range(101, 111), points(10), 1)
    assert not store.outgrown()
    store.delete([1])
    assert store.outgrown()


def test_a_graph_is_made_above_the_limit_and_not_by_the_impatient(tmp_path: Path) -> None:
    store = faiss(tmp_path, 50)
    store.begin(51, patient=False)
    assert store.kind == "flat"
    store.add(range(1, 52), points(51), 1)
    store.flush(HERE)
    assert cache_file.caches(tmp_path) == []
    assert store.outgrown()
    store.begin(51, patient=True)
    assert store.kind == "hnsw"


def test_the_files_are_private_and_replaced(tmp_path: Path) -> None:
    for _ in range(3):
        filled(faiss(tmp_path), points(50)).close()
    names = sorted(path.suffix for path in tmp_path.iterdir())
    assert names == [".faiss", ".json"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def replace_by_other(path: Path) -> None:
    path.write_bytes(b"IxFI" + os.urandom(path.stat().st_size - 4))


@pytest.mark.parametrize("harm", [flip, cut, Path.unlink, replace_by_other])
@pytest.mark.parametrize("flat_limit", [10, 1000])
def test_a_file_that_was_harmed_is_not_used(tmp_path: Path, harm: Callable[[Path], None], flat_limit: int) -> None:
    filled(faiss(tmp_path, flat_limit), points(100)).close()
    (cache,) = cache_file.caches(tmp_path)
    harm(cache.path)
    store = faiss(tmp_path, flat_limit)
    assert store.position is None
    assert store.count() == 0
    assert not cache.is_whole()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "flat"}', "\0", '{"generation": "x"}'])
def test_a_description_that_makes_no_sense_is_none(tmp_path: Path, text: str) -> None:
    filled(faiss(tmp_path), points(10)).close()
    (cache,) = cache_file.caches(tmp_path)
    cache.path.with_suffix(".json").write_text(text)
    assert faiss(tmp_path).position is None


def test_a_copy_of_the_folder_is_used_after_its_checksum(tmp_path: Path) -> None:
    filled(faiss(tmp_path), points(10)).close()
    (cache,) = cache_file.caches(tmp_path)
    os.utime(cache.path, ns=(5, 5))
    assert not cache.looks_whole()
    assert faiss(tmp_path).position == HERE


def test_the_cache_of_another_store_or_dimension_is_not_used(tmp_path: Path) -> None:
    filled(faiss(tmp_path), points(10)).close()
    assert faiss(tmp_path, known=Position(7, "cd" * 8)).position is None
    assert FaissVectors(tmp_path, DIMENSION + 1, lambda _: True).position is None


def test_a_disk_that_takes_no_cache_costs_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_file, "write", full)
    store = filled(faiss(tmp_path), points(10))
    assert len(ids(store, points(10)[0], 3)) == 3
    assert store.settled is None
