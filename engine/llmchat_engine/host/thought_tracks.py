"""Where a reply stands between thought and answer, followed token by token.

Knows ids, and bytes where a model spells its marks; shows nothing and forces nothing, thinking.py does. Every track is
fed with the template's own text that opens the reply (`read`) and then with the reply, also with one that is continued.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

Kind = Literal["mark", "thought", "answer", "undecided"]
"""What a token is. The token that completes a spelled closing mark is still a thought."""
LONGEST_HEADER = 32
"""Tokens; a real one has four. What goes on longer is no header, and shows as the answer."""
THOUGHT_CHANNELS = ("analysis", "commentary")


class Track(Protocol):
    """Follows one reply until its answer has begun; nothing comes in behind that."""

    @property
    def hidden(self) -> bool:
        """Whether what comes next is a thought or a header, whatever it is."""

    @property
    def closed(self) -> bool:
        """Whether a thought has ended, or an answer was announced."""

    @property
    def inner(self) -> bytes:
        """The thought's first bytes, where the token that opened it just now had some."""

    @property
    def rest(self) -> bytes:
        """The answer's first bytes, where the token that closed the thought had some."""

    @property
    def stop(self) -> tuple[str, ...]:
        """Texts that end the text of a thought."""

    def read(self, ids: Sequence[int]) -> None:
        """Takes what the template wrote to open the reply."""

    def take(self, token: int) -> Kind:
        """Takes the next token of the reply."""

    @property
    def openers(self) -> tuple[int, ...]:
        """The tokens that would begin a thought here."""

    def way_out(self) -> tuple[int, ...]:
        """Returns the ids that lead from here to the answer; none where there is no thought, or in a header."""


class TagTrack:
    """A token opens the thought, and a token closes it."""

    inner, rest, stop = b"", b"", ()

    def __init__(self, marks: tuple[int, int], closing: tuple[int, ...], piece: Callable[[int], bytes]) -> None:
        """Takes both tokens, how a thought is closed, and what gives the bytes of a token."""
        self._open, self._close = marks
        self._closing, self._piece = closing, piece
        self.hidden = self.closed = self._begun = self._said = False

    def read(self, ids: Sequence[int]) -> None:
        """Takes what the template wrote."""
        for token in ids:
            if token in (self._open, self._close):
                self.hidden = token == self._open
                self.closed = not self.hidden

    def take(self, token: int) -> Kind:
        """Takes the next token; blanks may stand before the mark: GLM 4.5 begins with a line break."""
        self._begun = True
        if token == (self._close if self.hidden else self._open):
            self.hidden = not self.hidden
            self.closed = not self.hidden
            return "mark"
        if self.hidden:
            return "thought"
        self._said = self._said or self.closed or bool(self._piece(token).strip())
        return "answer" if self._said else "undecided"

    @property
    def openers(self) -> tuple[int, ...]:
        """The mark, as the first token of a reply."""
        return () if self.hidden or self.closed or self._begun else (self._open,)

    def way_out(self) -> tuple[int, ...]:
        """Returns what closes the thought."""
        return self._closing if self.hidden else ()


class SpelledTrack:
    """The marks are text, in however many tokens."""

    openers = ()

    def __init__(self, before: bytes, behind: bytes, closing: tuple[int, ...], piece: Callable[[int], bytes]) -> None:
        """Takes both marks, how a thought is closed, and what gives the bytes of a token."""
        self._before, self._behind, self._closing, self._piece = before, behind, closing, piece
        self.hidden = self.closed = False
        self.inner = self.rest = self._seen = b""
        self.stop = (behind.decode(),)

    def read(self, ids: Sequence[int]) -> None:
        """Takes what the template wrote."""
        text = b"".join(map(self._piece, ids))
        opened, closed = text.rfind(self._before), text.rfind(self._behind)
        self.hidden, self.closed = opened > closed, closed > opened

    def take(self, token: int) -> Kind:
        """Takes the next token."""
        self.inner = b""
        if self.closed:
            return "answer"
        self._seen += self._piece(token)
        if self.hidden:
            self._look_for_the_end()
            return "thought"
        seen = self._seen.lstrip()  # blanks may stand before the mark: SentencePiece puts one before any text
        if seen.startswith(self._before):
            self.inner, self.hidden = seen.removeprefix(self._before), True
            self._seen = self.inner
            self._look_for_the_end()
            return "mark"
        return "undecided" if self._before.startswith(seen) else "answer"

    def _look_for_the_end(self) -> None:
        _, mark, rest = self._seen.partition(self._behind)
        if mark:
            self.hidden, self.closed, self.rest = False, True, rest.lstrip(b"\r\n") if rest.strip() else b""
        self._seen = self._seen[-len(self._behind) :]

    def way_out(self) -> tuple[int, ...]:
        """Returns what closes the thought."""
        return self._closing if self.hidden else ()


class HarmonyTrack:
    """Messages with a role and a channel: `<|start|>assistant<|channel|>analysis<|message|>…<|end|>`."""

    inner, rest, stop = b"", b"", ()

    def __init__(
        self,
        marks: tuple[int, int, int, int],
        final: tuple[int, ...],
        turn: tuple[int, ...],
        piece: Callable[[int], bytes],
    ) -> None:
        """Takes the marks start, channel, message and end; the header of an answer; the role; the bytes of a token."""
        self._start, self._channel, self._message, self._end = marks
        self._final, self._turn, self._piece = final, turn, piece
        self._place: Literal["role", "header", "thought", "between", "answer"] = "answer"
        self._name, self._length, self._on_channel = b"", 0, False

    @property
    def hidden(self) -> bool:
        """Whether this is no answer; a role that the template wrote may still be followed by one."""
        return self._place in ("header", "thought", "between")

    @property
    def closed(self) -> bool:
        """Whether an answer was announced."""
        return self._place == "answer"

    def read(self, ids: Sequence[int]) -> None:
        """Takes what the template wrote."""
        for token in ids:
            self.take(token)
        if self._place == "header" and not self._on_channel:
            self._place = "role"

    def take(self, token: int) -> Kind:
        """Takes the next token."""
        if token in (self._start, self._channel):
            self._place, self._name, self._length = "header", b"", 0
            self._on_channel = token == self._channel
        elif token == self._message:
            thinks = self._name.strip().startswith(tuple(map(str.encode, THOUGHT_CHANNELS)))
            self._place = "thought" if thinks else "answer"
        elif token == self._end:
            self._place = "between"
        elif self._place != "header" or self._length >= LONGEST_HEADER:
            self._place = "thought" if self._place == "thought" else "answer"
            return self._place
        else:
            self._name, self._length = self._name + self._piece(token), self._length + 1
        return "mark"

    @property
    def openers(self) -> tuple[int, ...]:
        """The mark of a channel, behind a role that the template wrote."""
        return (self._channel,) if self._place == "role" else ()

    def way_out(self) -> tuple[int, ...]:
        """Returns what closes the thought and announces the answer."""
        match self._place:
            case "thought":
                return (self._end, *self._turn, *self._final)
            case "between":
                return (*self._turn, *self._final)
            case "role":
                return self._final
        return ()
