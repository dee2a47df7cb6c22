"""The prompt: where the user writes. Grows with its text, walks through what was sent before, opens the editor.

Knows no chat: it posts what the user sends and what the draft is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import ClassVar

from textual.app import SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Key
from textual.geometry import Size
from textual.widgets import TextArea

from llmchat_tui.bindings import bindings_of
from llmchat_tui.editor import Run, edit_text, run_on_terminal
from llmchat_tui.errors import UserError
from llmchat_tui.messages import DraftChanged, PromptLeft, Submitted
from llmchat_tui.recall import Prompts, Recall
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.widgets.painting import paint_now
from llmchat_tui.widgets.token_area import TokenArea

MOST_ROWS = 10
_SAME_KEYS = {"shift+\r": "shift+enter", "\r": "alt+enter", "ctrl+\r": "ctrl+enter"}
"""How xterm's modifyOtherKeys arrive."""
_SCROLLS = frozenset({"pageup", "pagedown", "f6", "f7"})
"""Editing keys of the toolkit that are the screen's here."""
_UNDO = ("ctrl+underscore", "ctrl+slash", "ctrl+shift+minus", "ctrl+shift+underscore")
"""One key, Ctrl+_, as terminals send it; Ctrl+Z goes back to the shell."""


def _editing_keys() -> dict[str, str]:
    """Returns the toolkit's actions by their keys."""
    plain = (binding for binding in TextArea.BINDINGS if isinstance(binding, Binding))
    actions = {key: binding.action for binding in plain for key in binding.key.split(",")}
    return {key: action for key, action in actions.items() if key not in _SCROLLS} | dict.fromkeys(_UNDO, "undo")


class Prompt(TokenArea, inherit_bindings=False):
    """The place to write."""

    DEFAULT_CSS = """
    Prompt, Prompt:focus {
        border: none; padding: 0; height: auto; width: 1fr; background: transparent; scrollbar-size-vertical: 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("prompt")]
    _EDITING: ClassVar[Mapping[str, str]] = _editing_keys()

    def __init__(
        self,
        prompts: Prompts = tuple,
        *,
        environ: Mapping[str, str] = os.environ,
        run_editor: Run = run_on_terminal,
        id: str | None = None,  # noqa: A002 - the toolkit's name
    ) -> None:
        super().__init__(id=id)
        self.take_key: Callable[[str], bool] = lambda _key: False
        """Given every key first; returns whether it was for the list of completions."""
        self._recall = Recall(prompts)
        self._environ, self._run_editor = environ, run_editor
        self._sent = ""

    def load_draft(self, text: str) -> None:
        """Replaces everything; what was folded before is folded again. The cursor stands behind it."""
        self._sent = ""
        self._recall.end()
        self.put(text)

    def refuse(self) -> None:
        """Says that what was sent was not taken: it may be sent again."""
        self._sent = ""

    def clear_draft(self) -> None:
        """Takes away what was sent, or everything where nothing was; what was typed since stays."""
        draft, sent = self.draft, self._sent
        self.load_draft(draft[len(sent) :] if sent and draft.startswith(sent) else "")

    def validate_placeholder(self, placeholder: str | Content) -> Content:
        """Takes a placeholder as text, whatever stands in it."""
        return Content(sanitize_line(placeholder)) if isinstance(placeholder, str) else placeholder

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """Returns the rows of the text, within a third of the screen."""
        return max(1, min(self.virtual_size.height, MOST_ROWS, viewport.height // 3))

    def on_text_area_changed(self, message: TextArea.Changed) -> None:
        """Paints the key, then tells what the draft is now."""
        message.stop()
        paint_now(self)
        draft = self.draft
        if not draft.startswith(self._sent):
            self._sent = ""
        self.post_message(DraftChanged(draft))

    # --- keys

    async def on_key(self, event: Key) -> None:
        """Takes the keys of the list of completions, then its own, then those of editing; the rest is the screen's.

        Its own run here and not on the app's way through all bindings: a letter typed right behind Enter would
        overtake it there and be sent too.
        """
        event.key = _SAME_KEYS.get(event.key, event.key)
        if self.take_key(event.key):
            event.stop()
            event.prevent_default()
        elif not event.is_printable or event.key.startswith("alt+"):
            event.prevent_default()
            if action := self._action_of(event.key):
                event.stop()
                await self.run_action(action)

    def _action_of(self, key: str) -> str:
        """Returns what a key does here, or nothing where it is the screen's."""
        active = self.screen.active_bindings.get(key)
        if active is not None and active.node is not self:
            return ""
        moves_up = key == "up" and not self._is_on_first_row
        return self._EDITING.get(key, "") if active is None or moves_up else active.binding.action

    @property
    def _is_on_first_row(self) -> bool:
        return self.wrapped_document.location_to_offset(self.cursor_location).y == 0

    # --- actions

    def action_send(self) -> None:
        """Sends the draft, unless it is blank; whoever takes it calls `clear_draft`."""
        draft = self.draft
        if draft.strip() and draft != self._sent:  # Enter twice sends once
            self._sent = draft
            self._recall.sent()
            self.post_message(Submitted(draft))

    def action_newline(self) -> None:
        """Begins a new line."""
        self.insert_text("\n")

    def action_messages(self) -> None:
        """Leaves for the messages."""
        self.post_message(PromptLeft())

    def action_older_prompt(self) -> None:
        """Takes an earlier message."""
        self._walk(self._recall.older)

    def action_newer_prompt(self) -> None:
        """Takes a later message, at last what was being written."""
        self._walk(self._recall.newer)

    def _walk(self, go: Callable[[str], str | None]) -> None:
        try:
            text = go(self.draft)
        except UserError as error:
            self._tell(error)
            return
        if text is not None:
            self._sent = ""
            self.put(text)

    def action_editor(self) -> None:
        """Has the draft written in the user's editor, which owns the terminal meanwhile."""
        draft = text = self.draft
        try:
            with self.app.suspend():
                # Caught in here: the toolkit does not come back from a suspension that an exception leaves.
                text, failure = self._edited(draft)
        except SuspendNotSupported:
            failure = UserError("the editor cannot be opened", "this terminal cannot be given away")
        if failure is not None:
            self._tell(failure)
        elif text != draft:
            self.load_draft(text)

    def _edited(self, draft: str) -> tuple[str, UserError | None]:
        try:
            return edit_text(draft, self._environ, self._run_editor), None
        except UserError as error:
            return draft, error

    def _tell(self, error: UserError) -> None:
        lines = (sanitize_line(line) for line in (str(error), error.hint) if line)
        self.notify("\n".join(lines), severity="error", markup=False)
