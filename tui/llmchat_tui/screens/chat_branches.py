"""The branches of the shown chat: answering again, editing, going on with a reply, branching, versions, the tree.

The third storey of the chat screen, over chat_turns.py. Paints nothing itself.
"""

from __future__ import annotations

import time

from llmchat_tui.errors import UserError
from llmchat_tui.history import StoredMessage
from llmchat_tui.messages import Again, BranchHere, ContinueReply, DraftsWanted, EditMessage, SiblingWanted
from llmchat_tui.screens import chat_drafts
from llmchat_tui.screens.attempts import Attempt
from llmchat_tui.screens.chat_turns import ChatTurns
from llmchat_tui.screens.panel import live_key
from llmchat_tui.talk import Talk


class ChatBranches(ChatTurns):
    """The chat screen's way through the tree of a chat."""

    def _is_busy(self) -> bool:
        """Returns whether a reply is being written in the shown chat, and says so."""
        if self.talk.running:
            self.chat_app.tell("a reply is being written; Esc stops it", "warning")
        return self.talk.running is not None

    async def on_again(self, message: Again) -> None:
        """Has a question answered once more; the answers it has stay beside the new one."""
        message.stop()
        if self._is_busy():
            return
        if question := self.question_of(message.message_id):
            await self.try_again(Attempt("again", question.text, question))

    def question_of(self, message_id: str) -> StoredMessage | None:
        """Returns a question itself, or the one that a reply answers; None where it is gone, and tells."""
        return next((message for message in self._tail(message_id, 2)[::-1] if message.role == "user"), None)

    async def on_drafts_wanted(self, message: DraftsWanted) -> None:
        """Has a question answered in several drafts, or shows those that grow."""
        message.stop()
        await chat_drafts.begin(self, message.count, message.question)

    async def on_continue_reply(self, message: ContinueReply) -> None:
        """Has a reply go on exactly where it ended, as a new one beside it; one without text is answered again."""
        message.stop()
        if self._is_busy():
            return
        path = self._tail(message.message_id, 2)
        if not path:
            return
        if path[-1].text:
            await self.try_again(Attempt("continue", path[-1].text, path[-1]))
        else:
            await self.try_again(Attempt("again", path[0].text, path[0]))

    async def try_again(self, attempt: Attempt) -> None:
        """Begins a turn about a message of the shown chat; from there on the user writes."""
        if await self.attempt(self.talk, attempt):
            self.composer.prompt.focus()

    def on_edit_message(self, message: EditMessage) -> None:
        """Puts a message into the prompt; sending it asks in a question's place, or goes on from a reply's text."""
        message.stop()
        if self._is_busy() or not message.message_id:
            return
        for found in self._tail(message.message_id, 1):
            self.begin_edit(found)
            self.chat_app.tell(_what_enter_does(found))

    async def on_branch_here(self, message: BranchHere) -> None:
        """Lets the next question follow a reply; what stood behind it leaves the view and stays in the tree."""
        message.stop()
        if self._is_busy():
            return
        if message.message_id == self.talk.leaf_id:
            self.chat_app.tell("the next question follows this reply already")
        elif self._choose(self.talk, message.message_id):
            await self.transcript.end_at(message.message_id)
            self.transcript.anchor()
            self.refresh_lines()
            key = live_key(self, "tree")
            self.chat_app.tell(f"the next question follows this reply; what stood behind it is in the tree: {key}")
        self.composer.prompt.focus()

    async def on_sibling_wanted(self, message: SiblingWanted) -> None:
        """Shows the branch of another message that has the place of this one."""
        message.stop()
        if self._is_busy() or not message.message_id:
            return
        try:
            siblings, path = (
                self.desk.history.siblings(message.message_id),
                self.desk.history.path_ids(self.talk.leaf_id),
            )
        except UserError as error:
            self.chat_app.tell_error(error)
            return
        # The one that is shown by now: keys come faster than versions are mounted.
        shown = next((one for one in siblings if one in path), message.message_id)
        at = siblings.index(shown) + message.step
        if len(siblings) == 1:
            self.chat_app.tell("this is the only version of the message")
        elif 0 <= at < len(siblings):
            await self._turn_to(siblings[at], shown)

    async def _turn_to(self, message_id: str, before: str = "") -> None:
        """Shows the newest end of the branch of a message.

        Args:
            message_id: the message.
            before: the message in whose place it comes; empty for one that may stand anywhere.
        """
        async with self._switching:
            talk, transcript = self.talk, self.transcript
            try:
                leaf_id = self.desk.history.leaf_under(message_id)
            except UserError as error:
                self.chat_app.tell_error(error)
                return
            if not self._choose(talk, leaf_id):
                return
            await transcript.turn_to(leaf_id, before, message_id)
        self.refresh_lines()

    def _choose(self, talk: Talk, leaf_id: str) -> bool:
        """Lets the next question follow a message, also when the chat is opened again; returns whether it could."""
        try:
            self.talks.branch(talk, leaf_id)
        except UserError as error:
            self.chat_app.tell_error(error)
            return False
        return True

    def action_tree(self) -> None:
        """Opens the tree of the chat."""
        from llmchat_tui.screens.tree import TreeScreen
        from llmchat_tui.tree_lines import tree_lines

        talk, history = self.talk, self.desk.history
        if not talk.conversation_id:
            self.chat_app.tell("there is no message yet", "warning")
            return
        try:
            nodes, path = history.nodes(talk.conversation_id), history.path_ids(talk.leaf_id)
        except UserError as error:
            self.chat_app.tell_error(error)
            return
        focused = getattr(self.focused, "message_id", "")
        lines = tree_lines(nodes, frozenset(path), time.time())
        self.app.push_screen(TreeScreen(talk.title, lines, focused or talk.leaf_id), self._go_in_tree)

    async def _go_in_tree(self, message_id: str | None) -> None:
        """Shows the message that was chosen in the tree, and its branch where it is on another one."""
        if message_id is None:
            return
        if message_id in self.desk.history.path_ids(self.talk.leaf_id):
            await self.transcript.show(self.talk.leaf_id, message_id)
        elif not self._is_busy():
            await self._turn_to(message_id)


def _what_enter_does(message: StoredMessage) -> str:
    if message.role == "user":
        return "Enter asks this in place of the old question; Esc leaves it as it is"
    return "Enter continues from this text; Esc leaves the reply as it is"
