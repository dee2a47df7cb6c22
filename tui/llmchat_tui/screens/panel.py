"""What the pages over the chat have in common: a centred panel with a heading, a body and a line of its keys.

Knows nothing of what the pages show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from llmchat_tui.keymap import ACTIONS, shown_key
from llmchat_tui.messages import Copied
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import ActiveBinding
    from textual.screen import Screen

Result = TypeVar("Result")

WIDTHS = [(0, "-narrow"), (70, "-normal"), (120, "-wide")]
"""From this many columns on, a screen has the class."""
HEIGHTS = [(0, "-low"), (18, "-high")]
_DEFAULT_KEYS = {action.id: action.keys for action in ACTIONS}


def _rank(active: ActiveBinding) -> int:
    """Returns where a key stands in the line: what takes first, what leaves last, the others in their own order."""
    return {"enter": 0, "escape": 2}.get(active.binding.key, 1)


class KeyLine(Static):
    """The keys that work where the focus is, dim; follows the focus and the user's own keys."""

    DEFAULT_CSS = """
    KeyLine { height: auto; color: $text-muted; margin-top: 1; }
    """

    def on_mount(self) -> None:
        """Writes the keys, now and whenever others work."""
        self.screen.bindings_updated_signal.subscribe(self, self._write)
        self._write(self.screen)

    def _write(self, screen: Screen[object]) -> None:
        keys: dict[str, str] = {}
        for active in sorted(screen.active_bindings.values(), key=_rank):
            if active.binding.show and active.node is not self.app and active.binding.action not in keys:
                keys[active.binding.action] = f"{shown_key(active.binding.key)} {active.binding.description.lower()}"
        self.update(Content("   ".join(keys.values())))


class SafeInput(Input):
    """A line to type in; what is pasted into it is made harmless too."""

    def validate_value(self, value: str) -> str:
        """Returns the text without what a terminal would obey."""
        return sanitize_line(value)


class Panel(ModalScreen[Result], Generic[Result]):
    """A page over the chat. Esc leaves it without a result."""

    DEFAULT_CSS = """
    Panel { align: center middle; }
    Panel > #panel {
        width: 100%; max-width: 84; height: auto; max-height: 100%; background: $surface; padding: 1 2;
    }
    Panel.-low > #panel { padding: 0 1; }
    Panel:ansi > #panel { border: round $border-blurred; padding: 0 1; }
    Panel .heading { height: auto; text-style: bold; margin-bottom: 1; }
    Panel.-low .heading { margin-bottom: 0; }
    Panel.-low KeyLine { margin-top: 0; }
    Panel .hint { height: auto; color: $text-muted; }
    Panel .warning { height: auto; color: $text-warning; }
    Panel .error { height: auto; color: $text-error; }
    Panel VerticalScroll, Panel TextArea, Panel OptionList {
        scrollbar-size-vertical: 1; scrollbar-background: $surface; scrollbar-background-hover: $surface;
        scrollbar-background-active: $surface;
    }
    Panel Input, Panel Select > SelectCurrent { background: $panel; }
    Panel:ansi Input { background: ansi_default; text-style: underline; }
    Panel:ansi OptionList > .option-list--option-highlighted {
        color: ansi_default; background: ansi_default; text-style: bold underline;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "close"),
        # First, for the toolkit's own fields take the key for a copy of nothing.
        Binding("ctrl+c", "copy_or_leave", "copy", id="copy", show=False, priority=True),
    ]
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS

    def __init__(self, heading: str) -> None:
        super().__init__()
        self._heading = heading

    def compose(self) -> ComposeResult:
        """Yields the panel."""
        self.add_class(*size_classes(*self.app.size))
        with Vertical(id="panel"):
            yield line(self._heading, "heading")
            yield from self.compose_body()
            yield KeyLine()

    def compose_body(self) -> ComposeResult:
        """Yields what stands between the heading and the keys."""
        yield from ()

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Closes the page with a result; a second key that was pressed meanwhile closes nothing."""
        return super().dismiss(result) if is_on_top(self) else AwaitComplete()

    def action_leave(self) -> None:
        """Closes the page."""
        self.dismiss(None)

    async def action_copy_or_leave(self) -> None:
        """Copies what is selected; leaves as Esc does where nothing is."""
        if text := selected_text(self):
            self.post_message(Copied(text, "selection"))
        else:
            await self.run_action("leave")


def is_open(screen: Screen[Any]) -> bool:
    """Returns whether a page is still there; what its threads found out later may come when it is not."""
    return screen in screen.app.screen_stack


def is_on_top(screen: Screen[Any]) -> bool:
    """Returns whether a page is the one that the user sees; only that one can be closed."""
    return is_open(screen) and screen.app.screen is screen


def selected_text(screen: Screen[Any]) -> str:
    """Returns what is selected in the field that has the focus, or by mouse on the page."""
    field = screen.focused
    in_field = field.selected_text if isinstance(field, Input | TextArea) else ""
    return in_field or screen.get_selected_text() or ""


def size_classes(width: int, height: int) -> list[str]:
    """Returns the classes of a size; a screen that has them before its widgets styles these once, not twice."""
    return [next(name for least, name in reversed(steps) if size >= least)
            for size, steps in ((width, WIDTHS), (height, HEIGHTS))]  # fmt: skip


def line(text: str, classes: str) -> Static:
    """Returns a widget of one text from data: harmless, and never markup."""
    return Static(Content(sanitize_line(text)), classes=classes)


def live_key(screen: Screen[Any], action_id: str) -> str:
    """Returns the key of an action as it is on a screen, else as it is by default, as the footer writes it."""
    found = (active.binding for active in screen.active_bindings.values() if active.binding.id == action_id)
    key = next((binding.key for binding in found), _DEFAULT_KEYS.get(action_id, ""))
    return shown_key(key) if key else ""
