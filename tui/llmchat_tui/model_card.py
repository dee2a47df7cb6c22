"""All that can be told of a model without loading it, for people and for programs: `llmchat show` and its page.

Pure but for the arithmetic of fit; reads no file and paints nothing. Text from headers is made harmless in what is for
people; `template` and `numbers` have it as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llmchat_tui.progress_words import size_text
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_engine.models.fit.machine import Machine
    from llmchat_engine.models.gguf import Header
    from llmchat_engine.models.hub.pulled import Record

CONTEXTS = (2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072)
"""Those that memory is told for, as far as the model was trained; the trained one is always among them."""
CACHE_TYPES = ("f16", "q8_0", "q4_0")
_SHOWN_VALUE = 400
"""Characters of a value that are for people; a licence may be a whole text."""


@dataclass(frozen=True, slots=True)
class Line:
    """One fact."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Section:
    """Facts about one thing."""

    heading: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """What this user's machine adds to a file."""

    name: str = ""
    """What it is called here; empty takes the one of its header."""
    origin: str = ""
    """Where it was found, as `LocalModel.origin`."""
    aliases: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Settings that hold for this model alone."""


@dataclass(frozen=True, slots=True)
class Card:
    """The facts of one model."""

    name: str
    sections: tuple[Section, ...]
    """For people; those without a line are left out."""
    template: str
    """The chat template as the header has it: text from outside; empty where there is none."""
    numbers: Mapping[str, Any]
    """For programs: plain values, ready for JSON."""


def card_of(path: Path, header: Header, machine: Machine | None, record: Record | None, named: Named = Named()) -> Card:
    """Returns what can be told of a model.

    Args:
        path: the file, of a split model its first part.
        header: what it says.
        machine: what it would run on; None leaves out what fits and how fast it would be.
        record: what was noted when it was pulled; None where it was not.
        named: what the user calls it and how it is used.
    """
    name = sanitize_line(named.name or header.name)
    contexts = tuple(_memory(header, machine))
    sections = (
        Section("model", tuple(_lines(_identity(path, header, record, named)))),
        Section("shape", tuple(_lines(_shape(header)))),
        Section("tensors", tuple(_lines(_tensors(header)))),
        Section("cache per token", tuple(_lines(_cache(header)))),
        Section("memory", tuple(Line(f"{one['context']:,} tokens", _memory_words(one)) for one in contexts)),
        Section("settings of this model", tuple(_lines({key: str(value) for key, value in named.options.items()}))),
    )
    numbers = _numbers(path, header, record, named, contexts)
    template = str(header.metadata.get("tokenizer.chat_template", "")) if header.has_template else ""
    return Card(name, tuple(section for section in sections if section.lines), template, numbers)


def _lines(facts: Mapping[str, str]) -> Iterator[Line]:
    """Yields a line for each fact that there is."""
    for label, value in facts.items():
        shown = sanitize_line(value)
        if shown:
            cut = f"{shown[:_SHOWN_VALUE]}…" if len(shown) > _SHOWN_VALUE else shown
            yield Line(sanitize_line(label), cut)


def _identity(path: Path, header: Header, record: Record | None, named: Named) -> dict[str, str]:
    parts = f" in {len(header.parts)} files" if len(header.parts) > 1 else ""
    return {
        "file": str(path),
        "name in its header": header.name,
        "size": f"{size_text(header.file_size)} ({header.file_size:,} bytes){parts}",
        "quantisation": header.quantization,
        "parameters": f"{params_text(header.n_params)} ({header.n_params:,})",
        "licence": _licence(header, record),
        "from": " · ".join(
            part for part in (named.origin, f"{record.repo}@{record.commit[:7]}" if record else "") if part
        ),
        "base model": record.base_model if record else "",
        "sha256": record.sha256 if record else "",
        "alias": ", ".join(named.aliases),
    }


def _shape(header: Header) -> dict[str, str]:
    experts, used = number_of(header, "expert_count"), number_of(header, "expert_used_count")
    window = f"{header.sliding_window:,} tokens" if header.sliding_window else ""
    return {
        "architecture": header.architecture,
        "layers": f"{header.block_count:,}",
        "width": f"{header.embedding_length:,}",
        "heads": _span(header.head_count),
        "KV heads": _span(header.head_count_kv),
        "key and value": f"{header.key_length} and {header.value_length}" if max(header.head_count) else "",
        "feed-forward": _span(feed_forward(header)),
        "experts": f"{experts:,}, {used:,} for each token" if experts else "",
        "vocabulary": f"{header.n_vocab:,}",
        "RoPE": _rope(header),
        "context": f"{header.context_length:,} tokens",
        "sliding window": window,
    }


def _rope(header: Header) -> str:
    """Returns how positions are told, in words."""
    rope = rope_of(header)
    parts = [f"{rope['dimensions']} dimensions" if rope["dimensions"] else ""]
    parts += [f"base {rope['base']:,.0f}" if rope["base"] else ""]
    if rope["scaling"] not in ("", "none"):
        parts += [f"{rope['scaling']} scaling" + (f" by {rope['factor']:g}" if rope["factor"] else "")]
    return ", ".join(part for part in parts if part)


def _tensors(header: Header) -> dict[str, str]:
    """Returns how much is kept in which type."""
    whole = max(1, sum(kind.params for kind in header.tensor_types))
    return {
        kind.name: f"{kind.tensors:,} tensor{'s' * (kind.tensors != 1)}, {100 * kind.params / whole:.1f} % of the model"
        for kind in header.tensor_types
    }


def _cache(header: Header) -> dict[str, str]:
    return {kind: f"{size:,} bytes" for kind, size in cache_bytes(header).items()}


def _memory(header: Header, machine: Machine | None) -> Iterator[dict[str, Any]]:
    """Yields for each context what it takes, and on a machine whether it fits and how fast it would be."""
    from llmchat_engine.models.fit.need import memory_needed

    contexts = {context for context in CONTEXTS if context < header.context_length} | {header.context_length}
    for context in sorted(contexts):
        if machine is None:
            yield {"context": context, "bytes": memory_needed(header, context).total}
            continue
        from llmchat_engine.models.fit.plan import plan

        planned = plan(header, machine, n_ctx=context)
        speed = planned.tokens_per_second
        yield {"context": context, "bytes": planned.need.total, "fits": planned.fits, "tokens_per_second": speed}


def _memory_words(one: Mapping[str, Any]) -> str:
    fits = {"yes": "fits", "tight": "tight", "no": "does not fit"}.get(one.get("fits", ""), "")
    speed = speed_text(one.get("tokens_per_second", 0.0)) if one.get("fits") != "no" else ""
    return " · ".join(part for part in (size_text(one["bytes"]), fits, f"about {speed}" if speed else "") if part)


def _numbers(
    path: Path, header: Header, record: Record | None, named: Named, contexts: tuple[dict[str, Any], ...]
) -> dict[str, Any]:
    """Returns everything as plain values; a name from the header is text from outside."""
    return {
        "name": named.name or header.name,
        "path": str(path),
        "files": [str(part) for part in header.parts],
        "origin": named.origin,
        "aliases": list(named.aliases),
        "options": dict(named.options),
        "size": header.file_size,
        "quantization": header.quantization,
        "parameters": header.n_params,
        "licence": _licence(header, record),
        "repo": record.repo if record else "",
        "commit": record.commit if record else "",
        "sha256": record.sha256 if record else "",
        "base_model": record.base_model if record else "",
        "architecture": header.architecture,
        "layers": header.block_count,
        "width": header.embedding_length,
        "heads": list(header.head_count),
        "kv_heads": list(header.head_count_kv),
        "key_length": header.key_length,
        "value_length": header.value_length,
        "feed_forward": list(feed_forward(header)),
        "experts": number_of(header, "expert_count"),
        "vocabulary": header.n_vocab,
        "rope": rope_of(header),
        "context": header.context_length,
        "sliding_window": header.sliding_window,
        "tensor_types": [
            {"type": kind.name, "tensors": kind.tensors, "parameters": kind.params} for kind in header.tensor_types
        ],
        "cache_bytes_per_token": cache_bytes(header),
        "memory": list(contexts),
        "has_template": header.has_template,
    }


def number_of(header: Header, key: str) -> int:
    """Returns a whole number of the architecture's own keys; 0 where there is none."""
    value = header.metadata.get(f"{header.architecture}.{key}")
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def feed_forward(header: Header) -> tuple[int, ...]:
    """Returns the width of the feed-forward part: one number, or one for each layer; none where it is not told."""
    value = header.metadata.get(f"{header.architecture}.feed_forward_length")
    if isinstance(value, tuple):
        return tuple(item for item in value if isinstance(item, int))
    return (value,) if isinstance(value, int) else ()


def rope_of(header: Header) -> dict[str, Any]:
    """Returns how positions are told: dimensions, base, kind of scaling and its factor; 0 or empty where not told."""
    prefix = f"{header.architecture}.rope."
    kind = header.metadata.get(f"{prefix}scaling.type")
    return {
        "dimensions": number_of(header, "rope.dimension_count"),
        "base": _finite(header.metadata.get(f"{prefix}freq_base")),
        "scaling": kind if isinstance(kind, str) else "",
        "factor": _finite(header.metadata.get(f"{prefix}scaling.factor")),
    }


def cache_bytes(header: Header) -> dict[str, int]:
    """Returns the cache bytes of one token by the type of keys and values."""
    from llmchat_engine.models.fit.need import kv_bytes_per_token

    return {kind: kv_bytes_per_token(header, kind, kind) for kind in CACHE_TYPES}


def _licence(header: Header, record: Record | None) -> str:
    told = record.licence if record else ""
    said = header.metadata.get("general.license")
    return told or (said if isinstance(said, str) else "")


def _finite(value: object) -> float:
    """Returns a number that JSON can hold; 0 for what is none."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _span(values: tuple[int, ...]) -> str:
    """Returns a number that layers have, or the least and the most of them."""
    if not values or not max(values):
        return ""
    return f"{values[0]:,}" if len(set(values)) == 1 else f"{min(values):,} to {max(values):,}"


def params_text(count: int) -> str:
    """Returns how many parameters there are, as in a model's name."""
    if count >= 999_500_000:
        return f"{count / 1e9:.1f}B"
    return f"{count / 1e6:.0f}M" if count >= 999_500 else f"{count / 1e3:.0f}K"


def speed_text(speed: float) -> str:
    """Returns tokens a second as people write them; nothing where they are not known."""
    if not 0 < speed < float("inf"):
        return ""
    return f"{speed:.0f} tok/s" if speed >= 9.5 else f"{speed:.1f} tok/s"
