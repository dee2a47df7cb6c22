"""How a reply went, in words: its statistics, and what can be done where it did not end by itself. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from llmchat_tui.cited import NOTHING_FOUND
from llmchat_tui.history import ReplyStatus

_QUANTISATION = re.compile(r"[.-](?:I?Q\d\w*|[BF]F?16|F32)$", re.IGNORECASE)

_CUT = {
    "abstained": (NOTHING_FOUND, ""),
    "context": ("cut: the context is full   c continue", "amber"),
    "max_tokens": ("cut at max_tokens   c continue", "amber"),
}


def short_name(model: str) -> str:
    """Returns a model's name without the quantisation that most files carry in theirs."""
    return _QUANTISATION.sub("", model)


def end_line(
    status: ReplyStatus,
    stats: Mapping[str, Any],
    error: str = "",
    warnings: Sequence[str] = (),
    *,
    in_thought: bool = False,
) -> tuple[str, str]:
    """Returns the line under a reply that ended, and how loud it is: nothing, `amber` or `red`.

    Args:
        status: how it stands on disk.
        stats: what was measured, as `turn.stats_of` keeps it; empty where nothing was.
        error: what failed, where something did.
        warnings: what was told on the way.
        in_thought: whether it ended inside its thought: nothing is there to be continued.
    """
    ending, level = ending_of(status, str(stats.get("reason", "")), error)
    if in_thought:
        ending = ending.replace("   c continue", "   r again" if status == "complete" else "")
    if fault := str(stats.get("form_fault") or ""):
        ending, level = " · ".join(filter(None, (f"{fault}   r again", ending))), "amber"
    parts = (ending, *warnings, str(stats.get("recomputed") or ""), statistics_of(stats))
    return " · ".join(part for part in parts if part), level


def statistics_of(stats: Mapping[str, Any]) -> str:
    """Returns tokens, speed, first token and what the cache saved; empty where nothing was measured."""
    try:
        count, speed, first = stats["reply_tokens"], stats["tokens_per_second"], stats["time_to_first_token"]
        cached, prompt = stats["cached_tokens"], stats["prompt_tokens"]
        if not prompt:  # stopped before it ran
            return ""
        parts = [f"{count:,} token{'s' * (count != 1)}"]
        parts += [f"{speed:,.0f} tok/s"] if speed else []
        parts += [f"first token {first:.2f} s"] if count else []
        parts += [f"{cached:,} of {prompt:,} cached"]
        parts += _came_back(stats)
    except (KeyError, TypeError, ValueError):  # an import, or an older version's
        return ""
    return " · ".join(parts)


def _came_back(stats: Mapping[str, Any]) -> list[str]:
    """Returns what of the cache had left the context and came back, and what only changed its place in it."""
    restored, shifted = stats.get("restored_tokens", 0), stats.get("shifted_tokens", 0)
    parts = [restored_in(restored, stats.get("restored_seconds", 0.0))] if restored else []
    return parts + ([f"{shifted:,} tokens moved up"] if shifted else [])


def restored_in(tokens: int, seconds: float) -> str:
    """Returns how long it took to bring a cache back."""
    time = f"{1000 * seconds:,.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    return f"restored {tokens:,} tokens in {time}"


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
            return "interrupted: llmchat was killed while this was written   c continue   r again", "amber"
        case "streaming":
            return "another llmchat is writing this", ""
        case "stopped":
            return "stopped   c continue   r again", "amber"
