"""The user's own editor: which one, what it sees, and that a failure changes nothing."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from llmchat_tui.editor import edit_text, find_editor, run_on_terminal
from llmchat_tui.errors import InputError, UserError


class Editor:
    """Stands for an editor: looks at its file and writes another text into it."""

    def __init__(self, writes: bytes | None = None, code: int = 0) -> None:
        self.writes, self.code = writes, code
        self.command: list[str] = []
        self.saw = b""
        self.modes: list[int] = []

    def __call__(self, command: Sequence[str]) -> int:
        self.command = list(command)
        path = Path(command[-1])
        self.saw = path.read_bytes()
        self.modes = [stat.S_IMODE(place.stat().st_mode) for place in (path.parent, path)]
        if self.writes is not None:
            path.write_bytes(self.writes)
        return self.code


ENVIRON = {"VISUAL": "code --wait 'my dir'", "EDITOR": "vi"}


def test_the_text_goes_through_a_private_file_that_is_removed() -> None:
    editor = Editor("größer\n".encode())
    assert edit_text("groß\r\n\x1b", ENVIRON, editor) == "größer"
    assert editor.saw == "groß\r\n\x1b".encode()
    assert editor.modes == [0o700, 0o600]
    assert editor.command[:-1] == ["code", "--wait", "my dir"]
    assert editor.command[-1].endswith(".md")
    assert not Path(editor.command[-1]).parent.exists()


@pytest.mark.parametrize(
    ("before", "written", "after"),
    [("a", b"b\n", "b"), ("a\n", b"b\n", "b\n"), ("a", b"b\n\n", "b\n"), ("a", b"", ""), ("a", b"\xff", "\ufffd")],
)
def test_only_the_line_end_that_the_editor_adds_goes_away(before: str, written: bytes, after: str) -> None:
    assert edit_text(before, ENVIRON, Editor(written)) == after


def test_visual_then_editor_then_what_is_here(tmp_path: Path) -> None:
    assert find_editor({"EDITOR": "vim -u NONE"}) == ["vim", "-u", "NONE"]
    assert find_editor({"VISUAL": " ", "EDITOR": "ed"}) == ["ed"]
    for name in ("vi", "nano"):
        (tmp_path / name).touch(0o755)
        assert find_editor({"PATH": str(tmp_path)}) == [str(tmp_path / name)]


def test_no_editor_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no editor") as caught:
        find_editor({"PATH": str(tmp_path)})
    assert caught.value.hint == "export EDITOR=nano"


@pytest.mark.parametrize("command", ["vi 'half", "''", "no-such-editor-here"])
def test_an_editor_that_cannot_be_started(command: str) -> None:
    with pytest.raises(UserError) as caught:
        edit_text("a", {"EDITOR": command}, run_on_terminal)
    assert caught.value.hint in ("export EDITOR=nano", "")


@pytest.mark.parametrize(("code", "words"), [(1, "exit code 1"), (-9, "signal 9")])
def test_an_editor_that_fails_changes_nothing(code: int, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        edit_text("a", ENVIRON, Editor(b"half written", code))
    assert "the old text is kept" in str(caught.value)


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(InputError, match="looks binary"):
        edit_text("a", ENVIRON, Editor(b"\0"))

    def remove(command: Sequence[str]) -> int:
        os.unlink(command[-1])
        return 0

    with pytest.raises(UserError, match="left no file"):
        edit_text("a", ENVIRON, remove)


def test_an_interrupt_is_for_the_editor_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    script = "import os, signal; os.kill(os.getppid(), signal.SIGINT); signal.raise_signal(signal.SIGINT)"
    assert run_on_terminal([sys.executable, "-c", f"try:\n {script}\nexcept KeyboardInterrupt:\n exit(7)"]) == 7
    assert signal.getsignal(signal.SIGINT) is before
