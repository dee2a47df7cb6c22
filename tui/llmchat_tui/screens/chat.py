"""The chat screen: keys, commands and messages of its parts. Stands on chat_branches.py, chat_turns.py, chat_room.py.

What the keys open is in chat_actions.py, the slash commands are in chat_commands.py.
"""

from __future__ import annotations

import time
from typing import ClassVar

from textual.binding import BindingType
from textual.events import Resize

from llmchat_engine import EngineError
from llmchat_tui.bindings import bindings_of
from llmchat_tui.commands import Call
from llmchat_tui.drafts import USUAL
from llmchat_tui.errors import UserError
from llmchat_tui.messages import (
    ChainsWanted,
    ChatListChanged,
    Copied,
    DraftsWanted,
    LeaveMessages,
    OpenChat,
    PromptLeft,
    Rated,
    SourcesWanted,
    TokensWanted,
)
from llmchat_tui.screens import chat_actions, chat_documents, chat_ratings, chat_recipe, chat_tokens
from llmchat_tui.screens.chat_branches import ChatBranches
from llmchat_tui.widgets.chat_list import ChatOptions
from llmchat_tui.widgets.preview import DocumentPreview

LIST_FROM_COLUMNS = 100
"""Width from which the list of chats is shown by itself."""
LOW_BELOW_ROWS = 12
_LEAVE_SECONDS = 2.0
"""Within which a second Ctrl+C leaves."""


class ChatScreen(ChatBranches):
    """What the user lives in."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_of("anywhere", leave_out=frozenset({"quit", "suspend"}))
    _list_wanted: bool | None = None
    """What F4 said; None follows the settings."""
    _left_at = 0.0

    def on_prompt_left(self, message: PromptLeft) -> None:
        """Walks from the prompt into the messages."""
        message.stop()
        self.transcript.focus_last()

    def on_leave_messages(self, message: LeaveMessages) -> None:
        """Walks from the messages back to the prompt."""
        message.stop()
        self.composer.prompt.focus()

    async def on_open_chat(self, message: OpenChat) -> None:
        """Shows a chat of the list."""
        message.stop()
        try:
            conversation = self.desk.history.conversation(message.conversation_id)
        except UserError as error:
            self.chat_app.tell_error(error)
            self.refresh_lines()
            return
        self._show_overlay(False)
        if self.keeper.spare(conversation.id):
            self.chat_app.tell("the chat was to be deleted; it stays")
        talk = self.talks.open(conversation)
        await self.show_talk(talk, message.message_id)

    def on_sources_wanted(self, message: SourcesWanted) -> None:
        """Shows what a reply stands on."""
        message.stop()
        chat_documents.show_sources(self, message.message_id)

    def on_chains_wanted(self, message: ChainsWanted) -> None:
        """Shows the chains of thought that voted on a reply."""
        message.stop()
        chat_recipe.chains(self, message.message_id)

    def on_tokens_wanted(self, message: TokensWanted) -> None:
        """Shows the tokens of a reply."""
        message.stop()
        chat_tokens.show(self, message.message_id)

    def on_rated(self, message: Rated) -> None:
        """Keeps what the user thinks of a reply."""
        message.stop()
        chat_ratings.rate(self, message.message_id, message.rating)

    def on_chat_options_wanted(self, message: ChatOptions.Wanted) -> None:
        """Renames, deletes and brings back chats."""
        message.stop()
        chat_actions.keep_list(self, message.action, message.conversation_id)

    def on_chat_list_changed(self, message: ChatListChanged) -> None:
        """Reads the list anew."""
        message.stop()
        self.refresh_lines()

    def run_command(self, call: Call) -> bool:
        """Does what a slash command says; returns whether it could."""
        from llmchat_tui.screens.chat_commands import run

        return run(self, call)

    def begin_command(self, name: str) -> None:
        """Puts a command that needs words into the prompt."""
        self.composer.prompt.load_draft(f"/{name} ")
        self.composer.prompt.focus()

    def choose_first_model(self, error: UserError | EngineError) -> None:
        """Lets the user choose where the settings lead to no model."""
        chat_actions.choose_first_model(self, error)

    def action_back(self) -> None:
        """Stops the reply; else goes one step closer to the prompt."""
        prompt = self.composer.prompt
        if self.has_class("-overlay"):
            self._show_overlay(False)
            prompt.focus()
        elif self.talk.queued:
            self._take_back(self.talk)
        elif self.talk.running:
            self.talks.stop(self.talk)
        elif self.editing and prompt.has_focus:
            self.end_edit()
        else:
            self.transcript.anchor()
            prompt.focus()

    def action_copy(self) -> None:
        """Copies the selection; else stops the reply; else leaves, when pressed twice."""
        selected = self.get_selected_text() or self.composer.prompt.selected_text
        if selected:
            self.post_message(Copied(selected, "selection"))
        elif self.talk.running:
            self.talks.stop(self.talk)
        elif time.monotonic() - self._left_at < _LEAVE_SECONDS:
            self.chat_app.leave(0)
        else:
            self._left_at = time.monotonic()
            kept = " Your draft is kept." if self.composer.prompt.draft.strip() else ""
            self.chat_app.tell(f"Ctrl+C again leaves.{kept}", seconds=_LEAVE_SECONDS)

    async def action_new_chat(self) -> None:
        """Begins a new chat; the one that was shown goes on."""
        self._show_overlay(False)
        if self.talk.conversation_id or self.talk.running:
            await self.show_new()
        self.composer.prompt.focus()

    async def show_new(self) -> None:
        """Shows an empty chat."""
        from_list = self.query_one(ChatOptions).has_focus
        await self.show_talk(
            self.talks.begin(
                self.desk.system, self.desk.wanted_sampling, self.desk.wanted_collections, self.desk.wanted_recipe
            ),
            focus=not from_list,
        )

    def action_search_chats(self) -> None:
        """Goes to the search field, and shows the list where it is folded away."""
        if not self.chat_list.display:
            self._show_overlay(True)
        self.chat_list.focus_search()

    def _show_overlay(self, shown: bool) -> None:
        """Lays the list over the messages, or takes it away; at once, since the next key may be for it."""
        if shown or self.has_class("-overlay"):
            self.set_class(shown, "-overlay")
            self.chat_list.display = shown

    def action_chat_list(self) -> None:
        """Shows or hides the list of chats."""
        self._list_wanted = not self.chat_list.display or self.has_class("-overlay")
        self.remove_class("-overlay")
        self._arrange(self.size.width, self.size.height)

    def action_model(self) -> None:
        """Opens the list of models."""
        chat_actions.choose_model(self)

    def action_drafts(self) -> None:
        """Answers in several drafts to choose from."""
        self.post_message(DraftsWanted(USUAL))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Returns whether a key does something now: a thought can be closed only while one grows."""
        return self.is_thinking if action == "answer_now" else super().check_action(action, parameters)

    def action_answer_now(self) -> None:
        """Has the model close its thought and answer."""
        chat_recipe.answer(self)

    def action_fold_thoughts(self) -> None:
        """Shows all thoughts whole, or folds them."""
        self.toggle_thoughts()

    def toggle_thoughts(self) -> None:
        """Shows all thoughts of the chat whole, or folds them."""
        transcript = self.transcript
        unfolded = not transcript.unfolds_thoughts
        self.run_worker(transcript.fold_thoughts(unfolded), group="thoughts")
        if not transcript.has_thoughts:
            self.chat_app.tell(f"thoughts will be {'shown whole' if unfolded else 'folded'}")

    def action_templates(self) -> None:
        """Opens the list of templates."""
        chat_recipe.open_templates(self)

    def action_documents(self) -> None:
        """Opens the collections of documents."""
        chat_documents.open_documents(self)

    def action_commands(self) -> None:
        """Opens the command palette."""
        from llmchat_tui.screens.palette import Palette

        if not Palette.is_open(self.app):
            self.app.push_screen(Palette())

    def action_help(self) -> None:
        """Opens the help page."""
        self.run_command(Call.named("help"))

    def action_settings(self) -> None:
        """Opens the settings."""
        self.run_command(Call.named("settings"))

    def action_chat_settings(self) -> None:
        """Opens system prompt and sampling of this chat."""
        chat_actions.open_chat_settings(self)

    def action_export_chat(self) -> None:
        """Asks where to write the chat."""
        chat_actions.ask_export(self)

    def key_pageup(self) -> None:
        """Scrolls the messages from wherever the focus is."""
        self.transcript.scroll_page_up(animate=False)

    def key_pagedown(self) -> None:
        """Scrolls the messages from wherever the focus is."""
        self.transcript.scroll_page_down(animate=False)

    def on_resize(self, event: Resize) -> None:
        """Folds away what does not fit."""
        self._arrange(event.size.width, event.size.height)

    def _arrange(self, width: int, height: int) -> None:
        choice = self.desk.config.settings.chat_list
        by_width = width >= LIST_FROM_COLUMNS if choice == "auto" else choice == "show"
        shown = by_width if self._list_wanted is None else self._list_wanted
        if not shown and self.chat_list.has_focus_within:  # else the next key would do something to a chat unseen
            self.composer.prompt.focus()
        self.chat_list.display = shown
        self.remove_class("-overlay")
        self.set_class(height < LOW_BELOW_ROWS, "-low")
        self.show_documents()

    def apply_settings(self, names: frozenset[str]) -> None:
        """Follows settings that were changed."""
        for transcript in self._transcripts.values():
            transcript.limit_width(self.desk.config.settings.reading_width)
        if "system" in names and not self.talk.conversation_id:
            self.talk.system = self.desk.system
        self._arrange(self.size.width, self.size.height)
        self.count()

    def follow_system(self, before: str) -> None:
        """Gives a chat that has not begun the system prompt of the model that was chosen now, unless it has its own."""
        if not self.talk.conversation_id and self.talk.system == before:
            self.talk.system = self.desk.system

    def save_all(self) -> None:
        """Writes what only the screen knows: drafts, and deletions that were not taken back. Called from a thread."""
        self.query_one(DocumentPreview).closed = True
        for talk in self.talks.all():
            if talk.draft is not None and (talk is self.talk or talk.queued):
                self.keeper.keep_draft(talk.conversation_id, self.whole_draft(talk))
        self.keeper.close()
