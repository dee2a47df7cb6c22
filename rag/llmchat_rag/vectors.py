"""The index of vectors on this machine. The only importer of faiss; knows no store and no text.

Up to 200,000 vectors every one is compared (16 bits, exact); above, a graph (HNSW) is walked. What is mapped from disk
is never changed: faiss aborts the process on that. What comes later waits beside it, what goes is left out by a mask.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faiss as _faiss
import numpy as np

from llmchat_rag import cache_file
from llmchat_rag.cache_file import CacheFile, Description
from llmchat_rag.store import Position

if TYPE_CHECKING:
    import numpy.typing as npt

    from llmchat_rag.types import Vector, Vectors

    Mask = npt.NDArray[np.bool_]

faiss: Any = _faiss
"""Its own types leave out half of what is there."""

FLAT_LIMIT = 200_000
"""Vectors that are compared one by one: 22 ms at most, and rebuilt in 0.2 s; a graph of them takes a minute to make."""
TAIL = 0.1
"""The share of changed vectors from which an index is made anew."""
NEIGHBOURS, EF_BUILD, EF_SEARCH = 32, 80, 384
"""Of the graph: over a million vectors recall@10 is 0.976 of exact in 1.5 ms; 0.932 with 128, 0.960 with 256."""
WORTH_THREADS = 4096
"""Vectors of a graph that are added together; threads that wait for each other cost more than fewer take."""
EXACT_UP_TO = 50_000
"""Selected vectors that are compared one by one in a graph too: a walk that may keep few of them finds too few."""

Run = tuple[int, int, int]


class FaissVectors:
    """Vectors in a file beside the store, which can be made again from it.

    Args:
        folder: of the store.
        dimension: of the vectors.
        knows: whether the store was ever at a position; a cache of another store is no use.
        flat_limit: up to how many vectors are compared one by one.
    """

    name = "faiss"

    def __init__(
        self, folder: Path, dimension: int, knows: Callable[[Position], bool], *, flat_limit: int = FLAT_LIMIT
    ) -> None:
        self.dimension = dimension
        self._folder = folder
        self._flat_limit = flat_limit
        self._position: Position | None = None
        self._settled: Position | None = None
        self._base: Any = None
        self._side: Any = None
        self._mapped = False
        self._runs: list[Run] = []
        self._dead: set[int] = set()
        self._top = 0
        self._reset("flat")
        self._load(knows)

    @property
    def position(self) -> Position | None:
        """The state of the store that it holds; None where it holds nothing that can be used."""
        return self._position

    @property
    def settled(self) -> Position | None:
        """The state that outlives this process; what the store forgets of its journal must be older."""
        return self._settled

    @property
    def kind(self) -> str:
        """`flat` or `hnsw`."""
        return self._kind

    def begin(self, expected: int, *, patient: bool) -> None:
        """Empties it; impatience takes the kind that needs no making, whatever the number."""
        self._reset("hnsw" if patient and expected > self._flat_limit else "flat")
        self._lasting = patient or expected <= self._flat_limit

    def add(self, ids: Sequence[int], vectors: Vectors, collection: int) -> None:
        """Adds vectors beside what is mapped, or to what is being made."""
        if not len(ids):
            return
        index = self._base
        if self._mapped:
            index = self._side = self._side or faiss.IndexIDMap(faiss.IndexFlatIP(self.dimension))
        graph = self._kind == "hnsw" and not self._mapped
        faiss.omp_set_num_threads(_cores() if graph and len(ids) >= WORTH_THREADS else 1)
        index.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), np.asarray(ids, dtype=np.int64))
        self._extend(int(ids[0]), int(ids[-1]), collection)
        self._top = max(self._top, int(ids[-1]))

    def delete(self, ids: Sequence[int]) -> None:
        """Leaves vectors out from now on."""
        self._dead.update(int(key) for key in ids if self._owned(int(key)))

    def search(self, vector: Vector, k: int, collections: Sequence[int] = ()) -> list[tuple[int, float]]:
        """Returns the nearest ids and their cosines, best first."""
        faiss.omp_set_num_threads(1)  # 0.6 ms over 10,000 vectors on one thread, 15.8 ms on four that wait for cores
        query = np.ascontiguousarray(vector, dtype=np.float32).reshape(1, -1)
        mask = self._mask(collections)
        hits = self._search_base(query, k, mask)
        if self._side is not None:
            hits += _hits(self._side, query, k, _parameters(mask))
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]

    def count(self) -> int:
        """Returns how many vectors can be found."""
        return self._total() - len(self._dead)

    def outgrown(self) -> bool:
        """Returns whether more than a tenth changed, or the kind does not suit the number any more."""
        tail = len(self._dead) + (self._side.ntotal if self._side else 0)
        return tail > TAIL * max(self._base.ntotal, 1) or (self._kind == "flat" and self.count() > self._flat_limit)

    def flush(self, position: Position) -> None:
        """Writes what was made, and maps it; what was only added beside a mapped file stays in memory.

        Where it cannot be written it stays in memory too: the next process makes it again.
        """
        self._position = position
        if not self._mapped and self._lasting:
            with suppress(OSError, RuntimeError):
                self._settle(position)

    def close(self) -> None:
        """Unmaps the file."""
        self._reset("flat")
        self._position = None

    def _settle(self, position: Position) -> None:
        what = Description(self._kind, position, self.dimension, self._total(), self._runs, sorted(self._dead))
        cache = cache_file.write(self._folder, what, lambda path: faiss.write_index(self._base, str(path)))
        self._base, self._mapped, self._settled = _open(cache), True, position

    def _reset(self, kind: str) -> None:
        self._kind = kind
        self._lasting = True
        self._base, self._side, self._mapped = _new(kind, self.dimension), None, False
        self._runs, self._dead, self._top = [], set(), 0

    def _load(self, knows: Callable[[Position], bool]) -> None:
        for cache in cache_file.caches(self._folder):
            # Another time with the right checksum is a copy of the store; the checksum is asked for only then.
            suits = cache.dimension == self.dimension and knows(cache.position)
            if suits and (cache.looks_whole() or cache.is_whole()) and self._take(cache):
                return

    def _take(self, cache: CacheFile) -> bool:
        try:
            base = _open(cache)
        except (RuntimeError, MemoryError):
            return False
        if (base.ntotal, base.d) != (cache.count, cache.dimension):
            return False
        self._base, self._mapped, self._kind = base, True, cache.kind
        self._runs, self._dead = list(cache.runs), set(cache.dead)
        self._top = max((last for _, last, _ in cache.runs), default=0)
        self._position = self._settled = cache.position
        return True

    def _total(self) -> int:
        return int(self._base.ntotal) + (int(self._side.ntotal) if self._side else 0)

    def _extend(self, first: int, last: int, collection: int) -> None:
        """Remembers whose ids these are; between two neighbours of one collection there is nobody else's."""
        if self._runs and self._runs[-1][2] == collection:
            first = self._runs.pop()[0]
        self._runs.append((first, last, collection))

    def _owned(self, key: int) -> bool:
        at = bisect_right(self._runs, key, key=lambda run: run[0]) - 1
        return at >= 0 and key <= self._runs[at][1]

    def _mask(self, collections: Sequence[int]) -> Mask | None:
        """Returns which ids may be found; None where all may."""
        if not collections and not self._dead:
            return None
        mask: Mask = np.full(self._top + 1, not collections, dtype=np.bool_)
        for first, last, owner in self._runs if collections else ():
            if owner in collections:
                mask[first : last + 1] = True
        mask[np.fromiter(self._dead, dtype=np.int64, count=len(self._dead))] = False
        return mask

    def _search_base(self, query: Vectors, k: int, mask: Mask | None) -> list[tuple[int, float]]:
        if self._kind == "flat":
            return _hits(self._base, query, k, _parameters(mask))
        if mask is None:
            return _hits(self._base, query, k, faiss.SearchParametersHNSW(efSearch=max(EF_SEARCH, k)))
        ids = faiss.vector_to_array(self._base.id_map)
        selected = mask[ids]
        allowed = int(selected.sum())
        if allowed <= EXACT_UP_TO:
            return self._compare(query, k, ids, selected)
        ef = min(int(EF_SEARCH * len(ids) / allowed), 16 * EF_SEARCH)
        return _hits(self._base, query, k, faiss.SearchParametersHNSW(efSearch=max(ef, k), sel=_selector(mask)))

    def _compare(self, query: Vectors, k: int, ids: npt.NDArray[np.int64], selected: Mask) -> list[tuple[int, float]]:
        """Compares every selected vector of a graph, which it keeps like a flat index."""
        storage = faiss.downcast_index(faiss.downcast_index(self._base.index).storage)
        return [(int(ids[at]), score) for at, score in _hits(storage, query, k, _parameters(selected))]


def _new(kind: str, dimension: int) -> Any:
    half = faiss.ScalarQuantizer.QT_fp16
    if kind == "flat":
        return faiss.IndexIDMap(faiss.IndexScalarQuantizer(dimension, half, faiss.METRIC_INNER_PRODUCT))
    graph = faiss.IndexHNSWSQ(dimension, half, NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = EF_BUILD
    return faiss.IndexIDMap(graph)


def _open(cache: CacheFile) -> Any:
    return faiss.read_index(str(cache.path), getattr(faiss, "IO_FLAG_MMAP_IFC", 0))


def _hits(index: Any, query: Vectors, k: int, parameters: Any) -> list[tuple[int, float]]:
    if not index.ntotal:
        return []
    scores, ids = index.search(query, min(k, index.ntotal), params=parameters)
    return [(int(key), float(score)) for key, score in zip(ids[0], scores[0], strict=True) if key >= 0]


def _parameters(mask: Mask | None) -> Any:
    return None if mask is None else faiss.SearchParameters(sel=_selector(mask))


def _selector(mask: Mask) -> Any:
    return faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
