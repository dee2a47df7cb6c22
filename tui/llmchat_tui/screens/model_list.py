"""The widgets of the page of models: the field that filters and takes references and paths, and the list.

Both hand what the user wants to the page; know nothing of models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, cast

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import OptionList

from llmchat_tui.bindings import bindings_of
from llmchat_tui.screens.panel import SafeInput

if TYPE_CHECKING:
    from textual.events import Key


class ListPage(Protocol):
    """What the list needs of its page."""

    def can(self, action: str) -> bool:
        """Returns whether an action makes sense for the row under the cursor."""

    def moved(self) -> None:
        """The cursor is on another row."""


class ModelFilter(SafeInput):
    """The field; the arrows walk the list while it keeps the focus, Enter takes the row under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "use"),
        Binding("up", "to_list", "list", show=False),
        Binding("down", "to_list", "list"),
    ]

    def action_to_list(self) -> None:
        """Goes to the list, where there is one."""
        self.screen.query_one(ModelList).focus()


class ModelList(OptionList):
    """The list; what is typed on it and is no key goes to the field."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings_of("models"),
        # The same key, by the user's own choice too: on a download that runs it says what it does there.
        Binding("x,delete", "stop_pull", "stop", id="remove_model"),
    ]

    class Wanted(Message):
        """Something is to be done with the row under the cursor."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Returns whether a key works for the row under the cursor."""
        return cast(ListPage, self.screen).can(action) if self.is_mounted else True

    def watch_highlighted(self, highlighted: int | None) -> None:
        """Has the keys of the row shown that the cursor is on now."""
        super().watch_highlighted(highlighted)
        if self.is_mounted:
            cast(ListPage, self.screen).moved()

    def action_use_model(self) -> None:
        """Takes the row under the cursor."""
        self.action_select()

    def action_default_model(self) -> None:
        """Takes the model under the cursor for every start."""
        self.post_message(self.Wanted("default_model"))

    def action_model_details(self) -> None:
        """Opens all that is known of the model."""
        self.post_message(self.Wanted("model_details"))

    def action_verify_model(self) -> None:
        """Reads all of it."""
        self.post_message(self.Wanted("verify_model"))

    def action_remove_model(self) -> None:
        """Removes it."""
        self.post_message(self.Wanted("remove_model"))

    def action_stop_pull(self) -> None:
        """Stops a download."""
        self.post_message(self.Wanted("stop_pull"))

    def action_resume_pull(self) -> None:
        """Goes on with a download."""
        self.post_message(self.Wanted("resume_pull"))

    def action_search_hub(self) -> None:
        """Opens the page of the hub."""
        self.post_message(self.Wanted("search_hub"))

    def action_filter_models(self) -> None:
        """Goes to the field; what is typed next takes the place of what stands there."""
        field = self.screen.query_one(ModelFilter)
        field.focus()
        field.action_select_all()

    def action_cursor_up(self) -> None:
        """Goes up, from the first row to the field."""
        if self.highlighted in (None, 0):
            self.action_filter_models()
        else:
            super().action_cursor_up()

    def on_key(self, event: Key) -> None:
        """Begins to filter."""
        if event.is_printable and event.character and event.key not in self.screen.active_bindings:
            field = self.screen.query_one(ModelFilter)
            field.focus()
            field.insert_text_at_cursor(event.character)
            event.stop()
