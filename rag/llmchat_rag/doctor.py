"""Is the store sound, and what can be done where it is not. Knows no file of the user.

Nothing that is repaired can lose anything: indexes are made anew from the passages, passages from the files.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from llmchat_rag import cache_file
from llmchat_rag.errors import StoreDamaged
from llmchat_rag.halves import from_blobs
from llmchat_rag.search import fill_index, open_index
from llmchat_rag.store import Collection, Library, collections, words
from llmchat_rag.store.connection import connect, transaction
from llmchat_rag.store.lock import writing
from llmchat_rag.store.opening import DATABASE
from llmchat_rag.vector_store import catch_up

PROBES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong."""

    what: str
    remedy: str
    """What `repair` does about it."""


def examine(library: Library, *, seed: int | None = None) -> list[Finding]:
    """Returns what is wrong with a store; nothing where it is sound.

    Args:
        library: the store.
        seed: which passages are tried; None tries others each time.
    """
    with library.raw() as connection:
        damage = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(10)")]
        if damage != ["ok"]:
            return [Finding(f"the file is damaged: {damage[0]}", "set it aside and begin a new one")]
        found = [*_references(connection), *_counts(connection), *_words(connection)]
    return [*found, *_caches(library), *_probes(library, random.Random(seed))]  # noqa: S311


def repair(library: Library) -> list[Finding]:
    """Puts right what `examine` finds, and returns what was found.

    Raises:
        StoreBusy: an update is running.
        StoreDamaged: the file itself is damaged; `begin_anew` sets it aside.
    """
    with library.writing():
        found = examine(library)
        if found and found[0].what.startswith("the file is damaged"):
            raise StoreDamaged("the document store is damaged", found[0].what, "llmchat docs doctor --repair")
        with library.raw() as connection, transaction(connection):
            _read_again(connection)
            words.rebuild(connection)
        cache_file.forget(library.folder)
        mark = library.embedder()
        if mark is not None:
            fill_index(library, mark.dimension)
        library.sweep_vectors(keep=0)
        library.tidy(changed=0)
    return found


def begin_anew(folder: Path) -> Path:
    """Sets a damaged store aside and makes a new one with the same collections, as far as they can be read.

    Returns:
        Where the old one is.

    Raises:
        StoreBusy: an update is running; it would go on writing what was set aside.
    """
    with writing(folder):
        return _begin_anew(folder)


def _begin_anew(folder: Path) -> Path:
    path = folder / DATABASE
    rows = _collections_of(path)
    number = next(n for n in range(1, 10_000) if not path.with_name(f"{DATABASE}.damaged-{n}").exists())
    aside = path.with_name(f"{DATABASE}.damaged-{number}")
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    cache_file.forget(folder)
    with Library(folder) as library:
        for row in rows:
            library.add_collection(row.name, row.root, row.include, row.exclude)
    return aside


def _collections_of(path: Path) -> list[Collection]:
    try:
        with closing(connect(path, "ro")) as connection:
            return collections.every(connection)
    except (sqlite3.Error, ValueError):
        return []


def _references(connection: sqlite3.Connection) -> Iterator[Finding]:
    lost = connection.execute("PRAGMA foreign_key_check").fetchall()
    if lost:
        yield Finding(f"{len(lost):,} rows belong to nothing", "they are removed, and their files read again")


def _counts(connection: sqlite3.Connection) -> Iterator[Finding]:
    wrong = connection.execute(f"SELECT count(*) FROM ({_UNEVEN})").fetchone()[0]  # noqa: S608
    if wrong:
        yield Finding(f"{wrong:,} documents have not the passages that they should", "their files are read again")


_UNEVEN = """
    SELECT d.id FROM document d WHERE d.chunks <> (
        SELECT count(*) FROM chunk c JOIN chunk_text t ON t.chunk_id = c.id JOIN vector v ON v.id = c.vector_id
        WHERE c.document_id = d.id
    ) OR (d.status = 'indexed') <> EXISTS (SELECT 1 FROM document_text x WHERE x.document_id = d.id)
"""


def _words(connection: sqlite3.Connection) -> Iterator[Finding]:
    for problem in words.problems(connection):
        yield Finding(f"the index of words does not fit the passages ({problem})", "it is made anew")


def _caches(library: Library) -> Iterator[Finding]:
    for cache in cache_file.caches(library.folder):
        if not cache.is_whole():
            yield Finding(f"{cache.path.name} is not what was written", "it is removed and made anew")


def _probes(library: Library, rng: random.Random) -> Iterator[Finding]:
    """Asks for passages by their own vectors: each must find itself, or one that says the same."""
    mark = library.embedder()
    if mark is None or not library.count():
        return
    index = open_index(library, mark.dimension)
    with closing(index):
        catch_up(index, library)
        if index.count() != library.count():
            yield Finding(
                f"the index has {index.count():,} vectors, the store {library.count():,} passages", "it is made anew"
            )
            return
        with library.raw() as connection:
            ids = [row[0] for row in connection.execute("SELECT id FROM chunk")]
        for key, stored in library.vectors(rng.sample(ids, min(PROBES, len(ids)))).items():
            vector = from_blobs([stored.blob], mark.dimension)[0]
            best = index.search(vector, 1)
            itself = float(vector @ vector)
            if not best or (best[0][0] != key and best[0][1] < itself - 0.01):
                yield Finding(f"passage {key} is not found by its own vector", "the index is made anew")


def _read_again(connection: sqlite3.Connection) -> None:
    """Takes the passages of every doubtful document away; the next update reads its file."""
    doubtful = [row[0] for row in connection.execute(_UNEVEN)]
    for table in ("document_text", "chunk_text", "chunk"):
        key = "chunk_id" if table == "chunk_text" else "document_id"
        owners = "SELECT id FROM chunk" if table == "chunk_text" else "SELECT id FROM document"
        connection.execute(f"DELETE FROM {table} WHERE {key} NOT IN ({owners})")  # noqa: S608
    for document_id in doubtful:
        connection.execute("DELETE FROM chunk WHERE document_id = ?", (document_id,))
        connection.execute("DELETE FROM document_text WHERE document_id = ?", (document_id,))
        connection.execute(
            "UPDATE document SET status = 'pending', hash = x'', chunks = 0 WHERE id = ?", (document_id,)
        )
    connection.execute("DELETE FROM removed")
    connection.execute("DELETE FROM journal")
    connection.execute("INSERT INTO journal (stamp, last_chunk) SELECT randomblob(8), coalesce(max(id), 0) FROM chunk")
