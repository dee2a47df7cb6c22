"""All that is known of one model without loading it: shape, tensors, memory at several contexts, where it came from.

The facts are those of `llmchat show` (model_card.py); its file is read in a thread. The chat template has a page to
itself: it can be long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from llmchat_engine import EngineError
from llmchat_tui.messages import Copied
from llmchat_tui.model_card import Card
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens.help import Entries, Entry
from llmchat_tui.screens.panel import Panel, is_open

if TYPE_CHECKING:
    from textual.app import ComposeResult


class CardRead(Message):
    """The file was read, or cannot be."""

    def __init__(self, card: Card | None, problem: str = "") -> None:
        super().__init__()
        self.card, self.problem = card, problem


class ModelDetailsScreen(Panel[None]):
    """Shows the card of a model."""

    DEFAULT_CSS = """
    ModelDetailsScreen > #panel { max-width: 100; height: 100%; max-height: 50; }
    ModelDetailsScreen VerticalScroll { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "template", "chat template"),
        Binding("y", "copy_all", "copy all"),
    ]

    def __init__(self, name: str, read: Callable[[], Card]) -> None:
        """Reads nothing yet.

        Args:
            name: of the model.
            read: returns its card; called in a thread.
        """
        super().__init__(name)
        self._read = read
        self._card: Card | None = None

    def compose_body(self) -> ComposeResult:
        """Yields the scroll, which is filled when the file was read."""
        with VerticalScroll():
            yield Static("reading its header …", classes="hint", id="waiting", markup=False)

    def on_mount(self) -> None:
        """Reads the file."""
        self.run_worker(self._work, thread=True, exit_on_error=False)

    async def on_card_read(self, message: CardRead) -> None:
        """Shows the card."""
        if not is_open(self):
            return
        self._card = message.card
        if message.card is None:
            self.query_one("#waiting", Static).update(Content(sanitize_line(message.problem)))
            return
        await self.query_one("#waiting").remove()
        await self.query_one(VerticalScroll).mount(Entries(list(entries_of(message.card))))
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Returns whether a key does something: there may be no template, and no card."""
        if action in ("template", "copy_all"):
            return self._card is not None and (action == "copy_all" or bool(self._card.template))
        return super().check_action(action, parameters)

    def action_template(self) -> None:
        """Opens the chat template."""
        from llmchat_tui.screens.info import InfoScreen

        if self._card:
            self.app.push_screen(InfoScreen(f"chat template of {self._card.name}", self._card.template))

    def action_copy_all(self) -> None:
        """Copies the card as text."""
        if self._card:
            self.post_message(Copied(card_text(self._card), "details"))

    def _work(self) -> None:
        try:
            self.post_message(CardRead(self._read()))
        except EngineError as error:
            self.post_message(CardRead(None, f"{error}"))


def entries_of(card: Card) -> Iterator[Entry]:
    """Yields the lines of a card, a heading before those of each section."""
    for section in card.sections:
        yield Entry("", section.heading.capitalize())
        for one in section.lines:
            yield Entry(one.label, one.value)
    yield Entry("", "Chat template")
    size = len(card.template)
    yield Entry("template", f"{size:,} characters; t shows it" if size else "none: prompts are written as ChatML")


def card_text(card: Card) -> str:
    """Returns a card as text."""
    parts = ([section.heading, *(f"  {one.label}: {one.value}" for one in section.lines)] for section in card.sections)
    return "\n".join([card.name, *(text for lines in parts for text in lines)])
