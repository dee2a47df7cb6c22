"""What has to come out: each target is a number made of medians, and the limit it has to keep.

Knows row names, not how they are measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from llmchat_tui.cli.bench_chat import TURNS as CHAT_TURNS
from llmchat_tui.cli.bench_ratios import AGAIN, BACK, REOPENED, TURN
from llmchat_tui.cli.bench_report import Ratios, Report

Sign = Literal[">=", "<=", "<"]
LLAMA, LLM, SERVER = "Llama", "llm", "llama_cpp.server"
DECODE, PREFILL = "decode of {:,} tokens", "prefill of {:,} tokens"
OUTSIDE = "outside llama_decode, {:,} tokens"
COLD, WARM = "first byte of a cold ask", "first byte of a warm ask"
HELP = "--help, more than python -c pass"
KEYS = "key to paint beside 200 tokens/s, p95"
PAINT = "first paint of the chat"
TURNS = "memory that 900 turns of the chat add"
LONG_PROMPT, REPLIES = 1500, (200, 1500)
_OF_THE_CHAT: tuple[tuple[str, Sign, float, str], ...] = (
    (KEYS, "<=", 50, "ms"),
    (PAINT, "<", 0.5, "s"),
    (TURNS, "<=", 20, "MiB"),
)
CHAT_ROWS = TURN.format(CHAT_TURNS), AGAIN, BACK, REOPENED
"""What every program does in the chat of ten turns."""
FLAT_MS = 0.05
"""Milliseconds by which the work per token may grow over a reply: Llama's grows by 0.3 to 1.0 in 900 tokens."""


@dataclass(frozen=True, slots=True)
class Target:
    """One number beside its limit."""

    name: str
    value: float
    sign: Sign
    limit: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether the limit is kept."""
        match self.sign:
            case ">=":
                return self.value >= self.limit
            case "<=":
                return self.value <= self.limit
            case "<":
                return self.value < self.limit


@dataclass(frozen=True, slots=True)
class Comparison:
    """A report with the targets that were counted from it: what is kept in docs/benchmarks/."""

    report: Report
    settings: dict[str, str]
    targets: tuple[Target, ...]


def of_peer(row: str, peer: str) -> str:
    """Returns the name of a row that another program was measured for."""
    return f"{row} ({peer})"


def targets(
    medians: Mapping[str, float],
    ratios: Ratios | None = None,
    replies: tuple[int, ...] = REPLIES,
    prompt: int = LONG_PROMPT,
) -> list[Target]:
    """Returns the targets whose rows were measured.

    Args:
        medians: By row name.
        ratios: What a chat pays for its past.
        replies: Lengths of replies, the short one first.
        prompt: Length of the prompt.
    """
    found = [_ratio(DECODE.format(tokens), LLAMA, medians, ">=", 1.0) for tokens in replies]
    found.append(_ratio(PREFILL.format(prompt), LLAMA, medians, ">=", 0.97))
    outside = [medians[name] for tokens in replies if (name := OUTSIDE.format(tokens)) in medians]
    if outside:
        found.append(Target("outside llama_decode", max(outside), "<", 0.3, "ms/token"))
        found.append(
            Target("its growth from the short to the long reply", outside[-1] - outside[0], "<", FLAT_MS, "ms")
        )
    found.append(_ratio(COLD, LLM, medians, "<=", 0.6))
    if WARM in medians and of_peer(COLD, LLM) in medians:
        found.append(Target(f"{WARM}, of {LLM}'s", medians[WARM] / medians[of_peer(COLD, LLM)], "<=", 0.2, "x"))
    if HELP in medians:
        found.append(Target(HELP, medians[HELP], "<=", 150, "ms CPU"))
    found += [
        Target(name, medians[name], sign, limit, unit) for name, sign, limit, unit in _OF_THE_CHAT if name in medians
    ]
    found += [_ratio(row, peer, medians, "<", 1.0) for row in CHAT_ROWS for peer in (LLAMA, SERVER)]
    return [target for target in found if target is not None] + (_of_ratios(ratios) if ratios else [])


def _of_ratios(ratios: Ratios) -> list[Target]:
    return [
        Target("turn10_ttft", ratios.turn10_ttft, "<=", 1.15, "x"),
        Target("regenerate_steps", ratios.regenerate_steps, "<=", 3, "steps"),
        Target("switch_back_tokens", ratios.switch_back_tokens, "<=", 1, "tokens"),
        Target("reopen", ratios.reopen, "<=", 0.02, "x"),
        Target("reopen_bit_equal", float(ratios.reopen_bit_equal), ">=", 1, ""),
    ]


def _ratio(row: str, peer: str, medians: Mapping[str, float], sign: Sign, limit: float) -> Target | None:
    other = of_peer(row, peer)
    if row not in medians or other not in medians:
        return None
    return Target(f"{row}, of {peer}'s", medians[row] / medians[other], sign, limit, "x")


def target_lines(found: tuple[Target, ...]) -> list[str]:
    """Returns a line for each target."""
    width = max((len(target.name) for target in found), default=0)
    return [
        f"{'ok    ' if target.met else 'MISSED'}  {target.name:<{width}}  {target.value:8.3f} {target.unit:<8} "
        f"target {target.sign} {target.limit:g}"
        for target in found
    ]
