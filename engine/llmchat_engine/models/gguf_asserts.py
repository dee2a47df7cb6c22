"""Numbers and types of a header that llama.cpp asserts: each rule stands for one line at which it ends its process.

Found by mutating models and loading what was left. Works on what gguf_parse.py read; knows no file and no path. The
other rules are in gguf_rules.py.
"""

from __future__ import annotations

import re

from llmchat_engine.models.gguf_parse import Parsed, Refused, Tensor
from llmchat_engine.models.gguf_rules import damaged, number

MOST_EXPERTS = 1024
"""LLAMA_MAX_EXPERTS."""
_MAPPED = 32
"""What the first tensor's place in memory must be a multiple of; a file is mapped from a page's begin on."""
_ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
_WHOLE_NUMBERS = {24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64"}
_WEIGHTS = re.compile(
    rb"(token_embd|output|.*norm|blk\.\d+\.(attn|ssm|shortconv)[a-z_.]*|blk\.\d+\.ffn_(up|down|gate)(_exps|_shexp)?)"
    rb"\.(weight|bias)|blk\.\d+\.ssm_[ad]"
)
"""Tensors that are multiplied with; other ones may be tables of whole numbers (which experts a token goes to)."""


def check_asserted(parsed: Parsed, arch: str, layers: int, start: int) -> None:
    """Checks what llama.cpp would end its process on, after the rules of the format.

    Args:
        parsed: The header as read.
        arch: Its architecture.
        layers: The number of its layers.
        start: Where the tensors begin.

    Raises:
        Refused: One of it does not hold.
    """
    if start % _MAPPED:
        raise Refused(
            f"its tensors begin at byte {start:,}, llama.cpp needs a multiple of {_MAPPED}", "download it again"
        )
    number(parsed, f"{arch}.nextn_predict_layers", 0, layers, default=0)
    _check_rope(parsed, arch)
    _check_window(parsed, arch, layers)
    _check_experts(parsed, arch, layers)
    _check_tokenizer(parsed)
    for tensor in parsed.tensors:
        check_type(tensor)


def check_type(tensor: Tensor) -> None:
    """Refuses weights of a type that nothing can be multiplied with.

    Args:
        tensor: One row of the table.

    Raises:
        Refused: It is such a type.
    """
    if tensor.kind in _WHOLE_NUMBERS and _WEIGHTS.fullmatch(tensor.name):
        name = tensor.name.decode(errors="replace")
        raise damaged(f"the tensor {name} is of the type {_WHOLE_NUMBERS[tensor.kind]}, which no weights are")


def _check_rope(parsed: Parsed, arch: str) -> None:
    """Checks how positions are encoded."""
    for key in (f"{arch}.rope.dimension_count", f"{arch}.rope.dimension_count_swa"):
        if number(parsed, key, 0, 1 << 16, default=0) % 2:
            raise damaged(f"{key} is {parsed.metadata[key]}, positions take pairs of values")
    scaling = parsed.metadata.get(f"{arch}.rope.scaling.type")
    if isinstance(scaling, str) and scaling not in _ROPE_SCALINGS:
        raise Refused(f"it scales positions in a way that llama.cpp does not know: {scaling[:40]}", "update llmchat")


def _check_window(parsed: Parsed, arch: str, layers: int) -> None:
    """Refuses a sliding window that no layer has."""
    window = parsed.metadata.get(f"{arch}.attention.sliding_window")
    pattern = parsed.metadata.get(f"{arch}.attention.sliding_window_pattern")
    nowhere = not any(pattern[:layers]) if isinstance(pattern, tuple) else pattern == 1
    if window and pattern is not None and nowhere:
        raise damaged(f"{arch}.attention.sliding_window is set, and no layer has one")


def _check_experts(parsed: Parsed, arch: str, layers: int) -> None:
    """Checks how many experts there are, how many of them a token goes to, and their groups."""
    experts = number(parsed, f"{arch}.expert_count", 0, MOST_EXPERTS, default=0)
    if experts <= 1 and arch.startswith("hunyuan"):
        return  # llama.cpp reads one expert as none here
    groups = number(parsed, f"{arch}.expert_group_count", 0, max(0, experts - 1), default=0)
    used = parsed.metadata.get(f"{arch}.expert_used_count", 0)
    most = (
        max((item for item in used[:layers] if isinstance(item, int)), default=0) if isinstance(used, tuple) else used
    )
    if isinstance(most, int) and not min(1, experts) <= most <= experts:
        raise damaged(f"{most:,} of {experts:,} experts are used")
    if groups > 1:
        number(parsed, f"{arch}.expert_group_used_count", 1, groups - 1, default=0)
        if experts % groups:
            raise damaged(f"{experts:,} experts cannot be shared by {groups:,} groups")


def _check_tokenizer(parsed: Parsed) -> None:
    """Refuses WordPiece, whose byte tokens llama.cpp cannot write: only embedding models have it."""
    if parsed.metadata.get("tokenizer.ggml.model") == "bert":
        raise Refused(
            "its vocabulary is that of an embedding model, it cannot write text", "choose a chat model with -m"
        )
