"""GBNF text to rules, read as llama.cpp reads it, with line and column of what it would refuse.

Stricter in five things: a rule defined twice (llama.cpp takes the last), an empty character class, a range that runs
backwards, more than 2,000 repetitions (llama.cpp takes them for any number), and tokens by name or id: they belong to
one model, and can end the process (llama-grammar.cpp lets a token pass that it then cannot accept). Knows neither
llama.cpp nor a vocabulary.
"""

from __future__ import annotations

import re
from typing import NoReturn

from llmchat_engine.grammar.values import ANY, Alternatives, Chars, Grammar, Ref, Sequence, refuse

MOST_TEXT = 256 * 1024
MOST_REPETITIONS = 2000
"""MAX_REPETITION_THRESHOLD of llama-grammar.cpp: of one item, and of the rules that it stands for."""
MOST_RULES = 50_000
MOST_ELEMENTS = 500_000
MOST_NESTING = 100
"""Parentheses in parentheses; llama.cpp reads them by recursion."""
_NAME = re.compile(r"[a-zA-Z0-9-]+")
_DIGITS = re.compile(r"[0-9]{1,18}")
_SPACE = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_SPACE_AND_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_HEX = {"x": 2, "u": 4, "U": 8}
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", "\\": "\\", '"': '"', "[": "[", "]": "]", "-": "-"}


def parse(text: str) -> Grammar:
    """Returns the rules of a grammar; references between them are not checked.

    Raises:
        RequestInvalid: its syntax is wrong, or it is too big; `why` has line and column.
    """
    if len(text) > MOST_TEXT:
        refuse(text, 0, f"it has {len(text):,} characters, at most {MOST_TEXT:,} are read")
    for at, char in enumerate(text):
        if char == "\0" or "\ud800" <= char <= "\udfff":
            refuse(text, at, f"U+{ord(char):04X} is no text")
    return _Parser(text).grammar()


class _Parser:
    """One pass over the text; rules are numbered in the order in which they are first named."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._numbers: dict[str, int] = {}
        self._named_at: dict[int, int] = {}
        self._rules: dict[int, Alternatives] = {}
        self._places: dict[int, int] = {}
        self._written: set[int] = set()
        self._elements = 0
        self._depth = 0

    def grammar(self) -> Grammar:
        """Reads all rules."""
        self._skip(lines=True)
        while self._at < len(self._text):
            self._rule()
        if "root" not in self._numbers or self._numbers["root"] not in self._rules:
            refuse(self._text, 0, "there is no rule named root", 'begin with one: root ::= "yes" | "no"')
        for number, place in self._named_at.items():
            if number not in self._rules:
                refuse(self._text, place, f"the rule {self._name_at(place)} is not defined")
        count = range(len(self._numbers))
        return Grammar(
            self._text,
            tuple(self._numbers),
            tuple(self._rules[number] for number in count),
            tuple(self._places[number] for number in count),
            frozenset(self._written),
            self._numbers["root"],
        )

    def _name_at(self, place: int) -> str:
        found = _NAME.match(self._text, place)
        return found[0] if found else ""

    def _skip(self, *, lines: bool) -> None:
        found = (_SPACE_AND_LINES if lines else _SPACE).match(self._text, self._at)
        assert found is not None
        self._at = found.end()

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _rule(self) -> None:
        began = self._at
        name = self._name("a rule begins with its name")
        number = self._number(name)
        if number in self._rules:
            refuse(self._text, began, f"the rule {name} is defined twice")
        self._skip(lines=False)
        if not self._text.startswith("::=", self._at):
            what = "_ is no part of a name" if self._peek() == "_" else f"::= should follow the name {name}"
            refuse(self._text, self._at, what, "names are made of letters, digits and -")
        self._at += 3
        self._skip(lines=True)
        self._places[number] = began
        self._written.add(number)
        self._define(number, self._alternatives(name, nested=False))
        if self._peek() not in ("", "\r", "\n"):
            refuse(self._text, self._at, f"{self._peek()!r} stands where the rule should go on or its line end")
        self._skip(lines=True)

    def _name(self, why: str) -> str:
        found = _NAME.match(self._text, self._at)
        if not found:
            hint = "a line that goes on with | needs it at the end of the line before, or parentheses around it all"
            refuse(self._text, self._at, f"{why}, not with {self._peek()!r}", hint if self._peek() == "|" else "")
        self._at = found.end()
        return found[0]

    def _number(self, name: str) -> int:
        number = self._numbers.setdefault(name, len(self._numbers))
        if number >= MOST_RULES:
            refuse(self._text, self._at, f"it stands for more than {MOST_RULES:,} rules with this one")
        return number

    def _generated(self, base: str) -> int:
        number = self._number(f"{base}_{len(self._numbers)}")
        self._places[number] = self._at
        return number

    def _define(self, number: int, alternatives: Alternatives) -> None:
        self._count(sum(map(len, alternatives)), self._at)
        self._rules[number] = alternatives

    def _count(self, elements: int, at: int) -> None:
        self._elements += elements
        if self._elements > MOST_ELEMENTS:
            refuse(self._text, at, f"it stands for more than {MOST_ELEMENTS:,} elements with this one")

    def _alternatives(self, rule: str, *, nested: bool) -> Alternatives:
        found = [self._sequence(rule, nested=nested)]
        while self._peek() == "|":
            self._at += 1
            self._skip(lines=True)
            found.append(self._sequence(rule, nested=nested))
        return tuple(found)

    def _sequence(self, rule: str, *, nested: bool) -> Sequence:
        """Reads items up to "|", ")" or the end of the line; what an item stands for follows its repetition."""
        done: list[Chars | Ref] = []
        last: list[Chars | Ref] = []
        weight = 1  # rules that the last item stands for: llama.cpp limits them times the repetitions
        while (char := self._peek()) and char not in "|)\r\n":
            began = self._at
            if char in "*+?{":
                bounds = self._bounds(nested=nested)
                if not last:
                    refuse(self._text, began, f"nothing stands before {char} that it could repeat")
                last, weight = self._repeat(rule, last, bounds, weight, began)
                continue
            done += last
            known = len(self._numbers)
            last = self._item(rule, char)
            weight = max(1, len(self._numbers) - known) if char == "(" else 1
            self._skip(lines=nested)
        return (*done, *last)

    def _item(self, rule: str, char: str) -> list[Chars | Ref]:
        if char == '"':
            return self._literal()
        if char == "[":
            return [self._class()]
        if char == "(":
            return [self._group(rule)]
        if char == ".":
            self._at += 1
            return [ANY]
        if not _NAME.match(char):
            self._refuse_item(char)
        place = self._at
        number = self._number(self._name(""))
        self._named_at.setdefault(number, place)
        return [Ref(number)]

    def _refuse_item(self, char: str) -> NoReturn:
        if char in "<!":
            hint = "write what the token says as text, in quotes"
            refuse(self._text, self._at, "tokens are not supported in a grammar", hint)
        hint = "names are made of letters, digits and -; text stands in double quotes"
        refuse(self._text, self._at, f"{char!r} begins nothing that a rule can hold", hint)

    def _group(self, rule: str) -> Ref:
        opened = self._at
        self._depth += 1
        if self._depth > MOST_NESTING:
            refuse(self._text, opened, f"parentheses are nested deeper than {MOST_NESTING}")
        self._at += 1
        self._skip(lines=True)
        number = self._generated(rule)
        self._define(number, self._alternatives(rule, nested=True))
        if self._peek() != ")":
            refuse(self._text, opened, "this parenthesis is not closed")
        self._at += 1
        self._depth -= 1
        return Ref(number)

    def _literal(self) -> list[Chars | Ref]:
        opened = self._at
        self._at += 1
        found: list[Chars | Ref] = []
        while self._peek() != '"':
            code = self._char(opened, "this text has no closing quote")
            found.append(Chars(((code, code),)))
        self._at += 1
        return found

    def _class(self) -> Chars:
        opened, why = self._at, "this [ is not closed"
        self._at += 1
        negated = self._peek() == "^"
        self._at += negated
        ranges: list[tuple[int, int]] = []
        while self._peek() != "]":
            began = self._at
            low = high = self._char(opened, why)
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] != "]":
                self._at += 1
                high = self._char(opened, why)
            if low > high:
                refuse(self._text, began, "this range runs backwards")
            ranges.append((low, high))
        if not ranges:
            refuse(self._text, opened, "this class is empty", "any character is written as a dot")
        self._at += 1
        return Chars(tuple(ranges), negated)

    def _char(self, opened: int, unclosed: str) -> int:
        """Reads one character of a literal or a class, an escape too."""
        char = self._peek()
        if not char:
            refuse(self._text, opened, unclosed)
        if char != "\\":
            self._at += 1
            return ord(char)
        kind = self._text[self._at + 1 : self._at + 2]
        if kind in _ESCAPES and kind:
            self._at += 2
            return ord(_ESCAPES[kind])
        size = _HEX.get(kind, 0)
        digits = self._text[self._at + 2 : self._at + 2 + size]
        if not size:
            refuse(
                self._text, self._at, f"\\{kind} is no escape", 'there are \\n \\r \\t \\\\ \\" \\[ \\] \\- \\x \\u \\U'
            )
        if not re.fullmatch(f"[0-9a-fA-F]{{{size}}}", digits):
            refuse(self._text, self._at, f"\\{kind} needs {size} hexadecimal digits")
        self._at += 2 + size
        return int(digits, 16)

    def _bounds(self, *, nested: bool) -> tuple[int, int | None]:
        """Reads *, +, ? or {...}: how often at least, and at most."""
        char, began = self._peek(), self._at
        self._at += 1
        self._skip(lines=nested)
        if char != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
        least = self._integer(nested=nested)
        most: int | None = least
        if self._peek() == ",":
            self._at += 1
            self._skip(lines=nested)
            most = self._integer(nested=nested) if self._peek() != "}" else None
        if self._peek() != "}":
            refuse(self._text, began, "this repetition is not closed", "it is written {3}, {3,} or {3,5}")
        self._at += 1
        self._skip(lines=nested)
        if max(least, most or 0) > MOST_REPETITIONS:
            refuse(self._text, began, f"more than {MOST_REPETITIONS:,} repetitions", "leave out the upper limit: {3,}")
        if most is not None and most < least:
            refuse(self._text, began, f"at least {least} and at most {most} is never the case")
        return least, most

    def _integer(self, *, nested: bool) -> int:
        found = _DIGITS.match(self._text, self._at)
        if not found:
            refuse(self._text, self._at, "a number should stand here", "a repetition is written {3}, {3,} or {3,5}")
        self._at = found.end()
        self._skip(lines=nested)
        return int(found[0])

    def _repeat(
        self, rule: str, item: list[Chars | Ref], bounds: tuple[int, int | None], weight: int, at: int
    ) -> tuple[list[Chars | Ref], int]:
        """Returns what llama.cpp makes of a repetition, and its weight: S{2,4} is S S S', S' is S S'' or nothing."""
        least, most = bounds
        weight *= most or least or 1
        if weight > MOST_REPETITIONS:
            refuse(self._text, at, f"this stands for {weight:,} rules, at most {MOST_REPETITIONS:,} are read")
        self._count(len(item) * least, at)
        repeated = item * least
        follower: Ref | None = None
        for _ in range(1 if most is None else most - least):
            number = self._generated(rule)
            behind = Ref(number) if most is None else follower
            self._define(number, ((*item, behind) if behind else tuple(item), ()))
            follower = Ref(number)
        return [*repeated, *([follower] if follower else [])], weight
