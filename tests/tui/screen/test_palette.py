"""The palette finds every command and hands it to the screen it was opened on."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar

from textual.app import App
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.content import Content
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, OptionList

from llmchat_tui.bindings import bindings_of
from llmchat_tui.commands import COMMANDS, Call
from llmchat_tui.screens.palette import ChatCommands


class Chat(Screen[None]):
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("anywhere")

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, str]] = []

    def run_command(self, call: Call) -> None:
        self.calls.append((call.command.name, call.argument))

    def begin_command(self, name: str) -> None:
        self.calls.append((name, "…"))


def chosen(*queries: str) -> list[tuple[str, str]]:
    """Returns what became of each of some words typed into the palette."""

    async def run() -> list[tuple[str, str]]:
        app: App[None] = App()
        async with app.run_test() as pilot:
            chat = Chat()
            await app.push_screen(chat)
            for query in queries:
                await app.push_screen(CommandPalette(providers=[ChatCommands]))
                await pilot.pause()
                app.screen.query_one(Input).value = query
                await settle(app, pilot, query)
                await pilot.press("enter")
            return chat.calls

    return asyncio.run(run())


async def settle(app: App[None], pilot: Pilot[None], query: str) -> None:
    """Waits until the palette has found something; its first hit is then chosen by Enter."""
    end = time.monotonic() + 5
    while not (options := app.screen.query_one(OptionList)).option_count or app.workers._workers:
        assert time.monotonic() < end, f"nothing was found for {query}"
        await pilot.pause(0.02)
    options.highlighted = 0


def test_a_command_is_run_or_begun_where_it_needs_more() -> None:
    assert chosen("stats", "theme", "rename", "regen") == [("stats", ""), ("theme", ""), ("rename", "…"), ("again", "")]


def test_everything_is_offered_with_its_key() -> None:
    async def run() -> dict[str, str | None]:
        app: App[None] = App()
        async with app.run_test() as pilot:
            chat = Chat()
            await app.push_screen(chat)
            app.update_keymap({"new_chat": "ctrl+b"})
            await pilot.pause()
            provider = ChatCommands(chat)
            return {str(hit.text): hit.help async for hit in provider.discover()}

    offered = asyncio.run(run())
    assert len(offered) == len(COMMANDS)
    assert offered["new: begin a new chat"] == "/new   ^B"
    assert offered["help: keys and commands"] == "/help   F1"
    for command in COMMANDS:
        shown = Content.from_markup(offered[f"{command.name}: {command.help}"] or "").plain
        assert shown.startswith(f"/{command.name} {command.argument}".rstrip())
