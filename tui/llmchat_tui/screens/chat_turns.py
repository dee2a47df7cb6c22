"""Asking and hearing: what the user sends goes to `Talks`, what turns and the model tell goes to the parts.

The middle storey of the chat screen. Orchestrates no turn; how one looks is in turn_paint.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from llmchat_engine import EngineError, Loaded
from llmchat_tui.commands import Call, UnknownCommand, parse
from llmchat_tui.errors import UserError
from llmchat_tui.events import Ended, Started
from llmchat_tui.gauge import gauge_of
from llmchat_tui.history import StoredMessage, title_of
from llmchat_tui.messages import Again, DraftChanged, EditQuestion, ModelNews, Submitted, TalkNews
from llmchat_tui.presence import Counted, ModelFailed, ModelLoading, ModelReady
from llmchat_tui.screens import chat_actions, turn_paint
from llmchat_tui.screens.chat_room import ChatRoom, joined
from llmchat_tui.talks import Failed, News, Talk
from llmchat_tui.widgets.bars import ContextGauge, Header
from llmchat_tui.widgets.message import QuestionView, ReplyView

_TYPING_SECONDS = 2.0
_COUNT_SECONDS = 1.0
"""Between two counts of a growing reply."""


class ChatTurns(ChatRoom):
    """The chat screen's way to the turns and back."""

    _counted_at = 0.0
    _typed_at = 0.0

    @property
    def is_typing(self) -> bool:
        """Whether the user typed in the last two seconds."""
        return time.monotonic() - self._typed_at < _TYPING_SECONDS

    def on_screen_resume(self) -> None:
        """Shows how the model is already, once there is a place for it."""
        self.call_after_refresh(self._show_model)

    def _show_model(self) -> None:
        header = self.query_one(Header)
        match self.chat_app.model_news:
            case ModelLoading(fraction):
                header.show_model(f"loading the model {fraction:.0%}")
            case ModelReady(model, _):
                header.show_model(chat_actions.model_line(model))
            case ModelFailed(error):
                header.show_model(error.what, "red")
            case _:
                pass

    def run_command(self, call: Call) -> bool:
        """Does what a slash command says; returns whether it could."""
        raise NotImplementedError

    async def on_submitted(self, message: Submitted) -> None:
        """Takes what the user sent: a command, a message, or one to queue.

        Done here and not in a worker: the news of the turn wait behind this handler until its reply has a place.
        """
        message.stop()
        prompt = self.composer.prompt
        try:
            call = parse(message.text)
        except UnknownCommand as error:
            prompt.refuse()
            self.chat_app.tell(str(error), "warning")
            return
        if call is not None:
            prompt.clear_draft()
            if not self.run_command(call):
                prompt.load_draft(joined(message.text, prompt.draft))
        elif self.talk.running:
            self._queue(message.text)
        else:
            await self.send(self.talk, message.text, typed=True)

    def _queue(self, text: str) -> None:
        if self.talk.queued:
            self.composer.prompt.refuse()
            self.chat_app.tell("one message is queued already; it goes first", "warning")
            return
        self.talk.queued = text
        self.composer.prompt.clear_draft()
        self.composer.show_queued(text)
        self.keeper.keep_draft(self.talk.conversation_id, self.whole_draft(self.talk))

    async def send(self, talk: Talk, text: str, *, typed: bool = False) -> bool:
        """Asks in a chat; returns whether it could be asked, and tells why where not.

        Args:
            talk: the chat.
            text: the message; the files that it names are put in front.
            typed: whether it stands in the prompt, which is cleared before anything else can be shown in it.
        """
        try:
            if await self._went_on_elsewhere(talk):
                self.composer.prompt.refuse()
                return False
            question = chat_actions.with_files(self, text)
            talk.title = talk.title or title_of(text)
            replaced = self._ask(talk, question)
        except (UserError, EngineError) as error:
            self.composer.prompt.refuse()
            self.chat_app.tell_error(error)
            return False
        if typed:
            self.composer.prompt.clear_draft()
            self.end_edit()
        if transcript := self.transcript_of(talk.key):
            if replaced:
                await transcript.end_at(replaced.parent_id)
            await transcript.add(QuestionView(question), ReplyView(growing=True))
            turn_paint.begin(transcript, self.chat_app.model)
        if talk is self.talk:
            self.query_one(Header).show_title(talk.title)
        return True

    def _ask(self, talk: Talk, question: str) -> StoredMessage | None:
        """Starts the turn; returns the question that it replaces, if one was being edited."""
        if talk is not self.talk or not self.editing:
            self.talks.ask(talk, question)
            return None
        (replaced,) = self.desk.history.tail(self.editing, 1)
        self.talks.edit(talk, replaced, question)
        return replaced

    async def _went_on_elsewhere(self, talk: Talk) -> bool:
        """Shows what another llmchat wrote in a chat: a question must not follow what the user did not see."""
        if not talk.conversation_id or talk.running or self.editing:
            return False
        leaf_id = self.desk.history.conversation(talk.conversation_id).leaf_id
        if leaf_id == talk.leaf_id:
            return False
        talk.leaf_id = leaf_id
        if transcript := self.transcript_of(talk.key):
            await transcript.show(leaf_id)
        self.chat_app.tell("another llmchat went on in this chat; now you see it. Enter sends", "warning")
        return True

    async def on_again(self, message: Again) -> None:
        """Has a question answered once more; the old answer stays on disk."""
        message.stop()
        if self.talk.running:
            self.chat_app.tell("a reply is being written; Esc stops it", "warning")
            return
        path = self._tail(message.message_id, 2)
        if not path:
            return
        question = path[-1] if path[-1].role == "user" else path[-2]
        self._unless_behind(question, "answer again", partial(self.call_later, self._answer_again, question))

    async def _answer_again(self, question: StoredMessage) -> None:
        try:
            self.talks.again(self.talk, question)
        except (UserError, EngineError) as error:
            self.chat_app.tell_error(error)
            return
        await self.transcript.end_at(question.id)
        await self.transcript.add(ReplyView(growing=True))
        turn_paint.begin(self.transcript, self.chat_app.model)
        self.composer.prompt.focus()

    def on_edit_question(self, message: EditQuestion) -> None:
        """Puts a question into the prompt; sending it asks it in the old one's place."""
        message.stop()
        if not message.message_id or self.talk.running:
            self.chat_app.tell("a reply is being written; Esc stops it", "warning")
            return
        path = self._tail(message.message_id, 1)
        if not path:
            return
        self._unless_behind(path[0], "edit", partial(self._edit, path[0]))

    def _edit(self, question: StoredMessage) -> None:
        self.begin_edit(question)
        self.chat_app.tell("Enter asks this in place of the old question; Esc leaves it as it is")

    def _unless_behind(self, question: StoredMessage, what: str, do: Callable[[], object]) -> None:
        """Does something to a question; where more than its answer stands behind it, only if the user says so."""
        path = self.desk.history.path_ids(self.talk.leaf_id)
        behind = len(path) - path.index(question.id) - 2 if question.id in path else 0
        if behind <= 0:
            do()
            return
        from llmchat_tui.screens.dialogs import ConfirmScreen

        words = f"The {behind} messages behind it leave this view; they stay on disk. Go on?"

        def answered(yes: bool | None) -> None:
            if yes:
                do()

        self.app.push_screen(ConfirmScreen(words, what, "leave it"), answered)

    def _tail(self, message_id: str, limit: int) -> Sequence[StoredMessage]:
        """Returns the end of the path to a message; tells where it is gone, as in a chat deleted by another program."""
        try:
            return self.desk.history.tail(message_id, limit) if message_id else ()
        except UserError as error:
            self.chat_app.tell_error(error)
            return ()

    async def on_talk_news(self, message: TalkNews) -> None:
        """Takes what a turn tells, in whichever chat it runs."""
        news, talk = message.news, self.talks.get(message.news.key)
        if talk is None:
            return
        question = talk.running.question if talk.running else ""
        is_new = not talk.conversation_id
        queued = self.talks.settle(news)
        if transcript := self.transcript_of(news.key):
            await turn_paint.paint(transcript, news.event)
        if isinstance(news.event, (Started, Ended, Failed)):
            await self._turned(news, talk, question, is_new)
        elif isinstance(news.event, Loaded):
            self.chat_app.join_model_again()
        elif talk is self.talk and time.monotonic() - self._counted_at >= _COUNT_SECONDS:
            self._counted_at = time.monotonic()
            self.count()  # the reply takes room while it comes
        if queued:
            await self._send_queued(talk, queued)
        if talk is not self.talk and not talk.running:
            await self.drop_transcript(talk.key)

    async def _turned(self, news: News, talk: Talk, question: str, is_new: bool) -> None:
        """Keeps the lines around the transcript in step with a turn that began or ended."""
        if isinstance(news.event, Started):
            # The question is on disk: what the draft held is safe, and nothing may bring it back a second time.
            self.keeper.keep_draft(talk.conversation_id, self.whole_draft(talk))
            if is_new:
                self.keeper.keep_draft("", "" if self.talk.conversation_id else self.whole_draft(self.talk))
            self.refresh_lines()
            return
        talk.unread = talk is not self.talk
        if talk.queued:  # the reply did not end by itself: what waits for it is the user's again
            self._take_back(talk)
        if isinstance(news.event, Failed) and news.event.begun is None:
            await self._give_up(talk, question, news.event)
        self.refresh_lines()

    async def _give_up(self, talk: Talk, question: str, failed: Failed) -> None:
        """Returns a question that could not be asked, and shows the chat as it is."""
        self._give_back(talk, question)
        if transcript := self.transcript_of(talk.key):
            await transcript.show(talk.leaf_id)
        self.chat_app.tell_error(failed.error)

    def _give_back(self, talk: Talk, text: str) -> None:
        """Returns what could not be sent to the prompt of its chat."""
        if talk is self.talk:
            self.composer.prompt.load_draft(joined(text, self.composer.prompt.draft))
        else:
            talk.draft = joined(text, talk.draft or "")
            self.keeper.keep_draft(talk.conversation_id, self.whole_draft(talk))

    async def _send_queued(self, talk: Talk, text: str) -> None:
        if talk is self.talk:
            self.composer.show_queued("")
        if not await self.send(talk, text):
            self._give_back(talk, text)

    def _take_back(self, talk: Talk) -> None:
        """Puts the queued message back into the prompt of its chat."""
        text, talk.queued = talk.queued, ""
        if talk is self.talk:
            self.composer.show_queued("")
        self._give_back(talk, text)

    def on_model_news(self, message: ModelNews) -> None:
        """Shows how the model is, and what the context holds."""
        self._show_model()
        match message.news:
            case ModelReady():
                self.count()
            case ModelFailed(error):
                self.query_one(ContextGauge).gauge = None
                if not self.talk.running:
                    self.chat_app.tell_error(error)
            case Counted(wish, measured):
                has_system, has_draft = bool(wish.system), bool(wish.draft.strip())
                self.query_one(ContextGauge).gauge = gauge_of(measured, has_system=has_system, has_draft=has_draft)

    def on_draft_changed(self, message: DraftChanged) -> None:
        """Counts the draft and keeps it, both a moment later."""
        message.stop()
        self._typed_at = time.monotonic()
        if view := self.transcript.last_reply:
            view.hold()
        self.count()
        self.keeper.keep_draft(self.talk.conversation_id, self.whole_draft(self.talk))
