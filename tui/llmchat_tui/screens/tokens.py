"""A reply token by token: how likely each one was, what nearly came in its place, and a branch from there.

Shows what it is told by a thread that asks the engine; begins no turn itself, and ends with what a branch begins with.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from llmchat_engine import EngineError
from llmchat_rag.errors import RagError
from llmchat_tui.errors import UserError
from llmchat_tui.growing import Beginning
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens.panel import Panel, is_open
from llmchat_tui.token_view import ScoredReply, beginning, choices_of, facts_of, refusal
from llmchat_tui.widgets.alternatives import Alternatives
from llmchat_tui.widgets.ending import short_name
from llmchat_tui.widgets.token_text import TokenText

if TYPE_CHECKING:
    from textual.app import ComposeResult

_LEGEND = Content.assemble(
    "probability ",
    ("0.9 and more", "$text"),
    "  ",
    ("0.6", "$text-success"),
    "  ",
    ("0.3", "bold $text-warning"),
    "  ",
    ("0.1", "underline $text-warning"),
    "  ",
    ("less", "bold underline $text-error"),
)


@dataclass
class Told(Message):
    """The thread has news: how far it is, the reply, or why there is none."""

    news: str | ScoredReply | UserError | EngineError | RagError


class TokensScreen(Panel[Beginning | None]):
    """Shows the tokens; ends with what a branch begins with, or with None."""

    DEFAULT_CSS = """
    TokensScreen > #panel { max-width: 120; height: 100%; }
    TokensScreen > #panel > .heading { margin-bottom: 0; }
    TokensScreen.-low > #panel > .heading { display: none; }
    TokensScreen Static { height: auto; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    TokensScreen #note { color: $text-warning; text-wrap: wrap; }
    TokensScreen #note.-empty { display: none; }
    TokensScreen #legend { margin-bottom: 1; }
    TokensScreen #facts { margin-top: 1; }
    TokensScreen.-low #summary, TokensScreen.-low #legend { display: none; }
    TokensScreen.-low #facts { margin-top: 0; }
    TokensScreen.-waits TokenText, TokensScreen.-waits Alternatives { display: none; }
    TokensScreen.-waits #facts, TokensScreen.-waits #legend { display: none; }
    TokensScreen.-waits #summary { display: block; }
    """
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1)", "before", show=False),
        Binding("right,l", "move(1)", "behind", show=False),
        Binding("n", "unlikely(1)", "next unlikely", show=False),
        Binding("N", "unlikely(-1)", "unlikely before", show=False),
    ]

    def __init__(self, ask: Callable[[], Iterator[str | ScoredReply]], cancel: Callable[[], None]) -> None:
        """Shows nothing yet.

        Args:
            ask: yields how far it is, then the scored reply; called in a thread.
            cancel: stops it; called in a thread.
        """
        super().__init__("Tokens of this reply")
        self._ask, self._cancel = ask, cancel
        self._scored: ScoredReply | None = None
        self.text, self.others = TokenText(), Alternatives()

    def compose_body(self) -> ComposeResult:
        """Yields the reply in numbers, its text, and what is known of the token at the cursor."""
        self.add_class("-waits")
        yield Static("asking the model", id="summary", markup=False)
        yield Static("", id="note", classes="-empty", markup=False)
        yield Static(_LEGEND, id="legend", markup=False)
        yield self.text
        yield Static("", id="facts", markup=False)
        yield self.others

    def on_mount(self) -> None:
        """Begins to ask."""
        self.run_worker(self._work, thread=True, group="tokens", exit_on_error=False)

    def _work(self) -> None:
        try:
            for news in self._ask():
                self.post_message(Told(news))
        except (UserError, EngineError, RagError) as error:
            self.post_message(Told(error))

    def on_told(self, message: Told) -> None:
        """Takes the news of the thread."""
        if not is_open(self):
            return
        summary = self.query_one("#summary", Static)
        if isinstance(message.news, str):
            summary.update(Content(message.news))
        elif isinstance(message.news, ScoredReply):
            self._show(message.news)
        else:
            summary.update(Content(sanitize_line(f"{message.news}; {message.news.hint}".rstrip("; "))))

    def _show(self, scored: ScoredReply) -> None:
        if not scored.tokens:
            self.query_one("#summary", Static).update(Content("there is no text to read"))
            return
        self._scored = scored
        self.query_one("#summary", Static).update(Content(f"{short_name(scored.model.name)} · {scored.summary}"))
        if not scored.is_own:
            note = self.query_one("#note", Static)
            note.set_class(False, "-empty")
            note.update(Content(sanitize_line(scored.origin)))
        self.remove_class("-waits")
        self.text.focus()
        self.text.show(scored.tokens)

    def on_token_text_moved(self, message: TokenText.Moved) -> None:
        """Shows what is known of the token at the cursor."""
        if self._scored is None:
            return
        told = self._scored.tokens[message.token].told
        place = f"token {message.token + 1:,} of {len(self._scored.tokens):,}"
        self.query_one("#facts", Static).update(Content(f"{facts_of(told)} · {place}"), layout=False)
        self.others.show(choices_of(told), told.id)

    def on_token_text_left(self) -> None:
        """Goes to the alternatives."""
        self.others.focus()

    def on_alternatives_left(self) -> None:
        """Goes back to the text."""
        self.text.focus()

    def on_alternatives_chosen(self, message: Alternatives.Chosen) -> None:
        """Ends with the tokens before the cursor and the one that was chosen."""
        if self._scored is None:
            return
        if why := refusal(self._scored, self.text.cursor, message.choice):
            self.notify(sanitize_line(why), severity="warning", markup=False)
        else:
            self.dismiss(beginning(self._scored, self.text.cursor, message.choice))

    def action_move(self, tokens: int) -> None:
        """Moves the cursor of the text from wherever the focus is."""
        if self._scored:
            self.text.action_move(tokens)

    def action_unlikely(self, direction: int) -> None:
        """Goes to the next unlikely token from wherever the focus is."""
        if self._scored:
            self.text.action_unlikely(direction)

    def action_leave(self) -> None:
        """Closes the page; what is still being asked is stopped."""
        if self._scored is None:
            # No worker of this page: those that have not begun go with it.
            threading.Thread(target=self._cancel, daemon=True).start()
        super().action_leave()
