"""Asks the engine how likely a reply was, token by token, as it was asked when the reply was written. Headless.

Composes nothing itself: the turn that made the reply says what stood before it, and course.py makes a request of that.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace

from llmchat_engine import Engine, Event, Loaded, Loading, ModelInfo, Prefill, Queued, Request
from llmchat_engine.answers import TokenLogprob
from llmchat_engine.events import Scored
from llmchat_engine.types import new_request_id
from llmchat_tui.course import Course
from llmchat_tui.documents import Documents
from llmchat_tui.grounding import Grounding
from llmchat_tui.history import Begun, StoredMessage
from llmchat_tui.token_view import ScoredReply, shown_tokens
from llmchat_tui.turn import Turn

ALTERNATIVES = 10
"""Told at each place."""


class TokenScoring:
    """One question to the engine about one reply."""

    def __init__(self, engine: Engine, documents: Documents | None = None) -> None:
        """Asks nothing yet.

        Args:
            engine: of the chosen model; whoever made it closes it.
            documents: make the passages again that a reply was written from.
        """
        self._engine, self._documents = engine, documents
        self._id = new_request_id()

    def cancel(self) -> None:
        """Stops it; safe from any thread, and may block while the host is stopped."""
        self._engine.cancel(self._id)

    def run(self, turn: Turn, reply: StoredMessage, created_at: float) -> Generator[Event | ScoredReply, None, None]:
        """Yields progress, then the scored reply; a cancelled one ends without it.

        Args:
            turn: the one that made the reply, with its path.
            reply: the reply.
            created_at: when the chat began.

        Raises:
            EngineError: the model cannot be used, or the path with the reply does not fit its context.
            RagError: the documents cannot be read.
        """
        model: ModelInfo | None = None
        for news in self._engine.load():
            model = news.model if isinstance(news, Loaded) else model
            yield news
        if model is None:  # it was cancelled meanwhile
            return
        request = self._request(turn, model, Begun(reply.conversation_id, reply.parent_id, reply.id, created_at))
        is_own = reply.model_key == model.key and bool(reply.token_ids)
        asked = reply.token_ids if is_own else reply.text
        with closing(self._engine.score(request, (asked,))) as events:
            for event in events:
                if isinstance(event, Scored):
                    yield self._scored(event, reply, model, is_own=is_own)
                elif not isinstance(event, (Loading, Loaded)):
                    yield event

    def _request(self, turn: Turn, model: ModelInfo, begun: Begun) -> Request:
        """Returns what the reply was asked with; nothing holds it to a form, and nothing is drawn."""
        grounding = None
        if turn.asked and turn.cited and self._documents:
            grounding = Grounding(turn, turn.asked, self._engine, self._documents)
            grounding.recall(model, Course(turn, self._engine).request(begun))
        request = Course(turn, self._engine, grounding).request(begun)
        return replace(
            request, id=self._id, logprobs=ALTERNATIVES, answers=1, beams=0, grammar="", schema="", next_messages=()
        )

    def _scored(self, event: Scored, reply: StoredMessage, model: ModelInfo, *, is_own: bool) -> ScoredReply:
        score = event.scores[0]
        tokens = shown_tokens(score.tokens, reply, reply.thought_tokens if is_own else 0)
        return ScoredReply(reply, model, score, tokens, is_own, self._marks(score.tokens) if is_own else frozenset())

    def _marks(self, tokens: Sequence[TokenLogprob]) -> frozenset[int]:
        """Returns the ids that are no text: those that the vocabulary has for texts that look like it."""
        names = {token.id: token.text for token in tokens} | {
            other.id: other.text for token in tokens for other in token.top
        }
        looks = {
            number: text for number, text in names.items() if len(text) > 2 and text[0] in "<[" and text[-1] in ">]"
        }
        found = {number: self._engine.pieces(text, special=True) for number, text in looks.items()}
        return frozenset(number for number, pieces in found.items() if len(pieces) == 1 and pieces[0].special) | {
            number for number, text in names.items() if not text
        }


def progress_of(event: Event | ScoredReply) -> str | ScoredReply:
    """Returns the scored reply as it is, and of an event how far it is; empty where it says nothing."""
    match event:
        case ScoredReply():
            return event
        case Loading(fraction):
            return f"loading the model {fraction:.0%}"
        case Queued(ahead):
            return f"waiting for {ahead} other request{'s' * (ahead > 1)}"
        case Prefill(done, total, cached):
            known = f", {cached:,} were known" if cached else ""
            return f"reading {done:,} of {total:,} tokens{known}"
    return ""
