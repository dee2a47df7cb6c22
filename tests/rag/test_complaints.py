"""What users of other programs complain about when they index their documents, once each as a test.

Complaints about searching and answering have theirs beside their subjects.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.rag.conftest import room_environment
from tests.rag.doubles import PlainPool, WordEmbedder
from tests.rag.hostile_packed import book_of, good_docx, good_pdf
from tests.rag.places import Notes, essay, notes

from llmchat_rag import ingest
from llmchat_rag.doctor import examine
from llmchat_rag.embed.fake import HashEmbedder
from llmchat_rag.errors import EmbedderBroken, ParseError
from llmchat_rag.events import Done, Indexed
from llmchat_rag.ingest import update
from llmchat_rag.parse.pool import ParserPool
from llmchat_rag.reading import digest_of
from llmchat_rag.store import Library
from llmchat_rag.types import Skipped

if TYPE_CHECKING:
    from llmchat_rag.types import Vectors


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Notes]:
    with notes(tmp_path) as made:
        yield made


class Interfering(WordEmbedder):
    """Does something while it embeds."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def encode_passages(
        self,
        texts: Sequence[str],
        progress: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Vectors:
        self._meanwhile()
        return super().encode_passages(texts, progress, cancelled)


def test_a_file_that_is_edited_while_it_is_embedded_is_read_again_and_only_its_edit_embedded(place: Notes) -> None:
    path = place.write("a.md", "one\n\ntwo\n\nthree")

    def edit() -> None:
        path.write_text("one\n\ntwo and more\n\nthree", encoding="utf-8")

    place.embedder = Interfering(edit)
    place.update()
    assert Indexed("a.md", 3, 1) in place.update()
    assert place.found("two and more", k=1) == ["a.md"]
    assert place.library.status().chunks == 3


def test_a_file_that_goes_while_it_is_embedded_is_forgotten_by_the_next_update(place: Notes) -> None:
    path = place.write("a.md", "one")
    place.write("b.md", "two")
    place.write("c.md", "three")
    place.embedder = Interfering(lambda: path.unlink(missing_ok=True))
    place.update()
    place.update()
    assert "a.md" not in place.found("one", k=5)


def test_an_update_that_fails_halfway_leaves_nothing_twice(place: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "FILES", 2)
    rng = random.Random(5)
    for number in range(7):
        place.write(f"{number}.md", essay(rng))
    calls = iter(range(100))

    def fail() -> None:
        if next(calls) == 2:
            raise EmbedderBroken("the model cannot be run", "no memory")

    place.embedder = Interfering(fail)
    with pytest.raises(EmbedderBroken):
        place.update()
    assert 0 < place.library.status().chunks < 21
    place.update()
    assert place.library.status().chunks == 21
    assert examine(place.library) == []


def test_a_file_that_cannot_be_opened_is_listed_each_time_and_keeps_what_was_read_of_it(
    place: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place.write("a.md", "about a")
    place.write("b.md", "about b")
    place.update()

    def refusing(asked: Path) -> bytes:
        if asked == path:
            raise ParseError("permission denied")
        return digest_of(asked)

    monkeypatch.setattr(ingest, "digest_of", refusing)
    for time_ns in (1, 2):
        os.utime(path, ns=(time_ns, time_ns))
        assert Skipped("a.md", "permission denied", failed=True) in place.update()
    assert "a.md" in place.found("about a")


def test_what_is_removed_gives_its_space_back_to_the_disk(place: Notes) -> None:
    rng = random.Random(3)
    place.write("small.md", essay(rng))
    place.update()
    database = place.library.folder / "store.db"
    small = database.stat().st_size
    for number in range(60):
        place.write(f"{number}.md", essay(rng, 30))
    place.update()
    large = database.stat().st_size
    for number in range(60):
        (place.root / f"{number}.md").unlink()
    place.update(accept_missing=True)
    assert place.library.sweep_vectors(keep=0)  # those that wait for files that come back
    place.library.tidy(0)
    assert large > 4 * small
    assert database.stat().st_size < small + (large - small) // 10
    assert not (place.library.folder / "store.db-wal").stat().st_size


def test_identical_files_of_two_collections_go_one_by_one(place: Notes, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.md").write_text("the same words", encoding="utf-8")
    place.library.add_collection("more", tmp_path / "more")
    place.write("a.md", "the same words")
    place.update()
    assert Indexed("a.md", 1, 0) in place.update("more")
    place.library.remove_collection("more")
    assert place.found("the same words") == ["a.md"]


def test_processes_that_begin_a_store_at_once_have_one_store(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from llmchat_rag.store import Library; sys.stdin.read()\n"
        "with Library(Path(sys.argv[1])) as library: library.add_collection(sys.argv[2], Path(sys.argv[2]))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "store"), f"/{number}"],
            stdin=subprocess.PIPE,
            env=room_environment(),
        )
        for number in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
    assert [process.wait(30) for process in started] == [0] * 4
    with Library(tmp_path / "store") as library:
        assert [one.name for one in library.collections()] == ["/0", "/1", "/2", "/3"]
        assert examine(library) == []


TEXT = "Erste Zeile: é, ü, 漢字, 👩‍👩‍👧‍👦 und 🇩🇪.\r\n\r\nZweite.\r\n" * 40
FILES: dict[str, bytes] = {
    **{
        f"{coding}.{suffix}": TEXT.encode(coding)
        for coding in ("utf-8", "utf-8-sig", "utf-16")
        for suffix in ("md", "txt")
    },
    "old.txt": TEXT.encode("cp1252", "replace"),
    "a.rst": b"Title\r\n=====\r\n\r\n" + TEXT.encode(),
    "a.py": b"def f():\r\n    pass\r\n\r\n\r\n# " + TEXT.replace("\r\n", "\r\n# ").encode(),
    "a.html": f"<h1>Seite</h1><p>{TEXT}</p><pre>{TEXT}</pre>".encode(),
    "a.csv": ("name,text\r\n" + "".join(f'x{n},"{TEXT[:90]}"\r\n' for n in range(30))).encode("utf-8-sig"),
    "a.jsonl": b'{"a": "\xf0\x9f\x98\x80"}\n' * 200,
    "one-line.json": ('{"a": ["' + '", "'.join(["👍🏽 wort"] * 500) + '"]}').encode(),
    "a.ipynb": b'{"cells": [{"cell_type": "markdown", "source": ["# \xf0\x9f\x98\x80\\r\\n", "text\\r\\n"]}]}',
    "a.pdf": good_pdf(*(f"Page {n} has some words about its number {n}." * 20 for n in range(1, 9))),
    "a.docx": good_docx(),
    "a.epub": book_of({"a.html": f"<h1>Kapitel</h1><p>{TEXT}</p>".encode()}, ["a.html"]),
    "a.eml": b"From: a@b\r\nSubject: s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + TEXT.encode(),
}


def test_a_stored_passage_is_what_stands_at_its_place_in_every_format(place: Notes) -> None:
    for name, content in FILES.items():
        (place.root / name).write_bytes(content)
    with ParserPool() as pool:
        (*_, last) = update(place.library, "notes", HashEmbedder(), pool)
    assert isinstance(last, Done)
    assert (last.indexed, last.refused) == (len(FILES), 0)
    for document in place.library.documents("notes"):
        text = place.library.text(document.id)
        found = place.library.passages(place.library.chunk_ids(document.id)).values()
        assert found, document.path
        for passage in found:
            span = passage.span
            assert text[span.start : span.end] == passage.text
            assert (span.page > 0) == (document.path == "a.pdf")
            if span.page:
                assert f"Page {span.page} " in passage.text
                assert f"Page {span.last_page} " in passage.text
            if span.line:
                lines = text.split("\n")
                assert lines[span.line - 1] and passage.text.startswith(lines[span.line - 1].strip()[:10])


def test_the_store_is_read_while_it_is_written(place: Notes) -> None:
    for number in range(5):
        place.write(f"{number}.md", f"about {number}")
    run = update(place.library, "notes", place.embedder, PlainPool())
    for event in run:
        if isinstance(event, Indexed):
            with Library(place.library.folder) as other:
                assert other.status().chunks > 0
    assert place.library.status().chunks == 5
