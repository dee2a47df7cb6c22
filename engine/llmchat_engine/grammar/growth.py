"""How many readings of a text a grammar keeps open, as llama.cpp counts them: a stack for each.

Knows rules, no text format. llama.cpp tries every token of the vocabulary on every stack, and keeps them all: with
`e ::= "a" e "b" | "a" e "c" | "d"` their number doubles with each character, and one token of 40 would take all memory.
Nothing can interrupt it there, so such a grammar is searched for before.
"""

from __future__ import annotations

from llmchat_engine.grammar.values import Chars, Grammar, Ref, refuse

MOST_READINGS = 500
MOST_WORK = 60_000
"""Stacks that are looked at in one search, 0.15 s; behind it only the time limit of a reply holds."""
_STEPS = 48
_MOST_CHARS = 12

Place = tuple[int, int, int]
"""Rule, alternative, index of an element."""
Stack = tuple[Place, ...]


def check_growth(grammar: Grammar) -> None:
    """Follows, from each rule, the characters that leave the most readings open.

    Raises:
        RequestInvalid: they become too many.
    """
    search = _Search(grammar)
    for number in [grammar.root, *sorted(grammar.written - {grammar.root})]:
        if search.explodes(number):
            why = f"the rule {grammar.names[number]} leaves more than {MOST_READINGS} readings of a text open at once"
            hint = "begin its alternatives with different characters, and do not repeat what may be empty"
            refuse(grammar.text, grammar.places[number], why, hint)
        if search.work > MOST_WORK:
            return


class _Search:
    """The walk through one grammar; `work` counts the stacks that were looked at."""

    def __init__(self, grammar: Grammar) -> None:
        self._rules, self.work = grammar.rules, 0

    def explodes(self, rule: int) -> bool:
        """Returns True where the readings of a text that the rule can begin with become too many."""
        open_: set[Stack] = set()
        for alternative, sequence in enumerate(self._rules[rule]):
            self._expand(((rule, alternative, 0),) if sequence else (), open_)
        for _ in range(_STEPS):
            if len(open_) > MOST_READINGS:
                return True
            if self.work > MOST_WORK:
                return False
            open_ = max((self._after(open_, code) for code in self._chars(open_)), key=len, default=set())
            if not open_:
                return False
        return False

    def _element(self, place: Place) -> Chars | Ref:
        rule, alternative, index = place
        return self._rules[rule][alternative][index]

    def _chars(self, stacks: set[Stack]) -> list[int]:
        """Returns characters that tell the readings apart: the ends of the ranges that come next, few of them."""
        found: dict[int, int] = {}
        for stack in stacks:
            element = self._element(stack[-1]) if stack else None
            if isinstance(element, Chars):
                for low, high in element.ranges[:_MOST_CHARS] or ((97, 97),):
                    for code in (high + 1,) if element.negated else (low, high):
                        found[code] = found.get(code, 0) + 1
        return sorted(found, key=lambda code: (-found[code], code))[:_MOST_CHARS]

    def _after(self, stacks: set[Stack], code: int) -> set[Stack]:
        reached: set[Stack] = set()
        for stack in stacks:
            element = self._element(stack[-1]) if stack else None
            if isinstance(element, Chars) and element.matches(code):
                self._expand(self._past(stack), reached)
        return reached

    def _past(self, stack: Stack) -> Stack:
        """Returns the stack behind its top element."""
        rule, alternative, index = stack[-1]
        more = index + 1 < len(self._rules[rule][alternative])
        return (*stack[:-1], (rule, alternative, index + 1)) if more else stack[:-1]

    def _expand(self, stack: Stack, reached: set[Stack]) -> None:
        """Adds the stacks with a character on top, and the empty one, that a stack stands for."""
        todo, seen = [stack], set()
        while todo and len(reached) <= MOST_READINGS and self.work <= MOST_WORK:
            current = todo.pop()
            if current in seen:
                continue
            seen.add(current)
            self.work += 1
            element = self._element(current[-1]) if current else None
            if not isinstance(element, Ref):
                reached.add(current)
                continue
            below = self._past(current)
            for alternative, sequence in enumerate(self._rules[element.rule]):
                todo.append((*below, (element.rule, alternative, 0)) if sequence else below)
