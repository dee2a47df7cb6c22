"""A text area in which long pastes are tokens: short in sight, whole for every edit, exact in the draft.

Knows no chat and no keys.
"""

from __future__ import annotations

from rich.text import Text
from textual.document._document import EditResult, Location, Selection
from textual.document._edit import Edit
from textual.events import Paste
from textual.geometry import Offset
from textual.widgets import TextArea

from llmchat_tui.attachments import mention, pasted_files
from llmchat_tui.folding import Folds, is_long, normal, shown
from llmchat_tui.messages import Copied
from llmchat_tui.sanitize import sanitize_line


class TokenArea(TextArea, inherit_bindings=False):
    """A text area with tokens."""

    DEFAULT_CSS = """
    TokenArea .token-area--token { color: $text-accent; }
    TokenArea:light .text-area--cursor { color: $input-cursor-foreground; background: $input-cursor-background; }
    """
    COMPONENT_CLASSES = {"token-area--token"}  # noqa: RUF012 - the toolkit's own way to name parts

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - the toolkit's name
        self.folds = Folds()
        super().__init__(id=id, highlight_cursor_line=False)
        # A bracket is searched for through the whole text, at every move of the cursor.
        self.match_cursor_bracket = False
        self.cursor_blink = False

    @property
    def draft(self) -> str:
        """What is written, pastes in full."""
        return self.folds.expand(self.text)

    @property
    def selected_text(self) -> str:
        """What is selected, pastes in full."""
        return self.folds.expand(super().selected_text)

    def put(self, text: str) -> None:
        """Replaces everything, the undo too; the cursor stands behind it."""
        self.load_text(self.folds.load(text))
        self.move_cursor(self.document.end)

    def get_line(self, line_index: int) -> Text:
        """Returns a line with its tokens coloured."""
        line = super().get_line(line_index)
        for start, end in self.folds.spans(line.plain):
            line.stylize(self.get_component_rich_style("token-area--token", partial=True), start, end)
        return line

    def scroll_cursor_visible(self, center: bool = False, animate: bool = False) -> Offset:
        """Scrolls to the cursor, unless its line has just been undone: the toolkit moves the cursor a moment later."""
        if self.cursor_location[0] >= self.document.line_count:
            return Offset(0, 0)
        return super().scroll_cursor_visible(center, animate)

    # --- tokens are whole

    def edit(self, edit: Edit) -> EditResult:
        """Performs an edit; one that reaches into a token takes it whole, an insertion goes behind it."""
        if not self.folds:
            return super().edit(edit)
        is_insertion = edit.top == edit.bottom
        top = self._outside(edit.top, forward=is_insertion)
        bottom = self._outside(edit.bottom, forward=True)
        return super().edit(Edit(edit.text, top, bottom, edit.maintain_selection_offset))

    def validate_selection(self, selection: Selection) -> Selection:
        """Has the cursor jump over tokens."""
        if not self.folds:
            return selection
        start, end = selection
        cursor = self._outside(end, forward=end > self.selection.end)
        return Selection(cursor if start == end else self._outside(start, forward=start > end), cursor)

    def _outside(self, location: Location, *, forward: bool) -> Location:
        """Returns a location, moved to the edge of the token that it lies in."""
        row, column = location
        if not 0 <= row < self.document.line_count:
            return location
        for start, end in self.folds.spans(self.document.get_line(row)):
            if start < column < end:
                return row, end if forward else start
        return location

    # --- what comes in and goes out

    def on_paste(self, event: Paste) -> None:
        """Takes a paste in the toolkit's place."""
        event.stop()
        event.prevent_default()
        self.insert_pasted(event.text)

    def action_paste(self) -> None:
        """Inserts what was copied in this program."""
        self.insert_pasted(self.app.clipboard)

    def action_cut(self) -> None:
        """Takes away the selection, or the line where there is none, and copies it."""
        text, what = self.selected_text, "selection"
        if text:
            self.insert_text("")
        elif line := self._delete_cursor_line():
            text, what = self.folds.expand(line.replaced_text), "line"
        if text:
            self.post_message(Copied(text, what))

    def insert_pasted(self, text: str) -> None:
        """Inserts a paste: files as attachments, a long one as a token, others made harmless."""
        text = normal(text)
        if not self.text.startswith("/") and (files := pasted_files(text)):
            self.insert_text("".join(f"{self.as_shown(mention(name))} " for name in files), apart=True)
        else:
            self.insert_text(self.folds.fold(text, self.text) if is_long(text) else shown(text))

    def as_shown(self, text: str) -> str:
        """Returns a line that is harmless in sight and stands for exactly this text."""
        harmless = sanitize_line(text)
        return text if harmless == text else self.folds.keep(harmless, text)

    def insert_text(self, text: str, *, apart: bool = False) -> None:
        """Puts a text in the selection's place.

        Args:
            text: what to insert.
            apart: whether a space must stand before it.
        """
        (row, column), end = sorted(self.selection)
        if apart and column and not self.document.get_line(row)[column - 1].isspace():
            text = f" {text}"
        self.replace(text, (row, column), end, maintain_selection_offset=False)
