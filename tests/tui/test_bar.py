"""How far long work is: its words, its line on a terminal and nothing elsewhere, and how a signal stops it."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Generator

import pytest

from llmchat_engine.errors import HubUnreachable
from llmchat_engine.models.progress import Progress
from llmchat_tui.cli.bar import Bar, told, watch
from llmchat_tui.cli.interrupts import Interrupted, catch_signals
from llmchat_tui.console import Console, Look
from llmchat_tui.progress_words import shortened, size_text, time_text

WATCHED = Look(stdout_is_terminal=True, stderr_is_terminal=True)
GEMMA = Progress("downloading", 1_600_000_000, 2_500_000_000, "bytes", 38e6, "gemma-3-4b-Q4_K_M.gguf")


def test_a_download_in_words() -> None:
    assert told(GEMMA, 120) == "downloading gemma-3-4b-Q4_K_M.gguf  ▕███████▋░░░░▏ 1.6 of 2.5 GB · 38 MB/s · 24 s left"


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress("waiting for another llmchat", 0, 0, "bytes", what="a.gguf"), "waiting for another llmchat a.gguf"),
        (Progress("a", 80, 320, "tensors", 40.0), "a  ▕███░░░░░░░░░▏ 80 of 320 tensors · 40 tensors/s · 6 s left"),
        (Progress("measuring", 512, 0, "tokens"), "measuring  512 tokens"),
        (Progress("downloading", 5_000, 0, "bytes", what="a"), "downloading a  5 kB"),
        (Progress("downloading", 900_000_000, 2_000_000_000, "bytes"), "downloading  ▕█████▍░░░░░░▏ 900 MB of 2.0 GB"),
        (Progress("verifying", 10, 10, "files", 0.1), "verifying  ▕████████████▏ 10 of 10 files"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_left_out(progress: Progress, line: str) -> None:
    assert told(progress, 120) == line


def test_a_long_name_is_cut_and_its_end_stays() -> None:
    line = told(Progress("downloading", 1, 2, "bytes", 1e6, "model-" * 30 + "Q4_K_M.gguf"), 80)
    assert len(line) <= 80
    assert "…" in line
    assert "Q4_K_M.gguf  ▕" in line
    assert shortened("abcdefghij", 6) == "a…ghij"


def test_names_are_data() -> None:
    line = told(Progress("downloading", 1, 2, "bytes", what="a\x1b[31m\nb"))
    assert "\x1b" not in line
    assert "\n" not in line


def test_sizes_and_times() -> None:
    assert [size_text(size) for size in (98_000_000, 999_600_000, 1_230, 0)] == ["98 MB", "1.0 GB", "1 kB", "0 kB"]
    assert [time_text(seconds) for seconds in (0.2, 24, 150, 7_800)] == ["1 s", "24 s", "2 min", "2 h 10 min"]


def test_the_result_comes_back_and_the_line_goes_away() -> None:
    stream = io.StringIO()
    assert watch(Console(stream, WATCHED), _work()) == 3
    assert "downloading" in stream.getvalue()
    assert stream.getvalue().endswith("\r")


@pytest.mark.parametrize(
    "look", [Look(), Look(stderr_is_terminal=True), Look(True, True, quiet=True), Look(True, True, dumb=True)]
)
def test_where_nobody_watches_nothing_is_written(look: Look) -> None:
    stream = io.StringIO()
    assert watch(Console(stream, look), _work()) == 3
    assert stream.getvalue() == ""


def test_at_most_ten_times_a_second_but_a_new_stage_at_once() -> None:
    stream, now = io.StringIO(), [5.0]
    bar = Bar(Console(stream, WATCHED), lambda: now[0])
    for stage, at in (("one", 5.0), ("one", 5.05), ("one", 5.11), ("two", 5.12), ("two", 5.13)):
        now[0] = at
        bar.show(Progress(stage, 1, 2, "files"))
    assert stream.getvalue().count("\r") == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_closes_the_work_and_ends_the_command(number: signal.Signals, code: int) -> None:
    closed: list[bool] = []
    stream = io.StringIO()
    with pytest.raises(Interrupted) as caught:
        watch(Console(stream, WATCHED), _endless(number, closed))
    assert (caught.value.code, closed) == (code, [True])
    assert stream.getvalue().endswith("\r")


def test_signals_that_the_command_catches_are_used() -> None:
    closed: list[bool] = []
    with catch_signals() as interrupts, pytest.raises(Interrupted):
        watch(Console(None, WATCHED), _endless(signal.SIGINT, closed), interrupts)
    assert (interrupts.code, closed) == (130, [True])


def test_a_failure_passes_through() -> None:
    stream = io.StringIO()
    with pytest.raises(HubUnreachable):
        watch(Console(stream, WATCHED), _failing())
    assert stream.getvalue().endswith("\r")


def _work() -> Generator[Progress, None, int]:
    for done in range(3):
        yield Progress("downloading", done, 3, "bytes", what="a.gguf")
    return 3


def _endless(number: signal.Signals, closed: list[bool]) -> Generator[Progress, None, None]:
    try:
        yield Progress("downloading", 0, 1, "bytes")
        os.kill(os.getpid(), number)
        while True:
            yield Progress("downloading", 0, 1, "bytes")
    finally:
        closed.append(True)


def _failing() -> Generator[Progress, None, None]:
    yield Progress("downloading", 0, 1, "bytes")
    raise HubUnreachable("the hub cannot be reached")
