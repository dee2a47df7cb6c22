"""A group whose commands are imported when they are called; their help lines are known before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group of commands that are named, not imported."""

    def __init__(self, *, lazy: Mapping[str, tuple[str, str]], **attributes: Any) -> None:
        """Imports nothing.

        Args:
            lazy: from a command's name to where it is, as "module:attribute", and its line of help.
            attributes: those of any group.
        """
        super().__init__(**attributes)
        self._lazy = lazy

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Returns the names in order."""
        return sorted(self._lazy)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Imports a command."""
        if name not in self._lazy:
            return None
        module_name, attribute = self._lazy[name][0].split(":")
        module = __import__(module_name, fromlist=[attribute])
        command: click.Command = getattr(module, attribute)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands without importing any."""
        if not self._lazy:
            return
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(self._lazy.items())])
