"""A sentence as tokens: words, names, identifiers, and numbers with their units.

Knows how things are written, not what they mean together.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from llmchat_rag.checking import kin, lexicon
from llmchat_rag.checking.units import CURRENCIES, EXACT, Unit, unit_of

Kind = Literal["word", "name", "number", "stop"]
_GAP = " \u00a0\u202f\u2009’'"
_PATTERN = re.compile(
    r"(?P<iso>\b\d{4}-\d{2}-\d{2}\b)"
    r"|(?P<clock>\b\d{1,2}:\d{2}(?::\d{2})?\b)"
    r"|(?P<ampm>\b\d{1,2}\s?[ap]\.?m\b\.?)"
    r"|(?P<unit>\b[kMG]?(?:bit|B)/s\b|\bkm/h\b|\bm/s\b|\b[kcm]?m[²³23](?!\w))"
    r"|(?P<identifier>~?(?:/[\w.-]+)+/?|~/[\w./-]+|--[a-z][\w-]*|\b[A-Za-z_][\w.]*(?=\(\))|\b[A-Za-z_]\w*(?:[._]\w+)+\b|\bv?\d+(?:\.\d+){2,}\b"
    r"|\b[A-Za-z]{1,12}-?\d[\w-]*|\b\d+[A-Za-z]\w*\b|\b\w*_\w*\b)"
    rf"|(?P<number>(?<![\w.])\d{{1,3}}(?:[{_GAP}]\d{{3}})+(?!\d)(?:[.,]\d+)?"
    r"|(?:(?<![\w\s)])[-−]|(?<=\s)[-−](?=\d)|^[-−])?\d+(?:[.,]\d+)*)"
    r"|(?P<cjk>[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+)"
    r"|(?P<word>[^\W\d_]+(?:[’'](?=[^\W\d_])[^\W\d_]+)*)"
    r"|(?P<symbol>°[CF]?|[℃℉%‰€$£¥])"
)
_SUFFIXES = ("ingly", "edly", "ings", "ing", "ies", "ied", "ed", "es", "ly", "s", "e")


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a name or a number of a sentence."""

    text: str
    key: str
    """What it is compared by: folded and stemmed; of a name: folded."""
    kind: Kind
    start: int
    end: int
    values: frozenset[float] = frozenset()
    """Of a number: what it may mean; `1,248` may be a thousand or a little more than one."""
    unit: Unit | None = None
    loose: bool = False
    """A number that a claim need not prove: `one`, `a`, `first`."""
    spelled: bool = False
    german: bool = False


def fold(text: str) -> str:
    """Returns the text in lower case, without accents, with straight quotes."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("’", "'"))
    return "".join(c for c in plain if not unicodedata.combining(c))


def stem(word: str) -> str:
    """Returns the light stem of a folded word: regular endings off, irregular forms as their base."""
    word = kin.IRREGULAR.get(word, word)
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3 and not word.endswith("ss"):
            word = word[: -len(suffix)] + ("y" if suffix in ("ies", "ied") else "")
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word


def tokens(text: str, known_names: frozenset[str] = frozenset()) -> list[Token]:
    """Returns the tokens of a sentence in their order.

    Args:
        text: a sentence without citations.
        known_names: folded words that are names also where a sentence begins with them.
    """
    found = list(_with_units(_numbers_joined(list(_scanned(text)))))
    return _with_names(found, text, known_names)


def names_within(text: str) -> frozenset[str]:
    """Returns the folded words that stand with a capital inside a sentence."""
    pattern = re.compile(r"(?<=[a-zà-ÿ,;:(]\s)(?:the\s)?([A-ZÀ-Þ][\w-]+)")
    return frozenset(fold(name) for name in pattern.findall(text))


def _scanned(text: str) -> Iterator[Token]:
    for match in _PATTERN.finditer(text):
        kind, raw = match.lastgroup, match.group()
        start, end = match.span()
        if kind == "iso":
            year, month, day = raw.split("-")
            yield _number(day, start, end, float(day))
            yield _number(month, start, end, float(month), Unit("month"))
            yield _number(year, start, end, float(year))
        elif kind in ("clock", "ampm"):
            yield _number(raw, start, end, _clock(raw), Unit("clock"))
        elif kind == "number":
            yield Token(raw, raw, "number", start, end, frozenset(_values(raw)))
        elif kind == "cjk":
            for i in range(max(1, len(raw) - 1)):
                yield Token(raw[i : i + 2], raw[i : i + 2], "word", start + i, min(start + i + 2, end))
        elif kind in ("symbol", "unit"):
            yield Token(raw, raw, "stop", start, end)
        else:
            yield from _worded(raw, start, end, identifier=kind == "identifier", before=text[:start])


def _worded(raw: str, start: int, end: int, identifier: bool, before: str) -> Iterator[Token]:
    folded = fold(raw)
    glued = re.fullmatch(r"(\d+)([^\W\d]+)", raw)
    if glued and (unit_of(glued[2], fold(glued[2])) or glued[2] in ("st", "nd", "rd", "th")):
        yield _number(glued[1], start, end, float(glued[1]), unit=unit_of(glued[2], fold(glued[2])))
        return
    if identifier:
        yield Token(raw, folded.strip("-."), "name", start, end)
        return
    capital = raw[:1].isupper()
    calendar = lexicon.MONTHS.get(folded), lexicon.WEEKDAYS.get(folded)
    if calendar[0] and (capital or len(folded) > 4) and not (folded == "may" and _begins(before)):
        yield _number(raw, start, end, float(calendar[0]), unit=Unit("month"))
    elif calendar[1]:
        yield _number(raw, start, end, float(calendar[1]), unit=Unit("weekday"))
    elif (value := lexicon.NUMBER_WORDS.get(folded) or lexicon.ordinal(folded)) is not None:
        yield replace(_number(raw, start, end, float(value)), spelled=True)
    else:
        yield _plain(raw, folded, start, end)


def _plain(raw: str, folded: str, start: int, end: int) -> Token:
    for ending in ("'s", "'"):
        folded = folded.removesuffix(ending)
    if folded.startswith(("l'", "d'", "n'", "s'", "qu'", "j'", "c'", "m'", "t'")) and len(folded) > 3:
        folded = folded.partition("'")[2]
    if folded.endswith("n't"):
        return Token(raw, "not", "stop", start, end)
    loose = lexicon.LOOSE_NUMBERS.get(folded)
    values = frozenset({float(loose)}) if loose else frozenset[float]()
    if folded in lexicon.STOPWORDS or len(folded) == 1:
        return Token(raw, folded, "stop", start, end, values, loose=bool(loose))
    return Token(raw, stem(folded), "word", start, end, values, loose=bool(loose))


def _number(raw: str, start: int, end: int, value: float, unit: Unit | None = None) -> Token:
    return Token(raw, raw, "number", start, end, frozenset({value}), unit)


def _clock(raw: str) -> float:
    """Returns minutes after midnight."""
    digits = [int(part) for part in re.findall(r"\d+", raw)]
    hours = digits[0] % 12 + 12 * ("p" in raw.lower()) if "m" in raw.lower() else digits[0]
    return hours * 60.0 + (digits[1] if len(digits) > 1 else 0)


def _values(raw: str) -> tuple[float, ...]:
    """Returns what digits may mean: separators of thousands and of decimals differ by country."""
    sign = -1.0 if raw[0] in "-−" else 1.0
    plain = re.sub(rf"[{_GAP}−-]", "", raw)
    if re.fullmatch(r"\d{1,3}([.,])\d{3}(?:\1\d{3})*(?!\1)(?:[.,]\d+)?", plain):
        thousands = plain[re.search(r"[.,]", plain).start()]  # type: ignore[union-attr]
        decimal = "," if thousands == "." else "."
        whole = float(plain.replace(thousands, "").replace(decimal, "."))
        small = (float(plain.replace(",", ".")),) if plain.count(thousands) == 1 and decimal not in plain else ()
        return tuple(sign * value for value in (whole, *small))
    parts = re.split(r"[.,]", plain)
    if len(parts) <= 2:
        return (sign * float(".".join(parts)),)
    return (sign * float("".join(parts)),)


def _numbers_joined(found: list[Token]) -> list[Token]:
    """Returns the tokens with `3.2 million` and `seventy thousand` as one number each."""
    joined: list[Token] = []
    for token in found:
        scale = lexicon.SCALES.get(fold(token.text).rstrip("."))
        last = joined[-1] if joined else None
        if scale and last and last.values and last.unit is None and token.start - last.end <= 2:
            values = frozenset(value * scale for value in last.values)
            joined[-1] = replace(last, kind="number", values=values, end=token.end, loose=False)
        elif last and last.spelled and token.spelled and min(last.values) >= 20 and token.start - last.end == 1:
            joined[-1] = replace(last, values=frozenset({min(last.values) + min(token.values)}), end=token.end)
        else:
            joined.append(token)
    return joined


def _with_units(found: list[Token]) -> Iterator[Token]:
    """Yields the tokens with units as part of their number."""
    skip = 0
    for place, token in enumerate(found):
        if skip:
            skip -= 1
            continue
        if token.text in CURRENCIES and place + 1 < len(found) and found[place + 1].kind == "number":
            number = found[place + 1]
            yield replace(number, start=token.start, unit=EXACT[token.text])
            skip = 1
        elif token.kind == "number" and token.unit is None:
            unit, skip = _unit_after(token, found[place + 1 : place + 3])
            yield replace(token, unit=unit)
            behind = found[place + 1 + skip] if unit and place + 1 + skip < len(found) else None
            if behind and fold(behind.text) in lexicon.EXTENTS:  # `200 tokens long` says no more than `200 tokens`
                yield replace(behind, kind="stop")
                skip += 1
        elif token.kind != "stop" or token.text not in EXACT:
            yield token


def _unit_after(number: Token, following: list[Token]) -> tuple[Unit | None, int]:
    """Returns the unit behind a number and how many tokens spell it."""
    if not following or following[0].start - number.end > 1:
        return None, 0
    first, second = following[0], following[1] if len(following) > 1 else None
    if first.key in ("square", "squar", "cubic") and second and (unit := unit_of(second.text, fold(second.text))):
        power = 3 if first.key == "cubic" else 2
        return Unit("area" if power == 2 else "cubic", unit.factor**power), 2
    if fold(first.text) == "per" and second and fold(second.text) == "cent":
        return EXACT["%"], 2
    unit = unit_of(first.text, fold(first.text))
    return unit, 1 if unit else 0


def _begins(before: str) -> bool:
    return not before.strip("\"'“„«(*_ ") or before.rstrip()[-1] in ':“"'


def _with_names(found: list[Token], text: str, known: frozenset[str]) -> list[Token]:
    """Returns the tokens with capitalised words as names; in German, where all nouns have capitals, only pairs."""
    german = sum(fold(token.text) in lexicon.GERMAN for token in found) >= 2
    capital = [token.kind in ("word", "name") and token.text[:1].isupper() for token in found]
    named = []
    for place, token in enumerate(found):
        if token.kind != "word" or not capital[place]:
            named.append(token)
            continue
        gerund = _begins(text[: token.start]) and token.text.endswith("ing")
        beside = not gerund and any(  # `Running Python`
            0 <= other < len(found)
            and capital[other]
            and 0 <= max(token.start, found[other].start) - min(token.end, found[other].end) <= 1
            for other in (place - 1, place + 1)
        )
        inside = not _begins(text[: token.start]) and (not german or token.text[1:] != token.text[1:].lower())
        if beside or inside or (fold(token.text).removesuffix("'s") in known and not german):
            named.append(replace(token, kind="name", key=fold(token.text).removesuffix("'s"), german=german))
        else:
            named.append(token)
    return named
