"""How fast prompts are read and replies written at several depths of the context, and how fast they could be at best.

Knows an `Engine` and the machine's memory; no chat, no report. The context holds nothing else meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from llmchat_engine import Engine, Message, Request, Sampling
from llmchat_tui.cli.bench_clock import Answer, ask, cut, prose

REPLY = 33
_LETTERS_PER_TOKEN = 8
_SHORTEST = 8
"""Tokens of the prompt at depth 0: something has to be asked."""
_SCANNED = 256 << 20
_SCANS = 5


@dataclass(frozen=True, slots=True)
class Depth:
    """The speed behind so many tokens."""

    depth: int
    reading: float
    """Seconds of the new tokens that were read there."""
    new: int
    step: float
    """Seconds of one decode step."""

    @property
    def prefill_rate(self) -> float:
        """Prompt tokens a second."""
        return self.new / self.reading if self.reading > 0 else 0.0

    @property
    def decode_rate(self) -> float:
        """Tokens of a reply a second."""
        return 1 / self.step if self.step > 0 else 0.0


def measure_depths(engine: Engine, wanted: Sequence[tuple[int, int]], number: int) -> list[Depth]:
    """Returns the speed at each depth.

    Args:
        engine: Who computes.
        wanted: Depths in tokens, rising, and how many new tokens are read at each.
        number: Which text; the same number gives the same one.
    """
    longest = max(depth + new for depth, new in wanted)
    text = prose(number, longest * _LETTERS_PER_TOKEN)
    return [_at(engine, text, max(depth, _SHORTEST), new, depth) for depth, new in wanted]


def _at(engine: Engine, text: str, depth: int, new: int, name: int) -> Depth:
    written = _complete(engine, cut(engine, text, depth), REPLY)
    read = _complete(engine, cut(engine, text, depth + new), 1)
    return Depth(name, read.reading, read.evaluated, written.step)


def _complete(engine: Engine, text: str, tokens: int) -> Answer:
    # With a temperature, since an answer that must come out the same again begins its prompt at a whole batch.
    sampling = Sampling(temperature=0.8, max_tokens=tokens)
    return ask(engine, Request((Message("user", text),), sampling, raw=True))


@dataclass(frozen=True, slots=True)
class Floor:
    """What the machine can do at best: each token reads the whole model, and the context once."""

    bandwidth: float
    """Bytes that the threads of decode read from memory in a second."""
    model: int
    """Bytes of the model."""
    per_token: int
    """Bytes of the KV cache that one token takes."""
    depths: tuple[Depth, ...]
    """Prefill is not bound by memory, so its floor is the speed that was measured."""

    def step(self, depth: int) -> float:
        """Returns the seconds of one decode step behind so many tokens."""
        return (self.model + depth * self.per_token) / self.bandwidth

    def first_token(self, depth: int, new: int) -> float:
        """Returns the seconds in which so many new tokens are read there, and the first of the reply is there."""
        return (new - 1) * self._reading(depth + new // 2) + self.step(depth + new)

    def moved(self, tokens: int) -> float:
        """Returns the seconds in which the cache of so many tokens is read from memory."""
        return tokens * self.per_token / self.bandwidth

    def _reading(self, depth: int) -> float:
        """Returns the seconds of one token of a prompt, between the two depths that were measured next to it."""
        known = [(point.depth, 1 / point.prefill_rate) for point in self.depths if point.prefill_rate > 0]
        below = max((point for point in known if point[0] <= depth), default=known[0])
        above = min((point for point in known if point[0] >= depth), default=known[-1])
        if below[0] == above[0]:
            return below[1]
        return below[1] + (above[1] - below[1]) * (depth - below[0]) / (above[0] - below[0])


def memory_bandwidth(threads: int, size: int = _SCANNED) -> float:
    """Returns the bytes a second that so many threads read from memory together; the best of a few times.

    memchr looks for a byte that is not there: it only reads, as decode does, and ctypes lets go of the interpreter.
    """
    import ctypes
    from concurrent.futures import ThreadPoolExecutor

    scan = ctypes.CDLL(None).memchr
    scan.argtypes, scan.restype = [ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t], ctypes.c_void_p
    part = max(1, size // threads)
    texts = [b"a" * part for _ in range(threads)]
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(_SCANS):
            began = time.perf_counter()
            list(pool.map(lambda text: scan(text, 0x62, part), texts))
            best = max(best, part * threads / (time.perf_counter() - began))
    return best
