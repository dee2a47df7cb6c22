"""Brings a collection to the state of its folder: reads what is new, forgets what is gone, reports on the way.

A generator: whoever asks for the next event drives it. Knows no format, no model and no screen; it is given them.
Killed at any point it has lost at most the batch at hand: each batch of vectors and each file is a transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from llmchat_rag.calibration import keep_gate
from llmchat_rag.chunk import CHUNKER, chunks_of, embedded_text
from llmchat_rag.errors import ParseError
from llmchat_rag.events import Done, Indexed, Progress, Removed
from llmchat_rag.halves import to_blobs
from llmchat_rag.reading import digest_of
from llmchat_rag.scan import Scan, as_before, is_outdated, scan
from llmchat_rag.search import open_index, refuse_other_embedder
from llmchat_rag.store import Collection, EmbedderMark, Entry, FileState, Library
from llmchat_rag.types import Cancelled, Embedder, Found, Parsed, Refused, Skipped
from llmchat_rag.vector_store import VectorStore, catch_up

BATCH = 512
"""Passages that are embedded together: sorted by length they fill a processor well, and a kill costs seconds."""
FILES, CHARACTERS = 64, 4 << 20
"""Files that wait for a batch at most, and the length of their texts: each is held three times."""
CHUNK_TOKENS, PREFIX_TOKENS = 200, 40

Event = Progress | Skipped | Indexed | Removed | Done


class Pool(Protocol):
    """What reads files in processes of its own."""

    def parse_all(self, items: Iterable[Found]) -> Iterator[tuple[Found, Parsed | Refused]]:
        """Yields each file with its text or why there is none, in the order they are done."""


def update(
    library: Library,
    collection: str,
    embedder: Embedder,
    pool: Pool,
    *,
    force: bool = False,
    accept_missing: bool = False,
    cancelled: Callable[[], bool] | None = None,
    vectors: VectorStore | None = None,
) -> Generator[Event, None, None]:
    """Brings a collection to the state of its folder.

    Args:
        library: the store.
        collection: its name.
        embedder: what makes the vectors.
        pool: what reads the files.
        force: read every file again; with another embedder than before, the passages of all collections go first, and
            all of them have to be updated until everything can be found again.
        accept_missing: forget the missing files even where they are half of all.
        cancelled: asked between two steps; true ends it with `Cancelled`, and the next run goes on from there.
        vectors: the index of vectors to keep up; the one on this machine if there is no other.

    Raises:
        CollectionMissing: there is no such collection.
        RootMissing: its folder is not there.
        FilesMissing: half of its files or more are gone; nothing was changed.
        EmbedderMismatch: the vectors of the store were made by another embedder.
        StoreBusy: another update is running.
        Cancelled: it was asked to stop.
    """
    with library.writing():
        if not force:
            refuse_other_embedder(library.embedder(), embedder)
        before = library.position().generation
        run = _Update(library, library.collection(collection), embedder, cancelled or (lambda: False))
        yield from run.run(pool, force=force, accept_missing=accept_missing)
        changed = run.embedded + len(library.removed_since(before))
        _keep_up(library, embedder, vectors, changed=changed, cancelled=run.cancelled)
        yield run.done()


@dataclass(frozen=True, slots=True)
class _Cut:
    """A file that was read and cut, and the hash of each text that is to be embedded."""

    entry: Entry
    texts: dict[bytes, str]


def _is_enough(waiting: Sequence[_Cut]) -> bool:
    if len(waiting) >= FILES or sum(len(cut.texts) for cut in waiting) >= BATCH:
        return True
    return sum(len(cut.entry.parsed.text) for cut in waiting) >= CHARACTERS


class _Update:
    def __init__(
        self, library: Library, collection: Collection, embedder: Embedder, cancelled: Callable[[], bool]
    ) -> None:
        self._library = library
        self._collection = collection
        self._embedder = embedder
        self.cancelled = cancelled
        self._started = time.monotonic()
        self._hashes: dict[str, bytes] = {}
        self._not_read: list[Skipped] = []
        self._files = self._of_files = self._bytes = self._of_bytes = 0
        self._embed_seconds = 0.0
        self._indexed = self._removed = self._refused = self._unchanged = 0
        self.embedded = 0

    def run(self, pool: Pool, *, force: bool, accept_missing: bool) -> Iterator[Event]:
        """Yields everything but the end."""
        seen = scan(self._library, self._collection, force=force, accept_missing=accept_missing)
        # Behind the scan: where the folder is not there, the passages of another embedder are not given up for nothing.
        made_by = self._embedder
        self._library.adopt(EmbedderMark(made_by.name, made_by.fingerprint, made_by.dimension))
        self._unchanged = seen.unchanged
        self._refused = sum(skipped.failed for skipped in seen.skipped)
        yield from seen.skipped
        yield from self._forget(seen)
        self._of_files, self._of_bytes = len(seen.changed), sum(found.size for found in seen.changed)
        yield self._progress()
        yield from self._read(pool, seen, force=force)
        self._library.updated(self._collection)

    def done(self) -> Done:
        """Returns the numbers of this run."""
        rows = {row.collection.id: row for row in self._library.status().collections}
        return Done(
            indexed=self._indexed,
            unchanged=self._unchanged,
            removed=self._removed,
            refused=self._refused,
            chunks=rows[self._collection.id].chunks,
            embedded=self.embedded,
            seconds=time.monotonic() - self._started,
        )

    def _forget(self, seen: Scan) -> Iterator[Event]:
        """Forgets what is gone; its vectors stay a while, for files that only moved."""
        for path, document_id in seen.gone.items():
            self._library.drop_documents([document_id])
            self._removed += 1
            yield Removed(path)

    def _read(self, pool: Pool, seen: Scan, *, force: bool) -> Iterator[Event]:
        waiting: list[_Cut] = []
        for found, parsed in pool.parse_all(self._really_changed(seen, force=force)):
            self._stop_if_asked()
            if isinstance(parsed, Refused):
                yield from self._refuse(found, parsed)
                continue
            waiting.append(self._cut(found, parsed))
            if _is_enough(waiting):
                yield from self._write(waiting)
                waiting = []
        yield from self._write(waiting)
        yield from self._not_read

    def _really_changed(self, seen: Scan, *, force: bool) -> Iterator[Found]:
        """Yields the files whose content is another one; only the time of the others changed."""
        for found in seen.changed:
            self._stop_if_asked()
            try:
                digest = digest_of(found.path)
            except ParseError as error:
                # What was indexed of it stays: a disk that answers no more says nothing about the file.
                self._not_read.append(Skipped(found.relative, error.what, failed=True))
                self._refused += 1
                self._count(found)
                continue
            state = seen.states.get(found.relative)
            if state and state.hash == digest and not force and not is_outdated(found.relative, state):
                self._library.touch_document(state.document_id, found)
                self._same(found, state)
                continue
            self._hashes[found.relative] = digest
            yield found

    def _same(self, found: Found, state: FileState) -> None:
        self._count(found)
        if skipped := as_before(found.relative, state):
            self._not_read.append(skipped)
            self._refused += skipped.failed
        else:
            self._unchanged += 1

    def _refuse(self, found: Found, refused: Refused) -> Iterator[Event]:
        self._library.refuse_document(self._collection, found, self._hashes.pop(found.relative), refused)
        self._refused += refused.failed
        self._count(found)
        yield Skipped(found.relative, refused.reason, refused.failed)

    def _cut(self, found: Found, parsed: Parsed) -> _Cut:
        limit = min(CHUNK_TOKENS, self._embedder.limit - PREFIX_TOKENS - 2)
        chunks = chunks_of(parsed, self._embedder.count, limit=limit, prefix_limit=PREFIX_TOKENS)
        texts = [embedded_text(chunk, parsed.title) for chunk in chunks]
        hashes = [self._hash(text) for text in texts]
        entry = Entry(found, self._hashes.pop(found.relative), parsed, chunks, hashes, CHUNKER)
        known = self._library.known_vectors(hashes)
        return _Cut(entry, {key: text for key, text in zip(hashes, texts, strict=True) if key not in known})

    def _write(self, waiting: Sequence[_Cut]) -> Iterator[Event]:
        """Embeds what is new and writes each file."""
        unwritten = sum(cut.entry.found.size for cut in waiting)
        yield from self._embed({key: text for cut in waiting for key, text in cut.texts.items()}, unwritten)
        for cut in waiting:
            self._stop_if_asked()
            self._library.put_document(self._collection, cut.entry)
            self._indexed += 1
            self._count(cut.entry.found)
            unwritten -= cut.entry.found.size
            yield Indexed(cut.entry.found.relative, len(cut.entry.chunks), len(cut.texts))
            yield self._progress(unwritten)

    def _embed(self, texts: dict[bytes, str], of_bytes: int) -> Iterator[Event]:
        """Keeps each batch as soon as it is made: a large file that was interrupted goes on where it was."""
        hashes = list(texts)
        for start in range(0, len(hashes), BATCH):
            self._stop_if_asked()
            some = hashes[start : start + BATCH]
            began = time.monotonic()
            made = self._embedder.encode_passages([texts[key] for key in some], cancelled=self.cancelled)
            self._library.remember_vectors(some, to_blobs(made))
            self._embed_seconds += time.monotonic() - began
            self.embedded += len(some)
            yield self._progress(of_bytes * min(start + BATCH, len(hashes)) // len(hashes))

    def _hash(self, text: str) -> bytes:
        """Returns what a vector is known by: another embedder makes another one of the same text."""
        named = f"{self._embedder.fingerprint}\0{text}".encode("utf-8", "surrogatepass")
        return blake2b(named, digest_size=16).digest()

    def _count(self, found: Found) -> None:
        self._files += 1
        self._bytes += found.size

    def _progress(self, unwritten: int = 0) -> Progress:
        """Returns how far it is; the time left counts bytes that are embedded, though their file is not written yet."""
        rate = self.embedded / self._embed_seconds if self._embed_seconds else 0.0
        passed, bytes_done = time.monotonic() - self._started, self._bytes + unwritten
        left = passed * (self._of_bytes - bytes_done) / bytes_done if bytes_done else None
        return Progress(self._files, self._of_files, self.embedded, rate, left)

    def _stop_if_asked(self) -> None:
        if self.cancelled():
            raise Cancelled


def _keep_up(
    library: Library, embedder: Embedder, vectors: VectorStore | None, *, changed: int, cancelled: Callable[[], bool]
) -> None:
    """Brings the indexes to the store, forgets what nobody asks for any more, and finds the gate of the embedder."""
    library.sweep_vectors()
    index = vectors or open_index(library, embedder.dimension)
    try:
        catch_up(index, library, patient=True)
        if index.settled is not None:
            library.forget_before(index.settled.generation)
        keep_gate(library, embedder, index, cancelled)
    finally:
        if vectors is None:
            index.close()
    library.tidy(changed)
