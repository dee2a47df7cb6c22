"""Several answers on stdout, one under the other: each under a separator, once it and those before it have ended.

Knows no engine and no turn; what came of each is drafts.py's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from llmchat_tui.cli.render import AnswerWriter, write_out
from llmchat_tui.cli.thoughts import Thoughts
from llmchat_tui.drafts import Draft, Drafts
from llmchat_tui.events import TurnEvent


class Answers:
    """Prints several answers in the order of their numbers; two at once could not be read."""

    def __init__(self, count: int, out: BinaryIO, writer: Callable[[], AnswerWriter], thoughts: Thoughts) -> None:
        """Prints nothing yet.

        Args:
            count: so many will come.
            out: stdout.
            writer: returns what writes one of them.
            thoughts: where what was thought before each goes.
        """
        self.drafts = Drafts(count)
        self._out, self._writer, self._thoughts = out, writer, thoughts
        self._next = 0

    def take(self, event: TurnEvent) -> None:
        """Takes what was told, and prints what can be.

        Raises:
            ClosedOutput: where the reader is gone.
            StorageUnwritable: where the file behind stdout cannot take more.
        """
        self.drafts.take(event)
        while self._next < self.drafts.count and self.drafts.each[self._next].state != "growing":
            self._print_next()

    def write(self, text: str) -> None:
        """Does nothing: each answer is printed when it is whole."""

    def finish(self) -> None:
        """Prints what is left, as far as it came.

        Raises:
            ClosedOutput: where the reader is gone.
            StorageUnwritable: where the file behind stdout cannot take more.
        """
        while self._next < self.drafts.count:
            self._print_next()

    @property
    def status(self) -> str:
        """How far they are."""
        tokens = sum(draft.tokens for draft in self.drafts.each)
        ended = self.drafts.count - len(self.drafts.growing)
        return f"{ended} of {self.drafts.count} answers, {tokens:,} token{'s' * (tokens != 1)}"

    def _print_next(self) -> None:
        draft: Draft = self.drafts.each[self._next]
        self._next += 1
        if not (draft.text or draft.thought):
            return
        write_out(self._out, f"--- answer {draft.number + 1} of {self.drafts.count} ---\n")
        self._thoughts.write(draft.thought)
        self._thoughts.finish()
        writer = self._writer()
        writer.write(draft.text)
        writer.finish()
