"""What reaches stdout of an answer, byte by byte."""

from __future__ import annotations

import errno
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmchat_tui.cli.markdown import render_block
from llmchat_tui.cli.render import AnswerWriter, ClosedOutput, Mode, binary_stdout
from llmchat_tui.errors import StorageUnwritable
from llmchat_tui.sanitize import sanitize

ROOT = Path(__file__).parents[2]
_SGR = re.compile("\x1b\\[[0-9;]*m")


def written(mode: Mode, *pieces: str, color: bool = False, columns: int = 40) -> str:
    out = io.BytesIO()
    writer = AnswerWriter(out, mode, color=color, columns=columns)
    for piece in pieces:
        writer.write(piece)
    writer.finish()
    return out.getvalue().decode()


@pytest.mark.parametrize(
    ("mode", "text", "result"),
    [
        ("exact", "a\x1b[1m\r\n\n", "a\x1b[1m\r\n\n"),
        ("exact", "a", "a\n"),
        ("exact", "\udcff", "?\n"),
        ("plain", "a\x1b[1m\r\n\n", "a␛[1m\n"),
        ("plain", "a\n\nb\n", "a\n\nb\n"),
        ("markdown", "a **b**\n\n\n", "a b\n"),
        ("markdown", "one\n\ntwo\n```py\nx  =  1\n```\nthree", "one\n\ntwo\n\nx  =  1\n\nthree\n"),
    ],
)
def test_modes(mode: Mode, text: str, result: str) -> None:
    assert written(mode, text) == written(mode, *text) == result


@pytest.mark.parametrize("mode", ["exact", "plain", "markdown"])
def test_an_empty_answer_is_empty(mode: Mode) -> None:
    assert written(mode) == ""


def test_text_is_written_when_it_comes() -> None:
    out = io.BytesIO()
    writer = AnswerWriter(out, "plain")
    writer.write("half a li")
    assert out.getvalue() == b"half a li"
    writer.write("ne\n")
    assert out.getvalue() == b"half a line"


def test_code_can_be_copied() -> None:
    line = "x = '" + "long " * 40 + "'"
    assert written("markdown", f"```python\n{line}\n\n  y\n```") == f"{line}\n\n  y\n"
    colored = written("markdown", f"```python\n{line}\n```", color=True)
    assert "\x1b[" in colored
    assert _SGR.sub("", colored) == f"{line}\n"


def test_markup_and_emoji_codes_are_text() -> None:
    assert written("markdown", "[bold]x[/bold] :smile: arr[0] [/]") == "[bold]x[/bold] :smile: arr[0] [/]\n"


def test_a_list_keeps_its_numbers_and_a_table_its_columns() -> None:
    assert written("markdown", "3. a\n\n4. b\n") == " 3 a\n 4 b\n"
    assert written("markdown", "| a | b |\n|---|---|\n| 1 | 2 |\n").split() == ["a", "b", "────", "1", "2"]


@pytest.mark.parametrize("source", ["<http://a/%1b]52;c;x>", "&#8238;x", "&#x9b;31m", "[x](http://a/%1b%9b)"])
def test_what_only_markdown_makes_of_it_is_sanitised_too(source: str) -> None:
    shown = written("markdown", source)
    assert not re.search("[\x1b\x80-\x9f\u202e]", shown)


_MARKDOWN = st.lists(
    st.sampled_from(
        ["*", "_", "`", "\n```", "\n~~~", "[", "](", ")", "<http://", ">", "|", "\n|-|", "- ", "1. ", "\n", "\n\n",
         "    ", "\t", "# ", "&#27;", "&#8238;", "%1b", "\x1b]8;;x\x07", "\x9b", "!", "http://a", "日", "[/b]", "py"]
    ),
    max_size=30,
).map("".join)  # fmt: skip


@given(_MARKDOWN, st.integers(1, 120), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_markdown_is_shown_and_only_colours_it(text: str, columns: int, color: bool) -> None:
    shown = written("markdown", text, color=color, columns=columns)
    if color:
        shown = _SGR.sub("", shown)
    assert sanitize(shown) == shown
    assert not shown.endswith("\n\n")


@pytest.mark.parametrize("block", [">" * 3000 + " x", "- " * 3000, "[" * 5000, "![" * 3000, "*a" * 5000, "|" * 3000])
def test_hostile_nesting_is_shown_too(block: str) -> None:
    assert isinstance(render_block(block, 80, color=True), str)


class Broken(io.BytesIO):
    """A stream whose other side has a problem."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def flush(self) -> None:
        raise self._error


@pytest.mark.parametrize("error", [BrokenPipeError(), ConnectionResetError(), ValueError("closed file")])
def test_a_reader_that_is_gone(error: Exception) -> None:
    with pytest.raises(ClosedOutput):
        AnswerWriter(Broken(error), "exact").write("x")


def test_a_full_disk() -> None:
    full = Broken(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(StorageUnwritable, match="No space left") as caught:
        AnswerWriter(full, "exact").write("x")
    assert caught.value.exit_code == 7


def test_a_program_without_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(ClosedOutput):
        binary_stdout()


_WRITER = """
import sys
from llmchat_tui.cli.render import AnswerWriter, ClosedOutput, binary_stdout
from llmchat_tui.errors import UserError
try:
    AnswerWriter(binary_stdout(), "exact").write("é" * 100_000)
except (ClosedOutput, UserError) as error:
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize(("target", "code"), [("/dev/full", 7), ("closed pipe", 141), ("/dev/null", 0)])
def test_nothing_is_said_at_exit(target: str, code: int) -> None:
    """The interpreter flushes stdout once more at exit and would complain on stderr."""
    if target == "closed pipe":
        reader, descriptor = os.pipe()
        os.close(reader)
    elif os.path.exists(target):
        descriptor = os.open(target, os.O_WRONLY)
    else:
        pytest.skip(f"this system has no {target}")
    environ = {"PYTHONPATH": os.pathsep.join(str(ROOT / room) for room in ("engine", "rag", "tui")), "LC_ALL": "C"}
    try:
        done = subprocess.run([sys.executable, "-c", _WRITER], stdout=descriptor, stderr=subprocess.PIPE, env=environ)
    finally:
        os.close(descriptor)
    assert (done.returncode, done.stderr) == (code, b"")
