"""Sources under a reply, in words: the line with their marks, and what is doubtful about its sentences.

Pure functions over what a reply keeps. Knows no store and no screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llmchat_tui.sources import SIGNS, KeptSource, KeptVerdict
from llmchat_tui.thoughts import without_thoughts

NOTHING_FOUND = "nothing in the documents answers this"
MOST_SHOWN = 12
"""Sources in the line; a reply about whole documents can have hundreds."""
_WORST_LAST = tuple(SIGNS)
_SYNTAX = "*_~|=- \t\r\n"
"""What can stand behind a sentence in Markdown and is no part of it."""


@dataclass(frozen=True, slots=True)
class SourceLine:
    """What stands under a reply of its sources."""

    parts: tuple[tuple[str, str, str], ...] = ()
    """Of each: its number in brackets, its mark or nothing, and where it stands."""
    more: int = 0
    """Sources that there is no room for."""


def sign_of(number: int, verdicts: Sequence[KeptVerdict]) -> str:
    """Returns the sign of the worst sentence that cites a source; empty where none does."""
    marks = [verdict.mark for verdict in verdicts if number in verdict.ids and verdict.mark in SIGNS]
    return SIGNS[max(marks, key=_WORST_LAST.index)] if marks else ""


def source_line(sources: Sequence[KeptSource], verdicts: Sequence[KeptVerdict] = ()) -> SourceLine:
    """Returns the line under a reply: each source with its number, its mark and where it stands.

    Args:
        sources: of the reply; where sentences were judged, those that none of them cites are left out.
        verdicts: on its sentences.
    """
    cited = {number for verdict in verdicts for number in verdict.ids}
    shown = [source for source in sources if source.n in cited] or list(sources)
    parts = ((f"[{one.n}]", sign_of(one.n, verdicts), one.source) for one in shown[:MOST_SHOWN])
    return SourceLine(tuple(parts), max(0, len(shown) - MOST_SHOWN))


def marks_of(text: str, verdicts: Sequence[KeptVerdict]) -> tuple[tuple[int, str], ...]:
    """Returns where a mark belongs into a reply, right behind the words of each sentence that was judged.

    Args:
        text: the reply, with its thoughts.
        verdicts: on its sentences.
    """
    found = {}
    for verdict in verdicts:
        words = text[max(0, verdict.start) : verdict.end].rstrip(_SYNTAX)
        if words and verdict.mark in SIGNS:
            found[max(0, verdict.start) + len(words)] = SIGNS[verdict.mark]
    return tuple(sorted(found.items()))


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
