"""Walks through the chat for pictures: opens each page, and waits until nothing on the screen changes any more.

Knows the keys of the chat and no picture's name. Used by the snapshots and by docs/screenshots.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from docs.picture import picture
from tests.tui.screen.chatting import Chatting
from textual.command import CommandList
from textual.widgets import Input

from llmchat_tui.commands import COMMANDS
from llmchat_tui.messages import ModelNews
from llmchat_tui.presence import Counted, Wish
from llmchat_tui.widgets.chat_list import ChatOptions

_LOOKS = 2
"""The screen must be the same so many times in a row: one message can cause a few more."""


@dataclass(frozen=True)
class Walk:
    """A walk through one run of the chat."""

    run: Chatting
    shown: Mapping[str, str] = field(default_factory=dict)
    """Texts that are replaced in pictures, as paths of this machine."""

    async def look(self) -> str:
        """Returns a picture of the screen once it is at rest; a reply that streams may go on."""
        run = self.run
        run.app.animation_level = "none"
        for line in run.app.screen.query(Input):
            line.cursor_blink = False
        await run.settle()
        if run.app.model is not None:
            await run.until(self._is_counted, "the count of the context")
        await run.until(lambda: not run.chat.chat_list._looking, "the list of chats")
        looks: list[str] = []
        while len(looks) < _LOOKS or (run.chat.talk.running is None and len(set(looks[-_LOOKS:])) > 1):
            await run.pilot.pause()
            looks.append(picture(run.app, self.shown))
        return looks[-1]

    def _is_counted(self) -> bool:
        """Returns whether the gauge is up to date, and asks for it: a second wish that is the same rests no longer."""
        self.run.chat.count()
        talk = self.run.chat.talk
        wish = Wish(talk.leaf_id, talk.system, self.run.draft, talk.running is not None)
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

    async def open_command(self, text: str) -> None:
        """Opens a page with a slash command."""
        await self.run.write(text)
        await self.open("enter")

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
        """Stops the reply."""
        await self.run.press("escape")
        await self.run.until(lambda: self.run.chat.talk.running is None, "the end of the reply")
