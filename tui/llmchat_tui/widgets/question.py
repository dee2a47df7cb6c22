"""A question of the transcript, as plain text; a long one is folded. Knows no engine and no database."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from llmchat_tui.bindings import bindings_of
from llmchat_tui.sanitize import sanitize
from llmchat_tui.widgets.message import WALKING, MessageView

FOLD_LINES = 24
FOLD_CHARACTERS = 4_000


class QuestionView(MessageView):
    """A question, as plain text; a long one is folded."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_of(
        "message", leave_out=WALKING | {"continue_reply", "branch", "next_code", "sources"}
    )
    DEFAULT_CSS = """
    QuestionView > .said { height: auto; color: $text; }
    QuestionView > .who { color: $text-accent; }
    """

    def __init__(self, text: str, message_id: str = "") -> None:
        super().__init__(text, message_id, "You")
        self._folded = True

    def compose(self) -> ComposeResult:
        """Makes the two parts."""
        yield self.who
        yield Static(Content(self._shown()), classes="said", markup=False)

    def action_unfold(self) -> None:
        """Shows all of a long question, or folds it."""
        self._folded = not self._folded
        self.query_one(".said", Static).update(Content(self._shown()))

    def _shown(self) -> str:
        return folded(self.text) if self._folded else sanitize(self.text)


def folded(text: str) -> str:
    """Returns a text with its middle left out where it is long: documents stand first and the question last."""
    lines = sanitize(text).splitlines()
    if len(lines) <= FOLD_LINES and len(text) <= FOLD_CHARACTERS:
        return "\n".join(lines)
    half = FOLD_LINES // 3
    if len(lines) <= FOLD_LINES:
        clean, side = "\n".join(lines), FOLD_CHARACTERS // 2
        middle = f"… {len(clean) - 2 * side:,} more characters (Enter shows all) …"
        return "\n".join((clean[:side], middle, clean[-side:]))
    head = [line[:300] for line in lines[:half]]
    tail = [line[:300] for line in lines[-half:]]
    return "\n".join([*head, f"… {len(lines) - 2 * half:,} more lines (Enter shows all) …", *tail])
