"""The two themes of our own, and which theme a terminal gets when the user named none.

Picking is headless; the toolkit is imported only where the themes are made.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.theme import Theme

DARK = "llmchat-dark"
LIGHT = "llmchat-light"
_SIXTEEN_DARK = ("textual-ansi", "ansi-dark")
_SIXTEEN_LIGHT = ("textual-ansi", "ansi-light")
"""The toolkit's themes of the terminal's own colours; versions name them differently."""
_MANY_COLOURS = ("256", "direct", "truecolor", "kitty", "alacritty", "ghostty", "wezterm", "foot", "contour", "iterm2")
"""Parts of TERM that promise more than 16 colours."""
_LIGHT_NUMBERS = frozenset({7, *range(9, 16)})
"""Of the 16 colours, those that are light; 8 is the bright black, a dark grey."""


def pick_theme(configured: str, environ: Mapping[str, str], available: Container[str]) -> str:
    """Returns the name of the theme to start with.

    Args:
        configured: what config.toml says, or empty.
        environ: TERM and COLORTERM tell how many colours there are, COLORFGBG the background.
        available: the themes there are.
    """
    if configured in available:
        return configured
    light = _is_light(environ.get("COLORFGBG", ""))
    if _has_sixteen_colours(environ):
        names = _SIXTEEN_LIGHT if light else _SIXTEEN_DARK
        if name := next((name for name in names if name in available), ""):
            return name
    return LIGHT if light else DARK


def own_themes() -> tuple[Theme, Theme]:
    """Returns the dark and the light theme, to be registered with the app."""
    return _dark(), _light()


def _is_light(colours: str) -> bool:
    """Returns whether COLORFGBG, as `0;15` or `0;default;15`, tells of a light background."""
    background = colours.rpartition(";")[2]
    return background.isdecimal() and int(background) in _LIGHT_NUMBERS


def _has_sixteen_colours(environ: Mapping[str, str]) -> bool:
    """Returns whether nothing in the environment promises more."""
    term = environ.get("TERM", "").lower()
    return not environ.get("COLORTERM") and not any(part in term for part in _MANY_COLOURS)


def _dark() -> Theme:
    from textual.theme import Theme

    return Theme(
        name=DARK,
        dark=True,
        primary="#7fb2e5",
        secondary="#7fb2e5",
        accent="#7fb2e5",
        warning="#e2b45c",
        error="#f28779",
        success="#93c98b",
        foreground="#d9dce2",
        background="#14161a",
        surface="#1b1e23",
        panel="#252a31",
        variables=_variables(
            text="#d9dce2", muted="#a0a7b2", accent="#7fb2e5", page="#14161a", cursor="#2a3b50", on_cursor="#f2f5f9",
            quiet="#3b434e", warning="#e2b45c", error="#f28779", success="#93c98b",
        ),
    )  # fmt: skip


def _light() -> Theme:
    from textual.theme import Theme

    return Theme(
        name=LIGHT,
        dark=False,
        primary="#1d5c9e",
        secondary="#1d5c9e",
        accent="#1d5c9e",
        warning="#7d5200",
        error="#b02a1f",
        success="#2c6632",
        foreground="#23262b",
        background="#fbfbf9",
        surface="#f2f2ef",
        panel="#e6e6e2",
        variables=_variables(
            text="#23262b", muted="#545b65", accent="#1d5c9e", page="#fbfbf9", cursor="#d3e2f4", on_cursor="#14171b",
            quiet="#c3c7cc", warning="#7d5200", error="#b02a1f", success="#2c6632",
        ),
    )  # fmt: skip


def _variables(
    *,
    text: str,
    muted: str,
    accent: str,
    page: str,
    cursor: str,
    on_cursor: str,
    quiet: str,
    warning: str,
    error: str,
    success: str,
) -> dict[str, str]:
    """Returns what the toolkit would else derive: text that is read keeps its contrast on every one of our grounds."""
    return {
        "text": text,
        "text-muted": muted,
        "text-disabled": muted,
        "text-primary": accent,
        "text-secondary": accent,
        "text-accent": accent,
        "text-warning": warning,
        "text-error": error,
        "text-success": success,
        "foreground-muted": muted,
        "block-cursor-background": cursor,
        "block-cursor-foreground": on_cursor,
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": cursor,
        "block-cursor-blurred-foreground": on_cursor,
        "border": accent,
        "border-blurred": quiet,
        "button-color-foreground": page,
        "button-focus-text-style": "b",
        "footer-background": page,
        "footer-foreground": muted,
        "footer-description-foreground": muted,
        "footer-key-foreground": accent,
        "input-cursor-background": accent,
        "input-cursor-foreground": page,
        "input-selection-background": cursor,
        "input-selection-foreground": on_cursor,
        "screen-selection-background": cursor,
        "screen-selection-foreground": on_cursor,
        "scrollbar": quiet,
        "scrollbar-hover": muted,
        "scrollbar-active": accent,
        "scrollbar-background": page,
        "scrollbar-background-hover": page,
        "scrollbar-background-active": page,
        "scrollbar-corner-color": page,
        "link-color": accent,
    }
