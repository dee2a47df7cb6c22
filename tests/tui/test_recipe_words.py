"""How a chat asks, in words; what goes together with documents; a question as it is sent."""

from __future__ import annotations

import pytest

from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.errors import UsageError
from llmchat_tui.recipe import PLAIN, Recipe
from llmchat_tui.recipe_words import check_beside_documents, recipe_line, recipe_name, recipe_rows

SHOT = Shot("2 and 2", "4")


@pytest.mark.parametrize(
    ("recipe", "line"),
    [
        (PLAIN, ""),
        (Recipe(template="sums", shots=(SHOT,), votes=8), "template sums · 1 example · 8 votes"),
        (Recipe(cot="few-shot"), "cot few-shot"),
        (Recipe(shots=(SHOT, SHOT), schema="{}", keep_thoughts=True), "2 examples · keeps thoughts · schema"),
        (Recipe(think="on", grammar="root ::= 1"), "thinks · grammar"),
        (Recipe(think="off"), "does not think"),
        (Recipe(think="on", think_budget=1200), "thinks at most 1,200 tokens"),
    ],
)  # fmt: skip
def test_a_recipe_in_a_line(recipe: Recipe, line: str) -> None:
    assert recipe_line(recipe) == line
    assert recipe_name(recipe) == (f"template {recipe.template}" if recipe.template else line)


def test_a_recipe_in_rows() -> None:
    rows = dict(recipe_rows(Recipe(template="sums", wrapper="Add:\n$input", votes=3)))
    assert rows["template"] == "sums" and rows["words around"] == "Add: $input" and rows["votes"] == "3"
    assert set(dict(recipe_rows(PLAIN)).values()) == {"none", "off", "auto", "nothing"}


def test_a_chain_of_thought_and_votes_do_not_go_with_documents() -> None:
    check_beside_documents(PLAIN, ["notes"])
    check_beside_documents(Recipe(cot="zero-shot", votes=3), [])
    for recipe, named in ((Recipe(cot="zero-shot"), "a chain of thought"), (Recipe(votes=3), "votes")):
        with pytest.raises(UsageError, match=named) as told:
            check_beside_documents(recipe, ["notes"])
        assert told.value.hint == "/docs off"
        with pytest.raises(UsageError, match="documents"):
            check_beside_documents(recipe, ["notes"], docs_are_new=True)


def test_a_question_as_it_is_sent() -> None:
    assert PLAIN.asks("how many?") == "how many?"
    asked = Recipe(wrapper="Q: $input", cot="zero-shot").asks("how $many?")
    assert asked.startswith("Q: how $many?") and asked.endswith("step by step.")
