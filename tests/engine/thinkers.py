"""Models that think, in this process: the templates of three families in short, and draws that a test writes down.

A reply is drawn as scripted, everything else is the host's own worker on a tiny model: prompts, cache, thoughts, idle
work. Knows the host's parts; no sockets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine.answers import Answer
from llmchat_engine.events import Finished, Loaded, Notice, Token
from llmchat_engine.host import decode, outlet
from llmchat_engine.host.counter import Counter
from llmchat_engine.host.jobs import Job, JobQueue
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.worker import Worker
from llmchat_engine.protocol import Generate, Load, News, Work
from llmchat_engine.types import Message, ModelInfo, Request, Sampling

KEY = "k" * 64
QWEN3 = (
    "{% for m in messages %}{% set c = m.content %}"
    "{% if m.role == 'assistant' and '</think>' in c %}{% set c = c.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
    "{{ '<|im_start|>' + m.role + '\\n' + c + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}"
    "{% endif %}"
)
R1 = (
    "{{ bos_token }}{% for m in messages %}{% set c = m.content %}"
    "{% if m.role == 'assistant' %}{% if '</think>' in c %}{% set c = c.split('</think>')[-1] %}{% endif %}"
    "{{ '<|im_start|>' + c + '<|im_end|>' }}{% else %}{{ '<s>' + c }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|><think>\\n' }}{% endif %}"
)
"""As DeepSeek-R1's, with this vocabulary's tokens for its `<｜User｜>`, `<｜Assistant｜>` and end of sentence."""
GPT_OSS = (
    "{{ '<|start|>system<|message|>Reasoning: ' + (reasoning_effort or 'medium') + '<|end|>' }}"
    "{% for m in messages %}{% if m.role == 'assistant' %}"
    "{{ '<|start|>assistant<|channel|>final<|message|>' + m.content + '<|end|>' }}"
    "{% else %}{{ '<|start|>' + m.role + '<|message|>' + m.content + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}"
)
HARMONY = ("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>")
TEMPLATES = {"qwen3": QWEN3, "r1": R1, "gpt-oss": GPT_OSS, "spelled": QWEN3}
MARKS = {
    "gpt-oss": {500 + number: text for number, text in enumerate(HARMONY)},
    "spelled": {5: "<unused1>", 6: "<unused2>"},
}
OpenThinker = Callable[[str], "Thinker"]
WHERE = Message("user", "Where is it, and is it far from here?")


@dataclass
class Draws:
    """In place of a chain of samplers: what is drawn, token by token."""

    left: deque[int]
    seen: list[int] = field(default_factory=list)
    """All that it was told of, what it drew and what it did not."""
    complete = True

    def accept(self, token: int) -> None:
        """Is told of a token that was not drawn."""
        self.seen.append(token)

    def choose(self, _candidates: object) -> int:
        """Draws under a grammar; the token is accepted apart."""
        return self.left.popleft()

    def sample(self, _context: object, _index: int = -1) -> int:
        """Draws."""
        self.seen.append(self.left[0])
        return self.left.popleft()


class _Plain(Worker):
    @staticmethod
    def _repacks(llama: Llama, order: Load) -> bool:
        return False


class Thinker:
    """A worker with one model."""

    def __init__(self, llama: Llama, path: Path, patch: pytest.MonkeyPatch) -> None:
        """Loads it."""
        self._patch, self.draws = patch, list[Draws]()
        self.worker = _Plain(Counter(), JobQueue(lambda _: None), lambda _: None)
        self.worker._llama = llama
        order = Load(str(path), KEY, 1024, 0, 1, 1, False, "")
        (loaded,) = (event for event in self.serve(order) if isinstance(event, Loaded))
        self.info: ModelInfo = loaded.model
        residents = self.worker._residents
        assert residents is not None
        self.residents, self.vocab = residents, residents.model.vocab
        patch.setattr(outlet, "_TOKEN_INTERVAL", 0.0)

    def ids(self, text: str) -> tuple[int, ...]:
        """Returns the ids of a text with marks in it."""
        return tuple(self.vocab.tokenize(text, special=True))

    def text(self, ids: Sequence[int]) -> str:
        """Returns ids as text, marks too."""
        return b"".join(self.vocab.piece(token, special=True) for token in ids).decode()

    def prompt(self, request: Request) -> str:
        """Returns a prompt as text."""
        return self.text(self.residents.prompter.prompt(request).ids)

    def events(self, request: Request, *drawn: str, watch: Callable[[Job, News], None] = lambda *_: None) -> list[News]:
        """Runs a request whose answers are drawn as written; without any they are drawn by the model.

        Args:
            request: What is asked.
            drawn: What each answer draws, with marks.
            watch: Sees each event as it comes.
        """
        if drawn:
            scripts = [self.ids(text) for text in drawn]
            self._patch.setattr(decode, "sampler_chain", self._scripted(scripts))
        else:
            self._patch.undo()
            self._patch.setattr(outlet, "_TOKEN_INTERVAL", 0.0)
        return self.serve(Generate(request), watch)

    def ask(self, request: Request, *drawn: str, watch: Callable[[Job, News], None] = lambda *_: None) -> Finished:
        """Runs a request to its end, and checks that what came on the way adds up to the end."""
        return in_order(self.events(request, *drawn, watch=watch))

    def rest(self) -> None:
        """Does what is due at once when nobody asks."""
        while self.worker.patience() == 0.0:
            self.worker.work()

    def close(self) -> None:
        """Frees both."""
        self.residents.context.close()
        self.residents.model.close()

    def _scripted(self, scripts: Sequence[tuple[int, ...]]) -> Callable[..., Any]:
        self.draws = [Draws(deque(script)) for script in scripts]
        turns = iter(self.draws)

        @contextmanager
        def chain(*_: object) -> Iterator[Draws]:
            yield next(turns)

        return chain

    def serve(self, order: Work, watch: Callable[[Job, News], None] = lambda *_: None) -> list[News]:
        """Has the worker do an order, and returns its news."""
        seen: list[News] = []

        def send(news: News) -> None:
            seen.append(news)
            watch(job, news)

        job = Job("1", 1, order, send)
        self.worker.serve(job)
        return seen


def thinker_path(kind: str, models: Path) -> Path:
    """Returns the file of a tiny model of one family."""
    path = models / f"thinker-{kind}.gguf"
    return path if path.exists() else tiny_llama(path, template=TEMPLATES[kind], marks=MARKS.get(kind))


def in_order(events: Sequence[object]) -> Finished:
    """Returns the end of a reply, after checking that the events before it add up to it."""
    last = events[-1]
    assert isinstance(last, Finished)
    tokens = [event for event in events if isinstance(event, Token)]
    ends: Sequence[Finished | Answer] = last.answers or (last,)
    for index, end in enumerate(ends):
        own = [token for token in tokens if token.answer == index]
        assert "".join(token.text for token in own if not token.thought) == end.text
        assert "".join(token.text for token in own if token.thought) == end.thought
        thought = [token.thought for token in own]
        assert thought == sorted(thought, reverse=True), "a thought comes before its answer"
        if not all(thought):
            assert sum(token.count for token in own if token.thought) == end.thought_tokens
    return last


def asked(*messages: Message, **more: Any) -> Request:
    """Returns a request; without messages it is the usual question."""
    sampling = more.pop("sampling", Sampling(temperature=0.0, max_tokens=more.pop("max_tokens", 100)))
    return Request(messages or (WHERE,), sampling, **more)


def reply(finished: Finished) -> Message:
    """Returns a reply as the next turn holds it."""
    return Message("assistant", finished.text, finished.token_ids, KEY, finished.thought_tokens)


def notices(events: Sequence[News]) -> list[str]:
    """Returns what the user is told."""
    return [event.text for event in events if isinstance(event, Notice)]
