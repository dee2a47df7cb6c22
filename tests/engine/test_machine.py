"""What the machine is said to have: cards that are asked in time, and a speed of memory that is remembered."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from llmchat_engine.host import bandwidth, devices
from llmchat_engine.models.fit import machine
from llmchat_engine.models.fit.machine import (
    CARD_MARGIN,
    Card,
    Machine,
    known_bandwidth,
    read_cards,
    read_machine,
    room_of,
)
from llmchat_engine.models.fit.memory import Free

DAY = 86_400.0
GIB = 1 << 30


class Asked:
    """Answers for throw-away processes, and keeps what was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), []  # type: ignore[var-annotated]

    def __call__(self, arguments: Sequence[str]) -> str:
        self.asked.append(arguments[0])
        return self.answers.pop(0)


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time()
    monkeypatch.setattr("llmchat_engine.models.fit.machine.time.time", lambda: now + seconds)


def test_the_speed_is_measured_once_and_remembered(tmp_path: Path) -> None:
    assert known_bandwidth(tmp_path) == 0.0
    run = Asked("3e10")
    assert read_machine(tmp_path, run=run).bandwidth == 3e10
    assert read_machine(tmp_path, run=run).bandwidth == 3e10
    assert known_bandwidth(tmp_path) == 3e10
    assert run.asked == ["llmchat_engine.host.bandwidth"]


def test_without_measuring_nobody_is_asked(tmp_path: Path) -> None:
    run = Asked()
    assert read_machine(tmp_path, measure=False, run=run).bandwidth == 0.0
    assert run.asked == []
    assert list(tmp_path.iterdir()) == []


def test_the_highest_of_several_days_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for day, said, kept in ((0, "3e10", 3e10), (2, "1e10", 3e10), (4, "4e10", 4e10)):
        later(monkeypatch, day * DAY)
        assert read_machine(tmp_path, run=Asked(said)).bandwidth == kept


def test_after_a_month_it_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_machine(tmp_path, run=Asked("3e10"))
    later(monkeypatch, 31 * DAY)
    assert known_bandwidth(tmp_path) == 0.0
    assert read_machine(tmp_path, run=Asked("1e10")).bandwidth == 1e10


@pytest.mark.parametrize("said", ["", "nan", "inf", "-1", "0", "a lot"])
def test_nonsense_is_not_remembered(tmp_path: Path, said: str) -> None:
    assert read_machine(tmp_path, run=Asked(said)).bandwidth == 0.0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", '{"bandwidth":1e30,"since":0,"at":0}', '{"bandwidth":-1}', "[]"])
def test_a_damaged_memory_counts_as_none(tmp_path: Path, text: str) -> None:
    read_machine(tmp_path, run=Asked("3e10"))
    (kept,) = tmp_path.iterdir()
    kept.write_text(text)
    assert known_bandwidth(tmp_path) == 0.0
    assert read_machine(tmp_path, run=Asked("2e10")).bandwidth == 2e10


def test_a_directory_that_cannot_be_written_costs_the_memory_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert read_machine(tmp_path / "file", run=Asked("3e10")).bandwidth == 3e10


def test_what_is_remembered_is_private(tmp_path: Path) -> None:
    state = tmp_path / "home" / "state"
    assert read_machine(state, run=Asked("3e10")).bandwidth == 3e10
    (kept,) = state.iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (state.parent, state, kept)] == [0o700, 0o700, 0o600]


def test_cards_are_asked_only_where_the_build_is_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [
        {"name": "H100", "kind": "gpu", "free": 70 * GIB, "total": 80 * GIB},
        {"name": "of the CPU", "kind": "igpu", "free": 9 * GIB, "total": 9 * GIB},
    ]
    run = Asked(json.dumps(cards), json.dumps(cards[1:]), "[]", "not JSON", "")
    monkeypatch.setattr(machine, "has_own_memory", lambda _: False)
    assert read_cards(run) == ()
    monkeypatch.setattr(machine, "has_own_memory", lambda _: True)
    assert read_cards(run) == (Card("H100", "gpu", 70 * GIB, 80 * GIB),)
    assert [read_cards(run) for _ in range(4)] == [(), (), None, None]


def test_a_card_that_cannot_be_asked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "has_own_memory", lambda _: True)
    run = Asked("", "[]")
    found = read_machine(tmp_path, measure=False, run=run)
    assert found.card_unknown
    assert found.cards == ()
    assert not read_machine(tmp_path, measure=False, run=run).card_unknown


def test_room_is_on_cards_where_they_are_larger() -> None:
    free = Free(16 * GIB, "x")
    assert room_of(Machine(free)) == 12 * GIB
    large, small = (Card("c", "gpu", size * GIB, size * GIB) for size in (24, 8))
    assert room_of(Machine(free, (large, small))) == 32 * GIB - 2 * CARD_MARGIN
    assert room_of(Machine(free, (small,))) == 12 * GIB


def test_a_real_measurement(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert bandwidth.measure(2, 8 << 20) > 1e6
    monkeypatch.setattr(bandwidth, "BYTES", 1 << 20)
    assert bandwidth.main(["1"]) == 0
    assert float(capsys.readouterr().out) > 1e6


def test_the_real_program_tells_cards_as_one_line() -> None:
    # In a process of its own, as llmchat runs it: the log of the library is the last one's who loaded it.
    told = subprocess.run([sys.executable, "-P", "-m", devices.__name__], capture_output=True, check=True).stdout
    assert isinstance(json.loads(told), list)
