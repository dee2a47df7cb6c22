"""Signals of one command: the first stops what is watched, the second ends the command, and the old handlers return."""

from __future__ import annotations

import contextlib
import signal
import threading
import time

import pytest

from llmchat_tui.cli.interrupts import Interrupted, catch_signals

CODES = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.mark.parametrize(("number", "code"), CODES)
def test_the_first_stops_and_the_second_ends(number: signal.Signals, code: int) -> None:
    stopped = threading.Event()
    with catch_signals() as interrupts, interrupts.watch(stopped.set):
        signal.raise_signal(number)
        assert stopped.wait(5)
        assert interrupts.code == code
        with pytest.raises(Interrupted) as caught:
            signal.raise_signal(number)
        assert caught.value.code == code


@pytest.mark.parametrize(("number", "code"), CODES)
def test_with_nothing_to_stop_it_ends_at_once(number: signal.Signals, code: int) -> None:
    with catch_signals() as interrupts:
        with pytest.raises(Interrupted) as caught:
            signal.raise_signal(number)
        assert caught.value.code == interrupts.code == code


def test_the_newest_signal_decides_the_code() -> None:
    with catch_signals() as interrupts, interrupts.watch(lambda: None):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted) as caught:
            signal.raise_signal(signal.SIGTERM)
        assert caught.value.code == 143


def test_stopping_runs_in_another_thread() -> None:
    """The interrupted code may hold the lock that stopping needs."""
    lock, stopped = threading.Lock(), threading.Event()

    def stop() -> None:
        with lock:
            stopped.set()

    with catch_signals() as interrupts, interrupts.watch(stop):
        with lock:
            signal.raise_signal(signal.SIGINT)
            assert not stopped.is_set()
        assert stopped.wait(5)


def test_after_a_reset_the_next_is_the_first_again() -> None:
    stops: list[int] = []
    with catch_signals() as interrupts:
        for _ in range(3):
            done = threading.Event()
            with interrupts.watch(done.set):
                signal.raise_signal(signal.SIGINT)
                assert done.wait(5)
            stops.append(interrupts.code)
            interrupts.reset()
        assert (stops, interrupts.code) == ([130, 130, 130], 0)


def test_when_the_watch_is_over_a_signal_ends_the_command() -> None:
    with catch_signals() as interrupts:
        with interrupts.watch(lambda: None):
            pass
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)


def test_the_old_handlers_return() -> None:
    before = [signal.getsignal(number) for number, _ in CODES]
    with contextlib.suppress(ValueError), catch_signals():
        assert [signal.getsignal(number) for number, _ in CODES] != before
        raise ValueError
    assert [signal.getsignal(number) for number, _ in CODES] == before


def test_nothing_but_the_edge_may_take_it() -> None:
    assert not issubclass(Interrupted, Exception)


class _Signals:
    """Its finalizer is where the signal arrives: what is raised there is lost to everybody."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGHUP)


def test_a_signal_lost_in_a_finalizer_still_ends_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    with catch_signals(), pytest.raises(Interrupted) as caught:
        _lose_a_signal()
    assert time.monotonic() - began < 4, "what it waits in ends"
    assert caught.value.code == 129
    assert capsys.readouterr().err == ""


def _lose_a_signal() -> None:
    _Signals()
    time.sleep(5)


def test_other_lost_exceptions_are_told_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", lambda unraisable: told.append(unraisable.exc_value))
    with catch_signals():
        _Fails()
    assert isinstance(told[0], ZeroDivisionError)


class _Fails:
    def __del__(self) -> None:
        raise ZeroDivisionError
