"""The tree of a chat over the chat: every branch of it, with the one that is shown marked. Opens nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmchat_tui.screens.panel import Panel
from llmchat_tui.tree_lines import TreeLine
from llmchat_tui.widgets.tree_view import TreeView

if TYPE_CHECKING:
    from textual.app import ComposeResult


class TreeScreen(Panel[str | None]):
    """Shows the tree; its result is the message whose branch shall be shown."""

    DEFAULT_CSS = """
    TreeScreen > #panel { max-width: 140; height: 100%; }
    """
    AUTO_FOCUS = "TreeView"

    def __init__(self, title: str, lines: Sequence[TreeLine], current: str) -> None:
        super().__init__(title)
        self._lines, self._current = lines, current

    def compose_body(self) -> ComposeResult:
        """Yields the lines."""
        at = next((at for at, line in enumerate(self._lines) if line.id == self._current), 0)
        yield TreeView(self._lines, at)

    def on_tree_view_chosen(self, message: TreeView.Chosen) -> None:
        """Ends with the message that was chosen."""
        message.stop()
        self.dismiss(message.message_id)
