"""What could have come in place of a token: the likeliest tokens with bars, and the cursor that chooses one.

Knows no engine and no text around them; posts the one that was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from llmchat_engine.answers import Candidate
from llmchat_tui.gauge import bar
from llmchat_tui.piece_text import visible
from llmchat_tui.token_view import in_digits, probability

_TEXT_CELLS = 16
_LONGEST_BAR = 40
_DIGITS = 6


class Alternatives(Widget, can_focus=True):
    """A list of at most a dozen lines."""

    DEFAULT_CSS = """
    Alternatives { height: auto; max-height: 33%; }
    Alternatives > .alternative--cursor { color: $block-cursor-foreground; background: $block-cursor-background; }
    Alternatives:ansi > .alternative--cursor { text-style: reverse; background: ansi_default; color: ansi_default; }
    """
    COMPONENT_CLASSES = {"alternative--cursor"}  # noqa: RUF012 - the toolkit's own way to name parts
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "branch from here"),
        Binding("tab,shift+tab", "leave_list", "text"),
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
    ]
    cursor: reactive[int] = reactive(0)

    @dataclass
    class Chosen(Message):
        """A token was chosen."""

        choice: Candidate

    class Left(Message):
        """The user goes back to the text."""

    def __init__(self) -> None:
        super().__init__()
        self._choices: Sequence[Candidate] = ()
        self._own = -1
        self._most = 0
        """Lines of the longest list so far: the text above does not move with each token."""

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Returns the lines of the longest list."""
        del container, viewport, width
        return self._most

    def show(self, choices: Sequence[Candidate], own: int) -> None:
        """Shows other tokens.

        Args:
            choices: the likeliest first.
            own: the id of the one that came.
        """
        self._choices, self._own = choices, own
        self.set_reactive(Alternatives.cursor, 0)
        self.refresh(layout=len(choices) > self._most)
        self._most = max(self._most, len(choices))

    def validate_cursor(self, cursor: int) -> int:
        """Keeps the cursor on a line."""
        return max(0, min(cursor, len(self._choices) - 1))

    def action_move(self, lines: int) -> None:
        """Moves the cursor."""
        self.cursor += lines

    def action_choose(self) -> None:
        """Chooses the token at the cursor."""
        if self._choices:
            self.post_message(self.Chosen(self._choices[self.cursor]))

    def action_leave_list(self) -> None:
        """Goes back to the text."""
        self.post_message(self.Left())

    def on_click(self, event: Click) -> None:
        """Moves the cursor to a line; a second click chooses it."""
        if event.y < len(shown := self._shown()):
            self.cursor = shown[event.y]
            if event.chain > 1:
                self.action_choose()

    def _shown(self) -> list[int]:
        """Returns the numbers that have room: with the cursor's, or else with the token that came."""
        height = self.size.height
        first = max(0, self.cursor - height + 1) if self.has_focus else 0
        shown = list(range(first, min(len(self._choices), first + height)))
        own = next((at for at, choice in enumerate(self._choices) if choice.id == self._own), -1)
        return [*shown[:-1], own] if shown and own > shown[-1] and not self.has_focus else shown

    def render(self) -> RenderResult:
        """Returns the lines that have room."""
        return Content("\n").join(map(self._line, self._shown()))

    def _line(self, at: int) -> Content:
        choice, width = self._choices[at], self.size.width
        share = probability(choice)
        text = Content(visible(choice.text)).truncate(min(_TEXT_CELLS, width // 3), ellipsis=True, pad=True)
        sign = "●" if choice.id == self._own else " "
        numbers = f" {in_digits(share):<{_DIGITS}} "
        room = min(_LONGEST_BAR, width - 2 - text.cell_length - len(numbers))
        line = Content.assemble(
            (f"{sign} ", "$text-accent"),
            text,
            (numbers, "$text-muted"),
            (bar(share, max(0, room)).rstrip("░"), "$text-accent"),
        )
        if at == self.cursor and self.has_focus:
            return (
                Content(line.plain)
                .pad_right(max(0, width - line.cell_length))
                .stylize(self.get_visual_style("alternative--cursor"))
            )
        return line
