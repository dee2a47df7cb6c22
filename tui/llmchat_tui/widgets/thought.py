"""The thought of a reply: its last lines while it grows, then one line that unfolds to all of it.

Shows what it is told, as data; whoever owns it says when it may paint. Knows no reply and no engine.
"""

from __future__ import annotations

import time

from textual.app import RenderResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from llmchat_tui.sanitize import sanitize
from llmchat_tui.thoughts import Thought, said_of

TAIL_LINES = 3
"""Of a thought that grows: enough to see that it goes somewhere."""
_PART = 2_000
"""Characters of one piece: only the last one is laid out anew while it grows, some 2 ms."""
_AT_ONCE = 3
"""Pieces that are mounted at once, some 5 ms; the rest follows a frame later."""


class ThoughtView(Vertical):
    """A thought; hidden where there is none."""

    DEFAULT_CSS = """
    ThoughtView {
        height: auto; display: none; color: $text-muted; text-style: dim;
        &.-some { display: block; }
        & > .head { height: 1; text-wrap: nowrap; text-overflow: ellipsis; text-style: not dim; }
        & > Tail { height: 3; padding: 0 0 0 2; display: none; }
        &.-grows > Tail { display: block; }
        &.-unfolded > Tail { display: none; }
        &.-unfolded { margin-bottom: 1; }
        & > .part { height: auto; padding: 0 0 0 2; }
    }
    """

    def __init__(self, thought: Thought, *, unfolded: bool = False) -> None:
        super().__init__()
        self.thought = thought
        """What is known of it."""
        self.grows = False
        """Whether more of it may come."""
        self.unfolded = unfolded
        """Whether all of it is shown."""
        self._began = 0.0
        self.is_behind = False
        """Whether something was not painted."""
        self._head = Static("", classes="head", markup=False)
        self._tail = Tail()
        self._parts: list[Static] = []
        self._starts = [0]
        """Where in the text each piece begins, and what is not shown yet."""

    async def on_mount(self) -> None:
        """Shows what is there already."""
        await self.paint(force=True)

    def add(self, text: str, count: int) -> None:
        """Takes the next piece; it is shown with the next `paint`."""
        now = time.monotonic()
        if not self.grows:
            self.grows, self._began = True, now - self.thought.seconds
        before = self.thought
        self.thought = Thought(before.text + text, before.tokens + count, now - self._began)
        self.is_behind = True

    def stop(self) -> None:
        """Takes its end: the answer begins, or nothing more comes."""
        self.is_behind = self.is_behind or self.grows
        self.grows = False

    async def end(self, thought: Thought) -> None:
        """Shows what it came to, as it is on disk."""
        self.stop()
        if thought.text != self.thought.text:
            await self._forget_parts()
        self.thought = thought
        await self.paint(force=True)

    async def fold(self, unfolded: bool) -> None:
        """Shows all of it, or the one line."""
        if unfolded == self.unfolded:
            return
        self.unfolded = unfolded
        await self.paint(force=True)

    async def paint(self, *, force: bool = False) -> None:
        """Shows what came since the last time."""
        if not (self.is_behind or force) or not self.is_attached:
            return
        self.is_behind = False
        if not self.thought:
            return
        if not self._head.is_attached:  # few replies have one, and many are mounted
            await self.mount(self._head, self._tail)
        self._head.update(Content(self._line()), layout=False)
        self._tail.show(self.thought.text if self.grows and not self.unfolded else "")
        self.add_class("-some")
        self.set_class(self.grows, "-grows")
        self.set_class(self.unfolded, "-unfolded")
        if self.unfolded:
            await self._go_on()
        elif self._parts:
            await self._forget_parts()

    def _line(self) -> str:
        if self.grows:
            return f"thinking… {said_of(self.thought.tokens, self.thought.seconds)}"
        return f"{'▾' if self.unfolded else '▸'} {self.thought.line}"

    async def _go_on(self) -> None:
        """Shows the pieces that are not there yet, a few at a time."""
        if not self.unfolded or not self.is_attached:
            return
        if self._parts:
            self._parts[-1].update(Content(self._take_part()))
        new: list[Static] = []
        while self._is_more and len(new) < _AT_ONCE:
            self._starts.append(self._starts[-1])
            new.append(Static(Content(self._take_part()), classes="part", markup=False))
        if new:
            self._parts += new
            await self.mount_all(new)
        if self._is_more:
            self.call_after_refresh(self._go_on)

    @property
    def _is_more(self) -> bool:
        """Whether there is text that no piece has yet."""
        return self._starts[-1] < len(self.thought.text)

    def _take_part(self) -> str:
        """Returns the text of the last piece, which ends at a line where it is full."""
        start = self._starts[-2] if len(self._starts) > 1 else 0
        end = _cut_behind(self.thought.text, start)
        self._starts[-1] = end
        return sanitize(self.thought.text[start:end].strip("\n"))

    async def _forget_parts(self) -> None:
        gone, self._parts, self._starts = self._parts, [], [0]
        if gone:
            await self.remove_children(gone)


class Tail(Widget):
    """The last lines of a text."""

    _text = ""

    def show(self, text: str) -> None:
        """Shows the end of a text."""
        if text != self._text:
            self._text = text
            self.refresh()

    def render(self) -> RenderResult:
        """Returns as many lines as there is room for."""
        width, height = self.content_size
        return Content("\n").join(last_lines(self._text, width, height))


def last_lines(text: str, width: int, count: int) -> list[Content]:
    """Returns the last lines of a text, wrapped; empty ones are left out.

    Args:
        text: any, of any length: only its end is looked at.
        width: columns of a line.
        count: at most so many.
    """
    if width <= 0 or count <= 0:
        return []
    end = sanitize(text[-2 * width * (count + 1) :])
    lines = [Content(line) for line in end.split("\n") if line.strip()]
    wrapped = [part for line in lines for part in line.wrap(width)]
    return wrapped[-count:]


def _cut_behind(text: str, start: int) -> int:
    """Returns where a piece that begins at `start` ends: at the end of a line or a word, where there is one."""
    end = start + _PART
    if len(text) <= end:
        return len(text)
    for mark in ("\n", " "):
        if (found := text.rfind(mark, start + 1, end)) > start:
            return found + 1
    return end
