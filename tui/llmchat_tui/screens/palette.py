"""Every command in the toolkit's palette, from the table in commands.py. The chat screen carries them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

from textual.binding import Binding, BindingType
from textual.command import CommandPalette, DiscoveryHit, Hit, Provider

from llmchat_tui.commands import COMMANDS, Call, Command
from llmchat_tui.screens.panel import live_key

if TYPE_CHECKING:
    from textual.command import Hits


class Commander(Protocol):
    """What a screen that offers commands can do."""

    def run_command(self, call: Call) -> None:
        """Carries out a command."""

    def begin_command(self, name: str) -> None:
        """Begins a command in the prompt, for the user to add what it needs."""


class Palette(CommandPalette):
    """The toolkit's palette over our commands; Ctrl+C closes it, as it does every page."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "escape", show=False, priority=True)]

    def __init__(self) -> None:
        super().__init__([ChatCommands], placeholder="Search for commands…")


class ChatCommands(Provider):
    """Finds commands by name and by what they do."""

    async def search(self, query: str) -> Hits:
        """Yields the commands that fit what was typed."""
        matcher = self.matcher(query)
        for command in COMMANDS:
            title = _title(command)
            score = max(matcher.match(text) for text in (title, *command.aliases))
            if score > 0:
                yield Hit(score, matcher.highlight(title), self._chosen(command), title, self._help(command))

    async def discover(self) -> Hits:
        """Yields all commands."""
        for command in COMMANDS:
            title = _title(command)
            yield DiscoveryHit(_plain(title), self._chosen(command), title, self._help(command))

    def _chosen(self, command: Command) -> Callable[[], None]:
        """Returns what choosing a command does."""
        screen = cast(Commander, self.screen)
        if command.needs_argument:
            return lambda: screen.begin_command(command.name)
        return lambda: screen.run_command(Call(command, ""))

    def _help(self, command: Command) -> str:
        """Returns the second line: the key that does the same, and how it is typed."""
        key = live_key(self.screen, command.action) if command.action else ""
        typed = f"/{command.name} {command.argument}".rstrip()
        return _plain(f"{typed}   {key}" if key else typed)


def _title(command: Command) -> str:
    return f"{command.name}: {command.help}"


def _plain(text: str) -> str:
    """Returns markup that reads as the text; the toolkit's own `escape` leaves `[WORDS]` a tag."""
    return text.replace("[", r"\[")
