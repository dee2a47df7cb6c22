"""Thoughts that are asked for, forbidden, cut at a budget or on order, and grammars that hold for the answer alone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tests.engine.thinkers import OpenThinker, Thinker, asked, notices

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.events import Finished, Peeked, Scored, Token
from llmchat_engine.host.jobs import Job
from llmchat_engine.protocol import News, Peek, Score, Work
from llmchat_engine.types import Request, Sampling

OPENING = {"qwen3": "<think>\n", "spelled": "<think>\n"}
BEGINS = {"qwen3": "<think>", "r1": "", "gpt-oss": "<|channel|>analysis<|message|>", "spelled": "<think>"}
TAGS = "\n</think>\n\n"
CLOSING = {
    "qwen3": TAGS, "r1": TAGS, "spelled": TAGS, "gpt-oss": "<|end|><|start|>assistant<|channel|>final<|message|>",
}  # fmt: skip
END = {"qwen3": "<|im_end|>", "r1": "<|im_end|>", "spelled": "<|im_end|>", "gpt-oss": "<|return|>"}
FAMILIES = sorted(BEGINS)
LONG = "abcdefghijkl"
DIGITS = 'root ::= "4" [0-9]'


def all_of(thinker: Thinker, finished: Finished) -> str:
    """Returns a whole reply with its marks."""
    return thinker.text(finished.token_ids)


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("budget", [1, 2, 7])
def test_a_budget_is_kept_to_the_token(kind: str, budget: int, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    finished = thinker.ask(asked(think_budget=budget), BEGINS[kind] + LONG[:budget] + "Far." + END[kind])
    assert (finished.thought, finished.text) == (LONG[:budget], "Far.")
    assert all_of(thinker, finished) == BEGINS[kind] + LONG[:budget] + CLOSING[kind] + "Far." + END[kind]
    assert finished.reply_tokens == len(finished.token_ids)
    assert finished.thought_tokens == len(finished.token_ids) - len(thinker.ids("Far." + END[kind]))
    assert thinker.draws[0].seen[-finished.reply_tokens :] == [*finished.token_ids]


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_budget_that_is_not_reached_changes_nothing(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    script = BEGINS[kind] + LONG + CLOSING[kind] + "Far." + END[kind]
    whole, free = thinker.ask(asked(think_budget=30), script), thinker.ask(asked(), script)
    assert (whole.token_ids, whole.thought_tokens) == (free.token_ids, free.thought_tokens)
    assert (whole.text, whole.thought) == (free.text, free.thought) == ("Far.", LONG)


@pytest.mark.parametrize(
    ("kind", "begins"), [("qwen3", "<think>"), ("spelled", "<think>"), ("r1", ""), ("gpt-oss", "")]
)
def test_a_budget_of_nothing_closes_at_once(kind: str, begins: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    finished = thinker.ask(asked(think_budget=0), begins + "Far." + END[kind])
    assert (finished.thought, finished.text) == ("", "Far.")
    assert finished.thought_tokens == len(finished.token_ids) - len(thinker.ids("Far." + END[kind]))


@pytest.mark.parametrize("kind", FAMILIES)
def test_off_has_no_thought(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    request = asked(think="off")
    finished = thinker.ask(request, "Far." + END[kind])
    assert (finished.thought, finished.text) == ("", "Far.")
    forced = {"r1": TAGS, "gpt-oss": "<|channel|>final<|message|>"}.get(kind, "")
    assert all_of(thinker, finished) == forced + "Far." + END[kind]
    prompt = thinker.prompt(request)
    if kind == "gpt-oss":
        assert "Reasoning: low" in prompt
        assert "Reasoning: medium" in thinker.prompt(asked())
    elif kind != "r1":
        assert prompt == thinker.prompt(asked()) + "<think>\n\n</think>\n\n"


def test_off_forbids_the_mark_for_this_reply_alone(open_thinker: OpenThinker) -> None:
    thinker = open_thinker("qwen3")
    wants = Sampling(temperature=0.0, max_tokens=5, logit_bias=("#5=1000",))
    assert 5 not in thinker.ask(asked(sampling=wants, think="off")).token_ids
    assert thinker.ask(asked(sampling=wants)).token_ids == (5,) * 5


def test_off_closes_what_is_spelled_all_the_same(open_thinker: OpenThinker) -> None:
    """Nobody can forbid a mark that is many tokens: not where the template has not closed one, as for a sequel."""
    thinker = open_thinker("spelled")
    finished = thinker.ask(asked(think_budget=0), "<think>Far.<|im_end|>")
    assert all_of(thinker, finished) == "<think>" + TAGS + "Far.<|im_end|>"


@pytest.mark.parametrize("kind", ["qwen3", "spelled"])
def test_on_opens_what_the_template_does_not(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    finished = thinker.ask(asked(think="on"), "hm</think>\n\nFar.<|im_end|>")
    assert (finished.thought, finished.text) == ("hm", "Far.")
    assert all_of(thinker, finished) == OPENING[kind] + "hm</think>\n\nFar.<|im_end|>"
    assert thinker.draws[0].seen[-finished.reply_tokens :] == [*finished.token_ids]
    for budget in (0, 3):
        short = thinker.ask(asked(think="on", think_budget=budget), LONG[:budget] + "Far.<|im_end|>")
        assert (short.thought, short.text) == (LONG[:budget], "Far.")


@pytest.mark.parametrize("kind", ["r1", "gpt-oss"])
def test_on_changes_nothing_where_a_thought_comes_anyway(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    script = BEGINS[kind] + "hm" + CLOSING[kind] + "Far." + END[kind]
    events = thinker.events(asked(think="on"), script)
    assert isinstance(events[-1], Finished)
    assert all_of(thinker, events[-1]) == script
    assert notices(events) == []


@pytest.mark.parametrize("kind", FAMILIES)
def test_an_order_closes_the_thought_and_the_model_answers(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)

    def answer_now(job: Job, news: News) -> None:
        if isinstance(news, Token) and news.thought and news.text == "d":
            job.concluded.add(0)

    finished = thinker.ask(asked(), BEGINS[kind] + "abcd" + "Far." + END[kind], watch=answer_now)
    assert (finished.thought, finished.text) == ("abcd", "Far.")
    assert all_of(thinker, finished) == BEGINS[kind] + "abcd" + CLOSING[kind] + "Far." + END[kind]
    assert finished.prefilled_tokens + finished.cached_tokens == finished.prompt_tokens, "nothing is read again"


def test_an_order_can_be_for_one_of_several(open_thinker: OpenThinker) -> None:
    thinker = open_thinker("r1")

    def answer_now(job: Job, news: News) -> None:
        if isinstance(news, Token) and news.answer == 1 and news.text == "b":
            job.concluded.add(1)

    finished = thinker.ask(asked(answers=2), "abcd</think>A<|im_end|>", "abB<|im_end|>", watch=answer_now)
    assert [(answer.thought, answer.text) for answer in finished.answers] == [("abcd", "A"), ("ab", "B")]


def test_an_order_in_the_answer_does_nothing(open_thinker: OpenThinker) -> None:
    thinker = open_thinker("r1")

    def answer_now(job: Job, news: News) -> None:
        if isinstance(news, Token) and not news.thought:
            job.concluded.add(0)

    assert thinker.ask(asked(), "ab</think>Far, far.<|im_end|>", watch=answer_now).text == "Far, far."


def test_an_order_that_comes_first_answers_at_once(open_thinker: OpenThinker) -> None:
    thinker = open_thinker("r1")
    finished = thinker.ask(asked(), "Far.<|im_end|>", watch=lambda job, _: job.concluded.add(0))
    assert (finished.thought, finished.text) == ("", "Far.")


def test_the_most_tokens_count_those_that_are_forced(open_thinker: OpenThinker) -> None:
    thinker = open_thinker("r1")
    finished = thinker.ask(asked(think_budget=3, max_tokens=5), "abc")
    assert (finished.reason, finished.reply_tokens, finished.text, finished.thought_tokens) == ("max_tokens", 5, "", 5)


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_grammar_holds_for_the_answer(kind: str, open_thinker: OpenThinker) -> None:
    """What is drawn in the thought fits no grammar of digits; what is drawn behind it does."""
    thinker = open_thinker(kind)
    if kind == "spelled":
        request, script = asked(grammar=DIGITS, think="on"), "hm, 7</think>42<|im_end|>"
    else:
        request, script = asked(grammar=DIGITS), BEGINS[kind] + "hm, 7" + CLOSING[kind].strip() + "42" + END[kind]
    finished = thinker.ask(request, script)
    assert (finished.thought, finished.text, finished.complete) == ("hm, 7", "42", True)


def test_behind_the_thought_stands_what_the_model_would_have_put_there(open_thinker: OpenThinker) -> None:
    thinker = open_thinker("r1")
    finished = thinker.ask(asked(grammar=DIGITS), "hm</think>42<|im_end|>")
    assert all_of(thinker, finished) == "hm</think>\n\n42<|im_end|>"
    assert finished.thought_tokens == len(thinker.ids("hm</think>\n\n"))


@pytest.mark.parametrize("kind", ["qwen3", "gpt-oss", "spelled"])
def test_under_a_grammar_who_does_not_think_answers_at_once(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    finished = thinker.ask(asked(grammar=DIGITS), "42" + END[kind])
    assert (finished.thought, finished.text, finished.complete) == ("", "42", True)
    drawn = thinker.ask(asked(grammar='root ::= "a" "b"+ "c"', think="off", max_tokens=20))
    assert drawn.text.startswith("ab")
    assert drawn.thought == ""


@pytest.mark.parametrize("kind", ["r1", "gpt-oss"])
def test_a_grammar_and_a_budget(kind: str, open_thinker: OpenThinker) -> None:
    thinker = open_thinker(kind)
    sampling = Sampling(temperature=1.0, seed=3, max_tokens=60)
    if kind == "gpt-oss":
        finished = thinker.ask(asked(grammar=DIGITS, think="off", sampling=sampling))
    else:
        finished = thinker.ask(asked(grammar=DIGITS, think_budget=9, sampling=sampling))
        assert finished.thought
    assert finished.complete
    assert re.fullmatch("4[0-9]", finished.text)


def test_cut_in_its_thought_a_reply_under_a_grammar_is_not_complete(open_thinker: OpenThinker) -> None:
    thinker = open_thinker("r1")
    maybe = asked(grammar='root ::= "4"?', max_tokens=3)
    assert not thinker.ask(maybe, "hm, well").complete
    assert thinker.ask(asked(max_tokens=3), "hm, well").complete
    assert thinker.ask(asked(grammar='root ::= "4"?'), "hm</think><|im_end|>").complete


def test_a_seed_gives_the_same_thought_again(open_thinker: OpenThinker) -> None:
    thinker = open_thinker("r1")
    request = asked(think_budget=12, answers=2, sampling=Sampling(temperature=1.2, seed=5, max_tokens=30))
    first, again = thinker.ask(request), thinker.ask(request)
    assert [answer.token_ids for answer in first.answers] == [answer.token_ids for answer in again.answers]
    alone = asked(think_budget=12, sampling=Sampling(temperature=1.2, seed=6, max_tokens=30))
    assert thinker.ask(alone).token_ids == first.answers[1].token_ids
    assert all(answer.thought for answer in first.answers)


def test_beams_search_behind_what_is_forced(open_thinker: OpenThinker) -> None:
    thinker = open_thinker("r1")
    finished = thinker.ask(asked(beams=3, think="off", max_tokens=6))
    assert (finished.thought, finished.thought_tokens) == ("", 0)
    assert finished.prompt_tokens == len(thinker.ids(thinker.prompt(asked())) + thinker.ids(TAGS))
    assert thinker.ask(asked(beams=3, max_tokens=6)).text == ""
    with pytest.raises(RequestInvalid, match="beams"):
        thinker.events(asked(beams=3, think_budget=5))
    with pytest.raises(RequestInvalid, match="out of range"):
        thinker.events(asked(think_budget=-1))


def test_a_search_that_meets_a_stop_word_in_a_thought_was_not_cancelled(open_thinker: OpenThinker) -> None:
    everything = Sampling(temperature=0.0, max_tokens=30, stop=tuple("~_noipe\ufffd"))
    finished = open_thinker("r1").ask(asked(beams=3, sampling=everything))
    assert (finished.reason, finished.text) == ("stop", "")
    assert finished.token_ids
    assert finished.thought_tokens == finished.reply_tokens < 30


@pytest.mark.parametrize("order", [lambda request: Score(request, ("Far.",)), lambda request: Peek(request, 3)])
def test_scores_and_peeks_are_of_the_answer_where_nothing_is_thought(
    order: Callable[[Request], Work], open_thinker: OpenThinker
) -> None:
    thinker = open_thinker("r1")
    prompt, _ = thinker.residents.begin(asked(think="off"))
    assert thinker.text(prompt.ids) == thinker.prompt(asked()) + TAGS
    for think, tokens in (("off", len(prompt.ids)), ("auto", len(prompt.ids) - len(thinker.ids(TAGS)))):
        *_, told = thinker.serve(order(asked(think=think)))
        assert isinstance(told, Scored | Peeked)
        assert told.prompt_tokens == tokens
