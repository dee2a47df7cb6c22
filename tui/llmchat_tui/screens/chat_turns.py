"""Asking and hearing: what the user sends goes to `Talks`, what turns and the model tell goes to the parts.

The middle storey of the chat screen. Orchestrates no turn; how one looks is in turn_paint.py.
"""

from __future__ import annotations

import time

from llmchat_engine import EngineError
from llmchat_tui.commands import Call, UnknownCommand, parse
from llmchat_tui.errors import UserError
from llmchat_tui.events import Ended, Started
from llmchat_tui.gauge import gauge_of
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
        if news := self.chat_app.model_news:
            self.on_model_news(ModelNews(news))

    def run_command(self, call: Call) -> None:
        """Does what a slash command says."""
        raise NotImplementedError

    async def on_submitted(self, message: Submitted) -> None:
        """Takes what the user sent: a command, a message, or one to queue.

        Done here and not in a worker: the news of the turn wait behind this handler until its reply has a place.
        """
        message.stop()
        try:
            call = parse(message.text)
        except UnknownCommand as error:
            self.chat_app.tell(str(error), "warning")
            return
        if call is not None:
            self.composer.prompt.clear_draft()
            self.run_command(call)
        elif self.talk.running:
            self._queue(message.text)
        elif await self.send(self.talk, message.text):
            self.composer.prompt.clear_draft()

    def _queue(self, text: str) -> None:
        if self.talk.queued:
            self.chat_app.tell("one message is queued already; it goes first", "warning")
            return
        self.talk.queued = text
        self.composer.prompt.clear_draft()
        self.composer.show_queued(text)
        self.keeper.keep_draft(self.talk.conversation_id, self.whole_draft(self.talk))

    async def send(self, talk: Talk, text: str) -> bool:
        """Asks in a chat; returns whether it could be asked, and tells why where not."""
        try:
            question = chat_actions.with_files(self, text)
            replaced = self._ask(talk, question)
        except (UserError, EngineError) as error:
            self.chat_app.tell_error(error)
            return False
        talk.title = talk.title or chat_actions.title_of(text)
        if transcript := self.transcript_of(talk.key):
            if view := transcript.view_of(replaced):
                await transcript.remove_from(view)
            await transcript.add(QuestionView(question), ReplyView(growing=True))
            turn_paint.begin(transcript, self.chat_app.model)
        if talk is self.talk:
            self.query_one(Header).show_title(talk.title)
        return True

    def _ask(self, talk: Talk, question: str) -> str:
        """Starts the turn; returns the question that it replaces, if one was being edited."""
        replaced = self.editing if talk is self.talk else ""
        if replaced:
            self.talks.edit(talk, self.desk.history.tail(replaced, 1)[0], question)
            self.editing = ""
        else:
            self.talks.ask(talk, question)
        return replaced

    async def on_again(self, message: Again) -> None:
        """Has a question answered once more; the old answer stays on disk."""
        message.stop()
        if self.talk.running:
            self.chat_app.tell("a reply is being written; Esc stops it", "warning")
            return
        path = self.desk.history.tail(message.message_id, 2) if message.message_id else ()
        if not path:
            return
        question = path[-1] if path[-1].role == "user" else path[-2]
        try:
            self.talks.again(self.talk, question)
        except (UserError, EngineError) as error:
            self.chat_app.tell_error(error)
            return
        await chat_actions.leave_question_only(self.transcript, question.id)
        await self.transcript.add(ReplyView(growing=True))
        turn_paint.begin(self.transcript, self.chat_app.model)
        self.composer.prompt.focus()

    def on_edit_question(self, message: EditQuestion) -> None:
        """Puts a question into the prompt; sending it asks it in the old one's place."""
        message.stop()
        if not message.message_id or self.talk.running:
            self.chat_app.tell("a reply is being written; Esc stops it", "warning")
            return
        self.editing = message.message_id
        self.composer.prompt.load_draft(self.desk.history.tail(message.message_id, 1)[0].text)
        self.composer.prompt.focus()
        self.chat_app.tell("Enter asks this in place of the old question; Esc leaves it as it is")

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
        header = self.query_one(Header)
        match message.news:
            case ModelLoading(fraction):
                header.show_model(f"loading the model {fraction:.0%}")
            case ModelReady(model, _):
                header.show_model(chat_actions.model_line(model))
                self.count()
            case ModelFailed(error):
                header.show_model(error.what, "red")
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
