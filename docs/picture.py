"""A running app's screen as an SVG that needs nothing else: no font, no script, no address to load from.

Knows no screen of ours and writes no file. The same screen gives the same text, so pictures can be compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any

from rich.cells import cell_len
from rich.color import Color, blend_rgb
from rich.style import Style
from rich.terminal_theme import SVG_EXPORT_THEME
from textual.app import App

WIDTH, HEIGHT, FONT = 9, 18, 14.95
"""Of one character: most monospaced fonts are 0.602 as wide as high; blocks then touch those above and below."""
_MARGIN, _BASELINE = 10, 14
_WORDS = re.compile(r"\S+(?: \S+)*")
"""What stands between wider gaps: a renderer may shrink those, so each piece is placed by itself."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Characters of one style, side by side."""

    column: int
    row: int
    width: int
    text: str
    css: str
    background: str


def picture(app: App[Any], shown: Mapping[str, str] | None = None) -> str:
    """Returns what stands on the screen of an app, dialogs over what is under them.

    Args:
        app: a running app.
        shown: texts that are replaced, as paths of this machine.
    """
    update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens, simplify=True)
    rows: Sequence[Any] = getattr(update, "strips", ())
    runs = [run for row, strips in enumerate(rows) for run in _runs(row, strips, shown or {})]
    page = _most_common(runs)
    width, height = app.size.width * WIDTH + 2 * _MARGIN, app.size.height * HEIGHT + 2 * _MARGIN
    classes = {css: _class_of(css) for css in sorted({run.css for run in runs if run.text.strip()})}
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">',
            f"<style>text{{font:{FONT}px ui-monospace,Menlo,Consolas,monospace;white-space:pre}}",
            *(f".{name}{{{css}}}" for css, name in classes.items()),
            "</style>",
            f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="6" fill="{page}" stroke="#8888"/>',
            f'<g transform="translate({_MARGIN} {_MARGIN})" shape-rendering="crispEdges">',
            *_grounds(runs, page),
            *(line for run in runs for line in _words(run, classes)),
            "</g>\n</svg>\n",
        ]
    )


def _runs(row: int, strips: Any, shown: Mapping[str, str]) -> Iterator[_Run]:
    """Yields the runs of one row."""
    column = 0
    for strip in strips:
        for text, style, _control in strip:
            css, background = _look(style or Style())
            width = cell_len(text)
            for old, new in shown.items():
                text = text.replace(old, new)
            yield _Run(column, row, width, text, css, background)
            column += width


def _look(style: Style) -> tuple[str, str]:
    """Returns the CSS of a style's text, and the colour behind it."""
    text, ground = (_triplet(style.color, True), _triplet(style.bgcolor, False))
    if style.reverse:
        text, ground = ground, text
    if style.dim:
        text = blend_rgb(text, ground, 0.4)
    lines = " ".join(name for name, on in (("underline", style.underline), ("line-through", style.strike)) if on)
    rules = [f"fill:{text.hex}", "font-weight:bold" * bool(style.bold), "font-style:italic" * bool(style.italic)]
    return ";".join(rule for rule in (*rules, lines and f"text-decoration:{lines}") if rule), ground.hex


def _class_of(css: str) -> str:
    """Returns a name that says what the style is, so that one new style does not rename the others."""
    return "c" + "-".join(re.findall(r"[0-9a-f]{6}|bold|italic|underline|line-through", css))


def _triplet(color: Color | None, foreground: bool) -> Any:
    return (color or Color.default()).get_truecolor(SVG_EXPORT_THEME, foreground)


def _most_common(runs: Sequence[_Run]) -> str:
    cells: Counter[str] = Counter()
    for run in runs:
        cells[run.background] += run.width
    return cells.most_common(1)[0][0]


def _grounds(runs: Sequence[_Run], page: str) -> Iterator[str]:
    """Yields one path per colour that lies behind text somewhere."""
    for colour in dict.fromkeys(run.background for run in runs if run.background != page):
        boxes = (_box(list(side)) for (_, ground), side in groupby(runs, _place) if ground == colour)
        yield f'<path fill="{colour}" d="{"".join(boxes)}"/>'


def _place(run: _Run) -> tuple[int, str]:
    return run.row, run.background


def _box(runs: Sequence[_Run]) -> str:
    """Returns the box around runs that stand side by side."""
    width = sum(run.width for run in runs) * WIDTH
    return f"M{runs[0].column * WIDTH} {runs[0].row * HEIGHT}h{width}v{HEIGHT}h-{width}z"


def _words(run: _Run, classes: Mapping[str, str]) -> Iterator[str]:
    """Yields the pieces of a run's text, each as wide as its cells whatever the font."""
    for match in _WORDS.finditer(run.text):
        x = (run.column + cell_len(run.text[: match.start()])) * WIDTH
        y = run.row * HEIGHT + _BASELINE
        length = cell_len(match[0]) * WIDTH
        text = escape(match[0], quote=False)
        yield f'<text class="{classes[run.css]}" x="{x}" y="{y}" textLength="{length}">{text}</text>'
