"""The table of commands: what is one, what is a message, and that every one of them can be done."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmchat_tui import keymap
from llmchat_tui.commands import COMMANDS, Call, Command, UnknownCommand, matching, parse

NAMES = [name for command in COMMANDS for name in (command.name, *command.aliases)]


def by_id(command: Command) -> str:
    return command.name


@pytest.mark.parametrize("command", COMMANDS, ids=by_id)
def test_a_command_is_known_by_its_name_its_aliases_and_in_any_case(command: Command) -> None:
    for name in (command.name, *command.aliases):
        for text in (f"/{name}", f"/{name.upper()}", f"/{name}  ", f"/{name}\n"):
            assert parse(text) == Call(command)
        if command.argument:
            assert parse(f"/{name}   some words  ") == Call(command, "some words")
        else:
            with pytest.raises(UnknownCommand, match="takes no words"):
                parse(f"/{name} some words")
    assert Call.named(command.name, "x") == Call(command, "x")


def test_no_name_is_there_twice() -> None:
    assert len(NAMES) == len(set(NAMES))
    assert all(re.fullmatch(r"[a-z?-]+", name) for name in NAMES)


@pytest.mark.parametrize("command", COMMANDS, ids=by_id)
def test_every_command_can_be_done(command: Command) -> None:
    from llmchat_tui.screens.chat_commands import _HANDLERS

    assert callable(_HANDLERS[command.name])
    assert len(_HANDLERS) == len(COMMANDS)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.action], ids=by_id)
def test_every_action_of_a_command_has_keys(command: Command) -> None:
    assert command.action in [action.id for action in keymap.ACTIONS]


@pytest.mark.parametrize("command", COMMANDS, ids=by_id)
def test_every_command_says_what_it_does(command: Command) -> None:
    assert command.help and command.help == command.help.strip() and "\n" not in command.help
    assert command.needs_argument == (bool(command.argument) and command.argument[0] != "[")


@pytest.mark.parametrize(
    "text",
    ["", "hello", " /help", "hello /help", "//", "/", "/help\nme", "/a/b", "/etc/passwd what is this", "/etc",
     "/tmp and more"],
)  # fmt: skip
def test_what_is_no_command_is_a_message(text: str) -> None:
    assert parse(text) is None


def test_a_file_that_is_there_is_no_command(tmp_path: Path) -> None:
    (tmp_path / "notes").touch()
    assert parse(f"{tmp_path / 'notes'} what does it say?") is None
    assert parse(str(tmp_path / "no such file")) is None


@pytest.mark.parametrize(
    ("text", "near"),
    [("/modle", "/model"), ("/hepl", "/help"), ("/exprot chat.md", "/export"), ("/regenrate", "/regenerate")],
)
def test_an_unknown_command_names_the_nearest(text: str, near: str) -> None:
    with pytest.raises(UnknownCommand, match=re.escape(f"did you mean {near}?")):
        parse(text)


def test_an_unknown_command_like_no_other_points_to_the_list() -> None:
    with pytest.raises(UnknownCommand, match="/help lists them"):
        parse("/qqqqqq")


@given(st.text(max_size=60).map(lambda text: f"/{text}"))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_command_a_message_or_unknown(text: str) -> None:
    with contextlib.suppress(UnknownCommand):
        call = parse(text)
        assert call is None or call.command in COMMANDS


def test_completing() -> None:
    assert matching("") == list(COMMANDS)
    assert [command.name for command in matching("ex")] == ["export", "exit"]
    assert [command.name for command in matching("Re")] == ["rename", "again", "file"]
    assert [command.name for command in matching("by")] == ["exit"]
    assert matching("nothing") == []
