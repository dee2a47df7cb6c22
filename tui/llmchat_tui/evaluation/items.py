"""One question of a set, and what counts as right; the words it is asked in.

A value: knows no file, no model and no reply. reading.py makes it, grading.py judges by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_uppercase
from typing import Literal, get_args

from llmchat_engine.prompting.few_shot import Shot

Kind = Literal["number", "exact", "contains", "choice", "regex", "schema", "none"]
"""What is right: a number; one of some texts and nothing else; one of them among other words; an option; what a
pattern finds; JSON after a schema. Of the last kind nobody knows, and it is skipped."""
KINDS: tuple[Kind, ...] = get_args(Kind)
LETTERS = ascii_uppercase
"""How options are named."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question."""

    id: str
    kind: Kind
    question: str
    answers: tuple[str, ...] = ()
    """What is right, the first as a worked example would say it: of options a letter, of a schema JSON text."""
    choices: tuple[str, ...] = ()
    tolerance: float = 0.0
    """How far off a number may be."""
    pattern: str = ""
    """What a reply must match somewhere."""
    schema: str = ""
    """JSON schema, as JSON text."""
    reasoning: str = ""
    """How the answer is found, where the set tells."""

    @property
    def asked(self) -> str:
        """The question as it is sent: options are listed behind it."""
        if not self.choices:
            return self.question
        options = "\n".join(f"{letter}. {text}" for letter, text in zip(LETTERS, self.choices, strict=False))
        return f"{self.question}\n{options}\nAnswer with the letter."

    @property
    def right_choice(self) -> int:
        """The place of the right option; -1 where there are none."""
        return LETTERS.index(self.answers[0]) if self.choices else -1

    @property
    def expected(self) -> str:
        """What is right, in a few words, for people."""
        if self.choices:
            return f"{self.answers[0]} ({self.choices[self.right_choice]})"
        return " or ".join(self.answers) or (f"/{self.pattern}/" if self.pattern else "JSON after its schema")

    def as_shot(self) -> Shot:
        """Returns it as a worked example, asked in the same words as the questions."""
        return Shot(self.asked, self.answers[0] if self.answers else "", self.reasoning)
