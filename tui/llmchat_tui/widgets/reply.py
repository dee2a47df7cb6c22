"""A reply of the transcript: its text while it grows, and the line that tells how it goes or went.

Shows what it is told. Knows no engine and no database.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.events import Click
from textual.widgets import Markdown, Static
from textual.widgets.markdown import MarkdownStream

from llmchat_engine.prompting.vote import Polled
from llmchat_tui.bindings import bindings_of
from llmchat_tui.cited import SourceLine
from llmchat_tui.messages import (
    BranchHere,
    ChainsWanted,
    ContinueReply,
    Copied,
    Rated,
    SourcesWanted,
    TokensWanted,
    UnfoldThought,
)
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.thoughts import NO_THOUGHT, Thought
from llmchat_tui.widgets.answer import Answer, Fence
from llmchat_tui.widgets.ending import short_name
from llmchat_tui.widgets.message import WALKING, MessageView
from llmchat_tui.widgets.signs import Marks
from llmchat_tui.widgets.source_line import SourceLineView
from llmchat_tui.widgets.thought import ThoughtView

PAINT_SECONDS = 1 / 20
"""Between two paints of a growing reply: at 200 tokens a second ten tokens, which the eye takes for a flow."""
REST = 3
"""A paint may take at most one part in so many and one of the time; a table of 50 rows takes 100 ms."""
TYPING_SECONDS = 0.4
"""For so long after a key what is typed goes first."""
BETWEEN_SECONDS = 0.6
"""Between two paints of a reply while keys come."""
MOST_CHARACTERS = 600
"""That are painted at once: what is left waits for the next paint, and a key never waits for a page."""
BEHIND_KEY_SECONDS = 0.02
"""And then right behind the paint of a key: the next one is 60 ms away at least, as long as a paint takes."""
NOTE_SECONDS = 0.25


class ReplyView(MessageView):
    """A reply: who wrote it, its text, and a line about how it goes or went."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_of("message", leave_out=WALKING)

    def __init__(
        self,
        text: str = "",
        message_id: str = "",
        *,
        model: str = "",
        growing: bool = False,
        marks: Marks = (),
        thought: Thought = NO_THOUGHT,
        held: bool = False,
    ) -> None:
        super().__init__(text, message_id, short_name(model) or "reply")
        self.growing = growing
        self.begins_with = text if growing else ""
        """What it goes on from, where it continues another reply."""
        self._stream: MarkdownStream | None = None
        self._waiting: list[str] = []
        self._picked = -1
        self._began = self._noted = time.monotonic()
        self._tokens = 0
        self._typed = self._painted = self._next_paint = 0.0
        self.warnings: list[str] = []
        """What was replaced or left out on the way, for the line at the end."""
        self.beside_loading = ""
        """What the line says when the model has been loaded and the rest is still going on."""
        self.first_note = ("", "")
        """What the line says from the start, and how loudly."""
        self._line = Static("", classes="note -empty", markup=False)
        self.polled: Polled | None = None
        """How its vote stands, where one was taken in this run."""
        self._votes = Static("", classes="note -empty", markup=False)
        self._sources = SourceLineView()
        self.thought = ThoughtView(thought)
        """What was thought before the answer."""
        self.answer = Answer(text, growing=growing, marks=marks, held=held)
        """The Markdown."""

    def compose(self) -> ComposeResult:
        """Makes the parts."""
        yield self.who
        yield self.thought
        yield self.answer
        if not self._votes.has_class("-empty"):  # few replies have it, and many are mounted
            yield self._votes
        yield self._sources
        yield self._line

    def on_mount(self) -> None:
        """Begins to take tokens where the reply is still to come."""
        self.note(*self.first_note)
        if self.growing:
            self._stream = Markdown.get_stream(self.answer)
            self.set_interval(PAINT_SECONDS, self._paint_by_clock)

    def name_model(self, model: str) -> None:
        """Says who writes."""
        self.who.name_writer(short_name(model))

    def add(self, text: str, count: int = 1, *, thought: bool = False) -> None:
        """Takes the next piece.

        What it goes on from is told first, made of no token, and stands there already.

        Args:
            text: of the answer, or of what is thought before it.
            count: so many tokens make it.
            thought: which of the two it is.
        """
        if not count and not self._tokens and text == self.begins_with:
            return
        if not self._tokens:
            self._began = self._noted = time.monotonic()
        self._tokens += count
        if thought:
            self.thought.add(text, count)
        else:
            self.thought.stop()
            self._waiting.append(text)

    def warn(self, text: str) -> None:
        """Tells that something was replaced or left out; it stays in the line at the end."""
        self.warnings.append(text)
        self.note(text, "amber")

    def hold(self) -> None:
        """Paints less often for a moment, and between two keys: the user types."""
        self._typed = time.monotonic()
        if (self._waiting or self.thought.grows) and self._typed >= self._painted + BETWEEN_SECONDS:
            self.set_timer(BEHIND_KEY_SECONDS, self._paint)

    async def _paint_by_clock(self) -> None:
        if time.monotonic() >= self._typed + TYPING_SECONDS:
            await self._paint()

    async def _paint(self) -> None:
        now = time.monotonic()
        is_due = self._waiting or self.thought.is_behind
        if not is_due or self._stream is None or now < self._next_paint:
            return
        text = self._take()
        self.text += text
        self._next_paint = now + TYPING_SECONDS  # until it is known how long this one took
        self._show_speed(now)
        await self.thought.paint()
        if text:
            await self.answer.grow(self.text, text, self._stream)
        self.call_after_refresh(self._rest, now)

    def _take(self) -> str:
        """Returns what is waiting, or the first part of it."""
        text = "".join(self._waiting)
        self._waiting = [text[MOST_CHARACTERS:]] if len(text) > MOST_CHARACTERS else []
        return text[:MOST_CHARACTERS]

    def _rest(self, began: float) -> None:
        self._painted = time.monotonic()
        self._next_paint = self._painted + REST * (self._painted - began)

    def _show_speed(self, now: float) -> None:
        if now - self._noted >= NOTE_SECONDS and self._tokens and now > self._began:
            self._noted = now
            self.note(f"{self._tokens / (now - self._began):,.0f} tok/s · Esc stops")

    async def finish(self, text: str | None = None) -> None:
        """Takes the end: the whole text is parsed once more, since pieces of Markdown can be misread on the way.

        Args:
            text: the exact whole text; None keeps what has come.
        """
        stream, self._stream, self.growing = self._stream, None, False
        final = self.text + "".join(self._waiting) if text is None else text
        self._waiting.clear()
        if stream is not None:
            await stream.stop()
        self.text = final
        self.answer.growing = False
        await self._write_anew()

    async def show_marks(self, marks: Marks) -> None:
        """Shows what became of the check of a reply that has ended, where its sentences end."""
        if marks != self.answer.marks:
            self.answer.marks = marks
            await self._write_anew()

    async def _write_anew(self) -> None:
        """Writes the whole text; while old blocks go and new ones come, the place keeps its height, and so the eye."""
        self.answer.styles.min_height = self.answer.size.height
        await self.answer.show(self.text)
        self.call_after_refresh(self._free_height, self.answer)

    def _free_height(self, answer: Answer) -> None:
        answer.styles.min_height = None

    async def end_thought(self, thought: Thought | None = None) -> None:
        """Takes the end of the thought; None keeps what has come of it, as where the engine died in it."""
        self.thought.stop()
        said = bool(self.text or self._waiting)
        await self.thought.end(replace(self.thought.thought, is_cut=not said) if thought is None else thought)

    def note(self, text: str, level: str = "") -> None:
        """Shows a line under the reply.

        Args:
            text: the line; empty takes it away.
            level: `amber` or `red` where something was lost.
        """
        line = self._line
        classes = frozenset({"note", f"-{level}" if level else "", "" if text else "-empty"} - {""})
        is_same_shape = classes == line.classes and len(text) < self.size.width
        line.set_classes(classes)
        line.update(Content(sanitize_line(text)), layout=not is_same_shape)

    def show_sources(self, line: SourceLine) -> None:
        """Shows what the reply stands on, in a line under it; an empty one takes it away."""
        self._sources.show(line)

    def show_votes(self, line: str) -> None:
        """Shows how the chains of thought voted, in a line under it; empty takes it away."""
        self._votes.update(Content(sanitize_line(line)))
        self._votes.set_class(not line, "-empty")
        if line and self.is_attached and not self._votes.is_attached:
            self.mount(self._votes, after=self.answer)

    def action_unfold(self) -> None:
        """Asks to show all of what was thought before the answer, or to fold it."""
        self.post_message(UnfoldThought(self.message_id))

    def action_chains(self) -> None:
        """Asks for the chains of thought that voted."""
        self.post_message(ChainsWanted(self.message_id))

    def action_next_code(self) -> None:
        """Picks the next code block, the first after the last."""
        fences = self.answer.code_blocks()
        for fence in fences:
            fence.remove_class("-picked")
        if not fences:
            self.notify("there is no code block in this message", markup=False)
            return
        self._picked = (self._picked + 1) % len(fences)
        fences[self._picked].add_class("-picked")
        fences[self._picked].scroll_visible()

    def action_copy_message(self) -> None:
        """Copies the picked code block, else the message."""
        code = self.picked_code()
        self.post_message(Copied(self.text, "message") if code is None else Copied(code, "code block"))

    def picked_code(self) -> str | None:
        """Returns the code of the block that is picked."""
        picked = [fence for fence in self.answer.code_blocks() if fence.has_class("-picked")]
        return picked[0].code if picked else None

    def action_continue_reply(self) -> None:
        """Asks for the reply to go on where it ended."""
        self.post_message(ContinueReply(self.message_id))

    def action_branch(self) -> None:
        """Asks for the next question to follow this reply."""
        self.post_message(BranchHere(self.message_id))

    def action_sources(self) -> None:
        """Asks for what the reply stands on."""
        self.post_message(SourcesWanted(self.message_id))

    def action_tokens(self) -> None:
        """Asks for its tokens and how likely they were."""
        self.post_message(TokensWanted(self.message_id))

    def action_rate_up(self) -> None:
        """Tells that it is good."""
        self.post_message(Rated(self.message_id, 1))

    def action_rate_down(self) -> None:
        """Tells that it is bad."""
        self.post_message(Rated(self.message_id, -1))

    def on_blur(self) -> None:
        """Lets go of the picked code block."""
        for fence in self.query(Fence):
            fence.remove_class("-picked")
        self._picked = -1

    def on_markdown_link_clicked(self, event: Markdown.LinkClicked) -> None:
        """Copies the address: opening what a model wrote would tell its server that you read it."""
        event.stop()
        self.post_message(Copied(event.href, "address"))

    def on_click(self, event: Click) -> None:
        """Focuses the message; on the line of its sources, opens them."""
        if event.widget is self._sources:
            self.action_sources()
        elif not event.widget or event.widget is self:
            self.focus()
