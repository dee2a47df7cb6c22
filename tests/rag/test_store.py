"""The store on disk: whose it is, who may write, what one transaction holds, what its journal says."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from llmchat_rag.errors import CollectionExists, CollectionMissing, StoreBusy, StoreDamaged, StoreUnwritable
from llmchat_rag.store import EmbedderMark, Entry, Library, Position
from llmchat_rag.store import words as words_module
from llmchat_rag.store.opening import open_store
from llmchat_rag.store.schema import MIGRATIONS, version_of
from llmchat_rag.types import Chunk, Found, Parsed, Refused, Span

MARK = EmbedderMark("fake", "ab" * 16, 2)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(tmp_path / "store") as library:
        library.add_collection("notes", tmp_path)
        library.adopt(MARK)
        yield library


def entry(path: str, *texts: str) -> Entry:
    """A document whose passages are these texts, each with a vector of its own."""
    whole = "\n".join(texts)
    chunks, start = [], 0
    for text in texts:
        chunks.append(Chunk(text, Span(start, start + len(text), 1, 1), "", len(text.split())))
        start += len(text) + 1
    found = Found(Path(path), path, len(whole), 1)
    return Entry(found, b"h" * 16, Parsed(whole, (), path), chunks, [key(text) for text in texts])


def key(text: str) -> bytes:
    return text.encode("utf-8", "replace")[:16].ljust(16, b"\0")


def put(library: Library, path: str, *texts: str) -> None:
    library.remember_vectors([key(text) for text in texts], [b"\0\x3c\0\0"] * len(texts))
    library.put_document(library.collection("notes"), entry(path, *texts))


def words(library: Library, match: str) -> list[str]:
    hits = [found for found, _ in library.find_words("chunk_words", [f'"{match}"'], 10)]
    return sorted(passage.text for passage in library.passages(hits).values())


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    with Library(tmp_path / "a" / "store") as library:
        put_here = library.folder
        library.add_collection("notes", tmp_path)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in put_here.iterdir()}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(put_here.stat().st_mode) == 0o700
    assert stat.S_IMODE(put_here.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("content", [b"x", b"not a database at all" * 100])
def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "store.db").write_bytes(content)
    with pytest.raises(StoreDamaged, match="not our document store"):
        Library(tmp_path)
    assert (tmp_path / "store.db").read_bytes() == content


def test_another_programs_database_is_left_as_it_is(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db")) as other:
        other.execute("CREATE TABLE theirs (x)")
        other.commit()
    with pytest.raises(StoreDamaged, match="another program"):
        Library(tmp_path)


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    Library(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "store.db")) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreDamaged, match="newer llmchat"):
        Library(tmp_path)


def test_a_migration_that_fails_leaves_the_version_before(tmp_path: Path) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE half (x)")
        raise sqlite3.OperationalError("no more")

    def whole(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE more (x)")

    Library(tmp_path).close()
    with pytest.raises(sqlite3.OperationalError, match="no more"):
        open_store(tmp_path, (*MIGRATIONS, half))
    with closing(open_store(tmp_path, (*MIGRATIONS, whole))) as connection:
        assert version_of(connection) == len(MIGRATIONS) + 1
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone() == (0,)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir(mode=0o500)
    with pytest.raises(StoreUnwritable):
        Library(folder)


def test_a_name_with_another_root_is_refused(library: Library, tmp_path: Path) -> None:
    assert library.add_collection("notes", tmp_path, ["*.md"]).include == ("*.md",)
    with pytest.raises(CollectionExists, match="notes"):
        library.add_collection("notes", tmp_path / "other")
    with pytest.raises(CollectionMissing, match="there are: notes"):
        library.collection("nots")


@pytest.mark.parametrize("name", ["it's", 'a"b', "x; DROP TABLE chunk", "%", "日本"])
def test_a_collection_may_have_any_name(library: Library, tmp_path: Path, name: str) -> None:
    library.add_collection(name, tmp_path)
    assert library.documents(name) == []
    library.remove_collection(name)
    assert [collection.name for collection in library.collections()] == ["notes"]


def test_a_root_that_is_no_utf8_comes_back(library: Library) -> None:
    root = Path(os.fsdecode(b"/tmp/\xff\xfe"))
    assert library.add_collection("odd", root).root == root


def test_a_document_replaces_itself_and_its_words(library: Library) -> None:
    put(library, "a.md", "the old apple", "a pear")
    put(library, "a.md", "the new cherry")
    assert words(library, "apple") == []
    assert words(library, "cherry") == ["the new cherry"]
    assert [document.chunks for document in library.documents("notes")] == [1]


def test_the_same_text_in_two_files_is_two_passages_and_goes_with_its_own(library: Library) -> None:
    put(library, "a.md", "shared words")
    put(library, "b.md", "shared words")
    assert len(words(library, "shared")) == 2
    library.drop_documents([library.file_states(library.collection("notes"))["a.md"].document_id])
    assert words(library, "shared") == ["shared words"]


def test_a_removed_collection_leaves_nothing(library: Library) -> None:
    put(library, "a.md", "apple", "pear")
    library.remove_collection("notes")
    assert words(library, "apple") == []
    status = library.status()
    assert (status.chunks, status.vectors, status.collections) == (0, 0, ())


def test_half_a_surrogate_pair_does_not_stop_a_file(library: Library) -> None:
    put(library, "a.md", "broken \ud83d emoji")
    (passage,) = library.passages([1]).values()
    assert passage.text == "broken \ufffd emoji"
    assert library.text(passage.document_id) == passage.text


def test_a_vector_that_is_not_there_undoes_the_whole_document(library: Library) -> None:
    with pytest.raises(Exception, match="NOT NULL"):
        library.put_document(library.collection("notes"), entry("a.md", "no vector"))
    assert library.documents("notes") == []
    assert library.text(1) == ""


def test_a_refused_file_forgets_what_it_said(library: Library) -> None:
    put(library, "a.md", "apple")
    library.refuse_document(library.collection("notes"), Found(Path("a.md"), "a.md", 1, 2), b"", Refused("too odd"))
    assert words(library, "apple") == []
    (document,) = library.documents("notes")
    assert (document.status, document.error, document.chunks) == ("refused", "too odd", 0)


def test_ids_are_never_used_twice(library: Library) -> None:
    put(library, "a.md", "one", "two")
    library.drop_documents([library.file_states(library.collection("notes"))["a.md"].document_id])
    put(library, "b.md", "three")
    assert sorted(library.passages(range(10))) == [3]


def test_the_journal_tells_what_came_and_went(library: Library) -> None:
    put(library, "a.md", "one", "two")
    before = library.position()
    put(library, "a.md", "three")
    assert library.last_chunk(before) == 2
    assert library.removed_since(before.generation) == [1, 2]
    assert [batch.ids for batch in library.vectors_after(2)] == [[3]]


def test_a_position_of_another_history_is_unknown(library: Library) -> None:
    put(library, "a.md", "one")
    now = library.position()
    assert library.last_chunk(Position(now.generation, "00" * 8)) is None
    library.forget_before(now.generation)
    assert library.last_chunk(now) == 1


def test_unused_vectors_are_kept_for_files_that_come_back_until_they_are_many(library: Library) -> None:
    put(library, "a.md", "one", "two")
    put(library, "a.md", "two")
    assert library.known_vectors([key("one")]) == {key("one")}
    assert library.sweep_vectors(keep=10) == 0
    assert library.sweep_vectors(keep=0) == 1
    assert library.known_vectors([key("one"), key("two")]) == {key("two")}


def test_two_writers_the_second_is_told_and_readers_go_on(library: Library, tmp_path: Path) -> None:
    put(library, "a.md", "apple")
    with Library(tmp_path / "store") as second, library.writing():
        with pytest.raises(StoreBusy, match=f"process {os.getpid()}"), second.writing():
            pytest.fail("two at once")
        assert words(second, "apple") == ["apple"]
    with library.writing():
        pass


def test_text_without_spaces_is_found_by_any_two_characters(library: Library) -> None:
    put(library, "a.md", "東京は日本の首都です。", "서울은 대한민국의 수도이다")
    put(library, "b.md", "plain words")
    found = [hit for hit, _ in library.find_words("chunk_pairs", ['"首都"'], 5)]
    assert found == [1]
    put(library, "a.md", "gone")
    assert library.find_words("chunk_pairs", ['"首都"'], 5) == []


def test_words_that_stand_everywhere_are_left_out_where_they_are_too_many(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(
        library, "a.md", *(f"common {'rare' * (number == 7)} {number} {'often' * (number % 2)}" for number in range(20))
    )
    terms = ['"common"', '"rare"', '"often"', '"7"']
    everything = library.find_words("chunk_words", terms, 50)
    assert len(everything) == 20
    monkeypatch.setattr(words_module, "MOST_PLACES", 12)
    fewer = library.find_words("chunk_words", terms, 50)
    assert len(fewer) == 10
    assert fewer[0][0] == everything[0][0] == 8
