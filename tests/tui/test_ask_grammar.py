"""`ask --grammar`: a bad file is refused before a model is loaded, an answer that was cut is exit code 5."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tui.asking import Opened, ask, stored
from tests.tui.real_host import RealHome, real_home

from llmchat_engine.testing import FakeEngine, Script
from llmchat_rag.cite import citations, cited
from llmchat_rag.citing import citing_grammar
from llmchat_rag.context import UNKNOWN

YES_OR_NO = 'root ::= "yes" | "no"\n'


@pytest.fixture
def rules(home: Path) -> Path:
    """A good grammar in a file."""
    file = home.parent / "rules.gbnf"
    file.write_text(YES_OR_NO, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def real() -> Iterator[RealHome]:
    with real_home("1h") as home:
        yield home


def test_the_engine_is_given_the_grammar(home: Path, rules: Path) -> None:
    engine = FakeEngine([Script("yes")])
    asked = ask(home, "--grammar", str(rules), "is it?", engine=engine)
    assert (asked.code, asked.out, asked.err) == (0, "yes\n", "")
    assert engine.requests[0].grammar == YES_OR_NO


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('root ::= "yes\n', "line 1, column 10"),
        ('# one\nroot ::= a\na ::= a "x" | "y"\n', "line 3, column 1"),
        ("", "line 1"),
    ],
)
def test_a_bad_grammar_is_refused_with_its_place_before_a_model_is_asked(home: Path, text: str, place: str) -> None:
    file = home.parent / "bad.gbnf"
    file.write_text(text, encoding="utf-8")
    engine = FakeEngine()
    asked = ask(home, "--grammar", str(file), "hi", engine=engine)
    assert (asked.code, asked.out, engine.requests) == (2, "", [])
    assert asked.err.startswith(f"llmchat: error: {file} cannot be used as a grammar — {place}")


def test_a_file_that_is_not_there(home: Path) -> None:
    asked = ask(home, "--grammar", str(home / "none.gbnf"), "hi")
    assert (asked.code, asked.out) == (2, "")
    assert "cannot be read" in asked.err


@pytest.mark.parametrize("flags", [("--beams", "2"), ("--prefill", "y")])
def test_what_excludes_a_grammar(home: Path, rules: Path, flags: tuple[str, str]) -> None:
    opened = Opened()
    asked = ask(home, "--grammar", str(rules), *flags, "hi", engine=opened)
    assert (asked.code, opened.specs) == (2, [])
    assert f"--grammar and {flags[0]} exclude each other" in asked.err


def test_an_answer_that_was_cut_is_exit_code_5_and_kept(home: Path, rules: Path) -> None:
    asked = ask(home, "--grammar", str(rules), "--max-tokens", "1", "hi", engine=FakeEngine([Script("yes no")]))
    assert (asked.code, asked.out) == (5, "yes\n")
    assert asked.err.splitlines() == [
        "llmchat: error: the answer ends before the grammar does — it reached the limit of tokens",
        "hint: raise --max-tokens",
    ]
    assert stored(home)[1].text == "yes"


def test_without_a_grammar_a_cut_answer_is_no_failure(home: Path) -> None:
    assert ask(home, "--max-tokens", "1", "hi", engine=FakeEngine([Script("yes no")])).code == 0


def test_one_of_several_answers_that_was_cut(home: Path, rules: Path) -> None:
    engine = FakeEngine([Script("yes"), Script("no no"), Script("no no no")])
    asked = ask(home, "--grammar", str(rules), "--answers", "3", "--max-tokens", "1", "hi", engine=engine)
    assert asked.code == 5
    assert "2 of 3 answers end before the grammar does" in asked.err


def test_json_says_whether_it_is_complete(home: Path, rules: Path) -> None:
    flags = ("--json", "--grammar", str(rules), "--max-tokens", "1")
    cut = ask(home, *flags, "hi", engine=FakeEngine([Script("yes no")]))
    assert (cut.code, json.loads(cut.out)["complete"]) == (5, False)
    whole = ask(home, *flags, "hi", engine=FakeEngine([Script("yes")]))
    assert (whole.code, json.loads(whole.out)["complete"]) == (0, True)


def test_a_real_engine_follows_it(real: RealHome) -> None:
    file = real.root / "rules.gbnf"
    file.write_text('root ::= [a-c]{3} "-" [0-9]{2}\n', encoding="utf-8")
    asked = real.llmchat("ask", "--grammar", str(file), "--temperature", "1", "--max-tokens", "40", "hi")
    assert (asked.code, asked.err) == (0, "")
    assert re.fullmatch("[a-c]{3}-[0-9]{2}\n", asked.out)
    cut = real.llmchat("ask", "--grammar", str(file), "--max-tokens", "1", "hi")
    assert cut.code == 5
    assert re.fullmatch("[a-c]+\n", cut.out)


def test_a_real_engine_writes_sentences_that_cite(real: RealHome) -> None:
    file = real.root / "citing.gbnf"
    file.write_text(citing_grammar(range(1, 13), UNKNOWN), encoding="utf-8")
    for seed in "123":  # a model that writes noise comes to an end too
        asked = real.llmchat("ask", "--grammar", str(file), "--temperature", "1", "--seed", seed, "hi")
        assert (asked.code, asked.err) == (0, "")
        assert set() < set(cited(citations(asked.out))) <= set(range(1, 13))
