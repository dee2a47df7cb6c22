"""What is thought before an answer, on stderr: `--cot`, `--votes`, `--think` and who hides it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from tests.tui.asking import ask, stored

from llmchat_engine.prompting.vote import Chain, Polled
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.cli.thoughts import Thoughts, chain_lines
from llmchat_tui.console import Console, Look

THINKS = Script("Forty-two.", thought="Six times\nseven.")


def engine() -> FakeEngine:
    return FakeEngine([THINKS])


def test_a_thought_is_on_stderr_and_the_answer_alone_on_stdout(home: Path) -> None:
    asked = ask(home, "How many?", engine=engine())
    assert (asked.code, asked.out, asked.err) == (0, "Forty-two.\n", "Six times\nseven.\n")
    reply = stored(home)[1]
    assert (reply.text, reply.thought, reply.thought_tokens) == ("Forty-two.", "Six times\nseven.", 3)


@pytest.mark.parametrize("flag", ["-R", "--hide-reasoning", "--hidethinking", "-q", "--json"])
def test_who_hides_it(home: Path, flag: str) -> None:
    asked = ask(home, flag, "How many?", engine=engine())
    assert (asked.code, asked.err) == (0, "")
    assert "Six" not in asked.out or flag == "--json"
    assert stored(home)[1].thought == "Six times\nseven."


@pytest.mark.parametrize("flags", [("--no-stream",), ("-x",), ("-n",)])
def test_it_is_shown_beside_an_answer_that_is_collected(home: Path, flags: tuple[str, ...]) -> None:
    assert ask(home, *flags, "How many?", engine=engine()).err.startswith("Six times\nseven.\n")


def test_each_of_several_answers_has_its_own(home: Path) -> None:
    scripts = [Script("One.", thought="First."), Script("Two.", thought="Second.")]
    asked = ask(home, "--answers", "2", "How many?", engine=FakeEngine(scripts))
    assert asked.out == "--- answer 1 of 2 ---\nOne.\n--- answer 2 of 2 ---\nTwo.\n"
    assert asked.err == "First.\nSecond.\n"


def test_what_was_thought_before_a_crash_is_shown(home: Path) -> None:
    asked = ask(home, "How many?", engine=FakeEngine([Script("x", thought="Six times seven.", crash_after=2)]))
    assert (asked.code, asked.out) == (8, "")
    assert asked.err.startswith("Six times\nllmchat: error: ")


@pytest.mark.parametrize(
    ("flags", "think", "budget"),
    [
        ((), "auto", None),
        (("--think", "on"), "on", None),
        (("--think", "off"), "off", None),
        (("--think", "auto"), "auto", None),
        (("--think", "64"), "on", 64),
        (("--think", "0"), "off", None),
        (("--no-think",), "off", None),
        (("--no-think", "--think", "off"), "off", None),
    ],
)
def test_whether_it_thinks(home: Path, flags: tuple[str, ...], think: str, budget: int | None) -> None:
    played = engine()
    assert ask(home, *flags, "How many?", engine=played).code == 0
    assert (played.requests[0].think, played.requests[0].think_budget) == (think, budget)


@pytest.mark.parametrize("flags", [("--think", "much"), ("--think", "-1"), ("--think", "on", "--no-think")])
def test_what_cannot_be_thought(home: Path, flags: tuple[str, ...]) -> None:
    assert ask(home, *flags, "How many?").code == 2


def test_a_budget_closes_the_thought(home: Path) -> None:
    assert ask(home, "--think", "2", "How many?", engine=engine()).err == "Six times\n"


def test_earlier_thoughts_stay_where_that_is_asked_for(home: Path) -> None:
    played = engine()
    ask(home, "--keep-thoughts", "How many?", engine=played)
    ask(home, "-c", "Again?", engine=played)
    assert [request.keep_thoughts for request in played.requests] == [True, True]
    assert played.requests[1].messages[1].thought_tokens == 3


def test_the_envelope_and_the_usage_tell_of_it(home: Path) -> None:
    found = json.loads(ask(home, "--json", "How many?", engine=engine()).out)
    assert (found["reply"], found["thought"]) == ("Forty-two.", "Six times\nseven.")
    assert (found["usage"]["thought_tokens"], found["usage"]["reply_tokens"]) == (3, 4)
    assert "(3 of them thought)" in ask(home, "-R", "-u", "How many?", engine=engine()).err
    block = ask(home, "-R", "--verbose", "How many?", engine=engine()).err
    assert [line for line in block.splitlines() if line.startswith("thought")] == [
        "thought     3 of these tokens in 0.03 s"
    ]


def test_a_terminal_gets_it_dim_sanitised_and_apart_from_the_answer() -> None:
    stream = io.StringIO()
    thoughts = Thoughts(Console(stream, Look(True, True, True, True)))
    for piece in ("\n\n", "\nSix", " \x1b[31m", "times.\n", "\n"):
        thoughts.write(piece)
    thoughts.finish()
    thoughts.finish()
    assert "\x1b[31m" not in stream.getvalue()
    assert stream.getvalue().replace("\x1b[2m", "").replace("\x1b[0m", "") == "Six ␛[31mtimes.\n\n"


def test_off_a_terminal_it_is_exact() -> None:
    stream = io.StringIO()
    thoughts = Thoughts(Console(stream, Look()))
    for piece in ("\nSix \x1b[31m", "times."):
        thoughts.write(piece)
    thoughts.finish()
    assert stream.getvalue() == "\nSix \x1b[31mtimes.\n"


def test_where_it_is_hidden_somebody_who_watches_sees_how_long_it_is() -> None:
    stream = io.StringIO()
    thoughts = Thoughts(Console(stream, Look(True, True)), shown=False)
    thoughts.write("Six", 1)
    thoughts.write(" times seven.", 2)
    assert stream.getvalue().replace("\b", "").split("\r") == ["", "thinking, 1 token", "thinking, 3 tokens"]


def test_the_chains_of_a_vote() -> None:
    chains = (Chain(0, "6 * 7", "42", "42", "eog", 9), Chain(2, "hm\x1b", "", "", "max_tokens", 1_200))
    assert list(chain_lines(Polled(chains, (("42", 1),), 3))) == [
        "--- chain 1 of 3 → 42 · 9 tokens ---",
        "6 * 7",
        "--- chain 3 of 3 → no answer · 1,200 tokens ---",
        "hm\x1b",
    ]
