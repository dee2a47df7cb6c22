"""FakeEngine: an `Engine` without a model, for the tests of whoever uses one. Scripted text, speed, crashes and hangs.

Keeps the contract of types.Engine. One "token" is one word with the space before it; what a script says goes on where
the request ends, also behind a reply that is continued. Knows no process and no socket.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace

from llmchat_engine.errors import ContextFull, EngineDied, EngineError
from llmchat_engine.types import (
    Event,
    Finished,
    Loaded,
    Loading,
    Measured,
    Message,
    ModelInfo,
    Notice,
    Prefill,
    Rendered,
    Request,
    Sampling,
    StopReason,
    Token,
    Waiting,
    nothing_generated,
)

FAKE_MODEL = ModelInfo(
    key="f" * 64,
    name="fake-1B",
    path="/nowhere/fake-1B.gguf",
    architecture="fake",
    quantization="Q4_1",
    size=98_000_000,
    n_params=1_000_000_000,
    n_vocab=1000,
    n_ctx=2048,
    n_ctx_train=2048,
    threads=1,
    gpu_layers=0,
    devices=(),
    extra_buffers=True,
    template="chatml",
    template_key="0" * 16,
    sampling=Sampling(temperature=0.8, top_k=40, top_p=0.95, min_p=0.05),
    build="fake",
)


@dataclass(frozen=True, slots=True)
class Script:
    """One reply: its text and what goes wrong on the way."""

    text: str = "Hello there."
    crash_after: int | None = None
    """Raise EngineDied after this many tokens."""
    hang_after: int | None = None
    """Only `Waiting` from this token on, until cancelled."""
    error: EngineError | None = None
    """Raise this instead of a first token."""
    notice: str = ""


@dataclass(slots=True)
class FakeEngine:
    """Plays scripts in order, the last one again and again; `requests` keeps what it was asked."""

    scripts: Sequence[Script] = (Script(),)
    tokens_per_second: float = 0.0
    """0 is as fast as the consumer reads."""
    model: ModelInfo = FAKE_MODEL
    requests: list[Request] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    _cancelled: dict[str, threading.Event] = field(default_factory=dict)

    def prepare(self) -> None:
        """Does nothing: there is no host."""

    def load(self) -> Generator[Event, None, None]:
        """Yields a load of two steps."""
        yield Loading(0.5)
        yield Loaded(self.model, 0.1)

    def generate(self, request: Request) -> Generator[Event, None, None]:
        """Yields the next script."""
        cancelled = self._cancelled.setdefault(request.id, threading.Event())
        for event in self.load():
            yield event
            if cancelled.is_set():
                yield nothing_generated(request)
                return
        # A consumer that leaves at `Loaded` asked for nothing: the real engine has sent nothing either.
        script = self.scripts[min(len(self.requests), len(self.scripts) - 1)]
        self.requests.append(request)
        if script.notice:
            yield Notice(script.notice)
        prompt = self.render(request).token_ids
        if len(prompt) >= self.model.n_ctx:
            raise ContextFull(len(prompt), self.model.n_ctx)
        yield Prefill(len(prompt), len(prompt), 0)
        yield from self._stream(request, script, cancelled, len(prompt))

    def _stream(
        self, request: Request, script: Script, cancelled: threading.Event, prompt: int
    ) -> Generator[Event, None, None]:
        if script.error is not None:
            raise script.error
        words = re.findall(r"\s*\S+\s*$|\s*\S+", script.text)
        limit = request.sampling.max_tokens
        said: list[str] = []
        reason: StopReason = "eog"
        for index, word in enumerate(words):
            while script.hang_after == index and not cancelled.wait(0.01):
                yield Waiting()
            if cancelled.wait(1 / self.tokens_per_second) if self.tokens_per_second else cancelled.is_set():
                reason = "cancelled"
                break
            if script.crash_after == index:
                raise EngineDied("the engine stopped (SIGSEGV)", "scripted", "ask again")
            if limit is not None and index >= limit:
                reason = "max_tokens"
                break
            if prompt + index >= self.model.n_ctx:
                reason = "context"
                break
            said.append(word)
            yield Token(word)
        yield self._finished(request, reason, said, prompt)

    def _finished(self, request: Request, reason: StopReason, said: list[str], prompt: int) -> Finished:
        return replace(
            nothing_generated(request),
            reason=reason,
            text="".join(said),
            token_ids=tuple(range(len(said))),
            prompt_tokens=prompt,
            prefilled_tokens=prompt,
            reply_tokens=len(said),
            time_to_first_token=0.01,
            prefill_seconds=0.01,
            decode_seconds=0.01 * len(said),
        )

    def render(self, request: Request) -> Rendered:
        """Returns the messages in ChatML; one id per word. A reply at the end is left open: it is continued."""
        text = "".join(_in_chatml(request.messages))
        return Rendered(text, tuple(range(len(text.split()))))

    def tokenize(self, text: str) -> tuple[int, ...]:
        """Returns one id per word."""
        return tuple(range(len(text.split())))

    def measure(self, request: Request) -> Measured:
        """Returns what `render` gives each message; it writes nothing before, between and after them."""
        counts = (len(text.split()) for text in _in_chatml(request.messages))
        return Measured(0, tuple(counts), 0, self.model.n_ctx)

    def forget(self, chat: str) -> None:
        """Remembers what was to be forgotten."""
        self.forgotten.append(chat)

    def cancel(self, request_id: str) -> None:
        """Stops a request, also before it has begun."""
        self._cancelled.setdefault(request_id, threading.Event()).set()

    def close(self) -> None:
        """Does nothing."""


def _in_chatml(messages: Sequence[Message]) -> list[str]:
    texts = [f"<|im_start|>{message.role}\n{message.text}<|im_end|>\n" for message in messages]
    if messages and messages[-1].role == "assistant":
        texts[-1] = texts[-1].removesuffix("<|im_end|>\n")
    return texts
