"""What the chat screen does with the tokens of a reply: opening their page, and branching from one of them.

Functions over the screen. Knows neither how they are scored nor how the page looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from llmchat_tui.errors import UserError
from llmchat_tui.screens.attempts import Attempt

if TYPE_CHECKING:
    from llmchat_engine import Spec
    from llmchat_tui.growing import Beginning
    from llmchat_tui.history import StoredMessage
    from llmchat_tui.screens.chat import ChatScreen
    from llmchat_tui.talk import Talk
    from llmchat_tui.token_view import ScoredReply


def show(screen: ChatScreen, message_id: str) -> None:
    """Opens the tokens of a reply, or says why there are none to show."""
    talk, spec = screen.talk, screen.chat_app.spec
    try:
        reply = screen.desk.history.tail(message_id, 1)[0] if message_id else None
    except UserError as error:
        screen.chat_app.tell_error(error)
        return
    if talk.running:
        screen.chat_app.tell("a reply is being written; Esc stops it", "warning")
    elif reply is None or reply.role != "assistant" or not (reply.text or reply.token_ids):
        screen.chat_app.tell("there is no reply whose tokens could be shown", "warning")
    elif spec is None:
        screen.chat_app.tell("there is no model yet; choose one: Ctrl+O", "warning")
    else:
        _open(screen, talk, reply, spec)


def _open(screen: ChatScreen, talk: Talk, reply: StoredMessage, spec: Spec) -> None:
    from llmchat_tui.screens.tokens import TokensScreen
    from llmchat_tui.token_scoring import TokenScoring, progress_of

    try:
        engine = screen.desk.make_engine(spec)
    except UserError as error:
        screen.chat_app.tell_error(error)
        return
    scoring = TokenScoring(engine, screen.desk.documents)

    def ask() -> Iterator[str | ScoredReply]:
        with closing(engine):
            turn = screen.talks.turn_of(talk, reply)
            created_at = screen.desk.history.conversation(reply.conversation_id).created_at
            for event in scoring.run(turn, reply, created_at):
                if told := progress_of(event):
                    yield told

    screen.app.push_screen(TokensScreen(ask, scoring.cancel), partial(_branch, screen, talk, reply))


async def _branch(screen: ChatScreen, talk: Talk, reply: StoredMessage, begins: Beginning | None) -> None:
    """Has another reply begin with tokens of this one."""
    if begins is not None and talk is screen.talk and not talk.running:
        await screen.try_again(Attempt("branch", begins.text, reply, begins=begins))
