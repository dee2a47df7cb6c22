"""A prompt template as a value: everything that can be decided about a question before it is typed.

Knows no file format and no engine; reading.py makes it from TOML, applying.py makes a recipe of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from llmchat_engine import Thinking
from llmchat_engine.prompting.chain_of_thought import Cot
from llmchat_engine.prompting.few_shot import Shot

ShotsBy = Literal["order", "random", "similar"]
"""Which examples come along where there are more than wanted: the first, any, or those nearest to the question."""


@dataclass(frozen=True, slots=True)
class Template:
    """A template; what it leaves open, the flags and the settings decide."""

    name: str
    description: str = ""
    system: str = ""
    user: str = ""
    """What a question is sent as: `$input` is the question, `$name` the parameter of that name."""
    params: Mapping[str, str] = field(default_factory=dict)
    """The parameters with their defaults; one without a default is an empty text, and must be given."""
    shots: tuple[Shot, ...] = ()
    num_shots: int | None = None
    """So many of them come along; None takes all."""
    shots_by: ShotsBy = "order"
    cot: Cot = "off"
    votes: int = 0
    think: Thinking = "auto"
    think_budget: int | None = None
    keep_thoughts: bool = False
    schema: str = ""
    """JSON schema, as JSON text; `$name` leaves it to that parameter."""
    grammar: str = ""
    """GBNF; `$name` leaves the answer to one of the texts that the parameter has between commas."""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """By the field names of `Sampling`; stop words are among them."""
    collections: tuple[str, ...] = ()
    """The documents that it answers from."""
    docs_k: int | None = None
    cite: bool | None = None
    path: Path | None = None
    """Its file; None is built in."""
