"""`ask` with templates, examples, chains of thought and votes: what the model is given, and what is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.tui.asking import Opened, ask, environment, stored

from llmchat_engine import Request
from llmchat_engine.prompting.chain_of_thought import TRIGGER
from llmchat_engine.prompting.few_shot import Shot
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.history import History
from llmchat_tui.recipe import PLAIN, recipe_of
from llmchat_tui.templates.finding import find_template

CAPITALS = """
system = "You know capitals."
user = "Of $country, $input"
num_shots = 2

[params]
country = "France"

[sampling]
temperature = 0.25
stop = ["END"]

[[shots]]
input = "the capital?"
output = "Paris"

[[shots]]
input = "the river?"
output = "Seine"

[[shots]]
input = "the sea?"
output = "Atlantic"
"""
STEPS = """
cot = "few-shot"

[[shots]]
input = "2 + 2?"
reasoning = "Two and two are four."
output = "4"
"""


@pytest.fixture
def folder(home: Path) -> Path:
    """The user's templates: capitals, steps, and one without examples."""
    folder = home / "templates"
    folder.mkdir(parents=True)
    (folder / "capitals.toml").write_text(CAPITALS, encoding="utf-8")
    (folder / "steps.toml").write_text(STEPS, encoding="utf-8")
    (folder / "bare.toml").write_text('system = "Be brief."', encoding="utf-8")
    return folder


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """Three examples in a file, one of them with its reasoning."""
    shots = [
        {"input": "a dog", "output": "animal"},
        {"input": "a rose", "output": "plant", "reasoning": "It grows."},
        {"input": "a stone", "output": "thing"},
    ]
    file = tmp_path / "shots.jsonl"
    file.write_text("".join(json.dumps(shot) + "\n" for shot in shots), encoding="utf-8")
    return file


def said(request: Request) -> list[str]:
    return [message.text for message in request.messages]


@pytest.mark.parametrize("flag", ["-t", "--template", "-r", "--role"])
def test_a_template(home: Path, folder: Path, flag: str) -> None:
    engine = FakeEngine([Script("Rhine")])
    assert ask(home, flag, "capitals", "the border?", engine=engine).out == "Rhine\n"
    (request,) = engine.requests
    assert said(request) == [
        "You know capitals.", "Of France, the capital?", "Paris", "Of France, the river?", "Seine",
        "Of France, the border?",
    ]  # fmt: skip
    assert (request.sampling.temperature, request.sampling.stop, request.shared) == (0.25, ("END",), 5)
    question, reply = stored(home)
    assert (question.text, reply.sent) == ("the border?", "Of France, the border?")


@pytest.mark.parametrize("flag", ["-p", "--param"])
def test_a_parameter(home: Path, folder: Path, flag: str) -> None:
    engine = FakeEngine()
    assert ask(home, "-t", "capitals", flag, "country", "Spain", "the sea?", engine=engine).code == 0
    assert said(engine.requests[0])[-1] == "Of Spain, the sea?"
    assert ask(home, "-t", "capitals", flag, "town", "Bonn", "the sea?").code == 2
    assert "--param is about a template" in ask(home, flag, "country", "Spain", "the sea?").err


def test_a_template_that_is_not_there_is_exit_code_3_before_a_model_is_loaded(home: Path, folder: Path) -> None:
    opened = Opened()
    (folder / "broken.toml").write_text("system = 3\n", encoding="utf-8")
    for name in ("capitols", "broken"):
        assert ask(home, "-t", name, "hi", engine=opened).code == 3
    assert opened.specs == []


def test_the_chat_goes_on_as_it_began(home: Path, folder: Path, history: History) -> None:
    engine = FakeEngine([Script("Rhine"), Script("Alps")])
    ask(home, "-t", "capitals", "-p", "country", "Italy", "the border?", engine=engine)
    ask(home, "-c", "the hills?", engine=engine)
    first, second = engine.requests
    assert said(second) == [*said(first), "Rhine", "Of Italy, the hills?"]
    assert second.sampling == first.sampling
    (chat,) = history.conversations()
    assert recipe_of(chat.recipe).template == "capitals"
    assert chat.sampling == {"temperature": 0.25, "stop": ["END"]}


def test_what_goes_over_what(home: Path, folder: Path) -> None:
    engine = FakeEngine()
    (home / "config.toml").write_text("[sampling]\ntemperature = 0.9\ntop_k = 7\n", encoding="utf-8")
    environ = environment(home, LLMCHAT_TEMPERATURE="0.5", LLMCHAT_SYSTEM="Of the settings.")
    ask(home, "-t", "capitals", "one", engine=engine)
    ask(home, "-t", "capitals", "one", engine=engine, environ=environ)
    ask(home, "-t", "capitals", "--temperature", "0.75", "-s", "Mine.", "one", engine=engine, environ=environ)
    ask(home, "-c", "two", engine=engine)
    ask(home, "-c", "-t", "steps", "--cot", "off", "three", engine=engine)
    assert [request.sampling.temperature for request in engine.requests] == [0.25, 0.5, 0.75, 0.25, 0.25]
    assert {request.sampling.top_k for request in engine.requests} == {7}
    assert [said(request)[0] for request in engine.requests[:4]] == [
        "You know capitals.", "You know capitals.", "Mine.", "Mine.",
    ]  # fmt: skip


def shot_texts(home: Path, *flags: str) -> list[str]:
    """Returns the messages of a dry question before it."""
    engine = FakeEngine()
    asked = ask(home, *flags, "a cat", engine=engine)
    assert asked.code == 0, asked.err
    return said(engine.requests[0])[:-1]


def test_examples_of_a_file(home: Path, examples: Path) -> None:
    assert shot_texts(home, "--shots", str(examples)) == ["a dog", "animal", "a rose", "plant", "a stone", "thing"]


@pytest.mark.parametrize("flag", ["-k", "--num-shots"])
def test_so_many_of_them(home: Path, examples: Path, flag: str) -> None:
    assert shot_texts(home, "--shots", str(examples), flag, "1") == ["a dog", "animal"]
    assert shot_texts(home, "--shots", str(examples), flag, "0") == []


def test_examples_of_a_template(home: Path, folder: Path) -> None:
    texts = shot_texts(home, "--shots", "capitals")
    assert texts == ["the capital?", "Paris", "the river?", "Seine"]
    assert len(shot_texts(home, "--shots", "capitals", "-k", "3")) == 6


def test_examples_at_random_are_the_same_under_a_seed(home: Path, examples: Path) -> None:
    flags = ("--shots", str(examples), "-k", "1", "--shots-by", "random", "--seed")
    drawn = {seed: shot_texts(home, *flags, str(seed)) for seed in range(12)}
    assert drawn[3] == shot_texts(home, *flags, "3")
    assert len({tuple(texts) for texts in drawn.values()}) > 1


def test_the_nearest_examples(home: Path, examples: Path) -> None:
    texts = shot_texts(home, "--shots", str(examples), "-k", "2", "--shots-by", "similar")
    assert texts[-2:] == nearest([("a dog", "animal"), ("a rose", "plant"), ("a stone", "thing")])


def nearest(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Returns the pair whose question is nearest to a cat, by the vectors of the tests."""
    from tests.tui.fake_ask_child import hash_embedder

    embedder = hash_embedder("", Path(), False)
    asked = embedder.encode_query("a cat")
    best = max(pairs, key=lambda pair: float(embedder.encode_query(pair[0]) @ asked))
    return list(best)


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("--shots", "none.jsonl"), 3),
        (("--shots", "nothing-of-the-kind"), 3),
        (("--shots", "bare"), 2),
        (("-k", "2"), 2),
        (("--shots-by", "random"), 2),
        (("--shots", "capitals", "-k", "2", "--shots-by", "any"), 2),
        (("--cot", "few-shot"), 2),
        (("--cot", "few-shot", "--shots", "capitals"), 2),
        (("--votes", "17"), 2),
        (("--chains",), 2),
        (("-t", "steps", "-k", "0"), 2),
        (("--json", "--dry-run"), 2),
        (("--schema", ""), 2),
        (("--schema-multi", ""), 2),
        (("-t", "capitals", "--save", "x"), 2),
    ],
)
def test_what_cannot_be_asked_for(home: Path, folder: Path, flags: tuple[str, ...], code: int) -> None:
    opened = Opened()
    asked = ask(home, *flags, "hi", engine=opened)
    assert (asked.code, opened.specs) == (code, []), asked.err


def test_reasoning_step_by_step(home: Path) -> None:
    engine = FakeEngine([Script("Six times seven."), Script("42")])
    asked = ask(home, "--cot", "zero-shot", "How many?", engine=engine)
    assert (asked.code, asked.out) == (0, "42\n")
    assert asked.err.startswith("Six times seven.")
    assert said(engine.requests[0]) == [f"How many?\n\n{TRIGGER}"]
    assert stored(home)[0].text == "How many?"


def test_reasoning_as_the_examples_do(home: Path, folder: Path) -> None:
    engine = FakeEngine([Script("Three and three are six."), Script("6")])
    assert ask(home, "-t", "steps", "3 + 3?", engine=engine).out == "6\n"
    assert said(engine.requests[0])[:2] == ["2 + 2?", "Two and two are four.\nAnswer: 4"]
    plain = FakeEngine()
    ask(home, "-t", "steps", "--cot", "off", "3 + 3?", engine=plain)
    assert said(plain.requests[0])[:2] == ["2 + 2?", "4"]


def test_votes_reason_step_by_step_where_nothing_else_is_said(home: Path) -> None:
    engine = FakeEngine([Script("Six times seven. The answer is 42.")])
    asked = ask(home, "--votes", "3", "How many?", engine=engine)
    assert (asked.code, asked.out) == (0, "42\n")
    assert engine.requests[0].messages[-1].text.endswith(TRIGGER)
    assert asked.err.splitlines()[-1].endswith("→ 42")
    assert "→ 42" not in ask(home, "-q", "--votes", "3", "How many?", engine=engine).err
    found = json.loads(ask(home, "--json", "--votes", "3", "How many?", engine=engine).out)
    assert (found["recipe"]["votes"], found["recipe"]["cot"], found["votes"]["total"]) == (3, "zero-shot", 3)
    assert found["votes"]["tally"][0][0] == "42"


def test_chains_are_printed_on_demand(home: Path) -> None:
    engine = FakeEngine([Script("Six times seven. The answer is 42.")])
    asked = ask(home, "--votes", "3", "--chains", "How many?", engine=engine)
    lines = asked.err.splitlines()
    assert lines[0].startswith("--- chain 1 of 3 → 42 · ")
    assert lines[1].startswith("Six times seven.")


@pytest.mark.parametrize("reasons", [("--cot", "zero-shot"), ("--votes", "3")])
@pytest.mark.parametrize(
    ("flags", "other"),
    [
        (("--docs",), "documents"),
        (("-d", "notes"), "documents"),
        (("--answers", "2"), "--answers"),
        (("--beams", "2"), "--beams"),
        (("--prefill", "Yes"), "--prefill"),
    ],
)
def test_what_excludes_reasoning(home: Path, reasons: tuple[str, str], flags: tuple[str, ...], other: str) -> None:
    opened = Opened()
    asked = ask(home, *reasons, *flags, "hi", engine=opened)
    assert (asked.code, opened.specs) == (2, [])
    assert f"{reasons[0]} and {other} exclude each other" in asked.err


def test_what_a_template_asks_for_can_be_taken_back(home: Path, folder: Path) -> None:
    refused = ask(home, "-t", "steps", "--answers", "2", "hi")
    assert refused.code == 2
    assert refused.err.splitlines()[1] == "hint: --cot off"
    assert ask(home, "-t", "steps", "--cot", "off", "--answers", "2", "hi").code == 0
    (folder / "voted.toml").write_text("votes = 3", encoding="utf-8")
    (folder / "cited.toml").write_text('[documents]\ncollections = ["notes"]\ncite = true', encoding="utf-8")
    hints = {
        ("-t", "steps", "-k", "0"): "--cot off",
        ("-t", "voted", "--logprobs"): "--votes 0",
        ("-t", "cited", "--format", "json"): "--no-cite",
    }
    for flags, hint in hints.items():
        assert ask(home, *flags, "hi").err.splitlines()[1:] == [f"hint: {hint}"], flags


def test_dry_run_shows_the_exact_prompt(home: Path, folder: Path) -> None:
    out = ask(home, "--dry-run", "-t", "capitals", "--cot", "zero-shot", "the sea?").out
    assert out.count("<|im_start|>") == 6
    assert out.endswith(f"<|im_start|>user\nOf France, the sea?\n\n{TRIGGER}<|im_end|>\n")


def test_a_command_line_is_saved_as_a_template(home: Path, examples: Path) -> None:
    schema = ("--schema", "name, age int")
    flags = ("-s", "Be brief.", "--temperature", "0.5", "--stop", "END", "--think", "64", "--shots", str(examples))
    saved = ask(home, "--save", "mine", *flags, *schema, "-k", "2", "--votes", "3", "-o", "top_k", "5")
    assert (saved.code, saved.out, saved.err) == (0, "", "")
    template = find_template("mine", home / "templates")
    assert (template.system, dict(template.sampling)) == (
        "Be brief.",
        {"temperature": 0.5, "stop": ("END",), "top_k": 5},
    )
    assert (template.think, template.think_budget, template.votes, template.cot) == ("on", 64, 3, "zero-shot")
    assert (len(template.shots), template.num_shots, template.shots[0]) == (3, 2, Shot("a dog", "animal"))
    assert json.loads(template.schema)["required"] == ["name", "age"]
    again = ask(home, "--save", "mine", "-s", "Other.")
    assert (again.code, "there is a template mine already" in again.err) == (2, True)


def test_a_chat_is_saved_with_how_its_tokens_are_chosen(home: Path, folder: Path) -> None:
    ask(home, "-t", "capitals", "the border?")
    assert ask(home, "-c", "--save", "mine", "--top-k", "5").code == 0
    saved = find_template("mine", home / "templates")
    assert (saved.system, dict(saved.sampling)) == (
        "You know capitals.",
        {"temperature": 0.25, "stop": ("END",), "top_k": 5},
    )


def test_bytes_that_are_no_text_are_replaced(home: Path, folder: Path) -> None:
    engine = FakeEngine()
    assert ask(home, "-t", "capitals", "-p", "country", "a\udcffb", "hi", engine=engine).code == 0
    assert said(engine.requests[0])[-1] == "Of a\ufffdb, hi"
    saved = ask(home, "--save", "mine", "--stop", "a\udcffb", "--schema", '{"const": "a\udcffb"}')
    assert saved.code == 0, saved.err
    template = find_template("mine", home / "templates")
    assert (template.sampling["stop"], json.loads(template.schema)) == (("a\ufffdb",), {"const": "a\ufffdb"})


def test_saving_with_a_question_answers_it_too(home: Path) -> None:
    opened = Opened()
    asked = ask(home, "--save", "mine", "-s", "Be brief.", "-d", "notes", "--docs-k", "3", engine=opened)
    assert (asked.code, opened.specs) == (0, [])
    template = find_template("mine", home / "templates")
    assert (template.collections, template.docs_k) == (("notes",), 3)
    engine = FakeEngine()
    assert ask(home, "--save", "other", "-s", "Be brief.", "hi", engine=engine).out == "Hello there.\n"
    assert said(engine.requests[0]) == ["Be brief.", "hi"]
    assert ask(home, "--save", "piped", engine=engine, stdin=b"hi").out == "Hello there.\n"
    assert ask(home, "--save", "not/one", "hi").code == 2


def test_a_question_as_ever_has_no_recipe(home: Path, history: History) -> None:
    ask(home, "hi")
    (chat,) = history.conversations()
    assert recipe_of(chat.recipe) == PLAIN
    assert chat.recipe == {}
