"""The tree of a chat on the screen: what is marked, where Enter goes, long chats, odd texts, small terminals."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.tui.screen.chatting import Chatting, chatting, play
from tests.tui.screen.command_hand import command, refused
from tests.tui.screen.long_chats import CHAT, focused, id_of, long_chat, rest, roomy
from tests.tui.screen.screen_stage import EVIL, SIZES, THEMES, Hand, Stage, assert_harmless, painted, words
from tests.tui.screen.screen_stage import play as play_screen

from llmchat_engine.testing import Script
from llmchat_tui.history import History, Node, ReplyEnd
from llmchat_tui.screens.tree import TreeScreen
from llmchat_tui.tree_lines import TreeLine, tree_lines
from llmchat_tui.widgets.tree_view import TreeView, line_content

OPEN_SECONDS = 1.5


async def opened(run: Chatting) -> list[str]:
    """Opens the tree and returns its lines."""
    await run.press("f5")
    await run.until(lambda: isinstance(run.app.screen, TreeScreen), "the tree")
    await run.pilot.pause()
    return [line.strip() for line in run.text().splitlines()]


async def closed(run: Chatting) -> None:
    await run.until(lambda: run.app.screen is run.chat, "the chat")
    await run.settle()


def test_the_shown_branch_is_marked_and_enter_goes_to_another(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.", "Three.") as run:
            await refused(run, "/tree", "no message yet")
            await run.write("")
            await run.say("first")
            await run.say("second")
            run.transcript.focus_last()
            await run.press("k", "k", "r")
            await run.until(lambda: len(run.replies()) == 3 and not run.chat.talk.running, "another reply")
            await run.settle()
            lines = await opened(run)
            assert "● first" in lines
            assert any(line.startswith("├─ ○ One.") and line.endswith("1 token, now") for line in lines)
            assert "│  ○ second" in lines
            assert any(line.startswith("│  ○ Two.") for line in lines)
            assert any(line.startswith("└─ ● Three.") for line in lines)
            assert run.app.screen.query_one(TreeView).cursor == 4
            await run.press("escape")
            await closed(run)
            assert run.chat.composer.prompt.has_focus
            await opened(run)
            await run.press("up", "k", "enter")
            await closed(run)
            await run.until(lambda: [view.text for view in run.transcript.views] == ["first", "One.", "second", "Two."])
            assert getattr(run.app.focused, "text", "") == "second"
            assert run.history.conversation(run.chat.talk.conversation_id).leaf_id == run.chat.talk.leaf_id
            assert "● second" in "\n".join(await opened(run))
            await run.press("escape")
            await closed(run)

    play(scene)


def test_a_message_of_the_shown_branch_is_gone_to(home: Path) -> None:
    long_chat(home, 200)

    async def scene() -> None:
        async with chatting(home, engine=roomy("never"), start=CHAT) as run:
            await rest(run)
            await command(run, "/tree")
            await run.until(lambda: isinstance(run.app.screen, TreeScreen), "the tree")
            await run.press("home", "pagedown", "enter")
            await closed(run)
            await run.until(lambda: 0 < focused(run) < 60, "the message")
            assert run.chat.talk.leaf_id == id_of(199) and len(run.transcript._path) == 200

    play(scene)


def test_a_running_reply_keeps_its_branch(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", Script("and so on", hang_after=2)) as run:
            await run.say("first")
            run.transcript.focus_last()
            await run.press("r")
            await run.until(lambda: "and so" in run.text(), "some words")
            lines = await opened(run)
            assert any("being written" in line for line in lines)
            await run.press("home", "down", "enter")
            await closed(run) if not run.chat.talk.running else None
            await run.until(lambda: "a reply is being written" in run.notices(), "the word")
            await run.press("escape", "escape")
            await run.until(lambda: not run.chat.talk.running, "the end")

    play(scene)


def test_two_thousand_messages_open_at_once(home: Path) -> None:
    long_chat(home, 2_000, lines=1)
    with History.open(home / "chats.db") as history:
        for number in range(0, 200, 10):
            history.finish(history.begin_reply(id_of(number)).reply_id, ReplyEnd("another", "complete"))
        history.choose(CHAT, id_of(1_999))

    async def scene() -> None:
        async with chatting(home, engine=roomy("never"), start=CHAT) as run:
            await rest(run)
            began = time.monotonic()
            run.chat.action_tree()
            await run.until(lambda: isinstance(run.app.screen, TreeScreen) and "message 1999" in run.text(), "the tree")
            took = time.monotonic() - began
            print(f"2,000 messages: {took:.3f} s")
            assert took < OPEN_SECONDS
            view, last = run.app.screen.query_one(TreeView), 2_019
            await run.press("end")
            await run.until(lambda: view.cursor == last, "the last line")
            assert view.cursor == last
            for key, at in (("home", 0), ("end", last), ("up", last - 1), ("g", 0), ("G", last), ("j", last)):
                await run.press(key)
                await run.until(lambda: view.cursor == at, key)  # noqa: B023
            await run.press("escape")
            await closed(run)

    play(scene)


def evil_lines(count: int = 30) -> list[TreeLine]:
    nodes = [Node("0", "", "user", EVIL, 0.0, "complete", 0, 0)]
    for number in range(1, count):
        parent = str(max(0, number - 1 - number % 2))
        nodes.append(Node(str(number), parent, "assistant", f"{number} {EVIL}", 0.0, "complete", 12_345, 0))
    return tree_lines(nodes, {"0", "1"}, 0.0)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_everything_is_in_sight_and_harmless(size: tuple[int, int], theme: str) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        for key in ("end", "home", "down"):
            await hand.press(key)
            assert_harmless(app)
            assert "Enter go there" in words(app) and "Esc close" in words(app)
        view = app.screen.query_one(TreeView)
        assert view.size.height >= 3
        assert ("● a" in painted(app) and "○ 1" in painted(app)) or "● 1" in painted(app)

    play_screen(TreeScreen(EVIL, evil_lines(), "0"), steps, size, theme)


@pytest.mark.parametrize("width", [1, 10, 24, 40, 80, 200])
def test_a_line_has_exactly_the_width_of_the_screen(width: int) -> None:
    for line in [*evil_lines(60), TreeLine("x", "", True, True, "日本語の長い見出し" * 20, "12 tokens, now")]:
        for plain in (True, False):
            content = line_content(line, width, plain=plain)
            assert content.cell_length == width or width < 4


def test_a_click_moves_the_cursor_and_a_second_one_goes_there() -> None:
    lines = tree_lines(
        [Node(str(n), str(n - 1) if n else "", "user", "x", 0.0, "complete", 0, 0) for n in range(5)], (), 0
    )
    screen = TreeScreen("title", lines, "0")

    async def steps(hand: Hand, app: Stage) -> None:
        view = app.screen.query_one(TreeView)
        await hand._pilot.click(TreeView, offset=(3, 2))
        assert view.cursor == 2
        await hand._pilot.click(TreeView, offset=(3, 3), times=2)
        await hand.pause()

    assert play_screen(screen, steps).results == ["3"]
