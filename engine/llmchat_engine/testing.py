"""FakeEngine: an `Engine` without a model, for the tests of whoever uses one. Scripted text, speed, crashes and hangs.

Keeps the contract of types.Engine. One "token" is one word with the space before it; what a script says goes on where
the request ends, also behind a reply that is continued. A stop word is seen within one token.
Knows no process and no socket.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace

from llmchat_engine.answers import Answer, Candidate, Score, StopReason, TokenLogprob, TokenPiece
from llmchat_engine.errors import ContextFull, EngineDied, EngineError
from llmchat_engine.events import (
    Answered,
    Event,
    Filter,
    Finished,
    Loaded,
    Loading,
    Measured,
    Notice,
    Peeked,
    Prefill,
    Rendered,
    Scored,
    Token,
    Waiting,
    nothing_generated,
)
from llmchat_engine.sampling import DEFAULTS
from llmchat_engine.types import Message, ModelInfo, Request

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
    sampling=DEFAULTS,
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
    thought: str = ""
    """What the model thinks before it says its text; a request that wants no thought gets none."""


@dataclass(slots=True)
class FakeEngine:
    """Plays scripts in order, the last one again and again; `requests` keeps what it was asked."""

    scripts: Sequence[Script] = (Script(),)
    tokens_per_second: float = 0.0
    """0 is as fast as the consumer reads."""
    model: ModelInfo = FAKE_MODEL
    requests: list[Request] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    concluded: set[str] = field(default_factory=set)
    """The requests that were told to answer now."""
    stopped: set[tuple[str, int]] = field(default_factory=set)
    """(request, answer) of every answer that was stopped on its own."""
    continued: Sequence[Script] = ()
    """What is said where a reply is continued, one after the other; without any it is the next of `scripts`."""
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
        self.requests.append(request)
        script = self._script(request, 0)
        if script.notice:
            yield Notice(script.notice)
        prompt = self.render(request).token_ids
        if len(prompt) >= self.model.n_ctx:
            raise ContextFull(len(prompt), self.model.n_ctx)
        yield Prefill(len(prompt), len(prompt), 0)
        if script.error is not None:
            raise script.error
        stage = _Stage(self, request, len(prompt), cancelled)
        yield from stage.play([self._script(request, number) for number in range(request.answers)])

    def _script(self, request: Request, number: int) -> Script:
        """Returns what one of several answers says: the script whose turn it is, and those behind it."""
        goes_on = bool(self.continued) and _goes_on(request)
        scripts = self.continued if goes_on else self.scripts
        turn = sum(_goes_on(one) for one in self.requests) if goes_on else len(self.requests)
        return scripts[min(turn - 1 + number, len(scripts) - 1)]

    def score(
        self, request: Request, continuations: Sequence[str | Sequence[int]]
    ) -> Generator[Event | Scored, None, None]:
        """Yields a load and `Scored`: every word, or id, has log-probability -1."""
        yield from self.load()
        told = request.logprobs is not None
        scores = tuple(_score(text, told) for text in continuations)
        yield Scored(scores, len(self.render(request).token_ids), 0, 0.01)

    def peek(self, request: Request, count: int) -> Generator[Event | Peeked, None, None]:
        """Yields a load and `Peeked`: `count` words, each half as likely as the one before, and no filter."""
        yield from self.load()
        top = tuple(Candidate(number, f" word{number}", -math.log(2) * (number + 1)) for number in range(count))
        softmax = Filter("softmax", self.model.n_vocab, top)
        yield Peeked((softmax,), 1.0, len(self.render(request).token_ids), 0, 0.01)

    def perplexity(self, text: str, window: int = 0) -> Generator[Event | Scored, None, None]:
        """Yields a load and `Scored`, as `score` of the text behind nothing."""
        del window  # one is enough
        yield from self.score(Request(()), (text,))

    def render(self, request: Request) -> Rendered:
        """Returns the messages in ChatML; one id per word. A reply at the end is left open: it is continued."""
        text = "".join(_in_chatml(request.messages))
        return Rendered(text, tuple(range(len(text.split()))))

    def tokenize(self, text: str) -> tuple[int, ...]:
        """Returns one id per word."""
        return tuple(range(len(text.split())))

    def pieces(self, text: str, *, special: bool = False) -> tuple[TokenPiece, ...]:
        """Returns one token per word; special ones are those that stand between `<|` and `|>`."""
        found = re.findall(r"<\|.*?\|>|\s*[^\s<]+|.", text)
        is_special = [special and bool(re.fullmatch(r"<\|.*\|>", word)) for word in found]
        return tuple(
            TokenPiece(number, word, b"" if named else word.encode(), named)
            for number, (word, named) in enumerate(zip(found, is_special, strict=True))
        )

    def measure(self, request: Request) -> Measured:
        """Returns what `render` gives each message; it writes nothing before, between and after them."""
        counts = (len(text.split()) for text in _in_chatml(request.messages))
        return Measured(0, tuple(counts), 0, self.model.n_ctx)

    def forget(self, chat: str) -> None:
        """Remembers what was to be forgotten."""
        self.forgotten.append(chat)

    def cancel(self, request_id: str, answer: int | None = None) -> None:
        """Stops a request, also before it has begun; or one of its answers."""
        if answer is None:
            self._cancelled.setdefault(request_id, threading.Event()).set()
        else:
            self.stopped.add((request_id, answer))

    def conclude(self, request_id: str, answer: int | None = None) -> None:
        """Has a request answer now, all of its answers."""
        del answer
        self.concluded.add(request_id)

    def close(self) -> None:
        """Does nothing."""


def _goes_on(request: Request) -> bool:
    return bool(request.messages) and request.messages[-1].role == "assistant"


def _in_chatml(messages: Sequence[Message]) -> list[str]:
    texts = [f"<|im_start|>{message.role}\n{message.text}<|im_end|>\n" for message in messages]
    if messages and messages[-1].role == "assistant":
        texts[-1] = texts[-1].removesuffix("<|im_end|>\n")
    return texts


@dataclass(slots=True)
class _Part:
    """One answer as it is played."""

    script: Script
    words: list[str]
    thoughts: list[str] = field(default_factory=list)
    """What is left to think."""
    thought: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    reason: StopReason | None = None


@dataclass(slots=True)
class _Stage:
    """Plays the answers of one request, a word of each in turn."""

    engine: FakeEngine
    request: Request
    prompt: int
    cancelled: threading.Event

    def play(self, scripts: Sequence[Script]) -> Generator[Event, None, None]:
        """Yields the words, how each answer ended where there are several, and `Finished`."""
        thinks = self.request.think != "off"
        parts = [_Part(one, _words(one.text), _words(one.thought) if thinks else []) for one in scripts]
        while any(part.reason is None for part in parts):
            for index, part in enumerate(parts):
                if part.reason is None:
                    yield from self._word(index, part)
                    if part.reason is not None and len(parts) > 1:
                        yield Answered(index, self._answer(part))
        yield self._finished(parts)

    def _word(self, index: int, part: _Part) -> Generator[Event, None, None]:
        speed, at = self.engine.tokens_per_second, len(part.thought) + len(part.said)
        ends = self.request.concludes and not part.script.thought
        hangs = part.script.hang_after == at
        while hangs and not self.cancelled.wait(0.01) and not self._stopped(index) and not (ends and self._concluded):
            yield Waiting()
        stopped = self.cancelled.wait(1 / speed) if speed else self.cancelled.is_set()
        budget = self.request.think_budget
        if self._concluded or (budget is not None and len(part.thought) >= budget):
            part.thoughts = []
        if stopped or self._stopped(index):
            part.reason = "cancelled"
        elif ends and self._concluded:
            part.reason = "concluded"
        elif not part.thoughts and len(part.said) == len(part.words):
            part.reason = "eog"
        elif part.script.crash_after == at:
            raise EngineDied("the engine stopped (SIGSEGV)", "scripted", "ask again")
        elif self.request.sampling.max_tokens == at:
            part.reason = "max_tokens"
        elif self.prompt + at >= self.engine.model.n_ctx:
            part.reason = "context"
        else:
            thinks = bool(part.thoughts)
            word = part.thoughts.pop(0) if thinks else self._up_to_stop(part, part.words[len(part.said)])
            if part.reason == "stop" and not word:
                return
            (part.thought if thinks else part.said).append(word)
            told = () if self.request.logprobs is None else (TokenLogprob(at, word, -1.0),)
            yield Token(word, 1, index, told, thinks)

    def _up_to_stop(self, part: _Part, word: str) -> str:
        """Returns what of a word comes before a stop word, which ends the answer."""
        found = [word.find(stop) for stop in self.request.sampling.stop if stop in word]
        part.reason = "stop" if found else None
        return word[: min(found)] if found else word

    @property
    def _concluded(self) -> bool:
        return self.request.id in self.engine.concluded

    def _stopped(self, index: int) -> bool:
        return (self.request.id, index) in self.engine.stopped

    def _finished(self, parts: Sequence[_Part]) -> Finished:
        first, count = self._answer(parts[0]), sum(len(part.thought) + len(part.said) for part in parts)
        return replace(
            nothing_generated(self.request),
            reason=first.reason,
            text=first.text,
            token_ids=first.token_ids,
            prompt_tokens=self.prompt,
            prefilled_tokens=self.prompt,
            reply_tokens=count,
            time_to_first_token=0.01,
            prefill_seconds=0.01,
            decode_seconds=0.01 * count,
            complete=first.complete,
            thought=first.thought,
            thought_tokens=first.thought_tokens,
            thought_seconds=0.01 * first.thought_tokens,
            answers=tuple(map(self._answer, parts)) if len(parts) > 1 else (),
        )

    def _answer(self, part: _Part) -> Answer:
        """Returns how one ended: what a script says whole satisfies any grammar."""
        reason, thought = part.reason or "eog", len(part.thought)
        count = thought + len(part.said)
        complete = reason == "eog" or not (self.request.grammar or self.request.schema)
        said, ids = "".join(part.said), tuple(range(count))
        return Answer(
            reason, said, ids, count, complete=complete, thought="".join(part.thought), thought_tokens=thought
        )


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+\s*$|\s*\S+", text)


def _score(text: str | Sequence[int], told: bool) -> Score:
    words = _words(text) if isinstance(text, str) else [f" {token}" for token in text]
    tokens = tuple(TokenLogprob(number, word, -1.0) for number, word in enumerate(words)) if told else ()
    return Score(-float(len(words)), len(words), tokens)
