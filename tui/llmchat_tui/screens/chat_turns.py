"""Asking and hearing: what the user sends goes to `Talks`, what turns and the model tell goes to the parts.

The middle storey of the chat screen. Orchestrates no turn; how one looks is in turn_paint.py.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from llmchat_engine import EngineError, Loaded
from llmchat_tui.commands import Call, UnknownCommand, parse
from llmchat_tui.desk import Desk
from llmchat_tui.errors import UserError
from llmchat_tui.events import Abstained, Ended, Grounded, Started
from llmchat_tui.gauge import gauge_of
from llmchat_tui.history import StoredMessage, title_of
from llmchat_tui.messages import DraftChanged, ModelNews, Submitted, TalkNews
from llmchat_tui.overflow import ContextOverflow, Overflow
from llmchat_tui.presence import Counted, ModelFailed, ModelLoading, ModelReady
from llmchat_tui.screens import chat_actions, chat_documents, chat_drafts, chat_recipe, overflow, turn_paint
from llmchat_tui.screens.attempts import Attempt
from llmchat_tui.screens.chat_room import ChatRoom, joined
from llmchat_tui.talk import Failed, News, Talk
from llmchat_tui.talks import Talks
from llmchat_tui.widgets.bars import ContextGauge, Header
from llmchat_tui.widgets.preview import DocumentPreview

_TYPING_SECONDS = 2.0
_COUNT_SECONDS = 1.0
"""Between two counts of a growing reply."""


class ChatTurns(ChatRoom):
    """The chat screen's way to the turns and back."""

    _counted_at = 0.0
    _typed_at = 0.0

    def __init__(self, desk: Desk, talks: Talks) -> None:
        super().__init__(desk, talks)
        self._attempts: dict[str, Attempt] = {}
        """By chat: what was asked for and has not begun yet."""

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
        is_reply = self.editing is not None and self.editing.role == "assistant"
        try:
            call = None if is_reply else parse(message.text)
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

    async def send(self, talk: Talk, text: str, *, typed: bool = False, answers: int = 1) -> bool:
        """Asks in a chat; returns whether it could be asked, and tells why where not.

        Args:
            talk: the chat.
            text: the message; the files that it names are put in front.
            typed: whether it stands in the prompt, which is cleared before anything else can be shown in it.
            answers: so many drafts, to choose from.
        """
        edited = self.editing if talk is self.talk else None
        try:
            if await self._went_on_elsewhere(talk):
                self.composer.prompt.refuse()
                return False
            is_question = edited is None or edited.role == "user"
            words = chat_actions.with_files(self, text) if is_question else text
        except (UserError, EngineError) as error:
            self.composer.prompt.refuse()
            self.chat_app.tell_error(error)
            return False
        talk.title = talk.title or title_of(text)
        attempt = Attempt.editing(edited, words) if edited else Attempt("ask", words)
        return await self.attempt(talk, replace(attempt, answers=answers), typed=typed)

    async def attempt(self, talk: Talk, attempt: Attempt, *, typed: bool = False, way: Overflow | None = None) -> bool:
        """Begins a turn in a chat, and shows it; returns whether it could, and tells why where not.

        Args:
            talk: the chat.
            attempt: what is asked for.
            typed: as for `send`.
            way: what becomes of the oldest turns of a full context; None as the settings say.
        """
        try:
            attempt.begin(self.talks, talk, way)
        except (UserError, EngineError) as error:
            self.composer.prompt.refuse()
            self.chat_app.tell_error(error)
            return False
        self._attempts[talk.key] = attempt
        if typed:
            self.composer.prompt.clear_draft()
            self.end_edit()
        if transcript := self.transcript_of(talk.key):
            if attempt.follows is not None:
                await transcript.end_at(attempt.follows)
            await transcript.add(*attempt.views())
            if attempt.kind not in ("continue", "branch") and (question := transcript.last_question):
                question.show_sent(chat_recipe.sent(talk, attempt.text))
            turn_paint.begin(transcript, self.chat_app.model, held=bool(talk.recipe.schema))
        if talk is self.talk:
            self.query_one(Header).show_title(talk.title)
        return True

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
        self.refresh_lines()
        self.chat_app.tell("another llmchat went on in this chat; now you see it. Enter sends", "warning")
        return True

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
        event = chat_drafts.as_chosen(talk, news.event)
        if event and (transcript := self.transcript_of(news.key)):
            await turn_paint.paint(transcript, event, talk.collections)
        if isinstance(news.event, (Started, Ended, Abstained, Failed)):
            await self._turned(news, talk, question, is_new)
        elif isinstance(news.event, Loaded):
            self.chat_app.join_model_again()
        elif talk is self.talk:
            self.show_thinking()
            if self._is_to_count(news):
                self._counted_at = time.monotonic()
                self.count()  # the reply takes room while it comes
        if queued:
            await self._send_queued(talk, queued)
        if talk is not self.talk and not talk.running:
            await self.drop_transcript(talk.key)

    def _is_to_count(self, news: News) -> bool:
        return isinstance(news.event, Grounded) or time.monotonic() - self._counted_at >= _COUNT_SECONDS

    async def _turned(self, news: News, talk: Talk, question: str, is_new: bool) -> None:
        """Keeps the lines around the transcript in step with a turn that began or ended."""
        if isinstance(news.event, Started):
            self._attempts.pop(talk.key, None)
            # The question is on disk: what the draft held is safe, and nothing may bring it back a second time.
            self.keeper.keep_draft(talk.conversation_id, self.whole_draft(talk))
            if talk.drafts and talk is self.talk:
                chat_drafts.open_page(self)
            if is_new:
                self.keeper.keep_draft("", "" if self.talk.conversation_id else self.whole_draft(self.talk))
            self.refresh_lines()
            return
        talk.unread = talk is not self.talk
        if isinstance(news.event, Abstained) and talk is self.talk:
            chat_documents.tell_half_read(self, talk.collections)
        if talk.drafts and isinstance(news.event, (Ended, Failed)):
            await chat_drafts.ended(self, talk, news.event)
        if talk.queued:  # the reply did not end by itself: what waits for it is the user's again
            self._take_back(talk)
        if isinstance(news.event, Failed) and news.event.begun is None:
            await self._give_up(talk, question, news.event)
        self.refresh_lines()

    async def _give_up(self, talk: Talk, question: str, failed: Failed) -> None:
        """Returns what could not be asked, and shows the chat as it is."""
        attempt, is_shown = self._attempts.pop(talk.key, None), talk is self.talk
        if attempt and attempt.message and attempt.is_edited and is_shown:
            self.begin_edit(attempt.message, attempt.text)
        else:
            self._give_back(talk, question)
        if transcript := self.transcript_of(talk.key):
            await transcript.show(talk.leaf_id)
        if isinstance(failed.error, ContextOverflow) and attempt and is_shown:
            overflow.offer(self, talk, attempt, failed.error.plan)
        else:
            self.chat_app.tell_error(failed.error)

    async def ask_again(self, talk: Talk, attempt: Attempt, way: Overflow | None) -> None:
        """Asks what was given back once more.

        Args:
            talk: the shown chat.
            attempt: what was asked for.
            way: what becomes of the oldest turns; None as the settings say.
        """
        prompt = self.composer.prompt
        if attempt.is_edited:
            self.end_edit()
        elif attempt.kind == "ask":
            prompt.load_draft(prompt.draft.removeprefix(attempt.text).lstrip("\n"))
        await self.attempt(talk, attempt, way=way)

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
            case ModelReady(model, _):
                self.chat_app.tell_remote(model)
                self.count()
            case ModelFailed(error):
                self.query_one(ContextGauge).gauge = None
                if not self.talk.running:
                    self.chat_app.tell_error(error)
            case Counted(wish, measured, has_system, shots):
                gauge = gauge_of(
                    measured,
                    has_system=has_system,
                    has_draft=bool(wish.draft.strip()),
                    documents=wish.documents,
                    shots=shots,
                )
                self.query_one(ContextGauge).gauge = gauge

    def on_draft_changed(self, message: DraftChanged) -> None:
        """Counts the draft and keeps it, both a moment later."""
        message.stop()
        self._typed_at = time.monotonic()
        if view := self.transcript.last_reply:
            view.hold()
        self.query_one(DocumentPreview).want(self.composer.prompt.draft, self.talk.collections)
        self.count()
        self.keeper.keep_draft(self.talk.conversation_id, self.whole_draft(self.talk))
