"""Citations in an answer: where `[1]`, `[1, 2]`, `[1-3]` and `[1][2]` stand and which documents they name.

Does not know whether the documents exist or what they say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_ID = r"(?:(?:document|doc\.?|source|dokument)\s*)?[1-9]\d{0,2}"
_CITATION = re.compile(
    rf"[\[【]\s*(?P<ids>{_ID}(?:\s*(?:,|;|&|and|und|-|–|—)\s*{_ID})*)\s*(?:†[^\]】\n]{{0,40}})?[\]】](?!\()",
    re.IGNORECASE,
)
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_WIDEST = 50
"""Documents in a range: `[1-900]` is a range of numbers, no citation."""


@dataclass(frozen=True, slots=True)
class Citation:
    """One pair of brackets."""

    start: int
    end: int
    ids: tuple[int, ...]


def citations(text: str) -> list[Citation]:
    """Returns the citations of a text in their order; brackets in code, years and links are none."""
    code = [found.span() for found in _CODE.finditer(text)]
    found = []
    for match in _CITATION.finditer(text):
        ids = _ids(match["ids"])
        if ids and not any(start <= match.start() < end for start, end in code):
            found.append(Citation(match.start(), match.end(), ids))
    return found


def cited(found: Sequence[Citation]) -> tuple[int, ...]:
    """Returns the documents that citations name, each once, in their order."""
    return tuple(dict.fromkeys(number for citation in found for number in citation.ids))


def without_citations(text: str) -> str:
    """Returns the text as it reads without its citations."""
    for citation in reversed(citations(text)):
        text = text[: citation.start].rstrip(" ") + text[citation.end :]
    return text


def _ids(inside: str) -> tuple[int, ...]:
    """Returns the numbers between two brackets with ranges spelled out; none where a range is not one."""
    numbers: list[int] = []
    for part in re.split(r"[,;&]|and|und", inside, flags=re.IGNORECASE):
        ends = [int(number) for number in re.findall(r"\d+", part)]
        if len(ends) > 2 or ends[-1] < ends[0] or ends[-1] - ends[0] > _WIDEST:
            return ()
        numbers.extend(range(ends[0], ends[-1] + 1))
    return tuple(dict.fromkeys(numbers))
