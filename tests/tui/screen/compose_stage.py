"""A tiny app around the place to write: real keys, and every message that came out of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Key, Paste
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widgets import Static

from llmchat_tui.messages import Copied, DraftChanged, PromptLeft, Submitted
from llmchat_tui.themes import DARK, own_themes
from llmchat_tui.widgets.composer import Composer
from llmchat_tui.widgets.prompt import Prompt

_CHARACTERS = {"enter": "\r", "tab": "\t", "space": " ", "escape": "\x1b"}
ANYWHERE = ("ctrl+c", "ctrl+z", "ctrl+s", "ctrl+n", "ctrl+r", "ctrl+o", "ctrl+p", "ctrl+q", "escape", "f1", "f2", "f7")


class ComposeApp(App[None]):
    """Holds a composer, and remembers the messages and the keys that reached the screen."""

    ENABLE_COMMAND_PALETTE = False
    CSS = "#above { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding(key, f"note('{key}')", key) for key in ANYWHERE]

    def __init__(self, prompts: Sequence[str] = (), theme: str = DARK) -> None:
        super().__init__()
        self.composer = Composer(prompts=self.read)
        self.earlier = prompts
        self.reads = 0
        self.sent: list[str] = []
        self.drafts: list[str] = []
        self.copied: list[tuple[str, str]] = []
        self.left = 0
        self.noted: list[str] = []
        for own in own_themes():
            self.register_theme(own)
        self.theme = theme

    def read(self) -> Sequence[str]:
        self.reads += 1
        return self.earlier

    def compose(self) -> ComposeResult:
        yield Static("the messages", id="above")
        yield self.composer

    def on_mount(self) -> None:
        self.prompt.focus()

    @property
    def prompt(self) -> Prompt:
        return self.composer.prompt

    @property
    def shown(self) -> list[str]:
        """What the list of completions shows."""
        return [str(option.prompt) for option in self.composer.completions.options]

    def action_note(self, key: str) -> None:
        self.noted.append(key)

    def key_pageup(self) -> None:
        self.noted.append("pageup")

    def on_submitted(self, message: Submitted) -> None:
        self.sent.append(message.text)

    def on_draft_changed(self, message: DraftChanged) -> None:
        self.drafts.append(message.text)

    def on_copied(self, message: Copied) -> None:
        self.copied.append((message.text, message.what))

    def on_prompt_left(self, _message: PromptLeft) -> None:
        self.left += 1

    @contextmanager
    def suspend(self) -> Iterator[None]:
        """Gives no terminal away: there is none."""
        yield


Steps = Callable[[Pilot[None], ComposeApp], Awaitable[None]]


def play(steps: Steps, size: tuple[int, int] = (80, 24), app: ComposeApp | None = None) -> ComposeApp:
    """Runs steps and returns the app as it was left."""
    stage = app or ComposeApp()

    async def run() -> None:
        async with stage.run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            await steps(pilot, stage)

    asyncio.run(run())
    return stage


def keys(*pressed: str) -> Steps:
    """Returns steps that press keys."""

    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await hit(pilot, app, *pressed)

    return steps


async def hit(pilot: Pilot[None], app: ComposeApp, *pressed: str) -> None:
    """Presses keys as the terminal's driver does, many times as fast as the pilot."""
    for key in pressed:
        character = _CHARACTERS.get(key, key if len(key) == 1 else None)
        app.post_message(Key(_character_to_key(key) if len(key) == 1 else key, character))
    await pilot.pause()


async def write(pilot: Pilot[None], app: ComposeApp, text: str) -> None:
    """Types a text."""
    await hit(pilot, app, *text)


async def paste(pilot: Pilot[None], app: ComposeApp, text: str) -> None:
    """Pastes as a terminal does."""
    app.post_message(Paste(text))
    await pilot.pause()


async def strike(app: ComposeApp, key: str) -> None:
    """Has the prompt handle a key at once."""
    event = Key(key, key if len(key) == 1 else None)
    await app.prompt.on_key(event)
    if not event._no_default_action:
        await app.prompt._on_key(event)
