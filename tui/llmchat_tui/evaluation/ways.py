"""The ways of asking that are compared, from the words of `--compare` to the recipe of each question.

Knows no engine and no reply. What compares examples with a question is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from llmchat_engine.prompting.chain_of_thought import Cot
from llmchat_engine.prompting.few_shot import Choice, Embed, Shot, choose
from llmchat_tui.errors import UsageError
from llmchat_tui.evaluation.items import Item
from llmchat_tui.recipe import MOST_VOTES, Recipe
from llmchat_tui.templates.applying import recipe_from
from llmchat_tui.templates.values import Template

Likelihood = Literal["", "sum", "mean"]
"""Whether options are compared by how likely the model finds them: their sum, or by byte, so that long ones may win."""
KNOWN = (
    "zero-shot, few-shot:K, few-shot:K:random, few-shot:K:similar, cot, cot-few-shot:K, votes:N, choice, choice-norm,"
    " template:NAME"
)
_HINT = "llmchat eval basics --compare zero-shot,few-shot:4,cot,votes:5"
_MOST = {"shots": 100, "votes": MOST_VOTES}
_CHOICES: tuple[Choice, ...] = ("order", "random", "similar")


@dataclass(frozen=True, slots=True)
class Way:
    """One way of asking."""

    name: str
    """As it was written."""
    cot: Cot = "off"
    shots: int = 0
    by: Choice = "order"
    votes: int = 0
    likelihood: Likelihood = ""
    template: Template | None = None

    def applies(self, item: Item) -> bool:
        """Returns whether a question can be asked so: likelihoods need options."""
        return item.kind != "none" and (not self.likelihood or bool(item.choices))

    @property
    def needs_embedder(self) -> bool:
        """Whether examples are compared with the question."""
        template = self.template
        return self.by == "similar" if template is None else bool(template.shots and template.shots_by == "similar")


@dataclass(frozen=True, slots=True)
class Examples:
    """The worked examples of a run, and how they are chosen."""

    shots: tuple[Shot, ...] = ()
    seed: int = 0
    embed: Embed | None = field(default=None, compare=False)

    def recipe(self, way: Way, item: Item) -> Recipe:
        """Returns how a question is asked in a way; a question is never among its own examples."""
        if way.template is not None:
            return recipe_from(way.template, {}, item.asked, seed=self.seed, embed=self.embed)
        others = [shot for shot in self.shots if shot.input != item.asked]
        shots = choose(others, way.shots, way.by, seed=self.seed, question=item.asked, embed=self.embed)
        return Recipe(shots=shots, cot=way.cot, votes=way.votes)


def parse_ways(text: str, load: Callable[[str], Template]) -> tuple[Way, ...]:
    """Returns the ways that `--compare` lists, in its order.

    Args:
        text: names between commas.
        load: finds a template by its name.

    Raises:
        UsageError: one is unknown, has a number that cannot be, or stands there twice.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("--compare is empty", f"known are {KNOWN}", _HINT)
    ways = tuple(_way(name, load) for name in names)
    for place, way in enumerate(ways):
        if other := next((one for one in ways[:place] if replace(one, name=way.name) == way), None):
            raise UsageError(f"--compare has {other.name} twice", f"{way.name} is the same", _HINT)
    return ways


def check_examples(ways: Sequence[Way], examples: Examples) -> None:
    """Makes sure that every way has its worked examples.

    Raises:
        UsageError: there are too few, or what reasons has no reasoning in any.
    """
    for way in ways:
        if way.shots > len(examples.shots):
            there = f"there are {len(examples.shots)}" if examples.shots else "there are none"
            raise UsageError(f"{way.name} needs {way.shots} worked examples", there, "--shots FILE.jsonl")
        if way.cot == "few-shot" and way.shots and not all(shot.reasoning for shot in examples.shots):
            why = "not all of the worked examples have it"
            raise UsageError(f"{way.name} needs reasoning", why, 'add "reasoning" to each line of --shots')


def _way(name: str, load: Callable[[str], Template]) -> Way:
    head, _, rest = name.partition(":")
    match head:
        case "zero-shot" | "cot" if not rest:
            return Way(name, cot="zero-shot" if head == "cot" else "off")
        case "choice" | "choice-norm" if not rest:
            return Way(name, likelihood="mean" if head == "choice-norm" else "sum")
        case "few-shot" | "cot-few-shot":
            number, _, by = rest.partition(":")
            cot: Cot = "off" if head == "few-shot" else "few-shot"
            return Way(name, cot=cot, shots=_number(name, number, "shots"), by=_by(name, by))
        case "votes":
            return Way(name, cot="zero-shot", votes=_number(name, rest, "votes"))
        case "template" if rest:
            return Way(name, template=load(rest))
    raise UsageError(f"--compare has {name!r}, which is no way of asking", f"known are {KNOWN}", _HINT)


def _number(name: str, text: str, what: str) -> int:
    most, least = _MOST[what], 2 if what == "votes" else 1
    if text.isascii() and text.isdigit() and len(text) < 4 and least <= int(text) <= most:
        return int(text)
    head = name.partition(":")[0]
    raise UsageError(f"--compare has {name!r}", f"{head}: is followed by a number from {least} to {most}", _HINT)


def _by(name: str, text: str) -> Choice:
    found = next((choice for choice in _CHOICES if choice == (text or "order")), None)
    if found is None:
        raise UsageError(f"--compare has {name!r}", f"examples are chosen by {', '.join(_CHOICES)}", _HINT)
    return found
