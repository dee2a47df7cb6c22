"""Walks through the chat for pictures: opens each page, and waits until nothing on the screen changes any more.

Knows the keys of the chat and no picture's name. Used by the snapshots and by docs/screenshots.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from docs.picture import picture
from tests.tui.screen.chatting import Chatting
from textual.command import CommandList
from textual.widgets import Input

from llmchat_tui.commands import COMMANDS, Call
from llmchat_tui.messages import ModelNews
from llmchat_tui.presence import Counted, Wish
from llmchat_tui.widgets.chat_list import ChatOptions

_LOOKS = 3
"""The screen must be the same so many times in a row."""
_FRAME_SECONDS = 0.02
"""A little more than the toolkit waits before it paints."""
_ROUNDS = 50
"""Turns of the loop: on a busy machine a frame can pass in which hardly a message was handled."""


@dataclass(frozen=True)
class Walk:
    """A walk through one run of the chat."""

    run: Chatting
    shown: Mapping[str, str] = field(default_factory=dict)
    """Texts that are replaced in pictures, as paths of this machine."""

    async def look(self) -> str:
        """Returns a picture of the screen once it is at rest."""
        self.run.app.animation_level = "none"
        for line in self.run.app.screen.query(Input):
            line.cursor_blink = False
        await self._next_frame()
        await self.run.until(self._is_at_rest, "a screen at rest")
        self.run.app.screen.refresh()  # whoever read its text had it rendered without what is under it
        looks = [""]
        while len(looks) < _LOOKS or len(set(looks[-_LOOKS:])) > 1:
            self._refresh_scrollbars()
            await self._next_frame()
            looks.append(picture(self.run.app, self.shown))
        return looks[-1]

    async def _next_frame(self) -> None:
        await asyncio.sleep(_FRAME_SECONDS)
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)

    def _refresh_scrollbars(self) -> None:
        """Has scrollbars painted: where a scroll holds on to its bottom, the toolkit moves them without a word."""
        for widget in (widget for screen in self.run.app.screen_stack for widget in screen.query("*")):
            if widget.show_vertical_scrollbar:
                widget.vertical_scrollbar.refresh()

    def _is_at_rest(self) -> bool:
        """Returns whether all that runs in threads is there, and asks for the gauge: the same wish rests only once."""
        run = self.run
        if any(worker.is_running for worker in run.app.workers) or run.chat.chat_list._looking:
            return False
        run.chat.count()
        return run.app.model is None or self._is_counted()

    def _is_counted(self) -> bool:
        talk = self.run.chat.talk
        wish = Wish(talk.leaf_id, talk.system, self.run.draft, talk.running is not None, recipe=talk.recipe)
        told = (message.news for message in reversed(self.run.messages) if isinstance(message, ModelNews))
        counted = next((news for news in told if isinstance(news, Counted)), None)
        return counted is not None and counted.wish == wish

    async def resize(self, width: int, height: int) -> None:
        """Changes the size of the terminal."""
        await self.run.pilot.resize_terminal(width, height)
        await self.run.settle()

    @property
    def is_covered(self) -> bool:
        """Whether a page lies over the chat."""
        return self.run.app.screen is not self.run.chat

    async def open(self, key: str) -> None:
        """Opens a page with its key."""
        await self.run.press(key)
        await self.run.until(lambda: self.is_covered, f"the page of {key}")

    async def open_command(self, name: str) -> None:
        """Opens a page with a slash command; it is not typed, since it would be counted as a draft for a moment."""
        self.run.chat.run_command(Call.named(name))
        await self.run.until(lambda: self.is_covered, f"the page of /{name}")

    async def open_palette(self) -> None:
        """Opens the command palette and waits for all its lines."""
        await self.open("ctrl+p")
        page = self.run.app.screen
        await self.run.until(
            lambda: any(found.option_count == len(COMMANDS) for found in page.query(CommandList)), "the commands"
        )

    async def leave(self) -> None:
        """Goes back to the chat."""
        await self.run.press("escape")
        await self.run.until(lambda: not self.is_covered, "the chat")

    async def search(self, words: str, hits: int) -> None:
        """Searches all chats."""
        await self.run.press("ctrl+r")
        await self.run.until(lambda: self.run.chat.query_one("#chat-search").has_focus, "the field")
        await self._next_frame()  # on taking the focus it selects what is in it
        self.run.chat.chat_list.search_for(words)
        options = self.run.chat.query_one(ChatOptions)
        await self.run.until(lambda: options.option_count == hits, "what was searched for")

    async def end_search(self) -> None:
        """Goes back to the prompt."""
        self.run.chat.chat_list.search_for("")
        await self.run.press("escape")
        await self.run.until(lambda: self.run.chat.composer.prompt.has_focus, "the prompt")

    async def new_chat(self) -> None:
        """Begins a new chat."""
        await self.run.press("ctrl+n")
        await self.run.until(lambda: not self.run.chat.talk.conversation_id, "a new chat")

    async def stop(self) -> None:
        """Stops the reply; a queued message is taken back first."""
        if self.run.chat.talk.queued:
            await self.run.press("escape")
            await self.run.until(lambda: not self.run.chat.talk.queued, "the queued message")
        await self.run.press("escape")
        await self.run.until(lambda: self.run.chat.talk.running is None, "the end of the reply")
