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
from llmchat_tui.documents import Asked, Documents, asked_in, asked_of
from llmchat_tui.drafts import Drafts
from llmchat_tui.errors import UserError
from llmchat_tui.events import Abstained, Ended, Grounded, Started
from llmchat_tui.growing import Beginning
from llmchat_tui.history import Begun, Conversation, History, StoredMessage
from llmchat_tui.overflow import Overflow
from llmchat_tui.recipe import PLAIN, Recipe, recipe_of
from llmchat_tui.sources import numbered, sources_of
from llmchat_tui.talk import Failed, News, Running, Talk
from llmchat_tui.turn import Turn, run


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
        self._history, self._make_engine, self._sampling, self._tell = history, make_engine, sampling, tell
        self._overflow, self._store = overflow, store
        self._documents, self._asked = documents, asked
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
        base = self._sampling()
        own = {name: tuple(value) if isinstance(value, list) else value for name, value in talk.sampling.items()}
        return Sampling(**{name: own.get(name, getattr(base, name)) for name in Sampling.__dataclass_fields__})

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
        self._start(talk, self._turn(talk, overflow, question, answers), talk.leaf_id)

    def again(self, talk: Talk, question: StoredMessage, overflow: Overflow | None = None, answers: int = 1) -> None:
        """Has a question answered once more; the answers it has stay."""
        self._start(talk, replace(self._turn(talk, overflow, "", answers), question_id=question.id), talk.leaf_id)

    def edit(
        self, talk: Talk, question: StoredMessage, text: str, overflow: Overflow | None = None, answers: int = 1
    ) -> None:
        """Asks another question in place of one, which stays beside it."""
        self._start(talk, self._turn(talk, overflow, text, answers), question.parent_id)

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
        as_it_was = text is None or text == reply.text
        turn = replace(
            self._as_answered(talk, reply, overflow),
            prefill=reply.text if text is None else text,
            prefill_ids=_spoken_ids(reply) if as_it_was else (),
            prefill_key=reply.model_key if as_it_was else "",
            prefill_thought=reply.thought if as_it_was else "",
            prefill_thought_tokens=reply.thought_tokens if as_it_was else 0,
            prefill_thought_seconds=reply.thought_seconds if as_it_was else 0.0,
        )
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
        turn = replace(
            self._as_made(talk, reply, overflow),
            prefill=begins.text,
            prefill_ids=begins.token_ids,
            prefill_key=begins.model_key,
            prefill_thought=begins.thought,
            prefill_thought_tokens=begins.thought_tokens,
            prefill_thought_seconds=begins.thought_seconds,
        )
        self._start(talk, turn, reply.id)

    def turn_of(self, talk: Talk, reply: StoredMessage) -> Turn:
        """Returns the turn that a reply was made in, as far as that was kept: what was asked, behind what, and how.

        Reads the chat; safe from any thread.
        """
        return self._with_question(self._as_made(talk, reply))

    def _as_made(self, talk: Talk, reply: StoredMessage, overflow: Overflow | None = None) -> Turn:
        """Returns the turn that a reply was made in, without the path."""
        system = reply.settings.get("system", talk.system)
        return replace(
            self._as_answered(talk, reply, overflow),
            system=system if isinstance(system, str) else talk.system,
            raw=reply.settings.get("raw") is True,
        )

    def _as_answered(self, talk: Talk, reply: StoredMessage, overflow: Overflow | None) -> Turn:
        """Returns a turn that asks what a reply answers as it was asked then, without the path."""
        asked = asked_in(reply.settings) if self._documents else None
        recipe = reply.settings.get("recipe", {})
        return replace(
            self._turn(talk, overflow),
            recipe=recipe_of(recipe if isinstance(recipe, dict) else {}),
            question_id=reply.parent_id,
            sent=reply.sent,
            left_out=reply.left_out,
            summary=reply.summary,
            asked=asked,
            cited=numbered(sources_of(reply.settings)),
        )

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

    def _turn(self, talk: Talk, overflow: Overflow | None, question: str = "", answers: int = 1) -> Turn:
        """Returns a turn of a chat, without the path that it follows."""
        return Turn(
            question,
            conversation_id=talk.conversation_id,
            title=talk.title,
            system=talk.system,
            own_sampling=dict(talk.sampling),
            own_collections=talk.collections,
            asked=asked_of(talk.collections, self._asked()) if self._documents and answers == 1 else None,
            sampling=self.sampling_of(talk),
            recipe=talk.recipe,
            overflow=overflow or self._overflow(),
            store=self._store(),
            answers=answers,
        )

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
                for event in run(self._with_path(turn, behind), engine, self._history, self._documents):
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

    def _with_path(self, turn: Turn, behind: str) -> Turn:
        """Returns a turn with the path that it follows."""
        if not turn.question_id:
            return replace(turn, earlier=self._history.path(behind) if behind else ())
        turn = self._with_question(turn)
        if turn.goes_on:
            return turn
        # Another answer sees what the one in its place saw, or the user would be asked what to leave out once more.
        shown = (
            next((m for m in self._history.path(behind) if m.parent_id == turn.question_id), None) if behind else None
        )
        if shown is None:
            return turn
        # It was answered from other documents than the chat has now: another answer is comparable, or it is none.
        is_one = turn.answers == 1 and not turn.recipe.votes and turn.recipe.cot == "off"
        asked = asked_in(shown.settings) if self._documents and is_one else None
        return replace(turn, left_out=shown.left_out, summary=shown.summary, asked=asked or turn.asked)

    def _with_question(self, turn: Turn) -> Turn:
        """Returns a turn about a question on disk with the question, and the path that that follows."""
        *earlier, question = self._history.path(turn.question_id)
        return replace(turn, question=question.text, earlier=tuple(earlier))


def _check_idle(talk: Talk) -> None:
    if talk.running:
        raise RuntimeError("a turn runs in this chat")


def _spoken_ids(reply: StoredMessage) -> tuple[int, ...]:
    """Returns the ids of a reply without the one that ended it."""
    return reply.token_ids[:-1] if reply.stats.get("reason") == "eog" else reply.token_ids
