"""RemoteEngine: an `Engine` over any server that speaks the OpenAI API. Imports no HTTP library before it is asked.

What a server cannot do is refused with a sentence, never done otherwise without a word.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Mapping, MutableMapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NoReturn

from llmchat_engine.answers import StopReason, TokenPiece
from llmchat_engine.errors import EngineError, RemoteError, RequestInvalid
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
from llmchat_engine.remote.address import address_of
from llmchat_engine.types import RemoteSpec, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmchat_engine.remote.asking import Asking
    from llmchat_engine.remote.counting import Counter
    from llmchat_engine.remote.errand import Errand
    from llmchat_engine.remote.faults import Faults
    from llmchat_engine.remote.greeting import Greeting
    from llmchat_engine.remote.http import Http

_TICK = 0.1


class RemoteEngine:
    """An `Engine` whose model runs on a server.

    One thread drives it; `cancel`, `conclude`, `tokenize` and `measure` are safe from any.
    """

    def __init__(
        self,
        spec: RemoteSpec,
        environ: Mapping[str, str],
        known: MutableMapping[RemoteSpec, Greeting] | None = None,
    ) -> None:
        """Connects nothing yet.

        Args:
            spec: Which server, and which of its models.
            environ: Where the key is read from when it is sent, and the proxy.
            known: What servers have said of themselves; filled in, and shared by engines that follow each other: a
                server that was asked who it is once is asked the next question at once.

        Raises:
            RemoteRefused: the URL is none.
        """
        self._spec, self._environ = spec, environ
        self._known: MutableMapping[RemoteSpec, Greeting] = {} if known is None else known
        self._address = address_of(spec.base_url)
        self._lock = threading.RLock()
        self._opened: tuple[Http, Faults] | None = None
        self._greeting: Errand[Greeting] | None = None
        self._counter: Counter | None = None
        self._running: dict[str, Asking] = {}
        self._pressed: dict[str, dict[int | None, StopReason]] = {}
        """What was said of requests that have not begun, or came too late for the first of two passes."""

    @property
    def remote(self) -> str:
        """Where the server is, as host and port."""
        return self._address.place

    def prepare(self) -> None:
        """Begins to ask the server who it is, without waiting for the answer."""
        self._greet()

    def load(self) -> Generator[Event, None, None]:
        """Yields `Waiting`* until the server has said which model it has, then `Loaded`."""
        began, known = time.monotonic(), self._greeting is not None
        greeting = self._greet()
        while not greeting.wait(_TICK):
            yield Waiting()
        try:
            model = greeting.result().info
        except EngineError:
            self._forget_greeting(greeting)  # the next request asks again
            raise
        yield Loaded(model, 0.0 if known else time.monotonic() - began)

    def generate(self, request: Request) -> Generator[Event, None, None]:
        """Yields the events of one reply; closing the iterator cuts the line, by which a server stops."""
        for event in self.load():
            yield event
            if self._is_cancelled(request.id):
                self._pressed.pop(request.id, None)
                yield nothing_generated(request)
                return
        with self._begun(request) as asking, closing(asking.events()) as events:
            try:
                for event in events:
                    if isinstance(event, Finished) and event.reason == "cancelled":
                        self._pressed.pop(request.id, None)
                    yield event
            except RemoteError:
                self._known.pop(self._spec, None)  # it may have started anew, with another model
                raise

    def render(self, request: Request) -> Rendered:
        """Returns the exact prompt of a request; only llama-server tells it."""
        return self._count().render(request)

    def tokenize(self, text: str) -> tuple[int, ...]:
        """Returns the ids of a text; llama-server, vLLM and llama-cpp-python tell them."""
        return self._count().tokenize(text)

    def pieces(self, text: str, *, special: bool = False) -> tuple[TokenPiece, ...]:
        """Refuses: a server does not take a text apart."""
        del text, special
        _refuse("does not take a text apart into tokens")

    def measure(self, request: Request) -> Measured:
        """Counts a prompt: a server on this machine does where it can, else it is an estimate. Safe from any thread."""
        return self._count().measure(request)

    def forget(self, chat: str) -> None:
        """Does nothing: nothing of a chat is kept here, and a server offers no way to drop what it keeps."""
        del chat

    def score(
        self, request: Request, continuations: Sequence[str | Sequence[int]]
    ) -> Generator[Event | Scored, None, None]:
        """Refuses: a server tells the probabilities of what it writes, and of nothing else."""
        del request, continuations
        yield _refuse("does not tell how likely a given text is")

    def peek(self, request: Request, count: int) -> Generator[Event | Peeked, None, None]:
        """Refuses: a server does not show what its samplers leave."""
        del request, count
        yield _refuse("does not show what could come next, sampler by sampler")

    def perplexity(self, text: str, window: int = 0) -> Generator[Event | Scored, None, None]:
        """Refuses: a server tells the probabilities of what it writes, and of nothing else."""
        del text, window
        yield _refuse("does not tell how likely a given text is")

    def cancel(self, request_id: str, answer: int | None = None) -> None:
        """Stops one request, or one of its answers, also before it has begun. Safe from any thread."""
        self._press(request_id, answer, "cancelled")

    def conclude(self, request_id: str, answer: int | None = None) -> None:
        """Ends what is written of a request that `concludes`; a thought goes on, for no server closes it from outside.

        Safe from any thread.
        """
        self._press(request_id, answer, "concluded")

    def close(self) -> None:
        """Closes the line."""
        with self._lock:
            opened, self._opened, self._greeting, self._counter = self._opened, None, None, None
        if opened is not None:
            opened[0].close()

    def _press(self, request_id: str, answer: int | None, reason: StopReason) -> None:
        with self._lock:
            asking = self._running.get(request_id)
            if asking is None or (reason, answer) == ("cancelled", None):
                self._pressed.setdefault(request_id, {})[answer] = reason
        if asking is not None:
            asking.press(answer, reason)

    def _is_cancelled(self, request_id: str) -> bool:
        return self._pressed.get(request_id, {}).get(None) == "cancelled"

    @contextmanager
    def _begun(self, request: Request) -> Iterator[Asking]:
        """Yields a request that is ready to be sent, with what was said of it meanwhile."""
        from llmchat_engine.remote.asking import Asking
        from llmchat_engine.remote.body import check
        from llmchat_engine.sampling import logit_biases

        greeting, (http, faults) = self._greet().result(), self._open()
        check(request, greeting.server)
        n_vocab = greeting.info.n_vocab or 2**31
        bias = logit_biases(request.sampling.logit_bias, self.tokenize, n_vocab)
        asking = Asking(http, self._address, greeting, faults, self._spec, request, bias)
        with self._lock:
            self._running[request.id] = asking
            for answer, reason in self._pressed.get(request.id, {}).items():
                asking.press(answer, reason)
        try:
            yield asking
        finally:
            with self._lock:
                self._running.pop(request.id, None)
                if not self._is_cancelled(request.id):
                    self._pressed.pop(request.id, None)

    def _open(self) -> tuple[Http, Faults]:
        from llmchat_engine.remote.faults import Faults
        from llmchat_engine.remote.http import Http

        with self._lock:
            if self._opened is None:
                faults = Faults(self._spec, self._address, self._environ)
                self._opened = Http(self._spec, self._address, self._environ, faults), faults
            return self._opened

    def _greet(self) -> Errand[Greeting]:
        from llmchat_engine.remote.errand import Errand
        from llmchat_engine.remote.greeting import greet_patiently

        with self._lock:
            if self._greeting is None:
                http, faults = self._open()

                def greet() -> Greeting:
                    found = self._known.get(self._spec) or greet_patiently(self._spec, self._address, http, faults)
                    self._known[self._spec] = found
                    return found

                self._greeting = Errand(greet, "greeting")
            return self._greeting

    def _forget_greeting(self, greeting: Errand[Greeting]) -> None:
        with self._lock:
            if self._greeting is greeting:
                self._greeting = None

    def _count(self) -> Counter:
        from llmchat_engine.remote.counting import Counter

        greeting = self._greet()
        try:
            told = greeting.result()
        except EngineError:
            self._forget_greeting(greeting)
            raise
        with self._lock:
            if self._counter is None:
                self._counter = Counter(self._open()[0], self._address, told)
            return self._counter


def _refuse(what: str) -> NoReturn:
    raise RequestInvalid(f"a server {what}", "", "take a model on this machine: -m NAME")
