"""What a reply stands on: the panel of its sources, each passage in its place, and the marks of its sentences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from tests.tui.documented import FILES
from tests.tui.screen.chatting import Chatting, play
from tests.tui.screen.command_hand import command, refused
from tests.tui.screen.documented_chat import YEAR, answered, choose, documented, store_in
from tests.tui.screen.screen_stage import EVIL, assert_harmless, in_sight
from textual.widgets import OptionList, Static

from llmchat_rag.store import Library
from llmchat_tui.cited import SourceLine, judged, sign_of, source_line
from llmchat_tui.messages import Copied
from llmchat_tui.screens.sources import SourcesScreen
from llmchat_tui.sources import KeptSource, KeptVerdict, packed_sources
from llmchat_tui.surroundings import Place, numbered_lines, place_of
from llmchat_tui.widgets.source_line import laid_out

WRONG = "Rome was founded in 753 BC [1]. Romulus ruled for 99 years [1]."
BOOK = "".join(f"A line about nothing, number {n}.\n\n" for n in range(30))
KINGS = "When Rome was founded by Romulus, Romulus was king of Rome and the founder of Rome.\n" * 9
LONG = f"{BOOK}# Rome\n\n{FILES['rome.md']}{KINGS}\n# After\n\n{BOOK}"


async def opened(run: Chatting) -> SourcesScreen:
    """Opens the panel and waits until the document was read."""
    await run.until(lambda: isinstance(run.app.screen, SourcesScreen), "the sources")
    page = run.app.screen
    assert isinstance(page, SourcesScreen)
    await run.until(lambda: bool(page._places), "the document")
    await run.settle()
    return page


def plain(page: SourcesScreen, name: str) -> str:
    return str(page.query_one(f"#{name}", Static).content)


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (120, 40)], ids=str)
@pytest.mark.parametrize("paged", [False, True], ids=["lines", "pages"])
def test_the_passage_is_in_sight_wherever_it_stands(home: Path, size: tuple[int, int], paged: bool) -> None:
    text = f"{'Words that go on and on, far beyond the end of a line. ' * 9}\n\n" * 12
    text = f"{text}{FILES['rome.md']}\n{text}"
    store_in(home, {"rome.md": text})

    async def scene() -> None:
        async with documented(home, YEAR, size=size) as run:
            await choose(run)
            await answered(run)
            start = text.index(FILES["rome.md"])
            source = kept(1, FILES["rome.md"], start, 0 if paged else text[:start].count("\n") + 1)
            source = replace(source, page=4, source="rome.pdf p. 4") if paged else source
            run.history.annotate(run.replies()[-1].id, packed_sources([source]))
            await command(run, "/sources")
            page = await opened(run)
            await run.until(lambda: "Rome was founded in" in " ".join(plain(page, "passage").split()), "the passage")
            await run.until(lambda: in_sight(run.app, page.query_one("#passage")), "it to be in sight")
            assert ("25 Rome was" in run.text()) is not paged
            await run.pilot.resize_terminal(size[0] - 4, size[1])
            await run.until(lambda: in_sight(run.app, page.query_one("#passage")), "it to stay in sight")
            await run.settle()

    play(scene)


@pytest.mark.parametrize("way", ["s", "/sources"])
def test_the_passage_is_shown_in_its_document(home: Path, way: str) -> None:
    store_in(home, {"rome.md": LONG})

    async def scene() -> None:
        async with documented(home, YEAR) as run:
            await choose(run)
            await answered(run)
            start = LONG.index("Rome was founded in")
            line = LONG[:start].count("\n") + 1
            source = kept(1, FILES["rome.md"], start, line)
            run.history.annotate(run.replies()[-1].id, packed_sources([source]))
            if way == "s":
                run.transcript.focus_last()
                await run.press("s")
            else:
                await command(run, way)
            page = await opened(run)
            assert "753 BC" in plain(page, "passage") and "753 BC" not in plain(page, "before")
            assert f"{line} Rome was founded" in run.text()
            assert "number 29" in plain(page, "before") and "king of Rome" in plain(page, "after")
            assert "✓ Rome was founded in 753 BC [1]." in run.text()

    play(scene)


def test_a_sentence_that_is_not_in_its_source_says_why(home: Path) -> None:
    store_in(home)

    async def scene() -> None:
        async with documented(home, WRONG, size=(100, 40)) as run:
            await choose(run)
            await answered(run)
            assert "[1] ✗ rome.md:1" in run.text()
            await command(run, "/sources")
            page = await opened(run)
            options = page.query_one(OptionList)
            options.highlighted = options.option_count - 1
            await run.settle()
            shown = " ".join(run.text().split())
            assert "all 2 sentences: 1 ✓, 1 ✗" in shown
            assert "✗ Romulus ruled for 99 years [1]." in shown and "99" in plain(page, "sentences").split("[1].")[-1]

    play(scene)


def test_y_copies_the_file_and_the_line(home: Path) -> None:
    store_in(home)

    async def scene() -> None:
        async with documented(home, YEAR) as run:
            await choose(run)
            await answered(run)
            await command(run, "/sources")
            await opened(run)
            await run.press("y")
            await run.until(lambda: any(isinstance(m, Copied) for m in run.messages), "the copy")
            copied = next(m for m in run.messages if isinstance(m, Copied))
            path, _, line = copied.text.rpartition(":")
            assert Path(path).read_text() == FILES["rome.md"] and line == "1"
            await run.settle()

    play(scene)


def test_a_document_that_is_gone_can_still_be_read(home: Path) -> None:
    store_in(home)

    async def scene() -> None:
        async with documented(home, YEAR) as run:
            await choose(run)
            await answered(run)
            with Library(run.app.desk.paths.docs_dir) as library:
                library.remove_collection("notes")
            await command(run, "/sources")
            page = await opened(run)
            assert plain(page, "passage").endswith(FILES["rome.md"].strip()) and not plain(page, "before")
            await run.press("y")
            await run.until(lambda: any(isinstance(m, Copied) and m.text == "rome.md:1" for m in run.messages), "it")
            await run.settle()

    play(scene)


def test_a_reply_without_documents_says_so(home: Path) -> None:
    async def scene() -> None:
        async with documented(home, "Hello.") as run:
            await run.say("hi")
            await refused(run, "/sources", "no documents")

    play(scene)


def test_the_panel_shows_what_a_document_says_and_obeys_none_of_it(home: Path) -> None:
    store_in(home, {"rome.md": f"{EVIL}\n\n{FILES['rome.md']}"})

    async def scene() -> None:
        async with documented(home, YEAR) as run:
            await choose(run)
            await answered(run)
            await command(run, "/sources")
            await opened(run)
            assert "[red]" in run.text()
            assert_harmless(run.app)

    play(scene)


def kept(number: int, text: str, start: int, line: int = 0) -> KeptSource:
    return KeptSource(number, "notes", "rome.md", f"a.md:{line}", "", "", text, start, start + len(text), line)


def test_a_place_is_what_stands_around_a_passage() -> None:
    text = "".join(f"line {n}\n" for n in range(1, 101))
    start = text.index("line 50\n")
    place = place_of(kept(1, "line 50\nline 51", start, 50), text)
    assert (place.before.splitlines()[0], place.line) == ("line 30", 30)
    assert place.after.splitlines()[-1] == "line 71"
    moved = place_of(kept(1, "line 50\nline 51", start, 50), f"One line more\n{text}", "/x/rome.md")
    assert (moved.passage_line, moved.line, moved.path) == (51, 31, "/x/rome.md")
    assert "has changed since; the passage stands elsewhere" in moved.note
    changed = place_of(kept(1, "line 50!", start, 50), text)
    assert changed == replace(Place("", "line 50!", "", 50), note=changed.note) and "has changed since" in changed.note
    gone = place_of(kept(1, "line 50", start, 50), "")
    assert gone == replace(Place("", "line 50", "", 50), note=gone.note) and "not in notes any more" in gone.note
    assert place_of(kept(1, "", 0), text).passage == ""


def test_lines_have_the_numbers_of_the_document() -> None:
    assert list(numbered_lines("a\r\nb\n", 7)) == [("7", "a"), ("8", "b")]
    assert list(numbered_lines("rest\nb", 7, goes_on=True)) == [("", "rest"), ("8", "b")]
    assert list(numbered_lines("a\nb", 0)) == [("", "a"), ("", "b")]


def test_a_source_is_not_broken_apart() -> None:
    names = ("a b c.md:3", f"{'deep/' * 30}資料.md:3", "[bold]x[/].md:3-9")
    line = SourceLine(tuple((f"[{at}]", "✓", name) for at, name in enumerate(names, 1)), 1_200)
    assert laid_out(line, 0).plain.count("\n") == 0
    for width in (20, 36, 80, 200):
        rows = laid_out(line, width).plain.split("\n")
        assert max(cell_len(row) for row in rows) <= width
        assert rows[0].startswith("[1] ✓ a b c.md:3") and rows[-1].endswith("1,200 more")
        assert sum("資料.md:3" in row for row in rows) == sum("].md:3-9" in row for row in rows) == 1


def test_the_line_of_sources() -> None:
    sources = [kept(1, "x", 0, 3), kept(2, "y", 9, 8)]
    right, wrong = KeptVerdict(0, 3, (1,), "supported"), KeptVerdict(4, 9, (1,), "unsupported", "says no such thing", 2)
    assert source_line(sources).parts == (("[1]", "", "a.md:3"), ("[2]", "", "a.md:8"))
    assert source_line(sources, [right]).parts == (("[1]", "✓", "a.md:3"),)
    assert sign_of(1, [right, wrong]) == "✗" and sign_of(2, [right, wrong]) == ""
    assert source_line([kept(n, "x", 0, n) for n in range(1, 21)]).more == 8
    assert laid_out(source_line(sources, [right, wrong]), 0).plain == "[1] ✗ a.md:3"
    assert list(judged("abc defgh", [right, wrong])) == [
        ("✓", "abc", ""),
        ("✗", "defgh", "says no such thing; [2] says more of it"),
    ]
