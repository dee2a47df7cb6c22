"""What the chat screen does with ratings: good, bad, neither, and why. Functions over the screen."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from llmchat_tui.errors import UsageError, UserError

if TYPE_CHECKING:
    from llmchat_tui.history import StoredMessage
    from llmchat_tui.screens.chat import ChatScreen

_RATINGS = {"+": 1, "-": -1}


def command(screen: ChatScreen, argument: str) -> None:
    """Takes `/rate`: a sign, and a note behind it if there is one.

    Raises:
        UsageError: it begins with no sign.
    """
    sign, note = argument[:1], argument[1:].strip()
    if sign not in _RATINGS:
        raise UsageError(f"{argument!r} is no rating", "+ is good and - is bad", "/rate - too long")
    rate(screen, screen.talk.leaf_id, _RATINGS[sign], note)


def rate(screen: ChatScreen, message_id: str, rating: int, note: str = "") -> None:
    """Rates a reply; the rating that it has already is taken away.

    Args:
        screen: the chat.
        message_id: the reply.
        rating: 1 is good, -1 is bad.
        note: why; a bad one is asked for it where it has none.
    """
    reply = _reply(screen, message_id)
    if reply is None:
        return
    taken_away = reply.rating == rating and not note
    _keep(screen, reply, 0 if taken_away else rating, note)
    if rating < 0 and not note and not taken_away:
        from llmchat_tui.screens.dialogs import TextScreen

        page = TextScreen("what is wrong with it? Esc leaves that open", reply.rating_note, "too long; not true; …")
        screen.app.push_screen(page, partial(_explain, screen, reply))


def _explain(screen: ChatScreen, reply: StoredMessage, note: str | None) -> None:
    if note is not None and note.strip():
        _keep(screen, reply, -1, note.strip())


def _reply(screen: ChatScreen, message_id: str) -> StoredMessage | None:
    """Returns a reply that has ended; tells where there is none."""
    try:
        message = screen.desk.history.tail(message_id, 1)[0] if message_id else None
    except UserError as error:
        screen.chat_app.tell_error(error)
        return None
    if message is None or message.role != "assistant":
        screen.chat_app.tell("there is no reply to rate yet", "warning")
    elif message.status == "streaming":
        screen.chat_app.tell("this reply is still being written", "warning")
    else:
        return message
    return None


def _keep(screen: ChatScreen, reply: StoredMessage, rating: int, note: str) -> None:
    """Keeps a rating with its reply, and shows it."""
    try:
        screen.desk.history.annotate(reply.id, {"rating": rating, "rating_note": note})
    except UserError as error:
        screen.chat_app.tell_error(error)
        return
    if view := screen.transcript.view_of(reply.id):
        view.who.show_rating(rating)
