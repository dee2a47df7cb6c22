"""What questions and replies of the transcript share: who wrote, which version is shown, and the keys of a message.

Asks for what its keys mean by posting messages. Knows no engine and no database.
"""

from __future__ import annotations

from textual.app import RenderResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget

from llmchat_tui.messages import Again, Copied, EditMessage, SiblingWanted
from llmchat_tui.sanitize import sanitize_line

WALKING = frozenset({"previous_message", "next_message", "first_message", "last_message"})
"""Actions on messages that are the transcript's."""
_RATINGS = {1: "  +", -1: "  −"}


class WhoLine(Widget):
    """Who wrote a message, and at the right end which of its versions this one is."""

    DEFAULT_CSS = "WhoLine { height: 1; color: $text-muted; }"

    def __init__(self, who: str) -> None:
        super().__init__(classes="who")
        self._who, self._place, self._rating = who, "", 0

    def name_writer(self, who: str) -> None:
        """Says who wrote."""
        self._who = who
        self.refresh()

    def show_rating(self, rating: int) -> None:
        """Shows what the user thinks of it; 0 says nothing."""
        self._rating = rating
        self.refresh()

    def show_place(self, number: int, count: int) -> None:
        """Shows that this is one of several versions; a single one says nothing."""
        self._place = f"‹ {number}/{count} ›" if count > 1 else ""
        self.refresh()

    def render(self) -> RenderResult:
        """Returns the line, the place at its right end."""
        room = self.content_size.width - len(self._place)
        rating = _RATINGS.get(self._rating, "")
        who = Content(sanitize_line(self._who) + rating).truncate(max(0, room - 1), ellipsis=True, pad=True)
        return Content.assemble(who, " ", (self._place, "$text-accent"))


class MessageView(Vertical, can_focus=True):
    """One message: focus, copying, asking again, going to another version of it."""

    DEFAULT_CSS = """
    MessageView {
        height: auto; padding: 0 1 0 1; margin: 0 0 1 0; border-left: blank;
        &:focus { border-left: outer $accent; background: $surface; }
        & > .note { color: $text-muted; }
        & > .note.-amber { color: $text-warning; }
        & > .note.-red { color: $text-error; }
        & > .note.-empty { display: none; }
    }
    """

    def __init__(self, text: str, message_id: str, who: str) -> None:
        super().__init__()
        self.text = text
        """The exact text; what is shown of it is sanitised."""
        self.message_id = message_id
        """Empty until the message is on disk."""
        # Held and not looked for: news of a message may come when its view has just been taken away.
        self.who = WhoLine(who)

    def action_again(self) -> None:
        """Asks for another reply."""
        self.post_message(Again(self.message_id))

    def action_edit(self) -> None:
        """Asks to change the message."""
        self.post_message(EditMessage(self.message_id))

    def action_previous_sibling(self) -> None:
        """Asks for the version before this one."""
        self.post_message(SiblingWanted(self.message_id, -1))

    def action_next_sibling(self) -> None:
        """Asks for the version behind this one."""
        self.post_message(SiblingWanted(self.message_id, 1))

    def action_copy_message(self) -> None:
        """Copies the message, or the code block that is picked."""
        self.post_message(Copied(self.text, "message"))

    def action_unfold(self) -> None:
        """Shows all of a long message."""
