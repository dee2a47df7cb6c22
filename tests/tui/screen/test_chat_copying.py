"""Copying in the whole chat: a message, a code block, a selection, an address; and a desktop without any tool."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest
from tests.tui.screen.chatting import Chatting, chatting, play

from llmchat_engine.testing import Script
from llmchat_tui.messages import Copied
from llmchat_tui.widgets.reply import ReplyView

TEXT = (
    "Some **words**.\n\n```python\nprint(1)\n```\n\nand\n\n```sh\nls -l\n```\n\n[a link](http://x.y/z?a=1#b) ends it."
)


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the terminal was asked to keep."""
    kept: list[str] = []
    monkeypatch.setattr("llmchat_tui.app.ChatApp.copy_to_clipboard", lambda _app, text: kept.append(text))
    return kept


async def pressed(run: Chatting, copied: list[str], *keys: str) -> str:
    """Presses keys and returns what was copied by them."""
    before = len(copied)
    await run.press(*keys)
    await run.until(lambda: len(copied) > before, "the copy")
    return copied[-1]


def test_a_message_is_copied_exactly(home: Path, copied: list[str]) -> None:
    async def scene() -> None:
        async with chatting(home, TEXT) as run:
            await run.say("a question\n  in two lines")
            assert await pressed(run, copied, "up", "y") == TEXT
            assert await pressed(run, copied, "k", "y") == "a question\n  in two lines"
            await run.until(lambda: "message: copied" in run.notices(), "the notice")

    play(scene)


def test_u_goes_through_the_code_blocks_and_y_copies_the_picked_one(home: Path, copied: list[str]) -> None:
    async def scene() -> None:
        async with chatting(home, TEXT) as run:
            await run.say("a question")
            assert await pressed(run, copied, "up", "u", "y") == "print(1)"
            assert await pressed(run, copied, "u", "y") == "ls -l"
            assert await pressed(run, copied, "u", "y") == "print(1)"
            await run.press("k")
            await run.until(lambda: not run.app.query(".-picked"), "the block to be let go")
            await run.press("u")
            assert await pressed(run, copied, "j", "y") == TEXT

    play(scene)


def test_a_message_without_code_says_so(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "No code.") as run:
            await run.say("a question")
            await run.press("up", "u")
            await run.until(lambda: "no code block" in run.notices(), "the notice")

    play(scene)


def test_code_of_a_growing_reply_can_be_copied(home: Path, copied: list[str]) -> None:
    async def scene() -> None:
        async with chatting(home, Script("```sh\nls -l\n```\n\nand more to come", hang_after=5)) as run:
            await run.send("a question")
            await run.until(lambda: "ls -l" in run.text() and "and" in run.text(), "the code")
            assert await pressed(run, copied, "up", "u", "y") == "ls -l"
            await run.write("/copy code")
            await run.press("escape", "enter")

    play(scene)


def test_a_selection_is_copied_and_not_taken_for_a_stop(home: Path, copied: list[str]) -> None:
    async def scene() -> None:
        async with chatting(home, Script("first second third", hang_after=2)) as run:
            await run.send("a question")
            await run.until(lambda: "second" in run.text(), "some words")
            await select(run, "first", 4)
            await run.until(lambda: run.chat.get_selected_text() == "first", f"{run.chat.get_selected_text()!r}")
            assert await pressed(run, copied, "ctrl+c") == "first"
            assert run.chat.talk.running

    play(scene)


async def select(run: Chatting, text: str, length: int) -> None:
    """Drags the mouse over a text of the screen."""
    lines = run.text().splitlines()
    row = next(row for row, line in enumerate(lines) if text in line)
    column = lines[row].index(text)
    await run.pilot.mouse_down(offset=(column, row))
    await run.pilot.hover(offset=(column + length, row))
    await run.pilot.mouse_up(offset=(column + length, row))


def test_what_is_selected_in_the_prompt_is_copied_too(home: Path, copied: list[str]) -> None:
    async def scene() -> None:
        async with chatting(home) as run:
            await run.write("some words here")
            run.chat.composer.prompt.action_select_all()
            assert await pressed(run, copied, "ctrl+c") == "some words here"
            assert not run.app._exit

    play(scene)


def test_a_link_is_copied_and_never_opened(home: Path, copied: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(webbrowser, "open", lambda *address, **_: opened.append(address))
    monkeypatch.setattr("llmchat_tui.app.ChatApp.open_url", lambda _app, url, **_: opened.append(url))

    async def scene() -> None:
        async with chatting(home, TEXT, size=(80, 40)) as run:
            await run.say("a question")
            lines = run.text().splitlines()
            row = next(row for row, line in enumerate(lines) if "a link" in line)
            await run.pilot.click(offset=(lines[row].index("a link") + 2, row))
            await run.until(lambda: bool(copied), "the address")
            assert copied == ["http://x.y/z?a=1#b"]
            assert opened == []

    play(scene)


HOSTILE = ("javascript:alert(1)", "file:///etc/passwd", "x')\"]app.quit", "http://x/%0d%1b]0;y", "#one", "")


def test_a_hostile_address_does_nothing_but_be_copied(home: Path, copied: list[str]) -> None:
    async def scene() -> None:
        replies = [f"see [the link](<{address}>) now" for address in HOSTILE]
        async with chatting(home, *replies) as run:
            for _ in HOSTILE:
                await run.say("a question")
                lines = run.text().splitlines()
                row = max(row for row, line in enumerate(lines) if "see" in line)
                await run.pilot.click(offset=(max(lines[row].find("the link"), 0) + 2, row))
                await run.settle()
                await run.press("escape")
                assert run.app.is_running and not run.app._exit
            assert all(not set(text) & set("\x1b\r") for text in copied)

    play(scene)


@pytest.mark.parametrize(
    "environ", [{}, {"PATH": ""}, {"PATH": "/nowhere", "DISPLAY": ":0", "WAYLAND_DISPLAY": "w", "TMUX": "t"}]
)
def test_without_any_tool_the_terminal_is_asked(home: Path, copied: list[str], environ: dict[str, str]) -> None:
    async def scene() -> None:
        async with chatting(home, "An answer.") as run:
            await run.say("a question")
            run.app.desk.environ = environ
            assert await pressed(run, copied, "up", "y") == "An answer."
            await run.until(lambda: "copied (terminal)" in run.notices(), "the notice")

    play(scene)


def test_a_tool_that_fails_is_no_failure_of_ours(home: Path, copied: list[str]) -> None:
    async def scene() -> None:
        async with chatting(home, "An answer.") as run:
            tool = home / "xclip"
            tool.write_text("#!/bin/sh\nexit 1\n")
            tool.chmod(0o755)
            await run.say("a question")
            run.app.desk.environ = {"PATH": str(home), "DISPLAY": ":0"}
            assert await pressed(run, copied, "up", "y") == "An answer."
            await run.until(lambda: "copied (terminal)" in run.notices(), "the notice")

    play(scene)


def test_nothing_to_copy_and_something_huge(home: Path, copied: list[str]) -> None:
    async def scene() -> None:
        async with chatting(home, "An answer.") as run:
            await run.say("a question")
            view = run.transcript.last_reply
            assert isinstance(view, ReplyView)
            view.post_message(Copied("", "message"))
            await run.until(lambda: "nothing to copy" in run.notices(), "the notice")
            assert copied == []
            view.post_message(Copied("x" * 200_000, "message"))
            await run.until(lambda: "many terminals cut" in run.notices(), "the warning")
            assert copied == ["x" * 200_000]

    play(scene)


def test_control_characters_are_not_copied(home: Path, copied: list[str]) -> None:
    async def scene() -> None:
        async with chatting(home, "rm -rf x\x1b[201~\rwhoami\u202e") as run:
            await run.say("a question")
            text = await pressed(run, copied, "up", "y")
            assert "whoami" in text and not set(text) & set("\x1b\r\u202e")

    play(scene)
