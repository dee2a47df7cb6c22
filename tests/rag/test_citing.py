"""The grammar of an answer that cites: what it takes and refuses, that it ends, that the checker reads it alike."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from copy import copy

import pytest
from tests.rag.answering import seeded

from llmchat_engine.grammar import check_grammar
from llmchat_engine.grammar.gbnf import parse
from llmchat_engine.grammar.values import Chars, Grammar, Ref
from llmchat_rag.checking.sentences import sentences
from llmchat_rag.cite import citations, cited
from llmchat_rag.citing import LONGEST, MOST, citing_grammar
from llmchat_rag.context import UNKNOWN

Stack = tuple[tuple[int, int, int], ...]


class Reading:
    """A grammar that is fed characters."""

    def __init__(self, text: str) -> None:
        self._grammar: Grammar = parse(text)
        self._open = self._opened({((self._grammar.root, number, 0),) for number in range(self._alternatives())})

    def _alternatives(self) -> int:
        return len(self._grammar.rules[self._grammar.root])

    def _opened(self, stacks: set[Stack]) -> set[Stack]:
        """Returns the stacks with a character on top, and the empty one where an end is allowed."""
        todo, found = list(stacks), set[Stack]()
        while todo:
            stack = todo.pop()
            if not stack:
                found.add(stack)
                continue
            rule, alternative, index = stack[-1]
            sequence = self._grammar.rules[rule][alternative]
            if index == len(sequence):
                todo.append(stack[:-1])
                continue
            element = sequence[index]
            if not isinstance(element, Ref):
                found.add(stack)
                continue
            behind = (*stack[:-1], (rule, alternative, index + 1))
            todo += [(*behind, (element.rule, n, 0)) for n in range(len(self._grammar.rules[element.rule]))]
        return found

    def _on_top(self, stack: Stack) -> Chars:
        rule, alternative, index = stack[-1]
        element = self._grammar.rules[rule][alternative][index]
        assert isinstance(element, Chars)
        return element

    def take(self, text: str) -> bool:
        """Goes on behind a text; returns whether it fits."""
        for character in text:
            stacks = [stack for stack in self._open if stack and self._on_top(stack).matches(ord(character))]
            self._open = self._opened({(*s[:-1], (s[-1][0], s[-1][1], s[-1][2] + 1)) for s in stacks})
        return bool(self._open)

    @property
    def choices(self) -> list[str]:
        """What may come next, of letters, signs and a few others."""
        tops = [self._on_top(stack) for stack in self._open if stack]
        signs = string.ascii_letters + string.digits + " .,[]!\nßé。"
        return [sign for sign in signs if any(top.matches(ord(sign)) for top in tops)]

    @property
    def may_end(self) -> bool:
        return () in self._open


def accepts(text: str, count: int = 5, *, goes_on: bool = False) -> bool:
    reading = Reading(citing_grammar(range(1, count + 1), UNKNOWN, goes_on=goes_on))
    return reading.take(text) and reading.may_end


@pytest.mark.parametrize(
    "text",
    [
        UNKNOWN,
        "Rome was founded in 753 BC [1].",
        "Rome was founded in 753 BC. [1]",
        "It is 3.14 m high, see notes.md for more [2]. It leans [1][3].",
        "Herbs, e.g. Thyme, are dried [1], as Dr. J. R. Miller found [2], [3].",
        "1. Mix it [1].\n2. Bake it [2].",
        "- Mix it [1].\n\n- Bake it [2].",
        "He said “it is.” [4]",
        "Is it? [1] Yes! [2]",
        "罗马建于公元前753年。[1]它由罗慕路斯建立[2]。",
        "Рим был основан в 753 году [1]. روما تأسست [2].",
        " Rome 🏛️ [5]",
    ],
)
def test_an_answer_that_cites_fits(text: str) -> None:
    assert accepts(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        "Rome was founded in 753 BC.",
        "Rome was founded [1]. It is old.",
        "Rome was founded. It is old [1].",
        "Rome was founded. it is old [1].",
        "Rome was founded. 753 is old [1].",
        "Rome was founded [0].",
        "Rome was founded [6].",
        "Rome was founded [15].",
        "Rome was founded [x].",
        "Rome was founded【1】.",
        "Rome was founded\n[1].",
        "Rome was founded [1].\n<doc 1234>",
        f"{UNKNOWN} Rome",
        f"{UNKNOWN[:-1]}",
    ],
)
def test_what_does_not_cite_does_not(text: str) -> None:
    assert not accepts(text)


@pytest.mark.parametrize("numbers", [range(1, 2), range(1, 10), range(1, 13), range(7, 121), (3, 30, 31, 4000)])
def test_the_numbers_are_those_that_are_given(numbers: range | tuple[int, ...]) -> None:
    reading = Reading(citing_grammar(numbers, UNKNOWN))
    assert reading.take("It is so [")
    assert sorted(_numbers(reading)) == list(numbers)


def _numbers(reading: Reading, before: str = "") -> Iterator[int]:
    """Yields the numbers that may stand before the closing bracket."""
    for sign in reading.choices:
        if sign == "]":
            yield int(before)
        else:
            behind = copy(reading)
            assert behind.take(sign)
            yield from _numbers(behind, before + sign)


def test_a_reply_that_goes_on_may_do_so_in_a_sentence() -> None:
    assert accepts("unded in 753 BC [1]. It is old [2].", goes_on=True)
    assert accepts(".5 metres [1].", goes_on=True)
    assert not accepts("unded in 753 BC.", goes_on=True)


def test_sentences_are_bounded_in_length_and_number() -> None:
    assert accepts("a" * LONGEST + "[1]")
    assert not accepts("a" * (LONGEST + 1) + "[1]")
    assert accepts(" ".join(["It is so [1]."] * MOST))
    assert not accepts(" ".join(["It is so [1]."] * (MOST + 1)))


@pytest.mark.parametrize("numbers", [range(1, 2), range(1, 101), range(1, 5001), range(2, 9000, 7)])
def test_the_engine_takes_it(numbers: range) -> None:
    check_grammar(citing_grammar(numbers, UNKNOWN))
    check_grammar(citing_grammar(numbers, 'He said "no\\yes".', goes_on=True))


def test_whatever_is_written_cites_what_is_there_in_every_sentence() -> None:
    chance = seeded()
    for _ in range(20):
        text = _written(chance)
        assert set(cited(citations(text))) <= {1, 2, 3}
        assert all(citations(sentence.text) for sentence in sentences(text)), text


def _written(chance: random.Random) -> str:
    """Returns what somebody writes who wants to end words and sentences often, and to cite never."""
    reading, text = Reading(citing_grammar((1, 2, 3), UNKNOWN)), ""
    while reading.choices and not (reading.may_end and chance.random() < 0.2):
        choices = [sign for sign in reading.choices if sign not in "[]"] or reading.choices
        stops = [sign for sign in choices if sign in " .!"] if chance.random() < 0.3 else []
        sign = chance.choice(stops or choices)
        assert reading.take(sign)
        text += sign
    return text
