"""How a reply went, in words: its statistics, and what can be done where it did not end by itself. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmchat_tui.history import ReplyStatus

_QUANTISATION = re.compile(r"[.-](?:I?Q\d\w*|[BF]F?16|F32)$", re.IGNORECASE)

_CUT = {"context": ("cut: the context is full", "amber"), "max_tokens": ("cut at max_tokens", "amber")}


def short_name(model: str) -> str:
    """Returns a model's name without the quantisation that most files carry in theirs."""
    return _QUANTISATION.sub("", model)


def statistics_of(stats: Mapping[str, Any]) -> str:
    """Returns tokens, speed, first token and what the cache saved; empty where nothing was measured."""
    try:
        count, speed, first = stats["reply_tokens"], stats["tokens_per_second"], stats["time_to_first_token"]
        cached, prompt = stats["cached_tokens"], stats["prompt_tokens"]
        parts = [f"{count:,} token{'s' * (count != 1)}"]
        parts += [f"{speed:,.0f} tok/s"] if speed else []
        parts += [f"first token {first:.2f} s"] if count else []
        parts += [f"{cached:,} of {prompt:,} cached"] if prompt else []
    except (KeyError, TypeError, ValueError):  # an import, or an older version's
        return ""
    return " · ".join(parts)


def ending_of(status: ReplyStatus, reason: str = "", error: str = "") -> tuple[str, str]:
    """Returns what is to be said of a reply's end and how loudly: nothing, `amber` or `red`.

    Args:
        status: how it stands on disk.
        reason: why the model stopped, where it did.
        error: what failed, where something did.
    """
    match status:
        case "complete":
            return _CUT.get(reason, ("", ""))
        case "failed":
            return f"{error or 'failed'}; everything is saved   r again   Ctrl+O other model", "red"
        case "interrupted":
            return "interrupted: llmchat was killed while this was written   r again", "amber"
        case "streaming":
            return "another llmchat is writing this", ""
        case "stopped":
            return "stopped   r again", "amber"
