"""Odd command lines, more than a hundred: never a traceback, always a code of the table, never an escape on stderr."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.tui.asking import ask, sent
from tests.tui.terminal import unexpected

EVIL = "\x1b]52;c;QQ==\x07\x9b31m\u202e"
_NUMBERS = ("nan", "inf", "-inf", "-1", "1e400", "9" * 30, "0x10", "", " ", "one", EVIL, "٣", "1_0", "1,5")
_FLAGS = (
    "--temperature",
    "--top-k",
    "--top-p",
    "--min-p",
    "--seed",
    "--max-tokens",
    "--ctx",
    "--gpu-layers",
    "--threads",
    "--timeout",
)
NUMBERS = [(flag, number, "hi") for flag in _FLAGS for number in _NUMBERS]
OTHERS: list[tuple[str, ...]] = [
    (), ("",), ("-",), ("--",), ("--", "-"), ("-x",), ("-f",), ("-f", ""), ("-f", "-"), ("-f", "/"),
    ("-f", "/dev/zero", "hi"), ("-f", EVIL, "hi"), ("-f", "[", "hi"), ("-f", "**", "hi"), ("-f", "\udcff", "hi"),
    ("-m", ""), ("-m", EVIL, "hi"), ("-m", "/", "hi"), ("-m", "x/" * 3000, "hi"), ("-m", "\udcff/x.gguf", "hi"),
    ("-s",), ("-s", "", "hi"), ("-s", "\udcff", "hi"), ("-s", EVIL, "hi"), ("--sf", "", "hi"), ("--sf", "/", "hi"),
    ("--sf", EVIL, "hi"), ("--sf", "\udcff", "hi"), ("-c", "hi"), ("-cn", "hi"), ("--cid", "", "hi"),
    ("--cid", EVIL, "hi"), ("--cid", "\udcff", "hi"), ("--cid", "%", "hi"),
    ("--cid", "'; DROP TABLE messages; --", "hi"), ("-c", "--cid", "x", "hi"), ("-xnuq", "hi"), ("-x", "--xl", "hi"),
    ("-o",), ("-o", "x"), ("-o", "x", "y", "hi"), ("-o", EVIL, EVIL, "hi"), ("-o", "stop", "", "hi"),
    ("-o", "stop", "[", "hi"), ("-o", "stop", "[1]", "hi"), ("-o", "seed", "9" * 5000, "hi"),
    ("-o", "\udcff", "\udcff", "hi"), ("-o", "__class__", "1", "hi"), ("--stop", "", "hi"), ("--stop", EVIL, "hi"),
    ("--stop", "\udcff", "hi"), ("--keepalive", "soon", "hi"), ("--keepalive", EVIL, "hi"),
    ("--keepalive", "9" * 400, "hi"), ("--color", "red", "hi"), ("--color", EVIL, "hi"), ("--no-such-flag",),
    (f"--{EVIL}",), ("-" + EVIL,), ("-é",), ("--temp=", "hi"), ("--temp",), ("--md", "--no-md", "hi"),
    ("--raw", "--json", "--no-stream", "hi"), ("--json", "-x", "hi"), ("--dry-run", "--json", "hi"),
    ("--verbose", "-u", "-q", "hi"), ("hi" * 100_000,), ("\udcff",), (EVIL,), ("\x00",), ("a\nb",), (" ", "\t"),
    ("--help", "--no-such"), ("-h",), ("--timeout", "1e-300", "hi"), ("--timeout", "0", "hi"),
    ("--system-file", "x", "--system", "y", "hi"),
]  # fmt: skip
CODES = {0, 1, 2, 3, 4, 7, 9}


@pytest.mark.parametrize(
    "stdin", [None, b"", b"\xff\xfe\x00", EVIL.encode()], ids=["closed", "empty", "half", "escapes"]
)
def test_no_traceback_and_no_escape(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stdin: bytes | None
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(NUMBERS) + len(OTHERS) > 200
    for arguments in (*NUMBERS, *OTHERS) if stdin is None else OTHERS:
        if arguments[:2] == ("-f", "/"):  # reads the whole disk, in a while
            continue
        asked = ask(home, *arguments, stdin=stdin)
        assert asked.code in CODES, (sent(arguments), asked)
        assert "Traceback" not in asked.err, sent(arguments)
        assert unexpected(asked.err.encode()) == [], (sent(arguments), asked.err)
        assert (asked.out == "") == (asked.code != 0), (sent(arguments), asked)
        if asked.code:
            first, *rest = [line for line in asked.err.splitlines() if not line.startswith("llmchat: warning: ")]
            assert first.startswith("llmchat: error: "), asked.err
            assert len(rest) <= 1
            assert all(line.startswith("hint: ") for line in rest)


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "9" * 30, "one"])
@pytest.mark.parametrize("flag", _FLAGS)
def test_a_number_out_of_range_is_a_usage_error(home: Path, flag: str, number: str) -> None:
    allowed = (flag, number) == ("--gpu-layers", "-1")
    assert ask(home, flag, number, "hi").code == (0 if allowed else 2)


def test_a_name_of_a_model_that_is_no_utf8(home: Path) -> None:
    file = home.parent / os.fsdecode(b"caf\xe9.gguf")
    file.touch()
    assert ask(home, "-m", str(file), "hi").code == 0
