"""Copying: which tool is asked, what it is given, and that nothing that fails is more than words."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from llmchat_tui import clipboard
from llmchat_tui.clipboard import copy


class Desktop:
    """A directory of tools that write down what they are given, and a terminal that does the same."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.terminal: list[str] = []
        self.environ = {"PATH": f"{directory}:/usr/bin:/bin"}

    def add(self, name: str, script: str = 'cat > "$0.got"; echo "$@" > "$0.args"') -> None:
        path = self.directory / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def got(self, name: str) -> bytes | None:
        path = self.directory / f"{name}.got"
        return path.read_bytes() if path.exists() else None

    def copy(self, text: str, **environ: str) -> str:
        return copy(text, self.environ | environ, self.terminal.append)


@pytest.fixture
def desktop(tmp_path: Path) -> Desktop:
    return Desktop(tmp_path)


def test_a_terminal_alone(desktop: Desktop) -> None:
    assert desktop.copy("text") == "copied (terminal)"
    assert desktop.terminal == ["text"]
    assert desktop.copy("") == "nothing to copy"


@pytest.mark.parametrize(
    ("tool", "variable", "arguments"),
    [
        ("wl-copy", "WAYLAND_DISPLAY", ""),
        ("xclip", "DISPLAY", "-selection clipboard"),
        ("xsel", "DISPLAY", "--clipboard --input"),
    ],
)
def test_the_tool_that_fits_the_desktop(tool: str, variable: str, arguments: str, desktop: Desktop) -> None:
    desktop.add(tool)
    assert desktop.copy("größe\n") == "copied (terminal)"
    assert desktop.copy("größe\n", **{variable: ":0"}) == "copied"
    assert desktop.got(tool) == "größe\n".encode()
    assert (desktop.directory / f"{tool}.args").read_text().strip() == arguments
    assert desktop.terminal == ["größe\n"] * 2


def test_windows_wants_utf_16(desktop: Desktop) -> None:
    desktop.add("clip.exe")
    assert desktop.copy("größe", WSL_DISTRO_NAME="Debian") == "copied"
    assert desktop.got("clip.exe") == "größe".encode("utf-16-le")


def test_a_mac(desktop: Desktop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    desktop.add("pbcopy", 'cat > "$0.got"; [ "$LC_CTYPE" = UTF-8 ]')
    assert desktop.copy("größe") == "copied"


def test_tmux_takes_it_beside_the_desktop(desktop: Desktop) -> None:
    desktop.add("tmux")
    assert desktop.copy("text", TMUX="/tmp/x,1,0") == "copied (terminal)"
    assert (desktop.directory / "tmux.args").read_text() == "load-buffer -w -\n"
    desktop.add("wl-copy")
    assert desktop.copy("more", TMUX="/tmp/x,1,0", WAYLAND_DISPLAY="wayland-0") == "copied"
    assert desktop.got("tmux") == desktop.got("wl-copy") == b"more"


def test_a_tool_that_fails_is_followed_by_the_next(desktop: Desktop) -> None:
    desktop.add("wl-copy", "exit 1")
    desktop.add("xclip", "kill -9 $$")
    (desktop.directory / "xsel").write_text("no program")
    (desktop.directory / "xsel").chmod(0o755)
    assert desktop.copy("text", DISPLAY=":0", WAYLAND_DISPLAY="w") == "copied (terminal)"
    desktop.add("xsel")
    assert desktop.copy("text", DISPLAY=":0", WAYLAND_DISPLAY="w") == "copied"


def test_a_tool_that_hangs_is_given_up(desktop: Desktop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clipboard, "TIMEOUT_SECONDS", 0.2)
    desktop.add("wl-copy", "exec sleep 60")
    began = time.monotonic()
    assert desktop.copy("x" * 50_000, WAYLAND_DISPLAY="w") == "copied (terminal)"
    assert time.monotonic() - began < 5


def test_a_tool_that_stays_behind_is_not_waited_for(desktop: Desktop) -> None:
    desktop.add("xclip", 'cat > "$0.got"; sleep 5 & exit 0')
    began = time.monotonic()
    assert desktop.copy("text", DISPLAY=":0") == "copied"
    assert time.monotonic() - began < 2


def test_what_a_shell_would_obey_is_not_copied(desktop: Desktop) -> None:
    desktop.add("wl-copy")
    evil = "ls\x1b[201~\nrm -rf ~\r\x9b31m\u202e\ud800\x03\ttab"
    desktop.copy(evil, WAYLAND_DISPLAY="w")
    copied = (desktop.got("wl-copy") or b"").decode()
    assert copied == desktop.terminal[0]
    assert copied == "ls␛[201~\nrm -rf ~\ufffd31m\ufffd\ufffd␃\ttab"


def test_a_long_text_goes_to_the_tool_and_not_half_to_the_terminal(desktop: Desktop) -> None:
    long = "x" * 60_000
    assert desktop.copy(long) == "copied (terminal; 60,000 characters, many terminals cut at 56,245 bytes)"
    assert desktop.terminal == [long]
    desktop.add("xclip")
    assert desktop.copy(long, DISPLAY=":0") == "copied"
    assert desktop.terminal == [long]
    assert desktop.got("xclip") == long.encode()
