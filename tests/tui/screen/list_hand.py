"""A hand in the list of chats: looks at its lines, puts the cursor on one, searches. Knows no single test."""

from __future__ import annotations

from tests.tui.screen.chatting import Chatting
from textual.widgets import Input
from textual.widgets.option_list import Option

from llmchat_tui.widgets.chat_list import ChatOptions

WIDE = (120, 30)


def options(run: Chatting) -> ChatOptions:
    return run.chat.chat_list.query_one(ChatOptions)


def lines(run: Chatting) -> list[str]:
    """Returns the lines of the list."""
    return [plain(option) for option in options(run).options]


def plain(option: Option) -> str:
    return str(option.prompt).strip("▌ \n")


def highlighted(run: Chatting) -> str:
    option = options(run).highlighted_option
    return plain(option) if option else ""


async def in_list(run: Chatting, title: str) -> None:
    """Puts the cursor of the list on a chat."""
    options(run).focus()
    at = next(at for at, line in enumerate(lines(run)) if line.startswith(title))
    options(run).highlighted = at
    await run.pilot.pause()


async def search(run: Chatting, words: str) -> None:
    """Types into the search field and waits for what is found."""
    await run.press("ctrl+r")
    field = run.chat.chat_list.query_one(Input)
    await run.until(lambda: field.has_focus, "the field")
    await run.press(*words)
    await run.until(lambda: field.value == words, "the words")
    await run.settle()
