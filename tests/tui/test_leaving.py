"""Signals end the program in order: each in a process of its own, since a second one ends it by force."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.tui.asking import ROOT

from llmchat_tui.leaving import CODES, RESTORE, Terminal

_CHILD = """
import asyncio, os, signal, sys, threading, time
from llmchat_tui import leaving

class Terminal:
    def restore(self): print("restored", flush=True)

leaving.LONGEST_SECONDS = float(sys.argv[1])

async def main():
    told = asyncio.get_running_loop().create_future()
    def leave(code):
        print("leave", code, flush=True)
        told.cancelled() or told.done() or told.set_result(code)
    leaving.catch_signals(leave, Terminal())
    for number in map(int, sys.argv[3].split(",")):
        os.kill(os.getpid(), number)
    if sys.argv[2] == "hangs":
        threading.Event().wait()
    code = await told
    await asyncio.sleep(0)
    print("left", code, flush=True)
    os._exit(code)

asyncio.run(main())
"""


def run(*signals: int, hangs: bool = False, longest: float = 30) -> tuple[int, list[str]]:
    """Returns how a process ends that gets these signals, and what it says."""
    numbers = ",".join(str(int(number)) for number in signals)
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(longest), "hangs" if hangs else "leaves", numbers],
        capture_output=True,
        text=True,
        cwd=ROOT / "tui",
        timeout=60,
        env={"PYTHONPATH": f"{ROOT / 'tui'}:{ROOT / 'engine'}"},
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize(("number", "code"), CODES.items(), ids=lambda value: str(getattr(value, "name", value)))
def test_a_signal_leaves_in_order_with_its_code(number: int, code: int) -> None:
    assert run(number) == (code, [f"leave {code}", f"left {code}"])


def test_a_second_signal_ends_at_once() -> None:
    assert run(signal.SIGTERM, signal.SIGINT) == (130, ["restored"])


def test_a_second_hang_up_is_the_same_one() -> None:
    """The kernel and the driver may both tell of it."""
    assert run(signal.SIGHUP, signal.SIGHUP, signal.SIGHUP) == (129, ["leave 129", "left 129"])
    assert run(signal.SIGTERM, signal.SIGHUP) == (143, ["leave 143", "left 143"])


def test_a_screen_that_hangs_is_ended_by_force() -> None:
    assert run(signal.SIGTERM, hangs=True, longest=0.2) == (143, ["restored"])


def test_what_is_restored_is_all_that_the_toolkit_sets() -> None:
    """Every private mode that its driver turns on is off again, and the cursor and the line wrap are on."""
    from textual.drivers import linux_driver

    source = Path(linux_driver.__file__).read_text()
    code = "\n".join(line for line in source.splitlines() if not line.strip().startswith("#"))
    turned_on = set(re.findall(r"x1b\[\?(\d+)h", code)) - {"25", "7"}
    turned_off = set(re.findall(r"\x1b\[\?(\d+)l", RESTORE))
    assert len(turned_on) >= 5 and turned_on <= turned_off
    assert {"25", "7"} == set(re.findall(r"\x1b\[\?(\d+)h", RESTORE))
    assert "\x1b[<u" in RESTORE


def test_without_a_terminal_there_is_nothing_to_give_back(capfd: pytest.CaptureFixture[str]) -> None:
    """Under pytest stdin is no terminal."""
    terminal = Terminal()
    terminal.cook()
    terminal.restore()
    assert capfd.readouterr().err == RESTORE


def test_a_closed_stderr_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "__stderr__", None)
    monkeypatch.setattr(sys, "__stdin__", None)
    Terminal().restore()
