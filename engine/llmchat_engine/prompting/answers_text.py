"""Where the answer stands in a chain of thought: behind its mark, else the last thing that could be one.

Knows texts; what two answers have in common is answers_key.py's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from llmchat_engine.prompting.answers_key import CHOICE, NUMBER, Kind, number_of, plain_signs

_MARK = re.compile(
    r"(?i)(?P<gsm>\#{4}[ \t]*(?=[-$€£\u2212]?\d))"  # with a digit behind it, or it is a heading
    r"|(?P<boxed>\\boxed[ ]?\{)"
    r"|(?P<line>\banswer(?:[ ](?:choice|option))?[*_`]*[ \t]*[:=][*_`]*)"
    r"|(?P<inline>\banswer(?:[ ]to[ ][^.:\n]{1,60}?)?(?:[ ](?:choice|option))?[ ](?:is|would[ ]be)\b:?)"
)
_FENCE = re.compile(r"\s*(?:```\w*\s*)?")
_SENTENCE_END = re.compile(r"(?<=\w[\w)\"'*])[.!?](?=\s)")
_MOST_TRIES = 200
"""Brackets that are tried as the beginning of a JSON value; a text may have nothing else."""
SHORT = 80
"""Characters of a reply that is an answer and nothing besides."""


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of a text that is the answer."""

    start: int
    end: int
    reasons: int
    """Where the reasoning before it ends, which a mark on a line of its own does not belong to."""


def marked(text: str) -> Place | None:
    """Returns the answer behind the last mark that has one: "Answer:", "answer is", GSM8K's hashes, LaTeX's box."""
    for mark in reversed([*_MARK.finditer(text)]):
        start, end = _trimmed(text, *_behind(text, mark))
        if start < end:
            return Place(start, end, _reasons(text, mark, end))
    return None


def alone(text: str) -> Place | None:
    """Returns a short text of one line as the answer that it is."""
    start, end = _trimmed(text, 0, len(text))
    is_short = start < end <= start + SHORT and "\n" not in text[start:end]
    return Place(start, end, start) if is_short else None


def last(text: str, kind: Kind) -> Place | None:
    """Returns the last thing in a text that could be an answer of a kind; texts could be anything."""
    found: Place | None = None
    if kind == "number":
        for match in NUMBER.finditer(plain_signs(text)):
            if number_of(match) is not None:
                found = Place(match.start(), match.end(), len(text))
    elif kind == "choice":
        for match in CHOICE.finditer(text):
            found = Place(match.start(), match.end(), len(text))
    elif kind == "json":
        for start, end in _json_values(text):
            found = Place(start, end, start)
    return found


def last_line(text: str) -> str:
    """Returns the last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _behind(text: str, mark: re.Match[str]) -> tuple[int, int]:
    """Returns where an answer behind a mark begins and ends."""
    if mark["boxed"]:
        return mark.end(), _closing(text, mark.end())
    start = _FENCE.match(text, mark.end()).end()  # type: ignore[union-attr]
    if text[start : start + 1] in ("{", "["):
        value = next(_json_values(text, start), None)
        if value and value[0] == start:
            return value
    line = text.find("\n", start)
    end = len(text) if line < 0 else line
    sentence = _SENTENCE_END.search(text, start, end) if mark["inline"] else None
    return start, sentence.start() if sentence else end


def _closing(text: str, start: int) -> int:
    """Returns where the brace that is open before `start` is closed, or the line ends."""
    depth = 1
    for index in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if not depth or text[index] == "\n":
            return index
    return len(text)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Returns a stretch without blanks, emphasis and the full stop at its end."""
    while start < end and (text[start].isspace() or text[start] in "*_`"):
        start += 1
    while start < end and (text[end - 1].isspace() or text[end - 1] in "*_`."):
        end -= 1
    return start, end


def _reasons(text: str, mark: re.Match[str], end: int) -> int:
    line = text.rfind("\n", 0, mark.start()) + 1
    return end if text[line : mark.start()].strip(" \t*_#`") else line


def _json_values(text: str, start: int = 0) -> Iterator[tuple[int, int]]:
    """Yields the objects and arrays of a text, outermost ones."""
    decoder = json.JSONDecoder()
    for _ in range(_MOST_TRIES):
        begin = min((at for at in (text.find("{", start), text.find("[", start)) if at >= 0), default=-1)
        if begin < 0:
            return
        try:
            _, end = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError):
            start = begin + 1
        else:
            yield begin, end
            start = end
