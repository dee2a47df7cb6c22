"""`ask --docs` and `-d`: what is printed where, the exit codes, what the chat keeps, which flags reach the search."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.tui.asking import Asked, ask, environment, stored
from tests.tui.documented import FILES, make_store
from tests.tui.terminal import unexpected
from tests.tui.test_envelope import EXPLAINED, fields

from llmchat_engine.testing import FakeEngine, Script
from llmchat_rag.citing import citing_grammar
from llmchat_rag.context import UNKNOWN
from llmchat_tui.history import History

ROME = "When was Rome founded by Romulus?"
RIGHT = "Rome was founded in 753 BC by Romulus [1]."
WRONG = "Rome was founded in 1999 BC by Romulus [1]."
FOREIGN = "qqqq zzzz xxxx"


@pytest.fixture(autouse=True)
def store(home: Path) -> Path:
    """A store of three documents in this home."""
    make_store(home, FILES)
    return make_store(home, {"tea.md": "# Tea\n\nTea is drawn for three minutes, never longer.\n"}, "kitchen")


def asked(home: Path, *arguments: str, says: str = RIGHT, engine: FakeEngine | None = None) -> Asked:
    return ask(home, *arguments, engine=engine or FakeEngine([Script(says)]))


def test_stdout_has_the_answer_alone(home: Path) -> None:
    done = asked(home, "--docs", ROME)
    assert (done.code, done.out, done.err) == (0, f"{RIGHT}\n", "")


def test_sources_and_marks_on_stderr(home: Path) -> None:
    done = asked(home, "--docs", ROME, "--sources")
    assert done.out == f"{RIGHT}\n"
    lines = done.err.splitlines()
    assert lines[0].startswith("[1] ✓ notes: rome.md:1")
    assert lines[-1] == "1 sentence: 1 ✓"


def test_a_sentence_that_is_not_in_its_source_is_told(home: Path) -> None:
    done = asked(home, "--docs", ROME, "--sources", says=WRONG)
    assert "[1] ✗ notes: rome.md:1" in done.err
    assert f"✗ “{WRONG}”: " in done.err
    assert done.err.splitlines()[-1] == "1 sentence: 1 ✗"


def test_the_passages_are_in_the_prompt_and_not_in_the_question_on_disk(home: Path) -> None:
    engine = FakeEngine([Script(RIGHT)])
    asked(home, "--docs", ROME, engine=engine)
    sent = engine.requests[-1].messages[-1].text
    assert "Rome was founded in 753 BC" in sent and sent.endswith(ROME)
    question, reply = stored(home)
    assert question.text == ROME
    assert reply.settings["sources"][0]["path"] == "rome.md"
    assert engine.requests[-1].sampling.temperature == 0.0
    asked(home, "--docs", ROME, "--temperature", "0.5", engine=engine)
    assert engine.requests[-1].sampling.temperature == 0.5


def grammar(home: Path, *arguments: str, **environ: str) -> str:
    """Returns what an answer to these flags is held to."""
    engine = FakeEngine([Script(RIGHT)])
    assert ask(home, *arguments, engine=engine, environ=environment(home, **environ)).code == 0
    return engine.requests[-1].grammar


def test_an_answer_can_be_held_to_citations_of_what_was_found(home: Path) -> None:
    assert grammar(home, "--docs", ROME) == ""
    held = grammar(home, "--docs", ROME, "--cite", "--docs-k", "2")
    assert held == citing_grammar((1, 2), UNKNOWN)
    goes_on = grammar(home, "--docs", ROME, "--cite", "--docs-k", "2", "--prefill", "Rome")
    assert goes_on == citing_grammar((1, 2), UNKNOWN, goes_on=True)


def test_the_setting_for_it_gives_way_to_flags(home: Path) -> None:
    def grammar_set(*flags: str) -> str:
        return grammar(home, *flags, LLMCHAT_DOCS_CITE="true")

    assert "cite ::=" in grammar_set("--docs", ROME)
    assert grammar_set("--docs", ROME, "--no-cite") == ""
    assert grammar_set("--docs", ROME, "--beams", "2") == ""
    rules = home.parent / "rules.gbnf"
    rules.write_text('root ::= "Rome"\n')
    assert grammar_set("--docs", ROME, "--grammar", str(rules)) == 'root ::= "Rome"\n'
    assert grammar_set(ROME) == ""


@pytest.mark.parametrize("flags", [("--beams", "2"), ("--format", "json")])
def test_what_excludes_citations(home: Path, flags: tuple[str, str]) -> None:
    done = asked(home, "--docs", ROME, "--cite", *flags)
    assert (done.code, done.out) == (2, "")
    assert f"--cite and {flags[0]} exclude each other" in done.err


def test_an_answer_that_must_cite_is_not_stopped_for_its_circles(home: Path) -> None:
    circle = RIGHT + f" {RIGHT}" * 11
    done = asked(home, "--docs", ROME, "--cite", says=circle)
    assert (done.code, done.out, done.err) == (0, f"{circle}\n", "")


def test_no_answer_in_the_documents_is_exit_10_and_asks_no_model(home: Path) -> None:
    engine = FakeEngine([Script("I make things up.")])
    done = asked(home, "--docs", FOREIGN, "--sources", engine=engine)
    assert (done.code, done.out, engine.requests) == (10, f"{UNKNOWN}\n", [])
    assert "nearest, and not near enough" in done.err
    assert [message.text for message in stored(home)] == [FOREIGN, UNKNOWN]


@pytest.mark.parametrize("flags", [("--no-stream",), ("-x",), ()], ids=str)
def test_the_sentence_for_no_answer_is_printed_however_it_is_printed(home: Path, flags: Sequence[str]) -> None:
    assert asked(home, "--docs", FOREIGN, *flags).out == f"{UNKNOWN}\n"


def test_json_explains_itself(home: Path) -> None:
    found: dict[str, Any] = json.loads(asked(home, "--docs", ROME, "--json").out)
    assert set(fields(found)) == EXPLAINED - {"documents"}
    assert found["documents"]["verdict"] == "ok"
    assert found["documents"]["sources"][0]["source"] == "rome.md:1"
    assert found["documents"]["verdicts"][0]["mark"] == "supported"


def test_json_of_no_answer(home: Path) -> None:
    done = asked(home, "--docs", FOREIGN, "--json")
    found: dict[str, Any] = json.loads(done.out)
    assert (done.code, found["stop_reason"], found["reply"]) == (10, "abstained", UNKNOWN)
    assert (found["model"], found["usage"], found["documents"]["verdict"]) == (None, None, "abstain")


def test_a_collection_can_be_named_and_is_kept_with_the_chat(home: Path) -> None:
    engine = FakeEngine([Script("Tea [1].")] * 9)
    asked(home, "-d", "kitchen", "How long is tea drawn in minutes?", engine=engine)
    with History.open(home / "chats.db") as history:
        (chat,) = history.conversations()
        assert chat.collections == ("kitchen",)
    again = asked(home, "-c", "--docs", ROME, "--json", engine=engine)
    assert {one["collection"] for one in json.loads(again.out)["documents"]["sources"]} <= {"kitchen"}
    plain = asked(home, "-c", "And now?", "--json", engine=engine)
    assert json.loads(plain.out)["documents"] is None
    both = asked(
        home, "-d", "kitchen", "--collection", "notes", "minutes of Rome", "--json", "--docs-k", "4", engine=engine
    )
    assert {one["collection"] for one in json.loads(both.out)["documents"]["sources"]} == {"kitchen", "notes"}


def test_a_collection_that_is_not_there_is_exit_3(home: Path) -> None:
    done = asked(home, "-d", "nope", ROME)
    assert (done.code, done.out) == (3, "")
    assert "there is no collection nope" in done.err


def test_without_any_documents_the_command_is_named(tmp_path: Path) -> None:
    done = asked(tmp_path / "fresh", "--docs", ROME)
    assert done.code == 3
    assert "hint: llmchat docs add" in done.err


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--docs-k", "2"), {"k": 2}),
        (("--alpha", "0.2"), {"alpha": 0.2}),
        (("--fusion", "rrf"), {"fusion": "rrf"}),
        (("--min-score", "0.1"), {"min_score": 0.1}),
        (("--rerank",), {"rerank": True}),
        (("--cite",), {"cite": True}),
        (("--no-rerank",), {"rerank": False}),
    ],
    ids=str,
)
def test_flags_reach_the_search(home: Path, flags: Sequence[str], expected: dict[str, Any]) -> None:
    asked(home, "--docs", *flags, ROME)
    wanted = stored(home)[-1].settings["asked"]
    assert {name: wanted[name] for name in expected} == expected


@pytest.mark.parametrize("command", [("ask", "--docs"), ("docs", "search")], ids=" ".join)
def test_re_ranking_that_is_asked_for_and_cannot_be_is_exit_3(home: Path, command: Sequence[str]) -> None:
    done = ask(home, *command, "--rerank", "When was Rome founded?", command="", environ=no_models(home))
    assert (done.code, done.out) == (3, "")
    assert "there is no re-ranking model on this machine" in done.err
    assert "hint: llmchat pull cross-encoder/ms-marco-MiniLM-L6-v2" in done.err


def no_models(home: Path, **more: str) -> dict[str, str]:
    return environment(home, HF_HOME=str(home / "none"), **more)


def test_settings_reach_the_search(home: Path) -> None:
    environ = environment(home, LLMCHAT_DOCS_K="3", LLMCHAT_DOCS_ALPHA="0.4", LLMCHAT_RERANK="on")
    ask(home, "--docs", ROME, engine=FakeEngine([Script(RIGHT)]), environ=environ)
    wanted = stored(home)[-1].settings["asked"]
    assert (wanted["k"], wanted["alpha"], wanted["rerank"]) == (3, 0.4, True)


@pytest.mark.parametrize(
    "flag", ["--docs-k=2", "--alpha=1", "--fusion=rrf", "--min-score=0", "--rerank", "--cite", "--sources", "--explain"]
)
def test_a_flag_about_documents_without_any_is_refused(home: Path, flag: str) -> None:
    done = asked(home, flag, "hi")
    assert (done.code, done.out) == (2, "")
    assert "--docs" in done.err


def test_explain_shows_the_ranking(home: Path) -> None:
    done = asked(home, "--docs", ROME, "--explain")
    assert done.out == f"{RIGHT}\n"
    assert "rome.md:1  (used)" in done.err
    assert "ms" in done.err.splitlines()[-1]


def test_verbose_has_a_line_about_the_documents(home: Path) -> None:
    assert "documents   " in asked(home, "--docs", ROME, "--verbose").err


def test_dry_run_shows_the_documents_in_the_prompt(home: Path) -> None:
    engine = FakeEngine()
    done = asked(home, "--docs", ROME, "--dry-run", engine=engine)
    assert "Rome was founded in 753 BC" in done.out
    assert engine.requests == []


def test_control_characters_of_documents_reach_no_terminal_line(home: Path) -> None:
    make_store(
        home, {"evil\x1b[31m.md": "# Evil \x1b]0;t\x07 title\n\nThe castle of Evil was built in 1200 AD.\n"}, "evil"
    )
    done = asked(
        home, "-d", "evil", "When was the castle of Evil built?", "--sources", "--explain", says="In 1200 [1]."
    )
    assert done.code == 0, done.err
    assert unexpected(done.err.encode()) == []
