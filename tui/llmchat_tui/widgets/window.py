"""The window of a chat's messages that is mounted, near the eye, and the scroll that holds on to its bottom.

A chat may have 2,000 messages and a session 1,000 turns. The ids of the whole path are kept, the messages are loaded
when the user scrolls to them and leave when he has gone on. Knows no key; reads through what it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.rlock import RLock
from textual.widgets import Static

from llmchat_tui.cited import marks_of, source_line
from llmchat_tui.errors import UserError
from llmchat_tui.history import StoredMessage
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.sources import sources_of, verdicts_of
from llmchat_tui.thoughts import Thought
from llmchat_tui.votes import ended_vote, poll_of
from llmchat_tui.widgets.divider import Divider, LeftOutMark, mark_of
from llmchat_tui.widgets.ending import end_line
from llmchat_tui.widgets.message import MessageView
from llmchat_tui.widgets.question import QuestionView
from llmchat_tui.widgets.reply import ReplyView

FIRST = 4
"""Messages mounted at once when a chat is opened; a reply with a table and code takes 80 ms."""
STEP = 4
"""Messages loaded at a time, ahead of the eye."""
KEPT = 12
MOST = 40
"""Messages mounted at most; from there those far from the eye go, down to KEPT."""
_TELLING = 8
"""Messages at the end of a path, one of which says what the model was not shown, if any does: a reply that failed
says nothing."""


class Pages(Protocol):
    """Where a transcript reads: `History` is one."""

    def path_ids(self, message_id: str) -> Sequence[str]:
        """Returns the ids of the path that ends at a message, oldest first."""

    def tail(self, message_id: str, limit: int) -> Sequence[StoredMessage]:
        """Returns the last messages of the path that ends at a message, oldest first."""

    def siblings(self, message_id: str) -> Sequence[str]:
        """Returns the messages that follow the same one, oldest first, itself among them."""


class MessageWindow(VerticalScroll, can_focus=False):
    """A scroll of messages that stays at its bottom while the user has not scrolled away from it."""

    DEFAULT_CSS = """
    MessageWindow {
        height: 1fr; padding: 1 1 0 0; scrollbar-size-vertical: 1;
        & > .hint { color: $text-muted; height: auto; padding: 0 2 1 2; }
    }
    """

    def __init__(self, key: str, pages: Pages, hint: str = "", width: int = 100) -> None:
        super().__init__(id=f"transcript-{key}")
        self.key = key
        self._pages, self._hint, self._width = pages, hint, width
        self._path: list[str] = []
        self._start = 0
        """The path's message that is mounted first; those up to `_end` are mounted too."""
        self._end = 0
        self._moving = False
        self._window = RLock()
        """Held by whoever changes what is mounted: keys come faster than messages are read."""
        self._brought: MessageView | None = None
        """The message that the user went to since others began to come or go."""
        self.left_out = LeftOutMark()
        """What of the path the model does not see."""
        self.unfolds_thoughts = False
        """Whether thoughts are shown whole, those to come too."""
        self._is_gone = False
        """Whether what is not mounted cannot be read any more."""

    def compose(self) -> ComposeResult:
        """Makes the words of an empty chat."""
        yield Static(Content(self._hint), classes="hint", markup=False)

    def on_mount(self) -> None:
        """Holds on to the bottom."""
        self.anchor()

    @property
    def views(self) -> list[MessageView]:
        """The mounted messages, oldest first."""
        return [child for child in self.children if isinstance(child, MessageView)]

    def view_of(self, message_id: str) -> MessageView | None:
        """Returns the view of a message, where it is mounted."""
        return next((view for view in self.views if view.message_id == message_id), None)

    async def show(self, leaf_id: str, at: str = "") -> None:
        """Shows the path to a message: its end, or the place of the message `at`.

        A reply that grows here stays: then the view goes no further than to what is mounted.
        """
        if at and any(map(is_growing, self.views)):
            self._go(self.view_of(at) or self.views[-1])
            return
        self._take_path(leaf_id)
        place = self._path.index(at) + 1 if at in self._path else len(self._path)
        await self._show_window(max(0, place - FIRST), min(len(self._path), place + STEP))
        if at and (view := self.view_of(at)):
            self.call_after_refresh(self._go, view)

    def _take_path(self, leaf_id: str) -> None:
        self._path = list(self._pages.path_ids(leaf_id)) if leaf_id else []
        self.left_out = mark_of(self._pages.tail(leaf_id, _TELLING)) if self._path else LeftOutMark()

    def show_left_out(self, mark: LeftOutMark) -> None:
        """Shows where what the model sees begins."""
        self.left_out = mark
        self._place_divider()

    def _place_divider(self) -> None:
        """Puts the line above the first message that the model sees, where that one is mounted."""
        count = self.left_out.messages
        view = self.view_of(self._path[count]) if 0 < count < len(self._path) else None
        shown = next((child for child in self.children if isinstance(child, Divider)), None)
        if view is None and shown is not None:
            shown.remove()
        elif view is not None and shown is None:
            self.mount(Divider(self.left_out), before=view)
        elif view is not None and shown is not None:
            shown.say(self.left_out)
            self.move_child(shown, before=view)

    async def _show_window(self, start: int, end: int) -> None:
        async with self._window:
            with self.app.batch_update():
                await self.query_children(MessageView).remove()
                await self._mount_views(self._read(start, end))
            self._start, self._end = start, end
        self.anchor(end == len(self._path))
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        """Loads ahead until there is something to scroll to."""
        ahead = self.size.height
        if self._start and self.virtual_size.height < 2 * ahead:
            self._load(self._load_older)
        elif self._end < len(self._path) and self.scroll_y > self.max_scroll_y - ahead:
            self._load(self._load_newer)

    def release_anchor(self) -> None:
        """Lets go of the bottom, unless the scroll that asks for it could not go anywhere."""
        at, was_at_end = self.scroll_y, self.is_vertical_scroll_end
        super().release_anchor()
        if was_at_end and self._anchored:
            self.call_after_refresh(self._hold_again, at)

    def _hold_again(self, at: float) -> None:
        if self._anchored and min(self.scroll_y, self.scroll_target_y) >= at:
            self.anchor()

    def _hold_end(self) -> None:
        """Holds on to the bottom again, unless the user has gone up before this was heard."""
        if self.is_vertical_scroll_end:
            self.anchor()

    def limit_width(self, columns: int) -> None:
        """Sets how wide a message may get."""
        self._width = columns
        for view in self.views:
            view.styles.max_width = columns

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Loads more when an end of what is mounted comes near."""
        super().watch_scroll_y(old_value, new_value)
        if new_value > old_value and new_value >= self.max_scroll_y and self._end == len(self._path):
            self.call_later(self._hold_end)
        ahead = self.size.height
        if new_value < old_value and new_value < ahead and self._start:
            self._load(self._load_older)
        elif new_value > old_value and new_value > self.max_scroll_y - ahead and self._end < len(self._path):
            self._load(self._load_newer)

    def _load(self, how: object) -> None:
        if not self._moving and not self._is_gone and callable(how):
            self._moving = True
            self.run_worker(how(), group="pages")

    async def _load_older(self) -> None:
        async with self._window:
            start, views = max(0, self._start - STEP), self.views
            if start == self._start or not views:
                self._moving = False
                return
            first, at_bottom = views[0], self.is_vertical_scroll_end
            above, self._brought = first.virtual_region.y - self.scroll_y, None
            with self.app.batch_update():
                await self._mount_views(self._read(start, self._start), before=first)
                self._start = start
        if at_bottom:
            self._moving = False
            self.call_after_refresh(self._fill)
        else:
            self.release_anchor()
            self.call_after_refresh(self._keep_place, first, above)

    async def _load_newer(self) -> None:
        async with self._window:
            end = min(len(self._path), self._end + STEP)
            await self._mount_views(self._read(self._end, end))
            self._end = end
            await self._prune_top()
        self._moving = False
        self.call_after_refresh(self._fill)

    def _keep_place(self, first: MessageView, above: float) -> None:
        """Goes on once what was loaded above has its place."""
        self._show_again(first, above)
        self._moving = False
        self._fill()
        self.run_worker(self._prune_bottom(), group="prune")

    def _show_again(self, view: MessageView, above: float) -> None:
        """Shows the same lines as before something came or went above them."""
        if self._brought is not None:  # the user has gone to a message meanwhile
            self._bring_into_sight(self._brought)
        elif view.parent is self:  # else other messages are shown by now
            self.scroll_to(y=view.virtual_region.y - above, animate=False, force=True, immediate=True)

    async def _prune_top(self) -> None:
        """Lets the oldest messages go where many are mounted."""
        views = self.views
        gone, first = views[:-KEPT], views[-KEPT:][:1]
        if len(views) > MOST and self._is_below(gone[-1]):
            if any(view.has_focus for view in gone):
                first[0].focus(scroll_visible=False)
            above, self._brought = first[0].virtual_region.y - self.scroll_y, None
            self._start += len(gone)
            await self.remove_children(gone)
            self._place_divider()
            if not self._anchored:
                self.call_after_refresh(self._show_again, first[0], above)

    async def _prune_bottom(self) -> None:
        async with self._window:
            gone = self.views[MOST:]
            if gone and all(view.message_id for view in gone) and not any(is_growing(view) for view in gone):
                self._end -= len(gone)
                self.anchor(False)  # the bottom is not the end any more: holding on to it would run through the chat
                await self.remove_children(gone)
                self._place_divider()

    def _is_below(self, view: MessageView) -> bool:
        return view.virtual_region.bottom < self.scroll_y or self.is_vertical_scroll_end or self._anchored

    def _read(self, start: int, end: int) -> list[MessageView]:
        if start >= end:
            return []
        try:
            messages = self._pages.tail(self._path[end - 1], end - start)
            behind = self._pages.tail(self._path[end], 1) if end < len(self._path) else ()
            views = stored_views(messages, behind)
            for view in views:
                self.show_version(view)
            return views
        except UserError as error:  # another program deleted the chat: what is mounted is all that is left
            self.notify(sanitize_line(str(error)), severity="error", markup=False)
            self._is_gone = True
            return []

    def show_version(self, view: MessageView) -> None:
        """Shows which of the messages that have its place a message is."""
        with suppress(UserError):  # another program deleted the chat
            siblings = self._pages.siblings(view.message_id)
            view.who.show_place(siblings.index(view.message_id) + 1, len(siblings))

    async def _mount_views(self, views: Iterable[MessageView], before: MessageView | None = None) -> None:
        made = list(views)
        for view in made:
            view.styles.max_width = self._width
            if isinstance(view, ReplyView):
                view.thought.unfolded = self.unfolds_thoughts
        await self.mount_all(made, before=before)
        self._show_lines()

    def _show_lines(self) -> None:
        """Shows the lines that stand between the messages, or in place of them."""
        self.query_one(".hint").display = not self.views
        self._place_divider()

    def _go(self, view: MessageView) -> None:
        if view is not self.views[-1]:
            self.anchor(False)
        view.focus(scroll_visible=False)
        self.call_after_refresh(self._bring_into_sight, view)

    def _bring_into_sight(self, view: MessageView) -> None:
        """Scrolls to a view where it has its place by now, unless the user has gone on."""
        if view.has_focus and view.parent is self:
            self._brought = view
            self.scroll_to_widget(view, animate=False, top=view.size.height > self.size.height, immediate=True)


def is_growing(view: MessageView) -> bool:
    """Returns whether a message is a reply that is still being written."""
    return isinstance(view, ReplyView) and view.growing


def stored_views(messages: Sequence[StoredMessage], behind: Sequence[StoredMessage] = ()) -> list[MessageView]:
    """Returns the views of messages on disk.

    Args:
        messages: a stretch of a path.
        behind: the message that follows it, where one does: how a question was asked stands with its reply.
    """
    views = [stored_view(message) for message in messages]
    for view, reply in zip(views, (*messages[1:], *behind), strict=False):
        if isinstance(view, QuestionView):
            view.sent = reply.sent
    return views


def stored_view(message: StoredMessage) -> MessageView:
    """Returns the view of a message on disk."""
    if message.role == "user":
        return QuestionView(message.text, message.id)
    is_cut = not message.text and message.status != "streaming"
    thought = Thought(message.thought, message.thought_tokens, message.thought_seconds, is_cut)
    model, verdicts = message.settings.get("model", ""), verdicts_of(message.settings)
    marks = marks_of(message.text, verdicts)
    name = model if isinstance(model, str) else ""
    recipe = message.settings.get("recipe")
    held = isinstance(recipe, dict) and bool(recipe.get("schema"))
    view = ReplyView(message.text, message.id, model=name, marks=marks, thought=thought, held=held)
    in_thought = bool(thought) and is_cut
    view.who.show_rating(message.rating)
    view.first_note = end_line(message.status, message.stats, message.error, in_thought=in_thought)
    view.show_votes(ended_vote(poll_of(message.settings)))
    view.show_sources(source_line(sources_of(message.settings), verdicts))
    return view
