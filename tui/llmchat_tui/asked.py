"""What a turn wants of the documents: from the collections of its chat, and from the settings of an earlier reply.

Knows no store; opens nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Fusion = Literal["convex", "rrf"]
ALL = "*"
"""In place of a chat's collections: all that there are, also those to come."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a turn wants of the documents."""

    collections: tuple[str, ...] = ()
    """Empty is all."""
    k: int = 5
    alpha: float = 0.7
    fusion: Fusion = "convex"
    min_score: float = 0.0
    rerank: bool = False
    history: bool = True
    """Whether a question that leans on the ones before it is searched with them."""


def asked_of(names: Sequence[str], base: Asked = Asked()) -> Asked | None:
    """Returns what a chat wants of the documents; None where it asks none.

    Args:
        names: the chat's collections; `ALL` among them is all.
        base: how it is searched.
    """
    return replace(base, collections=() if ALL in names else tuple(names)) if names else None


def asked_in(settings: Mapping[str, Any]) -> Asked | None:
    """Returns what a reply's settings say was wanted of the documents; None where nothing was, or it is unreadable."""
    import msgspec

    try:
        return msgspec.convert(settings["asked"], Asked)
    except (KeyError, msgspec.ValidationError):
        return None
