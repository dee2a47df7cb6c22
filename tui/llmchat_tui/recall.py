"""A walk through earlier messages, with the unsent draft at its newer end. Knows no screen and no database."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Prompts = Callable[[], Sequence[str]]
"""Returns what was sent before, the newest first."""


class Recall:
    """Where the walk stands, and what was written on the way."""

    def __init__(self, prompts: Prompts) -> None:
        self._read = prompts
        self._prompts: Sequence[str] | None = None
        """Read when a walk begins for the first time after a message was sent."""
        self._at = -1
        """Index into the prompts; -1 is the draft."""
        self._left: dict[int, str] = {}
        """How the user left each place of this walk."""

    def older(self, draft: str) -> str | None:
        """Returns the next older message, or None where there is none.

        Args:
            draft: what the prompt holds; it is there again when the walk comes back.
        """
        if self._prompts is None:
            self._prompts = self._read()
        return self._go(self._at + 1, draft)

    def newer(self, draft: str) -> str | None:
        """Returns the next newer message, at last the draft, or None where the walk has not begun."""
        return self._go(self._at - 1, draft)

    def end(self) -> None:
        """Ends the walk: what the prompt holds is a draft of its own."""
        self._at = -1
        self._left.clear()

    def sent(self) -> None:
        """Ends the walk; the messages are read again for the next one."""
        self.end()
        self._prompts = None

    def _go(self, at: int, draft: str) -> str | None:
        if self._prompts is None or not -1 <= at < len(self._prompts):
            return None
        self._left[self._at] = draft
        self._at = at
        return self._left[at] if at in self._left else self._prompts[at]
