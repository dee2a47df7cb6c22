"""What is said on stderr, to whom, and in which colours."""

from __future__ import annotations

import io
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmchat_tui.console import ColorChoice, Console, Look, find_look, fit_line, terminal_columns

_WATCHED = Look(stdout_is_terminal=True, stderr_is_terminal=True)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Gone(Terminal):
    """A terminal that hung up."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize(
    ("environ", "color", "terminal", "colored"),
    [
        ({"TERM": "xterm"}, "auto", True, True),
        ({"TERM": "xterm"}, "auto", False, False),
        ({"TERM": "xterm", "NO_COLOR": "0"}, "auto", True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, "auto", True, True),
        ({"TERM": "dumb"}, "auto", True, False),
        ({}, "auto", True, False),
        ({"TERM": "xterm", "FORCE_COLOR": "1"}, "auto", False, True),
        ({"TERM": "xterm", "FORCE_COLOR": "0"}, "auto", False, False),
        ({"TERM": "xterm", "FORCE_COLOR": "1", "NO_COLOR": "1"}, "auto", False, False),
        ({"TERM": "dumb", "NO_COLOR": "1"}, "always", False, True),
        ({"TERM": "xterm", "FORCE_COLOR": "1"}, "never", True, False),
    ],
)
def test_colour(environ: dict[str, str], color: ColorChoice, terminal: bool, colored: bool) -> None:
    stream = Terminal() if terminal else io.StringIO()
    look = find_look(stream, stream, environ, color)
    assert (look.color_stdout, look.color_stderr) == (colored, colored)


@pytest.mark.parametrize(
    ("stdout", "stderr", "term", "quiet", "progress"),
    [
        (Terminal(), Terminal(), "xterm", False, True),
        (io.StringIO(), Terminal(), "xterm", False, False),
        (Terminal(), io.StringIO(), "xterm", False, False),
        (Terminal(), Terminal(), "dumb", False, False),
        (Terminal(), Terminal(), "xterm", True, False),
        (None, None, "xterm", False, False),
    ],
)
def test_progress(
    stdout: io.StringIO | None, stderr: io.StringIO | None, term: str, quiet: bool, progress: bool
) -> None:
    assert find_look(stdout, stderr, {"TERM": term}, quiet=quiet).progress is progress


def test_a_closed_stream_is_no_terminal() -> None:
    stream = io.StringIO()
    stream.close()
    assert not find_look(stream, stream, {"TERM": "xterm"}).stderr_is_terminal


def screen(written: str) -> str:
    """Returns the one line that a terminal shows after carriage returns and backspaces."""
    cells: list[str] = []
    column = 0
    for character in written:
        if character == "\r":
            column = 0
        elif character == "\b":
            column -= 1
        else:
            cells[column : column + 1] = [character]
            column += 1
    return "".join(cells).rstrip()


def test_a_status_replaces_the_last_one_and_goes_away() -> None:
    stream = Terminal()
    console = Console(stream, _WATCHED)
    console.status("reading 1,000 of 2,000")
    console.status("short")
    assert screen(stream.getvalue()) == "short"
    console.clear_status()
    assert screen(stream.getvalue()) == ""
    assert "\x1b" not in stream.getvalue()


def test_a_status_never_wraps() -> None:
    stream = Terminal()
    Console(stream, _WATCHED).status("日" * 200 + "\nnext")
    assert stream.getvalue() == "\r" + "日" * 39


def test_without_a_watcher_there_is_no_status() -> None:
    stream = io.StringIO()
    console = Console(stream, Look(stderr_is_terminal=True))
    console.status("x")
    console.clear_status()
    assert stream.getvalue() == ""


def test_a_line_is_not_written_into_the_status() -> None:
    stream = Terminal()
    console = Console(stream, _WATCHED)
    console.status("reading")
    console.warn("one page was left out")
    assert stream.getvalue().endswith("\r       \rllmchat: warning: one page was left out\n")


def test_an_error_is_two_lines() -> None:
    stream = io.StringIO()
    console = Console(stream, Look(quiet=True))
    console.error("cannot open \x1b[2Jx\ny", "it is\r gone", "llmchat doctor")
    console.error("that")
    assert stream.getvalue() == (
        "llmchat: error: cannot open ␛[2Jx y — it is gone\nhint: llmchat doctor\nllmchat: error: that\n"
    )


def test_remarks_are_for_people_and_answers_for_all() -> None:
    piped, quiet, watched = io.StringIO(), Terminal(), Terminal()
    for stream, look in ((piped, Look()), (quiet, Look(True, True, quiet=True)), (watched, _WATCHED)):
        console = Console(stream, look)
        console.info("remark")
        console.say("asked")
    assert piped.getvalue() == quiet.getvalue() == "asked\n"
    assert watched.getvalue() == "remark\nasked\n"


@pytest.mark.parametrize("stream", [None, Gone()])
def test_a_stderr_that_is_gone_stops_nothing(stream: io.StringIO | None) -> None:
    console = Console(stream, _WATCHED)
    console.status("x")
    console.warn("x")
    console.error("x", "y", "z")


@given(st.text(st.characters(codec=None)))
def test_no_escape_sequence_of_the_text_gets_out(text: str) -> None:
    stream = Terminal()
    console = Console(stream, Look(True, True, color_stderr=True))
    console.status(text)
    console.error(text, text, text)
    console.say(text)
    rest = re.sub("\x1b\\[(?:0|2|31|33)m", "", stream.getvalue())
    assert not re.search("[\x1b\x80-\x9f\x00-\x07]", rest)


def test_fit_line_counts_wide_characters_twice() -> None:
    assert fit_line("ab日本", 4) == ("ab日", 4)
    assert fit_line("abc", 10) == ("abc", 3)


def test_terminal_columns_of_what_is_no_terminal() -> None:
    with open(os.devnull) as nowhere:
        assert [terminal_columns(stream) for stream in (nowhere, io.StringIO(), None)] == [80, 80, 80]
