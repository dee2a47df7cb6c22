"""Updates of a collection: what they read, what they keep, what they forget, and how they end early."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rag.doubles import PlainPool, WordEmbedder
from tests.rag.places import Notes, answers, essay, notes, questions

from llmchat_rag import ingest, scan
from llmchat_rag.doctor import examine
from llmchat_rag.embed.fake import HashEmbedder
from llmchat_rag.errors import (
    CollectionMissing,
    EmbedderMismatch,
    FilesMissing,
    NothingRead,
    ParseError,
    RootMissing,
    StoreBusy,
)
from llmchat_rag.events import Done, Indexed, Progress, Removed
from llmchat_rag.ingest import update
from llmchat_rag.parse.pool import ParserPool
from llmchat_rag.query import Query
from llmchat_rag.reading import digest_of
from llmchat_rag.search import search
from llmchat_rag.store import Library
from llmchat_rag.types import Cancelled, Found, Refused, Skipped
from llmchat_rag.walk import walk


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Notes]:
    with notes(tmp_path) as made:
        yield made


def done(events: list[ingest.Event]) -> Done:
    (last,) = [event for event in events if isinstance(event, Done)]
    assert events[-1] == last
    return last


def test_a_second_update_reads_nothing(place: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write("a.md", "one\n\ntwo")
    place.write("sub/b.md", "three")
    assert done(place.update()).indexed == 2
    monkeypatch.setattr(ingest, "digest_of", lambda path: pytest.fail(f"read {path}"))
    last = done(place.update())
    assert (last.indexed, last.unchanged, last.embedded, last.chunks) == (0, 2, 0, 3)


def test_another_time_with_the_same_content_is_not_parsed(place: Notes) -> None:
    path = place.write("a.md", "one")
    place.update()
    os.utime(path, ns=(1, 1))
    pool = PlainPool()
    list(update(place.library, "notes", place.embedder, pool))
    assert pool.read == []
    list(update(place.library, "notes", place.embedder, pool))
    assert place.library.file_states(place.library.collection("notes"))["a.md"].mtime_ns == 1


def test_only_what_changed_in_a_file_is_embedded(place: Notes) -> None:
    place.write("a.md", "one\n\ntwo\n\nthree")
    place.update()
    place.embedder.seen.clear()
    place.write("a.md", "one\n\nnew in the middle\n\ntwo\n\nthree")
    assert Indexed("a.md", 4, 1) in place.update()
    assert [text.rpartition("\n")[2] for text in place.embedder.seen] == ["new in the middle"]


def test_a_file_that_moves_is_not_embedded_again(place: Notes) -> None:
    (place.root / "sub").mkdir()
    path = place.write("a.md", "one\n\ntwo")
    place.write("b.md", "other")
    place.update()
    path.rename(place.root / "sub" / "a.md")
    events = place.update()
    assert Removed("a.md") in events
    assert Indexed("sub/a.md", 2, 0) in events
    assert place.found("one", k=1) == ["sub/a.md"]


def test_a_renamed_top_folder_is_no_sudden_loss(place: Notes) -> None:
    for number in range(4):
        place.write(f"old/{number}.md", f"text {number}")
    place.update()
    (place.root / "old").rename(place.root / "new")
    assert done(place.update()).removed == 4


def test_a_deleted_file_answers_no_more(place: Notes) -> None:
    for name in ("a", "b", "c"):
        place.write(f"{name}.md", f"about {name}")
    place.update()
    (place.root / "a.md").unlink()
    place.update()
    assert "a.md" not in place.found("about a", k=10)
    assert place.library.status().chunks == 2


def test_half_of_the_files_missing_changes_nothing_until_it_is_accepted(place: Notes) -> None:
    for name in "abcd":
        place.write(f"{name}.md", f"about {name}")
    place.update()
    (place.root / "a.md").unlink()
    (place.root / "b.md").unlink()
    with pytest.raises(FilesMissing, match="2 of 4") as caught:
        place.update()
    assert caught.value.hint == "llmchat docs update notes --accept-missing"
    assert "a.md" in place.found("about a", k=10)
    assert done(place.update(accept_missing=True)).removed == 2
    assert place.library.status().chunks == 2


def test_a_folder_that_is_not_there_forgets_nothing(place: Notes) -> None:
    place.write("a.md", "one")
    place.update()
    place.root.rename(place.root.with_name("away"))
    with pytest.raises(RootMissing):
        place.update()
    assert place.found("one") == ["a.md"]


def test_files_that_a_rule_leaves_out_are_forgotten_without_asking(place: Notes) -> None:
    for name in "abcd":
        place.write(f"{name}.md", f"about {name}")
    place.update()
    place.library.add_collection("notes", place.root, exclude=["[abc].md"])
    assert done(place.update()).removed == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_keeps_what_was_read_of_it(place: Notes) -> None:
    place.write("sub/a.md", "about a")
    place.write("b.md", "about b")
    place.update()
    (place.root / "sub").chmod(0)
    try:
        assert any(isinstance(event, Skipped) and event.failed for event in place.update())
    finally:
        (place.root / "sub").chmod(0o700)
    assert "sub/a.md" in place.found("about a")


def test_a_folder_that_is_not_answered_for_keeps_what_was_read_of_it(
    place: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is away: not even the kind of the folder can be told."""
    place.write("sub/a.md", "about a")
    place.write("b.md", "about b")
    place.write("c.md", "about c")
    place.update()
    walked = [one for one in walk(place.root) if isinstance(one, Skipped) or not one.relative.startswith("sub/")]
    monkeypatch.setattr(scan, "walk", lambda *_, **__: [*walked, Skipped("sub", "input/output error", failed=True)])
    assert done(place.update()).removed == 0
    assert "sub/a.md" in place.found("about a")


def test_a_folder_that_becomes_a_link_behind_the_walk_is_not_followed(place: Notes, tmp_path: Path) -> None:
    path = place.write("sub/a.md", "inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.md").write_text("secret", encoding="utf-8")
    (found,) = (one for one in walk(place.root) if isinstance(one, Found))
    path.unlink()
    (place.root / "sub").rmdir()
    (place.root / "sub").symlink_to(tmp_path / "outside")
    with ParserPool() as pool:
        assert list(pool.parse_all([found])) == [(found, Refused("it is behind a symbolic link"))]
    with pytest.raises(ParseError, match="behind a symbolic link"):
        digest_of(found.path)


def test_a_file_that_cannot_be_parsed_is_listed_each_time_and_stops_nothing(place: Notes) -> None:
    place.write("bad.md", "broken")
    place.write("good.md", "fine")
    for _ in range(2):
        events = place.update()
        assert Skipped("bad.md", "the parser ran out of time (30 s)", failed=True) in events
        assert done(events).refused == 1
    assert place.found("fine") == ["good.md"]
    os.utime(place.root / "bad.md", ns=(1, 1))
    assert done(place.update()).refused == 1
    place.write("bad.md", "mended")
    assert Indexed("bad.md", 1, 1) in place.update()


def test_progress_counts_files_and_ends_at_all_of_them(place: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "BATCH", 4)
    for number in range(10):
        place.write(f"{number}.md", f"one {number}\n\ntwo {number}")
    seen = [event for event in place.update() if isinstance(event, Progress)]
    assert seen[0] == Progress(0, 10, 0, 0.0, None)
    assert [event.files for event in seen] == sorted(event.files for event in seen)
    assert (seen[-1].files, seen[-1].chunks, seen[-1].seconds_left) == (10, 20, 0.0)
    assert seen[-1].chunks_per_second > 0


def test_stopped_early_it_goes_on_where_it_was(place: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "BATCH", 4)
    place.write("large.md", "\n\n".join(f"paragraph {number}" for number in range(40)))
    with pytest.raises(Cancelled):
        list(
            update(
                place.library,
                "notes",
                place.embedder,
                PlainPool(),
                cancelled=lambda: len(place.embedder.seen) >= 20,
            )
        )
    assert place.found("paragraph") == []
    assert done(place.update()).embedded == 20
    assert len(place.embedder.seen) == len(set(place.embedder.seen)) == 40


def test_a_generator_that_is_left_gives_the_lock_back(place: Notes) -> None:
    place.write("a.md", "one")
    run = update(place.library, "notes", place.embedder, PlainPool())
    next(run)
    with Library(place.library.folder) as other, pytest.raises(StoreBusy):
        list(update(other, "notes", place.embedder, PlainPool()))
    run.close()
    assert done(place.update()).chunks == 1


def test_another_embedder_is_refused_until_everything_is_read_again(place: Notes) -> None:
    place.write("a.md", "one")
    place.library.add_collection("more", place.root)
    place.update()
    place.update("more")
    place.embedder = WordEmbedder(32)
    with pytest.raises(EmbedderMismatch, match="indexed with hash-256"):
        place.update()
    with pytest.raises(EmbedderMismatch) as caught:
        place.search("one")
    assert "update --force" in caught.value.hint
    place.update(force=True)
    assert place.found("one", collections=["notes"]) == ["a.md"]
    assert [row.pending for row in place.library.status().collections] == [1, 0]
    assert done(place.update("more")).indexed == 1


def test_while_another_embedder_reads_everything_nobody_is_told_that_there_is_nothing(place: Notes) -> None:
    place.write("a.md", "one")
    place.library.add_collection("more", place.root)
    place.update()
    place.update("more")
    place.embedder = WordEmbedder(32)
    place.update(force=True)
    assert place.found("one") == ["a.md"]
    with pytest.raises(NothingRead, match="1 documents wait to be read again") as caught:
        place.search("one", collections=["more"])
    assert caught.value.hint == "llmchat docs update"
    place.update("more")
    assert place.found("one", collections=["more"]) == ["a.md"]


def test_a_folder_that_is_not_there_gives_nothing_up_for_another_embedder(place: Notes) -> None:
    place.write("a.md", "one")
    place.update()
    before, place.embedder = place.embedder, WordEmbedder(32)
    place.root.rename(place.root.with_name("away"))
    with pytest.raises(RootMissing):
        place.update(force=True)
    with pytest.raises(CollectionMissing):
        place.update("nots", force=True)
    place.embedder = before
    assert place.found("one") == ["a.md"]


def test_an_update_by_steps_equals_one_from_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("LLMCHAT_TEST_SEED", "7"))
    print(f"LLMCHAT_TEST_SEED={seed}")
    rng = random.Random(seed)
    with notes(tmp_path) as place:
        for step in range(6):
            for number in rng.sample(range(30), 10):
                place.write(f"{number}.md", essay(rng, rng.randrange(1, 5)))
            there = sorted(place.root.iterdir())
            for path in rng.sample(there, len(there) // 5):
                path.unlink() if step % 2 else path.rename(path.with_name(f"{step}-{path.name}"))
            place.update(accept_missing=True)
        asked = questions(seed, 100)
        by_steps = answers(place.library, place.embedder, asked)
        with Library(tmp_path / "fresh") as fresh:
            fresh.add_collection("notes", place.root)
            list(update(fresh, "notes", place.embedder, PlainPool()))
            assert answers(fresh, place.embedder, asked) == by_steps
            assert fresh.status().chunks == place.library.status().chunks


def test_with_the_real_parsers_and_passages(place: Notes) -> None:
    place.write("guide.md", "# Harbour\n\nShips come at dawn.\n\n## Prices\n\nA berth costs 40 florins a night.\n")
    place.write("page.html", "<h1>Mill</h1><p>The wheel turns by water.</p><script>no()</script>")
    place.write("rows.csv", "name,price\nbread,3\nsalt,7\n")
    place.write("code.py", "def berth_price():\n    return 40\n")
    place.write("empty.md", "")
    (place.root / "bad.pdf").write_bytes(b"%PDF-1.7 nothing of it")
    embedder = HashEmbedder()
    with ParserPool() as pool:
        events = list(update(place.library, "notes", embedder, pool))
        assert done(events).indexed == 4
        assert [event.relative for event in events if isinstance(event, Skipped) and event.failed] == ["bad.pdf"]
        first = [event for event in events if isinstance(event, Skipped)]
        os.utime(place.root / "bad.pdf", ns=(1, 1))
        again = list(update(place.library, "notes", embedder, pool))
        assert done(again).unchanged == 4
        assert {event for event in again if isinstance(event, Skipped)} == set(first)
    (best, *_) = search(place.library, embedder, Query("what does a berth cost")).passages
    assert (best.source, best.heading) == ("guide.md:7", "Harbour › Prices")
    assert place.library.text(best.document_id)[best.span.start : best.span.end] == best.text
    assert examine(place.library) == []


def test_files_are_read_again_by_a_newer_parser(place: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write("a.md", "# One\n\nText.")
    with ParserPool() as pool:
        list(update(place.library, "notes", place.embedder, pool))
        monkeypatch.setattr(scan, "_parser_of", lambda name: ("markdown", 99))
        assert done(list(update(place.library, "notes", place.embedder, pool))).indexed == 1
        monkeypatch.undo()
        monkeypatch.setattr(scan, "CHUNKER", "other")
        assert done(list(update(place.library, "notes", place.embedder, pool))).indexed == 1


def test_the_text_of_a_file_that_is_gone_is_overwritten(place: Notes) -> None:
    for number in range(20):
        place.write(f"{number}.md", f"# Note {number}\n\nHidden{number} THINGS stand here.\n")
    place.update()
    for number in range(5, 12):
        (place.root / f"{number}.md").unlink()
    place.update()
    kept = (place.library.folder / "store.db").read_bytes()
    assert b"Hidden3 THINGS" in kept
    assert b"Hidden7 THINGS" not in kept
