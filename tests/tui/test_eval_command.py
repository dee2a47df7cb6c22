"""`llmchat eval` as it is typed: the table, JSON, what is kept, Ctrl+C, failures."""

from __future__ import annotations

import json
import signal
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.tui.asking import Asked, ask, run_child, start
from tests.tui.fake_ask_child import Part, Play

from llmchat_engine import EngineDied, Event, Request
from llmchat_engine.events import Scored
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.cli.eval_report import lines
from llmchat_tui.evaluation.log import Entry
from llmchat_tui.evaluation.summary import Row, in_words, rows_of

WAYS = ("--compare", "zero-shot,few-shot:1")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four questions and one without an answer, with an example beside them."""
    path = tmp_path / "sums.jsonl"
    rows: list[dict[str, Any]] = [{"question": f"What is {n}?", "answer": n} for n in range(4)]
    rows.append({"question": "And now?", "rejected": "no idea", "note": "rude"})
    path.write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "sums-shots.jsonl").write_text(json.dumps({"question": "What is 9?", "answer": "9"}))
    return path


def evaluate(home: Path, *arguments: object, engine: FakeEngine | None = None) -> Asked:
    return ask(home, *map(str, arguments), engine=engine or FakeEngine([Script("1")]), command="eval")


def test_the_table_says_how_many_were_right_and_how_sure_that_is(home: Path, data: Path) -> None:
    done = evaluate(home, data, *WAYS)
    assert done.code == 0, done.err
    head, zero, few, *_ = done.out.splitlines()
    assert head.split("  ")[0] == "way"
    assert zero.split()[:7] == ["zero-shot", "1/4", "25", "%", "5", "to", "70"]
    assert few.split()[0] == "few-shot:1"
    assert "4 items: an accuracy is known to about ±33 points, and no difference here is more" in done.out
    assert "1 without a reference answer, skipped" in done.out
    assert not (home / "chats.db").exists()


def test_json_has_every_number_and_the_replies_that_were_asked_for(home: Path, data: Path) -> None:
    facts = json.loads(evaluate(home, data, *WAYS, "--json", "--show", "wrong").out)
    assert [(row["way"], row["right"], row["items"]) for row in facts["rows"]] == [
        ("zero-shot", 1, 4),
        ("few-shot:1", 1, 4),
    ]
    first, second = facts["rows"]
    assert (first["against"], first["p"], second["against"], second["p"]) == ("", None, "zero-shot · tiny", 1.0)
    assert (second["gained"], second["lost"], second["difference"]) == (0, 0, 0.0)
    assert (facts["skipped"], len(facts["replies"])) == (1, 6)
    assert facts["replies"][0]["reply"] == "1"
    log = Path(facts["log"])
    assert log.parent == home / "state" / "evals"
    assert log.name.startswith("sums-")
    assert len(log.read_text().splitlines()) == 8


def test_show_prints_what_was_asked_expected_and_said_and_nothing_a_terminal_obeys(home: Path, data: Path) -> None:
    engine = FakeEngine([Script("\x1b[mseven")])
    done = evaluate(home, data, "--limit", 1, "--show", "wrong", engine=engine)
    shown = done.out.partition("wrong  ")[2]
    assert shown.splitlines()[0] == "zero-shot · tiny · item 1 (number)"
    assert "  question  What is 0?" in shown
    assert "  expected  0" in shown
    assert "  reply     ␛[mseven" in shown
    assert "  found     (no answer)" in shown
    assert "right  zero" in evaluate(home, data, "--limit", 1, "--show", "all", "--fresh", engine=said("0")).out
    assert "number\n" in evaluate(home, data, "--limit", 1, "--show", "kinds", engine=said("0")).out


def said(text: str) -> FakeEngine:
    return FakeEngine([Script(text)])


def test_a_known_run_asks_nothing_and_fresh_asks_all(home: Path, data: Path) -> None:
    assert len(asked_by(home, data)) == 4
    assert len(asked_by(home, data)) == 0
    assert len(asked_by(home, data, "--fresh")) == 4
    assert len(asked_by(home, data, "--max-tokens", "9")) == 4
    data.write_text(data.read_text() + "\n")
    assert len(asked_by(home, data)) == 4  # another content has another log


def asked_by(home: Path, data: Path, *arguments: object) -> list[Request]:
    engine = said("1")
    assert evaluate(home, data, *arguments, engine=engine).code == 0
    return engine.requests


def test_flags_reach_the_request(home: Path, data: Path) -> None:
    flags = ("--seed", 7, "--temperature", 0.5, "-o", "top_k", 3, "-s", "Be brief.", "--raw", "--think", "off")
    request = asked_by(home, data, *flags)[0]
    assert (request.sampling.seed, request.sampling.temperature, request.sampling.top_k) == (7, 0.5, 3)
    assert (request.raw, request.think, request.messages[0].text) == (True, "off", "Be brief.")


def test_options_by_likelihood_and_similar_examples(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "options.jsonl"
    path.write_text(json.dumps({"question": "Which?", "choices": ["a b", "c"], "answer": "B"}))
    shots = tmp_path / "shots.csv"
    shots.write_text("input,output\nx,y\n")
    done = evaluate(home, path, "--compare", "choice,few-shot:1:similar", "--shots", shots, engine=said("B"))
    assert done.code == 0, done.err
    assert [line.split()[:2] for line in done.out.splitlines()[1:3]] == [
        ["choice", "1/1"],
        ["few-shot:1:similar", "1/1"],
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (("nothing",), 2, "there is no set nothing"),
        (("nothing.jsonl",), 2, "nothing.jsonl cannot be read"),
        (("basics", "--compare", "poem"), 2, "--compare has 'poem'"),
        (("basics", "--compare", "few-shot:9"), 2, "few-shot:9 needs 9 worked examples"),
        (("basics", "--compare", "template:poem"), 3, "there is no template"),
        (("basics", "--temperature", "-1"), 2, "--temperature -1"),
        (("basics", "--show", "some"), 2, "'some' is not one of"),
    ],
)
def test_what_cannot_be_asked_is_told(home: Path, arguments: tuple[str, ...], code: int, what: str) -> None:
    done = evaluate(home, *arguments)
    assert (done.code, done.out) == (code, "")
    assert what in done.err


def test_a_line_that_cannot_be_used_is_named(home: Path, data: Path) -> None:
    data.write_text(data.read_text() + '\n{"question": "?"}')
    done = evaluate(home, data)
    assert done.code == 9
    assert "sums.jsonl:6" in done.err


def test_a_run_in_which_every_question_failed_ends_with_1(home: Path, data: Path) -> None:
    done = evaluate(home, data, "--limit", 2, engine=FakeEngine([Script(error=EngineDied("it stopped"))]))
    assert done.code == 1
    assert "the engine failed on 2, which count as wrong; the same command asks them again" in done.out
    assert "no question was answered — it stopped" in done.err


def test_ctrl_c_keeps_what_was_answered_and_says_how_it_goes_on(home: Path, data: Path) -> None:
    play = Play((Part("1"), Part("1"), Part("never", hang_after=0)))
    with start(home, "eval", str(data), "--fresh", play=play) as child:
        reports = child.read_reports()
        for _ in range(3):
            next(words for words in reports if words[0] == "asked")
        stopped = child.end(signal.SIGINT)
    assert stopped.code == 130, stopped.err
    assert "stopped after 2 questions" in stopped.err
    assert stopped.err.splitlines()[-1] == f"it goes on from there with: llmchat eval {data}"
    (log,) = (home / "state" / "evals").iterdir()
    assert len(log.read_text().splitlines()) == 2
    engine = said("1")
    assert evaluate(home, data, engine=engine).code == 0
    assert [request.messages[-1].text for request in engine.requests] == ["What is 2?", "What is 3?"]


def test_a_kill_at_any_line_loses_the_question_that_was_asked_alone(home: Path, data: Path) -> None:
    play = Play((Part("1"), Part("1"), Part("1"), Part("never", hang_after=0)))
    with start(home, "eval", str(data), play=play) as child:
        reports = child.read_reports()
        for _ in range(4):
            next(words for words in reports if words[0] == "asked")
        assert child.end(signal.SIGKILL).code == -signal.SIGKILL
    assert run_child(home, "eval", str(data), play=Play((Part("3"),))).out.splitlines()[1].split()[1] == "2/4"


def test_two_models_of_one_file_name_are_two_and_one_named_twice_is_one(home: Path, data: Path, tmp_path: Path) -> None:
    paths = [tmp_path / folder / "same.gguf" for folder in "ab"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(b"no engine reads this")
    models = ("-m", paths[0], "-m", paths[1], "-m", paths[0])
    rows = json.loads(evaluate(home, data, *models, "--json").out)["rows"]
    assert [row["model"] for row in rows] == [str(path) for path in paths]


def entry(way: str, item: str, right: bool, model: str = "m", **more: Any) -> Entry:
    return Entry("k", item, "number", way, model, "key", "?", "1", "1", right, **more)


def entries(way: str, rights: Sequence[int], model: str = "m") -> list[Entry]:
    return [entry(way, str(number), bool(right), model) for number, right in enumerate(rights)]


def test_rows_compare_each_way_with_the_first_of_its_model_on_the_items_of_both() -> None:
    found = rows_of(
        [
            *entries("a", [0] * 8),
            *entries("b", [1] * 6 + [0, 0]),
            *entries("a", [1] * 8, "n"),
            *entries("b", [1] * 4, "n"),
        ]
    )
    told = [(row.name, row.against, row.compared and (row.compared.items, row.compared.gained)) for row in found]
    assert told == [
        ("a · m", "", None),
        ("b · m", "a · m", (8, 6)),
        ("a · n", "a · m", (8, 8)),
        ("b · n", "a · n", (4, 0)),
    ]
    assert [row.p for row in found] == [None, 0.03125, 2 / 256, 1.0]
    assert [row.p_corrected for row in found] == [None, 0.0625, 6 / 256, 1.0]
    assert "1 of 3 differences is more than chance would give" in in_words(found)


def test_failed_and_cut_off_replies_are_counted() -> None:
    one = entry("a", "1", True, reason="max_tokens", prompt_tokens=10, cached_tokens=5, reply_tokens=4, seconds=2.0)
    (row,) = rows_of([one, entry("a", "2", False, error="it died")])
    assert (row.items, row.right, row.failed, row.cut) == (2, 1, 1, 1)
    assert (row.cached_share, row.reply_tokens, row.seconds) == (0.5, 4, 2.0)


def test_many_items_need_no_warning_and_none_is_said() -> None:
    assert in_words(rows_of(entries("a", [1, 0] * 200))) == ""
    assert lines((), 0) == ["no question of this set could be asked so"]
    assert lines((), 2)[1:] == ["2 without a reference answer, skipped"]
    assert rows_of([]) == ()


def test_the_table_of_several_models_names_them() -> None:
    rows: tuple[Row, ...] = rows_of([*entries("a", [1], "x\ny"), *entries("a", [0], "n")])
    head, first, *_ = lines(rows, 0)
    assert head.split()[:2] == ["way", "model"]
    assert first.split()[:3] == ["a", "x", "y"]


class Deaf(FakeEngine):
    """Scores nothing."""

    def score(
        self, request: Request, continuations: Sequence[str | Sequence[int]]
    ) -> Generator[Event | Scored, None, None]:
        raise EngineDied("it stopped")
        yield


def test_a_crash_while_options_are_compared_is_a_failed_question(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "options.jsonl"
    path.write_text(json.dumps({"question": "Which?", "choices": ["a", "b"], "answer": "B"}))
    done = evaluate(home, path, "--compare", "choice,zero-shot", engine=Deaf([Script("B")]))
    assert done.code == 0
    assert [line.split()[1] for line in done.out.splitlines()[1:3]] == ["0/1", "1/1"]
