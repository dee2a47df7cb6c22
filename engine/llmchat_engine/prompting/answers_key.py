"""The normal form of an answer: numbers, choices, JSON and texts that say the same get the same key.

Knows single answers; where one stands in a text is answers_text.py's. What it reads was written by a model: lengths are
bounded and nothing is evaluated.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Literal

Kind = Literal["number", "choice", "json", "text"]
"""What answers are compared as."""

NUMBER = re.compile(
    r"(?<![\w.])(?P<sign>[-+])?[$€£¥]?(?P<inner>-)?(?:(?P<mixed>\d+)[ ](?=\d+/\d))?"
    r"(?P<whole>\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?P<part>\.\d+)?(?(whole)|(?(part)|(?!)))"
    r"(?:[ ]?/[ ]?(?P<under>\d+)(?![\d/]))?"
)
CHOICE = re.compile(r"\(([A-Ja-j])\)|\b([A-J])\)|\b(?:[Oo]ption|[Cc]hoice)[ ]([A-J])\b")
_CHOICE_ALONE = re.compile(r"\W*(?:(?:option|choice)[ ])?(?:\(([A-Ja-j])\)|([A-J])(?:[).:]|\W*$)|([a-j])\))", re.ASCII)
_AROUND = re.compile(r"(?i)\W*(?:(?:about|around|approximately|roughly|exactly|only|[a-z]\s*[:=])\W*)*")
_WORD = re.compile(r"[a-z]+")
_TRUTH = re.compile(r"(yes|no|true|false)\b")
_ARTICLES = frozenset(("a", "an", "the"))
_PLAIN = str.maketrans({"−": "-", "–": "-", "‒": "-", "﹣": "-", "－": "-", "\u00a0": " ", "\u202f": " "})
"""Minus signs and blanks as ASCII has them; one character for one, so that places in a text stay what they are."""
_MOST_DIGITS = 100
_WORDS = {word: number for number, word in enumerate((
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
))}  # fmt: skip


def kind_of(answers: Iterable[str]) -> Kind:
    """Returns what answers are best compared as: what at least half of them are, else text.

    "3" and "(B) 3" are told apart: whoever names a letter answers with it.
    """
    kinds = Counter(map(_kind_of_one, answers))
    likeliest: tuple[Kind, ...] = ("json", "choice", "number")
    return next((kind for kind in likeliest if 0 < kinds.total() <= 2 * kinds[kind]), "text")


def key_of(answer: str, kind: Kind) -> str:
    """Returns the normal form of an answer; as text where it is not of the kind, empty where it says nothing.

    Numbers are exact: "1,234.50", "$1234.5" and "x = 1234 1/2" are one. A unit says nothing, and a percent sign is one:
    "50%" is 50, as "50 percent" and "50" are where a percentage was asked for. JSON has its keys in order. Of texts,
    case, punctuation and articles are left out.
    """
    if kind == "number" and (number := number_in(answer)) is not None:
        return str(number)
    if kind == "choice" and (choice := _CHOICE_ALONE.match(answer) or CHOICE.search(answer)):
        return str(next(filter(None, choice.groups()))).upper()
    if kind == "json" and (found := canonical(answer)):
        return found
    return _text_key(answer)


def number_in(answer: str) -> Fraction | None:
    """Returns the number of an answer: the first behind its last equals sign, in digits or as a word up to twenty."""
    plain = plain_signs(answer)
    for part in (plain.rpartition("=")[2], plain):
        for match in NUMBER.finditer(part):
            if (number := number_of(match)) is not None:
                return number
    word = _WORD.match(plain.casefold(), _AROUND.match(plain).end())  # type: ignore[union-attr]
    return Fraction(_WORDS[word[0]]) if word and word[0] in _WORDS else None


def number_of(match: re.Match[str]) -> Fraction | None:
    """Returns the number of a match of `NUMBER`; None for one over zero, and one longer than anybody means."""
    if len(match[0]) > _MOST_DIGITS:
        return None
    number = Fraction((match["whole"] or "0").replace(",", "") + (match["part"] or ""))
    if match["under"]:
        if not int(match["under"]):
            return None
        number = number / int(match["under"]) + int(match["mixed"] or 0)
    return -number if "-" in (match["sign"], match["inner"]) else number


def plain_signs(text: str) -> str:
    """Returns a text with minus signs and blanks as ASCII has them, as long as it was."""
    return text.translate(_PLAIN)


def canonical(answer: str) -> str:
    """Returns a JSON value with its keys in order and without blanks; empty for what is none."""
    try:
        text = json.dumps(_whole(json.loads(answer)), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""
    return text.encode("utf-8", "replace").decode()  # half a surrogate pair may be escaped in a value


def _whole(value: Any) -> Any:
    """Returns a JSON value in which 1.0 is 1."""
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _kind_of_one(answer: str) -> Kind:
    if answer.lstrip().startswith(("{", "[")) and canonical(answer):
        return "json"
    if _CHOICE_ALONE.match(answer):
        return "choice"
    return "number" if _is_number(answer) else "text"


def _is_number(answer: str) -> bool:
    """Returns whether an answer is a number, and not a text with one in it, as "World War 2" is."""
    if number_in(answer) is None:
        return False
    part = plain_signs(answer).rpartition("=")[2]
    first = NUMBER.search(part)
    return first is None or not re.search("[^\\W\\d_]", _AROUND.sub("", part[: first.start()], count=1))


def _text_key(answer: str) -> str:
    text = unicodedata.normalize("NFKC", answer).casefold().strip()
    words = re.sub(r"[^\w\s+#%]", " ", re.sub("['\u2019]", "", text)).split()
    wordless = "" if all(unicodedata.category(mark)[0] in "PZC" for mark in text) else text
    said = " ".join(word for word in words if word not in _ARTICLES) or wordless
    truth = _TRUTH.match(said)
    return truth[1] if truth else said
