"""How fast documents are found in large stores, which are made up: a cold search, and a million vectors."""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tests.benchmarks.targets import Target

from llmchat_rag import cache_file
from llmchat_rag.embed import open_embedder
from llmchat_rag.errors import RagError
from llmchat_rag.halves import from_blobs, to_blobs
from llmchat_rag.search import open_index
from llmchat_rag.store import EmbedderMark, Entry, Library, Position
from llmchat_rag.types import Chunk, Found, Parsed, Span
from llmchat_rag.vector_store import catch_up
from llmchat_rag.vectors import FaissVectors

if TYPE_CHECKING:
    from llmchat_rag.types import Vectors

ROOT = Path(__file__).parents[2]
PASSAGES, OF_A_DOCUMENT = 100_000, 50
MILLION, ASKED, DIMENSION = 1_000_000, 200, 384
ROUNDS = 7
_BATCH = 50_000
_QUESTION = "which engine drives the wheel of the market in winter"
_CHILD = """
import sys
from llmchat_tui.cli import run
from llmchat_tui.cli.app import App
code = run(App(), ["docs", "search", sys.argv[1], "--json"])
print("torch" in sys.modules, file=sys.stderr)
sys.exit(code)
"""


def cold_search(folder: Path) -> list[Target]:
    """Runs `llmchat docs search` over 100,000 passages, from the start of its process to its end."""
    home = folder / f"home-{PASSAGES}"
    try:
        embedder = open_embedder("", home / "cache" / "embedders")
        embedder.encode_passages(["this makes the export for questions"])
    except RagError as error:
        print(f"cold search left out: {error}")
        return []
    if not Library.is_there(home / "docs"):
        _fill(home / "docs", EmbedderMark(embedder.name, embedder.fingerprint, embedder.dimension))
    rows = [_cold(home) for _ in range(ROUNDS)]
    medians = {name: statistics.median(float(row[name]) for row in rows) for name in rows[0]}
    print("  cold search, medians: " + ", ".join(f"{name} {value:.3f}" for name, value in medians.items()))
    retrieval = medians["encode"] + medians["vectors"] + medians["words"] + medians["rank"]
    return [
        Target("cold search over 100,000 passages", medians["whole"], "<=", 0.6, "s"),
        Target("of which retrieval", 1000 * retrieval, "<=", 200, "ms"),
        Target("of which FAISS", 1000 * medians["vectors"], "<=", 20, "ms"),
        Target("searches that imported torch", float(sum(row["torch"] for row in rows)), "<=", 0, ""),
    ]


def million_vectors(folder: Path, many: int = MILLION) -> list[Target]:
    """Makes the graph of a million vectors, and asks it beside an exact search."""
    place = folder / f"vectors-{many}"
    place.mkdir(exist_ok=True)
    here = Position(1, "00" * 8)
    real = _real_vectors(folder)
    asked = _mixed(np.random.default_rng(99), real, ASKED)
    exact = _Exact(asked)
    started = time.perf_counter()
    index = FaissVectors(place, DIMENSION, lambda _: False)
    index.begin(many, patient=True)
    building = 0.0
    for first, vectors in _batches(real, many):
        exact.see(first, vectors)
        began = time.perf_counter()
        index.add(range(first, first + len(vectors)), vectors, 1)
        building += time.perf_counter() - began
        print(f"  {first + len(vectors) - 1:,} vectors in {building:.0f} s", end="\r", file=sys.stderr)
    began = time.perf_counter()
    index.flush(here)
    building += time.perf_counter() - began
    index.close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (cache,) = cache_file.caches(place)
    print(f"  {many:,} vectors: {cache.kind}, made in {building:.0f} s of {time.perf_counter() - started:.0f} s,")
    print(f"  file {cache.size / 1e6:,.0f} MB, most memory of the making {memory:,.0f} MiB")
    return _asked(place, asked, exact.best(), many)


def _asked(place: Path, asked: Vectors, best: list[set[int]], many: int) -> list[Target]:
    opened = time.perf_counter()
    index = FaissVectors(place, DIMENSION, lambda _: True)
    opening = time.perf_counter() - opened
    index.search(asked[0], 10)
    seconds, right = [], 0
    for vector, wanted in zip(asked, best, strict=True):
        began = time.perf_counter()
        hits = index.search(vector, 10)
        seconds.append(time.perf_counter() - began)
        right += len({key for key, _ in hits} & wanted)
    index.close()
    p50, p95 = 1000 * statistics.median(seconds), 1000 * sorted(seconds)[int(0.95 * len(seconds))]
    print(f"  opened in {1000 * opening:.0f} ms, p50 {p50:.2f} ms, p95 {p95:.2f} ms")
    return [
        Target(f"p50 over {many:,} vectors", p50, "<", 5, "ms"),
        Target(f"recall@10 over {many:,} vectors", right / (10 * len(best)), ">=", 0.96, ""),
    ]


class _Exact:
    """The ten nearest of each question, found by comparing everything."""

    def __init__(self, asked: Vectors) -> None:
        self._asked = asked
        self._scores = np.full((len(asked), 10), -1.0, dtype=np.float32)
        self._ids = np.zeros((len(asked), 10), dtype=np.int64)

    def see(self, first: int, vectors: Vectors) -> None:
        """Compares one batch."""
        scores = np.concatenate([self._scores, self._asked @ vectors.T], axis=1)
        numbers = np.broadcast_to(np.arange(first, first + len(vectors)), (len(self._asked), len(vectors)))
        ids = np.concatenate([self._ids, numbers], axis=1)
        nearest = np.argpartition(-scores, 10, axis=1)[:, :10]
        self._scores = np.take_along_axis(scores, nearest, axis=1)
        self._ids = np.take_along_axis(ids, nearest, axis=1)

    def best(self) -> list[set[int]]:
        """Returns the ids."""
        return [{int(key) for key in row} for row in self._ids]


def _batches(real: Vectors, many: int) -> Iterator[tuple[int, Vectors]]:
    rng = np.random.default_rng(1)
    for first in range(0, many, _BATCH):
        yield first + 1, _mixed(rng, real, min(_BATCH, many - first))


def _mixed(rng: np.random.Generator, real: Vectors, many: int) -> Vectors:
    """Returns mixes of two real vectors with noise, which lie as passages lie: in bundles, not everywhere."""
    one, other = real[rng.integers(len(real), size=many)], real[rng.integers(len(real), size=many)]
    share = rng.uniform(0.5, 1.0, size=(many, 1)).astype(np.float32)
    noise = rng.standard_normal((many, DIMENSION)).astype(np.float32) * (0.25 / DIMENSION**0.5)
    made = share * one + (1 - share) * other + noise
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), dtype=np.float32)


def _real_vectors(folder: Path) -> Vectors:
    """Returns those of SciFact where it was indexed, else points that lie in 2,000 bundles."""
    store = folder / "scifact-store"
    if Library.is_there(store):
        with Library(store) as library:
            blobs = [blob for batch in library.vectors_after(0) for blob in batch.vectors]
        print(f"  mixed of {len(blobs):,} vectors of SciFact")
        return from_blobs(blobs, DIMENSION)
    print("  mixed of made-up bundles: SciFact was not indexed in this folder")
    rng = np.random.default_rng(2)
    middles = rng.standard_normal((2_000, DIMENSION)).astype(np.float32)
    made = np.repeat(middles, 10, axis=0) + rng.standard_normal((20_000, DIMENSION)).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), dtype=np.float32)


def _fill(folder: Path, mark: EmbedderMark) -> None:
    """Writes a store of made-up passages with vectors at random."""
    rng, numbers = random.Random(3), np.random.default_rng(3)
    known = [
        f"{syllable}{other}{number}"
        for syllable in "bakodufimerasolunita"
        for other in "adeiour"
        for number in range(150)
    ]
    weights = [1 / rank for rank in range(1, len(known) + 1)]  # as words of a language are spread
    common = _QUESTION.split()
    started = time.perf_counter()
    with Library(folder) as library:
        collection = library.add_collection("made-up", folder)
        library.adopt(mark)
        for number in range(PASSAGES // OF_A_DOCUMENT):
            texts = [
                " ".join([*rng.choices(known, weights, k=140), *rng.sample(common, 4)]) for _ in range(OF_A_DOCUMENT)
            ]
            made = numbers.standard_normal((OF_A_DOCUMENT, mark.dimension)).astype(np.float32)
            made /= np.linalg.norm(made, axis=1, keepdims=True)
            entry = _entry(f"{number}.md", texts)
            library.remember_vectors(entry.vectors, to_blobs(made))
            library.put_document(collection, entry)
        index = open_index(library, mark.dimension)
        catch_up(index, library, patient=True)
        index.close()
        library.tidy(PASSAGES)
    print(f"  {PASSAGES:,} made-up passages written in {time.perf_counter() - started:.0f} s")


def _entry(path: str, texts: list[str]) -> Entry:
    chunks, at = [], 0
    for text in texts:
        chunks.append(Chunk(text, Span(at, at + len(text), 1, 1), "", len(text.split())))
        at += len(text) + 1
    whole = "\n".join(texts)
    hashes = [blake2b(f"{path}{text}".encode(), digest_size=16).digest() for text in texts]
    return Entry(Found(Path(path), path, len(whole), 1), b"", Parsed(whole, (), path), chunks, hashes)


def _cold(home: Path) -> dict[str, float]:
    path = os.pathsep.join(str(ROOT / room) for room in ("engine", "rag", "tui"))
    environ = {**os.environ, "PYTHONPATH": path, "LLMCHAT_HOME": str(home)}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, _QUESTION], capture_output=True, text=True, check=True, env=environ
    )
    whole = time.perf_counter() - began
    seconds: dict[str, float] = json.loads(done.stdout)["seconds"]
    return {**seconds, "whole": whole, "torch": done.stderr.split()[-1] == "True"}
