"""One round of the benchmark: a chat of ten turns, all that can be done with it, two restarts; then nothing reused.

Knows the order; what a request is, bench_chat.py knows, and what comes of the values, bench_ratios.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from llmchat_engine import Engine, ModelInfo, ModelSpec
from llmchat_engine.client import LocalEngine
from llmchat_tui.cli.bench_chat import TURNS, Conversation, chat_length, write_script
from llmchat_tui.cli.bench_clock import Answer
from llmchat_tui.cli.bench_depths import Depth, measure_depths
from llmchat_tui.cli.bench_host import engine_in, load, resident, short_directory, timed_load

REGENERATIONS = 5
CONTINUED = 32
"""Tokens that are compared with those after a restart."""
OTHER_CHATS = 100
"""Texts between those of the chat and those of the other chat, for each round."""
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Alive:
    """A chat in a host that stays."""

    turns: tuple[Answer, ...]
    regenerated: tuple[Answer, ...]
    back_to_first: Answer
    """The first reply continued, with the new one beside it."""
    back_to_new: Answer
    came_back: Answer
    """A short question after another chat was asked."""
    continued: Answer
    """The first reply, some tokens further."""
    resident: int

    @property
    def regeneration(self) -> float:
        """Seconds to the first text of a reply that was asked for again."""
        return median(answer.to_first for answer in self.regenerated)


@dataclass(frozen=True, slots=True)
class Round:
    """What one round found."""

    info: ModelInfo
    loads: tuple[float, ...]
    alive: Alive
    reopened: Answer
    """The last reply continued in another host, started after everything had stopped; the model is loaded."""
    reasked: Answer
    """The short question in one more host."""
    nothing: dict[int, Answer]
    """By turn: the same path with nothing in the cache."""
    depths: tuple[Depth, ...]
    reference: Depth
    """As many new tokens as the last turn had, as deep as it was, and nothing else in the context."""

    @property
    def last(self) -> Answer:
        """The last turn."""
        return self.alive.turns[-1]


def run_round(spec: ModelSpec, state: Path, number: int, progress: Progress) -> Round:
    """Runs a round.

    Args:
        spec: The model.
        state: Where the verdict about this CPU is kept.
        number: Which round: each has other texts.
        progress: Is told what is done now.

    Raises:
        EngineError: the model cannot be run.
    """
    loads: list[float] = []

    @contextmanager
    def a_host(home: Path) -> Iterator[LocalEngine]:
        with engine_in(home, spec, state, home / "kv") as engine:
            loads.append(timed_load(engine))
            yield engine

    with short_directory() as home:
        with a_host(home) as engine:
            info = load(engine)
            chat, other = _chats(engine, info, number)
            alive = _live(chat, other, lambda: resident(home), progress)
        progress("reopened from disk")
        with a_host(home) as engine:
            reopened = chat.moved_to(engine).go_on(tokens=CONTINUED)
        with a_host(home) as engine:
            chat = chat.moved_to(engine)
            reasked, nothing = chat.come_back(), _from_nothing(chat, progress)
            *depths, reference = _depths(engine, info, alive.turns[-1], number, progress)
    return Round(info, tuple(loads), alive, reopened, reasked, nothing, tuple(depths), reference)


def _chats(engine: Engine, info: ModelInfo, number: int) -> tuple[Conversation, Conversation]:
    """Returns the chat, and another one of a single turn."""
    length = chat_length(info.n_ctx)
    script = write_script(engine, number, length)
    another = write_script(engine, number + OTHER_CHATS, length // TURNS, 1)
    return Conversation(engine, "bench", script, info.key), Conversation(engine, "other", another, info.key)


def _live(chat: Conversation, other: Conversation, memory: Callable[[], int], progress: Progress) -> Alive:
    """Plays a chat, and does all with it that needs no restart."""
    turns = chat.play(lambda turn: progress(f"turn {turn} of {TURNS}"))
    progress("the last reply again, and back")
    again = [chat.regenerate() for _ in range(REGENERATIONS)]
    first, new = chat.go_on(), chat.go_on(again[-1][1])
    progress("another chat, and back")
    other.play()
    back = chat.come_back()
    continued = chat.go_on(tokens=CONTINUED)
    return Alive(turns, tuple(answer for answer, _ in again), first, new, back, continued, memory())


def _from_nothing(chat: Conversation, progress: Progress) -> dict[int, Answer]:
    found = {}
    for turn in (2, TURNS):
        progress(f"turn {turn} with nothing to start from")
        found[turn] = chat.from_nothing(turn)
    return found


def _depths(engine: Engine, info: ModelInfo, last: Answer, number: int, progress: Progress) -> tuple[Depth, ...]:
    """Returns the speed at three depths, then that of the last turn's."""
    tokens = chat_length(info.n_ctx)
    progress(f"prefill and decode at up to {tokens:,} tokens")
    new = min(256, info.n_ctx // 8)
    shown = [(0, new), (tokens // 2, new), (tokens, new)]
    reference = (last.finished.cached_tokens, last.evaluated)
    found = measure_depths(engine, sorted([*shown, reference]), number)
    at = {point.depth: point for point in found}
    return (*(at[depth] for depth, _ in shown), at[reference[0]])
