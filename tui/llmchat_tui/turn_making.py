"""From an open chat to the `Turn` that asks in it: a new question, one asked before, a reply that goes on.

Reads chats and starts nothing; knows no thread and no screen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from llmchat_engine import Sampling
from llmchat_tui.documents import Asked, asked_in, asked_of
from llmchat_tui.growing import Beginning
from llmchat_tui.history import History, StoredMessage
from llmchat_tui.overflow import Overflow
from llmchat_tui.recipe import recipe_of
from llmchat_tui.sources import numbered, sources_of
from llmchat_tui.talk import Talk
from llmchat_tui.turn import Turn


class TurnMaker:
    """Makes turns as the settings, a chat and its messages say. Safe from any thread."""

    def __init__(
        self,
        history: History,
        sampling: Callable[[], Sampling],
        overflow: Callable[[], Overflow],
        store: Callable[[], bool],
        asked: Callable[[], Asked] | None,
    ) -> None:
        """Makes none yet.

        Args:
            history: where chats are kept.
            sampling: returns the sampling of the settings.
            overflow: returns what becomes of the oldest turns when the context is full.
            store: returns whether the engine may keep its cache of the chats on disk.
            asked: returns how documents are searched; None where there are none.
        """
        self._history, self._sampling, self._overflow, self._store = history, sampling, overflow, store
        self._asked = asked

    def sampling_of(self, talk: Talk) -> Sampling:
        """Returns the settings' sampling with the chat's own over it."""
        base = self._sampling()
        own = {name: tuple(value) if isinstance(value, list) else value for name, value in talk.sampling.items()}
        return Sampling(**{name: own.get(name, getattr(base, name)) for name in Sampling.__dataclass_fields__})

    def new(self, talk: Talk, overflow: Overflow | None, question: str = "", answers: int = 1) -> Turn:
        """Returns a turn of a chat, without the path that it follows."""
        return Turn(
            question,
            conversation_id=talk.conversation_id,
            title=talk.title,
            system=talk.system,
            own_sampling=dict(talk.sampling),
            own_collections=talk.collections,
            asked=asked_of(talk.collections, self._asked()) if self._asked and answers == 1 else None,
            sampling=self.sampling_of(talk),
            recipe=talk.recipe,
            overflow=overflow or self._overflow(),
            store=self._store(),
            answers=answers,
        )

    def going_on(self, talk: Talk, reply: StoredMessage, text: str | None, overflow: Overflow | None) -> Turn:
        """Returns the turn in which a reply goes on where it ends, or from a text in its place."""
        as_it_was = text is None or text == reply.text
        return replace(
            self._as_answered(talk, reply, overflow),
            prefill=reply.text if text is None else text,
            prefill_ids=_spoken_ids(reply) if as_it_was else (),
            prefill_key=reply.model_key if as_it_was else "",
            prefill_thought=reply.thought if as_it_was else "",
            prefill_thought_tokens=reply.thought_tokens if as_it_was else 0,
            prefill_thought_seconds=reply.thought_seconds if as_it_was else 0.0,
        )

    def branching(self, talk: Talk, reply: StoredMessage, begins: Beginning, overflow: Overflow | None) -> Turn:
        """Returns the turn in which one more reply goes on from some of a reply's tokens and another one."""
        return replace(
            self.as_made(talk, reply, overflow),
            prefill=begins.text,
            prefill_ids=begins.token_ids,
            prefill_key=begins.model_key,
            prefill_thought=begins.thought,
            prefill_thought_tokens=begins.thought_tokens,
            prefill_thought_seconds=begins.thought_seconds,
        )

    def as_made(self, talk: Talk, reply: StoredMessage, overflow: Overflow | None = None) -> Turn:
        """Returns the turn that a reply was made in, without the path."""
        system = reply.settings.get("system", talk.system)
        return replace(
            self._as_answered(talk, reply, overflow),
            system=system if isinstance(system, str) else talk.system,
            raw=reply.settings.get("raw") is True,
        )

    def _as_answered(self, talk: Talk, reply: StoredMessage, overflow: Overflow | None) -> Turn:
        """Returns a turn that asks what a reply answers as it was asked then, without the path."""
        asked = asked_in(reply.settings) if self._asked else None
        recipe = reply.settings.get("recipe", {})
        return replace(
            self.new(talk, overflow),
            recipe=recipe_of(recipe if isinstance(recipe, dict) else {}),
            question_id=reply.parent_id,
            sent=reply.sent,
            left_out=reply.left_out,
            summary=reply.summary,
            asked=asked,
            cited=numbered(sources_of(reply.settings)),
        )

    def with_path(self, turn: Turn, behind: str) -> Turn:
        """Returns a turn with the path that it follows."""
        if not turn.question_id:
            return replace(turn, earlier=self._history.path(behind) if behind else ())
        turn = self.with_question(turn)
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
        asked = asked_in(shown.settings) if self._asked and is_one else None
        return replace(turn, left_out=shown.left_out, summary=shown.summary, asked=asked or turn.asked)

    def with_question(self, turn: Turn) -> Turn:
        """Returns a turn about a question on disk with the question, and the path that that follows."""
        *earlier, question = self._history.path(turn.question_id)
        return replace(turn, question=question.text, earlier=tuple(earlier))


def _spoken_ids(reply: StoredMessage) -> tuple[int, ...]:
    """Returns the ids of a reply without the one that ended it."""
    return reply.token_ids[:-1] if reply.stats.get("reason") == "eog" else reply.token_ids
