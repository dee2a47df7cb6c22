"""The answer in a reply: the number, the option, the JSON that it says, among all that it says besides.

Small models seldom answer with the answer alone. Where an answer is marked, and what a number is, the engine's votes
know; this adds options and words. Knows texts only: what is right is grading.py's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from fractions import Fraction

from llmchat_engine.prompting import answers_key
from llmchat_engine.prompting.answers_key import Kind, canonical
from llmchat_engine.prompting.answers_text import Place, last, marked
from llmchat_tui.evaluation.items import LETTERS

_MEANT = re.compile(r"(?<=[^\W_])(?:\+{1,2}|#)(?![^\W_])|(?<!\w)-(?=\w)|(?<=\d)\.(?=\d)")
"""Signs without which a text says something else: C++, C#, -5, 3.5."""
_DENIED = re.compile(r"(?i)\bnot\s+[-+$*`]*\.?\d[\d.,/]*")
_FENCED = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
_ARTICLES = re.compile(r"^(?:an?|the) ")
_LETTER = re.compile(r"[(\[*\"'`]*\b([A-Za-z])\b[)\]*\"'`]*\s*(?:[.):,;]|$|\n)")
"""An option's letter: with a mark behind it or nothing, so that `A dog` names none."""
_SEVERAL = re.compile(r"\b([A-Z])\b\W{0,3}(?:,|/|&|or|and)\W{0,3}\b([A-Z])\b(?! \w)")
"""Two letters in one breath; not `B, A dog`."""


def normal(text: str) -> str:
    """Returns a text as it is compared: without case, punctuation, articles in front and more than one space.

    Signs stay that mean something: "-5" is not "5", and "C++" not "C".
    """
    folded = answers_key.plain_signs(unicodedata.normalize("NFKC", text).casefold()).strip()
    meant = {place for found in _MEANT.finditer(folded) for place in range(*found.span())}
    words = "".join(
        mark if place in meant or mark.isalnum() or unicodedata.combining(mark) else " + " if mark == "+" else " "
        for place, mark in enumerate(folded)
    )
    return _ARTICLES.sub("", " ".join(words.split())) or folded


def stated(text: str) -> str:
    """Returns what a text marks as its answer ("answer is", "Answer:", "####", a box); empty where it marks none."""
    return _at(marked(text), text)


def number_in(text: str) -> Fraction | None:
    """Returns the number that a text gives as its answer: the one it marks, else the last one in it.

    One behind "not" is none: "12, not 13" says 12.
    """
    text = _DENIED.sub("", text)
    parts = (stated(text), _last(text, "number"), text)
    return next((found for part in parts if part and (found := answers_key.number_in(part)) is not None), None)


def option_in(text: str, choices: Sequence[str]) -> int | None:
    """Returns the place of the option that a text names by its letter or its words; None for none or several."""
    for part in filter(None, (stated(text), text.strip())):
        place = _by_letter(part, len(choices))
        if place is None:
            place = _by_text(part, choices)
        if place is not None:
            return place
    return None


def json_in(text: str) -> str:
    """Returns the JSON that a text has: all of it, what it marks or fences, or the last value; else nothing."""
    parts = (text.strip(), stated(text), *_FENCED.findall(text)[-1:], _last(text, "json"))
    return next((part for part in parts if part and canonical(part)), "")


def _last(text: str, kind: Kind) -> str:
    return _at(last(text, kind), text)


def _at(place: Place | None, text: str) -> str:
    return text[place.start : place.end] if place else ""


def _by_letter(text: str, count: int) -> int | None:
    """Returns the option whose letter a text begins with, or the only one that stands in it with a mark.

    A reply that lists the options again, a line for each, names none.
    """
    begins = _LETTER.match(text)
    several = _SEVERAL.match(text.lstrip("([*\"'`")) if begins else _SEVERAL.search(text)
    if several and LETTERS.index(several[2]) < count:
        return None
    begin = [found[1] for line in text.splitlines() if (found := _LETTER.match(line.strip()))]
    letters = begin if begins else [found for found in _LETTER.findall(text) if found.isupper()]
    places = {LETTERS.index(letter.upper()) for letter in letters}
    return places.pop() if len(places) == 1 and max(places) < count else None


def _by_text(text: str, choices: Sequence[str]) -> int | None:
    """Returns the option whose words are the text, or stand in it where those of no other do."""
    said, options = normal(text), [normal(choice) for choice in choices]
    if said in options:
        return options.index(said)
    within, rest = [], f" {said} "
    for place in sorted(range(len(options)), key=lambda place: -len(options[place])):
        if f" {options[place]} " in rest:
            within.append(place)
            rest = rest.replace(f" {options[place]} ", " | ")  # `dark blue` holds no `blue`
    return within[0] if len(within) == 1 else None
