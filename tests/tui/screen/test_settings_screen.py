"""The settings: what a row shows, how a change reaches the file, what is refused, and every row in sight."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tui.screen.screen_stage import (
    EVIL,
    SIZES,
    THEMES,
    Hand,
    Stage,
    Steps,
    assert_harmless,
    assert_walk,
    painted,
    play,
    until,
    words,
)
from textual.widgets import Input, Select, Switch

from llmchat_tui.config import load_config
from llmchat_tui.screens.fields import fields, value_text
from llmchat_tui.screens.setting_row import Row
from llmchat_tui.screens.settings import SettingsScreen
from llmchat_tui.settings import Settings

TEXT = """# mine
ctx = 4096  # a comment

[sampling]
temperature = 0.7
"""


@pytest.fixture
def path() -> Iterator[Path]:
    """A file under a short path, which a line of the screen holds."""
    with tempfile.TemporaryDirectory(prefix="lc", dir="/tmp") as folder:
        path = Path(folder) / "config.toml"
        path.write_text(TEXT)
        yield path


async def use(hand: Hand, app: Stage, name: str, *keys: str) -> None:
    """Presses keys in the control of one setting."""
    app.screen.set_focus(None)
    row_of(app, name).control.focus()
    await hand.pause()
    await hand.press(*keys)


def row_of(app: Stage, name: str) -> Row:
    return next(row for row in app.screen.query(Row) if row.field == name)


def test_every_setting_has_a_control_of_its_kind() -> None:
    kinds = {field.name: field.kind for field in fields()}
    assert set(kinds) == set(Settings.__struct_fields__)
    assert kinds["markdown"] == "switch"
    assert kinds["color"] == "choice"
    assert {kinds[name] for name in ("model", "ctx", "temperature", "stop", "keepalive")} == {"text"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), ((), ""), ("a\nb", "a\nb"), (0.5, "0.5"), (True, "true"), (("a", "\x1b"), '["a", "\\u001b"]')],
)
def test_values_as_they_are_typed(value: object, text: str) -> None:
    assert value_text(value) == text


def test_a_row_shows_value_default_and_origin(path: Path) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        assert row_of(app, "ctx").text == "4096"
        assert row_of(app, "gpu_layers").text == "-1"
        top_k = row_of(app, "top_k").control
        assert isinstance(top_k, Input)
        assert (top_k.value, top_k.placeholder) == ("", "the model decides")
        shown = words(app)
        assert "config.toml:2" in shown
        assert "built-in" in shown
        assert str(path) in painted(app).replace("\n", "")

    play(SettingsScreen(path, {}), steps, (200, 60))


def test_changes_reach_the_file_at_once_and_nothing_else_changes(path: Path) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await use(hand, app, "ctx", *"8192", "enter")
        assert path.read_text() == TEXT.replace("4096", "8192")
        await use(hand, app, "threads", "2", "tab")
        assert load_config(path, {}).settings.threads == 2
        await use(hand, app, "markdown", "space")
        await use(hand, app, "color", "enter", "up", "enter")
        await use(hand, app, "top_k", "tab", "tab")
        settings = load_config(path, {}).settings
        assert (settings.markdown, settings.color, settings.top_k) == (False, "always", None)
        assert row_of(app, "ctx").text == "8192"
        await use(hand, app, "reading_width", *"80", "escape")

    assert play(SettingsScreen(path, {}), steps).results == [{"ctx", "threads", "markdown", "color", "reading_width"}]
    assert load_config(path, {}).settings.reading_width == 80


def test_a_theme_is_chosen_among_those_there_are(path: Path) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        control = row_of(app, "theme").control
        assert isinstance(control, Select)
        control.value = "nord"
        await hand.pause()
        await hand.press("escape")

    assert play(SettingsScreen(path, {}), steps).results == [{"theme"}]
    assert load_config(path, {}).settings.theme == "nord"


def test_a_wrong_value_is_refused_and_the_file_left_alone(path: Path) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        row = row_of(app, "temperature")
        await use(hand, app, "temperature", *"900", "enter")
        assert row.is_refused
        await until(hand, lambda: "temperature cannot be '900'" in words(app))
        assert path.read_text() == TEXT
        await use(hand, app, "temperature", "backspace", *"0.9", "enter")
        assert not row.is_refused
        assert path.read_text() == TEXT.replace("0.7", "0.9")

    assert play(SettingsScreen(path, {}), steps).results == []


def test_esc_stays_once_to_show_what_was_refused(path: Path) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await use(hand, app, "ctx", "x", "escape")
        assert row_of(app, "ctx").is_refused
        assert app.results == []
        await hand.press("escape")

    assert play(SettingsScreen(path, {}), steps).results == [frozenset()]
    assert path.read_text() == TEXT


def test_an_emptied_field_gets_its_default(path: Path) -> None:
    path.write_text('model = "a"\nctx = 5\n# mine\n[sampling]\nstop = ["x"]\ntop_k = 7\n')

    async def steps(hand: Hand, app: Stage) -> None:
        for name in ("model", "ctx", "stop", "top_k"):
            await use(hand, app, name, "backspace", "enter")

    play(SettingsScreen(path, {}), steps)
    settings = load_config(path, {}).settings
    assert (settings.model, settings.ctx, settings.stop, settings.top_k) == ("", 0, (), None)
    assert path.read_text() == "# mine\n[sampling]\n"


def test_a_variable_locks_its_row(path: Path) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        control = row_of(app, "threads").control
        assert control.disabled
        assert isinstance(control, Input)
        assert control.value == "3"
        await hand.press(*"threads")
        assert "set by LLMCHAT_THREADS" in words(app)

    play(SettingsScreen(path, {"LLMCHAT_THREADS": "3"}), steps)


def test_a_text_of_several_lines_is_left_to_the_editor(path: Path) -> None:
    path.write_text('system = "a\\nb"\n')

    async def steps(hand: Hand, app: Stage) -> None:
        assert row_of(app, "system").control.disabled
        await hand.press("tab", "tab", "escape")

    assert play(SettingsScreen(path, {}), steps).results == [frozenset()]


def test_the_filter_narrows_rows_and_slash_goes_there(path: Path) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await hand.press(*"render mark")
        assert [row.field for row in app.screen.query(Row) if row.display] == ["markdown"]
        assert "How tokens are chosen" not in words(app)
        await hand.press("tab")
        assert isinstance(app.focused, Switch)
        await hand.press("slash")
        assert app.focused is app.screen.query_one("#filter")

    play(SettingsScreen(path, {}), steps)


def test_the_arrows_go_from_row_to_row(path: Path) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        names = []
        await hand.press("tab")
        for _ in range(6):
            focused = app.focused
            assert focused is not None
            names.append(next(node.field for node in focused.ancestors if isinstance(node, Row)))
            await hand.press("down")
        assert names == list(Settings.__struct_fields__)[:6]

    play(SettingsScreen(path, {}), steps, (80, 24))


@pytest.mark.parametrize("text", ["ctx = ", "nonsense = 1\n", 'model = "\\u001b[31m[/x]"\nctx = "x"\n'])
def test_a_broken_file_is_told_and_left_alone(path: Path, text: str) -> None:
    path.write_text(text)

    async def steps(hand: Hand, app: Stage) -> None:
        assert_harmless(app)
        assert "config.toml:" in words(app)
        await hand.press("slash", "escape")

    assert play(SettingsScreen(path, {}), steps).results == [frozenset()]
    assert path.read_text() == text


def test_no_file_is_made_before_something_is_set(tmp_path: Path) -> None:
    path = tmp_path / "none" / "config.toml"

    async def steps(hand: Hand, app: Stage) -> None:
        await use(hand, app, "threads", "tab")
        assert not path.parent.exists()
        await use(hand, app, "threads", "2", "enter")
        assert path.is_file()

    play(SettingsScreen(path, {}), steps)


def walk() -> Steps:
    async def steps(hand: Hand, app: Stage) -> None:
        assert_harmless(app)
        assert "Esc close" in words(app)
        await assert_walk(hand, app)
        assert_harmless(app)

    return steps


@pytest.mark.parametrize(("size", "theme"), [(SIZES[0], THEMES[0]), (SIZES[2], THEMES[1])])
def test_every_row_can_be_reached_at_every_size(tmp_path: Path, size: tuple[int, int], theme: str) -> None:
    path = tmp_path / EVIL.replace("\0", "").replace("/", "") / "config.toml"
    path.parent.mkdir()
    path.write_text('model = "a\\u001b\\u009b[red]b[/red] [@click=app.quit]\\u202e [/x]"\n')
    play(SettingsScreen(path, {}), walk(), size, theme)
