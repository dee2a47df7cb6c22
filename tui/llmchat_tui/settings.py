"""Every setting there is: its name, type, range, default and description.

Knows no file and no environment; config.py reads those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from llmchat_engine import Sampling
from llmchat_engine.types import CacheType

TABLE = "sampling"
"""The table of config.toml that holds how tokens are chosen; all else stands at the top."""
SAMPLING_KEYS = frozenset(Sampling.__dataclass_fields__)
LISTS = frozenset({"stop", "logit_bias"})
"""The keys with a list for a value."""

_Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
_Fraction = Annotated[float, Meta(ge=0, le=1)]
_Penalty = Annotated[float, Meta(ge=-10, le=10)]
# llama.cpp reads the seed 2**32 - 1 as "draw one".
_Seed = Annotated[int, Meta(ge=0, le=2**32 - 2)]
_Temperature = Annotated[float, Meta(ge=0, le=100)]
_Factor = Annotated[float, Meta(gt=0, le=10)]
_Window = Annotated[int, Meta(ge=-1, le=2**31 - 1)]
_Sigmas = Annotated[float, Meta(ge=0, le=100)]
_Strength = Annotated[float, Meta(ge=0, le=100)]
_Length = Annotated[int, Meta(ge=1, le=2**31 - 1)]
_NotEmpty = Annotated[str, Meta(min_length=1)]
_Overflow = Literal["ask", "drop", "stop", "summarize"]
_MANY = 100
"""Passages that a question may be given; far fewer fit any context."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every key of config.toml; those that are also fields of `Sampling` stand in its table `[sampling]`."""

    model: Annotated[str, Meta(description="a name, a unique part of one, or a path; empty takes the only one")] = ""
    base_url: Annotated[
        str, Meta(description="address of the server that openai:MODEL asks, as http://127.0.0.1:8000/v1")
    ] = ""
    system: Annotated[str, Meta(description="the system prompt of new chats")] = ""
    keepalive: Annotated[str | float, Meta(description="time an unused model stays loaded: 30s, 5m, 1h; 0 is none")] = (
        "5m"
    )
    ctx: Annotated[
        _Count, Meta(description="context length in tokens; 0 takes what the model and the memory allow")
    ] = 0
    gpu_layers: Annotated[int, Meta(ge=-1, le=10_000, description="layers on the GPU; -1 is all")] = -1
    threads: Annotated[int, Meta(ge=0, le=4_096, description="CPU threads; 0 takes the physical cores")] = 0
    batch: Annotated[int, Meta(ge=32, le=4_096, description="tokens of a prompt that are read in one step")] = 512
    cache_type_k: Annotated[
        CacheType, Meta(description="keys in the KV cache: q8_0 takes half the memory of f16, q4_0 a quarter")
    ] = "f16"
    cache_type_v: Annotated[
        CacheType, Meta(description="values in it; all but f16 halve the speed in long chats on a CPU")
    ] = "f16"
    rpc_servers: Annotated[
        str, Meta(description="machines that layers are put on: HOST:PORT of llama.cpp's RPC servers, commas between")
    ] = ""
    kv_cache: Annotated[bool, Meta(description="keep the KV cache of chats on disk, so that they reopen at once")] = (
        True
    )
    kv_cache_gib: Annotated[
        float, Meta(ge=0, le=1_000_000, description="GiB it may take there; 0 takes 8, at most 5 % of the free disk")
    ] = 0.0
    overflow: Annotated[
        _Overflow,
        Meta(description="what happens to the oldest messages when the context is full: ask, drop, stop, summarize"),
    ] = "ask"
    markdown: Annotated[bool, Meta(description="render Markdown on a terminal")] = True
    color: Annotated[Literal["auto", "always", "never"], Meta(description="auto, always or never")] = "auto"
    theme: Annotated[str, Meta(description="the colours of the chat; empty picks light or dark by the terminal")] = ""
    reading_width: Annotated[
        int, Meta(ge=40, le=400, description="the widest a message of the chat gets, in columns")
    ] = 100
    chat_list: Annotated[
        Literal["auto", "show", "hide"],
        Meta(description="the list of chats beside the chat; auto shows it from 100 columns on"),
    ] = "auto"
    stdin_limit_mib: Annotated[int, Meta(ge=1, le=1_024, description="the most that is read from stdin, in MiB")] = 8
    docs_k: Annotated[int, Meta(ge=1, le=_MANY, description="passages of documents that a question is given")] = 5
    docs_alpha: Annotated[
        _Fraction, Meta(description="weight of the meaning against the words where documents are searched")
    ] = 0.7
    docs_fusion: Annotated[
        Literal["convex", "rrf"],
        Meta(description="how the two searches become one: convex adds their scores, rrf their inverse ranks"),
    ] = "convex"
    docs_min_score: Annotated[_Fraction, Meta(description="passages with a lower score are not used")] = 0.0
    docs_cite: Annotated[
        bool, Meta(description="hold answers from documents to sentences that end with the number of a passage")
    ] = False
    rerank: Annotated[
        Literal["auto", "on", "off"],
        Meta(description="read passages once more, together with the question; auto: in the chat, with a model for it"),
    ] = "auto"
    reranker: Annotated[str, Meta(description="the model for that: a name or a path; empty takes the first found")] = ""
    embedder: Annotated[
        str, Meta(description="the embedding model of documents: a name or a path; empty is all-MiniLM-L6-v2")
    ] = ""
    vector_server: Annotated[
        str, Meta(description="address of a Milvus server that searches the vectors; empty searches them here")
    ] = ""
    temperature: Annotated[
        _Temperature | None, Meta(description="randomness from 0 (always the likeliest token) up")
    ] = None
    top_k: Annotated[_Count | None, Meta(description="choose among this many tokens; 0 is all")] = None
    top_p: Annotated[_Fraction | None, Meta(description="choose among the likeliest tokens up to this sum")] = None
    min_p: Annotated[_Fraction | None, Meta(description="leave out tokens below this part of the likeliest")] = None
    seed: Annotated[_Seed | None, Meta(description="a fixed seed gives the same answer again")] = None
    repeat_penalty: Annotated[_Factor | None, Meta(description="above 1 avoids repetition")] = None
    presence_penalty: Annotated[_Penalty | None, Meta(description="above 0 avoids tokens that were used")] = None
    frequency_penalty: Annotated[_Penalty | None, Meta(description="above 0 avoids tokens that were used often")] = None
    penalty_last_n: Annotated[
        _Window | None, Meta(description="tokens that the penalties look back on; -1 is all of them")
    ] = None
    typical_p: Annotated[_Fraction | None, Meta(description="choose among typical tokens up to this sum; 1 is off")] = (
        None
    )
    top_n_sigma: Annotated[
        _Sigmas | None, Meta(description="leave out tokens so many standard deviations below the likeliest; 0 is off")
    ] = None
    xtc_probability: Annotated[
        _Fraction | None, Meta(description="how often the likeliest tokens are excluded; 0 is off")
    ] = None
    xtc_threshold: Annotated[_Fraction | None, Meta(description="what counts as likely there; above 0.5 is off")] = None
    dry_multiplier: Annotated[_Strength | None, Meta(description="how much repeating a passage costs; 0 is off")] = None
    dry_base: Annotated[_Strength | None, Meta(description="how fast that grows with the passage")] = None
    dry_allowed_length: Annotated[_Count | None, Meta(description="tokens that may be repeated for nothing")] = None
    dry_last_n: Annotated[_Window | None, Meta(description="tokens that it looks back on; -1 is all of them")] = None
    dynatemp_range: Annotated[
        _Temperature | None, Meta(description="how far the temperature moves with the model's certainty; 0 is off")
    ] = None
    dynatemp_exponent: Annotated[_Strength | None, Meta(description="how it moves: 1 is in proportion")] = None
    mirostat: Annotated[
        Literal[0, 1, 2] | None, Meta(description="1 or 2 keep the surprise constant, in place of top_k and the rest")
    ] = None
    mirostat_tau: Annotated[_Strength | None, Meta(description="how much surprise, in bits")] = None
    mirostat_eta: Annotated[_Fraction | None, Meta(description="how fast that is learned")] = None
    logit_bias: Annotated[
        tuple[_NotEmpty, ...], Meta(description='what tokens are favoured by: "TEXT=BIAS" or "#ID=BIAS", -inf forbids')
    ] = ()
    max_tokens: Annotated[_Length | None, Meta(description="the longest answer, in tokens")] = None
    stop: Annotated[tuple[_NotEmpty, ...], Meta(description="texts that end the answer")] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file, for commands that list or set them."""

    name: str
    table: str
    """`sampling`, or empty for the top of the file."""
    description: str


def keys() -> tuple[Key, ...]:
    """Returns every key in the order of the file."""
    schema = msgspec.json.schema(Settings)["$defs"]["Settings"]["properties"]
    return tuple(Key(name, table_of(name), schema[name]["description"]) for name in Settings.__struct_fields__)


def usable_sampling(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those values that are fields of `Sampling` and in their range; values from a file may be neither."""
    kinds = {field.name: field.type for field in msgspec.structs.fields(Settings) if field.name in SAMPLING_KEYS}
    return {name: value for name, value in values.items() if name in kinds and _fits(value, kinds[name])}


def table_of(name: str) -> str:
    """Returns the table that a key stands in; empty for the top."""
    return TABLE if name in SAMPLING_KEYS else ""


def dotted_name(name: str) -> str:
    """Returns a key's name with its table, as error messages and TOML have it."""
    return f"{TABLE}.{name}" if name in SAMPLING_KEYS else name


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True
