"""The form of an answer that cites: a grammar of sentences that end with the number of a document that is there.

GBNF, as llama.cpp reads it. Sentences end where `checking/sentences.py` has them end. Knows no model, no document.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

LONGEST = 300
"""Characters of a sentence, more or less; behind them nothing but a citation fits."""
MOST = 8
"""Sentences, or parts of one, each with its citation: a model that does not find an end is given one."""
TOGETHER = 5
"""Citations of one sentence."""
_BARRED = r"\[\]【】.!?…。！？\x00-\x1F\x7F\u0085\u2028\u2029"
"""What stands in no word: brackets are citations alone, stops have rules, a line ends behind a citation."""
_CLOSING = "\"'”’»)*_`」』"
_RULES = rf"""
goes-on ::= piece{{0,{LONGEST}}} end more
answer ::= sentence more
more ::= (join sentence){{0,{MOST - 1}}}
sentence ::= ([0-9]{{1,2}} ". ")? [^ <{_BARRED}] piece{{0,{LONGEST - 1}}} end
piece ::= [^{_BARRED}] | stop [^ {_CLOSING}{_BARRED}] | [ (] (short ". "){{1,4}}
short ::= [A-Z] | "e.g" | "i.e" | "cf" | "vs" | "No" | "Fig" | "approx" | "Sec" | title | "z.B" | "bzw" | "Nr" | "ca"
title ::= "Dr" | "Mr" | "Mrs" | "Ms" | "Prof" | "St"
stop ::= [.!?…]{{1,3}} closing
closing ::= [{_CLOSING}]{{0,2}}
end ::= ((stop | [。！？] closing) " "?)? cite (("," | ", " | " ")? cite){{0,{TOGETHER - 1}}} [.!?…。]?
join ::= [,;:，；：、]? " "? | "\n"{{1,2}}
"""
"""A stop ends a sentence where a space follows it, but behind these short forms. Were a small letter or a digit allowed
there too, as in any text, a small model writes on with one and cites nothing. A sentence that begins with `<` would be
the fence of a document."""


def citing_grammar(numbers: Iterable[int], unknown: str, *, goes_on: bool = False) -> str:
    """Returns the grammar of an answer that cites each of its sentences.

    Args:
        numbers: of the documents; none but these can be cited.
        unknown: the sentence that may stand in place of an answer.
        goes_on: whether the answer has begun, maybe in the middle of a sentence.
    """
    root = "goes-on" if goes_on else f'" "? ({_quoted(unknown)} | answer)'
    return f'root ::= {root}\ncite ::= "[" {_one_of({str(number) for number in numbers})} "]"{_RULES}'


def _one_of(words: Collection[str]) -> str:
    """Returns what matches some words and no others, character by character: the beginnings they share stand once."""
    firsts: dict[frozenset[str], str] = {}
    for first in sorted({word[0] for word in words if word}):
        rest = frozenset(word[1:] for word in words if word.startswith(first))
        firsts[rest] = firsts.get(rest, "") + first
    parts = (f"[{first}]" + (f" {_one_of(rest)}" if any(rest) else "") for rest, first in firsts.items())
    return f"({' | '.join(parts)})" + "?" * ("" in words)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
