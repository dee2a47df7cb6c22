"""One request to a server from its first byte to its end: asked again where it is busy, stopped at any moment.

Its events are those of any engine. Knows what a stream brings, and nothing of HTTP.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing

from llmchat_engine.answers import StopReason
from llmchat_engine.errors import EngineError
from llmchat_engine.events import Event, Notice, Waiting
from llmchat_engine.remote.address import Address
from llmchat_engine.remote.body import body_of, unknown_to
from llmchat_engine.remote.chunks import Chunk, Counts
from llmchat_engine.remote.counting import estimate
from llmchat_engine.remote.faults import BrokenOff, Faults
from llmchat_engine.remote.greeting import Greeting
from llmchat_engine.remote.http import Http, Refusal
from llmchat_engine.remote.line import Line
from llmchat_engine.remote.patience import Patience
from llmchat_engine.remote.replies import Replies
from llmchat_engine.types import RemoteSpec, Request

TICK = 0.1
"""Seconds after which `Waiting` is told where nothing came."""
_ALIVE = 10
"""So many times the silence that is allowed, a server may say that it lives and nothing else."""
_BEHIND = 2.0
"""Seconds in which a server may say what it counted, once every reply has ended."""
_TOLD_FROM = 2.0
"""Seconds of a wait that the user is told of."""
_ONE_AT_A_TIME = frozenset({400, 404, 422, 501})
"""Statuses of a server that may not know several replies to one request."""
_UNENDED = "the server did not say why the answer ended: it may be cut"
_INTERRUPTED = f"{_UNENDED}. Another request interrupts it: --interrupt_requests false, where it starts, has both wait"
_TOO_EARLY = "no word of it had come; a prompt that does not fit is one reason"
_DEAF = "a server's thought cannot be closed; Esc stops it"


class Asking:
    """One request."""

    def __init__(
        self,
        http: Http,
        address: Address,
        greeting: Greeting,
        faults: Faults,
        spec: RemoteSpec,
        request: Request,
        bias: Mapping[int, float],
    ) -> None:
        """Sends nothing yet."""
        self._http, self._address, self._greeting, self._faults = http, address, greeting, faults
        self._spec, self._request, self._bias = spec, request, bias
        self._replies = Replies(request)
        self._pressed = threading.Event()
        self._stopped: dict[int | None, StopReason] = {}
        self._line: Line | None = None
        self._told_deaf = False

    def press(self, answer: int | None, reason: StopReason) -> None:
        """Ends all replies, or one of them, for a reason. Safe from any thread."""
        self._stopped.setdefault(answer, reason)
        self._pressed.set()
        if line := self._line:
            line.poke()

    def events(self) -> Generator[Event, None, None]:
        """Yields the events of the replies, `Finished` last.

        Raises:
            EngineError: see `Engine.generate`.
        """
        for text in unknown_to(self._greeting.server, self._request):
            yield Notice(text)
        try:
            yield from self._asked(0, self._request.answers)
        except Refusal as refusal:
            if self._request.answers == 1 or refusal.status not in _ONE_AT_A_TIME:
                raise self._error_of(refusal) from refusal
        for index in self._replies.open:  # a server that knows one reply at a time
            try:
                yield from self._asked(index, 1)
            except Refusal as refusal:
                raise self._error_of(refusal) from refusal
        yield self._replies.finished(estimate(self._request, 0).total)

    def _asked(self, first: int, answers: int) -> Generator[Event, None, None]:
        """Yields the replies of one request, from number `first` on; some of several may not have come.

        Raises:
            Refusal: the server refuses it for good.
        """
        patience = Patience(self._spec.timeout)
        while True:
            try:
                yield from self._heard(first, answers)
                return
            except Refusal as refusal:
                seconds = patience.wait_for(refusal)
                if seconds is None or self._replies.has_begun:
                    raise
                if seconds >= _TOLD_FROM:
                    yield Notice(f"{self._address.place} is busy; it is asked again in {seconds:.0f} s")
                yield from self._waited(seconds)

    def _waited(self, seconds: float) -> Iterator[Event]:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._pressed.is_set():
            self._pressed.wait(min(TICK, seconds))
            yield Waiting()

    def _heard(self, first: int, answers: int) -> Generator[Event, None, None]:
        """Yields what one stream brings, and closes it."""
        yield from self._stops()
        if not any(index >= first for index in self._replies.open):
            return
        seed = self._request.sampling.seed
        url, body = body_of(
            self._request,
            self._greeting.server,
            self._greeting.model,
            answers=answers,
            seed=None if seed is None else seed + first,
            bias=self._bias,
        )
        with closing(Line(self._http, f"{self._address.base}{url}", body, self._spec.timeout)) as line:
            self._line = line
            try:
                yield from self._listen(line, first)
                yield from self._ends(line, range(first, first + answers))
            except BrokenOff as error:
                raise self._likelier(error) from error

    def _listen(self, line: Line, first: int) -> Generator[Event, None, None]:
        counts: Counts | None = None
        while (chunks := line.next(TICK)) is not None:
            for chunk in chunks:
                if chunk.error is not None:
                    raise self._failure(chunk)
                counts = chunk.counts() or counts  # some tell it once, at the end, and some with every token
            yield from self._replies.take((piece for chunk in chunks for piece in chunk.pieces()), first)
            yield from self._stops()
            if not self._replies.open and (self._is_stopped or line.quiet() > _BEHIND):
                break
            if not chunks:
                yield Waiting()
                if line.quiet() > _ALIVE * self._spec.timeout:
                    raise self._faults.silent()
        if counts is not None:
            self._replies.count(counts)

    def _ends(self, line: Line, numbers: Iterable[int]) -> Iterator[Event]:
        """Ends the replies that a stream has brought without saying why they ended.

        Raises:
            RemoteUnreachable: the stream broke off.
        """
        for index in numbers:
            if index not in self._replies.open:
                continue
            if not line.is_whole:
                raise self._faults.broken()
            if self._replies.has_begun_with(index) or self._request.answers == 1:
                yield Notice(_INTERRUPTED if self._greeting.server.interrupts else _UNENDED)
                yield from self._replies.end(index, "eog")

    def _stops(self) -> Iterator[Event]:
        """Ends what was stopped, or told to come to its answer."""
        self._pressed.clear()
        for answer, reason in list(self._stopped.items()):
            for index in self._replies.open:
                if answer not in (None, index):
                    continue
                if reason == "cancelled" or self._may_conclude(index):
                    yield from self._replies.end(index, reason)
                elif not self._told_deaf and self._replies.thinks(index):
                    self._told_deaf = True
                    yield Notice(_DEAF)

    def _may_conclude(self, index: int) -> bool:
        return self._request.concludes and not self._replies.thinks(index)

    @property
    def _is_stopped(self) -> bool:
        return bool(self._stopped)

    def _failure(self, chunk: Chunk) -> EngineError | Refusal:
        """Returns the failure that a server tells in the middle of a stream: one before the first word may pass."""
        said = self._faults.said_in({"error": chunk.error})
        told = chunk.error.get("code") if isinstance(chunk.error, dict) else None
        status = told if isinstance(told, int) and 400 <= told < 600 else 500
        if self._replies.has_begun:
            return self._faults.of_status(status, "", said)
        return Refusal(status, "", "", said)

    def _likelier(self, error: BrokenOff) -> EngineError:
        """Returns the error of a line that broke before a word came: one reason is a prompt that does not fit.

        llama_cpp.server sends the head of its answer before it counts, and has no way to say so then.
        """
        n_ctx = self._greeting.info.n_ctx
        if not self._replies.has_begun and n_ctx and (total := estimate(self._request, n_ctx).total) >= n_ctx:
            return self._faults.probably_full(total, n_ctx)
        return error if self._replies.has_begun else self._faults.broken(_TOO_EARLY)

    def _error_of(self, refusal: Refusal) -> EngineError:
        return self._faults.of_status(refusal.status, refusal.location, refusal.said, self._greeting.models)
