"""`llmchat ask` in this process with a scripted engine: stdout, stderr, what is kept, and the exit codes."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from tests.tui.asking import ask, stored

from llmchat_engine.errors import (
    ContextFull,
    EngineDied,
    EngineError,
    GenerationFailed,
    HostUnreachable,
    ModelMissing,
    ModelUnreadable,
    NotEnoughMemory,
    RequestInvalid,
    TemplateError,
)
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.cli.ask import EXIT_CODES
from llmchat_tui.cli.ask import ask as ask_command


def engine_of(text: str) -> FakeEngine:
    return FakeEngine([Script(text)])


@pytest.mark.parametrize("text", ["Hello", "Hello\n", "two\nlines\n"])
def test_stdout_has_the_answer_alone_and_one_line_end(home: Path, text: str) -> None:
    asked = ask(home, "hi", engine=engine_of(text))
    assert (asked.code, asked.out, asked.err) == (0, text.rstrip("\n") + "\n", "")


def test_an_empty_answer_prints_nothing(home: Path) -> None:
    assert ask(home, "hi", engine=engine_of("")).out == ""


def test_the_answer_in_a_pipe_is_exact(home: Path) -> None:
    text = "a\x1b[31mb \u202e \x9b **bold** é日"
    assert ask(home, "hi", engine=engine_of(text)).out == text + "\n"


def test_question_and_answer_are_kept(home: Path) -> None:
    ask(home, "Where", "is it?", stdin=b"The tower is in Paris.\n", engine=engine_of("Paris."))
    question, reply = stored(home)
    assert (question.text, reply.text) == ("The tower is in Paris.\n\nWhere is it?", "Paris.")
    assert reply.status == "complete"


def test_timeout_keeps_what_came(home: Path) -> None:
    asked = ask(home, "--timeout", "0.2", "hi", engine=FakeEngine([Script("one two three", hang_after=2)]))
    assert (asked.code, asked.out) == (1, "one two\n")
    assert "the time was up" in asked.err
    assert [message.status for message in stored(home)] == ["complete", "stopped"]
    assert stored(home)[1].text == "one two"


def test_an_answer_in_time(home: Path) -> None:
    assert ask(home, "--timeout", "30", "hi").code == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GenerationFailed("llama.cpp refused a batch"), 1),
        (RequestInvalid("top_k is out of range"), 2),
        (ModelMissing("no such file"), 3),
        (ModelUnreadable("not a GGUF"), 3),
        (TemplateError("the template is too slow"), 3),
        (ContextFull(5000, 2048), 4),
        (NotEnoughMemory("needs 9 GiB", "2 GiB are free"), 7),
        (EngineDied("the engine stopped (SIGSEGV)"), 8),
        (HostUnreachable("no host"), 8),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exit_codes_of_the_engine(home: Path, error: EngineError, code: int) -> None:
    asked = ask(home, "hi", engine=FakeEngine([Script(error=error)]))
    assert (asked.code, asked.out) == (code, "")
    assert asked.err.startswith(f"llmchat: error: {error.what}")
    question, reply = stored(home)
    assert (question.text, reply.status, reply.error) == ("hi", "failed", str(error))


def test_a_prompt_that_does_not_fit_says_the_counts(home: Path) -> None:
    asked = ask(home, "word " * 3000, engine=FakeEngine())
    assert asked.code == 4
    assert "3,002 tokens" in asked.err
    assert "2,048" in asked.err
    assert "hint: " in asked.err


@pytest.mark.parametrize("flags", [(), ("--md",)])
def test_a_crash_shows_and_keeps_what_came(home: Path, flags: tuple[str, ...]) -> None:
    asked = ask(home, *flags, "hi", engine=FakeEngine([Script("one two three", crash_after=2)]))
    assert (asked.code, asked.out) == (8, "one two\n")
    assert asked.err.splitlines() == [
        "llmchat: error: the engine stopped (SIGSEGV) — scripted",
        "hint: ask again",
    ]
    assert stored(home)[1].text == "one two"


def test_what_excludes_each_other(home: Path, tmp_path: Path) -> None:
    for flags in (("-s", "x", "--sf", str(tmp_path)), ("-c", "--cid", "x"), ("--json", "-x"), ("--json", "--xl")):
        asked = ask(home, *flags, "hi")
        assert (asked.code, asked.out, "exclude each other" in asked.err) == (2, "", True)


def test_without_a_model_the_hint_is_a_command(home: Path) -> None:
    asked = ask(home, "-m", "no-such-model", "hi")
    assert (asked.code, asked.out) == (3, "")
    assert "hint: " in asked.err


def test_help_lists_every_exit_code(home: Path) -> None:
    asked = ask(home, "--help")
    assert asked.code == 0
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 129, 130, 141, 143):
        assert f"{code}" in EXIT_CODES
    assert "partial answer is kept" in asked.out
    assert isinstance(ask_command, click.Command)
