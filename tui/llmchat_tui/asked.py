"""What a turn wants of the documents: from the collections of its chat, and from the settings of an earlier reply.

Knows no store; opens nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from llmchat_tui.settings import Settings

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
    rerank: bool | Literal["auto"] = False
    """`auto` is where a model for it is here and ready, and costs no answer; True fails where there is none."""
    history: bool = True
    """Whether a question that leans on the ones before it is searched with them."""
    cite: bool = False
    """Whether the answer is held to a form in which each sentence cites a passage that is there."""


def named(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of a chat's collections; nothing where it is answered from all that there are."""
    return () if ALL in names else tuple(names)


def of_chat(given: tuple[str, ...], own: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the collections of a chat that goes on: those that flags name, else its own, else what flags say.

    Args:
        given: by the flags; `ALL` names none.
        own: kept with the chat.
    """
    return own if own and given in ((), (ALL,)) else given


def by_settings(settings: Settings) -> Asked:
    """Returns how the questions of a chat are searched."""
    return Asked(
        k=settings.docs_k,
        alpha=settings.docs_alpha,
        fusion=settings.docs_fusion,
        min_score=settings.docs_min_score,
        rerank="auto" if settings.rerank == "auto" else settings.rerank == "on",
        cite=settings.docs_cite,
    )


def asked_of(names: Sequence[str], base: Asked = Asked()) -> Asked | None:
    """Returns what a chat wants of the documents; None where it asks none.

    Args:
        names: the chat's collections; `ALL` among them is all.
        base: how it is searched.
    """
    return replace(base, collections=named(names)) if names else None


def asked_in(settings: Mapping[str, Any]) -> Asked | None:
    """Returns what a reply's settings say was wanted of the documents; None where nothing was, or it is unreadable."""
    import msgspec

    try:
        return msgspec.convert(settings["asked"], Asked)
    except (KeyError, msgspec.ValidationError):
        return None
