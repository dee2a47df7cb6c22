"""A reply as Markdown: however it is cut while it streams, it ends as the whole text looks; long ones stay quick."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from statistics import median

import pytest
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.pilot import Pilot

from llmchat_tui.widgets.answer import Answer, CleanParser, Fence, code_blocks
from llmchat_tui.widgets.reply import ReplyView

SEED = int(os.environ.get("LLMCHAT_TEST_SEED", "20261122"))
CONSTRUCTS = {
    "headings": "# One\n\n## Two\n\ntext\n\nSetext\n======\n\nmore\n",
    "emphasis": "Some *em* and **strong** and `code` and ~~gone~~ and ***both***.\n\nhard  \nbreak\nsoft break\n",
    "bullets": "- one\n- two\n- three\n\nafter\n",
    "nested": "- one\n  - inner\n    - deeper\n      more\n  - second\n- two\n\n  para in two\n- three\n",
    "ordered": "1. one\n2. two\n   - sub\n   - sub2\n3. three\n\ntext\n\n7. seven\n8. eight\n",
    "loose": "- a\n\n- b\n\n- c\n",
    "lists in turn": "- a\n- b\n\n1. x\n2. y\n\n* star\n* star2\n\n- dash\n",
    "table": "| a | b |\n|---|:-:|\n| 1 | 2 |\n| 3 `x` | **4** |\n\nafter\n",
    "fence": "before\n\n```python\ndef f():\n    return 1\n\n\nprint(f())\n```\n\nafter\n",
    "open fence": "text\n\n```sh\nls -l\n\necho hi\n",
    "tildes": "~~~\ncode ``` inside\n~~~\nend\n",
    "fence in a list": "1. item\n   ```py\n   x = 1\n   ```\n2. item\n\n   ```\n   y\n   ```\n",
    "indented": "para\n\n    code line\n    more\n\npara\n",
    "quote": "> quoted\n> more\n>\n> - list\n> - list2\n\nafter\n> second\n",
    "fence in a quote": "> ```\n> code\n> ```\n> after\n",
    "rules": "a\n\n---\n\nb\n\n***\n",
    "links": "see [text](http://x.y/z) and <http://auto.link> and http://bare.link and ![img](a.png)\n",
    "references": "see [text][1] and [two].\n\nmore\n\n[1]: http://x.y\n[two]: http://two.z\n",
    "html": "<b>bold</b> &amp; &lt;x&gt; <script>alert(1)</script>\n\n<div>\nblock\n</div>\n",
    "tasks": "- [ ] todo\n- [x] done\n",
    "same numbers": "1. a\n1. b\n1. c\n\n3) p\n4) q\n",
    "lazy": "- one\ncontinued lazily\n- two\n\nnot in list\n- new list\n",
    "long": "word " * 120 + "\n\n" + "x" * 200 + "\n",
    "signs": "字字字 émoji 👩‍👩‍👧 \u202e rtl \x1b[31m red &#27; %1b\n\n[/x] [@click=app.quit]x[/]\n",
    "a number": "6.\n",
    "nothing": "\n\n\n",
    "spaces": "   lead\n\n\n\n   more   \n",
}


class Stage(App[None]):
    """A page for replies."""

    def compose(self) -> ComposeResult:
        yield VerticalScroll(id="page")


def on_stage(scene: Callable[[Stage, Pilot[None]], Awaitable[None]], size: tuple[int, int] = (60, 60)) -> None:
    async def run() -> None:
        app = Stage()
        async with app.run_test(size=size) as pilot:
            await scene(app, pilot)

    asyncio.run(run())


async def shown(app: Stage) -> str:
    """Returns what is painted, once two paints are the same."""
    before, now = None, ""
    while before != now:
        await painted(app)
        lines = app.screen._compositor.render_strips()
        before, now = now, "\n".join("".join(segment.text for segment in line).rstrip() for line in lines).rstrip()
    return now


async def painted(app: Stage) -> None:
    done = asyncio.Event()
    app.screen.call_after_refresh(done.set)
    await asyncio.wait_for(done.wait(), 15)


def pieces(text: str, chance: random.Random) -> list[str]:
    """Returns a text cut anywhere."""
    cuts = sorted(chance.sample(range(1, len(text)), min(len(text) - 1, chance.randint(1, 9))))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@pytest.mark.parametrize("names", [list(CONSTRUCTS)[start::3] for start in range(3)], ids=["a", "b", "c"])
def test_cut_anywhere_a_reply_ends_as_the_whole_text_looks(names: Sequence[str]) -> None:
    print("LLMCHAT_TEST_SEED", SEED)
    chance = random.Random(SEED)

    async def scene(app: Stage, _pilot: Pilot[None]) -> None:
        page = app.query_one("#page")
        for name in names:
            text = CONSTRUCTS[name]
            whole = ReplyView(text)
            await page.mount(whole)
            wanted = await shown(app)
            await whole.remove()
            for cut in (pieces(text, chance), pieces(text, chance)):
                view = ReplyView(growing=True)
                await page.mount(view)
                for piece in cut:
                    await view.answer.append(piece)
                await view.finish(text)
                assert await shown(app) == wanted, (name, cut)
                await view.remove()

    on_stage(scene)


@pytest.mark.parametrize(
    "name",
    ["bullets", "nested", "ordered", "loose", "lists in turn", "table", "fence", "open fence", "quote", "emphasis"],
)
def test_a_reply_looks_right_before_its_end_too(name: str) -> None:
    """What is there is parsed piece by piece; a list that goes on keeps its first items."""
    print("LLMCHAT_TEST_SEED", SEED)
    chance, text = random.Random(SEED), CONSTRUCTS[name]

    async def scene(app: Stage, _pilot: Pilot[None]) -> None:
        page = app.query_one("#page")
        await page.mount(Answer(text))
        wanted = await shown(app)
        await page.remove_children()
        growing = Answer(growing=True)
        await page.mount(growing)
        for piece in pieces(text, chance):
            await growing.append(piece)
        assert await shown(app) == wanted

    on_stage(scene)


@pytest.mark.parametrize("text", ["6.", "6)", "\n 1234.\n\n", "    6."])
def test_a_number_with_a_dot_is_an_answer_and_no_list(text: str) -> None:
    async def scene(app: Stage, _pilot: Pilot[None]) -> None:
        await app.query_one("#page").mount(Answer(text))
        lines = (await shown(app)).split()
        assert lines == [text.strip()]

    on_stage(scene)


def test_tokens_that_come_through_the_view_are_painted_and_kept() -> None:
    async def scene(app: Stage, _pilot: Pilot[None]) -> None:
        view = ReplyView(growing=True)
        await app.query_one("#page").mount(view)
        for number in range(50):
            view.add(f"word{number} ")
        deadline = time.monotonic() + 15
        while "word49" not in await shown(app):
            assert time.monotonic() < deadline
        await view.finish()
        assert view.text == "".join(f"word{number} " for number in range(50))
        await view.finish(view.text)

    on_stage(scene)


def test_a_reply_that_ends_before_it_was_painted_is_whole() -> None:
    async def scene(app: Stage, _pilot: Pilot[None]) -> None:
        view = ReplyView(growing=True)
        await app.query_one("#page").mount(view)
        view.add("# Title\n\nfirst ")
        view.add("second")
        await view.finish()
        assert view.text == "# Title\n\nfirst second"
        assert "first second" in await shown(app)

    on_stage(scene)


def test_a_view_that_is_taken_away_while_it_ends_breaks_nothing() -> None:
    """Another chat may be opened in the very moment in which a reply ends."""

    async def scene(app: Stage, _pilot: Pilot[None]) -> None:
        for _ in range(5):
            view = ReplyView(growing=True)
            await app.query_one("#page").mount(view)
            view.add("word " * 2000)
            ending = asyncio.ensure_future(view.finish())
            await asyncio.sleep(0)
            await view.remove()
            await asyncio.wait_for(ending, 15)
            view.note("too late", "red")
            await painted(app)

    on_stage(scene)


def test_2000_lines_of_code_are_all_there() -> None:
    code = "\n".join(f"line {number}" for number in range(2000))

    async def scene(app: Stage, _pilot: Pilot[None]) -> None:
        page = app.query_one("#page", VerticalScroll)
        await page.mount(ReplyView(f"```text\n{code}\n```\n"))
        await shown(app)
        assert app.query_one(Fence).size.height == 2000
        page.scroll_end(animate=False)
        assert "line 1999" in await shown(app)

    on_stage(scene)


def test_the_language_of_code_is_never_guessed_nor_obeyed() -> None:
    async def scene(app: Stage, _pilot: Pilot[None]) -> None:
        text = "".join(
            f"```{language}\nx = 1\n```\n" for language in ("", "nosuch", "python evil=1", "\x1b[31m", "{.py}")
        )
        await app.query_one("#page").mount(ReplyView(text))
        assert (await shown(app)).count("x = 1") == 5

    on_stage(scene)


@pytest.mark.parametrize("text", CONSTRUCTS.values(), ids=CONSTRUCTS)
def test_nothing_that_a_terminal_would_obey_is_left_in_a_token(text: str) -> None:
    def walk(tokens: Sequence[object]) -> Iterator[str]:
        for token in tokens:
            yield getattr(token, "content", "")
            yield from map(str, getattr(token, "attrs", {}).values())
            yield from walk(getattr(token, "children", None) or ())

    assert not set("".join(walk(CleanParser().parse(text)))) & set("\x1b\x07\x9b\u202e")


def test_code_blocks_of_a_text() -> None:
    text = "a\n\n```py\nx = 1\n\n```\n\n1. b\n   ~~~\n   y\n   ~~~\n\nc\n\n    indented\n\n```\nopen"
    assert code_blocks(text) == ["x = 1", "y", "indented", "open"]
    assert code_blocks("no code, `inline` alone") == []


# --- how long it takes: in time of the processor, which others on this machine cannot take away


@pytest.fixture
def no_garbage() -> Iterator[None]:
    """As in the program, where garbage is collected between two paints."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


async def cost(app: Stage, known: str, more: Sequence[str]) -> tuple[float, float]:
    """Returns what it costs to take a piece, and to paint it too: the values in the middle."""
    answer = Answer(growing=True)
    page = app.query_one("#page", VerticalScroll)
    page.anchor()
    await page.mount(answer)
    await answer.append(known)
    await painted(app)
    taken, whole = [], []
    for piece in more:  # the first one finds everything new, as when a chat is opened
        began = time.thread_time()
        await answer.append(piece)
        taken.append(time.thread_time() - began)
        await painted(app)
        whole.append(time.thread_time() - began)
    return median(taken[1:]), median(whole[1:])


@pytest.mark.parametrize(
    ("line", "known", "most"),
    [
        ("- item **{0}** with `code` and some words\n", 180, 0.25),
        ("{0}. item **{0}** with `code` and some words\n", 60, 0.15),
        ("    x = f({0})  # a line of code\n", 1980, 0.25),
        ("| {0} | cell {0} |\n", 40, 0.25),
        ("paragraph {0} with some words\n\n", 280, 0.1),
        ("words that go on {0} ", 400, 0.1),
    ],
    ids=["bullets", "numbers", "code", "table", "paragraphs", "one paragraph"],
)
@pytest.mark.usefixtures("no_garbage")
def test_a_piece_more_of_something_long_is_quick(line: str, known: int, most: float) -> None:
    head = {" ": "```python\n", "|": "| a | b |\n|---|---|\n"}.get(line[0], "")

    async def scene(app: Stage, _pilot: Pilot[None]) -> None:
        text = head + "".join(line.format(number) for number in range(known))
        taken, whole = await cost(app, text, [line.format(known + number) for number in range(24)])
        assert taken < 0.04
        assert whole < most

    on_stage(scene, (80, 24))
