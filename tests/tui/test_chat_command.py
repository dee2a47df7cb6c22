"""The line-by-line chat, typed into on a pseudo-terminal, with a scripted engine."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest
from tests.tui.asking import CHILD, ask, child_environment, play_of, stored, words
from tests.tui.fake_ask_child import Part, Play
from tests.tui.stored import add_turn

from llmchat_tui.history import History

PROMPT = "\r\n> "


class Talk:
    """A chat that runs."""

    def __init__(self, child: pexpect.spawn, seen: io.BytesIO) -> None:
        self._child = child
        self._seen = seen

    def say(self, line: str, until: str = PROMPT) -> str:
        """Types a line and returns what is shown up to the next prompt."""
        self._child.sendline(line)
        return self.wait(until)

    def wait(self, until: str = PROMPT) -> str:
        """Returns what is shown up to a text."""
        self._child.expect_exact(until)
        return str(self._child.before)

    def press(self, key: str) -> None:
        """Presses Ctrl and a key."""
        self._child.sendcontrol(key)

    def kill(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self._child.kill(number)

    def end(self) -> int:
        """Waits for the end and returns the exit code."""
        self._child.expect(pexpect.EOF)
        self._child.close()
        code: int = self._child.exitstatus
        return code


@contextmanager
def chat(home: Path, *flags: str, play: Play) -> Iterator[Talk]:
    """Yields a chat whose first prompt is there."""
    seen = io.BytesIO()
    environ = child_environment(home, play, NO_COLOR="1", INPUTRC=os.devnull) | {"TERM": "dumb"}
    arguments = [*CHILD[1:], "chat", "--plain", *flags]
    child = pexpect.spawn(CHILD[0], arguments, env=environ, timeout=15, encoding="utf-8", echo=False)
    try:
        talk = Talk(child, seen)
        talk.wait()
        yield talk
    finally:
        child.close(force=True)


def asked(home: Path) -> list[str]:
    """Returns the texts on disk, the newest chat first."""
    return [message.text for message in stored(home)]


def test_two_turns_and_the_end(home: Path) -> None:
    with chat(home, play=play_of("Paris.", "330 m.")) as talk:
        assert "Paris." in talk.say("Where is the tower?")
        assert "330 m." in talk.say("How high?")
        talk.press("d")
        assert talk.end() == 0
    assert asked(home) == ["Where is the tower?", "Paris.", "How high?", "330 m."]
    with History.open(home / "chats.db") as history:
        (only,) = history.conversations()
        assert len(history.path(only.leaf_id)) == 4


def test_the_chat_so_far_is_what_the_model_sees(home: Path) -> None:
    """The engine's own count: words of the whole path."""
    with chat(home, "-s", "Be brief.", play=play_of("Paris.", "330 m.")) as talk:
        assert "4 prompt" not in talk.say("Where?")
        second = talk.say("How high?")
    with History.open(home / "chats.db") as history:
        (only,) = history.conversations()
        *_, first, _, last = history.path(only.leaf_id)
        assert only.system == "Be brief."
    assert last.stats["prompt_tokens"] > first.stats["prompt_tokens"]
    assert f"{last.stats['prompt_tokens']} prompt" in second


@pytest.mark.parametrize("word", ["/exit", "/quit", "/bye"])
def test_leaving(home: Path, word: str) -> None:
    with chat(home, play=Play()) as talk:
        talk.say(word, until="")
        assert talk.end() == 0
    assert asked(home) == []


def test_new_begins_a_new_chat(home: Path) -> None:
    with chat(home, play=play_of("one", "two")) as talk:
        talk.say("first")
        assert "a new chat" in talk.say("/new")
        talk.say("second")
    assert asked(home) == ["second", "two", "first", "one"]
    with History.open(home / "chats.db") as history:
        assert len(history.conversations()) == 2


def test_help_and_empty_lines_ask_nothing(home: Path) -> None:
    with chat(home, play=Play()) as talk:
        assert "/exit" in talk.say("/help")
        talk.say("")
        talk.say("   ")
    assert asked(home) == []


def test_going_on_with_a_chat(home: Path, history: History) -> None:
    add_turn(history, "About towers", "Yes?")
    add_turn(history, "Poem", "Roses")
    for flags, length in ((("--cid", "About towers"), 4), (("-c",), 6)):
        with chat(home, *flags, play=play_of("Go on.")) as talk:
            talk.say("more")
        newest = history.latest()
        assert newest is not None
        assert newest.title == "About towers"
        assert len(history.path(newest.leaf_id)) == length


def test_ctrl_c_stops_the_answer_and_not_the_chat(home: Path) -> None:
    play = Play((Part(words(500)), Part("Another.")), tokens_per_second=50)
    with chat(home, play=play) as talk:
        talk.say("hi", until="w3 ")
        talk.press("c")
        talk.wait()
        assert "Another." in talk.say("and now?")
        talk.press("d")
        assert talk.end() == 0
    first, reply, *_, last = stored(home)
    assert (first.text, reply.status, reply.text.startswith("w0 w1 w2")) == ("hi", "stopped", True)
    assert last.status == "complete"


def test_ctrl_c_at_the_prompt_leaves(home: Path) -> None:
    with chat(home, play=Play()) as talk:
        talk.press("c")
        assert talk.end() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("answering", [True, False])
def test_other_signals_end_the_chat(home: Path, number: signal.Signals, code: int, answering: bool) -> None:
    with chat(home, play=Play((Part(words(500)),), tokens_per_second=50)) as talk:
        if answering:
            talk.say("hi", until="w3 ")
        talk.kill(number)
        assert talk.end() == code
    if answering:
        assert stored(home)[1].status == "stopped"


def test_a_crash_is_told_and_the_chat_goes_on(home: Path) -> None:
    play = Play((Part("one"), Part("half of it", crash_after=2), Part("three")))
    with chat(home, play=play) as talk:
        talk.say("first")
        shown = talk.say("second")
        assert "half of" in shown
        assert "llmchat: error: the engine stopped (SIGSEGV)" in shown
        assert "three" in talk.say("third")
    with History.open(home / "chats.db") as history:
        (only,) = history.conversations()
        assert [m.text for m in history.path(only.leaf_id)] == ["first", "one", "third", "three"]
        failed = [message for message in history.messages(only.id) if message.status == "failed"]
        assert [message.text for message in failed] == ["half of"]


def test_again_gives_the_last_question_another_answer(home: Path) -> None:
    with chat(home, play=play_of("one", "two", "three", "four")) as talk:
        assert "nothing was asked yet" in talk.say("/again")
        talk.say("first")
        assert "two" in talk.say("/again")
        talk.say("second")
    with History.open(home / "chats.db") as history:
        (only,) = history.conversations()
        assert [message.text for message in history.path(only.leaf_id)] == ["first", "two", "second", "three"]
        assert [message.text for message in history.messages(only.id)].count("first") == 1
    with chat(home, "-c", play=play_of("five")) as talk:
        assert "five" in talk.say("/again")
    assert asked(home).count("second") == 1


def test_again_after_a_crash_answers_the_question_that_failed(home: Path) -> None:
    play = Play((Part("half of it", crash_after=2), Part("two"), Part("three")))
    with chat(home, play=play) as talk:
        assert "llmchat: error: the engine stopped" in talk.say("first")
        assert "two" in talk.say("/again")
        talk.say("second")
    with History.open(home / "chats.db") as history:
        (only,) = history.conversations()
        assert [message.text for message in history.path(only.leaf_id)] == ["first", "two", "second", "three"]


@pytest.mark.parametrize(("flag", "told"), [("drop", "not seen by the model"), ("stop", "--overflow drop")])
def test_a_chat_that_is_too_long(home: Path, history: History, flag: str, told: str) -> None:
    long = add_turn(history, words(30), words(30))
    for _ in range(9):
        add_turn(history, words(30), words(30), long)
    with chat(home, "-c", "--overflow", flag, play=Play(n_ctx=512)) as talk:
        assert told in talk.say("and now?")


def test_bytes_that_are_no_text(home: Path) -> None:
    with chat(home, play=Play()) as talk:
        talk._child.send(
            b"caf\xe9\n".decode("utf-8", "surrogateescape").encode("utf-8", "surrogateescape").decode("latin-1")
        )
        talk.wait()
    assert len(asked(home)) == 2


def test_nothing_hostile_reaches_the_terminal(home: Path) -> None:
    evil = "\x1b]52;c;QQ==\x07\x9b31m\u202e"
    with chat(home, play=Play((Part(f"a {evil}", notice=evil),), model_name=evil)) as talk:
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(talk.say("hi"))


@pytest.mark.parametrize("command", ["chat", ""])
def test_off_a_terminal(home: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for stdin in (None, b"hi\n"):
        ended = ask(home, stdin=stdin, command=command)
        assert (ended.code, ended.out) == (2, "")
        assert "hint: llmchat ask" in ended.err
    assert sys.stdin is not None
