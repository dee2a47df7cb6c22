"""The one interface of this room: `LocalEngine` (a host process) and `FakeEngine` (tests) keep it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol

from llmchat_engine.answers import TokenPiece
from llmchat_engine.events import Event, Measured, Peeked, Rendered, Scored
from llmchat_engine.types import Request


class Engine(Protocol):
    """Messages in, events out. Synchronous generators; only `cancel` and `measure` are for other threads too."""

    def prepare(self) -> None:
        """Begins to start or join the host without waiting for it. Optional; the other calls do it too."""

    def load(self) -> Generator[Event, None, None]:
        """Yields `Loading`* and `Waiting`*, ends with `Loaded`."""

    def generate(self, request: Request) -> Generator[Event, None, None]:
        """Yields the events of one reply, `Finished` last. Closing the iterator cancels the request.

        Raises:
            EngineError: and nothing else; the tree is in errors.py.
        """

    def render(self, request: Request) -> Rendered:
        """Returns the exact prompt of a request without running it."""

    def tokenize(self, text: str) -> tuple[int, ...]:
        """Returns the ids of user text; special tokens in it are only text."""

    def pieces(self, text: str, *, special: bool = False) -> tuple[TokenPiece, ...]:
        """Returns the tokens of a text one by one.

        Args:
            text: any text.
            special: whether `<|im_end|>` in it is that token, and not text.
        """

    def measure(self, request: Request) -> Measured:
        """Counts the prompt of a request part by part without running it, also while another request runs."""

    def forget(self, chat: str) -> None:
        """Drops all that is kept of a chat, in every host and on disk. Starts no host; safe from any thread."""

    def score(
        self, request: Request, continuations: Sequence[str | Sequence[int]]
    ) -> Generator[Event | Scored, None, None]:
        """Yields as `generate` does, ends with `Scored`: how likely each text is as what follows the prompt.

        A text may be given as its ids. The prompt is computed once. `request.logprobs` says whether tokens are told
        one by one. Cancelled like a generation: the last event is `Finished(reason="cancelled")` then.
        """

    def peek(self, request: Request, count: int) -> Generator[Event | Peeked, None, None]:
        """Yields as `generate` does, ends with `Peeked`: what could come next, stage by stage of the sampler chain.

        Args:
            request: the prompt and the sampling; nothing is generated.
            count: so many tokens are told of each stage.
        """

    def perplexity(self, text: str, window: int = 0) -> Generator[Event | Scored, None, None]:
        """Yields `Prefill`*, ends with `Scored`: how likely a text is on its own.

        Args:
            text: any text; longer than the window it is cut into windows that overlap by half, and of each but the
                first the second half counts.
            window: tokens; 0 is the context.
        """

    def cancel(self, request_id: str, answer: int | None = None) -> None:
        """Stops one request, or one of its answers. Safe from any thread.

        The generator ends with `Finished(reason="cancelled")`; of several answers only the one stopped has that reason.
        """

    def conclude(self, request_id: str, answer: int | None = None) -> None:
        """Closes the thought of a request, or of one of its answers, so that the model answers now.

        Safe from any thread; does nothing where nobody thinks. Of a request that `concludes` it ends what is written
        where that is no thought: the reason is `concluded` then.
        """

    def close(self) -> None:
        """Leaves the host. The host itself stays for its keepalive."""
