"""What is thought before an answer, on stderr: dim and sanitised on a terminal, exact anywhere else.

Also every chain of a vote, on demand. Knows no engine and no turn.
"""

from __future__ import annotations

from collections.abc import Iterator

from llmchat_engine.prompting.vote import Chain, Polled
from llmchat_tui.console import Console
from llmchat_tui.sanitize import sanitize_line


class Thoughts:
    """Writes thoughts as they come; on a terminal a blank line stands between them and the answer."""

    def __init__(self, console: Console, *, shown: bool = True) -> None:
        """Writes nothing yet, and with `shown` off never."""
        self._console, self._shown = console, shown and not console.look.quiet
        self._terminal = console.look.stderr_is_terminal
        self._held = self._last = ""
        self._tokens = 0

    def write(self, text: str, tokens: int = 0) -> None:
        """Writes the next piece; on a terminal without the line breaks around all of it.

        Args:
            text: the piece.
            tokens: so many it has; where it is not shown, a status line counts them.
        """
        self._tokens += tokens
        if not self._shown and tokens:
            self._console.status(f"thinking, {self._tokens:,} token{'s' * (self._tokens != 1)}")
        if not self._shown:
            return
        if self._terminal:
            text = self._held + text if self._last else text.lstrip("\n")
            body = text.rstrip("\n")
            text, self._held = body, text[len(body) :]
        if text:
            self._console.aside(text)
            self._last = text[-1]

    def finish(self) -> None:
        """Ends the thought; does nothing where none was written."""
        if not self._last:
            return
        end = "\n\n" if self._terminal else "" if self._last == "\n" else "\n"
        self._console.aside(end)
        self._held = self._last = ""


def chain_lines(polled: Polled) -> Iterator[str]:
    """Yields every chain of a vote that has ended: a heading, and what it says."""
    for chain in polled.chains:
        yield f"--- chain {chain.number + 1} of {polled.total} → {_answer(chain)} · {chain.tokens:,} tokens ---"
        yield chain.thought.strip("\n")


def _answer(chain: Chain) -> str:
    return sanitize_line(chain.answer) if chain.key else "no answer"
