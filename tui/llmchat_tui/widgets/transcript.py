"""The messages of one chat: what is added to them, and the keys that walk through them.

What is mounted of them is window.py's. Knows no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar

from textual.binding import BindingType

from llmchat_tui.bindings import bindings_of
from llmchat_tui.errors import UserError
from llmchat_tui.messages import LeaveMessages, UnfoldThought
from llmchat_tui.widgets.message import WALKING, MessageView
from llmchat_tui.widgets.question import QuestionView
from llmchat_tui.widgets.reply import ReplyView
from llmchat_tui.widgets.window import FIRST, STEP, MessageWindow, is_growing


class Transcript(MessageWindow, can_focus=False):
    """The path through a chat that is shown."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_of("message", only=WALKING)

    @property
    def last_reply(self) -> ReplyView | None:
        """The newest mounted reply."""
        return next((view for view in reversed(self.children) if isinstance(view, ReplyView)), None)

    @property
    def last_question(self) -> QuestionView | None:
        """The newest mounted question."""
        return next((view for view in reversed(self.children) if isinstance(view, QuestionView)), None)

    async def add(self, *views: MessageView) -> None:
        """Puts messages at the bottom and goes there."""
        async with self._window:
            if self._end < len(self._path):
                await self._show_window(max(0, len(self._path) - FIRST), len(self._path))
            await self._mount_views(views)
            self.anchor()
            await self._prune_top()

    def record(self, *message_ids: str) -> None:
        """Takes the ids of messages that were added and are on disk now."""
        self._path += message_ids
        self._end = len(self._path)

    async def put_in_place(self, view: ReplyView) -> None:
        """Shows another reply in the place of the last one; both are on disk."""
        async with self._window:
            old = self.last_reply
            if old is None or old.message_id not in self._path:
                return
            view.styles.max_width = self._width
            with self.app.batch_update():
                await self.mount(view, after=old)
                await old.remove()
            self._path[self._path.index(old.message_id)] = view.message_id
        self.show_version(view)

    async def remove_from(self, view: MessageView) -> None:
        """Takes a message and all below it away."""
        async with self._window:
            views = self.views
            if view.message_id in self._path:
                del self._path[self._path.index(view.message_id) :]
                self._end = min(self._end, len(self._path))
            await self.remove_children(views[views.index(view) :])
            self._show_lines()

    async def end_at(self, message_id: str) -> None:
        """Ends the path at a message, for something else to follow it; empty takes all of it away."""
        views = self.views
        behind = next((views[at + 1] for at, view in enumerate(views[:-1]) if view.message_id == message_id), None)
        if behind is not None:
            await self.remove_from(behind)
        else:  # it is far from what is mounted, or the last of it
            await self.show(message_id)

    async def turn_to(self, leaf_id: str, before: str, after: str) -> None:
        """Shows another branch from a message on; what stands above it stays where it is, and so does the eye.

        Args:
            leaf_id: the end of the other branch.
            before: the message where the branches part, as it is shown.
            after: the one that takes its place.
        """
        old = self.view_of(before)
        if old is None:
            await self.show(leaf_id, after)
            return
        above, at = old.virtual_region.y - self.scroll_y, self._path.index(before)
        async with self._window:
            self.anchor(False)
            with self.app.batch_update():
                await self.remove_children(self.views[self.views.index(old) + 1 :])
                self._take_path(leaf_id)
                self._end = min(len(self._path), at + STEP)
                await self._mount_views(self._read(at, self._end))
                view = self.view_of(after)
                # While the old one is there: a key meanwhile is not lost, and the focus goes to no other message.
                self.screen.set_focus(view, scroll_visible=False)
                await old.remove()
            self._brought = None
        if view:
            self._show_sent(view)
            self.call_after_refresh(self._show_again, view, above)
        self.call_after_refresh(self._fill)

    def _show_sent(self, reply: MessageView) -> None:
        """Shows with a question how the reply that is shown by now had it asked."""
        at = self.views.index(reply)
        question = self.views[at - 1] if at else None
        if isinstance(reply, ReplyView) and isinstance(question, QuestionView):
            with suppress(UserError):  # another program deleted the chat
                question.show_sent(self._pages.tail(reply.message_id, 1)[0].sent)

    @property
    def has_thoughts(self) -> bool:
        """Whether a mounted reply was thought about."""
        return any(isinstance(view, ReplyView) and view.thought.thought for view in self.views)

    async def fold_thoughts(self, unfolded: bool) -> None:
        """Shows all thoughts whole, those to come too, or folds them; what the user looks at stays where it is."""
        self.unfolds_thoughts = unfolded
        replies = [view for view in self.views if isinstance(view, ReplyView)]
        shown = [view for view in self.views if view.virtual_region.bottom > self.scroll_y]
        if shown:
            await self._fold(replies, unfolded, next((view for view in shown if view.has_focus), shown[0]))

    async def on_unfold_thought(self, message: UnfoldThought) -> None:
        """Shows all of one thought, or folds it."""
        message.stop()
        view = self.view_of(message.message_id)
        if isinstance(view, ReplyView):
            await self._fold([view], not view.thought.unfolded, view)

    async def _fold(self, replies: Sequence[ReplyView], unfolded: bool, seen: MessageView) -> None:
        """Folds or unfolds thoughts while a message stays in its place; behind one that grows the eye follows it."""
        above, self._brought = max(0.0, seen.virtual_region.y - self.scroll_y), None
        follows = is_growing(self.views[-1]) and self.is_vertical_scroll_end
        if not follows:
            self.anchor(False)
        for view in replies:
            await view.thought.fold(unfolded)
        if not follows:
            self.call_after_refresh(self._show_again, seen, above)

    def focus_last(self) -> None:
        """Goes to the newest message that is mounted."""
        if self.views:
            self._go(self.views[-1])

    def action_previous_message(self) -> None:
        """Goes up one message."""
        at = self._focused_at()
        if at > 0:
            self._go(self.views[at - 1])
        if at <= 1:
            self._load(self._load_older)

    def action_next_message(self) -> None:
        """Goes down one message, or out of them."""
        at, views = self._focused_at(), self.views
        if 0 <= at < len(views) - 1:
            self._go(views[at + 1])
        elif self._end == len(self._path):
            self.anchor()
            self.post_message(LeaveMessages())
        if at >= len(views) - 2 and self._end < len(self._path):
            self._load(self._load_newer)

    async def action_first_message(self) -> None:
        """Goes to the first message of the chat."""
        if self._start and any(map(is_growing, self.views)):
            self._load(self._load_older)
        elif self._start:
            await self._show_window(0, min(len(self._path), 2 * FIRST))
        if self.views:
            self.call_after_refresh(self._go, self.views[0])

    async def action_last_message(self) -> None:
        """Goes to the newest message."""
        if self._end < len(self._path):
            await self._show_window(max(0, len(self._path) - FIRST), len(self._path))
        self.anchor()
        self.focus_last()

    def _focused_at(self) -> int:
        focused = self.screen.focused
        return next((at for at, view in enumerate(self.views) if view is focused), -1)
