"""Sources under a reply, in words: the line with their marks, and what is doubtful about its sentences.

Pure functions over what a reply keeps. Knows no store and no screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmchat_tui.sources import SIGNS, KeptSource, KeptVerdict, sources_of, verdicts_of
from llmchat_tui.thoughts import without_thoughts

NOTHING_FOUND = "nothing in the documents answers this"
MOST_SHOWN = 12
"""Sources in the line; a reply about whole documents can have hundreds."""
_BETWEEN = "    "
_WORST_LAST = tuple(SIGNS)


def sign_of(number: int, verdicts: Sequence[KeptVerdict]) -> str:
    """Returns the sign of the worst sentence that cites a source; empty where none does."""
    marks = [verdict.mark for verdict in verdicts if number in verdict.ids and verdict.mark in SIGNS]
    return SIGNS[max(marks, key=_WORST_LAST.index)] if marks else ""


def source_line(sources: Sequence[KeptSource], verdicts: Sequence[KeptVerdict] = ()) -> str:
    """Returns the line under a reply: each source with its number, its mark and where it stands.

    Args:
        sources: of the reply; where sentences were judged, those that none of them cites are left out.
        verdicts: on its sentences.
    """
    cited = {number for verdict in verdicts for number in verdict.ids}
    shown = [source for source in sources if source.n in cited] or list(sources)
    parts = [" ".join(filter(None, (f"[{s.n}]", sign_of(s.n, verdicts), s.source))) for s in shown[:MOST_SHOWN]]
    return _BETWEEN.join([*parts, *([f"{len(shown) - MOST_SHOWN:,} more"] if len(shown) > MOST_SHOWN else [])])


def line_of(settings: Mapping[str, Any]) -> str:
    """Returns the line of a reply on disk; empty where it has no sources."""
    return source_line(sources_of(settings), verdicts_of(settings))


def judged(text: str, verdicts: Sequence[KeptVerdict]) -> Iterator[tuple[str, str, str]]:
    """Yields for each sentence of a reply that was judged: its sign, the sentence, and why it has that sign.

    Args:
        text: the reply, with its thoughts.
        verdicts: on its sentences.
    """
    answer = without_thoughts(text)
    for verdict in verdicts:
        told = not verdict.better or f"[{verdict.better}]" in verdict.why
        better = "" if told else f"[{verdict.better}] says more of it"
        why = "; ".join(part for part in (verdict.why, better) if part)
        yield SIGNS.get(verdict.mark, "?"), " ".join(answer[verdict.start : verdict.end].split()), why
