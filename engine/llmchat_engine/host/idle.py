"""What the thread of the model does when nobody asks: the beginning of the next prompt, and copies of the chats.

Each piece of work is short, or stops at the abort flag: a question waits for 50 ms at most. Knows requests and
sequences; no sockets.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmchat_engine.errors import EngineError
from llmchat_engine.events import Finished
from llmchat_engine.host.cache import ROOM, SequenceCache, Want
from llmchat_engine.host.parking import Parking
from llmchat_engine.types import Message, Request

if TYPE_CHECKING:
    from llmchat_engine.host.prompt import Prompt

READY_AFTER = 0.1
"""Seconds after a load without a question: the cache is made large enough for the longest chat that could come back
(44 of the 95 ms that reopening one of 3,000 tokens took), and the template is compiled (11 ms)."""
COPY_AFTER = 2.0
"""Seconds of quiet before the chat is copied: the copy is what another chat, another day or a crash starts from."""
WRITE_ALL_AFTER = 30.0
WORTH_WRITING = 4
"""After two seconds a chat is written where one part in so many of it is new; what is less waits for WRITE_ALL_AFTER or
the end: of a chat of 4,000 tokens an 8B model writes 512 MiB."""


ANY_QUESTION = Message("user", "?")


@dataclass(frozen=True, slots=True)
class NextTurn:
    """What is known of the prompt to come."""

    request: Request
    """The path as the next turn will hold it, with any question behind it."""
    want: Want


def next_turn(request: Request, finished: Finished, model_key: str, want: Want) -> NextTurn | None:
    """Returns what the next turn of a chat will begin with; None where there will be none.

    Args:
        request: what was asked.
        finished: how it was answered.
        model_key: who answered.
        want: what the request said about the cache.
    """
    if request.private or request.raw or not request.chat:
        return None
    path = request.next_messages or request.messages
    if not path:
        return None
    reply = Message("assistant", finished.text, finished.token_ids, model_key, finished.thought_tokens)
    if path[-1].role == "assistant":
        begun, path = path[-1], path[:-1]
        known = begun.token_ids and finished.token_ids and begun.model_key == model_key
        ids = begun.token_ids + finished.token_ids if known else ()
        thought = begun.thought_tokens + finished.thought_tokens if known else 0
        reply = replace(reply, text=begun.text + finished.text, token_ids=ids, thought_tokens=thought)
    return NextTurn(replace(request, messages=(*path, reply, ANY_QUESTION)), replace(want, exact=False, shift=False))


class Idle:
    """The work that is left, and when it is due."""

    def __init__(
        self,
        cache: SequenceCache,
        prompt_of: Callable[[Request], Prompt],
        compute: Callable[[tuple[int, ...], Want], bool],
    ) -> None:
        """Has nothing to do.

        Args:
            cache: the sequences.
            prompt_of: returns the prompt of a request.
            compute: has the context hold a prefix; False where it was aborted.
        """
        self._cache, self._prompt_of, self._compute = cache, prompt_of, compute
        self._next: NextTurn | None = None
        self._quiet_since = time.monotonic()
        self._copied = self._written = True
        self._ready = False

    @property
    def _parking(self) -> Parking:
        return self._cache.sequences.parking

    def after(self, upcoming: NextTurn | None) -> None:
        """A reply has ended: what comes after it is due."""
        self._next, self._quiet_since = upcoming, time.monotonic()
        self._copied = self._written = False
        self._ready = True

    def patience(self) -> float | None:
        """Returns the seconds until something is to be done; None where nothing is."""
        if self._next is not None:
            return 0.0
        if not self._ready:
            return max(0.0, self._quiet_since + READY_AFTER - time.monotonic())
        wait = COPY_AFTER if not self._copied else WRITE_ALL_AFTER if not self._written else None
        return None if wait is None else max(0.0, self._quiet_since + wait - time.monotonic())

    def work(self) -> None:
        """Does what is due, as far as the abort flag lets it."""
        if self._next is not None:
            upcoming, self._next = self._next, None  # what raises is not tried again and again
            if not self._prepare(upcoming):
                self._next = upcoming
        elif not self._ready:
            self._ready = True
            self._get_ready()
        elif not self._copied:
            self._copied = True
            self._copy(only_much=True)
        elif not self._written:
            self._written = True
            self._copy(only_much=False)

    def finish(self, seconds: float) -> bool:
        """Copies and writes all that is worth it, at the end; returns whether that was done in time."""
        self._copy(only_much=False)
        return self._parking.flush(seconds)

    def _get_ready(self) -> None:
        """Does what the first question would wait for."""
        with contextlib.suppress(EngineError):  # the template refuses: the first question will tell
            self._prompt_of(Request((ANY_QUESTION,)))
        memory = self._cache.sequences.memory
        wanted = self._parking.longest(memory.n_ctx) + ROOM
        if wanted > memory.cells:
            self._cache.sequences.grow(wanted, self._cache.active)

    def _prepare(self, upcoming: NextTurn) -> bool:
        """Computes what the next prompt begins with; what the last one had and this one has not is spent."""
        if self._parking.has_forgotten(upcoming.want.chat):
            return True
        try:
            prompt = self._prompt_of(upcoming.request)
            prefix = prompt.ids[: prompt.before(len(upcoming.request.messages) - 1)]
            before = self._cache.active
            done = self._compute(prefix, upcoming.want)
        except EngineError:  # the template refuses, or the memory is full: the next turn will tell
            return True
        if self._cache.active is not before and done:
            before.spent = True
        return done

    def _copy(self, *, only_much: bool) -> None:
        """Copies the active chat, and the beginning that it shares with others, and has them written."""
        line = self._cache.active
        self._cache.trim()
        if line.chat:
            if beginning := self._cache.sequences.park_beginning(line):
                self._parking.write(beginning)
            if parked := self._cache.sequences.park(line):
                self._parking.write(parked, unless_new=len(line.ids) // WORTH_WRITING if only_much else 1)
        if not only_much:
            self._parking.write_all()
