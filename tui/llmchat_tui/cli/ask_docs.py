"""What `llmchat ask` wants of the documents: from its flags, the settings and the chat it goes on with.

Opens nothing. Not imported by a question that asks no documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llmchat_tui.asked import ALL, Asked, asked_of, of_chat
from llmchat_tui.cli.docs_common import as_name

if TYPE_CHECKING:
    from llmchat_engine import Engine, Request
    from llmchat_tui.asked import Fusion
    from llmchat_tui.cli.ask_flags import AskFlags
    from llmchat_tui.documents import Documents
    from llmchat_tui.history import Conversation
    from llmchat_tui.recipe import Recipe
    from llmchat_tui.settings import Settings
    from llmchat_tui.turn import Turn


def names_of(flags: AskFlags, chat: Conversation | None) -> tuple[str, ...]:
    """Returns the collections that are asked: those of the flags, else of the chat, else all."""
    given = tuple(dict.fromkeys(map(as_name, flags.collections))) or (ALL,)
    return of_chat(given, chat.collections if chat else ())


def grounded(turn: Turn, flags: AskFlags, settings: Settings, chat: Conversation | None) -> Turn:
    """Returns a turn that is answered from documents."""
    names = names_of(flags, chat)
    how = asked_by(
        settings,
        docs_k=flags.docs_k,
        alpha=flags.alpha,
        fusion=flags.fusion,
        min_score=flags.min_score,
        rerank=flags.rerank,
    )
    how = replace(how, cite=_cites(flags, settings, turn.recipe))
    return replace(turn, asked=asked_of(names, how), own_collections=() if turn.conversation_id else names)


def _cites(flags: AskFlags, settings: Settings, recipe: Recipe) -> bool:
    """Returns whether each sentence has to cite: the setting gives way to what excludes it."""
    if flags.cite is None:
        return settings.docs_cite and not (recipe.grammar or recipe.schema or flags.beams)
    return flags.cite


def asked_by(
    settings: Settings,
    *,
    docs_k: int | None,
    alpha: float | None,
    fusion: Fusion | None,
    min_score: float | None,
    rerank: bool | None,
    collections: Sequence[str] = (),
) -> Asked:
    """Returns how documents are searched: flags first, then the settings."""
    return Asked(
        tuple(dict.fromkeys(map(as_name, collections))),
        k=settings.docs_k if docs_k is None else docs_k,
        alpha=settings.docs_alpha if alpha is None else alpha,
        fusion=fusion or settings.docs_fusion,
        min_score=settings.docs_min_score if min_score is None else min_score,
        rerank=settings.rerank == "on" if rerank is None else rerank,
    )


def block_of(documents: Documents, turn: Turn, request: Request, engine: Engine) -> str:
    """Returns the documents as the model would be given them; for --dry-run.

    Raises:
        RagError: they cannot be searched.
    """
    from llmchat_engine import Loaded
    from llmchat_tui.counting import context_of, token_count
    from llmchat_tui.grounding import MOST_OF_CONTEXT, MOST_TOKENS
    from llmchat_tui.overflow import reserve_of

    asked = turn.asked or Asked()
    earlier = [message.text for message in turn.earlier if message.role == "user"]
    found = documents.retrieve(turn.question, asked, earlier, whole=False)
    *_, loaded = engine.load()
    assert isinstance(loaded, Loaded)
    measured = engine.measure(request)
    n_ctx = context_of(measured.n_ctx)
    room = n_ctx - measured.total - reserve_of(request.sampling.max_tokens, n_ctx)
    budget = min(int(MOST_OF_CONTEXT * n_ctx), MOST_TOKENS, room)
    return documents.block(found, lambda text: token_count(engine, loaded.model, text), budget).text
