"""One of several drafts as a column: its number and how it goes, and its text while it grows.

Shows what it is told and asks for the rest by posting a message. Knows no engine, no chat and no other column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from llmchat_tui.bindings import bindings_of
from llmchat_tui.drafts import Draft
from llmchat_tui.widgets.answer import Answer

SIGNS = {"growing": "…", "complete": "✓", "stopped": "■", "failed": "✗"}
_CUT = {"max_tokens": "cut at max_tokens", "context": "cut: the context is full"}


def standing(draft: Draft) -> str:
    """Returns how a draft goes or went, in a few words."""
    count = f"{draft.tokens:,} token{'s' * (draft.tokens != 1)}" if draft.tokens else ""
    speed = draft.tokens / draft.seconds if draft.seconds else 0.0
    if draft.thinks:
        return f"thinking… {count}"
    how = f"{speed:,.0f} tok/s" if draft.state == "growing" and speed else _CUT.get(draft.reason, "")
    if draft.state in ("stopped", "failed"):
        how = draft.state if draft.text else f"{draft.state} before a word came"
    return " · ".join(part for part in (count, how) if part)


class DraftView(Vertical):
    """A column."""

    DEFAULT_CSS = """
    DraftView {
        width: 1fr; height: 1fr; padding: 0 0 0 1; border-left: blank;
        &:focus-within { border-left: outer $accent; background: $panel 50%; }
        & > .head { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
        &:focus-within > .head { color: $text-accent; text-style: bold; }
        & > DraftText { height: 1fr; scrollbar-size-vertical: 1; padding-right: 1; }
        & > DraftText > Answer { min-height: 100%; }
    }
    DraftView:ansi:focus-within { background: ansi_default; }
    """

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft
        self.painted_at = 0.0
        """When it was painted last."""
        self.answer = Answer(growing=True)
        self.body = DraftText(draft.number, self.answer)
        """What takes the focus."""
        self._head = Static("", classes="head", markup=False)
        self._standing = ""
        self._shown = 0
        self._is_whole = False

    def compose(self) -> ComposeResult:
        """Makes the line and the text."""
        yield self._head
        yield self.body

    @property
    def is_behind(self) -> bool:
        """Whether there is something that was not painted."""
        return self._shown < len(self.draft.text) or (self.draft.state != "growing" and not self._is_whole)

    def tell(self) -> None:
        """Shows how it goes."""
        draft = self.draft
        line = f"{draft.number + 1} {SIGNS[draft.state]} {standing(draft)}"
        if line != self._standing:
            self._standing = line
            self._head.update(Content(line))

    async def catch_up(self) -> None:
        """Paints what came; at its end the whole once more, since pieces of Markdown can be misread on the way."""
        draft, text = self.draft, self.draft.text
        if draft.state == "growing":
            await self.answer.append(text[self._shown :])
        else:
            self.answer.growing = False
            await self.answer.update(text)
            self._is_whole = True
        self._shown = len(text)


class DraftText(VerticalScroll, can_focus=True, inherit_bindings=False):
    """The text of a draft; its keys are for the draft."""

    @dataclass
    class Wanted(Message):
        """A key of a draft was pressed."""

        action: str
        number: int

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings_of("drafts"),
        Binding("up,k", "scroll_up", "up", show=False),
        Binding("down,j", "scroll_down", "down", show=False),
        Binding("pageup", "page_up", "page up", show=False),
        Binding("pagedown,space", "page_down", "page down", show=False),
        Binding("home,g", "scroll_home", "top", show=False),
        Binding("end,G", "scroll_end", "bottom", show=False),
    ]

    def __init__(self, number: int, answer: Answer) -> None:
        super().__init__(answer)
        self.number = number

    def on_mount(self) -> None:
        """Holds on to the bottom until the user scrolls."""
        self.anchor()

    def _want(self, action: str) -> None:
        self.post_message(self.Wanted(action, self.number))

    def action_choose_draft(self) -> None:
        """Asks to go on with it."""
        self._want("choose_draft")

    def action_next_draft(self) -> None:
        """Asks for the next one."""
        self._want("next_draft")

    def action_previous_draft(self) -> None:
        """Asks for the one before."""
        self._want("previous_draft")

    def action_stop_draft(self) -> None:
        """Asks to stop it."""
        self._want("stop_draft")

    def action_copy_draft(self) -> None:
        """Asks to copy it."""
        self._want("copy_draft")
