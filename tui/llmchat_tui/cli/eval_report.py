"""What `llmchat eval` prints: the table, what it does and does not say, the replies that were asked for, the JSON.

Knows no flags and runs nothing. Questions and replies are data: they are sanitised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from llmchat_tui.evaluation.log import Entry
from llmchat_tui.evaluation.summary import Row, in_words
from llmchat_tui.sanitize import sanitize_line

_LONGEST = 300
"""Characters of a question or a reply in the list; the log has all of it."""


def lines(rows: Sequence[Row], skipped: int) -> list[str]:
    """Returns the table and the remarks under it."""
    if not rows:
        return ["no question of this set could be asked so", *_of_skipped(skipped)]
    models = len({row.model for row in rows}) > 1
    several = sum(row.p is not None for row in rows) > 1
    head = ["way", *(["model"] if models else []), "right", "accuracy", "95 % interval"]
    head += ["p (Holm)" if several else "p", "prompt", "cached", "reply", "s/item"]
    cells = [head, *(_cells(row, models) for row in rows)]
    left = 2 if models else 1
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    table = [_aligned(line, widths, left) for line in cells]
    return [*table, *_remarks(rows, skipped)]


def kinds(rows: Sequence[Row]) -> list[str]:
    """Returns how many were right by kind of question."""
    names = list(dict.fromkeys(kind for row in rows for kind in row.kinds))
    cells = [["way", *names]]
    for row in rows:
        told = [row.kinds.get(name) for name in names]
        cells.append([_name(row, rows), *(f"{one[0]}/{one[1]}" if one else "–" for one in told)])
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return ["", *(_aligned(line, widths, 1) for line in cells)]


def shown(entries: Sequence[Entry], which: str) -> list[Entry]:
    """Returns the entries that `--show` asks for."""
    match which:
        case "wrong":
            return [entry for entry in entries if not entry.right and not entry.error]
        case "right":
            return [entry for entry in entries if entry.right]
        case "failed":
            return [entry for entry in entries if entry.error]
        case "all":
            return list(entries)
    return []


def replies(entries: Sequence[Entry]) -> Iterator[str]:
    """Yields the lines of entries, a few for each."""
    for entry in entries:
        verdict = "failed" if entry.error else "right" if entry.right else "wrong"
        yield ""
        yield sanitize_line(f"{verdict}  {entry.way} · {entry.model} · item {entry.item} ({entry.kind})")
        yield f"  question  {_short(entry.question)}"
        yield f"  expected  {_short(entry.expected)}"
        if entry.error:
            yield f"  error     {_short(entry.error)}"
            continue
        if entry.thought:
            yield f"  thought   {_short(entry.thought)}"
        yield f"  reply     {_short(entry.reply)}"
        yield f"  found     {_short(entry.found) or '(no answer)'}"


def facts(rows: Sequence[Row], entries: Sequence[Entry], skipped: int, path: str, log: str) -> dict[str, Any]:
    """Returns the object of --json."""
    return {
        "set": path,
        "log": log,
        "skipped": skipped,
        "rows": [_row_facts(row) for row in rows],
        "remark": in_words(rows),
        "replies": [asdict(entry) for entry in entries],
    }


def _row_facts(row: Row) -> dict[str, Any]:
    compared = row.compared
    return {
        "model": row.model,
        "way": row.way,
        "items": row.items,
        "right": row.right,
        "failed": row.failed,
        "cut_off": row.cut,
        "accuracy": row.accuracy,
        "low_95": row.low,
        "high_95": row.high,
        "against": row.against,
        "compared_items": compared.items if compared else None,
        "gained": compared.gained if compared else None,
        "lost": compared.lost if compared else None,
        "difference": compared.difference if compared else None,
        "p": row.p,
        "p_holm": row.p_corrected,
        "prompt_tokens": row.prompt_tokens,
        "cached_tokens": row.cached_tokens,
        "reply_tokens": row.reply_tokens,
        "seconds": row.seconds,
        "kinds": {kind: {"right": right, "items": count} for kind, (right, count) in row.kinds.items()},
    }


def _cells(row: Row, models: bool) -> list[str]:
    p = "–" if row.p_corrected is None else "<0.001" if row.p_corrected < 0.001 else f"{row.p_corrected:.3f}"
    return [
        sanitize_line(row.way),
        *([sanitize_line(row.model)] if models else []),
        f"{row.right}/{row.items}",
        f"{100 * row.accuracy:.0f} %",
        f"{100 * row.low:.0f} to {100 * row.high:.0f} %",
        p,
        f"{row.prompt_tokens:,.0f}",
        f"{100 * row.cached_share:.0f} %",
        f"{row.reply_tokens:,.0f}",
        f"{row.seconds:.2f}",
    ]


def _aligned(cells: Sequence[str], widths: Sequence[int], left: int) -> str:
    """Returns a line of a table whose first columns are texts and whose others are numbers."""
    padded = [
        f"{cell:<{width}}" if column < left else f"{cell:>{width}}"
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def _remarks(rows: Sequence[Row], skipped: int) -> Iterator[str]:
    yield ""
    if told := in_words(rows):
        yield told
    asked = max(row.items for row in rows)
    for row in rows:
        name = _name(row, rows)
        if row.items < asked:
            yield f"{name} applies to {row.items} of {asked} questions, and is compared on those alone"
        if row.cut:
            yield f"{name}: {row.cut} cut off at their longest; --max-tokens N lets them go on"
        if row.failed:
            yield f"{name}: the engine failed on {row.failed}, which count as wrong; the same command asks them again"
    yield from _of_skipped(skipped)
    yield "prompt, reply: tokens per item, cached: of the prompt"


def _of_skipped(skipped: int) -> list[str]:
    return [f"{skipped} without a reference answer, skipped"] if skipped else []


def _name(row: Row, rows: Sequence[Row]) -> str:
    return sanitize_line(row.way if all(other.model == row.model for other in rows) else row.name)


def _short(text: str) -> str:
    line = sanitize_line(text.strip())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
