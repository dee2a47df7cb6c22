"""The list over the prompt with what the word at the cursor can become. Takes no focus; shows what it is given."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from llmchat_tui.completing import Choice
from llmchat_tui.sanitize import sanitize_line

MOST_ROWS = 6
_NAME_COLUMN = 18
"""Longest name that pushes the notes of all rows to the right: at 40 columns they still say something."""


class Completions(OptionList, can_focus=False, inherit_bindings=False):
    """The choices; hidden where there are none."""

    DEFAULT_CSS = """
    Completions, Completions:focus {
        display: none; height: auto; border: none; padding: 0; background: $panel; scrollbar-size-vertical: 1;
        scrollbar-background: $panel; scrollbar-background-hover: $panel; scrollbar-background-active: $panel;
        text-wrap: nowrap; text-overflow: ellipsis;
        & > .option-list--option-highlighted { color: $block-cursor-foreground; background: $block-cursor-background; }
    }
    Completions.-open { display: block; }
    """

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - the toolkit's name
        super().__init__(id=id, markup=False)
        self._choices: tuple[Choice, ...] = ()
        self.moved = False
        """Whether the user walked in the list, so that the choice is his."""

    @property
    def is_open(self) -> bool:
        """Whether there is something to choose."""
        return bool(self._choices)

    @property
    def choice(self) -> Choice | None:
        """The choice that the cursor is on."""
        at = self.highlighted
        return self._choices[at] if at is not None and at < len(self._choices) else None

    def show(self, choices: Sequence[Choice]) -> None:
        """Shows choices in place of those it shows; the cursor stays on the one that the user walked to."""
        if tuple(choices) == self._choices:
            return
        before = self.choice if self.moved else None
        self._choices = tuple(choices)
        self.clear_options()
        column = min(_NAME_COLUMN, max((len(choice.name) for choice in choices if choice.note), default=0))
        self.add_options([Option(_row(choice, column)) for choice in choices])
        self.moved = before in self._choices
        self.highlighted = self._choices.index(before) if before in self._choices else 0 if choices else None
        self.set_class(self.is_open, "-open")

    def move(self, by: int) -> None:
        """Moves the cursor; from one end it comes to the other."""
        self.moved = True
        self.highlighted = ((self.highlighted or 0) + by) % len(self._choices)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """Returns the rows: one for each choice, within a third of the screen."""
        return min(len(self._choices), MOST_ROWS, viewport.height // 3)


def _row(choice: Choice, column: int) -> Content:
    name = sanitize_line(choice.name)
    return Content.assemble(f"{name:<{column}}  ", (sanitize_line(choice.note), "$text-muted"))
