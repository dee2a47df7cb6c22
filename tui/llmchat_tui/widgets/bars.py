"""The lines around the chat: title and model above, context and keys below. They show what they are told."""

from __future__ import annotations

from textual.app import ComposeResult, RenderResult
from textual.color import Color
from textual.containers import Horizontal
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.style import Style
from textual.widget import Widget
from textual.widgets import Static

from llmchat_tui.gauge import Gauge, bar
from llmchat_tui.keymap import shown_key
from llmchat_tui.sanitize import sanitize_line

_BAR_WIDTH = 26
_SEPARATOR = "   "


class Header(Horizontal):
    """The chat's title on the left with the documents that it asks, the model and how it runs on the right."""

    DEFAULT_CSS = """
    Header {
        height: 1; padding: 0 1 0 2; background: $panel;
        & > #title { width: 1fr; height: 1; text-style: bold; text-wrap: nowrap; text-overflow: ellipsis; }
        & > #documents { display: none; width: auto; max-width: 30%; height: 1; color: $text-accent; }
        & > #documents { margin: 0 0 0 2; text-wrap: nowrap; text-overflow: ellipsis; }
        & > #documents.-some { display: block; }
        & > #model { width: auto; max-width: 70%; height: 1; color: $text-muted; }
        & > #model { margin: 0 0 0 2; text-wrap: nowrap; text-overflow: ellipsis; }
        &.-full > #model { max-width: 40%; }
        & > #model.-amber { color: $text-warning; }
        & > #model.-red { color: $text-error; }
    }
    """

    def compose(self) -> ComposeResult:
        """Makes both ends."""
        yield Static("", id="title", markup=False)
        yield Static("", id="documents", markup=False)
        yield Static("", id="model", markup=False)

    def show_title(self, title: str) -> None:
        """Shows the chat's title."""
        self.query_one("#title", Static).update(Content(sanitize_line(title)))

    def show_documents(self, text: str) -> None:
        """Shows which documents the chat asks; empty takes it away."""
        documents = self.query_one("#documents", Static)
        self.set_class(bool(text), "-full")  # beside it what is told of the model left six letters of the title
        documents.set_class(bool(text), "-some")
        documents.update(Content(sanitize_line(text)))

    def show_model(self, text: str, level: str = "") -> None:
        """Shows the model, or how far it is loaded; `amber` or `red` where something is wrong."""
        model = self.query_one("#model", Static)
        model.set_classes(f"-{level}" if level else "")
        model.update(Content(sanitize_line(text)))


class ContextGauge(Widget):
    """What the context holds, part by part, and what is left of it; before it what the header has no room to say."""

    DEFAULT_CSS = """
    ContextGauge {
        height: 1; padding: 0 2; color: $text-muted;
        &.-amber { color: $text-warning; }
        &.-red { color: $text-error; }
    }
    """
    gauge: reactive[Gauge | None] = reactive(None)
    documents: reactive[str] = reactive("")
    """Which documents the chat asks, where no header says so."""

    def watch_gauge(self, gauge: Gauge | None) -> None:
        """Takes the colour of what it says."""
        self.set_class(gauge is not None and gauge.level == "amber", "-amber")
        self.set_class(gauge is not None and gauge.level == "red", "-red")

    def render(self) -> RenderResult:
        """Returns the line: whole where there is room, shorter where there is little."""
        width = self.content_size.width
        if not self.documents:
            return Content(self._numbers(width))
        names = Content(sanitize_line(self.documents)).truncate(max(1, width // 2), ellipsis=True)
        numbers = self._numbers(width - len(names) - len(_SEPARATOR))
        return Content.assemble(names.stylize("$text-accent"), _SEPARATOR if numbers else "", numbers)

    def _numbers(self, width: int) -> str:
        gauge = self.gauge
        if gauge is None:
            return ""
        parts = "  ".join(f"{name} {count:,}" for name, count in gauge.segments())
        rest = gauge.rest
        if not gauge.n_ctx:
            return next((line for line in (f"{parts} · {rest}", rest) if len(line) <= width), rest)
        share = gauge.used / gauge.n_ctx
        small = f"▕{bar(share, 10)}▏ {rest}"
        lines = [f"{parts} ▕{bar(share, _BAR_WIDTH)}▏ {rest}", f"{parts} · {rest}"] if parts else []
        return next((line for line in (*lines, small) if len(line) <= width), rest)


class KeyBar(Widget):
    """The keys of the place where the focus is, its own first."""

    DEFAULT_CSS = """
    KeyBar { height: 1; padding: 0 2; background: $panel; color: $text-muted; }
    """
    COMPONENT_CLASSES = {"key-bar--key"}  # noqa: RUF012 - the toolkit's own way to name parts
    stops: reactive[bool] = reactive(False)
    """Whether the key that goes back would stop a reply now."""

    def on_mount(self) -> None:
        """Follows the focus."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, _screen: Screen[object]) -> None:
        self.refresh()

    def render(self) -> RenderResult:
        """Returns as many keys as fit."""
        line, accent = Content(""), Style(foreground=self._accent())
        for key, label in self._keys():
            piece = Content.assemble((key, accent), f" {label}")
            if len(line) + len(_SEPARATOR) + len(piece) > self.content_size.width:
                break
            line = Content.assemble(line, _SEPARATOR if len(line) else "", piece)
        return line

    def _accent(self) -> Color:
        return Color.parse(self.app.theme_variables["text-accent"])

    def _keys(self) -> list[tuple[str, str]]:
        """Returns the keys in the order of their closeness to the focus; each action once."""
        seen: dict[str, tuple[str, str]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled and binding.action not in seen:
                label = "stop" if self.stops and binding.id == "back" else binding.description
                seen[binding.action] = (shown_key(binding.key), label)
        return list(seen.values())
