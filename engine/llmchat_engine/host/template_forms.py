"""The forms of a path of messages that stricter templates insist on: neighbours merged, the system prompt folded in.

Knows messages and where they went; knows no Jinja and no tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from llmchat_engine.types import Message, Role

FOLDED_SYSTEM = "this model's chat template takes no system prompt; it was put before the first question"
SEPARATOR = "\n\n"
"""Between two messages that became one."""

_Entry = tuple[Message, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Form:
    """Messages as a template is given them, and which of the caller's messages each one holds, by index."""

    messages: tuple[Message, ...]
    origins: tuple[tuple[int, ...], ...]
    notice: str = ""


def forms(messages: Sequence[Message]) -> Iterator[Form]:
    """Yields the messages as they are, then in the forms that stricter templates insist on."""
    given: list[_Entry] = [(message, (index,)) for index, message in enumerate(messages)]
    yield _form(given)
    merged = _merged(given)
    if len(merged) < len(given):
        yield _form(merged)
    if any(message.role == "system" for message in messages):
        folded = _folded(given)
        yield _form(folded, FOLDED_SYSTEM)
        merged = _merged(folded)
        if len(merged) < len(folded):
            yield _form(merged, FOLDED_SYSTEM)


def _form(entries: Sequence[_Entry], notice: str = "") -> Form:
    return Form(tuple(message for message, _ in entries), tuple(origin for _, origin in entries), notice)


def _folded(entries: Sequence[_Entry]) -> list[_Entry]:
    """Returns the messages with the system prompt at the top of the first question."""
    systems = [entry for entry in entries if entry[0].role == "system"]
    others = [entry for entry in entries if entry[0].role != "system"]
    first = next((index for index, (message, _) in enumerate(others) if message.role == "user"), None)
    if first is None:
        return [_joined("user", systems), *others]
    others[first] = _joined("user", [*systems, others[first]])
    return others


def _merged(entries: Sequence[_Entry]) -> list[_Entry]:
    """Returns the messages with neighbours of the same role made one; their ids no longer fit and are dropped."""
    runs = (list(run) for _, run in groupby(entries, key=lambda entry: entry[0].role))
    return [run[0] if len(run) == 1 else _joined(run[0][0].role, run) for run in runs]


def _joined(role: Role, entries: Sequence[_Entry]) -> _Entry:
    text = SEPARATOR.join(message.text for message, _ in entries)
    return Message(role, text), tuple(index for _, origin in entries for index in origin)
