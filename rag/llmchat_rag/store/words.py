"""The indexes of words: of passages, of short documents, and of pairs of characters where there are no spaces.

Knows no question.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Literal

_UNSPACED = re.compile(
    "[\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""Runs of Chinese, Japanese and Korean: FTS5's tokenizer takes each for one word."""

LEAST_TERMS, MOST_PLACES = 2, 60_000
"""Terms that are always looked up, and the passages that all of them together may be in: 50 ms."""

Table = Literal["chunk_words", "chunk_pairs", "document_words"]
_TABLES: tuple[Table, ...] = ("chunk_words", "document_words", "chunk_pairs")

_OWNER = """
    AND EXISTS (SELECT 1 FROM chunk c JOIN document d ON d.id = c.document_id
        WHERE c.id = {}.rowid AND d.collection_id IN ({}))
"""
_DOCUMENT_OWNER = " AND EXISTS (SELECT 1 FROM document d WHERE d.id = {}.rowid AND d.collection_id IN ({}))"


def runs(text: str) -> list[str]:
    """Returns the stretches of a text that are written without spaces."""
    return _UNSPACED.findall(text)


def pairs(text: str) -> str:
    """Returns the neighbouring characters of each unspaced run as words; a lone character stands for itself."""
    return " ".join(run[i : i + 2] for run in runs(text) for i in range(max(len(run) - 1, 1)))


def add(connection: sqlite3.Connection, document_id: int, first: int, last: int) -> None:
    """Indexes a document whose passages were written."""
    rows = _rows(connection, "WHERE id BETWEEN ? AND ?", (first, last))
    connection.executemany("INSERT INTO chunk_words (rowid, title, heading, text) VALUES (?, ?, ?, ?)", rows)
    _add_pairs(connection, rows)
    connection.execute(
        "INSERT INTO document_words (rowid, title, text) SELECT id, title, text FROM short_document WHERE id = ?",
        (document_id,),
    )


def remove(connection: sqlite3.Connection, document_id: int) -> None:
    """Takes a document out, before it is deleted: the index has no copy of its texts."""
    rows = _rows(connection, "WHERE id IN (SELECT id FROM chunk WHERE document_id = ?)", (document_id,))
    connection.executemany(
        "INSERT INTO chunk_words (chunk_words, rowid, title, heading, text) VALUES ('delete', ?, ?, ?, ?)", rows
    )
    connection.executemany("DELETE FROM chunk_pairs WHERE rowid = ?", [(row[0],) for row in rows])
    connection.execute(
        "INSERT INTO document_words (document_words, rowid, title, text)"
        " SELECT 'delete', id, title, text FROM short_document WHERE id = ?",
        (document_id,),
    )


def clear(connection: sqlite3.Connection) -> None:
    """Empties all indexes."""
    _have_each(connection, "delete-all")


def rebuild(connection: sqlite3.Connection) -> None:
    """Makes all indexes anew from the passages."""
    _have_each(connection, "rebuild")
    _add_pairs(connection, connection.execute("SELECT id, title, heading, text FROM searchable"))


def optimize(connection: sqlite3.Connection) -> None:
    """Merges what many small transactions left behind; a question is then answered from one piece."""
    for table in _TABLES:
        connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")  # noqa: S608


def problems(connection: sqlite3.Connection) -> list[str]:
    """Returns what is wrong with the indexes.

    Raises:
        sqlite3.Error: they cannot be checked, on a disk that is read-only for example.
    """
    found = []
    for table in _TABLES:
        try:
            connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")  # noqa: S608
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:  # the check writes: no index is at fault
                raise
            found.append(f"{table}: {error}")
    return found


def find(
    connection: sqlite3.Connection, table: Table, terms: Sequence[str], k: int, collections: Sequence[int]
) -> list[tuple[int, float]]:
    """Returns the best passages, or documents, that have one of some terms and their BM25, best first.

    Args:
        connection: to read from.
        table: the index.
        terms: each in FTS5's own syntax, such as a quoted phrase.
        k: how many at most.
        collections: only passages of these; empty is all.
    """
    if not terms:
        return []
    match = " OR ".join(_affordable(connection, table, terms))
    owner = ""
    if collections:
        marks = ",".join("?" * len(collections))
        # FTS5 sorts first and asks for the owner from the best one down, so a big collection costs nothing.
        owner = (_DOCUMENT_OWNER if table == "document_words" else _OWNER).format(table, marks)
    statement = f"SELECT rowid, rank FROM {table} WHERE {table} MATCH ?{owner} ORDER BY rank LIMIT ?"  # noqa: S608
    return [(row[0], -row[1]) for row in connection.execute(statement, (match, *collections, k))]


def _affordable(connection: sqlite3.Connection, table: Table, terms: Sequence[str]) -> list[str]:
    """Returns the terms, without the most common ones where all of them together are in too many passages.

    Ranking takes 0.75 µs for each place where a term stands, counting 0.025; what stands everywhere ranks nothing.
    """
    if len(terms) <= LEAST_TERMS:
        return list(terms)
    statement = f"SELECT count(*) FROM {table} WHERE {table} MATCH ?"  # noqa: S608
    common = {term: int(connection.execute(statement, (term,)).fetchone()[0]) for term in terms}
    rare = sorted(terms, key=lambda term: common[term])
    kept, places = rare[:LEAST_TERMS], sum(common[term] for term in rare[:LEAST_TERMS])
    for term in rare[LEAST_TERMS:]:
        places += common[term]
        if places > MOST_PLACES:
            break
        kept.append(term)
    return kept


def _rows(connection: sqlite3.Connection, where: str, values: Sequence[int]) -> list[tuple[int, str, str, str]]:
    return connection.execute(f"SELECT id, title, heading, text FROM searchable {where}", values).fetchall()  # noqa: S608


def _have_each(connection: sqlite3.Connection, what: Literal["delete-all", "rebuild"]) -> None:
    """Empties the pairs, and has both indexes of words do something."""
    for table in ("chunk_words", "document_words"):
        connection.execute(f"INSERT INTO {table} ({table}) VALUES (?)", (what,))  # noqa: S608
    connection.execute("DELETE FROM chunk_pairs")


def _add_pairs(connection: sqlite3.Connection, rows: Iterable[Sequence[Any]]) -> None:
    spaced = ((key, pairs(" ".join(texts))) for key, *texts in rows)
    connection.executemany("INSERT INTO chunk_pairs (rowid, pairs) VALUES (?, ?)", (row for row in spaced if row[1]))
