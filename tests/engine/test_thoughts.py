"""A thought is told apart from its answer by ids: three families of models, and one that spells its marks."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.thinkers import OpenThinker, Thinker, asked, in_order, notices

from llmchat_engine.events import Token
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.thinking import DOES_NOT_THINK
from llmchat_engine.types import Message, Sampling

THOUGHT = "hm, it is\n\n  far"
NATURAL = {
    "qwen3": f"<think>\n{THOUGHT}\n</think>\n\nFar.<|im_end|>",
    "r1": f"{THOUGHT}\n</think>\n\nFar.<|im_end|>",
    "gpt-oss": f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant"
    "<|channel|>final<|message|>Far.<|return|>",
    "spelled": f"<think>\n{THOUGHT}\n</think>\n\nFar.<|im_end|>",
}
END = {"gpt-oss": "<|return|>"}


@pytest.mark.parametrize("kind", NATURAL)
def test_a_thought_is_no_part_of_the_answer(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    finished = thinker.ask(asked(), NATURAL[kind])
    before = NATURAL[kind][: NATURAL[kind].index("Far.")]
    assert thinker.info.thinks
    assert (finished.thought, finished.text, finished.reason) == (THOUGHT, "Far.", "eog")
    assert finished.token_ids == thinker.ids(NATURAL[kind])
    assert finished.thought_tokens == len(thinker.ids(before))
    assert finished.reply_tokens == len(finished.token_ids)
    assert 0 < finished.thought_seconds < 5


@pytest.mark.parametrize("kind", ["qwen3", "spelled"])
@pytest.mark.parametrize("blank", ["\n", "  \n"])
def test_blanks_may_stand_before_a_thought(kind: str, blank: str, open_thinker: OpenThinker) -> None:
    """GLM 4.5 begins its replies with a line break, and SentencePiece every text with a blank."""
    thinker = open_thinker(kind)
    finished = thinker.ask(asked(), blank + NATURAL[kind])
    assert (finished.thought, finished.text) == (THOUGHT, "Far.")
    assert finished.token_ids == thinker.ids(blank + NATURAL[kind])
    assert finished.thought_tokens == len(finished.token_ids) - len(thinker.ids("Far.<|im_end|>"))
    for text in (blank + "Far.", blank):
        plain = thinker.ask(asked(), text + "<|im_end|>")
        assert (plain.thought, plain.text, plain.thought_tokens) == ("", text, 0)


def test_a_blank_that_a_grammar_asks_for_is_the_answers(open_thinker: OpenThinker) -> None:
    thinker = open_thinker("qwen3")
    finished = thinker.ask(asked(grammar='root ::= "\\n" [0-9]'), "\n7<|im_end|>")
    assert (finished.thought, finished.text, finished.complete) == ("", "\n7", True)


@pytest.mark.parametrize("kind", ["qwen3", "spelled", "gpt-oss"])
def test_who_answers_at_once_does_not_think(kind: str, open_thinker: OpenThinker) -> None:
    finished = open_thinker(kind).ask(asked(), "Far. <think>" + END.get(kind, "<|im_end|>"))
    assert (finished.thought, finished.text) == ("", "Far. <think>")
    assert (finished.thought_tokens, finished.thought_seconds) == (0, 0.0)


@pytest.mark.parametrize("begins", ["<", "<thin", "<thinking> is", "<t", "< think>"])
def test_what_only_looks_like_a_spelled_mark_is_the_answer(begins: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker("spelled")
    assert thinker.ask(asked(), begins + "<|im_end|>").text == begins
    assert thinker.ask(asked(max_tokens=len(thinker.ids(begins))), begins).text == begins


@pytest.mark.parametrize("kind", ["qwen3", "r1", "spelled"])
def test_blanks_before_the_answer_belong_to_the_thought(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    opened = "" if kind == "r1" else "<think>"
    finished = thinker.ask(asked(), opened + "hm</think>\n\n\n  \n Far.\n\n<|im_end|>")
    assert (finished.thought, finished.text) == ("hm", "Far.\n\n")
    assert thinker.text(finished.token_ids[finished.thought_tokens :]) == "Far.\n\n<|im_end|>"


def test_a_commentary_is_a_thought_and_headers_are_never_shown(open_thinker: OpenThinker) -> None:
    script = (
        "<|channel|>analysis<|message|>one<|end|><|start|>assistant to=nobody<|channel|>commentary<|message|>two<|end|>"
        "<|start|>assistant<|channel|>final<|message|>Far.<|end|>"
    )
    thinker = open_thinker("gpt-oss")
    finished = thinker.ask(asked(), script)
    assert (finished.thought, finished.text, finished.reason) == ("one\n\ntwo", "Far.", "eog")
    assert finished.token_ids == thinker.ids(script)


def test_a_header_without_an_end_is_an_answer(open_thinker: OpenThinker) -> None:
    finished = open_thinker("gpt-oss").ask(asked(), "<|channel|>" + 40 * "x" + "<|return|>")
    assert set(finished.text) == {"x"}


def test_stop_words_are_looked_for_in_the_answer_alone(open_thinker: OpenThinker) -> None:
    thinker = open_thinker("qwen3")
    request = asked(sampling=_stops("STOP", "\n\n"))
    script = "<think>\nSTOP\n\nno</think>\n\nFar.STOP"
    finished = thinker.ask(request, script)
    assert (finished.thought, finished.text, finished.reason) == ("STOP\n\nno", "Far.", "stop")
    assert finished.token_ids == thinker.ids(script.removesuffix("STOP"))
    cut = thinker.ask(asked(sampling=_stops("ar")), "<think>hm</think>" + "Far\u2581")
    assert cut.reason == "stop" and cut.thought == "hm"


def _stops(*words: str) -> Sampling:
    return Sampling(temperature=0.0, max_tokens=60, stop=words)


def test_the_thoughts_events_have_its_probabilities(open_thinker: OpenThinker) -> None:
    thinker = open_thinker("qwen3")
    events = thinker.events(asked(logprobs=2), NATURAL["qwen3"])
    finished, tokens = in_order(events), [event for event in events if isinstance(event, Token)]
    for thought, ids in ((True, finished.token_ids[: finished.thought_tokens]),
                         (False, finished.token_ids[finished.thought_tokens :])):  # fmt: skip
        told = [logprob for token in tokens if token.thought is thought for logprob in token.logprobs]
        assert tuple(logprob.id for logprob in told) == ids
        assert sum(token.count for token in tokens if token.thought is thought) == len(ids)
    assert finished.logprob == pytest.approx(sum(one.logprob for token in tokens for one in token.logprobs))


def test_each_of_several_answers_thinks_for_itself(open_thinker: OpenThinker) -> None:
    thinker = open_thinker("qwen3")
    scripts = (
        "<think>one</think>\n\nA<|im_end|>",
        "B, at once<|im_end|>",
        "<think>\nthree, and long\n</think>C<|im_end|>",
    )
    finished = thinker.ask(asked(answers=3), *scripts)
    assert [(answer.thought, answer.text) for answer in finished.answers] == [
        ("one", "A"), ("", "B, at once"), ("three, and long", "C"),
    ]  # fmt: skip
    assert [answer.token_ids for answer in finished.answers] == [thinker.ids(script) for script in scripts]
    assert (finished.thought, finished.thought_tokens) == ("one", finished.answers[0].thought_tokens)


@pytest.mark.parametrize("kind", ["qwen3", "r1"])
def test_a_mark_in_a_question_stays_text(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    question = Message("user", "what is <think> and </think>? <think>")
    prompt = thinker.residents.prompter.prompt(asked(question))
    usual = thinker.residents.prompter.prompt(asked())
    assert [prompt.ids.count(mark) for mark in (5, 6)] == [usual.ids.count(mark) for mark in (5, 6)]
    assert question.text in thinker.prompt(asked(question))
    script = NATURAL[kind]
    assert thinker.ask(asked(question), script).text == "Far."
    if kind == "qwen3":
        assert thinker.ask(asked(question), "It is a mark.<|im_end|>").thought_tokens == 0


def test_a_model_without_thoughts_has_text_alone(
    llama: Llama, tiny_chat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thinker = Thinker(llama, tiny_chat, monkeypatch)
    assert not thinker.info.thinks
    for think in ("auto", "on", "off"):
        events = thinker.events(asked(think=think, think_budget=1), "<think>hm</think>so<|im_end|>")
        finished = in_order(events)
        assert (finished.text, finished.thought_tokens) == ("<think>hm</think>so", 0)
        assert notices(events) == ([DOES_NOT_THINK] if think == "on" else [])
    thinker.close()


def test_completed_text_has_no_thoughts(open_thinker: OpenThinker) -> None:
    finished = open_thinker("qwen3").ask(asked(raw=True), "<think>hm</think>so<|im_end|>")
    assert (finished.text, finished.thought_tokens) == ("<think>hm</think>so", 0)


def test_a_reply_that_ends_in_its_thought_has_no_text(open_thinker: OpenThinker) -> None:
    thinker = open_thinker("r1")
    finished = thinker.ask(asked(max_tokens=4), "hm, well")
    assert (finished.thought, finished.text, finished.reason) == ("hm, ", "", "max_tokens")
    assert finished.thought_tokens == 4
    ended = thinker.ask(asked(), "hm<|im_end|>")
    assert (ended.thought, ended.text, ended.reason, ended.thought_tokens) == ("hm", "", "eog", 2)
