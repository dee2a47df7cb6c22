"""`ask` on a pseudo-terminal: no escape of the data reaches it; colours, Markdown and progress follow their rules."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tui.asking import CHILD, child_environment, play_of
from tests.tui.fake_ask_child import Part, Play
from tests.tui.stored import add_turn
from tests.tui.terminal import run_in_terminal, unexpected

from llmchat_tui.history import History

EVIL = (
    "\x1b]52;c;QQ==\x07 \x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\ \x1b]0;title\x07 \x1b[31mred \x1b[2J \x1b[6n "
    "\x1bP1$r\x1b\\ \x9b31m \x9d0;t\x9c \x90q\x9c \x1bc \x0e \x08 \x7f \u202egpj \u2066 \x1b"
)
_COLORS = re.compile("\x1b\\[[0-9;]*m")
STRICT: dict[str, str] = {"NO_COLOR": "1"}


def in_terminal(
    home: Path, *arguments: str, play: Play, quiet: bool = True, environ: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, int]:
    """Returns what reaches the terminal of a child, and its exit code; `quiet` leaves the progress out."""
    command = [*arguments, *(["-q"] if quiet else [])]
    output, code = run_in_terminal(command, child_environment(home, play, **environ), program=CHILD)
    return output.decode(errors="replace"), code


@pytest.mark.parametrize("flags", [("--md",), ("--no-md",), ("--json",), ("-x",), ("--xl",), ("--no-stream",), ("-u",)])
def test_nothing_of_a_hostile_answer_reaches_the_terminal(home: Path, flags: tuple[str, ...]) -> None:
    text = f"one {EVIL}\n\n```{EVIL}\n{EVIL}\n```\n\n- [{EVIL}](http://{EVIL})\n\n&#27;]0;x&#7; {EVIL}"
    play = Play((Part(text, notice=f"notice {EVIL}"),), piece=1, model_name=f"model {EVIL}")
    output, code = in_terminal(home, "ask", "--verbose", *flags, f"hi {EVIL}", play=play, environ=STRICT)
    assert code == 0, output
    assert unexpected(output.encode(errors="replace")) == []


@pytest.mark.parametrize("flags", [("--md",), ("--no-md",)])
def test_with_colours_there_are_colours_alone(home: Path, flags: tuple[str, ...]) -> None:
    play = play_of(f"**bold** {EVIL}\n\n```py\nx = '{EVIL}'\n```\n")
    output, code = in_terminal(home, "ask", *flags, "hi", play=play)
    assert code == 0
    assert ("\x1b[" in output) == (flags == ("--md",))
    assert unexpected(_COLORS.sub("", output).encode(errors="replace")) == []


_PARTS = st.sampled_from(
    ["\x1b", "[", "]", "52;c;", "0;t", "8;;u", "\x07", "\x1b\\", "P", "_", "^", "X", "\x9b", "\x9c", "\x9d", "\x90",
     "31m", "2J", "c", "\r", "\n", "\n\n", "\t", "\b", "\x7f", "\x00", "\u202e", "\u2066", "\u2028", "\U000e0041",
     "```", "`", "**", "# ", "- ", "| a |", "&#27;", "&#155;", "](", "<http://", ">", "日", "é", " ", "a"]
)  # fmt: skip
_TEXTS = st.lists(st.lists(_PARTS, min_size=1, max_size=15).map("".join), min_size=15, max_size=15)


@given(_TEXTS, st.integers(0, 3), st.sampled_from(["--md", "--no-md"]))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_escape_of_any_answer_reaches_the_terminal(home: Path, texts: list[str], piece: int, flag: str) -> None:
    play = Play(tuple(Part(text) for text in texts), piece=piece, one_run_each=True)
    output, code = in_terminal(home, "ask", "-n", flag, "hi", play=play, environ=STRICT)
    assert code == 0, output
    assert unexpected(output.encode(errors="replace")) == []


def test_file_names_and_errors_are_data_too(home: Path, tmp_path: Path) -> None:
    evil = EVIL.replace("/", "")
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / f"a{evil}").write_bytes(b"caf\xe9")
    (folder / f"b{evil}").write_bytes(b"\0")
    os.mkfifo(folder / f"c{evil}")
    play = Play((Part("Hello.", crash=f"crash {evil}"),))
    for arguments, code, wanted in (
        (("-f", str(folder), "hi"), 8, "left out"),
        (("-f", str(folder / f"b{evil}"), "hi"), 9, "looks binary"),
        (("-f", str(folder / f"c{evil}"), "hi"), 9, "is not a file"),
        (("-f", f"missing{evil}", "hi"), 2, "there is no file"),
        (("-m", f"/missing{evil}.gguf", "hi"), 3, "missing"),
        (("-m", evil, "hi"), 3, "no model"),
        (("--sf", f"missing{evil}", "hi"), 2, "cannot be read"),
        (("--cid", evil, "hi"), 1, "no chat"),
        (("--color", evil, "hi"), 2, "color"),
        ((f"--{evil}",), 2, "option"),
        (("-o", evil, evil, "hi"), 2, "unknown"),
        (("--dry-run", evil), 0, "tokens"),
    ):
        output, exit_code = in_terminal(home, "ask", *arguments, play=play, environ=STRICT)
        assert exit_code == code, output
        assert wanted in output
        assert unexpected(output.encode(errors="replace")) == [], arguments


def test_an_error_in_colours_has_its_own_colours_alone(home: Path) -> None:
    output, code = in_terminal(home, "ask", "-m", f"\x1b[1m{EVIL}", "hi", play=Play())
    assert code == 3
    assert set(_COLORS.findall(output)) == {"\x1b[31m", "\x1b[2m", "\x1b[0m"}
    assert unexpected(_COLORS.sub("", output).encode(errors="replace")) == []


def test_a_hostile_home_and_config(home: Path) -> None:
    evil = EVIL.replace("/", "")
    bad = home.parent / evil
    bad.mkdir()
    (bad / "config.toml").write_text(f'temprature = "{evil[:1]!r}"')
    output, code = in_terminal(bad, "ask", "hi", play=Play(), environ=STRICT)
    assert code == 2
    assert unexpected(output.encode(errors="replace")) == []


def test_chats_show_what_ask_kept_without_a_single_escape(home: Path, history: History) -> None:
    add_turn(history, f"Title {EVIL}", EVIL)
    for arguments in (["list"], ["show", "Title"], ["search", "Title"], ["export", "Title"], ["list", "--json"]):
        if arguments[-1] == "Title" and arguments[0] != "search":
            arguments = [arguments[0], history.conversations()[0].id]
        output, code = in_terminal(home, "chats", *arguments, play=Play(), quiet=False, environ=STRICT)
        assert code == 0, output
        assert "Title" in output
        assert unexpected(output.encode(errors="replace")) == []


@pytest.mark.parametrize(
    ("flags", "more", "colored"),
    [
        ((), {}, True),
        (("--no-md",), {}, False),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"NO_COLOR": "0"}, False),
        ((), {"NO_COLOR": ""}, True),
        ((), {"TERM": "dumb"}, False),
        ((), {"TERM": ""}, False),
        (("--color", "never"), {"FORCE_COLOR": "1"}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
        ((), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ((), {"LLMCHAT_COLOR": "never"}, False),
        ((), {"LLMCHAT_MARKDOWN": "false"}, False),
    ],
    ids=str,
)
def test_escapes_only_where_they_may_be(
    home: Path, flags: tuple[str, ...], more: dict[str, str], colored: bool
) -> None:
    output, code = in_terminal(home, "ask", *flags, "hi", play=play_of("# Title\n\n**bold**"), environ=more)
    assert code == 0
    assert ("\x1b" in output) == colored
    assert "Title" in output


def test_markdown_is_rendered_on_a_terminal_unless_it_is_not_wanted(home: Path) -> None:
    play = play_of("**bold** word\n\nend")
    assert "**" not in in_terminal(home, "ask", "hi", play=play, environ=STRICT)[0]
    for flags, more in ((("--no-md",), {}), ((), {"LLMCHAT_MARKDOWN": "false"}), ((), {"TERM": "dumb"})):
        assert "**bold** word" in in_terminal(home, "ask", *flags, "hi", play=play, environ=STRICT | more)[0]


def test_progress_is_shown_to_somebody_who_watches(home: Path) -> None:
    play = play_of("Hello.")
    assert "loading the model" in in_terminal(home, "ask", "hi", play=play, quiet=False, environ=STRICT)[0]
    assert "loading" not in in_terminal(home, "ask", "hi", play=play, environ=STRICT)[0]
    assert "loading" not in in_terminal(home, "ask", "hi", play=play, quiet=False, environ={"TERM": "dumb"})[0]


def test_the_answer_is_all_that_stays_on_the_terminal(home: Path) -> None:
    output, _ = in_terminal(home, "ask", "hi", play=play_of("Hello.\n\n"), environ=STRICT)
    assert output == "Hello.\r\n"


def test_json_on_a_terminal_is_still_json(home: Path) -> None:
    output, _ = in_terminal(home, "ask", "--json", "hi", play=play_of(f"a {EVIL}"), environ=STRICT)
    assert json.loads(output)["reply"].startswith("a ")
