"""From the words of --compare to recipes and requests."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import pytest

from llmchat_engine import Message, Sampling
from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.errors import TemplateMissing, UsageError
from llmchat_tui.evaluation.asking import MAX_TOKENS, Manner, request_of, sampling_of
from llmchat_tui.evaluation.items import Item
from llmchat_tui.evaluation.ways import Examples, Way, check_examples, parse_ways
from llmchat_tui.recipe import Recipe
from llmchat_tui.templates.values import Template

SHOTS = tuple(Shot(f"q{number}", f"a{number}", f"because {number}") for number in range(6))
ITEM = Item("1", "choice", "Which?", ("B",), ("x", "yy"))
PERSON = Item("2", "schema", "Who?", schema='{"type":"object"}')


def none(name: str) -> NoReturn:
    raise TemplateMissing(f"there is no template {name}")


def way(text: str) -> Way:
    (found,) = parse_ways(text, none)
    return found


def test_every_way_is_read() -> None:
    text = "zero-shot, few-shot:4,few-shot:2:random,cot,cot-few-shot:3:similar,votes:5,choice,choice-norm"
    assert parse_ways(text, none) == (
        Way("zero-shot"),
        Way("few-shot:4", shots=4),
        Way("few-shot:2:random", shots=2, by="random"),
        Way("cot", cot="zero-shot"),
        Way("cot-few-shot:3:similar", cot="few-shot", shots=3, by="similar"),
        Way("votes:5", cot="zero-shot", votes=5),
        Way("choice", likelihood="sum"),
        Way("choice-norm", likelihood="mean"),
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "known are zero-shot"),
        ("poem", "known are zero-shot, few-shot:K"),
        ("zero-shot:3", "known are"),
        ("few-shot", "from 1 to 100"),
        ("few-shot:0", "from 1 to 100"),
        ("few-shot:²", "from 1 to 100"),
        ("few-shot:4:best", "order, random, similar"),
        ("votes:1", "from 2 to 16"),
        ("votes:99999", "from 2 to 16"),
        ("template:", "known are"),
    ],
)
def test_what_is_no_way_is_told_with_what_is(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_ways(text, none)
    assert why in caught.value.why


def test_a_way_twice_and_a_template_that_is_missing() -> None:
    with pytest.raises(UsageError, match="has cot twice"):
        parse_ways("cot,zero-shot,cot", none)
    with pytest.raises(TemplateMissing, match="no template poem"):
        parse_ways("template:poem", none)


@pytest.mark.parametrize("text", ["few-shot:2,few-shot:02", "cot-few-shot:3,cot-few-shot:3:order", "votes:5,votes:05"])
def test_one_way_in_two_spellings_is_one_way(text: str) -> None:
    with pytest.raises(UsageError, match="twice"):
        parse_ways(text, none)


def test_a_question_is_never_among_its_own_examples() -> None:
    item = Item("1", "exact", "q1", ("a1",))
    recipe = Examples(SHOTS).recipe(way("few-shot:2"), item)
    assert [shot.input for shot in recipe.shots] == ["q0", "q2"]


def test_examples_at_random_are_the_same_for_every_question_of_a_seed() -> None:
    random = way("few-shot:3:random")
    drawn = {Examples(SHOTS, seed=1).recipe(random, Item(str(n), "exact", f"x{n}", ("y",))).shots for n in range(5)}
    assert len(drawn) == 1
    others = {Examples(SHOTS, seed=seed).recipe(random, ITEM).shots for seed in range(8)}
    assert len(others) > 1


def test_similar_examples_are_compared_with_the_question() -> None:
    examples = Examples(SHOTS, embed=lambda texts: [(1.0, float("4" in text)) for text in texts])
    recipe = examples.recipe(way("few-shot:1:similar"), Item("1", "exact", "about 4", ("y",)))
    assert [shot.input for shot in recipe.shots] == ["q4"]
    assert way("few-shot:1:similar").needs_embedder


def test_too_few_examples_and_examples_without_reasoning_are_refused() -> None:
    check_examples([way("few-shot:6"), way("cot-few-shot:6"), way("cot")], Examples(SHOTS))
    with pytest.raises(UsageError, match="few-shot:7 needs 7 worked examples — there are 6"):
        check_examples([way("few-shot:7")], Examples(SHOTS))
    with pytest.raises(UsageError, match="needs reasoning"):
        check_examples([way("cot-few-shot:1")], Examples((Shot("q", "a"),)))


def test_likelihoods_need_options_and_what_nobody_knows_is_never_asked() -> None:
    number, unknown = Item("1", "number", "?", ("1",)), Item("2", "none", "?")
    assert [way("choice").applies(item) for item in (ITEM, number, unknown)] == [True, False, False]
    assert [way("cot").applies(item) for item in (ITEM, number, unknown)] == [True, True, False]


def test_the_request_is_that_of_a_chat() -> None:
    examples = Examples(SHOTS)
    few = way("few-shot:1")
    request = request_of(ITEM, few, examples.recipe(few, ITEM), Manner(system="Be brief."))
    assert [message.role for message in request.messages] == ["system", "user", "assistant", "user"]
    assert request.messages[-1].text == ITEM.asked
    assert request.shared == 3
    assert (request.chat, request.store) == ("", False)
    cot = way("cot")
    reasons = request_of(ITEM, cot, examples.recipe(cot, ITEM), Manner())
    assert reasons.messages[-1].text.endswith("\n\nLet's think step by step.")
    choice = way("choice")
    bare = request_of(ITEM, choice, examples.recipe(choice, ITEM), Manner())
    assert bare.messages == (Message("user", "Which?"),)


def test_a_schema_holds_the_reply_unless_it_is_only_judged() -> None:
    assert request_of(PERSON, way("zero-shot"), Recipe(), Manner()).schema == PERSON.schema
    assert request_of(PERSON, way("zero-shot"), Recipe(), Manner(held=False)).schema == ""
    grammar = Recipe(grammar='root ::= "x"')
    assert request_of(ITEM, way("zero-shot"), grammar, Manner()).grammar == 'root ::= "x"'
    assert request_of(PERSON, way("zero-shot"), grammar, Manner()).grammar == ""


def test_replies_are_greedy_but_for_votes_and_only_what_is_drawn_has_a_seed() -> None:
    greedy = sampling_of(way("zero-shot"), Recipe(), Manner(seed=7))
    assert greedy == Sampling(temperature=0.0, max_tokens=MAX_TOKENS)
    votes = sampling_of(way("votes:5"), Recipe(votes=5), Manner(seed=7))
    assert votes == Sampling(temperature=0.7, max_tokens=MAX_TOKENS, seed=7)
    given = Manner(sampling=Sampling(temperature=0.3, max_tokens=9, stop=("x",)), seed=7)
    assert sampling_of(way("cot"), Recipe(), given) == Sampling(temperature=0.3, max_tokens=9, seed=7, stop=("x",))


def test_a_template_says_what_it_says_and_flags_go_over_it() -> None:
    template = Template("t", system="You are terse.", user="Q: $input", sampling={"top_k": 3, "stop": ["END"]})
    (asked,) = parse_ways("template:t", lambda _name: template)
    recipe = Examples().recipe(asked, ITEM)
    request = request_of(ITEM, asked, recipe, Manner(sampling=Sampling(top_k=9)))
    assert request.messages[0] == Message("system", "You are terse.")
    assert request.messages[-1].text == f"Q: {ITEM.asked}"
    assert (request.sampling.top_k, request.sampling.stop) == (9, ("END",))
    other = request_of(ITEM, asked, recipe, replace(Manner(), system="Mine."))
    assert other.messages[0].text == "Mine."


def test_a_base_model_is_stopped_before_it_invents_the_next_question() -> None:
    few = way("few-shot:1")
    request = request_of(ITEM, few, Examples(SHOTS).recipe(few, ITEM), Manner(raw=True))
    assert request.sampling.stop == ("\nInput:",)
    assert request.raw
