"""Pastes in the prompt: long ones as tokens that nothing tears, dropped files as attachments, all of it harmless."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

import pytest
from tests.tui.screen.compose_stage import ComposeApp, hit, paste, play, strike
from tests.tui.screen.screen_stage import EVIL, assert_harmless
from textual.pilot import Pilot

LONG = "\n".join(f"line {number} of a log" for number in range(120))


def test_a_long_paste_is_a_token_and_the_draft_has_all_of_it() -> None:
    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await hit(pilot, app, *"see: ")
        await paste(pilot, app, LONG.replace("\n", "\r"))
        await hit(pilot, app, "space", "x", "enter")

    app = play(steps)
    assert app.prompt.text == "see: [pasted 120 lines #1] x"
    assert app.sent == [app.prompt.draft] == [f"see: {LONG} x"]


def test_a_short_paste_is_text() -> None:
    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await paste(pilot, app, f"a\r\nb\rc{EVIL}\u2028d")

    app = play(steps)
    assert app.prompt.draft.startswith("a\nb\nca␛[31mb\ufffdc [red]d[/red]")


@pytest.mark.parametrize("key", ["backspace", "ctrl+w"])
def test_deleting_in_a_token_takes_it_whole_and_undo_brings_it_back(key: str) -> None:
    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await hit(pilot, app, "a")
        await paste(pilot, app, LONG)
        await hit(pilot, app, key)
        assert app.prompt.draft == "a"
        await hit(pilot, app, "ctrl+underscore")
        assert app.prompt.draft == f"a{LONG}"
        await hit(pilot, app, "left", "b")
        assert app.prompt.draft == f"ab{LONG}"
        await hit(pilot, app, "right", "c", "home", "right", "right", "delete")
        assert app.prompt.draft == "abc"

    play(steps)


def test_a_token_that_was_typed_is_not_one() -> None:
    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await hit(pilot, app, *"[pasted 120 lines #1]")
        await paste(pilot, app, LONG)

    app = play(steps)
    assert app.prompt.draft == f"[pasted 120 lines #1]{LONG}"


def test_copying_and_cutting_give_the_paste_itself() -> None:
    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await paste(pilot, app, LONG)
        await hit(pilot, app, "x", "shift+home")
        assert app.prompt.selected_text == f"{LONG}x"
        await hit(pilot, app, "ctrl+x")
        assert app.prompt.draft == ""
        await hit(pilot, app, "a", "ctrl+x", "ctrl+x")

    assert play(steps).copied == [(f"{LONG}x", "selection"), ("a", "line")]


def test_a_dropped_file_becomes_an_attachment(tmp_path: Path) -> None:
    for name in ("my file.txt", "evil\x1b\u202e.txt"):
        (tmp_path / name).touch()

    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await hit(pilot, app, "a")
        await paste(pilot, app, f"'{tmp_path}/my file.txt'")
        assert app.prompt.draft == f'a @"{tmp_path}/my file.txt" '
        await paste(pilot, app, f"{tmp_path}/evil\x1b\u202e.txt")
        assert app.prompt.draft == f'a @"{tmp_path}/my file.txt" @{tmp_path}/evil\x1b\u202e.txt '
        assert_harmless(app)
        app.prompt.load_draft("/file ")
        await paste(pilot, app, f"{tmp_path}/my file.txt")
        assert app.prompt.draft == f"/file {tmp_path}/my file.txt"

    play(steps, (200, 60))


def test_a_draft_from_elsewhere_is_harmless_and_a_known_paste_is_a_token_again() -> None:
    async def steps(pilot: Pilot[None], app: ComposeApp) -> None:
        await paste(pilot, app, LONG + EVIL)
        await hit(pilot, app, "enter")
        sent = app.sent[0]
        app.prompt.clear_draft()
        app.prompt.load_draft(f"{EVIL} {sent}")
        await pilot.pause()
        assert_harmless(app)
        assert app.prompt.text.endswith("[pasted 121 lines #1]")
        assert app.prompt.draft.endswith(f" {LONG}{EVIL}".replace("\r", "\n"))
        assert app.prompt.cursor_location == app.prompt.document.end

    play(steps)


OPERATIONS = (
    "left", "right", "up", "down", "home", "end", "backspace", "backspace", "delete", "ctrl+w", "alt+delete", "ctrl+k",
    "ctrl+u", "shift+left", "shift+right", "ctrl+shift+left", "ctrl+underscore", "ctrl+y", "ctrl+j", "x", "]", "[",
)  # fmt: skip


def test_fuzz_no_paste_is_ever_torn_doubled_or_lost() -> None:
    """Whatever is pressed: a paste is there whole or not at all, and what stands around it is what is shown."""
    seed = int(os.environ.get("LLMCHAT_TEST_SEED", random.randrange(1 << 32)))
    print("LLMCHAT_TEST_SEED", seed)
    dice = random.Random(seed)
    pastes: dict[str, str] = {}

    def check(app: ComposeApp) -> None:
        text, rest, draft = app.prompt.text, app.prompt.text, app.prompt.draft
        for token, exact in pastes.items():
            assert text.count(token) == draft.count(exact) <= 1
            rest, draft = rest.replace(token, ""), draft.replace(exact, "")
        assert rest == draft
        assert not re.search("[a-wyz]", rest), rest

    async def steps(_pilot: Pilot[None], app: ComposeApp) -> None:
        for _ in range(2_000):
            if dice.random() < 0.12:
                exact = f"<{len(pastes)}>" + "q\n" * 12 + f"</{len(pastes)}>"
                app.prompt.insert_pasted(exact)
                token = next(t for t in re.findall(r"\[pasted 13 lines #\d+\]", app.prompt.text) if t not in pastes)
                pastes[token] = exact
            else:
                await strike(app, dice.choice(OPERATIONS))
            check(app)
        exact = app.prompt.draft
        app.prompt.load_draft("something else")
        app.prompt.load_draft(exact)
        assert app.prompt.draft == exact

    play(steps)
