"""The themes: enough contrast for everything that is read, the right one for each terminal, and their screen."""

from __future__ import annotations

from itertools import product

import pytest
from tests.tui.screen.screen_stage import EVIL, SIZES, Hand, Stage, assert_harmless, play, press, words
from textual.color import Color
from textual.theme import Theme

from llmchat_tui.screens.themes import ThemesScreen
from llmchat_tui.themes import DARK, LIGHT, own_themes, pick_theme

TEXTS = ("text", "text-muted", "text-accent", "text-warning", "text-error", "text-success", "foreground", "primary")
GROUNDS = ("background", "surface", "panel")
PAIRS = [
    *product(TEXTS, GROUNDS),
    ("block-cursor-foreground", "block-cursor-background"),
    ("text-muted", "block-cursor-background"),
    ("text-accent", "block-cursor-background"),
    ("text-warning", "block-cursor-background"),
    ("input-cursor-foreground", "input-cursor-background"),
    ("input-selection-foreground", "input-selection-background"),
    ("screen-selection-foreground", "screen-selection-background"),
    ("footer-foreground", "footer-background"),
    ("footer-key-foreground", "footer-background"),
]
ALL = {DARK, LIGHT, "textual-dark", "ansi-dark", "ansi-light"}


@pytest.mark.parametrize("theme", own_themes(), ids=lambda theme: theme.name)
def test_text_can_be_read_on_every_ground(theme: Theme) -> None:
    colours = {**theme.to_color_system().generate(), **theme.variables}
    contrasts = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in PAIRS}
    assert {pair: value for pair, value in contrasts.items() if value < 4.5} == {}


@pytest.mark.parametrize(
    ("configured", "environ", "theme"),
    [
        ("textual-dark", {"COLORFGBG": "0;15"}, "textual-dark"),
        ("gone", {"TERM": "xterm-256color"}, DARK),
        ("", {"TERM": "xterm-256color"}, DARK),
        ("", {"TERM": "xterm-256color", "COLORFGBG": "0;15"}, LIGHT),
        ("", {"TERM": "xterm-256color", "COLORFGBG": "0;default;15"}, LIGHT),
        ("", {"TERM": "xterm-256color", "COLORFGBG": "15;0"}, DARK),
        ("", {"TERM": "xterm-256color", "COLORFGBG": "0;8"}, DARK),
        ("", {"TERM": "xterm-256color", "COLORFGBG": "default;default"}, DARK),
        ("", {"TERM": "xterm-256color", "COLORFGBG": "\u00b2;\u00b2"}, DARK),
        ("", {"TERM": "xterm-kitty"}, DARK),
        ("", {"TERM": "xterm-direct"}, DARK),
        ("", {"TERM": "xterm", "COLORTERM": "truecolor"}, DARK),
        ("", {"TERM": "linux"}, "ansi-dark"),
        ("", {"TERM": "screen", "COLORFGBG": "0;7"}, "ansi-light"),
        ("", {}, "ansi-dark"),
        (DARK, {"TERM": "linux"}, DARK),
    ],
)
def test_the_theme_of_a_terminal(configured: str, environ: dict[str, str], theme: str) -> None:
    assert pick_theme(configured, environ, ALL) == theme


def test_a_toolkit_without_the_terminals_colours_gets_ours() -> None:
    assert pick_theme("", {"TERM": "linux"}, {DARK, LIGHT}) == DARK
    assert pick_theme("", {"TERM": "linux"}, {DARK, "textual-ansi"}) == "textual-ansi"


def test_moving_shows_a_theme_and_enter_takes_it() -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await hand.press("down")
        assert app.theme == LIGHT
        await hand.press("enter")

    app = play(ThemesScreen([DARK, LIGHT, "nord"], DARK), steps)
    assert app.results == [LIGHT]
    assert app.theme == LIGHT


def test_esc_brings_back_the_theme_there_was() -> None:
    app = play(ThemesScreen(["nord", DARK, LIGHT], DARK), press("down", "up", "up", "escape"))
    assert app.results == [None]
    assert app.theme == DARK


@pytest.mark.parametrize("size", SIZES)
def test_names_are_harmless_and_unknown_ones_do_nothing(size: tuple[int, int]) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await hand.press("end")
        assert_harmless(app)
        assert "[red]d[/red]" in words(app)
        assert "Enter use" in words(app)
        assert app.theme == DARK

    play(ThemesScreen([DARK, EVIL], DARK), steps, size)


def contrast(first: str, second: str) -> float:
    """Returns the contrast of two colours as WCAG 2 has it."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [part / 255 for part in Color.parse(colour).rgb]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
