"""A template with twelve examples costs its prefill once: with a host that stays, and from disk after `stop`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.tui.real_host import RealHome, real_home

SHOTS = "".join(
    f'\n[[shots]]\ninput = "The {one} sat on the {other}."\noutput = "{one}, {other}"\n'
    for one, other in zip(
        ["cat", "dog", "bird", "fish", "cow", "horse", "mouse", "frog", "duck", "goat", "sheep", "lion"],
        ["mat", "rug", "branch", "stone", "grass", "hill", "cheese", "leaf", "lake", "roof", "field", "rock"],
        strict=True,
    )
)
TEMPLATE = f'system = "You list the nouns of a sentence."\n{SHOTS}'


@pytest.fixture
def real() -> Iterator[RealHome]:
    with real_home("1h") as home:
        folder = home.root / "home" / "templates"
        folder.mkdir(parents=True)
        (folder / "nouns.toml").write_text(TEMPLATE, encoding="utf-8")
        yield home


def usage(real: RealHome, question: str, *flags: str) -> dict[str, Any]:
    asked = real.llmchat("ask", "--json", "--max-tokens", "4", "-t", "nouns", *flags, question)
    assert asked.code == 0, asked
    found: dict[str, Any] = json.loads(asked.out)["usage"]
    return found


def own_tokens(real: RealHome, question: str) -> int:
    """Returns how many tokens a question adds to the template, with what stands around it."""
    prompts = [real.llmchat("ask", "--dry-run", "-t", "nouns", text).err for text in (question, "?")]
    counts = [int(prompt.split(" tokens")[0].replace(",", "")) for prompt in prompts]
    around = real.llmchat("ask", "--dry-run", "?").err
    return counts[0] - counts[1] + int(around.split(" tokens")[0].replace(",", ""))


@pytest.mark.parametrize("flags", [(), ("--temperature", "0"), ("--seed", "5")])
def test_the_second_question_prefills_itself_alone(real: RealHome, flags: tuple[str, ...]) -> None:
    first = usage(real, "The bee sat on the rose.", *flags)
    assert first["prefilled_tokens"] == first["prompt_tokens"] > 500
    question = "The ant sat on the twig and slept."
    own = own_tokens(real, question)
    second = usage(real, question, *flags)
    assert second["prefilled_tokens"] <= own + 2
    assert real.llmchat("stop").code == 0
    third = usage(real, question.replace("twig", "leaf"), *flags)
    assert third["restored_from"] == "disk"
    assert third["prefilled_tokens"] <= own + 2


@pytest.mark.parametrize("flags", [(), ("--temperature", "0"), ("--seed", "5")])
def test_examples_of_a_base_model_are_read_once_too(real: RealHome, flags: tuple[str, ...]) -> None:
    first = usage(real, "The bee sat on the rose.", "--raw", *flags)
    assert first["prefilled_tokens"] == first["prompt_tokens"] > 300
    second = usage(real, "The ant sat on the twig.", "--raw", *flags)
    assert second["prefilled_tokens"] < 50
