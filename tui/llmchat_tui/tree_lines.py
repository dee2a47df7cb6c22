"""The tree of a chat as lines of text: what stands before each, and what is told at its end. Headless, pure functions.

Only where a chat forks do lines move to the right: a chat of a thousand turns without a fork is one column.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from llmchat_tui.history import Node

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_ENDED = {"stopped": "stopped", "failed": "failed", "interrupted": "interrupted", "streaming": "being written"}


@dataclass(frozen=True, slots=True)
class TreeLine:
    """One message of the tree."""

    id: str
    stem: str
    """The branches on its left."""
    is_question: bool
    on_path: bool
    """Whether it is on the branch that is shown."""
    text: str
    facts: str
    """Tokens, age and how it ended, of a reply."""

    def cut_stem(self, width: int) -> str:
        """Returns the stem, its left end left out where it is wider than that."""
        return self.stem if len(self.stem) <= width else "…" + self.stem[len(self.stem) - max(0, width - 1) :]


def tree_lines(nodes: Sequence[Node], path: Collection[str], now: float) -> list[TreeLine]:
    """Returns the messages in the order of the tree, those with the same parent the oldest first.

    Args:
        nodes: every message, parents before their children.
        path: the ids of the branch that is shown.
        now: Unix time, for the ages.
    """
    children: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        children[node.parent_id].append(node)
    lines, waiting = [], _placed(children[""], "")
    while waiting:
        node, stem, below = waiting.pop()
        text = node.line or "(no text)"
        lines.append(TreeLine(node.id, stem, node.role == "user", node.id in path, text, facts_of(node, now)))
        waiting += _placed(children[node.id], below)
    return lines


def _placed(nodes: Sequence[Node], stem: str) -> list[tuple[Node, str, str]]:
    """Returns nodes of one parent, the last one first, each with its stem and that of what follows it."""
    if len(nodes) == 1:
        return [(nodes[0], stem, stem)]
    last = len(nodes) - 1
    placed = [
        (node, stem + ("└─ " if at == last else "├─ "), stem + ("   " if at == last else "│  "))
        for at, node in enumerate(nodes)
    ]
    return placed[::-1]


def facts_of(node: Node, now: float) -> str:
    """Returns what is told of a reply: how it ended, its length, its age; nothing of a question."""
    if node.role == "user":
        return ""
    tokens = f"{node.tokens:,} token{'s' * (node.tokens != 1)}" if node.tokens else ""
    return ", ".join(part for part in (_ENDED.get(node.status, ""), tokens, age(node.created_at, now)) if part)


def age(then: float, now: float) -> str:
    """Returns how long ago something was, in one unit; from a month on the date."""
    seconds = now - then
    if seconds < _MINUTE:  # or a clock that was set back
        return "now"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min ago"
    if seconds < _DAY:
        return f"{seconds // _HOUR:.0f} h ago"
    if seconds < 30 * _DAY:
        days = int(seconds // _DAY)
        return f"{days} day{'s' * (days != 1)} ago"
    try:
        return time.strftime("%Y-%m-%d", time.localtime(then))
    except (OverflowError, ValueError, OSError):  # an import may say anything
        return ""
