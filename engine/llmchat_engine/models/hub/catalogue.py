"""Good chat models by the memory of a machine, from catalogue.toml: what is suggested where nothing is named.

Knows no network; whether what the file says is so on the hub is for catalogue_check.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from llmchat_engine.models.hub.quants import CENTRE, GOOD_SPEED, expected_size, needed

CATALOGUE = Path(__file__).with_name("catalogue.toml")


@dataclass(frozen=True, slots=True)
class Entry:
    """One model that is worth a suggestion."""

    name: str
    """As people call it: "Qwen3 4B"."""
    repo: str
    """As "user/name"."""
    parameters: int
    """About."""
    tier: int
    """GiB of memory of the smallest usual machine that it fits."""
    good_for: str
    """A few words."""
    licence: str
    verified: bool
    """Whether the hub has been asked for it since it was written down."""
    quant: str = ""
    """What to pull; empty leaves it to the machine."""
    active: int = 0
    """Parameters that are read for one token; 0 is all of them."""

    @property
    def size(self) -> int:
        """Bytes of its file with four bits, about."""
        return expected_size(self.parameters, self.quant or CENTRE)

    def speed(self, bandwidth: float) -> float:
        """Returns the tokens a second that it writes, about, where memory gives so many bytes a second."""
        return bandwidth / expected_size(self.active or self.parameters, self.quant or CENTRE)


@cache
def catalogue() -> tuple[Entry, ...]:
    """Returns all of them, from small to large."""
    import tomllib

    with CATALOGUE.open("rb") as file:
        return tuple(Entry(**entry) for entry in tomllib.load(file)["model"])


def suggested(room: int, bandwidth: float = 0.0) -> tuple[Entry, ...]:
    """Returns those that fit, the best first.

    Args:
        room: Bytes that a model may take in all.
        bandwidth: Bytes a second that the memory gives; 0 is not known. With it, what would write fewer than 8 tokens
            a second comes after all that is quicker, the quicker of them first.
    """
    fitting = [entry for entry in reversed(catalogue()) if needed(entry.size) <= room]
    if not bandwidth:
        return tuple(fitting)
    return tuple(sorted(fitting, key=lambda entry: -min(entry.speed(bandwidth), GOOD_SPEED)))
