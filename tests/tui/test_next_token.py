"""`llmchat next`: what is asked of the engine, and what is shown of it. Its numbers are checked with the engine's."""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from tests.tui.asking import Asked, Opened, ask
from tests.tui.real_host import RealHome, real_home
from tests.tui.terminal import run_in_terminal, unexpected

from llmchat_engine import Message, Request
from llmchat_engine.answers import Candidate
from llmchat_engine.errors import ContextFull
from llmchat_engine.events import Event, Filter, Peeked
from llmchat_engine.testing import FakeEngine
from llmchat_tui.cli.next_lines import lines

CAT, MAT, HAT = (Candidate(number, text, math.log(0.5)) for number, text in enumerate((" cat", " mat", "\n")))


class Watched(FakeEngine):
    """Keeps what it was asked to peek at."""

    asked: tuple[Request, int]

    def peek(self, request: Request, count: int) -> Generator[Event | Peeked, None, None]:
        self.asked = request, count
        return super().peek(request, count)


def following(home: Path, *arguments: str, stdin: bytes | None = None) -> tuple[Asked, Request, int]:
    """Returns what `next` printed, and what the engine was asked."""
    engine = Watched()
    asked = ask(home, *arguments, engine=Opened(engine), stdin=stdin, command="next")
    assert (asked.code, asked.err) == (0, "")
    return asked, *engine.asked


def test_the_likeliest_tokens_are_shown_with_bars(home: Path) -> None:
    asked, request, count = following(home, "-k", "3", "The cat", "sat")
    assert asked.out.splitlines() == [
        "fake-1B · 4 tokens · entropy 1.44 bits",
        "",
        "softmax: 1,000 tokens",
        "  ·word0   50.00 %  ████████████░░░░░░░░░░░░",
        "  ·word1   25.00 %  ██████░░░░░░░░░░░░░░░░░░",
        "  ·word2   12.50 %  ███░░░░░░░░░░░░░░░░░░░░░",
    ]
    assert (request.messages, request.raw, count) == ((Message("user", "The cat sat"),), True, 3)


def test_a_question_goes_through_the_template(home: Path) -> None:
    _, request, count = following(home, "--chat", "-s", "Be brief.", "Why?")
    assert request.messages == (Message("system", "Be brief."), Message("user", "Why?"))
    assert (request.raw, count) == (False, 10)


def test_flags_and_options_are_the_sampling(home: Path) -> None:
    _, request, _ = following(home, "--temperature", "0.5", "--top-k", "7", "-o", "typical_p", "0.9", "x")
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_k, sampling.typical_p) == (0.5, 7, 0.9)


def test_what_is_piped_in_comes_first(home: Path) -> None:
    assert following(home, "Then", stdin=b"Once.\n")[1].messages[0].text == "Once.\n\nThen"
    assert following(home, stdin=b"Once upon\n")[1].messages[0].text == "Once upon"


@pytest.mark.parametrize(
    ("arguments", "stdin", "why"),
    [
        ((), None, "there is no text"),
        ((), b" ", "there is no text"),
        (("-",), None, "nothing is piped in"),
        (("-s", "x", "y"), None, "--system is about a chat"),
        (("-k", "0", "y"), None, "0 is not in the range"),
    ],
)
def test_what_cannot_be_used_is_refused(home: Path, arguments: tuple[str, ...], stdin: bytes | None, why: str) -> None:
    asked = ask(home, *arguments, stdin=stdin, command="next")
    assert (asked.code, asked.out) == (2, "")
    assert why in asked.err
    assert "hint: llmchat next" in asked.err


def test_an_engine_that_refuses_is_told(home: Path) -> None:
    class Full(FakeEngine):
        def peek(self, request: Request, count: int) -> Generator[Event | Peeked, None, None]:
            raise ContextFull(9000, 2048)
            yield

    asked = ask(home, "x", engine=Full(), command="next")
    assert (asked.code, asked.out) == (4, "")
    assert "does not fit" in asked.err


def test_each_filter_tells_what_it_takes_and_what_it_leaves() -> None:
    stages = (
        Filter("softmax", 900, (CAT, MAT)),
        Filter("top_k(2)", 2, (CAT, MAT), (HAT,), 0.25),
        Filter("min_p(0.05)", 2, (CAT, MAT)),
        Filter("temp(0.1)", 2, (Candidate(0, " cat", 0.0), Candidate(1, " mat", -20.0))),
        Filter("greedy", 1, (Candidate(0, " cat", 0.0),), (MAT,), 0.00001),
    )
    told = list(lines(Peeked(stages, math.log(2), 1, 0, 0.1), "m", 80, color=False))
    assert told == [
        "m · 1 token · entropy 1.00 bits",
        "",
        "softmax: 900 tokens",
        "  ·cat   50.00 %  ████████████░░░░░░░░░░░░",
        "  ·mat   50.00 %  ████████████░░░░░░░░░░░░",
        "",
        "top_k(2): 2 of 900 left, it takes 25.00 %",
        "  takes   ↵ 50.00 %",
        "",
        "min_p(0.05): all 2 left",
        "",
        "temp(0.1): all 2 left",
        "  leaves  ·cat 100.00 %  ·mat <0.01 %",
        "",
        "greedy: 1 of 2 left, it takes <0.01 %",
        "  takes   ·mat 50.00 %",
        "  ·cat  100.00 %  ████████████████████████",
    ]


def test_lines_stay_within_the_terminal_and_nothing_acts_on_it() -> None:
    hostile = tuple(Candidate(n, f"\x1b[{n}m\u202e日本語\n" * 3, -1.0) for n in range(8))
    stages = tuple(Filter(name, 8, hostile, hostile, 0.5) for name in ("softmax", "logit_bias(\x1b[2J=1)", "x"))
    for line in lines(Peeked(stages, 1.0, 5, 0, 0.1), "m", 60, color=False):
        assert unexpected(line.encode()) == []
        assert len(line) <= 60


@pytest.fixture(scope="module")
def real() -> Iterator[RealHome]:
    with real_home("1h") as home:
        yield home


def test_the_second_time_the_prompt_is_cached(real: RealHome) -> None:
    first = json.loads(real.llmchat("next", "one two three four", "--json").out)
    again = json.loads(real.llmchat("next", "one two three four", "--json", "--temp", "2").out)
    assert again["cached_tokens"] == again["prompt_tokens"] - 1 == first["prompt_tokens"] - 1


def test_on_a_terminal_there_are_colours_and_nothing_else(real: RealHome) -> None:
    ours = ("\x1b[1m", "\x1b[2m", "\x1b[0m", "\x1b[36m", "\x1b[33m", "\x1b[1;35m")
    for arguments in (["next", "one"], ["tokenize", "--special", "one <|im_end|> \x1b[31m"]):
        output, code = run_in_terminal(arguments, real.environ)
        assert code == 0
        assert b"\x1b[1m" in output
        assert unexpected(output, ours) == []
        plain, _ = run_in_terminal(arguments, real.environ | {"NO_COLOR": "1"})
        assert b"\x1b" not in plain
