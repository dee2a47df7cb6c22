"""Sampling: open fields filled in, ranges checked, and the stages of the native chain.

Knows no llama.cpp objects: a stage is a name and its numbers. Order as llama-server: logit bias, penalties, DRY,
top-n-sigma, top-k, typical, top-p, min-p, XTC, temperature, then the draw.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

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
_MOST_BIAS = 1000.0
_MIROSTAT_M = 100
"""Tokens that mirostat 1 estimates the distribution from, as in the paper."""
_SHOWN = {
    "penalties": slice(1, None), "top_p": slice(1), "min_p": slice(1), "typical": slice(1), "xtc": slice(2),
    "mirostat": slice(2, 4), "mirostat_v2": slice(1, None),
}  # fmt: skip
"""Which numbers of a stage are the user's."""
Stage = tuple[str, tuple[float, ...]]
"""A name of llama.h, llama_sampler_init_<name>, and its numbers. "logit_bias" has pairs of token and bias, "dry" what
comes before its breakers, which are fixed."""


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
        filled["seed"] = int.from_bytes(os.urandom(8)) % (2**32 - 1)
    return Sampling(**filled)


def stages(
    sampling: Sampling, n_vocab: int, n_ctx: int, biases: Mapping[int, float] = MappingProxyType({})
) -> tuple[Stage, ...]:
    """Returns the chain of a resolved Sampling; temperature 0 is greedy.

    Args:
        sampling: every field set.
        n_vocab: tokens of the vocabulary.
        n_ctx: tokens of the context; a window of -1 is that long, for llama.cpp takes -1 for none.
        biases: of `logit_biases`.
    """
    get = _Resolved(sampling)
    chain: list[Stage] = []
    if biases:
        chain.append(("logit_bias", tuple(value for pair in biases.items() for value in pair)))
    if _penalises(sampling):
        numbers = (get("repeat_penalty"), get("frequency_penalty"), get("presence_penalty"))
        chain.append(("penalties", (n_vocab, _window(get("penalty_last_n"), n_ctx), *numbers)))
    if get("dry_multiplier"):
        numbers = (get("dry_multiplier"), get("dry_base"), get("dry_allowed_length"))
        chain.append(("dry", (*numbers, _window(get("dry_last_n"), n_ctx))))
    return (*chain, *_draw(get, n_vocab))


def _draw(get: _Resolved, n_vocab: int) -> tuple[Stage, ...]:
    """Returns the stages that leave one token."""
    if get("temperature") <= 0:
        return (("greedy", ()),)
    seed = get("seed")
    temperature: Stage = ("temp", (get("temperature"),))
    if get("dynatemp_range"):
        temperature = ("temp_ext", (get("temperature"), get("dynatemp_range"), get("dynatemp_exponent")))
    if get("mirostat") == 1:
        return (temperature, ("mirostat", (n_vocab, seed, get("mirostat_tau"), get("mirostat_eta"), _MIROSTAT_M)))
    if get("mirostat") == 2:
        return (temperature, ("mirostat_v2", (seed, get("mirostat_tau"), get("mirostat_eta"))))
    chain: list[Stage] = []
    if get("top_n_sigma") > 0:
        chain.append(("top_n_sigma", (get("top_n_sigma"),)))
    chain.append(("top_k", (get("top_k"),)))
    if get("typical_p") < 1:
        chain.append(("typical", (get("typical_p"), 1)))
    chain += [("top_p", (get("top_p"), 1)), ("min_p", (get("min_p"), 1))]
    if get("xtc_probability"):
        chain.append(("xtc", (get("xtc_probability"), get("xtc_threshold"), 1, seed)))
    return (*chain, temperature, ("dist", (seed,)))


def looks_back(sampling: Sampling, length: int) -> int:
    """Returns how many of the prompt's last tokens the chain has to see.

    Args:
        sampling: every field set.
        length: tokens of the prompt.
    """
    get = _Resolved(sampling)
    windows = [get("penalty_last_n")] if _penalises(sampling) else []
    windows += [get("dry_last_n")] if get("dry_multiplier") else []
    return int(max((length if window < 0 else min(window, length) for window in windows), default=0))


def logit_biases(entries: Sequence[str], tokenize: Callable[[str], Sequence[int]], n_vocab: int) -> dict[int, float]:
    """Returns what is added to the logits of which tokens.

    Args:
        entries: each "#ID=BIAS" or "TEXT=BIAS".
        tokenize: returns the ids of a text.
        n_vocab: tokens of the vocabulary.

    Raises:
        RequestInvalid: an entry is none of these, or there is no such token.
    """
    biases: dict[int, float] = {}
    for entry in entries:
        token, _, number = entry.rpartition("=")
        bias = _bias(entry, token, number)
        if token.startswith("#") and token[1:].isdecimal():
            ids: Sequence[int] = (int(token[1:]),)
            if ids[0] >= n_vocab:
                raise RequestInvalid(f"logit_bias {entry!r}: there is no token {ids[0]}", f"there are {n_vocab:,}")
        else:
            ids = tokenize(token)
        biases.update(dict.fromkeys(ids, bias))
    return biases


def _bias(entry: str, token: str, number: str) -> float:
    try:
        bias = float(number)
    except ValueError:
        bias = math.nan
    if not token or not (bias == -math.inf or abs(bias) <= _MOST_BIAS):
        why = f"it has to be TEXT=BIAS or #ID=BIAS, with a bias from -{_MOST_BIAS:g} to {_MOST_BIAS:g}, or -inf"
        raise RequestInvalid(f"logit_bias {entry[:60]!r} is not understood", why)
    return bias


def chain_in_words(asked: Sampling, defaults: Sampling) -> tuple[str, ...]:
    """Returns the stages that a reply's tokens go through, in order, for the user.

    Args:
        asked: what the user set.
        defaults: what the model does otherwise: `ModelInfo.sampling`.

    Raises:
        RequestInvalid: a value is out of range.
    """
    sampling = resolve(asked, defaults)
    words = [] if not sampling.logit_bias else ["logit_bias(" + ", ".join(sampling.logit_bias) + ")"]
    for name, numbers in stages(sampling, 0, -1):
        shown = _SHOWN.get(name, slice(None))
        told = ", ".join(f"{number:g}" for number in numbers[shown])
        if name == "dist":
            told = "seed drawn anew" if asked.seed is None else f"seed {asked.seed}"
        words.append(f"{name}({told})" if told else name)
    return tuple(words)


class _Resolved:
    """The numbers of a Sampling, every one of them set."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling

    def __call__(self, name: str) -> float:
        value = getattr(self._sampling, name)
        assert value is not None, name
        number: float = value
        return number


def _window(tokens: float, n_ctx: int) -> int:
    return n_ctx if tokens < 0 else int(tokens)


def _penalises(sampling: Sampling) -> bool:
    off = (sampling.repeat_penalty, sampling.frequency_penalty, sampling.presence_penalty) == (1.0, 0.0, 0.0)
    return not off and sampling.penalty_last_n != 0
