"""What came of a run, row by row: accuracy with its interval, against the first way, what it cost.

Knows entries and numbers; no screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from llmchat_tui.evaluation.log import Entry
from llmchat_tui.evaluation.statistics import Paired, holm, paired, wilson

_SMALL = 300
"""Below so many items the interval is wider than 5 points to either side, whatever the accuracy near a half."""
_SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Row:
    """One way with one model."""

    model: str
    way: str
    items: int
    right: int
    failed: int
    """That the engine failed on; they count as wrong."""
    cut: int
    """Replies that were cut off at the longest that was allowed, or at the end of the context."""
    low: float
    high: float
    """The 95 % interval of the accuracy."""
    prompt_tokens: float
    """Per item, as all that follow."""
    cached_tokens: float
    reply_tokens: float
    seconds: float
    kinds: Mapping[str, tuple[int, int]]
    """By kind of question: right, and of how many."""
    against: str = ""
    """The row it is compared with; empty for the first."""
    compared: Paired | None = None
    p: float | None = None
    p_corrected: float | None = None
    """For being one of several comparisons (Holm)."""

    @property
    def accuracy(self) -> float:
        """The share that was right."""
        return self.right / self.items if self.items else 0.0

    @property
    def cached_share(self) -> float:
        """How much of its prompts was in the cache."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else 0.0

    @property
    def name(self) -> str:
        """What it is called beside rows of other models."""
        return f"{self.way} · {self.model}"


def rows_of(entries: Iterable[Entry]) -> tuple[Row, ...]:
    """Returns a row per model and way, in the order in which they came.

    Each way is compared with the first of its model, on the items that both were asked, and the first way of each
    further model with that of the first model.
    """
    groups: dict[tuple[str, str], dict[str, Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.model, entry.way), {})[entry.item] = entry
    bare = [_row(model, way, tuple(found.values())) for (model, way), found in groups.items()]
    return _corrected([_compared(row, bare, groups) for row in bare])


def in_words(rows: Sequence[Row]) -> str:
    """Returns what the numbers do and do not say, where there are few items; else nothing."""
    items = max((row.items for row in rows), default=0)
    if not 0 < items < _SMALL:
        return ""
    widest = max((row.high - row.low) / 2 for row in rows if row.items == items)
    compared = [row for row in rows if row.p_corrected is not None]
    surely = [row for row in compared if row.p_corrected is not None and row.p_corrected < _SIGNIFICANT]
    text = f"{_many(items, 'item')}: an accuracy is known to about ±{100 * widest:.0f} points"
    if not compared:
        return f"{text}; it tells whether a way works, not which of two is a little better."
    told = f"{len(surely)} of {_many(len(compared), 'difference')}" if surely else "no difference here"
    verb = "are" if len(surely) > 1 else "is"
    return f"{text}, and {told} {verb} more than chance would give (p < {_SIGNIFICANT} after Holm's correction)."


def _row(model: str, way: str, entries: Sequence[Entry]) -> Row:
    right = sum(entry.right for entry in entries)
    kinds: dict[str, tuple[int, int]] = {}
    for entry in entries:
        good, count = kinds.get(entry.kind, (0, 0))
        kinds[entry.kind] = (good + entry.right, count + 1)
    asked = [entry for entry in entries if not entry.error] or list(entries)
    return Row(
        model,
        way,
        len(entries),
        right,
        sum(bool(entry.error) for entry in entries),
        sum(entry.reason in ("max_tokens", "context") for entry in entries),
        *wilson(right, len(entries)),
        fmean(entry.prompt_tokens for entry in asked),
        fmean(entry.cached_tokens for entry in asked),
        fmean(entry.reply_tokens for entry in asked),
        fmean(entry.seconds for entry in asked),
        kinds,
    )


def _compared(row: Row, rows: Sequence[Row], groups: Mapping[tuple[str, str], Mapping[str, Entry]]) -> Row:
    first = next(other for other in rows if other.model == row.model)
    if first is row:
        first = rows[0]
    if first is row:
        return row
    ours, theirs = groups[row.model, row.way], groups[first.model, first.way]
    both = [item for item in ours if item in theirs]
    found = paired([ours[item].right for item in both], [theirs[item].right for item in both])
    return replace(row, against=first.name, compared=found, p=found.p)


def _corrected(rows: Sequence[Row]) -> tuple[Row, ...]:
    values = [row.p for row in rows if row.p is not None]
    corrected = iter(holm(values))
    return tuple(row if row.p is None else replace(row, p_corrected=next(corrected)) for row in rows)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
