"""What a question asks of the index of words, and whether it leans on the question before. Knows no store.

Whatever is typed becomes quoted words: nothing in it is an operator.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llmchat_rag.store import words

MOST_TERMS = 64
"""Of a long pasted question the first ones count; each costs a walk through its passages."""
FEW_WORDS = 1
"""A question with no more words of its own is taken to go on about the last one."""
POINTING_WORDS = 6
"""And one that points back, with at most so many."""

_QUOTED = re.compile(r'["“„«]([^"“”„«»]{2,200})["”“»]')
_WORD = re.compile(r"\w+(?:\.\w+)*")
# Without the look behind, a megabyte without a hyphen would be read from each of its letters anew.
_COMPOUND = re.compile(r"(?<!\w)\w++(?:[-/]\w++)+")

_DIGIT = re.compile(r"\d")


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STOP = _set(
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this"
    " to was will with"
)
"""Lucene's list."""
_ASKING = _STOP | _set(
    "about again also am any can could did do does explain from give had has have how i me mean more much my please"
    " say said should show so some tell than what when where which who whom whose why would you your"
)
_POINTING = _set(
    "he her hers him his it its one ones same she that their theirs them these they this those former latter there"
    " er sie es ihr sein il elle ils elles"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Quoted terms for the two indexes; empty where there is nothing to look up."""

    words: tuple[str, ...]
    pairs: tuple[str, ...]


def wanted(text: str) -> Wanted:
    """Returns what to look up for a question.

    Args:
        text: as it was typed; what stands in quotes counts as a phrase too.
    """
    text = text.encode("utf-8", "ignore").decode("utf-8").replace("\0", " ")
    phrases = [phrase for phrase in _QUOTED.findall(text) if len(_WORD.findall(phrase)) > 1]
    terms = list(dict.fromkeys([*_terms(text), *phrases]))[:MOST_TERMS]
    return Wanted(tuple(map(_quoted, terms)), tuple(_pair_terms(text)[:MOST_TERMS]))


def standing_alone(text: str, history: Sequence[str]) -> str:
    """Returns a question with those before it that it leans on.

    Args:
        text: the question.
        history: the questions before it, oldest first.
    """
    return "\n".join([*leaned_on(text, history), text])


def leaned_on(text: str, history: Sequence[str]) -> list[str]:
    """Returns the questions before a question that it leans on, oldest first: at most three, to the first that stands.

    Args:
        text: the question.
        history: the questions before it, oldest first.
    """
    found = [text]
    for earlier in reversed(history[-3:]):
        if not leans(found[0]):
            break
        found.insert(0, earlier)
    return found[:-1]


def leans(text: str) -> bool:
    """Returns whether a question cannot be searched alone: it points back, or has hardly a word of its own."""
    found = [word.lower() for word in _WORD.findall(text)]
    if words.runs(text):
        return False
    own = [word for word in found if word not in _ASKING]
    return len(own) <= FEW_WORDS or (len(own) <= POINTING_WORDS and not _POINTING.isdisjoint(found))


def content_words(text: str) -> list[str]:
    """Returns the words of a text that say something, as often as they stand there."""
    return [word for word in _WORD.findall(text) if len(word) > 1 and word.lower() not in _ASKING | _POINTING]


def _terms(text: str) -> list[str]:
    """Returns the words that count; a version, a date or a name like `IL-2` is a phrase beside its parts.

    Other words with hyphens are not: on SciFact's training questions BM25 alone has an nDCG@10 of 0.703 with them and
    0.709 without, and both searches together 0.748 and 0.750.
    """
    terms = []
    for word in _WORD.findall(text):
        if word.lower() in _STOP or words.runs(word):
            continue
        terms.append(word.lower())
        if "." in word:
            terms += [part.lower() for part in word.split(".") if len(part) > 2 and not part.isdigit()]
    terms += [name.lower() for name in _COMPOUND.findall(text) if _DIGIT.search(name) and not words.runs(name)]
    return terms or [word.lower() for word in _WORD.findall(text) if not words.runs(word)]


def _pair_terms(text: str) -> list[str]:
    """Returns the pairs of the unspaced runs; of a lone character, all that begin with it."""
    terms = []
    for run in words.runs(text):
        terms += [_quoted(pair) for pair in words.pairs(run).split()] if len(run) > 1 else [f"{_quoted(run)} *"]
    return list(dict.fromkeys(terms))


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'
