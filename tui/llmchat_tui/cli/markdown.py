"""Renders one finished Markdown block for a terminal. Imported when the first block is there; rich is slow to import.

Knows no stream and no file. The text is data: no console markup, no emoji codes, no hyperlinks.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markdown import Markdown
from rich.segment import Segment
from rich.syntax import Syntax
from rich.text import Text
from rich.theme import Theme

from llmchat_tui.cli.blocks import extract_fence, find_fence
from llmchat_tui.sanitize import sanitize

_WIDEST = 100  # longer lines are hard to read
_NARROWEST = 20
_THEME = "ansi_dark"  # the terminal's own colours, on its own background


def render_block(block: str, columns: int, color: bool) -> str:
    """Returns a block as lines for a terminal, without a line break at the end.

    Args:
        block: sanitised Markdown.
        columns: the width of the terminal.
        color: whether escape sequences for colour and weight may be used; without it there is none at all.
    """
    file = io.StringIO()
    console = Console(
        file=file,
        force_terminal=color,
        color_system="standard" if color else None,
        width=min(_WIDEST, max(_NARROWEST, columns)),
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        theme=Theme({"markdown.code": "bold cyan"}),  # rich puts it on black, whatever the terminal's background
        _environ={},
    )
    first, _, rest = block.partition("\n")
    fence = find_fence(first)
    if fence is None:
        console.print(_Clean(Markdown(block, hyperlinks=False, code_theme=_THEME)))
        return file.getvalue().strip("\n")
    # Code is not wrapped and not padded, so that what is copied from the terminal runs.
    code = extract_fence(block)
    console.print(_highlight(rest if code is None else code, fence.language), soft_wrap=True)
    return file.getvalue().rstrip("\n")


def _highlight(code: str, language: str) -> Text:
    """Returns code with the colours of its language, a tab as four blanks."""
    if not language or not code.strip():
        return Text(code)
    return Syntax("", language, theme=_THEME, background_color="default").highlight(code)


class _Clean:
    """A renderable whose text is sanitised once more.

    Markdown makes characters that were not in its source: `&#8238;` and `<http://a/%1b]52;c;x>` are a bidirectional
    override and an escape sequence once they are parsed.
    """

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields the segments of the inner renderable, clean, without the blanks that fill up lines."""
        for line in Segment.split_lines(console.render(self._inner, options)):
            yield from _trimmed(Segment(sanitize(part.text), part.style) for part in line if not part.control)
            yield Segment.line()


def _trimmed(parts: Iterable[Segment]) -> Iterator[Segment]:
    """Yields a line's segments up to its last visible character."""
    held: list[Segment] = []
    for part in parts:
        visible = part.text.rstrip(" ")
        if visible:
            yield from held
            held = []
            yield Segment(visible, part.style)
        blanks = part.text[len(visible) :]
        if blanks:
            held.append(Segment(blanks, part.style))
