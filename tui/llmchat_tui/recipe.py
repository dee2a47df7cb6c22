"""How a question is asked: the examples before it, the words around it, whether the model reasons, votes, a schema.

A value, and its JSON form in which a chat keeps it. Knows no template file, no engine and no screen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import msgspec

from llmchat_engine import Thinking
from llmchat_engine.prompting.chain_of_thought import Cot, asked
from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.placeholders import names_in, spelled_out

MOST_VOTES = 16
MOST_TOKENS = 2**31 - 1
"""That a thought may be limited to: what a host takes."""
PLACE = "input"
"""The name of the place where the question goes in the words around it."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the questions of a chat are asked."""

    template: str = ""
    """The template that it came from, for the user."""
    shots: tuple[Shot, ...] = ()
    """Worked examples between the system prompt and the chat."""
    wrapper: str = ""
    """What a question is sent as, with `$input` in its place and `$$` for a dollar sign; empty sends it as it is."""
    cot: Cot = "off"
    votes: Annotated[int, msgspec.Meta(ge=0, le=MOST_VOTES)] = 0
    """So many chains of thought vote on the answer; 0 asks one."""
    think: Thinking = "auto"
    think_budget: Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)] | None = None
    """The longest thought of a reasoning model in tokens."""
    keep_thoughts: bool = False
    """Whether the thoughts of earlier replies stay in the prompt."""
    schema: str = ""
    """JSON schema that answers follow, as JSON text."""
    grammar: str = ""
    """GBNF that they follow; not beside a schema."""

    def wrapped(self, question: str) -> str:
        """Returns a question with the words around it."""
        return spelled_out(self.wrapper, {PLACE: question}) if PLACE in names_in(self.wrapper) else question

    def asks(self, question: str) -> str:
        """Returns a question as the model is given it: with the words around it, and what has the model reason."""
        return asked(self.wrapped(question), self.cot)


PLAIN = Recipe()


def packed(recipe: Recipe) -> dict[str, Any]:
    """Returns a recipe as JSON values; what is as ever is left out."""
    plain = asdict(PLAIN)
    return {name: value for name, value in asdict(recipe).items() if value != plain[name]}


def recipe_of(values: Mapping[str, Any]) -> Recipe:
    """Returns the recipe of JSON values; one from a file that cannot be read counts as none."""
    try:
        return msgspec.convert(dict(values), Recipe)
    except msgspec.ValidationError:
        return PLAIN
