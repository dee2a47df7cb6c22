"""A sentence cut where one statement ends and the next begins, and what of it stands under a `not`.

Knows punctuation and small words, no meaning.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llmchat_rag.checking import lexicon
from llmchat_rag.checking.tokens import Token, fold

_MARK = re.compile(r"[,;:()–—]|\.\.\.|…| -{1,2} ")
_STRONG = re.compile(r"[;:]|–|—| -- ")
CONTENT = frozenset(("word", "name", "number"))
_PRONOUNS = lexicon.words("it they he she its their his her this that these those sie er es il elle ils elles")
_NOUN_NEGATORS = lexicon.words("no without kein keine keinen keiner keinem keines ohne sans sin aucun aucune")
_PREPOSITIONS = lexicon.words(
    "by in of on at to from for with during von in auf bei mit zu de dans par pour en por para"
)
"""Where a `no` in front of a noun ends: `at no cost by the supplier` denies a cost, no supplier."""
_SCOPE_ENDS = lexicon.CONDITIONS | lexicon.BREAKS - {"and", "or", "und", "oder", "et"}
"""Where every `not` ends: `no limit if the size is None` denies no size."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence and its tokens."""

    text: str
    tokens: tuple[Token, ...]


def content(found: Sequence[Token]) -> list[Token]:
    """Returns the tokens that say something: no small words, no numbers that are none."""
    return [token for token in found if token.kind in CONTENT]


def clauses(text: str, found: Sequence[Token], strong: bool = False) -> list[list[Token]]:
    """Returns the tokens of each clause.

    Args:
        text: the sentence.
        found: its tokens.
        strong: only where both sides are sentences of their own; else at every comma and `and`.
    """
    parts: list[list[Token]] = [[]]
    for place, token in enumerate(found):
        gap = text[found[place - 1].end : token.start] if place else ""
        cut = _cuts_strongly(gap, token, found[place:], parts[-1]) if strong else _cuts(gap, token)
        if place and cut:
            parts.append([])
        parts[-1].append(token)
    return [part for part in parts if content(part)] or [list(found)]


def _cuts(gap: str, token: Token) -> bool:
    return bool(_MARK.search(gap)) or fold(token.text) in lexicon.BREAKS


def _cuts_strongly(gap: str, token: Token, rest: Sequence[Token], part: Sequence[Token]) -> bool:
    word = fold(token.text)
    begins = fold(rest[1].text) if word in lexicon.BREAKS and len(rest) > 1 else word
    if begins in _PRONOUNS:
        return False
    if _STRONG.search(gap) or word in lexicon.STRONG_BREAKS:
        return True
    joined = word in lexicon.BREAKS and ("," in gap or word == "but")
    return joined and _whole(part) and _whole(rest)


def _whole(part: Sequence[Token]) -> bool:
    """Returns whether a stretch has a subject and one of the verbs that every sentence may have."""
    verbs = (place for place, token in enumerate(part) if fold(token.text) in lexicon.ALONE)
    return bool(content(part[: next(verbs, 0)]))


def denied(text: str, found: Sequence[Token]) -> list[list[Token]]:
    """Returns what stands under each negation of a sentence: the content words behind it in its clause.

    What stands under two of them is not denied: `nobody is convicted without a majority`.
    """
    scopes = _scopes(text, found)
    twice = {id(token) for one in scopes for token in one if sum(any(token is t for t in s) for s in scopes) % 2 == 0}
    odd = [[token for token in scope if id(token) not in twice] for scope in scopes]
    return [scope for scope in odd if scope]


def _scopes(text: str, found: Sequence[Token]) -> list[list[Token]]:
    scopes = []
    for place, token in enumerate(found):
        word = fold(token.text)
        if not (word in lexicon.NEGATORS or word.endswith("n't")):
            continue
        if word == "not" and place + 1 < len(found) and fold(found[place + 1].text) in ("only", "nur"):
            continue
        noun = word in _NOUN_NEGATORS and bool(content(found[:place]))
        if scope := content(_behind(text, found, place, _PREPOSITIONS if noun else frozenset())):
            scopes.append(scope)
    return scopes


def _behind(text: str, found: Sequence[Token], place: int, ends: frozenset[str]) -> list[Token]:
    scope: list[Token] = []
    for earlier, token in zip(found[place:], found[place + 1 :], strict=False):
        gap = text[earlier.end : token.start]
        word = fold(token.text)
        if _MARK.search(gap) or word in ends or word in _SCOPE_ENDS:
            break
        scope.append(token)
    return scope
