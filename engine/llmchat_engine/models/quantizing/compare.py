"""Measuring models against each other: perplexity, how far their predictions are apart, speed, memory, answers.

Each model is measured by a throw-away process of its own (host/compare.py), one after the other. Knows no terminal.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from math import exp, expm1, inf
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from llmchat_engine.errors import EngineDied, RequestInvalid
from llmchat_engine.models.gguf import read_header
from llmchat_engine.models.progress import Progress
from llmchat_engine.models.quantizing.child import Child
from llmchat_engine.models.quantizing.tasks import (
    Answered,
    Divergence,
    Failed,
    Measured,
    MeasureTask,
    Rows,
    Step,
    TextFacts,
    Told,
)
from llmchat_engine.preflight import check_model
from llmchat_engine.protocol import Load, to_error
from llmchat_engine.types import ModelSpec

if TYPE_CHECKING:
    from llmchat_engine.launch import Places

_PROGRAM = "llmchat_engine.host.compare"
WINDOW: Final = 512
"""Tokens of a window, as in llama.cpp's own tables."""
ANSWER_CONTEXT: Final = 2048
"""Tokens of context that all models answer and are weighed with, so that their memory can be compared."""
PROMPTS: Final = (
    "What is the capital of France?",
    "Name three uses of a paper clip.",
    "What is 17 + 25? Answer with the number alone.",
    "Write one sentence about the sea.",
)


@dataclass(frozen=True, slots=True)
class Side:
    """What was measured of one model."""

    spec: ModelSpec
    size: int
    """Bytes of its file or files."""
    measured: Measured
    answers: tuple[Answered, ...]

    @property
    def name(self) -> str:
        """Its file's name, and how its cache is kept where that is not f16."""
        kinds = dict.fromkeys((self.spec.cache_type_k, self.spec.cache_type_v))
        return self.spec.path.stem if list(kinds) == ["f16"] else f"{self.spec.path.stem}, cache {'/'.join(kinds)}"

    @property
    def bits(self) -> float:
        """Bits of the file a weight."""
        return 8 * self.size / max(1, self.measured.n_params)


def perplexity_of(facts: TextFacts) -> tuple[float, float]:
    """Returns a perplexity and its standard error, which is that of the mean times the perplexity.

    Both are infinite where a float cannot hold them: a broken model may find a text as unlikely as that.
    """
    try:
        value = exp(facts.nll)
    except OverflowError:
        return inf, inf
    return value, value * facts.nll_error


def growth_of(divergence: Divergence) -> float:
    """Returns by which part of the base's perplexity the other one is higher; infinite where a float cannot hold it."""
    try:
        return expm1(divergence.nll_change)
    except OverflowError:
        return inf


def default_text() -> str:
    """Returns the text that is read where none is named: prose, some 2,000 tokens."""
    return Path(__file__).with_name("compare.txt").read_text("utf-8")


def measure_perplexity(
    spec: ModelSpec, places: Places, text: str, window: int = WINDOW
) -> Generator[Progress, None, Side]:
    """Reads a text with one model; closing it stops the work.

    Args:
        spec: The model; its context is set to what this takes.
        places: Where engines keep what they learned about this machine.
        text: What to read.
        window: Tokens that are seen at once.

    Raises:
        ModelError: the file is not a usable GGUF.
        NotEnoughMemory: it does not fit.
        RequestInvalid: text or window are too short, or the model was not made for so long a window.
        EngineDied: the process crashed.
    """
    task = MeasureTask(_order(spec, places, window, window), text, window)
    return (yield from _measure(spec, task))


def compare(
    specs: Sequence[ModelSpec],
    places: Places,
    text: str,
    prompts: Sequence[str],
    *,
    window: int = WINDOW,
    max_tokens: int = 64,
    scratch: Path,
) -> Generator[Progress, None, tuple[Side, ...]]:
    """Measures models one after the other; the first is what the others are compared with. Closing it stops the work.

    Args:
        specs: The models, two or more; their contexts are set to what this takes.
        places: Where engines keep what they learned about this machine.
        text: What to read.
        prompts: What to ask each, from nothing, always taking the likeliest token.
        window: Tokens of the text that are seen at once.
        max_tokens: The longest answer.
        scratch: A directory on disk for the first one's predictions: four bytes for each word of the vocabulary and
            token that counts. The file has no name, and nothing of it stays.

    Raises:
        ModelError: a file is not a usable GGUF.
        NotEnoughMemory: one does not fit.
        NotEnoughDisk: the predictions do not.
        RequestInvalid: as for `measure_perplexity`.
        EngineDied: a process crashed.
    """
    context = max(window, ANSWER_CONTEXT)
    orders = [_order(spec, places, window, context) for spec in specs]  # what cannot be loaded is told before the first
    sides: list[Side] = []
    with tempfile.TemporaryFile(dir=scratch) as file:
        for spec, order in zip(specs, orders, strict=True):
            rows: Rows = "read" if sides else "write"
            task = MeasureTask(order, text, window, tuple(prompts), max_tokens, rows, file.fileno())
            if sides:
                task = _against(task, sides[0].measured)
            sides.append((yield from _measure(spec, task)))
    return tuple(sides)


def _against(task: MeasureTask, base: Measured) -> MeasureTask:
    ids = base.text.ids_key if base.text else ""
    return msgspec.structs.replace(task, base_vocab=base.vocab_key, base_ids=ids)


def _order(spec: ModelSpec, places: Places, window: int, n_ctx: int) -> Load:
    """Returns the order that loads a model with a context of this length.

    Raises:
        EngineError: it is none, does not fit, or was not made for such a window.
    """
    trained = read_header(spec.path.resolve()).context_length
    if window > trained:
        why = f"{spec.path.stem} was trained on {trained:,} tokens"
        raise RequestInvalid(f"a window of {window:,} tokens cannot be used", why, f"--ctx {min(WINDOW, trained)}")
    return check_model(replace(spec, n_ctx=min(n_ctx, trained)), places)


def _measure(spec: ModelSpec, task: MeasureTask) -> Generator[Progress, None, Side]:
    """Has one model measured."""
    answers: list[Answered] = []
    measured: Measured | None = None
    name = spec.path.stem
    progress = Progress("loading", 0, 0, "tokens", what=name)
    yield progress
    with Child(_PROGRAM, task, [task.rows_file] if task.rows_file >= 0 else []) as child:
        for line in child.lines():
            told = None if line is None else msgspec.json.decode(line, type=Told)
            match told:
                case Step(stage, done, total, rate):
                    progress = Progress(stage, done, total, "tokens", rate, name)
                case Answered():
                    answers.append(told)
                case Measured():
                    measured = told
                case Failed(failure):
                    raise to_error(failure)
            yield progress
        ended = child.wait()
    if measured is None:
        why = ended or "it told no result"
        raise EngineDied(f"{name} could not be measured", why, "choose another with -m, or see llmchat doctor")
    return Side(spec, sum(part.stat().st_size for part in read_header(spec.path).parts), measured, tuple(answers))
