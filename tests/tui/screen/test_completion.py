"""Completing commands and files: what is offered, which keys it takes, what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tui.screen.compose_stage import ComposeApp, hit, keys, play
from tests.tui.screen.screen_stage import SIZES, assert_harmless, painted, until
from textual.pilot import Pilot

from llmchat_tui.commands import COMMANDS
from llmchat_tui.completing import Wanted, wanted_at


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("notes.txt", "my file.txt", "src/main.py", "src/evil\x1b[31m\u202e[x].txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("/", Wanted("command", "", 0)),
        ("/ne", Wanted("command", "ne", 0)),
        ("/new x", None),
        ("say /new", None),
        ("@", Wanted("file", "", 0)),
        ("see @no", Wanted("file", "no", 4)),
        ("(@no", Wanted("file", "no", 1)),
        ('@"my fi', Wanted("file", "my fi", 0)),
        ('@"my file.txt"', None),
        ("me@home", None),
        ("@a b", None),
        ("/file @no", Wanted("file", "no", 6)),
    ],
)
def test_the_word_at_the_cursor(line: str, wanted: Wanted | None) -> None:
    assert wanted_at(line, len(line), only_line=True) == wanted


def test_a_word_that_goes_on_behind_the_cursor_and_other_lines() -> None:
    assert wanted_at("@no", 2, only_line=True) is None
    assert wanted_at("@no tes", 3, only_line=True) == Wanted("file", "no", 0)
    assert wanted_at("/ne", 2, only_line=True) is None
    assert wanted_at("/ne", 3, only_line=False) is None


@pytest.mark.parametrize("size", SIZES)
def test_all_commands_are_offered_over_the_prompt(size: tuple[int, int]) -> None:
    app = play(keys("/"), size)
    assert len(app.shown) == len(COMMANDS)
    assert app.shown[0].split() == ["/help", "keys", "and", "commands"]

    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await hit(pilot, app, "/")
        await pilot.pause()
        assert app.composer.completions.size.height == min(6, size[1] // 3)
        assert app.prompt.has_focus
        lines = painted(app).splitlines()
        at = next(row for row, line in enumerate(lines) if "❯ /" in line)
        assert "/help" in lines[at - min(6, size[1] // 3)]

    play(steps, size)


def test_a_command_is_walked_to_and_taken() -> None:
    app = play(keys("/", "down", "down", "up", "shift+tab", "shift+tab"))
    assert app.composer.completions.choice
    assert app.composer.completions.choice.name == "/exit"
    app = play(keys(*"/ren", "tab"))
    assert app.prompt.draft == "/rename "
    assert not app.shown
    assert play(keys(*"/ren", "enter")).prompt.draft == "/rename "


SENT = {
    "/new": ["/new"],
    "/ne": ["/new"],
    "/clear": ["/clear"],
    "/cle": ["/new"],
    "/?": ["/?"],
    "/copy": ["/copy"],
    "/open": [],
    "/open x": ["/open x"],
    "/set": [],
    "/nonsense": ["/nonsense"],
    "/etc/hosts what": ["/etc/hosts what"],
}


def test_enter_sends_a_command_that_says_all() -> None:
    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        for typed, sent in SENT.items():
            app.sent.clear()
            await hit(pilot, app, *typed, "enter")
            assert (typed, app.sent) == (typed, sent)
            app.prompt.load_draft("")
            await pilot.pause()

    play(steps)


def test_enter_right_behind_a_command_that_another_one_begins_with() -> None:
    assert play(keys(*"/chats", "enter")).sent == ["/chats"]
    assert play(keys(*"/set", "down", "enter")).sent == ["/settings"]


def test_escape_closes_the_list_before_it_reaches_the_screen() -> None:
    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await hit(pilot, app, "/", "n", "escape")
        assert not app.shown
        assert app.noted == []
        await hit(pilot, app, "e")
        assert not app.shown
        await hit(pilot, app, "escape")
        assert app.noted == ["escape"]
        await hit(pilot, app, "backspace", "backspace", "backspace")
        await hit(pilot, app, "/")
        await pilot.pause()
        assert app.shown

    play(steps)


def test_the_list_follows_the_cursor_and_the_text() -> None:
    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await hit(pilot, app, "/", "n")
        await pilot.pause()
        assert app.shown
        await hit(pilot, app, "home")
        await pilot.pause()
        assert not app.shown
        await hit(pilot, app, "end")
        await pilot.pause()
        assert app.shown
        app.prompt.clear_draft()
        await pilot.pause()
        assert not app.shown
        assert not app.composer.completions.display

    play(steps)


def test_a_file_is_found_and_taken() -> None:
    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await hit(pilot, app, *"see @not")
        await until(pilot, lambda: app.shown == ["notes.txt  "])
        await hit(pilot, app, "enter")
        assert app.prompt.draft == "see @notes.txt "
        assert app.sent == []
        await hit(pilot, app, "enter")

    assert play(steps).sent == ["see @notes.txt "]


def test_a_name_that_is_typed_in_full_is_sent() -> None:
    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await hit(pilot, app, *"@notes.txt")
        await until(pilot, lambda: app.shown == ["notes.txt  "])
        await hit(pilot, app, "enter")

    assert play(steps).sent == ["@notes.txt"]


def test_a_name_with_a_space_and_one_in_a_directory() -> None:
    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await hit(pilot, app, *"@my")
        await until(pilot, lambda: "my file.txt  " in app.shown)
        await hit(pilot, app, "tab")
        assert app.prompt.draft == '@"my file.txt" '
        await hit(pilot, app, *"@./s")
        await until(pilot, lambda: app.shown[:1] == ["./src/  "])
        await hit(pilot, app, "tab", *"ma")
        await until(pilot, lambda: app.shown[:1] == ["./src/main.py  "])
        await hit(pilot, app, "tab")
        assert app.prompt.draft == '@"my file.txt" @./src/main.py '
        app.prompt.load_draft('@"my" rest')
        app.prompt.move_cursor((0, 4))
        await until(pilot, lambda: app.shown[:1] == ["my file.txt  "])
        await hit(pilot, app, "tab", "x")
        assert app.prompt.draft == '@"my file.txt" xrest'

    play(steps)


def test_a_hostile_name_is_harmless_in_sight_and_exact_in_the_draft() -> None:
    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await hit(pilot, app, *"@evil")
        await until(pilot, lambda: bool(app.shown))
        await pilot.pause()
        assert_harmless(app)
        assert "[x].txt" in painted(app)
        await hit(pilot, app, "enter")
        assert app.prompt.draft == "@src/evil\x1b[31m\u202e[x].txt "
        assert app.prompt.text == "@src/evil␛[31m\ufffd[x].txt "
        assert_harmless(app)
        await hit(pilot, app, "backspace", "backspace")
        assert app.prompt.draft == ""

    play(steps)


def test_what_fits_nothing_hides_the_list_and_enter_sends() -> None:
    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await hit(pilot, app, *"@zzz")
        await pilot.app.workers.wait_for_complete()
        await hit(pilot, app, "enter")

    assert play(steps).sent == ["@zzz"]


def test_a_click_takes_a_choice() -> None:
    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await hit(pilot, app, *"/ex")
        await pilot.pause()
        await pilot.click(app.composer.completions, offset=(2, 0))
        await pilot.pause()
        assert app.prompt.has_focus

    app = play(steps)
    assert app.prompt.draft == "/export "
