"""Token ids to text, piece by piece: holds back half a character and whatever may become a stop word.

Knows the bytes of a token through one function; knows no model, no sampling and no messages. A push costs what its new
characters cost, whatever the length of the reply: each stop word remembers how far it has matched (Knuth-Morris-Pratt).
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence


class Detokenizer:
    """Turns the ids of one reply into text that may be shown at once.

    Attributes:
        stopped: a stop word is complete; the text before it has been released and the rest is dropped.
    """

    def __init__(self, piece: Callable[[int], bytes], stop: Sequence[str] = ()) -> None:
        """Begins a reply.

        Args:
            piece: the bytes of a token, of any length.
            stop: the words that end the reply. The one that is completed first wins; of two completed by the same
                character, the longer one.

        Raises:
            ValueError: a stop word is empty.
        """
        self.stopped = False
        self._piece = piece
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = [_StopWord(word) for word in stop]
        self._beginnings = {word[0] for word in stop}
        self._held = ""
        self._parts: list[str] = []
        self._released = 0
        self._decoded = 0
        self._ends: list[int] = []
        """Where in the text each token ends; -1 where that is inside a character."""

    @property
    def text(self) -> str:
        """All text released so far."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def push(self, token: int) -> str:
        """Takes the next token and returns the text that may be shown now, often none."""
        return self.push_bytes(self._piece(token))

    def push_bytes(self, data: bytes) -> str:
        """Takes the next token as bytes, where they are not all that it has, and returns what may be shown now."""
        if self.stopped:
            return ""
        new = self._decoder.decode(data)
        self._decoded += len(new)
        half = self._decoder.getstate()[0]
        self._ends.append(-1 if half else self._decoded)
        return self._release(self._watched(new))

    def flush(self) -> str:
        """Ends the reply and returns what was held back; half a character becomes U+FFFD."""
        if self.stopped:
            return ""
        new = self._decoder.decode(b"", final=True)
        self._decoded += len(new)
        if new:
            self._ends[-1] = self._decoded
        text = self._watched(new)
        rest, self._held = self._held, ""
        return self._release(text if self.stopped else text + rest)

    def exact_count(self) -> int | None:
        """Returns how many of the pushed tokens make up the released text, or None where it ends inside a token."""
        index = len(self._ends)
        while index and not 0 <= self._ends[index - 1] <= self._released:
            index -= 1
        end = self._ends[index - 1] if index else 0
        return index if end == self._released else None

    def _release(self, text: str) -> str:
        if text:
            self._parts.append(text)
            self._released += len(text)
        return text

    def _watched(self, new: str) -> str:
        """Returns what of the held and the new text cannot belong to a stop word any more."""
        if not self._held and self._beginnings.isdisjoint(new):
            return new
        text = self._held + new
        for index, character in enumerate(new, len(self._held) + 1):
            done = max((stop.length for stop in self._stops if stop.completed_by(character)), default=0)
            if done:
                self.stopped, self._held = True, ""
                return text[: index - done]
        keep = len(text) - max(stop.matched for stop in self._stops)
        self._held = text[keep:]
        return text[:keep]


class _StopWord:
    """One stop word and how much of it the text ends with."""

    def __init__(self, word: str) -> None:
        if not word:
            raise ValueError("a stop word must not be empty")
        self.length = len(word)
        self.matched = 0
        self._word = word
        self._fallback = _fallbacks(word)

    def completed_by(self, character: str) -> bool:
        """Takes the next character; returns True when it is the last one of the word."""
        while self.matched and self._word[self.matched] != character:
            self.matched = self._fallback[self.matched - 1]
        if self._word[self.matched] == character:
            self.matched += 1
        return self.matched == self.length


def _fallbacks(word: str) -> list[int]:
    """Returns for each prefix of a word the length of its longest proper prefix that is also its end."""
    lengths = [0]
    for character in word[1:]:
        length = lengths[-1]
        while length and word[length] != character:
            length = lengths[length - 1]
        lengths.append(length + 1 if word[length] == character else 0)
    return lengths
