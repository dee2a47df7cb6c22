"""Whether a reply is right, kind by kind. Knows no model: the same reply is judged alike for ever.

Lenient in form and strict in substance: a number may stand in a sentence, but it must be the number.
"""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from types import FrameType
from typing import NoReturn

from llmchat_tui.evaluation.found import json_in, normal, number_in, option_in, stated
from llmchat_tui.evaluation.items import LETTERS, Item, Kind
from llmchat_tui.schemas.checking import why_invalid

PATIENCE = 2.0
"""Seconds for a pattern in a reply: some, as `(a+)+$`, try more ways than there is time."""


@dataclass(frozen=True, slots=True)
class Grade:
    """How a reply was judged."""

    right: bool
    found: str = ""
    """The answer that was found in it; empty where none was."""


def grade(item: Item, reply: str) -> Grade:
    """Returns whether a reply, without the thought before it, is right."""
    return _JUDGES[item.kind](item, reply)


def _number(item: Item, reply: str) -> Grade:
    found = number_in(reply)
    if found is None:
        return Grade(False)
    wanted = [number for answer in item.answers if (number := number_in(answer)) is not None]
    # A tolerance of 0.1 is that and not the float beside it.
    right = any(abs(found - number) <= Fraction(str(item.tolerance)) for number in wanted)
    return Grade(right, _written(found))


def _exact(item: Item, reply: str) -> Grade:
    """Judges the reply, or what it says behind "the answer is"."""
    said = [part for part in (stated(reply), reply) if normal(part)]
    wanted = {normal(answer) for answer in item.answers}
    right = next((part for part in said if normal(part) in wanted), None)
    return Grade(right is not None, (right or (said[0] if said else "")).strip())


def _contains(item: Item, reply: str) -> Grade:
    words = f" {normal(reply)} "
    right = next((answer for answer in item.answers if f" {normal(answer)} " in words), None)
    return Grade(right is not None, right or "")


def _choice(item: Item, reply: str) -> Grade:
    place = option_in(reply, item.choices)
    return Grade(place == item.right_choice, "" if place is None else LETTERS[place])


def _regex(item: Item, reply: str) -> Grade:
    try:
        with _at_most(PATIENCE):
            found = re.search(item.pattern, reply)
    except TimeoutError:
        return Grade(False, f"(the pattern was given up after {PATIENCE:g} s)")
    return Grade(found is not None, found[0] if found else "")


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raises TimeoutError in what takes longer; in the main thread alone, for no other one is given signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _give_up(_number: int, _frame: FrameType | None) -> NoReturn:
    raise TimeoutError


def _schema(item: Item, reply: str) -> Grade:
    text = json_in(reply)
    if not text or why_invalid(item.schema, text):
        return Grade(False, text)
    right = not item.answers or _same(json.loads(item.answers[0]), json.loads(text))
    return Grade(right, text)


def _nothing(_item: Item, _reply: str) -> Grade:
    raise ValueError("an item whose right answer nobody knows cannot be judged")


_JUDGES: Mapping[Kind, Callable[[Item, str], Grade]] = {
    "number": _number,
    "exact": _exact,
    "contains": _contains,
    "choice": _choice,
    "regex": _regex,
    "schema": _schema,
    "none": _nothing,
}


def _same(wanted: object, given: object) -> bool:
    """Returns whether JSON says what was wanted; it may say more, and case and spaces of texts do not count."""
    if isinstance(wanted, dict):
        return isinstance(given, dict) and all(name in given and _same(wanted[name], given[name]) for name in wanted)
    if isinstance(wanted, list):
        return (
            isinstance(given, list)
            and len(wanted) == len(given)
            and all(_same(one, other) for one, other in zip(wanted, given, strict=True))
        )
    if isinstance(wanted, str) and isinstance(given, str):
        return " ".join(wanted.casefold().split()) == " ".join(given.casefold().split())
    return wanted == given and isinstance(wanted, bool) == isinstance(given, bool)


def _written(number: Fraction) -> str:
    return str(number.numerator) if number.denominator == 1 else f"{float(number):g}"
