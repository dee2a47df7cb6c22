"""What each kind of server understands beyond what all of them do, and how to know which one it is.

Tables and nothing else: asks nobody, sends nothing. What stands in here was read in the servers' own sources:
llama.cpp 0c1e5709 (tools/server), llama-cpp-python 0.3.36 (server/types.py), vLLM 0.11, Ollama 0.12.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

STANDARD = MappingProxyType(
    {
        "temperature": "temperature",
        "top_p": "top_p",
        "seed": "seed",
        "max_tokens": "max_tokens",
        "presence_penalty": "presence_penalty",
        "frequency_penalty": "frequency_penalty",
    }
)
"""Fields of `Sampling` that every server knows, and their names there."""
_LLAMA = {
    "top_k": "top_k",
    "min_p": "min_p",
    "repeat_penalty": "repeat_penalty",
    "mirostat_tau": "mirostat_tau",
    "mirostat_eta": "mirostat_eta",
}


@dataclass(frozen=True, slots=True)
class Server:
    """What one kind of server understands."""

    name: str
    sampling: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Fields of `Sampling` that it takes besides the standard ones, and their names there."""
    is_known: bool = True
    """Whether that is certain; another server may pass over what is not standard, or refuse it."""
    schema: Literal["json_schema", "json_object"] = "json_schema"
    """The kind of `response_format` that carries a JSON schema."""
    grammar: Literal["", "grammar", "structured_outputs"] = ""
    """The field that carries a grammar; empty where it follows none."""
    continues: bool = False
    """Whether a reply at the end of the messages is gone on with. Others close it and begin a new one."""
    counts: Literal["", "templated", "messages", "text"] = ""
    """How it counts: a prompt that it renders first, messages, a text alone; empty where it does not."""
    thinking: Literal["", "template", "effort"] = ""
    """How a model is told whether to think; empty where there is no way."""
    thought_budget: str = ""
    """The field that bounds a thought; empty where there is none."""
    interrupts: bool = False
    """Whether another request, also one that only counts, breaks off the answer that is being written."""
    endless: int | None = None
    """What it takes as `max_tokens` of a raw prompt that may go on to the end of the context, where it takes that."""


LLAMA_SERVER = Server(
    "llama-server",
    MappingProxyType(
        _LLAMA
        | {name: name for name in ("typical_p", "top_n_sigma", "xtc_probability", "xtc_threshold", "mirostat")}
        | {name: name for name in ("dry_multiplier", "dry_base", "dry_allowed_length")}
        | {name: name for name in ("dynatemp_range", "dynatemp_exponent")}
        | {"penalty_last_n": "repeat_last_n", "dry_last_n": "dry_penalty_last_n"}
    ),
    grammar="grammar",
    continues=True,
    counts="templated",
    thinking="template",
    thought_budget="reasoning_budget_tokens",
    endless=-1,
)
LLAMA_CPP_PYTHON = Server(
    "llama_cpp.server",
    MappingProxyType(_LLAMA | {"mirostat": "mirostat_mode"}),
    schema="json_object",
    grammar="grammar",
    counts="text",
    interrupts=True,
    endless=0,
)
VLLM = Server(
    "vLLM",
    MappingProxyType({"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repetition_penalty"}),
    grammar="structured_outputs",
    continues=True,
    counts="messages",
    thinking="template",
    thought_budget="thinking_token_budget",
)
OLLAMA = Server("Ollama", thinking="effort")
OTHER = Server(
    "this server",
    MappingProxyType(
        {"top_k": "top_k", "min_p": "min_p", "typical_p": "typical_p", "repeat_penalty": "repetition_penalty"}
    ),
    is_known=False,
)

_OWNERS = {"llamacpp": LLAMA_SERVER, "me": LLAMA_CPP_PYTHON, "vllm": VLLM, "library": OLLAMA}


def server_of(owner: str) -> Server:
    """Returns the kind of server whose list of models names this owner."""
    return _OWNERS.get(owner, OTHER)
