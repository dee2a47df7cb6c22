"""Generated models of different shapes, and what a real host of each takes and how fast it writes.

Knows the engine's door and a process's own account of its memory (Linux); judges nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.engine.shaped_gguf import Shape
from tests.engine.tiny_gguf import EOS, IM_END

from llmchat_engine.client import LocalEngine
from llmchat_engine.events import Finished, Loaded
from llmchat_engine.launch import Places
from llmchat_engine.types import CacheType, Message, ModelSpec, Request, Sampling

WRITTEN = 32
"""Tokens that are written to find the speed."""
_GOES_ON = (f"#{EOS}=-inf", f"#{IM_END}=-inf")


@dataclass(frozen=True, slots=True)
class Case:
    """One model and how it is loaded."""

    name: str
    shape: Shape
    n_ctx: int = 4096
    cache: CacheType = "f16"


CASES = (
    Case("wide, F16", Shape(layers=6, width=2048, heads=16, kv_heads=16, feed_forward=5632, kind="F16", vocab=32_000)),
    Case("deep, Q8_0", Shape(layers=48, width=768, heads=12, kv_heads=4, feed_forward=2560, vocab=32_000), 6144),
    Case("many heads, Q4_0", Shape(layers=7, width=3072, heads=48, kv_heads=8, feed_forward=8192, kind="Q4_0")),
    Case(
        "grouped heads, Q4_K",
        Shape(layers=16, width=2048, heads=32, kv_heads=4, feed_forward=5632, kind="Q4_K", vocab=32_000),
        8192,
    ),
    Case("150,000 words, Q8_0", Shape(layers=12, width=1024, heads=16, kv_heads=8, vocab=150_000, tied=False)),
    Case(
        "long context, Q4_1",
        Shape(layers=12, width=1024, heads=8, kv_heads=2, feed_forward=4096, kind="Q4_1", vocab=50_000),
        16_384,
    ),
    Case("cache in q8_0, Q8_0", Shape(layers=24, width=1024, heads=16, kv_heads=16, vocab=32_000), 4096, "q8_0"),
    Case(
        "sliding window, F16",
        Shape("gemma3", 18, 1024, 8, 4, 4096, 64_000, "F16", "Q8_0", window=512),
        4096,
    ),
    Case("recurrent, Q8_0", Shape("mamba", 32, 1536, vocab=50_000)),
    Case("experts, Q4_K", Shape(layers=8, width=1024, experts=16, used=2, kind="Q4_K", kv_heads=4, feed_forward=2048)),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a host was seen to take and to do."""

    loaded: int
    """The most it held until the model was loaded."""
    peak: int
    """The most it ever held, with the whole context in use."""
    speed: float
    """Tokens a second, written behind half a context."""
    repacked: bool
    """Whether weights were copied for this CPU; not where that crashes."""


def watch(path: Path, case: Case, places: Places, threads: int, tries: int = 0) -> Seen:
    """Loads a model, fills half of its context, writes, fills all of it.

    Args:
        path: The model.
        case: How it is loaded.
        places: Directories of its host.
        threads: That write.
        tries: How many more times it writes, for the speed.
    """
    spec = ModelSpec(path, case.n_ctx, 0, threads, cache_type_k=case.cache, cache_type_v=case.cache)
    engine = LocalEngine(spec, places, keepalive=0)
    try:
        engine.prepare()
        model = next(event.model for event in engine.load() if isinstance(event, Loaded))
        loaded, half = most_held(engine.pid), case.n_ctx // 2 - WRITTEN
        question = Message("user", _text(engine, half))
        answer = _answer(engine, (question,), WRITTEN)
        # The same chat goes on: of another one the host would hold a copy beside it.
        reply = Message("assistant", answer.text, answer.token_ids, model.key)
        rest = case.n_ctx - half - len(engine.tokenize(answer.text)) - 32
        _answer(engine, (question, reply, Message("user", _text(engine, rest))), 4)
        peak = most_held(engine.pid)
        # The best of several, as another chat: what else the machine does only takes away.
        again = [_answer(engine, (question,), WRITTEN, chat="speed") for _ in range(tries)]
        speed = max(one.tokens_per_second for one in (answer, *again))
        return Seen(loaded, peak, speed, model.extra_buffers)
    finally:
        engine.close()


def most_held(pid: int) -> int:
    """Returns the most bytes of memory that a process ever held, pages of the mapped model among them."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _text(engine: LocalEngine, tokens: int) -> str:
    """Returns a text of about so many tokens; in the generated vocabularies each character is one."""
    text = "".join(chr(33 + n * 7 % 90) for n in range(tokens))
    return text * (tokens // max(1, len(engine.tokenize(text)))) or text


def _answer(engine: LocalEngine, path: tuple[Message, ...], written: int, chat: str = "fit") -> Finished:
    sampling = Sampling(temperature=0.0, max_tokens=written, logit_bias=_GOES_ON)
    request = Request(path, sampling, raw=True, chat=chat)
    return next(event for event in engine.generate(request) if isinstance(event, Finished))
