"""A tiny app to try one screen in: real keys, a result, and every message that reached the app."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from textual.app import App
from textual.events import Key
from textual.keys import _character_to_key, key_to_character
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget

from llmchat_tui.messages import Copied
from llmchat_tui.themes import DARK, LIGHT, own_themes

SIZES = [(40, 10), (80, 24), (200, 60)]
THEMES = [DARK, LIGHT]
EVIL = "a\x1b[31mb\x9bc [red]d[/red] [@click=app.quit]e[/] [/x] \u202ef\u2066g \r\x07\x00h [/"
"""What a name or an error may hold: escapes, C1, markup, reversed text."""
WAIT = 5.0
_ROUNDS = 4
"""A key makes a message, its handler another, that one a new layout, and the layout a scroll."""


class Stage(App[None]):
    """Shows one screen and remembers what came of it."""

    def __init__(self, screen: Screen[Any], theme: str = DARK) -> None:
        super().__init__()
        self.animation_level = "none"
        self.shown = screen
        self.results: list[Any] = []
        self.copied: list[Copied] = []
        for own in own_themes():
            self.register_theme(own)
        self.theme = theme

    def on_mount(self) -> None:
        self.push_screen(self.shown, self.results.append)

    def on_copied(self, message: Copied) -> None:
        self.copied.append(message)


class Hand:
    """Presses keys and waits until every message they caused was handled.

    The toolkit's own pilot waits for the processor to be idle, some 100 ms a key on a page of many rows.
    """

    def __init__(self, pilot: Pilot[None]) -> None:
        self._pilot = pilot

    async def press(self, *keys: str) -> None:
        app = self._pilot.app
        for key in keys:
            name = _character_to_key(key) if len(key) == 1 and not key.isalnum() else key
            event = Key(name, key if len(key) == 1 else key_to_character(name))
            event.set_sender(app)
            app.post_message(event)
            await self.pause()

    async def pause(self) -> None:
        app = self._pilot.app
        for _ in range(_ROUNDS):
            focused = app.screen.focused
            for node in (app, app.screen, *(focused.ancestors_with_self if focused else ())):
                handled = asyncio.Event()
                if node.call_later(handled.set):
                    await asyncio.wait_for(handled.wait(), WAIT)
            app.screen._on_timer_update()

    async def settle(self) -> None:
        """Waits for every widget of a new page."""
        await self._pilot.pause()

    async def resize_terminal(self, width: int, height: int) -> None:
        await self._pilot.resize_terminal(width, height)
        await self.settle()


Steps = Callable[[Hand, Stage], Awaitable[None]]


def play(screen: Screen[Any], steps: Steps, size: tuple[int, int] = (80, 24), theme: str = DARK) -> Stage:
    """Runs steps in an app that shows a screen; returns the app as it was left."""

    async def run() -> Stage:
        app = Stage(screen, theme)
        async with app.run_test(size=size) as pilot:
            hand = Hand(pilot)
            await hand.settle()
            await steps(hand, app)
        return app

    return asyncio.run(run())


def answers(screens: Iterable[tuple[Screen[Any], Iterable[str]]], size: tuple[int, int] = (80, 24)) -> list[list[Any]]:
    """Returns what each of some screens ended with after its keys; nothing where it is still open."""
    found: list[list[Any]] = []

    async def steps(hand: Hand, app: Stage) -> None:
        for screen, keys in screens:
            app.results = []
            await app.push_screen(screen, app.results.append)
            await hand.settle()
            await hand.press(*keys)
            found.append(app.results)
            if app.screen is screen:
                await app.pop_screen()

    play(Screen(), steps, size)
    return found


def press(*keys: str) -> Steps:
    """Returns steps that press keys."""

    async def steps(hand: Hand, app: Stage) -> None:
        await hand.press(*keys)

    return steps


async def until(hand: Hand | Pilot[None], true: Callable[[], bool]) -> None:
    """Waits for something that a thread brings about."""
    end = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.002)
        await hand.pause()


def painted(app: App[Any]) -> str:
    """Returns what stands on the screen, line by line."""
    strips = app.screen._compositor.render_strips(app.screen.size)
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def words(app: App[Any]) -> str:
    """Returns what stands on the screen as one line, for texts that may be wrapped."""
    return " ".join(painted(app).replace("\u00a0", " ").split())


def assert_harmless(app: App[Any]) -> None:
    """Checks that nothing on the screen would act on a terminal, and that markup is plain text."""
    shown = painted(app)
    assert not [char for char in shown if char != "\n" and (ord(char) < 32 or 0x7F <= ord(char) < 0xA0)]
    assert not set(shown) & set("\u202e\u2066\r")


def in_sight(app: App[Any], widget: Widget) -> bool:
    """Returns whether some of a widget is on the screen and not scrolled away."""
    placed = app.screen.find_widget(widget)
    return bool(placed.region.intersection(placed.clip).area)


async def assert_walk(hand: Hand, app: Stage) -> None:
    """Walks through everything that takes the focus and checks that it is in sight."""
    for _ in range(len(app.screen.focus_chain)):
        await hand.press("tab")
        focused = app.screen.focused
        assert focused is not None
        await until(hand, partial(in_sight, app, focused))  # a scroll may be on its way
