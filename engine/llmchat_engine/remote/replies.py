"""The replies to one request while they grow, and their end. Pieces to events; knows no HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from llmchat_engine.answers import Answer, StopReason, TokenLogprob
from llmchat_engine.events import Answered, Event, Finished, Notice, Token, nothing_generated
from llmchat_engine.remote.chunks import Counts, Piece
from llmchat_engine.remote.thoughts import ThoughtSplitter
from llmchat_engine.types import Request

_FILTERED = "the server withheld the rest of the answer: its content filter did not let it pass"
_TOOLS = "the model called a tool; llmchat has none to give it"


@dataclass(slots=True)
class _Reply:
    """One of the replies."""

    splitter: ThoughtSplitter
    said: list[str] = field(default_factory=list)
    thought: list[str] = field(default_factory=list)
    tokens: int = 0
    thought_tokens: int = 0
    logprob: float | None = None
    reason: StopReason | None = None


class Replies:
    """All replies to one request."""

    def __init__(self, request: Request) -> None:
        """Begins the clock: what it takes from here on to the first token is told."""
        self._request = request
        goes_on = request.raw or (bool(request.messages) and request.messages[-1].role == "assistant")
        self._all = [_Reply(ThoughtSplitter(begins=not goes_on)) for _ in range(request.answers)]
        self._began = time.monotonic()
        self._first = self._answer_at = 0.0
        self._counts: list[Counts] = []

    @property
    def has_begun(self) -> bool:
        """Whether a word of any of them has come."""
        return self._first > 0

    @property
    def open(self) -> tuple[int, ...]:
        """Those that have not ended."""
        return tuple(index for index, reply in enumerate(self._all) if reply.reason is None)

    def has_begun_with(self, index: int) -> bool:
        """Returns whether a word of this one has come."""
        return bool(self._all[index].tokens)

    def thinks(self, index: int) -> bool:
        """Returns whether this one has thought, and not said a word yet."""
        return bool(self._all[index].thought) and not any(self._all[index].said)

    def count(self, counts: Counts) -> None:
        """Takes what the server counted for one of its answers."""
        self._counts.append(counts)

    def take(self, pieces: Iterable[Piece], first: int = 0) -> Iterator[Event]:
        """Yields what pieces bring, joined to few tokens.

        Args:
            pieces: what came.
            first: the reply that the server's index 0 is.
        """
        held: Token | None = None
        for piece in pieces:
            for event in self._taken(piece, first + piece.index):
                if isinstance(event, Token) and held and _alike(held, event):
                    held = _joined(held, event)
                    continue
                if held:
                    yield held
                held = event if isinstance(event, Token) else None
                if not isinstance(event, Token):
                    yield event
        if held:
            yield held

    def _taken(self, piece: Piece, index: int) -> Iterator[Event]:
        if not 0 <= index < len(self._all) or self._all[index].reason:  # one that was stopped, or that nobody asked for
            return
        yield from self._tokens(piece, index)
        if piece.has_tools:
            yield Notice(_TOOLS)
        if piece.filtered:
            yield Notice(_FILTERED)
        if piece.reason:
            yield from self.end(index, piece.reason)

    def _tokens(self, piece: Piece, index: int) -> Iterator[Token]:
        reply = self._all[index]
        parts = [(True, piece.thought)] if piece.thought else []
        parts += reply.splitter.feed(piece.text) if piece.text else []
        count = len(piece.logprobs) or int(bool(piece.text or piece.thought))
        if piece.logprobs:
            reply.logprob = (reply.logprob or 0.0) + sum(token.logprob for token in piece.logprobs)
        if count and not parts:  # held back: it is counted all the same
            parts = [(False, "")]
        for number, (thinks, text) in enumerate(parts):
            told = piece.logprobs if not number else ()
            yield self._add(index, thinks, text, count if not number else 0, told)

    def _add(self, index: int, thinks: bool, text: str, count: int, told: tuple[TokenLogprob, ...]) -> Token:
        """Adds text to a reply; returns it as a token."""
        reply = self._all[index]
        now = time.monotonic()
        self._first = self._first or now
        if not thinks and text:
            self._answer_at = self._answer_at or now
        (reply.thought if thinks else reply.said).append(text)
        reply.tokens += count
        reply.thought_tokens += count * thinks
        return Token(text, count, index, told, thinks)

    def end(self, index: int, reason: StopReason) -> Iterator[Event]:
        """Ends one of them; yields what was held back of it, and how it ended where there are several."""
        reply = self._all[index]
        for thinks, text in reply.splitter.finish():
            yield self._add(index, thinks, text, 0, ())
        is_open = self._request.sampling.max_tokens is None and not self._request.raw
        reply.reason = "context" if reason == "max_tokens" and is_open else reason
        if len(self._all) > 1:
            yield Answered(index, self._answer(index))

    def finished(self, prompt_tokens: int) -> Finished:
        """Returns the end of all.

        Args:
            prompt_tokens: what the prompt is thought to have where the server did not count.
        """
        first, now = self._answer(0), time.monotonic()
        counted = self._counts[-1] if self._counts else Counts()
        tokens = sum(counts.reply for counts in self._counts) or sum(reply.tokens for reply in self._all)
        began = self._first or now
        return replace(
            nothing_generated(self._request),
            reason=first.reason,
            text=first.text,
            prompt_tokens=counted.prompt or prompt_tokens,
            cached_tokens=counted.cached,
            prefilled_tokens=max(0, (counted.prompt or prompt_tokens) - counted.cached),
            reply_tokens=tokens,
            time_to_first_token=began - self._began,
            prefill_seconds=counted.prefill_seconds or began - self._began,
            decode_seconds=counted.decode_seconds or now - began,
            complete=first.complete,
            logprob=first.logprob,
            answers=tuple(map(self._answer, range(len(self._all)))) if len(self._all) > 1 else (),
            thought=first.thought,
            thought_tokens=min(tokens, counted.thought or first.thought_tokens),
            thought_seconds=(self._answer_at or now) - began if first.thought else 0.0,
            exact=bool(self._counts),
        )

    def _answer(self, index: int) -> Answer:
        reply, request = self._all[index], self._request
        reason = reply.reason or "cancelled"
        seed = request.sampling.seed
        return Answer(
            reason,
            "".join(reply.said),
            (),
            reply.tokens,
            None if seed is None else seed + index,
            reply.logprob,
            complete=reason == "eog" or not (request.grammar or request.schema),
            thought="".join(reply.thought),
            thought_tokens=reply.thought_tokens,
        )


def _alike(one: Token, other: Token) -> bool:
    return (one.answer, one.thought) == (other.answer, other.thought)


def _joined(one: Token, other: Token) -> Token:
    return replace(
        other, text=one.text + other.text, count=one.count + other.count, logprobs=one.logprobs + other.logprobs
    )
