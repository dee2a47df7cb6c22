"""How many readings of a text a grammar keeps open, as llama.cpp counts them: a stack for each.

Knows rules, no text format. llama.cpp tries every token of the vocabulary on every stack. Where a token does not fit it
has tried each way of reading its characters, also those that lead to the same stack: with `("-" | "-")* "x"` these
double with each character, and a token of 40 dashes and a bar takes for ever. The stacks themselves double with
`e ::= "a" e "b" | "a" e "c" | "d"`, and are kept. Nothing can interrupt it there, so such a grammar is searched for
before. The search is greedy and can miss one: of 1,654 random grammars that passed, one met the time limit of a step,
none hung.
"""

from __future__ import annotations

from llmchat_engine.grammar.values import Chars, Grammar, Ref, refuse

MOST_READINGS = 500
"""Stacks that are kept."""
MOST_WAYS = 10_000
"""Ways to read the characters of one token."""
MOST_STEPS_INSIDE = 4_000
"""Rules that are opened for one character."""
MOST_WORK = 150_000
"""Rules that are opened in one search, 0.3 s; behind it only the time limit of a step holds."""
LONGEST_TOKEN = 48
"""Characters that are followed."""
_MOST_CHARS = 4

Place = tuple[int, int, int]
"""Rule, alternative, index of an element."""
Stack = tuple[Place, ...]
Ways = dict[Stack, int]
"""In how many ways the characters so far lead to a stack."""


def check_growth(grammar: Grammar, length: int = LONGEST_TOKEN) -> None:
    """Follows, from each rule, the characters that leave the most readings open.

    Args:
        grammar: its rules have passed `check_rules`.
        length: so many characters.

    Raises:
        RequestInvalid: they become too many.
    """
    search = _Search(grammar)
    for number in [grammar.root, *sorted(grammar.written - {grammar.root})]:
        if search.explodes(number, length):
            why = f"the rule {grammar.names[number]} can read a text in too many ways at once"
            hint = "begin its alternatives with different characters, and do not repeat what may be empty"
            refuse(grammar.text, grammar.places[number], why, hint)
        if search.work > MOST_WORK:
            return


class _Search:
    """The walk through one grammar; `work` counts the rules that were opened."""

    def __init__(self, grammar: Grammar) -> None:
        self._rules, self.work = grammar.rules, 0

    def explodes(self, rule: int, length: int) -> bool:
        """Returns True where the ways to read a text that the rule can begin with become too many."""
        begun = [
            ((rule, alternative, 0),) if sequence else () for alternative, sequence in enumerate(self._rules[rule])
        ]
        ways, inside = self._opened(dict.fromkeys(begun, 1))
        for _ in range(length):
            if len(ways) > MOST_READINGS or sum(ways.values()) > MOST_WAYS or inside > MOST_STEPS_INSIDE:
                return True
            if self.work > MOST_WORK:
                return False
            steps = [self._after(ways, code) for code in self._chars(ways)]
            ways, inside = max(steps, key=lambda step: (sum(step[0].values()), step[1]), default=({}, 0))
        return False

    def _element(self, place: Place) -> Chars | Ref:
        rule, alternative, index = place
        return self._rules[rule][alternative][index]

    def _chars(self, ways: Ways) -> list[int]:
        """Returns a few characters that most of the ways could go on with."""
        found: dict[int, int] = {}
        for stack, count in ways.items():
            element = self._element(stack[-1]) if stack else None
            if isinstance(element, Chars):
                for code in _samples(element):
                    found[code] = found.get(code, 0) + count
        return sorted(found, key=lambda code: (-found[code], code))[:_MOST_CHARS]

    def _after(self, ways: Ways, code: int) -> tuple[Ways, int]:
        """Returns where a character leads, and how many rules were opened for it."""
        matched: Ways = {}
        for stack, count in ways.items():
            element = self._element(stack[-1]) if stack else None
            if isinstance(element, Chars) and element.matches(code):
                past = self._past(stack)
                matched[past] = matched.get(past, 0) + count
        return self._opened(matched)

    def _past(self, stack: Stack) -> Stack:
        """Returns the stack behind its top element."""
        rule, alternative, index = stack[-1]
        more = index + 1 < len(self._rules[rule][alternative])
        return (*stack[:-1], (rule, alternative, index + 1)) if more else stack[:-1]

    def _opened(self, ways: Ways) -> tuple[Ways, int]:
        """Returns the stacks with a character on top, and the empty one, that these stand for."""
        reached: Ways = {}
        before = self.work
        for stack, count in ways.items():
            for leaf in self._leaves(stack, before + MOST_STEPS_INSIDE):
                reached[leaf] = reached.get(leaf, 0) + count
        return reached, self.work - before

    def _leaves(self, stack: Stack, most: int) -> set[Stack]:
        leaves: set[Stack] = set()
        todo, seen = [stack], set[Stack]()
        while todo and self.work <= most:
            current = todo.pop()
            if current in seen:
                continue
            seen.add(current)
            self.work += 1
            element = self._element(current[-1]) if current else None
            if not isinstance(element, Ref):
                leaves.add(current)
                continue
            below = self._past(current)
            for alternative, sequence in enumerate(self._rules[element.rule]):
                todo.append((*below, (element.rule, alternative, 0)) if sequence else below)
        return leaves


def _samples(element: Chars) -> tuple[int, ...]:
    """Returns a few characters that a class matches."""
    if element.negated:
        beside = (code + 1 for _, code in element.ranges)
        return tuple(code for code in (*beside, ord("a")) if element.matches(code))[:_MOST_CHARS]
    return tuple(code for low, high in element.ranges[:_MOST_CHARS] for code in (low, high))
