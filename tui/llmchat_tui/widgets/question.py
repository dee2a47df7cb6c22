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
        "message",
        leave_out=WALKING | {"continue_reply", "branch", "next_code", "sources", "tokens", "rate_up", "rate_down"},
    )
    DEFAULT_CSS = """
    QuestionView > .said { height: auto; color: $text; }
    QuestionView > .who { color: $text-accent; }
    """

    def __init__(self, text: str, message_id: str = "", sent: str = "") -> None:
        super().__init__(text, message_id, "You")
        self.sent = sent
        """What the model was given in its place; empty where that is the text."""
        self._folded = True

    def compose(self) -> ComposeResult:
        """Makes the two parts."""
        yield self.who
        yield Static(self._shown(), classes="said", markup=False)

    def action_unfold(self) -> None:
        """Shows all of a long question, and what it was sent as where that differs; or folds it."""
        self._folded = not self._folded
        self.query_one(".said", Static).update(self._shown())

    def show_sent(self, sent: str) -> None:
        """Takes what the model was given for the reply that is shown now; another reply may have asked otherwise."""
        self.sent = sent
        if not self._folded and self.is_mounted:
            self.query_one(".said", Static).update(self._shown())

    def _shown(self) -> Content:
        if self._folded:
            return Content(folded(self.text))
        said = Content(sanitize(self.text))
        if self.sent in ("", self.text):
            return said
        return Content.assemble(
            said, ("\n\nthe model was given:\n", "$text-accent"), (sanitize(self.sent), "$text-muted")
        )


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
