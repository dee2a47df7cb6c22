"""A line for the path of a folder or a file: what it may become is shown behind the cursor, and Tab takes it.

Looks at directories in a thread. Knows nothing of what the path is for.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.suggester import Suggester

from llmchat_tui.file_matches import entries_of, here
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens.panel import SafeInput


class PathInput(SafeInput):
    """The line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "ok"),
        Binding("tab", "complete", "complete"),
    ]

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, compact=True, suggester=Paths(use_cache=False))

    def action_complete(self) -> None:
        """Takes what is suggested; goes on where nothing is."""
        if self._suggestion and self.cursor_at_end:
            self.action_cursor_right()
        else:
            self.screen.focus_next()


class Paths(Suggester):
    """Suggests what a path may become: the first entry of its directory that goes on from it."""

    async def get_suggestion(self, value: str) -> str | None:
        """Returns the whole path; None where no entry goes on."""
        entries = await asyncio.to_thread(entries_of, value, here())
        # Some of them fit without beginning with it, and a name may hold what a line cannot show.
        return next((path for path in entries if path.startswith(value) and sanitize_line(path) == path), None)
