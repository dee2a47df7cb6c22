"""The chats that are open and the turns that run in them, each turn in a thread of its own. Headless.

A thread only walks `turn.run` and tells what it yields; `settle`, called by whoever owns the screen's thread, is the
one place where an open chat changes. Knows no screen, no keys and no SQL.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from llmchat_engine import Engine, EngineError, Sampling, Token
from llmchat_engine.prompting.vote import Polled
from llmchat_rag.errors import RagError
from llmchat_tui.documents import Asked, Documents
from llmchat_tui.drafts import Drafts
from llmchat_tui.errors import UserError
from llmchat_tui.events import Abstained, Ended, Grounded, Started
from llmchat_tui.growing import Beginning
from llmchat_tui.history import Begun, Conversation, History, StoredMessage
from llmchat_tui.overflow import Overflow
from llmchat_tui.recipe import PLAIN, Recipe, recipe_of
from llmchat_tui.talk import Failed, News, Running, Talk
from llmchat_tui.turn import Turn, run
from llmchat_tui.turn_making import TurnMaker


class Talks:
    """Opens chats, starts and stops turns. All methods belong to one thread, the one that calls `settle`."""

    def __init__(
        self,
        history: History,
        make_engine: Callable[[], Engine],
        sampling: Callable[[], Sampling],
        tell: Callable[[News], None],
        *,
        overflow: Callable[[], Overflow] = lambda: "ask",
        store: Callable[[], bool] = lambda: True,
        documents: Documents | None = None,
        asked: Callable[[], Asked] = Asked,
    ) -> None:
        """Opens nothing yet.

        Args:
            history: where chats are kept.
            make_engine: returns an engine of the model that is chosen now; each turn gets its own connection.
            sampling: returns the sampling of the settings, which a chat's own goes over.
            tell: takes news from any thread.
            overflow: returns what becomes of the oldest turns when the context is full. Where that is to ask, such a
                turn ends as `Failed(ContextOverflow, None)`, and may be begun again with another word for it.
            store: returns whether the engine may keep its cache of the chats on disk.
            documents: where chats that have collections look for answers.
            asked: returns how documents are searched, by the settings.
        """
        self._history, self._make_engine, self._tell, self._documents = history, make_engine, tell, documents
        self._turns = TurnMaker(history, sampling, overflow, store, asked if documents else None)
        self._open: dict[str, Talk] = {}
        self._threads: list[threading.Thread] = []

    def running(self) -> list[Talk]:
        """Returns the chats whose reply is still coming."""
        return [talk for talk in self._open.values() if talk.running]

    def all(self) -> list[Talk]:
        """Returns the chats that are open."""
        return list(self._open.values())

    def get(self, key: str) -> Talk | None:
        """Returns an open chat."""
        return self._open.get(key)

    def of_conversation(self, conversation_id: str) -> Talk | None:
        """Returns the open chat that is this one on disk."""
        return next((talk for talk in self._open.values() if talk.conversation_id == conversation_id), None)

    def begin(
        self,
        system: str = "",
        sampling: Mapping[str, Any] | None = None,
        collections: Sequence[str] = (),
        recipe: Recipe = PLAIN,
    ) -> Talk:
        """Returns a new chat; it is on disk once something was asked."""
        own = dict(sampling or {})
        return self.keep(Talk(system=system, sampling=own, collections=tuple(collections), recipe=recipe))

    def open(self, conversation: Conversation) -> Talk:
        """Returns a chat from disk; where a turn runs in it, the one it runs in."""
        if known := self.of_conversation(conversation.id):
            return known
        return self.keep(
            Talk(
                conversation_id=conversation.id,
                title=conversation.title,
                leaf_id=conversation.leaf_id,
                system=conversation.system,
                sampling=conversation.sampling,
                collections=conversation.collections,
                recipe=recipe_of(conversation.recipe),
            )
        )

    def leave(self, talk: Talk) -> None:
        """Forgets a chat that is not shown any more, unless a turn runs in it."""
        if not talk.running:
            self._open.pop(talk.key, None)

    def sampling_of(self, talk: Talk) -> Sampling:
        """Returns the settings' sampling with the chat's own over it."""
        return self._turns.sampling_of(talk)

    def ask(self, talk: Talk, question: str, overflow: Overflow | None = None, answers: int = 1) -> None:
        """Asks behind the newest message, or behind the one that was branched from.

        Args:
            talk: the chat.
            question: the text as the model will see it.
            overflow: what becomes of the oldest turns when the context is full; None is what the settings say.
            answers: so many replies grow side by side; several are not answered from documents.

        Raises:
            UserError: the engine's folders cannot be made; nothing was asked.
        """
        self._start(talk, self._turns.new(talk, overflow, question, answers), talk.leaf_id)

    def again(self, talk: Talk, question: StoredMessage, overflow: Overflow | None = None, answers: int = 1) -> None:
        """Has a question answered once more; the answers it has stay."""
        self._start(talk, replace(self._turns.new(talk, overflow, "", answers), question_id=question.id), talk.leaf_id)

    def edit(
        self, talk: Talk, question: StoredMessage, text: str, overflow: Overflow | None = None, answers: int = 1
    ) -> None:
        """Asks another question in place of one, which stays beside it."""
        self._start(talk, self._turns.new(talk, overflow, text, answers), question.parent_id)

    def continue_reply(
        self, talk: Talk, reply: StoredMessage, text: str | None = None, overflow: Overflow | None = None
    ) -> None:
        """Has a reply go on exactly where it ends, as one more reply to its question; the old one stays.

        Args:
            talk: the chat.
            reply: the reply.
            text: what to go on from in place of its text; None goes on from its text, token by token where it can.
            overflow: as for `ask`.
        """
        turn = self._turns.going_on(talk, reply, text, overflow)
        self._start(talk, turn, reply.id)

    def branch_at_token(
        self, talk: Talk, reply: StoredMessage, begins: Beginning, overflow: Overflow | None = None
    ) -> None:
        """Has one more reply go on from some of a reply's tokens and another one behind them; the old one stays.

        Args:
            talk: the chat.
            reply: the reply.
            begins: its first tokens and the other one, with their text.
            overflow: as for `ask`.
        """
        turn = self._turns.branching(talk, reply, begins, overflow)
        self._start(talk, turn, reply.id)

    def turn_of(self, talk: Talk, reply: StoredMessage) -> Turn:
        """Returns the turn that a reply was made in, as far as that was kept: what was asked, behind what, and how.

        Reads the chat; safe from any thread.
        """
        return self._turns.with_question(self._turns.as_made(talk, reply))

    def branch(self, talk: Talk, message_id: str) -> None:
        """Lets the next question follow this message, also when the chat is opened again; what is behind it stays.

        Raises:
            UserError: there is no such message in the chat, or it cannot be kept.
        """
        _check_idle(talk)
        self._history.choose(talk.conversation_id, message_id)
        talk.leaf_id = message_id

    def choose_draft(self, talk: Talk, number: int) -> None:
        """Goes on with one of several replies, also when the chat is opened again; the others stop, and stay.

        Raises:
            UserError: nothing is kept of that one, or the choice cannot be.
        """
        drafts = talk.drafts
        if drafts is None or not drafts.reply_ids:
            raise RuntimeError("there are no drafts in this chat")
        self._history.choose(talk.conversation_id, drafts.reply_ids[number])
        talk.leaf_id, drafts.chosen = drafts.reply_ids[number], number
        for other in drafts.growing:
            if other.number != number:
                self.stop(talk, other.number)

    def stop(self, talk: Talk, answer: int | None = None) -> None:
        """Stops the reply, or one of several; its text is kept. The end comes as news."""
        if running := talk.running:
            # In a thread: a socket whose host is stopped (SIGSTOP) can block.
            arguments = (running.request_id, answer)
            threading.Thread(target=running.engine.cancel, args=arguments, daemon=True).start()

    def conclude(self, talk: Talk, answer: int | None = None) -> None:
        """Closes the thought of the reply, or of one of several, so that the model answers now."""
        if running := talk.running:
            arguments = (running.request_id, answer)  # in a thread, as `stop`
            threading.Thread(target=running.engine.conclude, args=arguments, daemon=True).start()

    def settle(self, news: News) -> str:
        """Takes news into the chat they are about; returns the queued message that shall go out now, if any."""
        talk = self._open.get(news.key)
        if talk is None or talk.running is None:
            return ""
        if talk.drafts:
            talk.drafts.fail() if isinstance(news.event, Failed) else talk.drafts.take(news.event)
        if isinstance(news.event, Started):
            begun = news.event.begun
            talk.running.begun = begun
            talk.conversation_id, talk.leaf_id = begun.conversation_id, begun.reply_id
        elif isinstance(news.event, Token):
            talk.running.thinks = talk.drafts.think if talk.drafts else news.event.thought
        elif isinstance(news.event, Polled):
            talk.running.thinks = not news.event.decided and len(news.event.chains) < news.event.total
        elif isinstance(news.event, Grounded):
            talk.running.documents = news.event.tokens
        elif isinstance(news.event, (Ended, Abstained, Failed)):
            talk.running = None
            stopped = isinstance(news.event, Ended) and news.event.finished.reason == "cancelled"
            if not stopped and not isinstance(news.event, Failed):
                queued, talk.queued = talk.queued, ""
                return queued
        return ""

    def close(self, seconds: float) -> bool:
        """Stops every turn and waits until their replies and marks are on disk; returns whether all are."""
        deadline = time.monotonic() + seconds
        for talk in self.running():
            self.stop(talk)
        threads = self._threads  # of replies that ended too: their citations may still be checked
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def keep(self, talk: Talk) -> Talk:
        """Counts a chat as open, also one that was left before."""
        self._open[talk.key] = talk
        return talk

    def _start(self, talk: Talk, turn: Turn, behind: str) -> None:
        """Begins a turn in a thread.

        Args:
            talk: the chat.
            turn: what is asked, without the path that it follows.
            behind: the message that a new question follows; for a question that was asked before, the end of the path
                on which it was.
        """
        _check_idle(talk)
        running = Running(self._make_engine(), turn.request_id, turn.question)
        talk.running = running
        talk.drafts = Drafts(turn.answers) if turn.answers > 1 else None
        arguments = (talk.key, running, turn, behind)
        thread = threading.Thread(target=self._run, args=arguments, name=f"turn-{talk.key}", daemon=True)
        thread.start()
        self._threads = [*(one for one in self._threads if one.is_alive()), thread]

    def _run(self, key: str, running: Running, turn: Turn, behind: str) -> None:
        """Walks one turn, in its thread."""
        begun: Begun | None = None
        ended = False
        failure: UserError | EngineError | RagError
        try:
            with closing(running.engine) as engine:
                for event in run(self._turns.with_path(turn, behind), engine, self._history, self._documents):
                    if isinstance(event, Started):
                        begun = event.begun
                    ended = ended or isinstance(event, (Ended, Abstained))
                    self._tell(News(key, event))
            return
        except (EngineError, UserError, RagError) as error:
            failure = error
        except Exception as error:  # whatever happens in a turn must end it, or the chat would wait for ever
            failure = UserError("the turn failed", f"{type(error).__name__}: {error}", "run llmchat doctor")
        if not ended:  # else the chat may be in its next turn, and only the marks of the sources are missing
            self._tell(News(key, Failed(failure, begun)))


def _check_idle(talk: Talk) -> None:
    if talk.running:
        raise RuntimeError("a turn runs in this chat")
