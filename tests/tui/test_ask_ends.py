"""How a running `ask` ends: signals, closed and full outputs, endless inputs. Real processes, a scripted engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.tui.asking import play_of, run_child, run_shell, start, stored, words
from tests.tui.fake_ask_child import Part, Play

SLOW = Play((Part(words(2000)),), tokens_per_second=100)
HANGING = Play((Part("one two three", hang_after=2),))
IN_PREFILL = Play((Part("one", hang_after=0),))
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_keeps_and_prints_what_came(home: Path, number: signal.Signals, code: int) -> None:
    with start(home, "ask", "hi", play=HANGING) as child:
        seen = os.read(child.out.fileno(), 100)
        while b"two" not in seen:
            seen += os.read(child.out.fileno(), 100)
        ended = child.end(number)
    assert (ended.code, seen.decode() + ended.out, ended.err) == (code, "one two\n", "")
    question, reply = stored(home)
    assert (question.text, reply.text, reply.status) == ("hi", "one two", "stopped")


@pytest.mark.parametrize("flags", [("--no-stream",), ("--json",)])
def test_a_signal_prints_a_collected_answer_too(home: Path, flags: tuple[str, ...]) -> None:
    with start(home, "ask", *flags, "hi", play=HANGING) as child:
        child.wait_for("taken")
        ended = child.end(signal.SIGINT)
    assert ended.code == 130
    assert "one two" in ended.out or "one" in ended.out
    assert stored(home)[1].status == "stopped"


def test_the_engine_is_told_to_stop(home: Path) -> None:
    with start(home, "ask", "hi", play=SLOW) as child:
        child.wait_for("taken")
        child.process.send_signal(signal.SIGINT)
        assert child.wait_for("cancelled")
        assert child.wait_for("finished")[1] == "cancelled"
        assert child.end().code == 130


def test_a_second_signal_leaves_at_once(home: Path) -> None:
    deaf = Play((Part(words(5000), hang_after=2),), deaf=True)
    with start(home, "ask", "hi", play=deaf) as child:
        child.wait_for("taken")
        child.process.send_signal(signal.SIGINT)
        child.wait_for("cancelled")
        started = time.monotonic()
        assert child.end(signal.SIGINT).code == 130
        assert time.monotonic() - started < 1
    assert stored(home)[1].status == "stopped"
    assert stored(home)[1].text.startswith("w0")


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_while_stdin_is_read(home: Path, number: signal.Signals, code: int) -> None:
    with start(home, "ask", "hi", stdin=subprocess.PIPE, play=Play(gate=-1)) as child:
        _wait_until_it_catches(child.process.pid, number)
        ended = child.end(number)
    assert (ended.code, ended.out, ended.err) == (code, "", "")
    assert not (home / "chats.db").exists()


def _wait_until_it_catches(pid: int, number: signal.Signals) -> None:
    """Waits for the handler: before it is there, the signal means what it means to every Python program."""
    if not os.path.exists(f"/proc/{pid}/status"):
        pytest.skip("this system does not tell which signals a process handles")
    while True:
        caught = Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")[2].split()[0]
        if all(int(caught, 16) >> (each - 1) & 1 for each, _ in SIGNALS):
            return
        time.sleep(0.005)


@pytest.mark.parametrize("play", [SLOW, IN_PREFILL], ids=["while it answers", "in prefill"])
def test_a_closed_pipe_stops_the_model(home: Path, play: Play) -> None:
    with start(home, "ask", "hi", play=play) as child:
        child.wait_for("asked")
        if play is SLOW:
            assert os.read(child.out.fileno(), 1) == b"w"
        child.out.close()
        started = time.monotonic()
        assert child.process.wait(timeout=10) == 141
        assert time.monotonic() - started < 1
        assert child.process.stderr is not None
        assert child.process.stderr.read() == b""
        child.process.stdout = None
    assert stored(home)[1].status == "stopped"


def test_head(home: Path) -> None:
    done = run_shell(home, "{ $ASK hi; echo $? >&2; } | head -c 2", SLOW)
    assert (done.out, done.err) == ("w0", "141\n")


def test_a_closed_stdout(home: Path) -> None:
    for flags in ("hi", "--json hi", "--no-stream hi", "--dry-run hi"):
        done = run_shell(home, f"$ASK {flags} >&-")
        assert (done.code, done.err) == (141, ""), flags
    assert not (home / "chats.db").exists()


def test_closed_stdin_and_stderr(home: Path) -> None:
    for streams in ("<&-", "2>&-", "<&- 2>&-"):
        done = run_shell(home, f"$ASK hi {streams}")
        assert (done.code, done.out) == (0, "Hello there.\n"), streams
    assert run_shell(home, "$ASK <&- 2>&-").code == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout(home: Path) -> None:
    for flags in ("hi", "--json hi", "--no-stream hi", "--dry-run hi", "--help"):
        done = run_shell(home, f"$ASK {flags} >/dev/full")
        assert (done.code, len(done.err.splitlines()) <= 2) == (7, True), done
        assert "No space left" in done.err
    assert run_shell(home, "$ASK hi 2>/dev/full").out == "Hello there.\n"


def test_an_endless_stdin_costs_neither_time_nor_memory(home: Path) -> None:
    with open("/dev/zero", "rb") as zero:
        started = time.monotonic()
        with start(home, "ask", "hi", stdin=zero) as child:
            (peak,) = (int(words[1]) for words in child.read_reports() if words[0] == "peak")
            took = time.monotonic() - started
            ended = child.end()
    assert (ended.code, ended.out) == (9, "")
    assert "stdin is too large" in ended.err
    assert took < 1 or "CI" in os.environ
    assert peak < 150 << 20


def test_stdin_with_text(home: Path) -> None:
    done = run_shell(home, "printf 'The tower is in Paris.\\n' | $ASK 'Where is it?'")
    assert (done.code, done.out, done.err) == (0, "Hello there.\n", "")
    assert stored(home)[0].text == "The tower is in Paris.\n\nWhere is it?"
    assert run_shell(home, "printf 'caf\\351' | $ASK -").err.count("warning") == 1
    assert run_shell(home, "printf 'a\\000b' | $ASK -").code == 9
    assert run_shell(home, "printf '' | $ASK").code == 2


def test_arguments_that_are_no_utf8(home: Path) -> None:
    asked = run_child(home, "ask", os.fsdecode(b"caf\xe9"), "-s", os.fsdecode(b"\xff"), "--stop", os.fsdecode(b"\xfe"))
    assert (asked.code, asked.out) == (0, "Hello there.\n")
    assert stored(home)[0].text == "caf\ufffd"


def test_an_output_encoding_that_cannot(home: Path) -> None:
    """The answer is UTF-8 whatever the locale."""
    asked = run_child(home, "ask", "hi", play=play_of("日本 é"), LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert (asked.code, asked.out) == (0, "日本 é\n")


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_the_program_does_not_import_what_it_does_not_need(home: Path) -> None:
    done = run_shell(home, f"{sys.executable} -X importtime {Path(__file__).with_name('fake_ask_child.py')} ask hi")
    heavy = ("textual", "rich", "numpy", "llama_cpp", "torch", "asyncio", "logging", "faiss")
    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    assert "llmchat_tui.turn" in imported
    assert imported.isdisjoint(heavy)
