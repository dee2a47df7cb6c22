"""A thought that a server leaves in the text: `<think>…</think>` before the answer, taken apart as it streams.

Most servers tell thoughts in a field of their own; this is for those that do not. Knows no HTTP and no event.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

_MARKS = {"<think>": "</think>", "<thinking>": "</thinking>"}


class ThoughtSplitter:
    """Splits the text of one reply; blanks around a thought belong to neither part."""

    def __init__(self, *, begins: bool = True) -> None:
        """Expects a thought where the text begins.

        Args:
            begins: False where the reply goes on with a text that is there already: it is none then.
        """
        self._state: Literal["before", "thought", "between", "answer"] = "before" if begins else "answer"
        self._held, self._end, self._has_thought = "", "", False

    def feed(self, text: str) -> Iterator[tuple[bool, str]]:
        """Yields parts that are certain now, each with whether it is thought."""
        self._held += text
        if self._state == "before":
            self._look_for_mark()
        if self._state == "thought":
            yield from self._think()
        if self._state == "between":
            self._held = self._held.lstrip()
            self._state = "answer" if self._held else "between"
        if self._state == "answer" and self._held:
            yield False, self._held
            self._held = ""

    def finish(self) -> Iterator[tuple[bool, str]]:
        """Yields what was held back, as what it turned out to be."""
        if self._held and self._state != "between":
            thinks = self._state == "thought"
            if said := self._held.rstrip() if thinks else self._held:
                yield thinks, said
        self._held = ""

    def _look_for_mark(self) -> None:
        begun = self._held.lstrip()
        for mark, end in _MARKS.items():
            if begun.startswith(mark):
                self._state, self._end, self._held = "thought", end, begun.removeprefix(mark)
                return
        if not any(mark.startswith(begun) for mark in _MARKS):
            self._state = "answer"

    def _think(self) -> Iterator[tuple[bool, str]]:
        self._held = self._held if self._has_thought else self._held.lstrip()
        thought, mark, rest = self._held.partition(self._end)
        if mark:
            self._state, self._held = "between", rest
            if thought := thought.rstrip():
                yield True, thought
            return
        certain = len(thought) - _begun(thought, self._end)
        certain = len(thought[:certain].rstrip())
        if certain:
            self._has_thought = True
            yield True, thought[:certain]
            self._held = thought[certain:]


def _begun(text: str, mark: str) -> int:
    """Returns how many characters at the end of a text may be the beginning of a mark."""
    return next((size for size in range(min(len(mark) - 1, len(text)), 0, -1) if text.endswith(mark[:size])), 0)
