"""LocalEngine: starts or joins the host of a model and speaks to it. Imports neither llama_cpp nor numpy.

The file is checked here, in pure Python, while the host is still starting: llama.cpp never sees one that failed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from llmchat_engine.answers import TokenPiece
from llmchat_engine.errors import EngineDied, EngineError, HostUnreachable
from llmchat_engine.events import (
    Event,
    Finished,
    Loaded,
    Measured,
    Peeked,
    Rendered,
    Scored,
    Waiting,
    nothing_generated,
)
from llmchat_engine.launch import Places, reach, socket_name
from llmchat_engine.protocol import (
    Cancel,
    Conclude,
    Failure,
    Generate,
    Ids,
    Load,
    Measure,
    News,
    Peek,
    Perplexity,
    PieceList,
    Pieces,
    Render,
    Score,
    Tokenize,
    Welcome,
    to_error,
)
from llmchat_engine.questions import ask, pieces_of
from llmchat_engine.types import ModelInfo, ModelSpec, Request

if TYPE_CHECKING:
    from llmchat_engine.connection import Connection

DEFAULT_KEEPALIVE = 300.0
_DEAF_TICKS = 8
"""Ticks after which a cancelled request is given up: megabytes that are being tokenised hear nothing for seconds."""
_LEAVING_HOSTS = 3
"""Times a client tries again when the host it joined was just leaving."""

_Long = Generate | Score | Peek | Perplexity
"""What the thread of the model works at for a while, with events on the way."""


class LocalEngine:
    """An `Engine` whose model lives in a process of its own.

    One thread drives it; `cancel` is safe from any, and so are `render`, `tokenize` and `measure`.
    """

    def __init__(
        self,
        spec: ModelSpec,
        places: Places,
        *,
        keepalive: float = DEFAULT_KEEPALIVE,
        give_up_after: float = 10.0,
    ) -> None:
        """Connects nothing yet.

        Args:
            spec: The model file and how to load it.
            places: Private directories for sockets, logs and state.
            keepalive: Seconds the host stays after its last client; 0 leaves with it, negative never.
            give_up_after: Seconds of silence after which a host counts as hung.
        """
        self._spec, self._places, self._keepalive = spec, places, keepalive
        self._give_up_after = give_up_after
        # Held while the connection is made or dropped: a measure may come beside a generation.
        self._joining = threading.RLock()
        self._connection: Connection | None = None
        self._model: ModelInfo | None = None
        self._greeted = False
        self._cancelled: set[str] = set()
        self._pressed: dict[str, list[Cancel | Conclude]] = {}
        """What was said of each request meanwhile: it is said again behind the order, which it may have overtaken."""
        self._checked: Load | None = None

    @property
    def pid(self) -> int:
        """The host's process id; 0 while there is none."""
        return self._connection.pid if self._connection else 0

    def prepare(self) -> None:
        """Starts or joins the host without waiting for its answer; a file that cannot be loaded is told here.

        Raises:
            EngineError: the host cannot be started, or the model cannot be loaded.
        """
        with self._joining:
            if self._connection is not None and self._connection.alive:
                return
            self._drop(self._connection)
            link = reach(socket_name(self._spec), self._places)
            from llmchat_engine.connection import Connection  # while the new host's interpreter starts

            self._connection = Connection(link, self._give_up_after)
            if link.is_child:
                self._checked = self._check_file()  # while the new host still starts

    def load(self) -> Generator[Event, None, None]:
        """Yields `Loading`* and `Waiting`*, then `Loaded`; `Queued` where another client is served first."""
        connection, loaded = self._greet(), self._model
        if loaded is not None:
            yield Loaded(loaded, 0.0)
            return
        try:
            for news in self._converse(connection, self._checked or self._check_file(), Request(())):
                if isinstance(news, Loaded):
                    self._model = news.model
                    self._note_load(news.seconds)
                if not isinstance(news, (Scored, Peeked)):
                    yield news
        except EngineDied as death:
            from llmchat_engine.models.trials import note_death

            note_death(self._spec.path, self._places.state, connection.ending, death.why)
            raise

    def _note_load(self, seconds: float) -> None:
        """Remembers that the file can be loaded; another client's load is for that one to tell."""
        if seconds:
            from llmchat_engine.models.trials import note_load

            note_load(self._spec.path, self._places.state, seconds)

    def generate(self, request: Request) -> Generator[Event, None, None]:
        """Yields the events of one reply; closing the iterator cancels it.

        Closed before the request was sent, it may be run again, and a cancel that came meanwhile still holds.
        """
        for event in self._run(Generate(request), request):
            if not isinstance(event, (Scored, Peeked)):
                yield event

    def score(
        self, request: Request, continuations: Sequence[str | Sequence[int]]
    ) -> Generator[Event | Scored, None, None]:
        """Yields as `generate` does, ends with `Scored`: how likely each text is as what follows the prompt."""
        texts = tuple(text if isinstance(text, str) else tuple(text) for text in continuations)
        for event in self._run(Score(request, texts), request):
            if not isinstance(event, Peeked):
                yield event

    def peek(self, request: Request, count: int) -> Generator[Event | Peeked, None, None]:
        """Yields as `generate` does, ends with `Peeked`: what could come next, stage by stage of the sampler chain."""
        for event in self._run(Peek(request, count), request):
            if not isinstance(event, Scored):
                yield event

    def perplexity(self, text: str, window: int = 0) -> Generator[Event | Scored, None, None]:
        """Yields `Prefill`*, ends with `Scored`: how likely a text is on its own."""
        for event in self._run(Perplexity(text, window), Request(())):
            if not isinstance(event, Peeked):
                yield event

    def _run(self, order: _Long, request: Request) -> Generator[Event | Scored | Peeked, None, None]:
        with contextlib.closing(self.load()) as loading:
            for event in loading:
                yield event
                if request.id in self._cancelled:
                    self._cancelled.discard(request.id)
                    self._pressed.pop(request.id, None)
                    yield nothing_generated(request)
                    return
        heard = True
        try:
            with contextlib.closing(self._converse(self._joined(), order, request)) as told:
                for news in told:
                    # A reply of two passes has one id: a cancel that came too late for this one holds for the next.
                    heard = not isinstance(news, Finished) or news.reason == "cancelled"
                    yield news
        finally:
            if heard:
                self._cancelled.discard(request.id)
            self._pressed.pop(request.id, None)

    def render(self, request: Request) -> Rendered:
        """Returns the exact prompt of a request without running it."""
        return ask(self._ready(), Render(request), Rendered)

    def tokenize(self, text: str) -> tuple[int, ...]:
        """Returns the ids of user text; special tokens in it are only text."""
        return ask(self._ready(), Tokenize(text), Ids).ids

    def pieces(self, text: str, *, special: bool = False) -> tuple[TokenPiece, ...]:
        """Returns the tokens of a text one by one."""
        return pieces_of(ask(self._ready(), Pieces(text, special), PieceList))

    def measure(self, request: Request) -> Measured:
        """Counts the prompt of a request part by part. Safe from another thread while a reply is generated."""
        return ask(self._ready(), Measure(request), Measured)

    def forget(self, chat: str) -> None:
        """Drops all that is kept of a chat, in every host of this user and on disk. Safe from any thread."""
        from llmchat_engine.hosts import forget_chat

        forget_chat(self._places.runtime, self._places.kv, chat)

    def cancel(self, request_id: str, answer: int | None = None) -> None:
        """Stops one request, or one of its answers, also before it has begun. Safe from any thread."""
        if answer is None:
            self._cancelled.add(request_id)
        self._press(request_id, Cancel(answer))

    def conclude(self, request_id: str, answer: int | None = None) -> None:
        """Closes the thought of a request, or of one of its answers, also before it has begun. Safe from any thread."""
        self._press(request_id, Conclude(answer))

    def _press(self, request_id: str, order: Cancel | Conclude) -> None:
        self._pressed.setdefault(request_id, []).append(order)
        if connection := self._connection:
            with contextlib.suppress(EngineError):
                connection.send(order, request_id)

    def close(self) -> None:
        """Leaves the host; it stays for its keepalive."""
        self._drop(self._connection)

    def _drop(self, connection: Connection | None) -> None:
        """Closes a connection; the engine's state stays where another thread has made a new one."""
        with self._joining:
            if connection is not None:
                connection.close()
            if connection is self._connection:
                self._connection, self._model, self._greeted, self._checked = None, None, False, None

    def _greet(self) -> Connection:
        """Returns a connection that has said hello."""
        with self._joining:
            return self._shake_hands()

    def _joined(self) -> Connection:
        """Returns the connection over which the model was loaded."""
        connection = self._connection
        if connection is None:
            raise EngineDied("the engine stopped", "it left between two requests", "ask again")
        return connection

    def _shake_hands(self) -> Connection:
        for attempt in range(_LEAVING_HOSTS):
            self.prepare()
            connection = self._connection
            if connection is None:
                break
            if self._greeted:
                return connection
            try:
                welcome: Welcome = connection.handshake(self._keepalive)
            except EngineDied:
                self._drop(connection)
                if attempt == _LEAVING_HOSTS - 1:
                    raise
                continue
            self._greeted, self._model = True, welcome.model
            return connection
        raise HostUnreachable("the engine could not be reached", "every host left at once", "llmchat doctor")

    def _check_file(self) -> Load:
        from llmchat_engine.preflight import check_model

        return check_model(self._spec, self._places)

    def _ready(self) -> Connection:
        """Returns a connection to a host that has loaded the model."""
        for _ in self.load():
            pass
        return self._joined()

    def _converse(
        self, connection: Connection, order: Load | _Long, request: Request
    ) -> Generator[Event | Scored | Peeked, None, None]:
        """Sends an order and yields its events up to the last; cancels it when closed before."""
        request_id = request.id
        connection.open(request_id)
        ended, deaf = False, 0
        patience = connection.patience()
        try:
            pressed = tuple(self._pressed.get(request_id, ()))
            connection.send(order, request_id, pressed)
            for late in self._pressed.get(request_id, [])[len(pressed) :]:
                connection.send(late, request_id)
            while not ended:
                news = connection.next(request_id)
                if news is None:
                    patience.tick()
                    yield Waiting()
                    deaf += request_id in self._cancelled
                    if deaf >= _DEAF_TICKS and not isinstance(order, Load):
                        self._drop(connection)  # the host stops a request whose client has gone
                        yield nothing_generated(request)
                        return
                    continue
                ended = isinstance(news, (Loaded, Finished, Scored, Peeked, Failure))
                yield _event(news)
        except EngineDied:
            ended = True
            self._drop(connection)
            raise
        finally:
            if not ended:
                with contextlib.suppress(EngineError):
                    connection.send(Cancel(), request_id)
            connection.forget(request_id)


def _event(news: News) -> Event | Scored | Peeked:
    """Returns the news as an event.

    Raises:
        EngineError: the host sent one.
    """
    if isinstance(news, Failure):
        raise to_error(news)
    if isinstance(news, Event | Scored | Peeked):
        return news
    raise HostUnreachable("the engine answered out of turn", type(news).__name__, "llmchat stop")
