"""Sampling: open fields filled in, ranges checked, and the stages of the native chain.

Knows no llama.cpp objects: a stage is a name and its numbers. Order as llama-server: penalties, top-k, top-p, min-p,
temperature, then the draw.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import replace

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.types import Sampling

DEFAULTS = Sampling(
    temperature=0.8,
    top_k=40,
    top_p=0.95,
    min_p=0.05,
    repeat_penalty=1.0,
    presence_penalty=0.0,
    frequency_penalty=0.0,
    penalty_last_n=64,
    typical_p=1.0,
    top_n_sigma=0.0,
    xtc_probability=0.0,
    xtc_threshold=0.1,
    dry_multiplier=0.0,
    dry_base=1.75,
    dry_allowed_length=2,
    dry_last_n=-1,
    dynatemp_range=0.0,
    dynatemp_exponent=1.0,
    mirostat=0,
    mirostat_tau=5.0,
    mirostat_eta=0.1,
)
PENALTY_WINDOW = 64
"""Tokens that the penalties look back on, prompt included."""
_METADATA = {
    "general.sampling.temp": ("temperature", float),
    "general.sampling.top_k": ("top_k", int),
    "general.sampling.top_p": ("top_p", float),
    "general.sampling.min_p": ("min_p", float),
    "general.sampling.penalty_repeat": ("repeat_penalty", float),
}
_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0.0, 100.0),
    "top_k": (0, 2**31 - 1),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "seed": (0, 2**32 - 2),  # 2**32 - 1 is llama.cpp's "random"
    "repeat_penalty": (0.01, 100.0),
    "presence_penalty": (-100.0, 100.0),
    "frequency_penalty": (-100.0, 100.0),
    "max_tokens": (1, 2**31 - 1),
    "penalty_last_n": (-1, 2**31 - 1),
    "typical_p": (0.0, 1.0),
    "top_n_sigma": (0.0, 100.0),
    "xtc_probability": (0.0, 1.0),
    "xtc_threshold": (0.0, 1.0),
    "dry_multiplier": (0.0, 100.0),
    "dry_base": (0.0, 100.0),
    "dry_allowed_length": (0, 2**31 - 1),
    "dry_last_n": (-1, 2**31 - 1),
    "dynatemp_range": (0.0, 100.0),
    "dynatemp_exponent": (0.0, 100.0),
    "mirostat": (0, 2),
    "mirostat_tau": (0.0, 100.0),
    "mirostat_eta": (0.0, 1.0),
}
Stage = tuple[str, tuple[float, ...]]


def model_defaults(metadata: Mapping[str, str]) -> Sampling:
    """Returns the defaults of a model: its own metadata where it is usable, else ours."""
    found: dict[str, float] = {}
    for key, (name, kind) in _METADATA.items():
        try:
            value = kind(metadata[key])
        except (KeyError, ValueError):
            continue
        low, high = _RANGES[name]
        if math.isfinite(value) and low <= value <= high:
            found[name] = value
    return replace(DEFAULTS, **found)  # type: ignore[arg-type]


def resolve(asked: Sampling, defaults: Sampling) -> Sampling:
    """Returns a Sampling with every field set that decides a token, and a drawn seed where none was asked for.

    Raises:
        RequestInvalid: a value is out of range.
    """
    fields = {name: getattr(asked, name) for name in asked.__dataclass_fields__}
    filled = {name: getattr(defaults, name) if value is None else value for name, value in fields.items()}
    for name, (low, high) in _RANGES.items():
        value = filled[name]
        if value is not None and not (math.isfinite(value) and low <= value <= high):
            raise RequestInvalid(f"{name} {value:g} is out of range", f"it must be from {low:g} to {high:g}")
    if any(not word for word in asked.stop):
        raise RequestInvalid("a stop word is empty", "every reply would end before it began")
    if filled["seed"] is None:
        filled["seed"] = random.SystemRandom().randrange(2**32 - 1)
    return Sampling(**filled)


def stages(sampling: Sampling, n_vocab: int) -> tuple[Stage, ...]:
    """Returns the chain of a resolved Sampling; temperature 0 is greedy."""
    assert sampling.temperature is not None
    penalties = (sampling.repeat_penalty, sampling.frequency_penalty, sampling.presence_penalty)
    chain: list[Stage] = []
    if penalties != (1.0, 0.0, 0.0):
        chain.append(("penalties", (n_vocab, PENALTY_WINDOW, *(value or 0.0 for value in penalties))))
    if sampling.temperature <= 0:
        return (*chain, ("greedy", ()))
    assert sampling.top_k is not None
    assert sampling.top_p is not None
    assert sampling.min_p is not None
    assert sampling.seed is not None
    chain += [("top_k", (sampling.top_k,)), ("top_p", (sampling.top_p, 1)), ("min_p", (sampling.min_p, 1))]
    return (*chain, ("temp", (sampling.temperature,)), ("dist", (sampling.seed,)))
