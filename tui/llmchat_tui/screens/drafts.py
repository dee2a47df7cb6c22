"""Several drafts of a reply side by side while they grow; ends with the one that the chat goes on with.

Paints from what `Talks` was told. As many columns as fit stand beside one another; the others are a key away.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from llmchat_tui.drafts import Drafts
from llmchat_tui.messages import Copied
from llmchat_tui.screens.panel import Panel
from llmchat_tui.widgets.draft_view import SIGNS, DraftText, DraftView

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.events import DescendantFocus, Resize

LEAST_COLUMNS = 36
"""Of a draft: two stand side by side on 80 columns, three on 120."""
PAINT_SECONDS = 1 / 20
REST = 3
"""One draft is painted at a time, and that may take at most one part in so many and one of the time."""
_MOST_APART = 9
"""Drafts whose signs stand apart in the line of all: sixteen would not fit on 80 columns so."""
_LONGEST_PAINT = 0.4
"""Seconds until the next one while it is not known how long the last one took."""


class DraftsScreen(Panel[int | None]):
    """Shows the drafts; ends with the number of the one that was chosen, or with None."""

    DEFAULT_CSS = """
    DraftsScreen > #panel { max-width: 100%; height: 100%; padding: 0 1; }
    DraftsScreen > #panel > .heading { height: 1; text-wrap: nowrap; text-overflow: ellipsis; margin: 0 0 1 1; }
    DraftsScreen.-low > #panel > .heading { display: none; }
    DraftsScreen #strip { height: auto; max-height: 2; margin: 0 0 1 1; color: $text-muted; display: none; }
    DraftsScreen #strip.-some { display: block; }
    DraftsScreen.-low #strip { margin-bottom: 0; }
    DraftsScreen #columns { height: 1fr; }
    DraftsScreen KeyLine { margin-left: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "stop all, then close"),
        Binding("ctrl+enter,f8", "answer_now", "answer now", id="answer_now"),
        *(Binding(str(number), f"choose({number - 1})", show=False) for number in range(1, 10)),
    ]

    def __init__(
        self,
        question: str,
        drafts: Drafts,
        stop: Callable[[int | None], None],
        conclude: Callable[[int], None] = lambda _number: None,
    ) -> None:
        """Shows nothing yet.

        Args:
            question: what they answer.
            drafts: what comes of them.
            stop: stops one, or all.
            conclude: closes the thought of one, so that it is answered now.
        """
        super().__init__(question)
        self._drafts, self._stop, self._conclude = drafts, stop, conclude
        self._views = [DraftView(draft) for draft in drafts.each]
        self._at = drafts.chosen
        self._next_paint = 0.0
        self._thought = False
        """Whether one thought at the last look."""

    def compose_body(self) -> ComposeResult:
        """Yields the line of all drafts, and the columns."""
        yield Static("", id="strip", markup=False)
        with Horizontal(id="columns"):
            yield from self._views

    def on_mount(self) -> None:
        """Goes to the first draft and begins to paint."""
        self._arrange(self.app.size.width)
        self._views[self._at].body.focus()
        self.set_interval(PAINT_SECONDS, self._paint)

    def on_resize(self, event: Resize) -> None:
        """Shows as many as fit."""
        self._arrange(event.size.width)

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Follows the focus."""
        if isinstance(event.widget, DraftText):
            self._at = event.widget.number
            self._write_strip()

    async def on_draft_text_wanted(self, message: DraftText.Wanted) -> None:
        """Does what a key asks of a draft."""
        match message.action:
            case "choose_draft":
                self.action_choose(message.number)
            case "next_draft":
                self._go(message.number + 1)
            case "previous_draft":
                self._go(message.number - 1)
            case "stop_draft" if self._views[message.number].draft.state == "growing":
                self._stop(message.number)
            case "copy_draft":
                self.post_message(Copied(self._views[message.number].draft.text, "draft"))

    def action_choose(self, number: int) -> None:
        """Ends with a draft; one in which nothing was said cannot be gone on with."""
        if number >= self._drafts.count:
            return
        if self._drafts.each[number].is_empty:
            self.notify("nothing was said in this draft", severity="warning", markup=False)
        else:
            self.dismiss(number)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Returns whether a key does something now: a thought can be closed only while one grows."""
        if action == "answer_now":
            return self._drafts.think
        return super().check_action(action, parameters)

    def action_answer_now(self) -> None:
        """Has the draft of the focus close its thought and answer."""
        self._conclude(self._at)

    def action_leave(self) -> None:
        """Stops all drafts; closes the page when none grows."""
        if self._drafts.growing:
            self._stop(None)
        else:
            self.dismiss(None)

    def _go(self, number: int) -> None:
        """Goes to a draft, round at the ends."""
        self._at = number % self._drafts.count
        self._arrange(self.app.size.width)
        self._views[self._at].body.focus()

    def _arrange(self, width: int) -> None:
        """Shows the column of the focus and as many beside it as fit."""
        count = self._drafts.count
        fitting = max(1, min(count, (width - 2) // LEAST_COLUMNS))
        shown = [view.draft.number for view in self._views if view.display]
        start = shown[0] if len(shown) == fitting else 0
        start = min(max(start, self._at - fitting + 1), self._at, count - fitting)
        for view in self._views:
            view.display = start <= view.draft.number < start + fitting
        self.query_one("#strip").set_class(fitting < count, "-some")
        self._write_strip()

    def _write_strip(self) -> None:
        """Writes the line of all drafts, for those that have no room beside the others."""
        gap = " " if self._drafts.count <= _MOST_APART else ""
        parts = (
            (f"{gap}{draft.number + 1}{gap}{SIGNS[draft.state]} ", "$text-accent bold" * (draft.number == self._at))
            for draft in self._drafts.each
        )
        self.query_one("#strip", Static).update(Content.assemble(*parts))

    async def _paint(self) -> None:
        """Shows how all go, and what came of the one that was not painted for the longest time."""
        for view in self._views:
            view.tell()
        self._write_strip()
        if self._drafts.think != self._thought:
            self._thought = self._drafts.think
            self.refresh_bindings()
        now = time.monotonic()
        behind = [view for view in self._views if view.display and view.is_behind]
        if not behind or now < self._next_paint:
            return
        view = min(behind, key=lambda view: view.painted_at)
        view.painted_at, self._next_paint = now, now + _LONGEST_PAINT
        await view.catch_up()
        self.call_after_refresh(self._rest, now)

    def _rest(self, began: float) -> None:
        now = time.monotonic()
        self._next_paint = now + REST * (now - began)
