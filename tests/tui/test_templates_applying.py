"""From a template to a recipe: parameters, examples, the form of the answer."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.composing import compose
from llmchat_tui.errors import UsageError
from llmchat_tui.recipe import Recipe, packed, recipe_of
from llmchat_tui.templates.applying import recipe_from
from llmchat_tui.templates.values import Template

SHOTS = tuple(Shot(word, word.upper()) for word in ("apple", "boat", "car", "dog"))


def test_everything_comes_along() -> None:
    template = Template(
        "mine", "what", "Be brief.", "$input!", {}, SHOTS[:1], 1, "order", "few-shot", 5, "on", 9, True, "{}", "g"
    )
    found = recipe_from(template, {})
    assert found == Recipe("mine", SHOTS[:1], "$input!", "few-shot", 5, "on", 9, True, "{}", "g")
    assert recipe_of(packed(found)) == found


def test_parameters_stand_in_the_words_and_are_never_read_again() -> None:
    template = Template("mine", user="$input to $to, $$5", params={"to": "English"})
    assert recipe_from(template, {}).wrapped("$to") == "$to to English, $5"
    assert (
        recipe_from(template, {"to": "$input ${input} $$"}).wrapped("a $input") == "a $input to $input ${input} $$, $5"
    )


def test_parameters_that_are_missing_are_named_with_their_flags() -> None:
    template = Template("mine", user="$input $a $b $c", params={"a": "", "b": "", "c": "x"})
    with pytest.raises(UsageError, match="the template mine needs a and b") as caught:
        recipe_from(template, {})
    assert "-p a VALUE -p b VALUE" in caught.value.hint
    assert recipe_from(template, {"a": "", "b": "y"}).wrapped("q") == "q  y x"


def test_unknown_parameters() -> None:
    with pytest.raises(UsageError, match="has no parameter languge — did you mean language"):
        recipe_from(Template("mine", params={"language": "a"}), {"languge": "b"})
    with pytest.raises(UsageError, match="it has none"):
        recipe_from(Template("mine"), {"a": "b"})


def test_examples_are_chosen_as_the_template_says_or_the_flags() -> None:
    template = Template("mine", shots=SHOTS, num_shots=2)
    assert recipe_from(template, {}).shots == SHOTS[:2]
    assert recipe_from(template, {}, count=9).shots == SHOTS
    assert recipe_from(template, {}, count=0).shots == ()
    drawn = {recipe_from(template, {}, by="random", seed=seed).shots for seed in range(20)}
    assert len(drawn) > 1
    assert recipe_from(template, {}, by="random", seed=3) == recipe_from(template, {}, by="random", seed=3)


def lengths(texts: Sequence[str]) -> list[list[float]]:
    return [[1.0, len(text)] for text in texts]


def test_examples_by_similarity_need_what_compares() -> None:
    template = Template("mine", shots=SHOTS, num_shots=1, shots_by="similar")
    assert recipe_from(template, {}, "abcd", embed=lengths).shots == (SHOTS[1],)
    with pytest.raises(UsageError, match="there is no embedder"):
        recipe_from(template, {}, "abcd")
    assert recipe_from(template, {}, count=9).shots == SHOTS


def test_an_example_that_is_whole_gets_no_words_around_it() -> None:
    template = Template("mine", user="[$input]", shots=(Shot("a", "b"), Shot("$input c", "d", whole=True)))
    recipe = recipe_from(template, {})
    said = compose("", (), recipe.wrapped("q"), recipe=recipe)
    assert [message.text for message in said] == ["[a]", "b", "$input c", "d", "[q]"]
    (text, _) = compose("", (), recipe.wrapped("q"), recipe=recipe, raw=True)
    assert "Input: $input c\n" in text.text


def test_a_schema_of_a_parameter() -> None:
    template = Template("mine", schema="$fields", params={"fields": "name"})
    assert list(json.loads(recipe_from(template, {}).schema)["properties"]) == ["name"]
    given = recipe_from(template, {"fields": "a int, b"})
    assert json.loads(given.schema)["properties"]["a"] == {"type": "integer"}
    with pytest.raises(UsageError, match="unknown type"):
        recipe_from(template, {"fields": "a in"})
    with pytest.raises(RequestInvalid):
        recipe_from(template, {"fields": "{"})


def test_a_choice_of_a_parameter() -> None:
    template = Template("mine", grammar="$labels", params={"labels": "yes, no"})
    assert recipe_from(template, {}).grammar == 'root ::= "yes" | "no"'
    with pytest.raises(UsageError, match="-p labels: choices has none") as caught:
        recipe_from(template, {"labels": " , "})
    assert "-p labels" in caught.value.hint
