"""The real chat on a pseudo-terminal, driven by keys and signals: what reaches the terminal, and what is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from tests.tui.asking import environment
from tests.tui.chat_terminal import ChatTerminal
from tests.tui.fake_ask_child import Part, Play

from llmchat_tui.history import History, StoredMessage

RUNS = int(os.environ.get("LLMCHAT_TEST_SIGNALS", "10"))
"""Times that each signal comes; 100 before a release."""
LONG = " ".join(f"word{number}" for number in range(3000))
STREAM = Play(scripts=(Part(LONG),), tokens_per_second=200)
HELLO = Play(scripts=(Part("Hello **there**."),))
EVIL = "\x1b]52;c;ZXZpbA==\x07\x1b]0;owned\x07\x1b[31mred\x9b32mC1 \u202eback [/x] [@click=app.quit]x[/] &#27;]0;y %1b"


def terminal(home: Path, play: Play = HELLO, **more: object) -> ChatTerminal:
    environ = environment(home, TERM="xterm-256color", COLORTERM="truecolor", COLORFGBG="15;0")
    return ChatTerminal(environ, play=play, **more)  # type: ignore[arg-type]


def messages(home: Path) -> list[StoredMessage]:
    with History.open(home / "chats.db") as history:
        return [message for chat in history.conversations() for message in history.messages(chat.id)]


def ask_and_wait(chat: ChatTerminal, words: str = "tell me") -> None:
    chat.wait_for("❯")
    chat.wait_for("fake-1B")
    chat.type(f"{words}\r")
    chat.wait_for("word3")


def search(chat: ChatTerminal, words: str) -> None:
    """Opens the first chat that is found."""
    chat.type("\x12")  # ^R
    time.sleep(0.3)
    chat.type(f"{words}\r")


def test_a_question_is_answered_and_the_terminal_given_back(home: Path) -> None:
    with terminal(home) as chat:
        chat.wait_for("fake-1B")
        chat.type("Hi\r")
        chat.wait_for("Hello there.")
        chat.wait_for("tok/s")
        chat.type("\x11")  # ^Q
        assert chat.end() == 0
        assert chat.not_restored() == []
        assert chat.unexpected() == []
    assert [message.text for message in messages(home)] == ["Hi", "Hello **there**."]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_signals_restore_the_terminal_and_lose_nothing(home: Path, number: signal.Signals, code: int) -> None:
    """Each run in a home of its own; the signal comes somewhere in the stream, with a draft in the prompt."""

    def run(index: int) -> None:
        own = home.parent / f"run{index}"
        with terminal(own, STREAM) as chat:
            ask_and_wait(chat)
            chat.type("a draft")
            time.sleep((index * 37 % 200) / 1000)
            chat.child.send_signal(number)
            assert chat.end() == code
            assert chat.not_restored() == []
            assert chat.unexpected() == []
        question, reply = messages(own)
        assert question.text == "tell me"
        assert reply.status == "stopped"
        assert reply.text and LONG.startswith(reply.text)
        with History.open(own / "chats.db") as history:
            draft = history.draft(question.conversation_id)
            assert "a draft".startswith(draft) and (draft or index * 37 % 200 < 100)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run, range(RUNS if number != signal.SIGINT else 2)))


def test_a_terminal_that_goes_away_ends_the_chat_and_keeps_the_reply(home: Path) -> None:
    with terminal(home, STREAM) as chat:
        ask_and_wait(chat)
        chat.hang_up()
        assert chat.end() == 129
    question, reply = messages(home)
    assert (question.text, reply.status) == ("tell me", "stopped")
    assert reply.text


def test_kill_9_loses_at_most_half_a_second(home: Path) -> None:
    with terminal(home, STREAM) as chat:
        ask_and_wait(chat)
        time.sleep(1)
        shown = len(chat.text())
        chat.child.kill()
        chat.end()
    question, reply = messages(home)
    assert question.text == "tell me"
    assert reply.status == "interrupted"
    assert LONG.startswith(reply.text) and len(reply.text) > shown * 0.2
    with terminal(home) as chat:
        chat.wait_for("fake-1B")
        search(chat, "tell")
        chat.wait_for("was killed")


def test_stop_and_continue_paint_again(home: Path) -> None:
    with terminal(home, STREAM) as chat:
        ask_and_wait(chat)
        chat.child.send_signal(signal.SIGTSTP)
        chat.wait_until(lambda: _is_stopped(chat.child.pid), "stop")
        chat.wait_until(lambda: chat.modes()["1049"] is False, "the shell's screen")
        chat.child.send_signal(signal.SIGCONT)
        chat.wait_until(partial(_paints_again, chat, len(chat.bytes())), "a new paint")
        chat.wait_for("tok/s")
        chat.type("\x11")
        assert chat.end() == 0
        assert chat.not_restored() == []


def _paints_again(chat: ChatTerminal, before: int) -> bool:
    return chat.modes()["1049"] and len(chat.bytes()) > before + 500


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_storm_of_sizes_breaks_nothing(home: Path) -> None:
    with terminal(home, STREAM) as chat:
        ask_and_wait(chat)
        for index in range(60):
            chat.resize(*((1, 1), (10, 3), (300, 100), (40, 10), (80, 24), (7, 2), (200, 60))[index % 7])
            time.sleep(0.01)
        chat.resize(80, 24)
        chat.wait_for("tok/s")
        chat.type("still here")
        chat.wait_for("still here")
        chat.type("\x11")
        assert chat.end() == 0
        assert chat.not_restored() == []


def test_control_c_stops_then_asks_then_leaves(home: Path) -> None:
    with terminal(home, STREAM) as chat:
        ask_and_wait(chat)
        chat.type("\x03")
        chat.wait_for("stopped")
        chat.type("my draft")
        chat.type("\x03")
        chat.wait_for("Ctrl+C again leaves")
        chat.type("\x03")
        assert chat.end() == 0
    with terminal(home, arguments=["chat", "-c"]) as chat:
        chat.wait_for("my draft")


def test_text_from_models_files_and_titles_never_reaches_the_terminal_as_a_command(home: Path) -> None:
    (home.parent / "evil\x1b]0;x\x07.txt").write_text("file " + EVIL)
    with History.open(home / "chats.db") as history:
        begun = history.begin("old " + EVIL, title="title " + EVIL, system=EVIL)
        del begun
    play = Play(scripts=(Part(f"say {EVIL}\n\n```py{EVIL}\nx = 1 {EVIL}\n```\n[l](http://x/{EVIL})\n", notice=EVIL),
                         Part(crash=EVIL)), model_name="model " + EVIL)  # fmt: skip
    with terminal(home, play, size=(140, 50)) as chat:
        chat.wait_for("title")
        chat.paste("pasted " + EVIL)
        chat.type("\r")
        chat.wait_for("tok/s")
        chat.type("/show\r")
        chat.wait_for("quantisation")
        chat.type("\x1b")
        chat.wait_gone("quantisation")
        time.sleep(0.3)
        search(chat, "old")
        chat.wait_for("interrupted")
        chat.type("\x1bOR")  # F3: this chat
        chat.wait_for("^S save")
        chat.type("\x1b")
        chat.wait_gone("^S save")
        chat.type("\x1b")  # from the found message to the prompt
        time.sleep(0.5)
        chat.type("again\r")
        chat.wait_for("everything is saved")
        chat.type("@evil")
        chat.type("\x1b")
        chat.type("\x11")
        assert chat.end() == 0
        assert chat.unexpected() == []
        assert "\x1b[31mred" not in chat.bytes().decode(errors="replace")


@pytest.mark.parametrize("term", ["dumb", "", "unknown"])
def test_a_terminal_that_cannot_be_painted_on_is_refused(home: Path, term: str) -> None:
    with ChatTerminal(environment(home, TERM=term), play=HELLO) as chat:
        assert chat.end() == 2
        assert b"\x1b" not in chat.bytes()
        assert "llmchat chat --plain" in chat.text() and "llmchat ask" in chat.text()


def test_without_a_terminal_it_points_to_ask(home: Path) -> None:
    child = [sys.executable, str(Path(__file__).with_name("fake_ask_child.py"))]
    done = subprocess.run(child, env=environment(home), stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"llmchat: error: the chat needs a terminal" in done.stderr and b"hint: llmchat ask" in done.stderr


@pytest.mark.parametrize(
    "look",
    [{"TERM": "xterm"}, {"TERM": "xterm-16color"}, {"TERM": "linux"}, {"NO_COLOR": "1"}, {"COLORFGBG": "0;15"}],
    ids=str,
)
def test_few_colours_and_light_terminals(home: Path, look: dict[str, str]) -> None:
    environ = {**environment(home, TERM="xterm-256color"), **look}
    with ChatTerminal(environ, play=HELLO) as chat:
        chat.wait_for("fake-1B")
        chat.type("Hi\r")
        chat.wait_for("Hello there.")
        chat.type("\x11")
        assert chat.end() == 0
        assert chat.not_restored() == []
        if "NO_COLOR" in look:
            assert not any(f"\x1b[38;2;{part}" in chat.bytes().decode(errors="replace") for part in ("97;175;239",))
