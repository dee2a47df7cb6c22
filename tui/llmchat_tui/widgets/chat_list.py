"""The list of chats with its search field. Reads titles and hits through what it is given; opens nothing itself."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from llmchat_tui.bindings import bindings_of
from llmchat_tui.history import Conversation, Hit
from llmchat_tui.messages import OpenChat
from llmchat_tui.sanitize import sanitize_line

PAGE = 200
"""Chats read at a time; the next page comes when the end of the list is reached."""
_WIDE = 120
"""From so many columns on, the list takes more room while it shows what was found."""
_BEFORE = 12
"""Characters of a snippet that stand before its match."""
_DAY = 86_400
_SPACE = " " * 4


@dataclass(frozen=True, slots=True)
class Found:
    """What the list shows."""

    chats: Sequence[Conversation] = ()
    hits: Sequence[Hit] = ()


Look = Callable[[str, int], Found]
"""Returns what fits a query, or the newest chats where it is empty; the number is how many chats at most."""


class ChatOptions(OptionList):
    """The chats; its keys work while it has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_of("chats", leave_out=frozenset({"open_chat"}))

    @dataclass
    class Wanted(Message):
        """A key asks for something to be done with a chat."""

        action: str
        conversation_id: str

    def _ask(self, action: str) -> None:
        option = self.highlighted_option
        if action == "undo_delete" or (option and option.id):
            self.post_message(self.Wanted(action, _split(option.id)[0] if option and option.id else ""))

    def action_rename_chat(self) -> None:
        """Asks for another title."""
        self._ask("rename_chat")

    def action_delete_chat(self) -> None:
        """Asks to delete the chat."""
        self._ask("delete_chat")

    def action_undo_delete(self) -> None:
        """Asks to take back the last deletion."""
        self._ask("undo_delete")

    def action_search_field(self) -> None:
        """Goes to the search field."""
        self.screen.query_one("#chat-search").focus()


class ChatList(Vertical):
    """Search field and list."""

    DEFAULT_CSS = """
    ChatList {
        width: 30; height: 1fr; background: $panel; padding: 0 1;
        &.-searching { width: 44; }
        & > Input { height: 1; border: none; padding: 0; background: $panel; }
        & > Input:focus { background: $surface; }
        & > ChatOptions, & > ChatOptions:focus { border: none; }
        & > ChatOptions { height: 1fr; padding: 0; background: $panel; scrollbar-size-vertical: 1; }
        & > ChatOptions { text-wrap: nowrap; text-overflow: ellipsis; }
    }
    """

    def __init__(self, look: Look, name: str | None = None) -> None:
        super().__init__(name=name, id="chat-list")
        self._look = look
        self._limit = PAGE
        self._marks: dict[str, str] = {}
        self._current = ""
        self._looking = False
        self._open_first = False
        """Enter came before what was searched for."""

    def compose(self) -> ComposeResult:
        """Makes field and list."""
        yield Input(placeholder="/ search", id="chat-search", compact=True)
        yield ChatOptions(id="chat-options", markup=False)

    @property
    def query_text(self) -> str:
        """What is searched for."""
        return self.query_one("#chat-search", Input).value

    def focus_search(self) -> None:
        """Goes to the search field."""
        self.query_one("#chat-search", Input).focus()

    def search_for(self, words: str) -> None:
        """Puts words into the search field."""
        self.query_one("#chat-search", Input).value = words

    def show(self, current: str, marks: dict[str, str]) -> None:
        """Reads the list anew.

        Args:
            current: the chat that is shown.
            marks: a sign behind the chats that are being written or have something new.
        """
        self._current, self._marks = current, marks
        self.reload()

    def reload(self) -> None:
        """Looks in a thread: a search over 100,000 messages takes longer than a frame."""
        query, limit = self.query_text.strip(), self._limit
        self._looking = True

        def look() -> None:
            self.call_later(self._fill, query, self._look(query, limit))

        self.run_worker(look, thread=True, group="look", exclusive=True, exit_on_error=False)

    def _fill(self, query: str, found: Found) -> None:
        if query != self.query_text.strip():
            return
        self._looking = False
        options = self.query_one(ChatOptions)
        before = options.highlighted_option.id if options.highlighted_option and options.has_focus else None
        options.clear_options()
        options.add_options(self._options(query, found))
        options.highlighted = self._place(options.options, before or ("" if query else self._current))
        if self._open_first:
            self._open_first = False
            options.action_select()

    def _place(self, options: Sequence[Option], wanted: str) -> int | None:
        """Returns the place of the chat where the user was, or of the one that is shown; else the first chat's."""
        usable = [at for at, option in enumerate(options) if not option.disabled]
        return next((at for at in usable if options[at].id == wanted), usable[0] if usable else None)

    def _options(self, query: str, found: Found) -> list[Option]:
        if not found.chats and not found.hits:
            return [Option(Content("nothing found" if query else "no chats yet"), disabled=True)]
        made, day = [], ""
        for chat in found.chats:
            if not query and (label := day_of(chat.updated_at)) != day:
                day = label
                made.append(Option(Content.styled(label, "dim"), disabled=True))
            made.append(Option(self._line(chat), id=chat.id))
        for hit in found.hits:
            prompt = self._line(hit.conversation)
            if hit.snippet.strip() != hit.conversation.title:
                snippet = sanitize_line(around(hit.snippet, query))[:200]
                prompt = Content("\n").join([prompt, Content.styled(f"  {snippet}", "dim")])
            made.append(Option(prompt, id=f"{hit.conversation.id}/{hit.message_id}"))
        return made

    def _line(self, chat: Conversation) -> Content:
        mark = self._marks.get(chat.id, "")
        here = "▌" if chat.id == self._current else " "
        return Content(f"{here}{mark and mark + ' '}{sanitize_line(chat.title)}")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Searches as the user types."""
        event.stop()
        self.set_class(bool(event.value.strip()) and self.app.size.width >= _WIDE, "-searching")
        self._limit = PAGE
        self.reload()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Opens what is highlighted."""
        event.stop()
        if self._looking:
            self._open_first = True
        else:
            self.query_one(ChatOptions).action_select()

    def on_key(self, event: object) -> None:
        """Down from the field walks into the list."""
        key = getattr(event, "key", "")
        if key == "down" and self.query_one("#chat-search").has_focus:
            self.query_one(ChatOptions).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Asks for the chat to be shown."""
        event.stop()
        if event.option_id:
            self.query_one("#chat-search", Input).value = ""
            self.post_message(OpenChat(*_split(event.option_id)))

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Reads on when the end is reached."""
        event.stop()
        count = self.query_one(ChatOptions).option_count
        if not self.query_text and event.option_index == count - 1 and count >= self._limit:
            self._limit += PAGE
            self.reload()


def _split(option_id: str) -> tuple[str, str]:
    conversation_id, _, message_id = option_id.partition("/")
    return conversation_id, message_id


def around(snippet: str, query: str) -> str:
    """Returns a snippet from a word or two before the first match on, for the list is too narrow for all of it."""
    terms = [_folded(term) for term in query.split()]
    words = snippet.split()
    match = next((at for at, word in enumerate(words) if any(term in _folded(word) for term in terms)), 0)
    start = match
    while start and len(" ".join(words[start - 1 : match])) <= _BEFORE:
        start -= 1
    return ("…" if start else "") + " ".join(words[start:])


def _folded(text: str) -> str:
    """Returns a text as the search compares it: without case and accents."""
    plain = unicodedata.normalize("NFD", text.casefold())
    return "".join(char for char in plain if not unicodedata.combining(char))


def day_of(seconds: float, now: float | None = None) -> str:
    """Returns the heading that a chat stands under: today, yesterday, this week, or its month."""
    try:
        today = time.localtime(time.time() if now is None else now)
        midnight = time.mktime((*today[:3], 0, 0, 0, 0, 0, -1))
        if seconds >= midnight:
            return "Today"
        if seconds >= midnight - _DAY:
            return "Yesterday"
        if seconds >= midnight - 6 * _DAY:
            return "This week"
        return time.strftime("%B %Y", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):  # a clock that jumped far
        return "Some day"
