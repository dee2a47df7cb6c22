"""What the list of models tells about one: quantisation, context, whether it fits into memory, what is wrong with it.

Headless. Reads the header of the file (some 10 ms for a large vocabulary), so it is called from a thread.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llmchat_engine import EngineError

if TYPE_CHECKING:
    from llmchat_engine.models.fit.machine import Machine
    from llmchat_engine.models.fit.memory import Free
    from llmchat_engine.models.library import LocalModel

Fit = Literal["yes", "tight", "no", "card"]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the header of a model says; `problem` where it cannot be used at all, and the rest is empty then."""

    quantization: str = ""
    context: int = 0
    """Tokens it was trained for."""
    fit: Fit = "card"
    """`card` where the memory of a graphics card decides, which is not known before the model is loaded."""
    why: str = ""
    """For `tight` and `no`."""
    problem: str = ""
    speed: float = 0.0
    """About how many tokens a second it would write; 0 where that is not known."""


def free_memory() -> Free:
    """Returns the memory that a model could take, as the engine sees it before it loads one."""
    from llmchat_engine.models.fit.memory import Free, memory_free
    from llmchat_engine.models.fit.offload import has_own_memory, library_dir

    return Free(sys.maxsize, "the graphics card") if has_own_memory(library_dir()) else memory_free()


def read_facts(path: Path, machine: Machine) -> ModelFacts:
    """Returns what can be told about a file without loading it.

    Args:
        path: the model.
        machine: what it would run on.
    """
    from llmchat_engine.models.fit.plan import plan
    from llmchat_engine.models.gguf import read_header

    try:
        header = read_header(path)
    except EngineError as error:
        return ModelFacts(problem=error.why or error.what)
    if machine.card_unknown:
        return ModelFacts(header.quantization, header.context_length)
    planned = plan(header, machine)
    fit, why, speed = planned.fits, planned.why, planned.tokens_per_second
    return ModelFacts(header.quantization, header.context_length, fit, why, speed=speed)


def path_in(text: str) -> Path | None:
    """Returns the file that a text names, or None where it is a word to search for."""
    text = text.strip()
    if "/" not in text and not text.startswith("~") and not text.lower().endswith(".gguf"):
        return None
    try:
        return Path(os.path.abspath(os.path.expanduser(text)))
    except (OSError, ValueError):  # the working directory is gone
        return Path(text)


def with_current(models: list[LocalModel], current: Path | None) -> list[LocalModel]:
    """Returns the models with the one in use among them, also where it lies elsewhere."""
    from llmchat_engine.models.library import LocalModel

    if current is None or any(model.path == current for model in models):
        return models
    try:
        size = current.stat().st_size
    except OSError:
        size = 0
    return [LocalModel(current.stem, current, "path", size), *models]


def size_text(size: int) -> str:
    """Returns a file's size as people write it, in powers of ten as file managers do."""
    return f"{size / 1e9:.1f} GB" if size >= 999_500_000 else f"{size / 1e6:.0f} MB"
