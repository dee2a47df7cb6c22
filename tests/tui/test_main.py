"""The program as a whole: its commands, its two error lines, its exit codes at the edge."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tests.tui.asking import ask, environment, run_shell
from tests.tui.terminal import unexpected

import llmchat_tui.cli as cli_module
from llmchat_engine import errors as engine_errors
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui import __version__
from llmchat_tui import errors as hall_errors
from llmchat_tui.cli import cli, run
from llmchat_tui.cli.app import App
from llmchat_tui.errors import UserError, exit_code

COMMANDS = sorted(cli_module._COMMANDS)


def program(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "llmchat_tui", *arguments]
    environ = environment(home, **more)
    return subprocess.run(command, env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)


def test_help_and_version(home: Path) -> None:
    for flag in ("-h", "--help"):
        asked = ask(home, flag, command="")
        assert (asked.code, asked.err) == (0, "")
        for name in COMMANDS:
            assert name in asked.out
    assert ask(home, "--version", command="").out == f"llmchat, version {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_says_what_the_list_says(home: Path, name: str) -> None:
    asked = ask(home, "--help", command=name)
    assert (asked.code, asked.err) == (0, "")
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.help


def test_the_module_is_the_program(home: Path) -> None:
    done = program(home, "paths")
    assert (done.returncode, done.stderr) == (0, "")
    assert str(home) in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("frobnicate",), "No such command 'frobnicate'"),
        (("ask", "--frobnicate"), "No such option '--frobnicate'"),
        (("ask", "--timeout", "soon", "hi"), "'soon' is not a valid float"),
        (("chats", "show"), "Missing argument 'REF'"),
        (("--frobnicate",), "No such option"),
    ],
)
def test_a_usage_error_has_the_shape_of_every_error(home: Path, arguments: tuple[str, ...], words: str) -> None:
    asked = ask(home, *arguments[1:], command=arguments[0])
    assert (asked.code, asked.out) == (2, "")
    first, second = asked.err.splitlines()
    assert first.startswith("llmchat: error: ")
    assert words in first
    assert second.startswith("hint: llmchat")
    assert second.endswith("--help")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("-m", "a b"), "llmchat chat -m 'a b'"),
        (("--debug", "--model=x", "-c"), "llmchat --debug chat --model=x -c"),
        (("--plain",), "llmchat chat --plain"),
        (("ask", "--plain"), "llmchat ask --help"),
    ],
)
def test_an_option_of_the_chat_needs_its_name(home: Path, arguments: tuple[str, ...], hint: str) -> None:
    asked = ask(home, *arguments[1:], command=arguments[0])
    assert (asked.code, asked.err.splitlines()[-1]) == (2, f"hint: {hint}")


def test_what_click_quotes_is_sanitised(home: Path) -> None:
    evil = "\x1b]0;t\x07\x9b31m\u202e"
    for arguments in ((evil,), (f"--{evil}",), ("ask", f"--{evil}"), ("ask", "--color", evil), ("chats", evil)):
        asked = ask(home, *arguments[1:], command=arguments[0])
        assert asked.code == 2
        assert unexpected(asked.err.encode()) == []


def test_the_traceback_is_for_debug(home: Path) -> None:
    engine = FakeEngine([Script(crash_after=0)])
    assert "Traceback" not in ask(home, "hi", engine=engine).err
    with pytest.raises(engine_errors.EngineDied):
        ask(home, "ask", "hi", engine=engine, command="--debug")
    done = program(home, "--debug", "ask", "--cid", "nothing", "hi")
    assert (done.returncode, "Traceback" in done.stderr) == (1, True)


def test_every_error_has_a_code_of_the_table() -> None:
    for module in (hall_errors, engine_errors):
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, UserError | engine_errors.EngineError):
                error = kind(5, 4) if kind is engine_errors.ContextFull else kind("what")
                assert exit_code(error) in {1, 2, 3, 4, 5, 6, 7, 8, 9}


def test_the_command_line_is_light(home: Path) -> None:
    """`--help` imports no command."""
    code = "import sys, llmchat_tui.cli as c\ntry: c.main(['-h'])\nfinally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(home), capture_output=True, text=True)
    loaded = set(done.stderr.split())
    assert done.returncode == 0
    assert loaded.isdisjoint({"llmchat_tui.cli.ask", "llmchat_tui.history", "rich", "textual", "numpy", "sqlite3"})


def test_no_home_directory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    asked = ask(home, "hi", environ={"TERM": "xterm"})
    assert (asked.code, asked.out) == (2, "")
    assert "LLMCHAT_HOME" in asked.err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", ["--help", "--version", "paths", "ask --help", "completion bash", "config show"])
def test_a_full_disk_behind_stdout(home: Path, arguments: str) -> None:
    done = run_shell(home, f"{sys.executable} -m llmchat_tui {arguments} >/dev/full")
    assert done.code == 7, done
    assert done.err.startswith("llmchat: error: cannot write to stdout")


@pytest.mark.parametrize("arguments", ["--help", "paths", "config show", "chats list"])
def test_closed_streams(home: Path, arguments: str) -> None:
    for streams in (">&-", "2>&-", "<&-", ">&- 2>&- <&-"):
        done = run_shell(home, f"{sys.executable} -m llmchat_tui {arguments} {streams}")
        assert done.code in (0, 141), (streams, done)
        assert done.err == ""


def test_an_app_of_its_own_uses_the_environment_of_the_process(home: Path) -> None:
    assert App().paths.data_dir == home


def test_commands_are_found_by_name_alone(home: Path) -> None:
    assert run(App(environ=environment(home)), ["no such"]) == 2
    for module, _ in cli_module._COMMANDS.values():
        name, _, attribute = module.partition(":")
        assert isinstance(getattr(importlib.import_module(name), attribute), click.Command)
