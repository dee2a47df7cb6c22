"""What the doctor finds in a store that was harmed, and that its repair ends in a sound one."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.rag.places import Notes, answers, essay, notes, questions

from llmchat_rag import cache_file
from llmchat_rag.doctor import begin_anew, examine, repair
from llmchat_rag.errors import StoreBusy, StoreDamaged, StoreError, StoreUnwritable
from llmchat_rag.store import Library
from llmchat_rag.store.lock import writing


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Notes]:
    rng = random.Random(6)
    with notes(tmp_path) as made:
        for number in range(8):
            made.write(f"{number}.md", essay(rng))
        made.update()
        yield made


def test_a_sound_store_has_no_findings(place: Notes) -> None:
    assert examine(place.library) == []


def test_an_empty_store_has_no_findings(tmp_path: Path) -> None:
    with Library(tmp_path) as library:
        assert examine(library) == []


def test_a_store_that_cannot_be_written_is_no_finding(place: Notes) -> None:
    with place.library.raw() as connection:
        connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreUnwritable):
        examine(place.library)


HARM: dict[str, tuple[str, str]] = {
    "words gone": ("INSERT INTO chunk_words (chunk_words) VALUES ('delete-all')", "index of words"),
    "passages gone": ("DELETE FROM chunk WHERE document_id = 2", "have not the passages"),
    "texts gone": ("DELETE FROM chunk_text WHERE chunk_id = 3", "have not the passages"),
    "document gone": ("DELETE FROM document WHERE id = 4", "belong to nothing"),
    "vector gone": ("DELETE FROM vector WHERE id = 5", "have not the passages"),
}


@pytest.mark.parametrize("harm", HARM)
def test_rows_that_were_harmed_are_found_and_put_right(place: Notes, harm: str) -> None:
    statement, told = HARM[harm]
    asked = questions(6, 10)
    expected = answers(place.library, place.embedder, asked)
    with closing(sqlite3.connect(place.library.folder / "store.db")) as other:
        other.execute(statement)
        other.commit()
    assert any(told in finding.what for finding in examine(place.library))
    repair(place.library)
    assert examine(place.library) == []
    place.update()
    assert examine(place.library) == []
    assert answers(place.library, place.embedder, asked) == expected


def test_a_cache_that_rotted_is_found_and_made_anew(place: Notes) -> None:
    (cache,) = cache_file.caches(place.library.folder)
    stat = cache.path.stat()
    data = bytearray(cache.path.read_bytes())
    data[len(data) // 2] ^= 4
    cache.path.write_bytes(data)
    os.utime(cache.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert any("is not what was written" in finding.what for finding in examine(place.library))
    repair(place.library)
    assert examine(place.library) == []


def overwrite(path: Path) -> None:
    """Harms every page but the first, as a bad disk does."""
    data = bytearray(path.read_bytes())
    for at in range(8192, len(data), 4096):
        data[at : at + 64] = os.urandom(64)
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


def examine_and_repair(folder: Path) -> None:
    with Library(folder) as library:
        assert examine(library)
        repair(library)


def read_everything(folder: Path) -> None:
    with Library(folder) as library:
        library.documents("notes")
        library.status()
        list(library.vectors_after(0))
        library.text(1)


@pytest.mark.parametrize("harm", [overwrite, cut])
def test_a_damaged_file_is_set_aside_and_its_collections_begin_anew(place: Notes, harm: Callable[[Path], None]) -> None:
    folder = place.library.folder
    asked = questions(6, 10)
    expected = answers(place.library, place.embedder, asked)
    place.library.close()
    harm(folder / "store.db")
    with pytest.raises(StoreError):
        examine_and_repair(folder)
    with writing(folder), pytest.raises(StoreBusy):
        begin_anew(folder)
    aside = begin_anew(folder)
    assert aside.exists()
    with Library(folder) as library:
        place.library = library
        library.add_collection("notes", place.root)
        place.update()
        assert examine(library) == []
        assert answers(library, place.embedder, asked) == expected


def test_a_damaged_store_is_no_traceback(place: Notes) -> None:
    place.library.close()
    overwrite(place.library.folder / "store.db")
    with pytest.raises(StoreDamaged):
        read_everything(place.library.folder)
