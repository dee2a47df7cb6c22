"""The room of a chat: the list, the transcript, the prompt and the lines around them, and which chat they show.

The lowest of the three storeys of the chat screen; chat_turns.py asks and takes news, chat.py takes keys.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.screen import Screen

from llmchat_rag.errors import RagError
from llmchat_tui.asked import asked_of
from llmchat_tui.desk import Desk
from llmchat_tui.documents_words import documents_line, preview_lines
from llmchat_tui.errors import UserError
from llmchat_tui.history import StoredMessage
from llmchat_tui.keeping import Keeper
from llmchat_tui.presence import Wish
from llmchat_tui.recipe_words import recipe_name
from llmchat_tui.talk import Talk
from llmchat_tui.talks import Talks
from llmchat_tui.widgets.bars import ContextGauge, Header, KeyBar
from llmchat_tui.widgets.chat_list import ChatList, Found
from llmchat_tui.widgets.composer import Composer
from llmchat_tui.widgets.preview import LINES, DocumentPreview, Sought
from llmchat_tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from llmchat_tui.app import ChatApp

_HINT = """\
Write below and press Enter.
All you write is kept, on this machine.

^P commands      ^N new chat
^R search        ^L documents
^O other model   F1 help"""


class ChatRoom(Screen[None]):
    """What is on the screen, and which chat it shows."""

    DEFAULT_CSS = """
    ChatRoom { layout: vertical; background: $background; }
    ChatRoom > #room { height: 1fr; }
    ChatRoom #main { width: 1fr; }
    ChatRoom #transcripts { height: 1fr; }
    ChatRoom.-overlay ChatList { layer: over; dock: left; width: 30; }
    ChatRoom.-low Header { display: none; }
    ChatRoom.-low DocumentPreview { max-height: 1; }
    ChatRoom.-low Transcript { padding-top: 0; }
    ChatRoom.-low ThoughtView > Tail { height: 1; }
    """
    LAYERS: ClassVar[tuple[str, ...]] = ("default", "over")

    def __init__(self, desk: Desk, talks: Talks) -> None:
        super().__init__()
        self.desk, self.talks = desk, talks
        self.talk: Talk = talks.begin(desk.system, desk.wanted_sampling, desk.wanted_collections, desk.wanted_recipe)
        """The chat that is shown."""
        self._transcripts: dict[str, Transcript] = {}
        """By chat: the shown one, and those whose reply goes on in the background."""
        self._switching = asyncio.Lock()
        self.editing: StoredMessage | None = None
        """The question that the next message takes the place of, or the reply that goes on from it."""
        self._before_edit = ""
        self.is_thinking = False
        """Whether the reply of the shown chat is still being thought about."""
        self.keeper = Keeper(desk.history, self._not_kept, forget=desk.forget_chat)

    @property
    def chat_app(self) -> ChatApp:
        """The app."""
        return cast("ChatApp", self.app)

    def compose(self) -> ComposeResult:
        """Makes the parts."""
        with Horizontal(id="room"):
            yield ChatList(self._look)
            with Vertical(id="main"):
                yield Header()
                yield Container(id="transcripts")
                yield DocumentPreview(self._preview)
                yield Composer(self.desk.history.prompts, self._collection_names)
                yield ContextGauge()
        yield KeyBar()

    async def on_mount(self) -> None:
        """Shows the chat that was asked for, or an empty one."""
        start = self.desk.start
        await self.show_talk(self.talks.open(start) if start else self.talk)

    @property
    def transcript(self) -> Transcript:
        """The messages of the shown chat."""
        return self._transcripts[self.talk.key]

    def transcript_of(self, key: str) -> Transcript | None:
        """Returns the messages of a chat, shown or in the background."""
        return self._transcripts.get(key)

    @property
    def composer(self) -> Composer:
        """The place to write."""
        return self.query_one(Composer)

    @property
    def chat_list(self) -> ChatList:
        """The list of chats."""
        return self.query_one(ChatList)

    async def show_talk(self, talk: Talk, at: str = "", *, focus: bool = True) -> None:
        """Shows a chat in place of the one that is shown; a reply that streams there goes on.

        Args:
            talk: an open chat.
            at: the message to go to; empty for the newest.
            focus: whether the prompt is gone to.
        """
        async with self._switching:  # keys, commands and the list may all ask for one at the same time
            await self._show_talk(talk, at)
        if focus and not at:
            self.composer.prompt.focus()

    async def _show_talk(self, talk: Talk, at: str) -> None:
        before = self._change_to(talk)
        for key, transcript in self._transcripts.items():
            transcript.display = key == talk.key
        if talk.key not in self._transcripts:
            width = self.desk.config.settings.reading_width
            new = self._transcripts[talk.key] = Transcript(talk.key, self.desk.history, _HINT, width)
            await self.query_one("#transcripts").mount(new)
            await new.show(talk.leaf_id, at)
        elif at:
            await self._transcripts[talk.key].show(talk.leaf_id, at)
        if before is not talk and not before.running:
            await self._forget(before)
        self.refresh_lines()

    def _change_to(self, talk: Talk) -> Talk:
        """Puts the draft of a chat into the prompt, at once: what is typed from now on is for it. Returns the other."""
        before, prompt = self.talk, self.composer.prompt
        self.talks.keep(talk)
        if before.draft is not None:
            before.draft = self._own_draft()
            self.keeper.keep_draft(before.conversation_id, self.whole_draft(before))
        if talk.draft is None:
            talk.draft = self.keeper.draft(talk.conversation_id)
        self.talk, self.editing, talk.unread = talk, None, False
        prompt.load_draft(talk.draft)
        self.composer.show_queued(talk.queued)
        return before

    async def _forget(self, talk: Talk) -> None:
        await self.drop_transcript(talk.key)
        self.talks.leave(talk)

    async def drop_transcript(self, key: str) -> None:
        """Takes away the messages of a chat that is not shown; they are read again when it is."""
        if transcript := self._transcripts.pop(key, None):
            await transcript.remove()

    def whole_draft(self, talk: Talk) -> str:
        """Returns what the user wrote in a chat and no turn has on disk yet, what was sent before what is queued."""
        own = self._own_draft() if talk is self.talk else talk.draft or ""
        return joined(talk.unrecorded, talk.queued, own)

    def _own_draft(self) -> str:
        """Returns the draft of the shown chat; while a question is edited, what stood there and what was changed."""
        draft = self.composer.prompt.draft
        edited = self.editing
        return joined(self._before_edit, "" if draft == edited.text else draft) if edited else draft

    def begin_edit(self, message: StoredMessage, text: str | None = None) -> None:
        """Puts a message into the prompt; the draft that stood there comes back afterwards.

        Args:
            message: the one that is edited.
            text: what was made of it already; None for nothing.
        """
        self._before_edit, self.editing = self._own_draft(), message
        self.composer.prompt.load_draft(message.text if text is None else text)
        self.composer.prompt.focus()

    def end_edit(self) -> None:
        """Brings the draft back that an edit took the place of."""
        if self.editing:
            self.editing = None
            self.composer.prompt.load_draft(self._before_edit)

    def refresh_lines(self) -> None:
        """Shows title, list and gauge anew; while the chat is closed, news find no part of it any more."""
        if not self.display:
            return
        self.query_one(Header).show_title(self.talk.title or "new chat")
        self.show_documents()
        marks = {talk.conversation_id: "◌" for talk in self.talks.running() if talk is not self.talk}
        marks |= {talk.conversation_id: "●" for talk in self.talks.all() if talk.unread}
        self.chat_list.show(self.talk.conversation_id, marks)
        self.query_one(KeyBar).stops = self.talk.running is not None
        self.show_thinking()
        self.count()

    def show_thinking(self) -> None:
        """Shows the key that has the model answer now, while a thought grows; takes it away afterwards."""
        running = self.talk.running
        thinks = running is not None and running.thinks
        if thinks != self.is_thinking:
            self.is_thinking = thinks
            self.refresh_bindings()

    def show_documents(self) -> None:
        """Shows how the chat asks, and which documents: in the header, or beside the gauge where there is none."""
        parts = (documents_line(self.talk.collections), recipe_name(self.talk.recipe))
        line = " · ".join(part for part in parts if part)
        self.query_one(Header).show_documents(line)
        self.query_one(ContextGauge).documents = line if self.has_class("-low") else ""

    def count(self) -> None:
        """Has the context counted with what stands in the prompt."""
        presence, talk, edited = self.chat_app.presence, self.talk, self.editing
        if presence is None:
            return
        draft = self.composer.prompt.draft
        if edited is None:
            running = talk.running
            documents = running.documents if running else 0
            presence.count(Wish(talk.leaf_id, talk.system, draft, running is not None, documents, talk.recipe))
        elif edited.role == "user":
            presence.count(Wish(edited.parent_id, talk.system, draft, recipe=talk.recipe))
        else:  # as long as the text is, within a few words
            presence.count(Wish(edited.id, talk.system, "", recipe=talk.recipe))

    def _look(self, query: str, limit: int) -> Found:
        return Found(*self.keeper.look(query, limit))

    def _collection_names(self) -> list[str]:
        """Returns the collections of documents by name, none where they cannot be read; called in a thread."""
        with suppress(RagError):
            return [one.collection.name for one in self.desk.documents.collections()]
        return []

    def _preview(self, sought: Sought) -> list[str]:
        """Returns what the documents have on what is typed, none where they cannot be searched; called in a thread."""
        asked = asked_of(sought.collections, replace(self.desk.asked(), k=LINES, rerank=False))
        with suppress(RagError):
            found = self.desk.documents.retrieve(sought.text, asked, whole=False) if asked else None
            return preview_lines(found.hits) if found and found.verdict != "abstain" else []
        return []

    def _not_kept(self, error: UserError) -> None:
        """Tells that a draft or a deletion could not be written; from the keeper's thread."""
        self.app.call_later(self.chat_app.tell_error, error)


def joined(*texts: str) -> str:
    """Returns what was written one after the other as one message."""
    return "\n\n".join(text for text in texts if text.strip())
